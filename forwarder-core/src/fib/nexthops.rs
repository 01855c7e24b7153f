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

use forwarder_common::abi::{GROUP_LINKS, NexthopKind, nexthop_kind, nexthop_slot, nexthop_word};
use forwarder_common::reason::Reason;

use super::adjacencies::Adjacencies;
use super::counted::Counted;
use super::groups::{Buckets, assign};
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
    /// Prefixes programmed with it.
    prefixes: u32,
    /// Groups it is a member of; 0 of both = the entry is vacant.
    groups: u32,
    /// What it is made of, where it is a group.
    made_of: Option<Group>,
    id: Option<u32>,
    /// `NEXTHOP[id]`; 0 where there is no id.
    word: u32,
}

/// A group with a slot of its own.
#[derive(Clone)]
struct Group {
    members: Vec<TargetRef>,
    buckets: Buckets,
    /// `None` while there is none to spare.
    slot: Option<u32>,
}

/// A target as shown to people.
#[derive(Clone, PartialEq, Eq, Debug)]
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
    /// Groups that it is a member of.
    pub groups: u32,
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
    pub(super) counted: Counted<F>,
    group_slots: Pool,
    /// Groups that each target is a member of.
    groups_of: BTreeMap<TargetRef, BTreeSet<TargetRef>>,
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
            counted: Counted::new(capacity.counted.clone()),
            group_slots: Pool::new(capacity.groups.clone()),
            groups_of: BTreeMap::new(),
            waiting: BTreeMap::new(),
            starved: BTreeSet::new(),
            unresolved: BTreeSet::new(),
        }
    }

    /// A reference to a target, for one more prefix. A new target gets its id,
    /// adjacency and word here, ahead of the route that will name the id.
    /// `before` is what the prefix had: a new group follows from that.
    pub(super) fn acquire(
        &mut self,
        target: Target<F>,
        before: Option<TargetRef>,
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
        if let Some(index) = reference.index() {
            self.entries[index].prefixes = 1;
        }
        self.make_group(reference, before, links, out);
        self.refresh(reference, links, out);
        reference
    }

    /// Takes a target as a member of a group.
    fn join(
        &mut self,
        target: &Target<F>,
        group: TargetRef,
        links: &Links<F>,
        out: &mut Vec<FibOp<F>>,
    ) -> TargetRef {
        let known = self.by_target.get(target).copied();
        let reference = known.unwrap_or_else(|| {
            let reference = self.add(target.clone());
            self.refresh(reference, links, out);
            reference
        });
        if let Some(index) = reference.index() {
            self.entries[index].groups += 1;
            if self.entries[index].id.is_none() {
                self.waiting.entry(reference).or_default();
            }
        }
        self.groups_of.entry(reference).or_default().insert(group);
        reference
    }

    fn leave_group(&mut self, member: TargetRef, group: TargetRef) {
        if let Some(groups) = self.groups_of.get_mut(&member) {
            groups.remove(&group);
            if groups.is_empty() {
                self.groups_of.remove(&member);
            }
        }
        if let Some(index) = member.index() {
            self.entries[index].groups -= 1;
        }
        self.free_unused(member);
    }

    /// Shares the buckets of a new group out.
    fn make_group(
        &mut self,
        reference: TargetRef,
        before: Option<TargetRef>,
        links: &Links<F>,
        out: &mut Vec<FibOp<F>>,
    ) {
        let Some(index) = reference.index() else {
            return;
        };
        let Target::Group(shares) = self.entries[index].target.clone() else {
            return;
        };
        let members: Vec<TargetRef> = shares
            .iter()
            .map(|member| self.join(&member.target, reference, links, out))
            .collect();
        let weights: Vec<u32> = shares.iter().map(|member| member.weight).collect();
        let buckets = {
            let old = before
                .and_then(TargetRef::index)
                .and_then(|index| self.entries[index].made_of.as_ref());
            assign(&weights, |bucket| match old {
                Some(old) => {
                    let was = old.members[usize::from(old.buckets[bucket])];
                    members.iter().position(|member| *member == was)
                }
                // From one way to several: it keeps its share.
                None => members.iter().position(|member| Some(*member) == before),
            })
        };
        let group = Group {
            members,
            buckets,
            slot: None,
        };
        self.entries[index].made_of = Some(group);
    }

    /// Fills a free slot with a group as it is now; the word that names it.
    fn group_word(&mut self, index: usize, out: &mut Vec<FibOp<F>>) -> u32 {
        let Some(group) = self.entries[index].made_of.clone() else {
            return reason_word(FALLBACK);
        };
        let slot = self.group_slots.take();
        if let Some(old) = group.slot {
            self.group_slots.put(old);
        }
        if let Some(group) = &mut self.entries[index].made_of {
            group.slot = slot;
        }
        let Some(slot) = slot else {
            self.starved.insert(self.entries[index].target.clone());
            return reason_word(FALLBACK);
        };
        self.starved.remove(&self.entries[index].target);
        let op = self.group_op(slot, &group);
        out.push(op);
        nexthop_word(NexthopKind::Group, slot)
    }

    fn group_op(&self, slot: u32, group: &Group) -> FibOp<F> {
        let ids: Vec<u32> = group
            .members
            .iter()
            .map(|member| self.id(*member))
            .collect();
        let ifindexes: BTreeSet<Ifindex> = group
            .members
            .iter()
            .filter_map(|member| self.target(*member).ifindex())
            .collect();
        let mut links = [0; GROUP_LINKS];
        for (link, ifindex) in links.iter_mut().zip(ifindexes) {
            *link = ifindex.0;
        }
        FibOp::SetGroup {
            slot,
            buckets: Box::new(group.buckets.map(|member| ids[usize::from(member)])),
            links,
        }
    }

    fn add(&mut self, target: Target<F>) -> TargetRef {
        let entry = Entry {
            target: target.clone(),
            prefixes: 0,
            groups: 0,
            made_of: None,
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
        if self.count(reference, -1) == 0 {
            self.free_unused(reference);
        }
    }

    fn free_unused(&mut self, reference: TargetRef) {
        let Some(index) = reference.index() else {
            return;
        };
        let entry = &mut self.entries[index];
        if entry.prefixes + entry.groups > 0 {
            return;
        }
        let (target, id, word) = (entry.target.clone(), entry.id, entry.word);
        let group = entry.made_of.take();
        self.waiting.remove(&reference);
        self.by_target.remove(&target);
        self.starved.remove(&target);
        self.unresolved.remove(&target);
        self.drop_word(word);
        if let Some(id) = id {
            self.ids.put(id);
        }
        self.vacant.push(reference);
        let Some(group) = group else {
            return;
        };
        if let Some(slot) = group.slot {
            self.group_slots.put(slot);
        }
        for member in group.members {
            self.leave_group(member, reference);
        }
    }

    fn drop_word(&mut self, word: u32) {
        if nexthop_kind(word) == NexthopKind::Adjacency as u32 {
            self.adjacencies.release(nexthop_slot(word));
        }
    }

    /// The id to program a prefix with. Where the target has none, the prefix
    /// is remembered until it gets one.
    pub(super) fn enter(
        &mut self,
        reference: TargetRef,
        prefix: F::Prefix,
        out: &mut Vec<FibOp<F>>,
    ) -> u32 {
        if !self.has_id(reference) {
            self.waiting.entry(reference).or_default().insert(prefix);
        }
        if self.counted.id(&prefix).is_some() {
            let word = self.word(reference);
            self.counted.enter(prefix, reference, word, out);
        }
        self.id_for(reference, &prefix)
    }

    /// The id that this prefix is programmed with while it has that target.
    pub(super) fn id_for(&self, reference: TargetRef, prefix: &F::Prefix) -> u32 {
        let own = self.counted.id(prefix);
        own.unwrap_or_else(|| self.id(reference))
    }

    /// The prefix has that target no longer, nor waits for its id.
    pub(super) fn leave(&mut self, reference: TargetRef, prefix: F::Prefix) {
        self.counted.leave(&prefix, reference);
        let Some(prefixes) = self.waiting.get_mut(&reference) else {
            return;
        };
        prefixes.remove(&prefix);
        if prefixes.is_empty() && !self.groups_of.contains_key(&reference) {
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
            Some(index) => self.entries[index].target.clone(),
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
            id: Some(id),
            word: old,
            ..
        } = self.entries[index]
        else {
            return;
        };
        let target = self.entries[index].target.clone();
        let new = match target {
            Target::Group(_) => self.group_word(index, out),
            _ => self.word_for(&target, links, out),
        };
        if new != old {
            out.push(FibOp::SetNexthop { id, word: new });
            self.entries[index].word = new;
            self.counted.follow(reference, new, out);
        }
        self.drop_word(old);
        self.note_unresolved(target, new);
    }

    fn word_for(&mut self, target: &Target<F>, links: &Links<F>, out: &mut Vec<FibOp<F>>) -> u32 {
        self.starved.remove(target);
        let rewrite = match links.want(target) {
            Want::Word(word) => return word,
            Want::Adjacency(rewrite) => rewrite,
        };
        match self.adjacencies.acquire(rewrite, out) {
            Some(slot) => nexthop_word(NexthopKind::Adjacency, slot),
            None => {
                self.starved.insert(target.clone());
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

    /// Freed and not yet handed over.
    pub(super) fn resting(&self) -> usize {
        self.ids.resting()
            + self.adjacencies.pool.resting()
            + self.group_slots.resting()
            + self.counted.pool.resting()
    }

    pub(super) fn has_freed(&self) -> bool {
        self.resting() > 0
    }

    /// Hands over what is no longer referred to.
    pub(super) fn take_freed(&mut self) -> Freed {
        Freed {
            nexthops: self.ids.take_resting(),
            adjacencies: self.adjacencies.pool.take_resting(),
            groups: self.group_slots.take_resting(),
            counted: self.counted.pool.take_resting(),
        }
    }

    /// Takes it back after the grace period, and serves those that lacked it.
    pub(super) fn release(&mut self, freed: Freed, links: &Links<F>, out: &mut Vec<FibOp<F>>) {
        self.adjacencies.pool.release(freed.adjacencies);
        self.group_slots.release(freed.groups);
        self.ids.release(freed.nexthops);
        self.counted.pool.release(freed.counted);
        self.serve_starved(links, out);
        self.serve_waiting(links, out);
    }

    fn serve_starved(&mut self, links: &Links<F>, out: &mut Vec<FibOp<F>>) {
        let (mut no_slot, mut no_group) = (false, false);
        for target in std::mem::take(&mut self.starved) {
            let none_left = if target.is_group() {
                &mut no_group
            } else {
                &mut no_slot
            };
            match self.by_target.get(&target) {
                Some(&reference) if !*none_left => self.refresh(reference, links, out),
                Some(_) => drop(self.starved.insert(target.clone())),
                None => {}
            }
            // It starved again: there is none for the others of its kind either.
            *none_left |= self.starved.contains(&target);
        }
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
            // Those that are counted have had an id of their own all along.
            let plain = prefixes
                .into_iter()
                .filter(|prefix| self.counted.id(prefix).is_none());
            out.extend(plain.map(|prefix| FibOp::SetRoute { prefix, id }));
            // Groups had the fall-back's id in its buckets.
            for group in self.groups_of.get(&reference).cloned().unwrap_or_default() {
                self.refresh(group, links, out);
            }
        }
    }

    /// Gateways on ports that can transmit whose link address is not known,
    /// each once.
    pub(super) fn unresolved(&self) -> impl Iterator<Item = (Ifindex, F::Addr)> + '_ {
        let mut previous = None;
        self.unresolved.iter().filter_map(move |target| {
            let Target::Via {
                ifindex, gateway, ..
            } = target.clone()
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
            .filter(|info| info.prefixes + info.groups > 0)
    }

    fn info(&self, reference: TargetRef) -> NexthopInfo<F> {
        let (prefixes, groups, id) = match reference.index().map(|index| &self.entries[index]) {
            Some(entry) => (entry.prefixes, entry.groups, entry.id),
            None => (self.fixed[reference.0 as usize], 0, Some(reference.0)),
        };
        NexthopInfo {
            id,
            target: self.target(reference),
            word: self.word(reference),
            prefixes,
            groups,
        }
    }

    /// The members of a group in use; none of another target.
    pub(super) fn members(&self, group: &Target<F>) -> impl Iterator<Item = TargetRef> + '_ {
        let reference = self.by_target.get(group);
        let entry = reference.and_then(|reference| self.entries.get(reference.index()?));
        let made_of = entry.and_then(|entry| entry.made_of.as_ref());
        made_of
            .into_iter()
            .flat_map(|made_of| made_of.members.iter().copied())
    }

    /// The groups with a slot: slot, next-hop ids, interfaces.
    pub(super) fn groups(&self) -> impl Iterator<Item = FibOp<F>> + '_ {
        self.entries.iter().filter_map(|entry| {
            let group = entry.made_of.as_ref()?;
            Some(self.group_op(group.slot?, group))
        })
    }

    /// Group slots in use.
    pub(super) fn groups_in_use(&self) -> u32 {
        self.group_slots.in_use()
    }

    /// Ids in use but for the reasons' own, and freed ones.
    pub(super) fn ids(&self) -> &Pool {
        &self.ids
    }

    /// Prefixes, and places in groups, that fell back for want of an id.
    pub(super) fn waiting(&self) -> usize {
        let groups = |reference: &TargetRef| self.groups_of.get(reference).map_or(0, BTreeSet::len);
        let waiting = self.waiting.iter();
        waiting
            .map(|(reference, prefixes)| prefixes.len() + groups(reference))
            .sum()
    }

    /// Targets that fell back for want of a slot: groups, and others.
    pub(super) fn starved(&self) -> (usize, usize) {
        let groups = self.starved.iter().filter(|target| target.is_group());
        let groups = groups.count();
        (groups, self.starved.len() - groups)
    }
}
