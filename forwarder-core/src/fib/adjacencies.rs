//! The slots of the map `ADJACENCY`: shared by content, never changed while a
//! next-hop word refers to them.

use std::collections::BTreeMap;
use std::ops::Range;

use super::links::Rewrite;
use super::pool::Pool;
use super::{FibFamily, FibOp};

struct Slot<F: FibFamily> {
    content: Rewrite<F>,
    /// Next-hop words that refer to it; 0 = not in use.
    words: u32,
}

/// Slots in use and the pool they come from.
pub(super) struct Adjacencies<F: FibFamily> {
    by_content: BTreeMap<Rewrite<F>, u32>,
    slots: Vec<Slot<F>>,
    /// Number of the first of `slots`.
    first: u32,
    pub(super) pool: Pool,
}

impl<F: FibFamily> Adjacencies<F> {
    /// These entries of the map.
    pub(super) fn new(entries: Range<u32>) -> Self {
        Adjacencies {
            by_content: BTreeMap::new(),
            slots: Vec::new(),
            first: entries.start,
            pool: Pool::new(entries),
        }
    }

    /// A slot with this content, for one more word; `None` when none is free.
    pub(super) fn acquire(&mut self, content: Rewrite<F>, out: &mut Vec<FibOp<F>>) -> Option<u32> {
        if let Some(&number) = self.by_content.get(&content) {
            self.slots[(number - self.first) as usize].words += 1;
            return Some(number);
        }
        let number = self.pool.take()?;
        self.by_content.insert(content, number);
        self.fill(number, Slot { content, words: 1 });
        out.push(FibOp::SetAdjacency {
            slot: number,
            adjacency: content.adjacency(),
        });
        Some(number)
    }

    fn fill(&mut self, number: u32, slot: Slot<F>) {
        match self.slots.get_mut((number - self.first) as usize) {
            Some(vacant) => *vacant = slot,
            // The pool hands out fresh numbers in order.
            None => self.slots.push(slot),
        }
    }

    /// One word less refers to it.
    pub(super) fn release(&mut self, number: u32) {
        let slot = &mut self.slots[(number - self.first) as usize];
        slot.words -= 1;
        if slot.words == 0 {
            self.by_content.remove(&slot.content);
            self.pool.put(number);
        }
    }

    /// What a slot in use holds.
    pub(super) fn get(&self, number: u32) -> Option<&Rewrite<F>> {
        let slot = self
            .slots
            .get(number.checked_sub(self.first)? as usize)
            .filter(|slot| slot.words > 0)?;
        Some(&slot.content)
    }

    /// Slots in use, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Rewrite<F>)> {
        (self.first..)
            .zip(&self.slots)
            .filter(|(_, slot)| slot.words > 0)
            .map(|(n, slot)| (n, &slot.content))
    }
}
