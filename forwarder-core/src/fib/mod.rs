//! The FIB compiler: from selected routes, neighbours and ports to the writes
//! that keep the BPF maps in line with them.
//!
//! [`Fib`] is owned by the dataplane task, which feeds it every change and
//! carries out the [`FibOp`]s it answers, in their order. It holds what the
//! maps hold, so that an event costs the writes it needs and no others, and it
//! does no input or output: the maps are the task's.
//!
//! Three tables, as in every router with prefix-independent convergence:
//!
//! ```text
//! prefix ──▶ next-hop id ──▶ NEXTHOP[id], one word ──▶ ADJACENCY[slot]
//!  routes, hosts   nexthops: one id per target           adjacencies
//! ```
//!
//! A neighbour's new link address fills a free slot and stores one word,
//! however many prefixes go that way. What an XDP program may be reading is
//! never changed under it but for that word: ids and slots are reused only
//! after the caller has waited for a grace period ([`Fib::take_freed`]).
//!
//! The lookup agrees with the kernel's (`net/ipv4/fib_trie.c`): without policy
//! rules the tables local and main are one trie there, in which the entry of
//! local comes first where both have the same prefix. Whatever the fast path
//! cannot do as the kernel would, goes up. A table that is full makes a prefix
//! go up too; no route is ever missing for want of room, since a shorter one
//! would then take its packets.
//!
//! * `target`: what a route asks for; the entries that no route overrides
//! * `links`: ports and neighbours, and how a target is reached with them
//! * `nexthops`, `adjacencies`, `pool`: ids, slots, words, their reuse;
//!   `groups`: who gets which buckets of several next hops; `counted`: the
//!   ids of routes that are counted each by itself
//! * `own`: our own addresses
//! * [`trie`]: the route table of the engine `multibit`, written in place
//! * `show`: lookups and listings for people and tests

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use forwarder_common::abi::{Adjacency, GROUP_BUCKETS, GROUP_LINKS};
use prefix_trie::PrefixMap;

use crate::net::{Ifindex, TableId};
use crate::route::{Route, RouteType};

mod adjacencies;
mod counted;
mod groups;
mod links;
mod nexthops;
mod own;
mod pool;
mod show;
mod target;
#[cfg(test)]
mod tests;
pub mod trie;

use links::Links;
use nexthops::{Nexthops, TargetRef};
use own::Own;

pub use groups::{Member, Members};
pub use links::PortState;
pub use nexthops::NexthopInfo;
pub use pool::Freed;
pub use show::{AdjacencyInfo, Decision, FibEntry, FibStats, Origin};
pub use target::{FibFamily, Target};

/// One write to the BPF maps. Carried out in the order given, no reader of the
/// maps ever meets an entry that refers to one not yet written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FibOp<F: FibFamily> {
    /// Fill `ADJACENCY[slot]`, which nothing refers to yet.
    SetAdjacency {
        /// Index.
        slot: u32,
        /// Content; `used` is 0.
        adjacency: Adjacency,
    },
    /// Fill `GROUP[slot]` and `GROUP_LINKS[slot]`, which nothing refers to yet.
    SetGroup {
        /// Index.
        slot: u32,
        /// Next-hop ids.
        buckets: Box<[u32; GROUP_BUCKETS]>,
        /// The interfaces that they leave by, 0 after the last.
        links: [u32; GROUP_LINKS],
    },
    /// Store `NEXTHOP[id]`.
    SetNexthop {
        /// Index.
        id: u32,
        /// [`abi::nexthop_word`].
        word: u32,
    },
    /// Insert or replace a prefix in `ROUTES4`.
    SetRoute {
        /// Host bits are zero.
        prefix: F::Prefix,
        /// Next-hop id.
        id: u32,
    },
    /// Delete a prefix from `ROUTES4`.
    RemoveRoute {
        /// A prefix that was set before.
        prefix: F::Prefix,
    },
    /// Zero `ROUTE_COUNTERS` of an id, which nothing refers to yet.
    ClearCounter {
        /// The counted id.
        id: u32,
    },
    /// Put an address into `OWN4` and the filter.
    AddOwn(F::Addr),
    /// Take an address out of `OWN4`; the filter is rebuilt from the rest.
    RemoveOwn(F::Addr),
}

