//! The route tables of the engine `multibit`, as programs read them: one trie a
//! family, each in an array of rows, in which a lookup is one load for the
//! first two bytes of the address and one for each byte after that: at most
//! three for IPv4, and for IPv6 three for a /32 and five for a /48.
//!
//! ```text
//! rows 0..256   the root: row = first byte of the address, column = second
//! other rows    a node of one byte each, of the third or a later one
//! ```
//!
//! Leaf-pushed: every slot that is no child holds the longest match of the
//! addresses that end there, so that a lookup never goes back up. One slot is
//! one aligned word, which the daemon changes by one store while programs run.
//! A `BPF_MAP_TYPE_LPM_TRIE` is one map entry a prefix, but walks up to 32
//! nodes spread over memory; a flat table of 2^24 words (DIR-24-8) saves a load
//! and misses the TLB for it.
//!
//! The daemon writes them with `forwarder_core::fib::trie`; the XDP program and
//! the tests of the writer read them by the same [`lookup4`] and [`lookup6`].

use crate::abi::MAX_NEXTHOPS;

/// Words of a row: one for each value of a byte.
pub const COLUMNS: usize = 256;

/// Rows of the root, which takes the first two bytes.
pub const ROOT_ROWS: u32 = 256;

/// A row: the value of the maps `ROWS4` and `ROWS6`.
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
    next_hop(word)
}

/// The next-hop id of the longest match of an IPv6 address, its words in host
/// order, the most significant first; `None` where there is none.
#[inline(always)]
pub fn lookup6<R: Rows>(rows: &R, address: [u32; 4]) -> Option<u32> {
    let mut word = rows.word(address[0] >> 24, address[0] >> 16);
    // Written out: a loop over the address would read it by a variable index,
    // which costs the program a copy on its stack and the verifier a proof.
    macro_rules! go_on {
        ($($byte:literal)*) => { $(
            let Some(row) = child_row(word) else {
                return next_hop(word);
            };
            word = rows.word(row, address[$byte / 4] >> (24 - 8 * ($byte % 4)));
        )* };
    }
    go_on!(2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    next_hop(word)
}

/// What a lookup ends with. A child here would be an unsound table: an id
/// beyond all there are.
#[inline(always)]
const fn next_hop(word: u32) -> Option<u32> {
    if word == NO_ROUTE {
        return None;
    }
    Some(word - 1)
}

const _: () = assert!(MAX_NEXTHOPS < 1 << 28, "an id is no child");
