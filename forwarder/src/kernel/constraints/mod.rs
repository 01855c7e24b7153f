//! What the operator configured in the kernel that a fast path must not go
//! round: packet filters, policy rules, IPsec, traffic control.
//!
//! The daemon runs [`ConstraintWatcher::run`] as a task. It reads everything
//! at start, whenever netlink says that something changed, and every
//! [`RECHECK`] (iptables changes without a message), and sends
//! [`DataplaneEvent::Constraints`] whenever the answer is another one: the
//! first time always, so that a consumer knows when it has been looked. What
//! may be bypassed is the consumer's decision; all is reported.
//!
//! A facility that this kernel lacks is not in force. One that can't be read
//! is taken to be in force, and the text says why: when in doubt packets go
//! up.
//!
//! Apart from the monitor since order relative to routes doesn't matter, and
//! a straight line of questions is easier to trust than a state machine.

mod iptables;
mod netfilter;
mod rules;
mod tc;
mod xfrm;

use std::io;
use std::time::Duration;

use forwarder_core::kernel::event::{Constraints, DataplaneEvent};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::request::{RequestError, Requester};
use super::socket::{NetlinkSocket, OpenError, Protocol, ReceiveError};

/// Everything is read again at least this often.
pub const RECHECK: Duration = Duration::from_secs(5);
/// Pause between two readings, so that a long `nft -f` is not read after each
/// of its messages.
const PAUSE: Duration = Duration::from_millis(10);
/// Notifications thrown away before the tables are read again.
const DRAIN: usize = 256;
/// A notification only says "look": losing some does no harm.
const RECEIVE_BUFFER: usize = 256 * 1024;
/// `XFRMNLGRP_POLICY`.
const XFRM_POLICY_GROUP: u32 = 4;

/// A constraint could not be found out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProbeError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl ProbeError {
    fn is_unsupported(&self) -> bool {
        match self {
            ProbeError::Open(error) => error.is_unsupported(),
            ProbeError::Request(error) => error.is_unsupported(),
            ProbeError::Io(_) => false,
        }
    }
}

/// Reads the constraints in force in the network namespace of the calling
/// thread, once.
pub async fn read() -> Constraints {
    Probe::default().read().await
}

/// The sockets that are asked, opened when first needed and after a failure.
#[derive(Debug, Default)]
struct Probe {
    route: Option<Requester>,
    netfilter: Option<Requester>,
    xfrm: Option<Requester>,
}

impl Probe {
    async fn read(&mut self) -> Constraints {
        let netfilter = match self.netfilter().await {
            Ok(found) => join(found),
            Err(error) => self.failed("netfilter", &error),
        };
        let rules = match self.rules().await {
            Ok(found) => join(found),
            Err(error) => self.failed("ip rules", &error),
        };
        let xfrm = match self.xfrm().await {
            Ok(found) => found,
            Err(error) => self.failed("xfrm policies", &error),
        };
        Constraints {
            netfilter,
            rules,
            xfrm,
            tc: self.tc().await,
        }
    }

    async fn netfilter(&mut self) -> Result<Vec<String>, ProbeError> {
        let requester = opened(&mut self.netfilter, Protocol::NETFILTER);
        let mut found = match requester {
            Ok(requester) => netfilter::read(requester)
                .await
                .or_else(none_if_unsupported)?,
            Err(error) => none_if_unsupported(error)?,
        };
        found.extend(iptables::read()?);
        Ok(found)
    }

    async fn rules(&mut self) -> Result<Vec<String>, ProbeError> {
        rules::read(opened(&mut self.route, Protocol::ROUTE)?).await
    }

    async fn xfrm(&mut self) -> Result<Option<String>, ProbeError> {
        match opened(&mut self.xfrm, Protocol::XFRM) {
            Ok(requester) => xfrm::read(requester).await.or_else(none_if_unsupported),
            Err(error) => none_if_unsupported(error),
        }
    }

    async fn tc(&mut self) -> std::collections::BTreeMap<forwarder_core::net::Ifindex, String> {
        let result = match opened(&mut self.route, Protocol::ROUTE) {
            Ok(requester) => tc::read(requester).await.or_else(none_if_unsupported),
            Err(error) => Err(error),
        };
        result.unwrap_or_else(|error| {
            // There is no port to name, and the others say that netlink fails.
            self.failed("traffic control", &error);
            Default::default()
        })
    }

    /// What can't be read is in force; the sockets are not trusted any more.
    fn failed(&mut self, what: &str, error: &ProbeError) -> Option<String> {
        tracing::warn!(%error, "{what} could not be read");
        *self = Probe::default();
        Some(format!("{what} could not be read: {error}"))
    }
}

