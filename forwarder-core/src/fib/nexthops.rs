//! The targets in use, their next-hop ids and the word behind each id.
//!
//! A target is interned: one id and one word, however many prefixes use it, so
//! a change of its neighbour or port is one store. What is fixed (up or drop
//! for a reason) has the reason's own number as id; the ids from [`FIRST_ID`]
//! on are handed out to the rest.
//!
//! When ids run out, a target goes without: its prefixes are programmed with
//! the id of [`FALLBACK`] and wait here. When slots run out, its word is the
//! fallback's. Both are made good in [`Nexthops::release`].

use std::collections::{BTreeMap, BTreeSet};

use forwarder_common::abi::{NexthopKind, nexthop_kind, nexthop_slot, nexthop_word};
use forwarder_common::reason::Reason;

use super::adjacencies::Adjacencies;
use super::links::{Links, Want, reason_word};
use super::pool::{Freed, Pool};
use super::{Capacity, FibFamily, FibOp, Target};
use crate::net::Ifindex;

/// Ids below are the reasons' own.
pub(super) const FIRST_ID: u32 = Reason::ROW as u32;

/// What is done where the tables are full: the kernel forwards.
pub(super) const FALLBACK: Reason = Reason::KernelRoute;

/// A reference to a target: a reason's number, or [`FIRST_ID`] + index of an
/// entry. Not the next-hop id, which a target may have to wait for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct TargetRef(u32);

impl TargetRef {
    pub(super) const fn fixed(reason: Reason) -> Self {
        TargetRef(reason as u32)
    }

    /// Index of the entry; `None` for a fixed target.
    fn index(self) -> Option<usize> {
        self.0.checked_sub(FIRST_ID).map(|index| index as usize)
    }
}

/// One target that depends on the links.
struct Entry<F: FibFamily> {
    target: Target<F>,
    /// Prefixes programmed with it; 0 = the entry is vacant.
    prefixes: u32,
    id: Option<u32>,
    /// `NEXTHOP[id]`; 0 where there is no id.
    word: u32,
}

/// A target as shown to people.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NexthopInfo<F: FibFamily> {
    /// Its id; `None` while there is none to spare.
    pub id: Option<u32>,
    /// Where it leads.
    pub target: Target<F>,
    /// What the program does with its packets: `NEXTHOP[id]`, or the
    /// fall-back's word where there is no id.
    pub word: u32,
    /// Prefixes that use it, host routes included.
    pub prefixes: u32,
}

/// All targets in use.
pub(super) struct Nexthops<F: FibFamily> {
    /// Prefixes programmed with each fixed target.
    fixed: [u32; Reason::ROW],
    entries: Vec<Entry<F>>,
    vacant: Vec<TargetRef>,
    by_target: BTreeMap<Target<F>, TargetRef>,
    ids: Pool,
    pub(super) adjacencies: Adjacencies<F>,
    /// Targets without an id, with the prefixes that fell back for it. Not
    /// empty only while no id is free.
    waiting: BTreeMap<TargetRef, BTreeSet<F::Prefix>>,
    /// Targets that fell back for want of a slot. Those that could share one
    /// are next to each other.
    starved: BTreeSet<Target<F>>,
    /// Targets whose gateway is to be resolved.
    unresolved: BTreeSet<Target<F>>,
}

impl<F: FibFamily> Nexthops<F> {
    pub(super) fn new(capacity: &Capacity) -> Self {
        Nexthops {
            fixed: [0; Reason::ROW],
            entries: Vec::new(),
            vacant: Vec::new(),
            by_target: BTreeMap::new(),
            ids: Pool::new(capacity.nexthops.clone()),
            adjacencies: Adjacencies::new(capacity.adjacencies.clone()),
            waiting: BTreeMap::new(),
            starved: BTreeSet::new(),
            unresolved: BTreeSet::new(),
        }
    }

    /// A reference to a target, for one more prefix. A new target gets its id,
    /// adjacency and word here, ahead of the route that will name the id.
    pub(super) fn acquire(
        &mut self,
        target: Target<F>,
        links: &Links<F>,
        out: &mut Vec<FibOp<F>>,
    ) -> TargetRef {
        if let Target::Fixed(reason) = target {
            self.fixed[reason as usize] += 1;
            return TargetRef::fixed(reason);
        }
        if let Some(&reference) = self.by_target.get(&target) {
            self.count(reference, 1);
            return reference;
        }
        let reference = self.add(target);
        self.refresh(reference, links, out);
        reference
    }

    fn add(&mut self, target: Target<F>) -> TargetRef {
        let entry = Entry {
            target,
            prefixes: 1,
            id: self.ids.take(),
            word: 0,
        };
        let reference = match self.vacant.pop() {
            Some(reference) => reference,
            // No more entries than prefixes: memory ends far below 2^32.
            None => TargetRef(FIRST_ID + self.entries.len() as u32),
        };
        match reference
            .index()
            .and_then(|index| self.entries.get_mut(index))
        {
            Some(vacant) => *vacant = entry,
            None => self.entries.push(entry),
        }
        self.by_target.insert(target, reference);
        reference
    }

