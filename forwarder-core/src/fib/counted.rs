//! Routes that are counted each by itself.
//!
//! Such a prefix has a next-hop id of its own, which no other prefix is
//! programmed with, as long as the operator wants it counted: `NEXTHOP[id]` is
//! the word of the target that it has at the moment, with the bit that makes
//! the program count. So a change of the way costs a store more for each counted
//! prefix that goes it, what is not counted pays nothing, and the counter goes on
//! when the route changes, goes and comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use forwarder_common::abi::KIND_COUNTED;

use super::nexthops::TargetRef;
use super::pool::Pool;
use super::{FibFamily, FibOp};

/// A prefix's own id.
#[derive(Clone, Copy)]
struct Own {
    id: u32,
    /// `NEXTHOP[id]` without the bit; 0 = not stored yet.
    word: u32,
}

/// The counted prefixes of one family.
pub(super) struct Counted<F: FibFamily> {
    own: BTreeMap<F::Prefix, Own>,
    /// Wanted, but no id is free.
    waiting: BTreeSet<F::Prefix>,
    /// Those that are programmed, by the target they have now.
    users: BTreeMap<TargetRef, BTreeSet<F::Prefix>>,
    pub(super) pool: Pool,
}

impl<F: FibFamily> Counted<F> {
    /// With these ids.
    pub(super) fn new(ids: Range<u32>) -> Self {
        Counted {
            own: BTreeMap::new(),
            waiting: BTreeSet::new(),
            users: BTreeMap::new(),
            pool: Pool::new(ids),
        }
    }

    /// The prefix's own id; `None` for one that is not counted.
    pub(super) fn id(&self, prefix: &F::Prefix) -> Option<u32> {
        self.own.get(prefix).map(|own| own.id)
    }

    /// Whether a prefix is to be counted, with an id or not.
    pub(super) fn wants(&self, prefix: &F::Prefix) -> bool {
        self.own.contains_key(prefix) || self.waiting.contains(prefix)
    }

    /// Wanted prefixes with their ids; `None` where there is none to spare.
    pub(super) fn iter(&self) -> impl Iterator<Item = (F::Prefix, Option<u32>)> + '_ {
        let counted = self.own.iter().map(|(&prefix, own)| (prefix, Some(own.id)));
        counted.chain(self.waiting.iter().map(|&prefix| (prefix, None)))
    }

    /// How many are wanted and have no id.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Counts a prefix from zero; `None` if it has to wait for an id.
    pub(super) fn add(&mut self, prefix: F::Prefix, out: &mut Vec<FibOp<F>>) -> Option<u32> {
        let Some(id) = self.pool.take() else {
            self.waiting.insert(prefix);
            return None;
        };
        self.waiting.remove(&prefix);
        self.own.insert(prefix, Own { id, word: 0 });
        out.push(FibOp::ClearCounter { id });
        Some(id)
    }

    /// Counts a prefix no longer. It must not be programmed with its id any
    /// more when what was freed is taken.
    pub(super) fn remove(&mut self, prefix: &F::Prefix) {
        self.waiting.remove(prefix);
        if let Some(own) = self.own.remove(prefix) {
            self.pool.put(own.id);
        }
    }

    /// One that an id may be given to now.
    pub(super) fn next_waiting(&self) -> Option<F::Prefix> {
        self.waiting
            .first()
            .copied()
            .filter(|_| self.pool.has_free())
    }

    /// A counted prefix is about to be programmed with a target.
    pub(super) fn enter(
        &mut self,
        prefix: F::Prefix,
        target: TargetRef,
        word: u32,
        out: &mut Vec<FibOp<F>>,
    ) {
        self.users.entry(target).or_default().insert(prefix);
        self.store(prefix, word, out);
    }

    /// It has that target no longer.
    pub(super) fn leave(&mut self, prefix: &F::Prefix, target: TargetRef) {
        let Some(users) = self.users.get_mut(&target) else {
            return;
        };
        users.remove(prefix);
        if users.is_empty() {
            self.users.remove(&target);
        }
    }

    /// A target's word has changed: that of its counted prefixes follows.
    pub(super) fn follow(&mut self, target: TargetRef, word: u32, out: &mut Vec<FibOp<F>>) {
        for prefix in self.users.get(&target).cloned().unwrap_or_default() {
            self.store(prefix, word, out);
        }
    }

    fn store(&mut self, prefix: F::Prefix, word: u32, out: &mut Vec<FibOp<F>>) {
        let Some(own) = self.own.get_mut(&prefix) else {
            return;
        };
        if own.word == word {
            return;
        }
        own.word = word;
        out.push(own.op());
    }

    /// The words of those that are programmed, as writes to empty maps.
    pub(super) fn initial(&self) -> impl Iterator<Item = FibOp<F>> + '_ {
        let programmed = self.users.values().flatten();
        programmed.filter_map(|prefix| Some(self.own.get(prefix)?.op()))
    }
}

impl Own {
    fn op<F: FibFamily>(self) -> FibOp<F> {
        FibOp::SetNexthop {
            id: self.id,
            word: self.word | KIND_COUNTED << 28,
        }
    }
}
