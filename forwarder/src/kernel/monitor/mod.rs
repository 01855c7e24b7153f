//! Follows the kernel's links, addresses, routes, next-hop objects and
//! neighbours.
//!
//! Owns the netlink notification socket. The daemon runs [`Monitor::run`] as a
//! task; what it learns goes out in three ways ([`MonitorOutputs`]).
//!
//! One socket carries notifications and the monitor's own dumps, so that both
//! come in the kernel's order, and a dump can be believed over what was known
//! before (see `guard` for the one exception). Dumps are made at start, after
//! an overrun (`ENOBUFS`), when the kernel is known to drop routes without a
//! message (link down, address gone), and as an audit once a minute.
//!
//! Not simpler, because "subscribe, then read" is wrong in each of these
//! cases: messages are lost under load, links take routes with them silently,
//! and tables change while they are dumped.

mod dumps;
mod guard;
mod session;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use forwarder_core::interface::Interfaces;
use forwarder_core::kernel::event::{DataplaneEvent, RouteEvent};
use forwarder_core::net::{Ipv4, Ipv6};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::socket::OpenError;
pub(crate) use dumps::Table;
use session::{End, Session};

/// Suggested depth of the monitor's channels, in batches: each is what one
/// wake-up has read (at most half a MiB of messages), so that a burst that
/// fills it is already as large as the socket's own buffer, where the kernel
/// coalesces nothing but counts what it drops.
pub const CHANNEL_DEPTH: usize = 64;

/// Pause before a socket that failed is opened again.
const REOPEN: Duration = Duration::from_secs(1);

/// Where the monitor's findings go.
#[derive(Clone, Debug)]
pub struct MonitorOutputs {
    /// For the RIB, in the kernel's order.
    pub routes4: mpsc::Sender<Vec<RouteEvent<Ipv4>>>,
    /// Likewise, IPv6.
    pub routes6: mpsc::Sender<Vec<RouteEvent<Ipv6>>>,
    /// For the fast path: neighbours.
    pub dataplane: mpsc::Sender<Vec<DataplaneEvent>>,
    /// All interfaces, at each change. Before the first dump is complete the
    /// value is what it was made with.
    pub interfaces: watch::Sender<Arc<Interfaces>>,
}

/// Settings of the monitor.
#[derive(Clone, Copy, Debug)]
pub struct MonitorConfig {
    /// Receive buffer of the socket in bytes (`SO_RCVBUFFORCE`). A notification
    /// takes about a KiB of it: the default holds some 16,000.
    pub receive_buffer: usize,
    /// Time between audits: everything is dumped again, in case a message was
    /// lost or not understood.
    pub audit: Duration,
}

impl Default for MonitorConfig {
    fn default() -> Self {
        MonitorConfig {
            receive_buffer: 16 * 1024 * 1024,
            audit: Duration::from_secs(60),
        }
    }
}

/// What happened to the monitor, for `show status` and metrics.
#[derive(Debug, Default)]
pub struct MonitorCounters {
    messages: AtomicU64,
    undecodable: AtomicU64,
    overruns: AtomicU64,
    interrupted_dumps: AtomicU64,
    failed_dumps: AtomicU64,
    dumps: AtomicU64,
    reopened: AtomicU64,
}

/// A copy of [`MonitorCounters`] at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MonitorCounts {
    /// Netlink messages read.
    pub messages: u64,
    /// Messages that made no sense and were skipped.
    pub undecodable: u64,
    /// Times the kernel dropped notifications (`ENOBUFS`).
    pub overruns: u64,
    /// Dumps that started over since the table changed under them.
    pub interrupted_dumps: u64,
    /// Dumps that the kernel refused.
    pub failed_dumps: u64,
    /// Dumps completed: of interfaces, of routes, of neighbours.
    pub dumps: u64,
    /// Times the socket failed and was opened again.
    pub reopened: u64,
}

impl MonitorCounters {
    /// The counts now.
    pub fn read(&self) -> MonitorCounts {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        MonitorCounts {
            messages: get(&self.messages),
            undecodable: get(&self.undecodable),
            overruns: get(&self.overruns),
            interrupted_dumps: get(&self.interrupted_dumps),
            failed_dumps: get(&self.failed_dumps),
            dumps: get(&self.dumps),
            reopened: get(&self.reopened),
        }
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// The monitor: opened, not yet running.
#[derive(Debug)]
pub struct Monitor {
    config: MonitorConfig,
    outputs: MonitorOutputs,
    counters: Arc<MonitorCounters>,
    session: Session,
}

impl Monitor {
    /// Opens the notification socket in the network namespace of the calling
    /// thread, within a tokio runtime. From here on no change is missed.
    pub fn open(outputs: MonitorOutputs, config: MonitorConfig) -> Result<Self, OpenError> {
        let counters = Arc::new(MonitorCounters::default());
        let session = Session::open(config, &counters)?;
        Ok(Monitor {
            config,
            outputs,
            counters,
            session,
        })
    }

    /// Its counters.
    pub fn counters(&self) -> Arc<MonitorCounters> {
        Arc::clone(&self.counters)
    }

    /// Follows the kernel until cancelled, or nobody listens any more. A
    /// socket that fails is opened again.
    pub async fn run(mut self, cancel: CancellationToken) {
        loop {
            let end = tokio::select! {
                end = self.session.run(&self.outputs) => end,
                () = cancel.cancelled() => return,
            };
            let End::Failed(error) = end else { return };
            tracing::warn!(%error, "netlink monitor: opening a new socket");
            tokio::select! {
                () = self.reopen() => {}
                () = cancel.cancelled() => return,
            }
        }
    }

    async fn reopen(&mut self) {
        loop {
            tokio::time::sleep(REOPEN).await;
            match self.session.reopen(self.config) {
                Ok(()) => return count(&self.counters.reopened),
                Err(error) => tracing::warn!(%error, "netlink monitor"),
            }
        }
    }
}

#[cfg(test)]
mod tests;
