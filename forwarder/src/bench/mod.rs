//! Traffic for measurements on a machine without a NIC to spare.
//!
//! Owns the programs of `forwarder-bench-xdp`: [`Pass`] makes a veth port take
//! redirected frames, [`Sink`] counts one flow and drops it, [`Generator`]
//! sends frames that the kernel makes from nothing (`BPF_PROG_TEST_RUN` in
//! live-frame mode). The demo, the labs and the benchmarks call it; the daemon
//! does not.
//!
//! An interface is looked up in the network namespace of the calling thread,
//! so callers enter the right one first; what has been attached or built stays
//! there, whichever thread uses or drops it later.
//!
//! All frames of a run are normally carried from the generator to the sink by
//! the thread that calls [`Generator::run_to`]: the redirect wakes the receiving
//! port's NAPI on this CPU, and that runs before the next batch is made. So time
//! per frame is one CPU's cost of the whole path. It says how paths compare on
//! this machine; it is no rate of a NIC. A window keeps frames from being lost
//! when a port's NAPI happens to run on another CPU.

mod alone;
mod attach;
mod checks;
mod error;
pub mod family;
pub mod fib;
mod flow;
pub mod forward;
mod generator;
pub mod memory;
pub mod namespace;
mod pace;
pub mod program;
pub mod progress;
pub mod random;
pub mod router;
pub mod samples;
pub mod setup;
mod sink;
pub mod socket;
pub mod table;
#[cfg(test)]
mod tests;
pub mod traffic;

pub use attach::{Pass, Relay};
pub use checks::CheckReport;
pub use error::BenchError;
pub use flow::{Flow, FrameAddress, MIN_FRAME};
pub use generator::{DEFAULT_BATCH, Generator, Receiver, Report};
pub use sink::{Count, Sink};

/// The object built by build.rs.
static OBJECT: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/forwarder-bench-xdp"));
