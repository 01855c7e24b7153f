//! The route table of the engine `multibit`, as programs read it: a trie in an
//! array of rows, in which every lookup is at most three loads.
//!
//! ```text
//! rows 0..256   the root: row = first byte of the address, column = second
//! other rows    a node of one byte each, of the third or the fourth
//! ```
//!
//! Leaf-pushed: every slot that is no child holds the longest match of the
//! addresses that end there, so that a lookup never goes back up. One slot is
//! one aligned word, which the daemon changes by one store while programs run.
//! A `BPF_MAP_TYPE_LPM_TRIE` is one map entry a prefix, but walks up to 32
//! nodes spread over memory; a flat table of 2^24 words (DIR-24-8) saves a load
//! and misses the TLB for it.
//!
//! The daemon writes it with `forwarder_core::fib::trie`; the XDP program and
//! the tests of the writer read it by the same [`lookup4`]. IPv6 is the same
//! with more bytes below the root.

use crate::abi::MAX_NEXTHOPS;

/// Words of a row: one for each value of a byte.
pub const COLUMNS: usize = 256;

/// Rows of the root, which takes the first two bytes.
pub const ROOT_ROWS: u32 = 256;

/// A row: the value of the map `ROWS4`.
pub type Row = [u32; COLUMNS];

/// The word of a slot without a route. A new map is all zeroes.
pub const NO_ROUTE: u32 = 0;

const CHILD: u32 = 1 << 31;

/// The word of a slot that ends with a next-hop id.
#[inline(always)]
pub const fn leaf(id: u32) -> u32 {
    id + 1
}

/// The word of a slot that goes on with the next byte in another row.
#[inline(always)]
pub const fn child(row: u32) -> u32 {
    row | CHILD
}

/// The row that a word leads to, if it is no leaf.
#[inline(always)]
pub const fn child_row(word: u32) -> Option<u32> {
    if word & CHILD == 0 {
        return None;
    }
    Some(word & !CHILD)
}

/// Read access to the rows.
pub trait Rows {
    /// The word at `column & 255` of a row; [`NO_ROUTE`] for a row that is not
    /// there, which no word of a sound table names.
    fn word(&self, row: u32, column: u32) -> u32;
}

/// The next-hop id of the longest match of an IPv4 address in host order;
/// `None` where there is none.
#[inline(always)]
pub fn lookup4<R: Rows>(rows: &R, address: u32) -> Option<u32> {
    let mut word = rows.word(address >> 24, address >> 16);
    if let Some(row) = child_row(word) {
        word = rows.word(row, address >> 8);
        if let Some(row) = child_row(word) {
            word = rows.word(row, address);
        }
    }
    if word == NO_ROUTE {
        return None;
    }
    // A child here would be an unsound table: an id beyond all there are.
    Some(word - 1)
}

const _: () = assert!(MAX_NEXTHOPS < 1 << 28, "an id is no child");
