//! Which routes of the kernel are candidates.