/// Which entries of the maps are a FIB's: those of the two families share them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Capacity {
    /// Ids in `NEXTHOP`, above the reasons' own.
    pub nexthops: Range<u32>,
    /// Ids of routes that are counted by themselves.
    pub counted: Range<u32>,
    /// Slots of `ADJACENCY`.
    pub adjacencies: Range<u32>,
    /// Slots of `GROUP`.
    pub groups: Range<u32>,
    /// Entries of `OWN4` or `OWN6`.
    pub own: u32,
}

/// The forwarding information base, and what of it the maps hold.
pub struct Fib<F: FibFamily> {
    /// The fixed entries and every selected route outside them. Four bytes of
    /// value: a full table has a million.
    routes: PrefixMap<F::Prefix, TargetRef>,
    /// Prefixes whose entry in `routes` is from table local.
    local: BTreeSet<F::Prefix>,
    /// Routes of table main behind one of table local with the same prefix.
    shadowed: BTreeMap<F::Prefix, Target<F>>,
    /// Host routes to neighbours on connected subnets.
    hosts: BTreeMap<F::Addr, TargetRef>,
    links: Links<F>,
    nexthops: Nexthops<F>,
    own: Own<F>,
}

impl<F: FibFamily> Default for Fib<F> {
    fn default() -> Self {
        Self::with_capacity(&F::CAPACITY)
    }
}

impl<F: FibFamily> Fib<F> {
    /// A FIB for maps of the sizes in [`abi`]. [`Fib::initial`] says what the
    /// maps start with.
    pub fn new() -> Self {
        Self::default()
    }

    /// A FIB for maps of other sizes.
    pub fn with_capacity(capacity: &Capacity) -> Self {
        let mut fib = Fib {
            routes: PrefixMap::new(),
            local: BTreeSet::new(),
            shadowed: BTreeMap::new(),
            hosts: BTreeMap::new(),
            links: Links::new(),
            nexthops: Nexthops::new(capacity),
            own: Own::new(capacity.own),
        };
        for &(prefix, reason) in F::FIXED {
            let target = Target::Fixed(reason);
            let reference = fib
                .nexthops
                .acquire(target, None, &fib.links, &mut Vec::new());
            fib.routes.insert(prefix, reference);
        }
        fib
    }

    /// The route selected for a prefix in a table; `None` when there is none
    /// any more. Tables other than local and main are not looked at: without
    /// policy rules nothing is routed by them.
    pub fn set_route(
        &mut self,
        table: TableId,
        prefix: F::Prefix,
        route: Option<&Route<F>>,
        out: &mut Vec<FibOp<F>>,
    ) {
        let prefix = F::prefix(F::network(&prefix), F::len(&prefix)).unwrap_or(prefix);
        if table == TableId::LOCAL {
            self.set_own(prefix, route, out);
        }
        if target::is_fixed::<F>(prefix) {
            return;
        }
        let target = route.map(|route| Target::of(prefix, route));
        match table {
            TableId::LOCAL => self.set_local(prefix, target, out),
            TableId::MAIN => self.set_main(prefix, target, out),
            _ => {}
        }
    }

    fn set_own(&mut self, prefix: F::Prefix, route: Option<&Route<F>>, out: &mut Vec<FibOp<F>>) {
        if F::len(&prefix) == F::BITS {
            let ours = route.is_some_and(|route| route.kind == RouteType::Local);
            self.own.set(F::network(&prefix), ours, out);
        }
    }

    fn set_local(&mut self, prefix: F::Prefix, target: Option<Target<F>>, out: &mut Vec<FibOp<F>>) {
        if target.is_some() {
            if self.local.insert(prefix)
                && let Some(&main) = self.routes.get(&prefix)
            {
                self.shadowed.insert(prefix, self.nexthops.target(main));
            }
            self.select(prefix, target, out);
        } else if self.local.remove(&prefix) {
            let main = self.shadowed.remove(&prefix);
            self.select(prefix, main, out);
        }
    }

    fn set_main(&mut self, prefix: F::Prefix, target: Option<Target<F>>, out: &mut Vec<FibOp<F>>) {
        if !self.local.contains(&prefix) {
            self.select(prefix, target, out);
        } else if let Some(target) = target {
            self.shadowed.insert(prefix, target);
        } else {
            self.shadowed.remove(&prefix);
        }
    }