    fn count(&mut self, reference: TargetRef, change: i32) -> u32 {
        let prefixes = match reference.index() {
            Some(index) => &mut self.entries[index].prefixes,
            None => &mut self.fixed[reference.0 as usize],
        };
        *prefixes = prefixes.wrapping_add_signed(change);
        *prefixes
    }

    /// One prefix less uses it. The last one frees its id and slot.
    pub(super) fn release_target(&mut self, reference: TargetRef) {
        if self.count(reference, -1) > 0 {
            return;
        }
        let Some(entry) = reference.index().map(|index| &self.entries[index]) else {
            return;
        };
        let (target, id, word) = (entry.target, entry.id, entry.word);
        self.by_target.remove(&target);
        self.starved.remove(&target);
        self.unresolved.remove(&target);
        self.drop_word(word);
        if let Some(id) = id {
            self.ids.put(id);
        }
        self.vacant.push(reference);
    }

    fn drop_word(&mut self, word: u32) {
        if nexthop_kind(word) == NexthopKind::Adjacency as u32 {
            self.adjacencies.release(nexthop_slot(word));
        }
    }

    /// The id to program a prefix with. Where the target has none, the prefix
    /// is remembered until it gets one.
    pub(super) fn enter(&mut self, reference: TargetRef, prefix: F::Prefix) -> u32 {
        if self.has_id(reference) {
            return self.id(reference);
        }
        self.waiting.entry(reference).or_default().insert(prefix);
        FALLBACK as u32
    }

    /// The prefix no longer waits for that target's id.
    pub(super) fn leave(&mut self, reference: TargetRef, prefix: F::Prefix) {
        let Some(prefixes) = self.waiting.get_mut(&reference) else {
            return;
        };
        prefixes.remove(&prefix);
        if prefixes.is_empty() {
            self.waiting.remove(&reference);
        }
    }

    fn has_id(&self, reference: TargetRef) -> bool {
        reference
            .index()
            .is_none_or(|index| self.entries[index].id.is_some())
    }

    /// The id that prefixes with this target are programmed with.
    pub(super) fn id(&self, reference: TargetRef) -> u32 {
        match reference.index() {
            Some(index) => self.entries[index].id.unwrap_or(FALLBACK as u32),
            None => reference.0,
        }
    }

    pub(super) fn target(&self, reference: TargetRef) -> Target<F> {
        match reference.index() {
            Some(index) => self.entries[index].target,
            None => Target::Fixed(Reason::ALL[reference.0 as usize]),
        }
    }

    /// The word behind [`Nexthops::id`].
    pub(super) fn word(&self, reference: TargetRef) -> u32 {
        match reference.index().map(|index| &self.entries[index]) {
            Some(Entry {
                id: Some(_), word, ..
            }) => *word,
            Some(_) => reason_word(FALLBACK),
            None => reason_word(Reason::ALL[reference.0 as usize]),
        }
    }

    /// Looks again at the targets that go by way of one neighbour.
    pub(super) fn neighbour_changed(
        &mut self,
        ifindex: Ifindex,
        gateway: F::Addr,
        links: &Links<F>,
        out: &mut Vec<FibOp<F>>,
    ) {
        let first = Target::Via {
            ifindex,
            gateway,
            mtu: None,
        };
        let last = Target::Via {
            ifindex,
            gateway,
            mtu: Some(u32::MAX),
        };
        self.refresh_range(first, last, links, out);
    }

    /// Looks again at the targets that leave by one port.
    pub(super) fn port_changed(
        &mut self,
        ifindex: Ifindex,
        links: &Links<F>,
        out: &mut Vec<FibOp<F>>,
    ) {
        let first = Target::Glean { ifindex, mtu: None };
        let last = Target::Glean {
            ifindex,
            mtu: Some(u32::MAX),
        };
        self.refresh_range(first, last, links, out);
        let first = Target::Via {
            ifindex,
            gateway: F::FIRST,
            mtu: None,
        };
        let last = Target::Via {
            ifindex,
            gateway: F::LAST,
            mtu: Some(u32::MAX),
        };
        self.refresh_range(first, last, links, out);
    }

    fn refresh_range(
        &mut self,
        first: Target<F>,
        last: Target<F>,
        links: &Links<F>,
        out: &mut Vec<FibOp<F>>,
    ) {
        let concerned: Vec<_> = self
            .by_target
            .range(first..=last)
            .map(|(_, &r)| r)
            .collect();
        for reference in concerned {
            self.refresh(reference, links, out);
        }
    }

