//! The fast path's owner: programs, maps, ports, and what is programmed.
//!
//! * [`object`], [`tables`]: the programs and their maps
//! * [`attach`], [`ports`], [`features`], [`feedback`]: which devices carry
//!   the program, and which take redirected frames
//! * [`plane`]: all of that as one state, changed at once
//! * [`programmer`]: routes into the kernel's table and the maps, in order
//! * [`usage`], [`keeper`]: neighbours in use are kept alive
//! * [`grace`]: ids are used again only when no program can hold them
//! * `log` (feature `ebpf-log`): what the programs say, for debugging
//! * [`task`]: the loop that owns it all; [`query`]: what it tells the API

pub mod attach;
pub mod features;
pub mod feedback;
pub mod grace;
pub mod keeper;
pub mod kernel_layout;
#[cfg(feature = "ebpf-log")]
mod log;
pub mod object;
pub mod plane;
pub mod ports;
pub mod programmer;
pub mod query;
pub mod tables;
pub mod task;
pub mod usage;
