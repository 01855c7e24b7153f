//! The entries of one table, by prefix.
//!
//! [`super::Rib`] owns one for each of the kernel's tables. The trie holds small
//! numbers and the entries lie beside it: a node of the trie keeps its values
//! together and moves them when one joins, so large ones make each addition to a
//! full table dear.

use prefix_trie::PrefixMap;
use slab::Slab;

use super::entry::Entry;
use crate::net::Family;

/// Where an entry lies. Half of what a `usize` takes, a million times.
type Number = u32;

#[derive(Debug)]
pub(super) struct Table<F: Family> {
    numbers: PrefixMap<F::Prefix, Number>,
    entries: Slab<Entry<F>>,
}

impl<F: Family> Default for Table<F> {
    fn default() -> Self {
        Table {
            numbers: PrefixMap::new(),
            entries: Slab::new(),
        }
    }
}

impl<F: Family> Table<F> {
    pub(super) fn get(&self, prefix: &F::Prefix) -> Option<&Entry<F>> {
        self.entries.get(*self.numbers.get(prefix)? as usize)
    }

    pub(super) fn get_mut(&mut self, prefix: &F::Prefix) -> Option<&mut Entry<F>> {
        self.entries.get_mut(*self.numbers.get(prefix)? as usize)
    }

    /// The prefix's entry, an empty one where there was none.
    pub(super) fn get_or_default(&mut self, prefix: F::Prefix) -> &mut Entry<F> {
        let entries = &mut self.entries;
        let new = || entries.insert(Entry::default()) as Number;
        let number = *self.numbers.entry(prefix).or_insert_with(new);
        &mut self.entries[number as usize]
    }

    pub(super) fn remove(&mut self, prefix: &F::Prefix) {
        if let Some(number) = self.numbers.remove(prefix) {
            self.entries.remove(number as usize);
        }
    }

    /// By prefix.
    pub(super) fn iter(&self) -> impl Iterator<Item = (F::Prefix, &Entry<F>)> {
        let numbers = self.numbers.iter();
        numbers.filter_map(|(prefix, number)| Some((prefix, self.entries.get(*number as usize)?)))
    }

    /// By prefix.
    pub(super) fn prefixes(&self) -> impl Iterator<Item = F::Prefix> {
        self.numbers.keys()
    }

    /// The entries of the prefixes that hold the address, the shortest first.
    pub(super) fn covering(
        &self,
        address: F::Addr,
    ) -> impl DoubleEndedIterator<Item = (F::Prefix, &Entry<F>)> {
        let covers: Vec<_> = self.numbers.cover(&F::host(address)).collect();
        let entry = |(prefix, number): (F::Prefix, &Number)| {
            Some((prefix, self.entries.get(*number as usize)?))
        };
        covers.into_iter().filter_map(entry)
    }
}
