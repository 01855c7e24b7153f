//! Recordings of the RIP engines on disk: `forwarder run --record FILE` writes one,
//! `forwarder rip-replay FILE` reads it.
//!
//! The records and the engine that plays them are `forwarder_core::rip::record`'s;
//! here is what touches a file. [`writer`] has a thread of its own, so that no disk
//! can hold up routing; [`tap`] is what a driver hands its engine's inputs to;
//! [`reader`] takes a file apart, which may be cut off or hostile; [`replay`] plays
//! it and compares.

mod reader;
mod replay;
mod tap;
#[cfg(test)]
mod tests;
mod writer;

pub use reader::{ReadError, Reader};
pub use replay::{Difference, Engine, Family, Replay, ReplayError, Step};
pub(crate) use tap::Tap;
pub use writer::{Recording, RecordingStatus};
