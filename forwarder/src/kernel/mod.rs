//! The kernel, through netlink: followed, asked, and told.
//!
//! * [`Monitor`]: a task that follows links, addresses, routes, next-hop
//!   objects and neighbours
//! * [`ConstraintWatcher`]: a task that follows packet filters, policy rules,
//!   IPsec policies and traffic control
//! * [`KernelWriter`]: puts our routes into the main table
//! * [`Neighbours`]: has neighbours resolved and kept
//! * [`ExporterLock`]: one exporter a network namespace
//! * [`Survey`]: all of it at one moment, for `doctor`
//! * [`enable_forwarding`]: the one sysctl that may be set
//!
//! Everything belongs to the network namespace of the thread that opens it.
//! What follows from what is heard is decided in `forwarder_core`; here are
//! only bytes, sockets and time.

mod constraints;
mod export;
mod family;
mod interfaces;
mod lock;
mod lookup;
mod message;
mod monitor;
mod neighbours;
mod request;
mod requests;
mod socket;
mod survey;
mod sysctl;
#[cfg(test)]
mod testing;
mod wire;

pub use constraints::{ConstraintWatcher, RECHECK as CONSTRAINT_RECHECK, read as read_constraints};
pub(crate) use export::encode_export;
pub use export::{Identity, KernelWriter};
pub use family::NetlinkFamily;
pub use lock::{ExporterLock, LockError};
pub use lookup::{KernelLookup, lookup};
pub use monitor::{
    CHANNEL_DEPTH, Monitor, MonitorConfig, MonitorCounters, MonitorCounts, MonitorOutputs,
};
pub use neighbours::{Managed, Neighbours};
pub use request::RequestError;
pub use socket::OpenError;
pub use survey::{LinkExtras, NeighbourTable, Survey};
pub use sysctl::{SysctlError, enable_forwarding};
