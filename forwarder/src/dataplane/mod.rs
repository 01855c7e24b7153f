//! The fast path's lower half: programs, maps and ports.

pub mod features;
pub mod grace;
pub mod kernel_layout;
pub mod object;
pub mod tables;
