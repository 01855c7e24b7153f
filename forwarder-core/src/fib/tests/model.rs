//! The BPF maps as a program sees them, and what may not be done to them: an
//! entry that a program may be reading is not changed, but for the next-hop
//! word, whose single store is the design.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use forwarder_common::abi::{
    self, Adjacency, GROUP_BUCKETS, KIND_COUNTED, NexthopKind, nexthop_slot,
};
use forwarder_common::reason::Reason;
use ipnet::Ipv4Net;

use super::super::nexthops::FIRST_ID;
use super::super::{Capacity, Decision};
use super::FibOp;

/// As the program reads it once it has counted.
fn nexthop_kind(word: u32) -> u32 {
    abi::nexthop_kind(word) & !KIND_COUNTED
}

/// When an entry could last be reached from `ROUTES4`, in operations.
type LastSeen = BTreeMap<u32, u64>;

pub(super) struct Maps {
    capacity: Capacity,
    routes: BTreeMap<Ipv4Net, u32>,
    nexthops: BTreeMap<u32, u32>,
    adjacencies: BTreeMap<u32, Adjacency>,
    groups: BTreeMap<u32, Box<[u32; GROUP_BUCKETS]>>,
    pub(super) own: BTreeSet<Ipv4Addr>,
    /// Ids that mean the same target as before: whoever still reads one may be
    /// told at any time where that is now.
    kept: BTreeSet<u32>,
    now: u64,
    ids_seen: LastSeen,
    slots_seen: LastSeen,
    groups_seen: LastSeen,
    /// The prefix that a counted id was last given to.
    owners: BTreeMap<u32, Ipv4Net>,
    /// Start of the grace period that is running, and of the last that ended:
    /// what was last reachable at or before the latter is read by nobody.
    grace_start: u64,
    quiet_until: u64,
}

impl Maps {
    pub(super) fn new(capacity: Capacity) -> Self {
        Maps {
            capacity,
            routes: BTreeMap::new(),
            nexthops: BTreeMap::new(),
            adjacencies: BTreeMap::new(),
            groups: BTreeMap::new(),
            groups_seen: LastSeen::new(),
            own: BTreeSet::new(),
            kept: BTreeSet::new(),
            now: 0,
            ids_seen: LastSeen::new(),
            slots_seen: LastSeen::new(),
            owners: BTreeMap::new(),
            grace_start: 0,
            quiet_until: 0,
        }
    }

    pub(super) fn grace_begins(&mut self) {
        self.grace_start = self.now;
        self.now += 1;
        self.see();
    }

    pub(super) fn grace_ends(&mut self) {
        self.quiet_until = self.grace_start;
    }

    pub(super) fn execute(&mut self, op: FibOp) {
        match op {
            FibOp::SetAdjacency { slot, adjacency } => self.set_adjacency(slot, adjacency),
            FibOp::SetGroup { slot, buckets, .. } => self.set_group(slot, buckets),
            FibOp::SetNexthop { id, word } => self.set_nexthop(id, word),
            FibOp::SetRoute { prefix, id } => {
                assert_eq!(prefix, prefix.trunc());
                assert!(
                    self.nexthops.contains_key(&id),
                    "{op:?}: id was never filled"
                );
                if self.is_counted(id) {
                    let owner = *self.owners.entry(id).or_insert(prefix);
                    assert_eq!(owner, prefix, "{op:?}: it is another's");
                }
                assert_ne!(
                    self.routes.insert(prefix, id),
                    Some(id),
                    "{op:?}: no change"
                );
            }
            FibOp::RemoveRoute { prefix } => {
                assert!(self.routes.remove(&prefix).is_some(), "{op:?}: not there");
            }
            FibOp::ClearCounter { id } => {
                assert!(self.is_counted(id));
                self.assert_quiet(self.ids_seen.get(&id), "counter", id);
                self.owners.remove(&id);
            }
            FibOp::AddOwn(address) => {
                assert!(self.own.insert(address), "{op:?}: no change");
                assert!(self.own.len() <= self.capacity.own as usize);
            }
            FibOp::RemoveOwn(address) => assert!(self.own.remove(&address), "{op:?}: not there"),
        }
        self.now += 1;
        self.see();
    }

    fn set_adjacency(&mut self, slot: u32, adjacency: Adjacency) {
        assert!(self.capacity.adjacencies.contains(&slot));
        self.assert_quiet(self.slots_seen.get(&slot), "adjacency", slot);
        self.adjacencies.insert(slot, adjacency);
    }

    fn set_group(&mut self, slot: u32, buckets: Box<[u32; GROUP_BUCKETS]>) {
        assert!(self.capacity.groups.contains(&slot));
        self.assert_quiet(self.groups_seen.get(&slot), "group", slot);
        self.groups.insert(slot, buckets);
    }