    /// Brings a target's word in line with the links. The new adjacency is
    /// acquired before the old one is let go: never the same slot rewritten.
    fn refresh(&mut self, reference: TargetRef, links: &Links<F>, out: &mut Vec<FibOp<F>>) {
        let Some(index) = reference.index() else {
            return;
        };
        let Entry {
            target,
            id: Some(id),
            word: old,
            ..
        } = self.entries[index]
        else {
            return;
        };
        let new = self.word_for(target, links, out);
        if new != old {
            out.push(FibOp::SetNexthop { id, word: new });
            self.entries[index].word = new;
        }
        self.drop_word(old);
        self.note_unresolved(target, new);
    }

    fn word_for(&mut self, target: Target<F>, links: &Links<F>, out: &mut Vec<FibOp<F>>) -> u32 {
        self.starved.remove(&target);
        let rewrite = match links.want(target) {
            Want::Word(word) => return word,
            Want::Adjacency(rewrite) => rewrite,
        };
        match self.adjacencies.acquire(rewrite, out) {
            Some(slot) => nexthop_word(NexthopKind::Adjacency, slot),
            None => {
                self.starved.insert(target);
                reason_word(FALLBACK)
            }
        }
    }

    fn note_unresolved(&mut self, target: Target<F>, word: u32) {
        let resolving = nexthop_kind(word) == NexthopKind::Resolve as u32;
        if resolving && matches!(target, Target::Via { .. }) {
            self.unresolved.insert(target);
        } else {
            self.unresolved.remove(&target);
        }
    }

    pub(super) fn has_freed(&self) -> bool {
        self.ids.resting() + self.adjacencies.pool.resting() > 0
    }

    /// Hands over what is no longer referred to.
    pub(super) fn take_freed(&mut self) -> Freed {
        Freed {
            nexthops: self.ids.take_resting(),
            adjacencies: self.adjacencies.pool.take_resting(),
        }
    }

    /// Takes it back after the grace period, and serves those that lacked it.
    pub(super) fn release(&mut self, freed: Freed, links: &Links<F>, out: &mut Vec<FibOp<F>>) {
        self.adjacencies.pool.release(freed.adjacencies);
        self.ids.release(freed.nexthops);
        self.serve_starved(links, out);
        self.serve_waiting(links, out);
    }

    fn serve_starved(&mut self, links: &Links<F>, out: &mut Vec<FibOp<F>>) {
        let mut queue = std::mem::take(&mut self.starved);
        while let Some(target) = queue.pop_first() {
            if let Some(&reference) = self.by_target.get(&target) {
                self.refresh(reference, links, out);
            }
            // It starved again: no slot is left for the others either.
            if self.starved.contains(&target) {
                break;
            }
        }
        self.starved.append(&mut queue);
    }

    fn serve_waiting(&mut self, links: &Links<F>, out: &mut Vec<FibOp<F>>) {
        while self.ids.has_free() {
            let Some((reference, prefixes)) = self.waiting.pop_first() else {
                return;
            };
            let Some(index) = reference.index() else {
                continue;
            };
            self.entries[index].id = self.ids.take();
            self.refresh(reference, links, out);
            let id = self.id(reference);
            out.extend(
                prefixes
                    .into_iter()
                    .map(|prefix| FibOp::SetRoute { prefix, id }),
            );
        }
    }

    /// Gateways on ports that can transmit whose link address is not known,
    /// each once.
    pub(super) fn unresolved(&self) -> impl Iterator<Item = (Ifindex, F::Addr)> + '_ {
        let mut previous = None;
        self.unresolved.iter().filter_map(move |target| {
            let Target::Via {
                ifindex, gateway, ..
            } = *target
            else {
                return None;
            };
            let gateway = (ifindex, gateway);
            (previous.replace(gateway) != Some(gateway)).then_some(gateway)
        })
    }

    /// Every target in use: the fixed ones, then by interface and gateway.
    pub(super) fn iter(&self) -> impl Iterator<Item = NexthopInfo<F>> + '_ {
        let fixed = Reason::ALL.iter().map(|&reason| TargetRef::fixed(reason));
        fixed
            .chain(self.by_target.values().copied())
            .map(|reference| self.info(reference))
            .filter(|info| info.prefixes > 0)
    }

    fn info(&self, reference: TargetRef) -> NexthopInfo<F> {
        let (prefixes, id) = match reference.index() {
            Some(index) => (self.entries[index].prefixes, self.entries[index].id),
            None => (self.fixed[reference.0 as usize], Some(reference.0)),
        };
        NexthopInfo {
            id,
            target: self.target(reference),
            word: self.word(reference),
            prefixes,
        }
    }

    /// Ids in use but for the reasons' own, and freed ones.
    pub(super) fn ids(&self) -> &Pool {
        &self.ids
    }

    /// Prefixes that fell back for want of an id.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.values().map(BTreeSet::len).sum()
    }

    /// Targets that fell back for want of a slot.
    pub(super) fn starved(&self) -> usize {
        self.starved.len()
    }
}
