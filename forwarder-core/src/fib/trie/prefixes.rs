//! The prefixes of the trie by themselves: where a prefix lies in it, and what
//! shows through when one goes.
//!
//! A leaf-pushed trie forgets a prefix that longer ones cover completely, so
//! they are kept here: one hash table a length, 9 bytes a prefix and at most
//! twice that while a table has just grown (a full Internet table: 10 to 20
//! MB). `prefix_trie`, which the FIB itself uses, would take five times as
//! much, and the FIB's own copy is of no use: it is ahead of the maps while
//! its operations are carried out, and holds prefixes that found no room.

use std::collections::HashMap;
use std::ops::Range;

use ipnet::Ipv4Net;

/// A prefix as the trie sees it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Prefix {
    bits: u32,
    pub(super) len: u8,
}

impl From<Ipv4Net> for Prefix {
    fn from(prefix: Ipv4Net) -> Self {
        Prefix::new(prefix.addr().into(), prefix.prefix_len())
    }
}

impl Prefix {
    fn new(address: u32, len: u8) -> Self {
        // A shift by 32 leaves no bit.
        let mask = u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0);
        Prefix {
            bits: address & mask,
            len,
        }
    }

    /// The level of the node whose slots the prefix covers: 0 = the root.
    pub(super) fn level(self) -> u8 {
        self.len.saturating_sub(9) / 8
    }

    /// The slots it covers in that node.
    pub(super) fn slots(self) -> Range<u32> {
        let first = self.index(self.level());
        first..first + (1 << (end(self.level()) - self.len))
    }

    /// Its slot in a node of a level on the way.
    pub(super) fn index(self, level: u8) -> u32 {
        let bits = self.bits >> (32 - u32::from(end(level)));
        bits % slots(level)
    }
}

/// Bits above the nodes of a level.
pub(super) fn base(level: u8) -> u8 {
    if level == 0 { 0 } else { 8 + 8 * level }
}

/// Bits down to and with the nodes of a level.
fn end(level: u8) -> u8 {
    16 + 8 * level
}

/// Slots of a node: the root takes two bytes.
fn slots(level: u8) -> u32 {
    if level == 0 { 1 << 16 } else { 1 << 8 }
}

/// Prefix → next-hop id.
pub(super) struct Prefixes {
    by_length: [HashMap<u32, u32>; 33],
}

impl Prefixes {
    pub(super) fn new() -> Self {
        Prefixes {
            by_length: std::array::from_fn(|_| HashMap::new()),
        }
    }

    pub(super) fn insert(&mut self, prefix: Prefix, id: u32) {
        self.by_length[usize::from(prefix.len)].insert(prefix.bits, id);
    }

    /// False where there was none.
    pub(super) fn remove(&mut self, prefix: Prefix) -> bool {
        let length = &mut self.by_length[usize::from(prefix.len)];
        let found = length.remove(&prefix.bits).is_some();
        if length.is_empty() {
            *length = HashMap::new();
        }
        found
    }

    /// The longest prefix that is shorter than this one and contains it.
    pub(super) fn covering(&self, prefix: Prefix) -> Option<(u8, u32)> {
        (0..prefix.len).rev().find_map(|len| {
            let wider = Prefix::new(prefix.bits, len);
            let id = self.by_length[usize::from(len)].get(&wider.bits)?;
            Some((len, *id))
        })
    }
}