    /// Ids that a program can reach by the routes, groups included.
    fn reachable(&self) -> BTreeSet<u32> {
        let mut ids: BTreeSet<u32> = self.routes.values().copied().collect();
        for id in ids.clone() {
            if let Some(slot) = group_slot(self.nexthops[&id]) {
                ids.extend(self.groups[&slot].iter());
            }
        }
        ids
    }

    fn set_nexthop(&mut self, id: u32, word: u32) {
        let counted = self.is_counted(id);
        assert!(id < FIRST_ID || self.capacity.nexthops.contains(&id) || counted);
        assert_eq!(abi::nexthop_kind(word) & KIND_COUNTED != 0, counted);
        if nexthop_kind(word) == NexthopKind::Adjacency as u32 {
            let slot = nexthop_slot(word);
            assert!(
                self.adjacencies.contains_key(&slot),
                "slot {slot} was never filled"
            );
        }
        if let Some(slot) = group_slot(word) {
            let members = &self.groups[&slot];
            assert!(members.iter().all(|id| self.nexthops.contains_key(id)));
        }
        if self.reachable().contains(&id) {
            assert_ne!(self.nexthops.get(&id), Some(&word), "id {id}: no change");
        } else if !counted && !self.kept.contains(&id) {
            self.assert_quiet(self.ids_seen.get(&id), "next hop", id);
        }
        self.nexthops.insert(id, word);
    }

    /// An id that is one prefix's own from its `ClearCounter` on. A late reader
    /// that meets the word of its next route goes where it then should.
    pub(super) fn is_counted(&self, id: u32) -> bool {
        self.capacity.counted.contains(&id)
    }

    /// Ids that mean the same before and after the writes that follow.
    pub(super) fn keep(&mut self, ids: BTreeSet<u32>) {
        self.kept = ids;
    }

    fn assert_quiet(&self, seen: Option<&u64>, what: &str, number: u32) {
        let quiet = seen.is_none_or(|&seen| seen <= self.quiet_until);
        assert!(
            quiet,
            "{what} {number} was changed while a program may be reading it"
        );
    }

    /// Notes what a program that starts now can reach.
    fn see(&mut self) {
        for id in self.reachable() {
            self.ids_seen.insert(id, self.now);
            if let Some(slot) = group_slot(self.nexthops[&id]) {
                self.groups_seen.insert(slot, self.now);
            }
            if let Some(slot) = adjacency_slot(self.nexthops[&id]) {
                self.slots_seen.insert(slot, self.now);
            }
        }
        // One that has just looked an id up may read its word and slot later.
        for (id, &word) in &self.nexthops {
            let reading = self
                .ids_seen
                .get(id)
                .is_some_and(|&seen| seen > self.quiet_until);
            if let Some(slot) = group_slot(word).filter(|_| reading) {
                let seen = self.ids_seen[id];
                let group_seen = self.groups_seen.entry(slot).or_default();
                *group_seen = seen.max(*group_seen);
            }
            if let Some(slot) = adjacency_slot(word).filter(|_| reading) {
                let seen = self.ids_seen[id];
                let slot_seen = self.slots_seen.entry(slot).or_default();
                *slot_seen = seen.max(*slot_seen);
            }
        }
    }

    /// What the members of a group lead to.
    pub(super) fn members(&self, slot: u32) -> Vec<Decision> {
        let ids: BTreeSet<u32> = self.groups[&slot].iter().copied().collect();
        ids.into_iter().map(|id| self.act(id)).collect()
    }

    /// The program's lookup.
    pub(super) fn decide(&self, address: Ipv4Addr) -> Option<Decision> {
        let matches = self
            .routes
            .iter()
            .filter(|(prefix, _)| prefix.contains(&address));
        let (_, id) = matches.max_by_key(|(prefix, _)| prefix.prefix_len())?;
        Some(self.act(*id))
    }

    fn act(&self, id: u32) -> Decision {
        let word = self.nexthops[&id];
        let slot = nexthop_slot(word);
        match nexthop_kind(word) {
            1 => Decision::Forward {
                slot,
                adjacency: self.adjacencies[&slot],
            },
            2 => Decision::Up(Reason::from_u32(slot).unwrap()),
            3 => Decision::Drop(Reason::from_u32(slot).unwrap()),
            4 => Decision::Resolve { port: slot },
            5 => Decision::Balance { slot },
            kind => panic!("next hop {id} has a word of kind {kind}"),
        }
    }

    /// Prefixes held, for comparison with the FIB's own listing.
    pub(super) fn routes(&self) -> impl Iterator<Item = (Ipv4Net, u32)> + '_ {
        self.routes.iter().map(|(&prefix, &id)| (prefix, id))
    }
}

fn group_slot(word: u32) -> Option<u32> {
    (nexthop_kind(word) == NexthopKind::Group as u32).then(|| nexthop_slot(word))
}

fn adjacency_slot(word: u32) -> Option<u32> {
    (nexthop_kind(word) == NexthopKind::Adjacency as u32).then(|| nexthop_slot(word))
}