    /// Routes a prefix by a target, the neighbours under it included.
    fn select(&mut self, prefix: F::Prefix, target: Option<Target<F>>, out: &mut Vec<FibOp<F>>) {
        let old = self.routes.get(&prefix).copied();
        if old.map(|old| self.nexthops.target(old)) == target {
            return;
        }
        let moves_hosts = self.moves_hosts(prefix, old, target.as_ref());
        let new = target.map(|target| self.nexthops.acquire(target, old, &self.links, out));
        match new {
            Some(new) => self.routes.insert(prefix, new),
            None => self.routes.remove(&prefix),
        };
        if F::len(&prefix) == F::BITS {
            self.select_host(prefix, old, new, out);
        } else {
            self.program(prefix, old, new, out);
        }
        if moves_hosts {
            self.refresh_hosts(prefix, out);
        }
    }

    /// A route to a single host takes the place of the neighbour's host route,
    /// and leaves it to the neighbour when it goes: one write either way.
    fn select_host(
        &mut self,
        prefix: F::Prefix,
        old: Option<TargetRef>,
        new: Option<TargetRef>,
        out: &mut Vec<FibOp<F>>,
    ) {
        match new {
            Some(_) => {
                let host = self.hosts.remove(&F::network(&prefix));
                self.program(prefix, old.or(host), new, out);
            }
            None => self.refresh_host(F::network(&prefix), old, out),
        }
    }

    /// Whether the change of a prefix's target can concern neighbours under
    /// it: only if one of the two, or what shows through in its absence, is a
    /// connected subnet. Most changes of a big table end here.
    fn moves_hosts(
        &self,
        prefix: F::Prefix,
        old: Option<TargetRef>,
        new: Option<&Target<F>>,
    ) -> bool {
        if F::len(&prefix) == F::BITS || self.links.addresses_in(prefix).next().is_none() {
            return false;
        }
        let wider = F::len(&prefix).checked_sub(1);
        let behind = wider
            .and_then(|len| F::prefix(F::network(&prefix), len))
            .and_then(|wider| self.routes.get_lpm(&wider));
        let behind = behind.map(|(_, &reference)| self.nexthops.target(reference));
        let old = old.map(|old| self.nexthops.target(old));
        [old.as_ref().or(behind.as_ref()), new.or(behind.as_ref())]
            .iter()
            .any(|target| matches!(target, Some(Target::Glean { .. })))
    }

    fn refresh_hosts(&mut self, prefix: F::Prefix, out: &mut Vec<FibOp<F>>) {
        let addresses: Vec<_> = self.links.addresses_in(prefix).collect();
        for address in addresses {
            self.refresh_host(address, None, out);
        }
    }

    /// Makes, changes or withdraws the host route to a neighbour. `leaving` is
    /// the route of the same prefix that it replaces.
    fn refresh_host(
        &mut self,
        address: F::Addr,
        leaving: Option<TargetRef>,
        out: &mut Vec<FibOp<F>>,
    ) {
        let target = self.host_target(address);
        let new = target.map(|target| self.nexthops.acquire(target, None, &self.links, out));
        let old = match new {
            Some(new) => self.hosts.insert(address, new),
            None => self.hosts.remove(&address),
        };
        self.program(F::host(address), leaving.or(old), new, out);
    }

    /// How a host is reached that is a usable neighbour on the connected subnet
    /// its longest match says it is in.
    fn host_target(&self, address: F::Addr) -> Option<Target<F>> {
        let (_, &reference) = self.routes.get_lpm(&F::host(address))?;
        match self.nexthops.target(reference) {
            Target::Glean { ifindex, mtu } if self.links.knows(ifindex, address) => {
                Some(Target::Via {
                    ifindex,
                    gateway: address,
                    mtu,
                })
            }
            _ => None,
        }
    }

    /// Changes a prefix in the map from one target to another, of which it
    /// takes over the references.
    fn program(
        &mut self,
        prefix: F::Prefix,
        old: Option<TargetRef>,
        new: Option<TargetRef>,
        out: &mut Vec<FibOp<F>>,
    ) {
        let old_id = old.map(|old| self.nexthops.id_for(old, &prefix));
        if let Some(old) = old {
            self.nexthops.leave(old, prefix);
        }
        let new_id = new.map(|new| self.nexthops.enter(new, prefix, out));
        match new_id {
            Some(id) if old_id != new_id => out.push(FibOp::SetRoute { prefix, id }),
            None if old_id.is_some() => out.push(FibOp::RemoveRoute { prefix }),
            _ => {}
        }
        if let Some(old) = old {
            self.nexthops.release_target(old);
        }
    }

