//! The HTTP API on a Unix socket: what `forwarder show` and its like ask, and
//! what `curl --unix-socket /run/forwarder/default/api.sock http://f/v1/status`
//! answers just as well.
//!
//! [`model`] is the shape of every answer, used by both sides. [`server`] is
//! generic over a [`Backend`], which the daemon implements by asking the tasks
//! that own the state; it holds none itself. [`client`] is for the command line.
//!
//! HTTP and JSON rather than a protocol of our own: every language and every
//! monitoring system speaks it, and `/metrics` has to be HTTP anyway.

pub mod backend;
mod bounded;
pub mod client;
pub mod counters;
pub mod lookup;
pub mod metrics;
pub mod model;
pub mod server;

#[cfg(test)]
pub(crate) mod tests;

pub use backend::{ApiError, Backend, Reply, RouteQuery};
