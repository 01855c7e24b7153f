//! The routers heard on an interface, and who may ask how often.

use std::collections::BTreeMap;
use std::time::Duration;

use super::reject::{Reject, Scope};
use crate::net::Family;
use crate::time::Instant;

/// Neighbours kept on an interface. Whoever can send on the link can make up
/// as many as its subnet has addresses.
pub(super) const MAX_NEIGHBORS: usize = 256;

/// Requests answered to one source in [`REQUEST_WINDOW`]: enough for a router
/// that restarts, too few to make us anybody's amplifier.
const REQUESTS: u8 = 4;
const REQUEST_WINDOW: Duration = Duration::from_secs(1);
/// Sources whose requests are answered within one window.
const MAX_REQUESTERS: usize = 64;

/// A router that sent us a response.
#[derive(Clone, Copy, Debug)]
pub(super) struct Neighbor {
    pub(super) version: u8,
    pub(super) last_seen: Instant,
    pub(super) packets: u64,
    pub(super) bad_packets: u64,
    pub(super) bad_routes: u64,
}

/// The neighbours of an interface.
#[derive(Clone, Debug)]
pub(super) struct Neighbors<F: Family> {
    by_address: BTreeMap<F::Addr, Neighbor>,
    /// No neighbour times out before this: `last_seen` only grows.
    sweep_at: Option<Instant>,
}

impl<F: Family> Default for Neighbors<F> {
    fn default() -> Self {
        Neighbors {
            by_address: BTreeMap::new(),
            sweep_at: None,
        }
    }
}

impl<F: Family> Neighbors<F> {
    /// A response came. `Ok(true)` for a new neighbour.
    pub(super) fn heard(
        &mut self,
        now: Instant,
        address: F::Addr,
        version: u8,
        timeout: Duration,
    ) -> Result<bool, Reject> {
        if let Some(neighbor) = self.by_address.get_mut(&address) {
            neighbor.last_seen = now;
            neighbor.version = version;
            neighbor.packets += 1;
            return Ok(false);
        }
        if self.by_address.len() >= MAX_NEIGHBORS {
            return Err(Reject::TooManyNeighbors);
        }
        let (packets, bad_packets, bad_routes) = (1, 0, 0);
        let neighbor = Neighbor {
            version,
            last_seen: now,
            packets,
            bad_packets,
            bad_routes,
        };
        self.by_address.insert(address, neighbor);
        self.sweep_at.get_or_insert(now + timeout);
        Ok(true)
    }

    /// Something of this address was refused; strangers are not noted here.
    pub(super) fn rejected(&mut self, address: F::Addr, scope: Scope) {
        let Some(neighbor) = self.by_address.get_mut(&address) else {
            return;
        };
        match scope {
            Scope::Packet => neighbor.bad_packets += 1,
            Scope::Entry => neighbor.bad_routes += 1,
        }
    }

    /// Takes out those that have been silent for `timeout`.
    pub(super) fn sweep(&mut self, now: Instant, timeout: Duration) -> Vec<F::Addr> {
        if self.sweep_at.is_none_or(|at| at > now) {
            return Vec::new();
        }
        let silent = |neighbor: &Neighbor| neighbor.last_seen + timeout <= now;
        let lost = self
            .by_address
            .extract_if(.., |_, neighbor| silent(neighbor));
        let lost = lost.map(|(address, _)| address).collect();
        self.rearm(timeout);
        lost
    }

    /// Works out anew when the first one may time out.
    pub(super) fn rearm(&mut self, timeout: Duration) {
        let first = self
            .by_address
            .values()
            .map(|neighbor| neighbor.last_seen)
            .min();
        self.sweep_at = first.map(|at| at + timeout);
    }

    pub(super) fn next_sweep(&self) -> Option<Instant> {
        self.sweep_at
    }

    pub(super) fn remove(&mut self, address: F::Addr) {
        self.by_address.remove(&address);
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (&F::Addr, &Neighbor)> {
        self.by_address.iter()
    }

    pub(super) fn clear_counters(&mut self) {
        for neighbor in self.by_address.values_mut() {
            (neighbor.packets, neighbor.bad_packets, neighbor.bad_routes) = (0, 0, 0);
        }
    }
}

/// Who asked how often in the present window.
#[derive(Clone, Debug)]
pub(super) struct RequestLimiter<F: Family> {
    window: Instant,
    asked: BTreeMap<F::Addr, u8>,
}

impl<F: Family> Default for RequestLimiter<F> {
    fn default() -> Self {
        RequestLimiter {
            window: Instant::ZERO,
            asked: BTreeMap::new(),
        }
    }
}

impl<F: Family> RequestLimiter<F> {
    /// Whether a request of this source is to be answered.
    pub(super) fn admit(&mut self, now: Instant, source: F::Addr) -> Result<(), Reject> {
        if now.since(self.window) >= REQUEST_WINDOW {
            self.window = now;
            self.asked.clear();
        }
        if self.asked.len() >= MAX_REQUESTERS && !self.asked.contains_key(&source) {
            return Err(Reject::RequestLimit);
        }
        let asked = self.asked.entry(source).or_insert(0);
        *asked = asked.saturating_add(1);
        if *asked > REQUESTS {
            Err(Reject::RequestLimit)
        } else {
            Ok(())
        }
    }
}
