//! Which of our routes belong in the kernel table.