fn opened(slot: &mut Option<Requester>, protocol: Protocol) -> Result<&mut Requester, ProbeError> {
    if slot.is_none() {
        *slot = Some(Requester::open(protocol)?);
    }
    slot.as_mut()
        .ok_or_else(|| ProbeError::Io(io::ErrorKind::NotConnected.into()))
}

fn none_if_unsupported<T: Default>(error: ProbeError) -> Result<T, ProbeError> {
    if error.is_unsupported() {
        Ok(T::default())
    } else {
        Err(error)
    }
}

/// "a, b and 3 more", or nothing.
fn join(mut found: Vec<String>) -> Option<String> {
    /// Named one by one; the rest is counted.
    const NAMED: usize = 3;
    let more = found.len().saturating_sub(NAMED);
    found.truncate(NAMED);
    let text = found.join(", ");
    match (text.is_empty(), more) {
        (true, _) => None,
        (false, 0) => Some(text),
        (false, more) => Some(format!("{text} and {more} more")),
    }
}

/// Follows the constraints.
#[derive(Debug)]
pub struct ConstraintWatcher {
    output: mpsc::Sender<Vec<DataplaneEvent>>,
    route: NetlinkSocket,
    netfilter: Option<NetlinkSocket>,
    xfrm: Option<NetlinkSocket>,
    probe: Probe,
}

impl ConstraintWatcher {
    /// Opens the notification sockets in the network namespace of the calling
    /// thread, within a tokio runtime.
    pub fn open(output: mpsc::Sender<Vec<DataplaneEvent>>) -> Result<Self, OpenError> {
        let groups = [libc::RTNLGRP_IPV4_RULE, libc::RTNLGRP_TC];
        let nftables = [libc::NFNLGRP_NFTABLES.cast_unsigned()];
        Ok(ConstraintWatcher {
            output,
            route: NetlinkSocket::open(Protocol::ROUTE, &groups, RECEIVE_BUFFER)?,
            netfilter: if_supported(Protocol::NETFILTER, &nftables)?,
            xfrm: if_supported(Protocol::XFRM, &[XFRM_POLICY_GROUP])?,
            probe: Probe::default(),
        })
    }

    /// Reports constraints until cancelled, or nobody listens any more.
    pub async fn run(mut self, cancel: CancellationToken) {
        tokio::select! {
            () = self.follow() => {}
            () = cancel.cancelled() => {}
        }
    }

    async fn follow(&mut self) {
        let mut last = None;
        loop {
            let now = self.probe.read().await;
            if last.as_ref() != Some(&now) {
                last = Some(now.clone());
                if self
                    .output
                    .send(vec![DataplaneEvent::Constraints(now)])
                    .await
                    .is_err()
                {
                    return;
                }
            }
            tokio::time::sleep(PAUSE).await;
            self.changed().await;
        }
    }

    /// Returns when something may have changed.
    async fn changed(&mut self) {
        let recheck = tokio::time::sleep_until(Instant::now() + RECHECK);
        let result = tokio::select! {
            () = recheck => return,
            result = drain(&mut self.route) => result,
            result = drain_some(&mut self.netfilter) => result,
            result = drain_some(&mut self.xfrm) => result,
        };
        if let Err(error) = result {
            // The recheck stands in for the socket that failed.
            tracing::warn!(%error, "constraint watcher");
            tokio::time::sleep(RECHECK).await;
        }
    }
}

fn if_supported(protocol: Protocol, groups: &[u32]) -> Result<Option<NetlinkSocket>, OpenError> {
    match NetlinkSocket::open(protocol, groups, RECEIVE_BUFFER) {
        Ok(socket) => Ok(Some(socket)),
        Err(error) if error.is_unsupported() => Ok(None),
        Err(error) => Err(error),
    }
}

async fn drain_some(socket: &mut Option<NetlinkSocket>) -> io::Result<()> {
    match socket {
        Some(socket) => drain(socket).await,
        None => std::future::pending().await,
    }
}

/// Waits for a message and throws it and those behind it away.
async fn drain(socket: &mut NetlinkSocket) -> io::Result<()> {
    let mut buffer = [0; 1024];
    let mut heard = socket.receive(&mut buffer).await.map(Some);
    for _ in 0..DRAIN {
        match heard {
            Ok(None) => break,
            Ok(Some(_)) | Err(ReceiveError::Overrun) => {}
            Err(ReceiveError::Io(error)) => return Err(error),
        }
        heard = socket.try_receive(&mut buffer);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
