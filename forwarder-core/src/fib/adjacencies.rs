//! The slots of the map `ADJACENCY`: shared by content, never changed while a
//! next-hop word refers to them.

use std::collections::BTreeMap;

use super::FibOp;
use super::links::Rewrite;
use super::pool::Pool;

struct Slot {
    content: Rewrite,
    /// Next-hop words that refer to it; 0 = not in use.
    words: u32,
}

/// Slots in use and the pool they come from.
pub(super) struct Adjacencies {
    by_content: BTreeMap<Rewrite, u32>,
    slots: Vec<Slot>,
    pub(super) pool: Pool,
}

impl Adjacencies {
    /// Of a map with this many entries.
    pub(super) fn new(entries: u32) -> Self {
        Adjacencies {
            by_content: BTreeMap::new(),
            slots: Vec::new(),
            pool: Pool::new(0, entries),
        }
    }

    /// A slot with this content, for one more word; `None` when none is free.
    pub(super) fn acquire(&mut self, content: Rewrite, out: &mut Vec<FibOp>) -> Option<u32> {
        if let Some(&number) = self.by_content.get(&content) {
            self.slots[number as usize].words += 1;
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

    fn fill(&mut self, number: u32, slot: Slot) {
        match self.slots.get_mut(number as usize) {
            Some(vacant) => *vacant = slot,
            // The pool hands out fresh numbers in order.
            None => self.slots.push(slot),
        }
    }

    /// One word less refers to it.
    pub(super) fn release(&mut self, number: u32) {
        let slot = &mut self.slots[number as usize];
        slot.words -= 1;
        if slot.words == 0 {
            self.by_content.remove(&slot.content);
            self.pool.put(number);
        }
    }

    /// What a slot in use holds.
    pub(super) fn get(&self, number: u32) -> Option<&Rewrite> {
        let slot = self
            .slots
            .get(number as usize)
            .filter(|slot| slot.words > 0)?;
        Some(&slot.content)
    }

    /// Slots in use, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Rewrite)> {
        (0..)
            .zip(&self.slots)
            .filter(|(_, slot)| slot.words > 0)
            .map(|(n, slot)| (n, &slot.content))
    }
}