    /// Which routes are counted each by itself, by their exact prefixes, from
    /// now on. A route of another prefix that packets match goes uncounted:
    /// those to the known hosts of a connected network match the host's own.
    pub fn set_counted(&mut self, wanted: &BTreeSet<F::Prefix>, out: &mut Vec<FibOp<F>>) {
        let all = self.nexthops.counted.iter();
        let unwanted: Vec<_> = all
            .map(|(prefix, _)| prefix)
            .filter(|prefix| !wanted.contains(prefix))
            .collect();
        for prefix in unwanted {
            self.uncount(prefix, out);
        }
        for &prefix in wanted {
            if !self.nexthops.counted.wants(&prefix) {
                self.count(prefix, out);
            }
        }
    }

    /// The target that a prefix is programmed with.
    fn programmed(&self, prefix: F::Prefix) -> Option<TargetRef> {
        let host = || self.hosts.get(&F::network(&prefix));
        let host = || host().filter(|_| F::len(&prefix) == F::BITS);
        self.routes.get(&prefix).or_else(host).copied()
    }

    fn count(&mut self, prefix: F::Prefix, out: &mut Vec<FibOp<F>>) {
        if self.nexthops.counted.add(prefix, out).is_none() {
            return;
        }
        if let Some(target) = self.programmed(prefix) {
            let id = self.nexthops.enter(target, prefix, out);
            out.push(FibOp::SetRoute { prefix, id });
        }
    }

    fn uncount(&mut self, prefix: F::Prefix, out: &mut Vec<FibOp<F>>) {
        let had_own = self.nexthops.counted.id(&prefix).is_some();
        let target = self.programmed(prefix).filter(|_| had_own);
        if let Some(target) = target {
            self.nexthops.counted.leave(&prefix, target);
            let id = self.nexthops.id(target);
            out.push(FibOp::SetRoute { prefix, id });
        }
        self.nexthops.counted.remove(&prefix);
    }

    /// A neighbour's link address, where it is usable (reachable, stale,
    /// delayed, probed, permanent); `None` where it is not or is gone.
    pub fn set_neighbour(
        &mut self,
        ifindex: Ifindex,
        address: F::Addr,
        mac: Option<[u8; 6]>,
        out: &mut Vec<FibOp<F>>,
    ) {
        let before = self.links.set_neighbour(ifindex, address, mac);
        if before == mac {
            return;
        }
        // Its own host route first: what it alone used needs no new word.
        if before.is_some() != mac.is_some() {
            self.refresh_host(address, None, out);
        }
        self.nexthops
            .neighbour_changed(ifindex, address, &self.links, out);
    }

    /// A port's state; `None` for an interface that is no port of ours (any
    /// more). The number of a port that went away may be given to another only
    /// after a grace period: adjacencies with it may still be read.
    pub fn set_port(&mut self, ifindex: Ifindex, port: Option<PortState>, out: &mut Vec<FibOp<F>>) {
        if self.links.set_port(ifindex, port) != port {
            self.nexthops.port_changed(ifindex, &self.links, out);
        }
    }

    /// Gateways of routes, on ports that can transmit, whose link address is
    /// not known: for the kernel to resolve ahead of the traffic.
    pub fn gateways_to_resolve(&self) -> impl Iterator<Item = (Ifindex, F::Addr)> + '_ {
        self.nexthops.unresolved()
    }

    /// Whether [`Fib::take_freed`] has something to give.
    pub fn has_freed(&self) -> bool {
        self.nexthops.has_freed()
    }

    /// Ids and slots that nothing refers to any more, once the operations that
    /// made it so have been carried out. The caller waits until every XDP
    /// program that then ran has ended, and hands them to [`Fib::release`].
    pub fn take_freed(&mut self) -> Freed {
        self.nexthops.take_freed()
    }

    /// Takes freed ids and slots back for reuse after the grace period; routes
    /// that lacked one are served.
    pub fn release(&mut self, freed: Freed, out: &mut Vec<FibOp<F>>) {
        self.nexthops.release(freed, &self.links, out);
        while let Some(prefix) = self.nexthops.counted.next_waiting() {
            self.count(prefix, out);
        }
    }
}
