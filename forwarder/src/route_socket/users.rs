//! What each user of the machine may cost the others: connections, and requests
//! a second. And who may change routes.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use forwarder_core::config::{Group, RouteSocket};
use nix::unistd;
use tracing::warn;

use crate::clock;

/// Who has sent a message, by the kernel's word (`SCM_CREDENTIALS`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Sender {
    /// The process.
    pub(super) pid: i32,
    /// Its user.
    pub(super) uid: u32,
    /// Its group.
    pub(super) gid: u32,
}

/// Who has connected: the kernel remembers it as it was then.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Peer {
    /// The user.
    pub(super) uid: u32,
    /// All groups of the process (`SO_PEERGROUPS`).
    pub(super) groups: Vec<u32>,
}

/// One user.
#[derive(Debug)]
pub(super) struct User {
    connections: AtomicU32,
    /// When the next request is in time, in microseconds of our clock. Requests
    /// may come early by [`BURST`].
    next: AtomicU64,
}

/// How far ahead of its rate a user may be.
const BURST: Duration = Duration::from_secs(1);

/// All users, and the rules.
#[derive(Debug)]
pub(super) struct Users {
    known: HashMap<u32, Arc<User>>,
    max_connections: u32,
    /// Between requests of one user; zero = no limit.
    interval: Duration,
    group: Option<u32>,
}

/// A connection's place among its user's.
#[derive(Debug)]
pub(super) struct Place {
    user: Arc<User>,
    peer: Peer,
    interval: Duration,
    group: Option<u32>,
}

impl Users {
    /// By the configuration.
    pub(super) fn new(config: &RouteSocket) -> Users {
        let rate = config.requests_per_second;
        Users {
            known: HashMap::new(),
            max_connections: config.max_connections,
            interval: if rate == 0 {
                Duration::ZERO
            } else {
                Duration::from_secs(1) / rate
            },
            group: config.group.as_ref().and_then(number),
        }
    }

    /// A connection comes; `None` = its user has enough of them.
    pub(super) fn enter(&mut self, peer: &Peer) -> Option<Place> {
        // Of those who have gone nothing is kept.
        self.known
            .retain(|_, user| user.connections.load(Ordering::Relaxed) > 0);
        let user = self.known.entry(peer.uid).or_insert_with(|| {
            Arc::new(User {
                connections: AtomicU32::new(0),
                next: AtomicU64::new(0),
            })
        });
        if user.connections.load(Ordering::Relaxed) >= self.max_connections {
            return None;
        }
        user.connections.fetch_add(1, Ordering::Relaxed);
        Some(Place {
            user: Arc::clone(user),
            peer: peer.clone(),
            interval: self.interval,
            group: self.group,
        })
    }
}

/// The number of a group. One that is not there has no members.
fn number(group: &Group) -> Option<u32> {
    match group {
        Group::Id(id) => Some(*id),
        Group::Name(name) => match unistd::Group::from_name(name) {
            Ok(Some(group)) => Some(group.gid.as_raw()),
            _ => {
                warn!(
                    "[route-socket] group = {name:?}: there is no such group on this machine, \
                     so that only user 0 may change routes: make it with `groupadd {name}`"
                );
                None
            }
        },
    }
}

impl Place {
    /// Whether this sender may change routes: user 0, or a member of the group,
    /// by the group it acts in, or by the groups of who has connected while it
    /// is the same user still.
    pub(super) fn may_change(&self, sender: Sender) -> bool {
        let Some(group) = self.group.filter(|_| sender.uid != 0) else {
            return sender.uid == 0;
        };
        let connected = sender.uid == self.peer.uid && self.peer.groups.contains(&group);
        sender.gid == group || connected
    }

    /// Counts requests; the time to wait before more are read.
    pub(super) fn pace(&self, sender: Sender, requests: usize) -> Option<Duration> {
        if self.interval.is_zero() || self.may_change(sender) {
            return None;
        }
        let now = clock::now().as_micros();
        let cost = self.interval * u32::try_from(requests).unwrap_or(u32::MAX);
        let cost = u64::try_from(cost.as_micros()).unwrap_or(u64::MAX);
        let next = self.user.next.load(Ordering::Relaxed).max(now);
        let next = next.saturating_add(cost);
        self.user.next.store(next, Ordering::Relaxed);
        let ahead = Duration::from_micros(next - now);
        ahead.checked_sub(BURST).filter(|wait| !wait.is_zero())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.user.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
