//! The routers heard on an interface, and who may ask how often.

use std::collections::BTreeMap;
use std::time::Duration;

use super::auth::Proof;
use super::reject::{Reject, Scope};
use crate::net::Family;
use crate::time::Instant;

/// Requests answered to one source in [`REQUEST_WINDOW`]: enough for a router
/// that restarts, too few to make us anybody's amplifier.
const REQUESTS: u8 = 4;
const REQUEST_WINDOW: Duration = Duration::from_secs(1);
/// Sources whose requests are answered within one window.
const MAX_REQUESTERS: usize = 64;

/// Routers kept that have sent nothing but what cannot be believed: shown to
/// whoever looks for them.
const MAX_STRANGERS: usize = 32;

/// A router that sent us a response.
#[derive(Clone, Debug)]
pub(super) struct Neighbor {
    pub(super) version: u8,
    pub(super) last_seen: Instant,
    pub(super) packets: u64,
    pub(super) bad_packets: u64,
    pub(super) bad_routes: u64,
    /// What was refused, by reason.
    pub(super) refused: BTreeMap<Reject, u64>,
    /// How its last response was authenticated.
    pub(super) proof: Option<Proof>,
    /// Nothing of it was ever believed.
    pub(super) stranger: bool,
}

impl Neighbor {
    fn new(now: Instant, version: u8) -> Self {
        Neighbor {
            version,
            last_seen: now,
            packets: 0,
            bad_packets: 0,
            bad_routes: 0,
            refused: BTreeMap::new(),
            proof: None,
            stranger: true,
        }
    }
}

/// A response that is to be believed.
#[derive(Clone, Copy)]
pub(super) struct Heard {
    pub(super) at: Instant,
    pub(super) version: u8,
    pub(super) proof: Option<Proof>,
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
    /// A response came that is to be believed, from one of at most `max`.
    /// `Ok(true)` for a new neighbour.
    pub(super) fn heard(
        &mut self,
        address: F::Addr,
        heard: Heard,
        max: usize,
        timeout: Duration,
    ) -> Result<bool, Reject> {
        if !self.by_address.contains_key(&address) && !self.make_room(max) {
            return Err(Reject::TooManyNeighbors);
        }
        let neighbor = self.meet(heard.at, address, heard.version, timeout);
        neighbor.last_seen = heard.at;
        neighbor.version = heard.version;
        neighbor.packets += 1;
        neighbor.proof = heard.proof;
        Ok(std::mem::take(&mut neighbor.stranger))
    }

    /// A response came that cannot be believed. Whoever can send on the link can
    /// make up many: they are few here, and go first.
    pub(super) fn suspected(
        &mut self,
        now: Instant,
        address: F::Addr,
        version: u8,
        max: usize,
        timeout: Duration,
    ) {
        let strangers = self.by_address.values().filter(|n| n.stranger).count();
        let room = strangers < MAX_STRANGERS && self.by_address.len() < max;
        if room || self.by_address.contains_key(&address) {
            self.meet(now, address, version, timeout);
        }
    }

    fn meet(
        &mut self,
        now: Instant,
        address: F::Addr,
        version: u8,
        timeout: Duration,
    ) -> &mut Neighbor {
        self.sweep_at.get_or_insert(now + timeout);
        let new = || Neighbor::new(now, version);
        self.by_address.entry(address).or_insert_with(new)
    }

    /// Whether there is room for one more, at a stranger's cost if need be.
    fn make_room(&mut self, max: usize) -> bool {
        if self.by_address.len() < max {
            return true;
        }
        let mut strangers = self.by_address.iter().filter(|(_, n)| n.stranger);
        let Some(address) = strangers.next().map(|(address, _)| *address) else {
            return false;
        };
        self.by_address.remove(&address).is_some()
    }

    /// Something of this address was refused; who is unknown is not noted here.
    pub(super) fn rejected(&mut self, address: F::Addr, reject: Reject) {
        let Some(neighbor) = self.by_address.get_mut(&address) else {
            return;
        };
        *neighbor.refused.entry(reject).or_default() += 1;
        match reject.scope() {
            Scope::Packet => neighbor.bad_packets += 1,
            Scope::Entry => neighbor.bad_routes += 1,
        }
    }

    /// Takes out those that have been silent for `timeout`,
    /// and names those that were neighbours.
    pub(super) fn sweep(&mut self, now: Instant, timeout: Duration) -> Vec<F::Addr> {
        if self.sweep_at.is_none_or(|at| at > now) {
            return Vec::new();
        }
        let silent = |neighbor: &Neighbor| neighbor.last_seen + timeout <= now;
        let lost = self
            .by_address
            .extract_if(.., |_, neighbor| silent(neighbor));
        let known = lost.filter(|(_, neighbor)| !neighbor.stranger);
        let lost = known.map(|(address, _)| address).collect();
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
            neighbor.refused.clear();
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
