//! What the FIB says: single lookups, and listings in a stable order.
//!
//! [`Fib::lookup`] is the program's lookup done in userspace, for `show routes
//! ADDR` and as the tests' oracle; [`Fib::initial`] is the whole state as
//! writes to empty maps.

use forwarder_common::abi::{Adjacency, NexthopKind, nexthop_kind, nexthop_slot};
use forwarder_common::reason::{Reason, Verdict};

use super::links::reason_word;
use super::nexthops::TargetRef;
use super::{Fib, FibFamily, FibOp, NexthopInfo, Target, target};
use crate::net::Ifindex;

/// What the program does with a packet, as far as its destination decides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// Rewritten by the adjacency and sent.
    Forward {
        /// Its slot.
        slot: u32,
        /// Its content; `used` is the program's and 0 here.
        adjacency: Adjacency,
    },
    /// Handed to the kernel.
    Up(Reason),
    /// Dropped.
    Drop(Reason),
    /// Sent by one of several ways, which the flow decides.
    Balance {
        /// Slot of the group.
        slot: u32,
    },
    /// Handed to the kernel as unresolved, with an event to the daemon.
    Resolve {
        /// Number of the egress port.
        port: u32,
    },
}

/// Where an entry of the table comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// No route overrides it: loopback, multicast, and the like.
    Fixed,
    /// A selected route.
    Route,
    /// A neighbour on a connected subnet.
    Neighbour,
}

/// One prefix as `ROUTES4` holds it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FibEntry<F: FibFamily> {
    /// Key.
    pub prefix: F::Prefix,
    /// Value: the next-hop id.
    pub id: u32,
    /// Where it is meant to lead.
    pub target: Target<F>,
    /// Where it comes from.
    pub origin: Origin,
    /// What it does now.
    pub decision: Decision,
}

/// An adjacency in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AdjacencyInfo<F: FibFamily> {
    /// Index in `ADJACENCY`.
    pub slot: u32,
    /// Egress interface.
    pub ifindex: Ifindex,
    /// The neighbour it leads to.
    pub neighbour: F::Addr,
    /// Content; `used` is the program's and 0 here.
    pub adjacency: Adjacency,
}

/// Sizes, for `show status` and the metrics.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FibStats {
    /// Prefixes in the map: fixed entries, routes and host routes.
    pub prefixes: usize,
    /// Those of them that are host routes to neighbours.
    pub host_routes: usize,
    /// Usable neighbours known, with host route or not.
    pub neighbours: usize,
    /// Ports known.
    pub ports: usize,
    /// Next-hop ids in use, those of the reasons not counted.
    pub nexthops: u32,
    /// Adjacency slots in use.
    pub adjacencies: u32,
    /// Group slots in use.
    pub groups: u32,
    /// Own addresses in the map.
    pub own: usize,
    /// Ids and slots freed and not yet taken for release.
    pub freed: usize,
    /// Gateways to be resolved.
    pub unresolved: usize,
    /// Prefixes, and ways of groups, that go up because the next-hop table is full.
    pub without_nexthop: usize,
    /// Next hops that go up because the adjacency table is full.
    pub without_adjacency: usize,
    /// Groups that go up because their table is full.
    pub without_group: usize,
    /// Own addresses that the map has no room for.
    pub without_own: usize,
    /// Routes that should be counted by themselves and are not: there are not
    /// so many counters.
    pub without_counter: usize,
}

impl FibStats {
    /// How many entries of all kinds found no room, and have their packets go up.
    pub fn without_room(&self) -> usize {
        self.without_nexthop + self.without_adjacency + self.without_group + self.without_own
    }
}

impl<F: FibFamily> Fib<F> {
    /// The longest match of an address; `None` is the program's `no-route`.
    pub fn lookup(&self, address: F::Addr) -> Option<FibEntry<F>> {
        if let Some(&host) = self.hosts.get(&address) {
            return Some(self.entry(F::host(address), host, Origin::Neighbour));
        }
        let (prefix, &reference) = self.routes.get_lpm(&F::host(address))?;
        Some(self.route_entry(prefix, reference))
    }

    /// The entry of exactly this prefix, as a route made it.
    pub fn exact(&self, prefix: F::Prefix) -> Option<FibEntry<F>> {
        let &reference = self.routes.get(&prefix)?;
        Some(self.route_entry(prefix, reference))
    }

    fn route_entry(&self, prefix: F::Prefix, reference: TargetRef) -> FibEntry<F> {
        let fixed = target::is_fixed::<F>(prefix);
        self.entry(
            prefix,
            reference,
            if fixed { Origin::Fixed } else { Origin::Route },
        )
    }

    fn entry(&self, prefix: F::Prefix, reference: TargetRef, origin: Origin) -> FibEntry<F> {
        FibEntry {
            prefix,
            id: self.nexthops.id_for(reference, &prefix),
            target: self.nexthops.target(reference),
            origin,
            decision: self.decision(self.nexthops.word(reference)),
        }
    }

    /// What a next-hop word says, as the program reads it.
    pub fn decision(&self, word: u32) -> Decision {
        const ADJACENCY: u32 = NexthopKind::Adjacency as u32;
        const UP: u32 = NexthopKind::Up as u32;
        const DROP: u32 = NexthopKind::Drop as u32;
        const RESOLVE: u32 = NexthopKind::Resolve as u32;
        const GROUP: u32 = NexthopKind::Group as u32;
        let slot = nexthop_slot(word);
        let reason = Reason::from_u32(slot).unwrap_or(Reason::Unresolved);
        match nexthop_kind(word) {
            ADJACENCY => match self.nexthops.adjacencies.get(slot) {
                Some(rewrite) => Decision::Forward {
                    slot,
                    adjacency: rewrite.adjacency(),
                },
                None => Decision::Up(Reason::Unresolved),
            },
            UP => Decision::Up(reason),
            DROP => Decision::Drop(reason),
            RESOLVE => Decision::Resolve { port: slot },
            GROUP => Decision::Balance { slot },
            _ => Decision::Up(Reason::Unresolved),
        }
    }

