//! The prefixes of the trie by themselves: where a prefix lies in it, and what
//! shows through when one goes.
//!
//! A leaf-pushed trie forgets a prefix that longer ones cover completely, so
//! they are kept here: one hash table a length, 9 bytes an IPv4 prefix (21 an IPv6 one)
//! and at most twice that while a table has just grown (a full Internet table: 10 to 20
//! MB). `prefix_trie`, which the FIB itself uses, would take five times as
//! much, and the FIB's own copy is of no use: it is ahead of the maps while
//! its operations are carried out, and holds prefixes that found no room.

use std::collections::HashMap;
use std::hash::Hash;
use std::ops::Range;

/// An address as a number: `u32` or `u128`.
pub trait Bits: Copy + Eq + Hash + std::fmt::Debug {
    /// How many bits it has.
    const LEN: u8;

    /// All but the first `len` bits cleared.
    fn masked(self, len: u8) -> Self;

    /// The last `bits` (at most 16) of the first `end` bits.
    fn slice(self, end: u8, bits: u8) -> u32;
}

macro_rules! bits {
    ($number:ty) => {
        impl Bits for $number {
            const LEN: u8 = <$number>::BITS as u8;

            fn masked(self, len: u8) -> Self {
                // A shift by all the bits leaves none.
                let shift = u32::from(Self::LEN - len);
                self & <$number>::MAX.checked_shl(shift).unwrap_or(0)
            }

            fn slice(self, end: u8, bits: u8) -> u32 {
                let low = (self >> (Self::LEN - end)) as u32;
                low & ((1 << bits) - 1)
            }
        }
    };
}

bits!(u32);
bits!(u128);

/// A prefix as the trie sees it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Prefix<B> {
    bits: B,
    pub(super) len: u8,
}

impl<B: Bits> Prefix<B> {
    pub(super) fn new(address: B, len: u8) -> Self {
        Prefix {
            bits: address.masked(len),
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

    /// Its slot in a node of a level on the way: the root takes two bytes.
    pub(super) fn index(self, level: u8) -> u32 {
        self.bits.slice(end(level), if level == 0 { 16 } else { 8 })
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

/// Prefix → next-hop id.
pub(super) struct Prefixes<B> {
    by_length: Vec<HashMap<B, u32>>,
}

impl<B: Bits> Prefixes<B> {
    pub(super) fn new() -> Self {
        Prefixes {
            by_length: (0..=B::LEN).map(|_| HashMap::new()).collect(),
        }
    }

    pub(super) fn insert(&mut self, prefix: Prefix<B>, id: u32) {
        self.by_length[usize::from(prefix.len)].insert(prefix.bits, id);
    }

    /// False where there was none.
    pub(super) fn remove(&mut self, prefix: Prefix<B>) -> bool {
        let length = &mut self.by_length[usize::from(prefix.len)];
        let found = length.remove(&prefix.bits).is_some();
        if length.is_empty() {
            *length = HashMap::new();
        }
        found
    }

    /// The longest prefix that is shorter than this one and contains it.
    pub(super) fn covering(&self, prefix: Prefix<B>) -> Option<(u8, u32)> {
        (0..prefix.len).rev().find_map(|len| {
            let wider = Prefix::new(prefix.bits, len);
            let id = self.by_length[usize::from(len)].get(&wider.bits)?;
            Some((len, *id))
        })
    }

    /// The ids of all that contain this one and are no longer than `len`.
    pub(super) fn all_covering(
        &self,
        prefix: Prefix<B>,
        len: u8,
    ) -> impl Iterator<Item = u32> + '_ {
        (0..=len).filter_map(move |len| {
            let wider = Prefix::new(prefix.bits, len);
            self.by_length[usize::from(len)].get(&wider.bits).copied()
        })
    }
}
