//! RIP's sockets and its task.
//!
//! ```text
//!  watch<Interfaces> ─┐                        ┌─▶ mpsc<Vec<RouteChange>>  (RIB)
//!  mpsc<Redistribute> ┼─▶ driver [owns Rip] ───┤
//!  mpsc<Command>  ────┤                        └─▶ sockets ─▶ wire
//!  sockets ───────────┘
//! ```
//!
//! [`driver`] owns the engine (`forwarder_core::rip`), its clock and one
//! [`socket`] an interface. It decides nothing about routes: it hands datagrams,
//! time and interfaces in, and carries out what comes back.

mod answers;
mod command;
mod driver;
mod engine;
mod interfaces;
mod sequence;
mod socket;
mod sync;
#[cfg(test)]
mod tests;
mod transport;

pub use command::{Command, InterfaceStatus, Select, Settings};
pub use driver::{Channels, RipError, run};
pub use socket::{SocketError, check_port};
pub(crate) use transport::Transport;
