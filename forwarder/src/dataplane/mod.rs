//! The fast path's owner: programs, maps, ports, and what is programmed.
//!
//! * [`object`], [`tables`]: the programs and their maps; [`routes`]: the one
//!   with the prefixes, by engine; [`mapped`]: those that are written in place
//! * [`family`]: what differs between IPv4 and IPv6 in all this
//! * [`attach`], [`ports`], [`features`], [`feedback`], `stripping`: which devices carry
//!   the program, and which take redirected frames
//! * [`ethtool`]: what a driver says of itself; for `doctor`
//! * [`plane`]: all of that as one state, changed at once; [`side`]: what each
//!   family has of it for itself
//! * [`programmer`]: routes into the kernel's table and the maps, in order
//! * [`usage`], [`keeper`]: neighbours in use are kept alive
//! * [`events`]: what the programs tell of single packets
//! * [`miss_hook`]: the kernel's own lookups that find no route
//! * [`grace`]: ids are used again only when no program can hold them
//! * `log` (feature `ebpf-log`): what the programs say, for debugging
//! * [`task`]: the loop that owns it all; [`query`], [`listing`]: what it
//!   tells the API

pub mod attach;
pub mod ethtool;
pub mod events;
pub mod family;
pub mod features;
pub mod feedback;
pub mod grace;
pub mod keeper;
pub mod kernel_layout;
pub mod listing;
#[cfg(feature = "ebpf-log")]
mod log;
pub mod mapped;
pub mod memlock;
pub mod miss_hook;
pub mod object;
mod pace;
pub mod plane;
pub mod ports;
pub mod programmer;
pub mod query;
pub mod routes;
pub mod side;
mod stripping;
pub mod tables;
pub mod task;
pub mod usage;
mod value_size;