    /// The ways that a group shares its flows among.
    pub fn ways(&self, target: &Target<F>) -> Vec<(Target<F>, Decision)> {
        let members = self.nexthops.members(target);
        members
            .map(|member| {
                let word = self.nexthops.word(member);
                (self.nexthops.target(member), self.decision(word))
            })
            .collect()
    }

    /// The routes from one prefix on, in address order, shorter before longer;
    /// without it all. Neither fixed entries nor those of neighbours.
    pub fn routes_after(&self, after: Option<F::Prefix>) -> impl Iterator<Item = FibEntry<F>> + '_ {
        let rows = match after {
            Some(after) => self.routes.iter_from(&after, false),
            None => self.routes.iter(),
        };
        rows.map(|(prefix, &reference)| self.route_entry(prefix, reference))
            .filter(|entry| entry.origin == Origin::Route)
    }

    /// Whether a prefix is routed as table local says, above table main.
    pub fn is_local(&self, prefix: F::Prefix) -> bool {
        self.local.contains(&prefix)
    }

    /// Every prefix in the map, in address order, shorter before longer.
    pub fn entries(&self) -> impl Iterator<Item = FibEntry<F>> + '_ {
        let mut routes = self
            .routes
            .iter()
            .map(|(p, &r)| self.route_entry(p, r))
            .peekable();
        let mut hosts = self
            .hosts
            .iter()
            .map(|(&address, &r)| self.entry(F::host(address), r, Origin::Neighbour))
            .peekable();
        std::iter::from_fn(move || match (routes.peek(), hosts.peek()) {
            (Some(route), Some(host)) if host.prefix < route.prefix => hosts.next(),
            (Some(_), _) => routes.next(),
            (None, _) => hosts.next(),
        })
    }

    /// Every target in use, fixed ones first, then by interface and gateway.
    pub fn nexthops(&self) -> impl Iterator<Item = NexthopInfo<F>> + '_ {
        self.nexthops.iter()
    }

    /// Every adjacency in use, by slot.
    pub fn adjacencies(&self) -> impl Iterator<Item = AdjacencyInfo<F>> + '_ {
        self.nexthops
            .adjacencies
            .iter()
            .map(|(slot, rewrite)| AdjacencyInfo {
                slot,
                ifindex: rewrite.ifindex,
                neighbour: rewrite.neighbour,
                adjacency: rewrite.adjacency(),
            })
    }

    /// The prefixes that are counted each by itself, with their ids, whether
    /// there is a route now or not; `None` while there is no id to spare.
    pub fn counted(&self) -> impl Iterator<Item = (F::Prefix, Option<u32>)> + '_ {
        self.nexthops.counted.iter()
    }

    /// The neighbour that a slot in use leads to.
    pub fn adjacency_of(&self, slot: u32) -> Option<(Ifindex, F::Addr)> {
        let rewrite = self.nexthops.adjacencies.get(slot)?;
        Some((rewrite.ifindex, rewrite.neighbour))
    }

    /// Everything the maps hold now, as writes to empty ones: for a new FIB
    /// the reasons' words and the fixed entries, later what a new generation
    /// of maps is filled with.
    pub fn initial(&self, out: &mut Vec<FibOp<F>>) {
        for &reason in Reason::ALL {
            if matches!(reason.verdict(), Verdict::Up | Verdict::Dropped) {
                out.push(FibOp::SetNexthop {
                    id: reason as u32,
                    word: reason_word(reason),
                });
            }
        }
        out.extend(self.adjacencies().map(
            |AdjacencyInfo {
                 slot, adjacency, ..
             }| { FibOp::SetAdjacency { slot, adjacency } },
        ));
        out.extend(self.nexthops.groups());
        out.extend(self.nexthops().filter_map(|info| {
            let id = info
                .id
                .filter(|_| !matches!(info.target, Target::Fixed(_)))?;
            Some(FibOp::SetNexthop {
                id,
                word: info.word,
            })
        }));
        out.extend(self.nexthops.counted.initial());
        out.extend(
            self.entries()
                .map(|FibEntry { prefix, id, .. }| FibOp::SetRoute { prefix, id }),
        );
        out.extend(
            self.own
                .programmed
                .iter()
                .map(|&address| FibOp::AddOwn(address)),
        );
    }

    /// Sizes. Walks the unresolved gateways and what waits for room, no more.
    pub fn stats(&self) -> FibStats {
        let ids = self.nexthops.ids();
        let slots = &self.nexthops.adjacencies.pool;
        let (without_group, without_adjacency) = self.nexthops.starved();
        FibStats {
            prefixes: self.routes.len() + self.hosts.len(),
            host_routes: self.hosts.len(),
            neighbours: self.links.neighbours(),
            ports: self.links.ports(),
            nexthops: ids.in_use(),
            adjacencies: slots.in_use(),
            own: self.own.programmed.len(),
            groups: self.nexthops.groups_in_use(),
            freed: self.nexthops.resting(),
            unresolved: self.gateways_to_resolve().count(),
            without_nexthop: self.nexthops.waiting(),
            without_adjacency,
            without_group,
            without_own: self.own.waiting.len(),
            without_counter: self.nexthops.counted.waiting(),
        }
    }
}
