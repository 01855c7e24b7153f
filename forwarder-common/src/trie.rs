//! The route tables of the engine `multibit`, as programs read them: one trie a
//! family, each in an array of rows, in which a lookup is one load for the
//! first two bytes of the address and one for each byte after that: at most
//! three for IPv4, and for IPv6 three for a /32 and five for a /48.
//!
//! ```text
//! rows 0..256   the root: row = first byte of the address, column = second
//! other rows    nodes of one byte each, of the third or a later one: one in a
//!               row, or two or four, by the width of their slots
//! ```
//!
//! Leaf-pushed: every slot that is no child holds the longest match of the
//! addresses that end there, so that a lookup never goes back up. One slot is
//! changed by one store of the aligned word that it is in, while programs run.
//!
//! A node whose slots are all leaves of low ids, as nearly all are, has a byte a
//! slot ([`Width`]): a table of the whole Internet is then as large as the
//! second level of a TLB reaches, and a cache line holds 64 networks. Nodes with
//! children, and those with ids beyond, have two bytes or a word.
//!
//! A `BPF_MAP_TYPE_LPM_TRIE` is one map entry a prefix, but walks up to 32
//! nodes spread over memory; a flat table of 2^24 words (DIR-24-8) saves a load
//! and misses the TLB for it.
//!
//! The daemon writes them with `forwarder_core::fib::trie`; the XDP program and
//! the tests of the writer read them by the same [`lookup4`] and [`lookup6`].

use crate::abi::{FIRST_ID4, FIRST_ID6, MAX_NEXTHOPS};

/// Words of a row.
pub const COLUMNS: usize = 256;

/// Rows of the root, which takes the first two bytes, a word each.
pub const ROOT_ROWS: u32 = 256;

/// A row: the value of the maps `ROWS4` and `ROWS6`.
pub type Row = [u32; COLUMNS];

/// The word of a slot without a route. A new map is all zeroes.
pub const NO_ROUTE: u32 = 0;

/// Quarters of a row: what a node's place is counted in.
pub const QUARTERS: u32 = 4;

/// Slots of a node below the root.
pub const SLOTS: u32 = 256;

/// How wide the slots of a node are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u32)]
pub enum Width {
    /// A byte: leaves of ids below 255 of the family. The node is a quarter of
    /// a row.
    Byte = 0,
    /// Two: leaves of ids below 65,535 of the family. Half a row.
    Half = 1,
    /// A word: every leaf and children. A row.
    Word = 2,
}

impl Width {
    /// The narrowest that holds a leaf of a family ([`BASE4`] or [`BASE6`]).
    pub const fn of_leaf(word: u32, base: u32) -> Width {
        match narrowed(word, base) {
            Some(0..=0xff) => Width::Byte,
            Some(0x100..=0xffff) => Width::Half,
            _ => Width::Word,
        }
    }

    /// Quarters of a row that a node takes.
    pub const fn quarters(self) -> u32 {
        1 << self as u32
    }
}

/// Where a node is, and how wide.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Node {
    /// The quarter of a row at which it begins.
    pub quarter: u32,
    /// Of its slots.
    pub width: Width,
}

impl Node {
    /// The root, whose slots are of two bytes of the address.
    pub const ROOT: Node = Node {
        quarter: 0,
        width: Width::Word,
    };
}

const CHILD: u32 = 1 << 31;
const WIDTH_SHIFT: u32 = 29;
const QUARTER: u32 = (1 << WIDTH_SHIFT) - 1;

/// `word >> WIDTH_SHIFT` of a child of each width; of a leaf it is less.
const BYTE_CHILD: u32 = 4 + Width::Byte as u32;
const HALF_CHILD: u32 = 4 + Width::Half as u32;

/// The word of a slot that ends with a next-hop id.
#[inline(always)]
pub const fn leaf(id: u32) -> u32 {
    id + 1
}

/// The word of a slot that goes on with the next byte in another node.
#[inline(always)]
pub const fn child(node: Node) -> u32 {
    CHILD | (node.width as u32) << WIDTH_SHIFT | node.quarter
}

/// The node that a word leads to, if it is no leaf.
#[inline(always)]
pub const fn child_node(word: u32) -> Option<Node> {
    if word & CHILD == 0 {
        return None;
    }
    let width = match word >> WIDTH_SHIFT {
        BYTE_CHILD => Width::Byte,
        HALF_CHILD => Width::Half,
        _ => Width::Word,
    };
    Some(Node {
        quarter: word & QUARTER,
        width,
    })
}

/// How far the ids of IPv4 are from those that its narrow slots hold.
pub const BASE4: u32 = 0;

/// Those of IPv6: the reasons' ids are followed by [`FIRST_ID6`] in them.
pub const BASE6: u32 = FIRST_ID6 - FIRST_ID4;

/// The last word of a leaf with a reason's id, which both families share.
const LAST_SHARED: u32 = leaf(FIRST_ID4 - 1);

/// What a narrow slot holds for a leaf, if it is wide enough; `None` for the
/// leaf of another family's id.
pub const fn narrowed(word: u32, base: u32) -> Option<u32> {
    if word <= LAST_SHARED {
        return Some(word);
    }
    match word.checked_sub(base) {
        Some(value) if value > LAST_SHARED => Some(value),
        _ => None,
    }
}

/// The leaf that a narrow slot stands for.
#[inline(always)]
pub const fn widened(value: u32, base: u32) -> u32 {
    if base != 0 && value > LAST_SHARED {
        value + base
    } else {
        value
    }
}

/// Read access to the rows, as one array of words, of halves and of bytes.
/// Beyond its end, where no word of a sound table leads, there is [`NO_ROUTE`].
pub trait Rows {
    /// A word of it.
    fn word(&self, index: u32) -> u32;

    /// A half of a word, as it lies in memory.
    #[inline(always)]
    fn half(&self, index: u32) -> u32 {
        let [a, b, c, d] = self.word(index / 2).to_ne_bytes();
        let half = if index.is_multiple_of(2) {
            [a, b]
        } else {
            [c, d]
        };
        u16::from_ne_bytes(half).into()
    }

    /// A byte.
    #[inline(always)]
    fn byte(&self, index: u32) -> u32 {
        self.word(index / 4).to_ne_bytes()[index as usize % 4].into()
    }
}

/// The next-hop id of the longest match of an IPv4 address, in network order as
/// loaded from a frame; `None` where there is none.
#[inline(always)]
pub fn lookup4<R: Rows>(rows: &R, address_be: u32) -> Option<u32> {
    let mut word = rows.word(first_two(address_be));
    if word & CHILD != 0 {
        word = below::<R, BASE4>(rows, word, byte(address_be, 2));
        if word & CHILD != 0 {
            word = below::<R, BASE4>(rows, word, byte(address_be, 3));
        }
    }
    next_hop(word)
}

/// The next-hop id of the longest match of an IPv6 address, its words in network
/// order as loaded from a frame, the most significant first; `None` where there
/// is none.
#[inline(always)]
pub fn lookup6<R: Rows>(rows: &R, address_be: [u32; 4]) -> Option<u32> {
    let mut word = rows.word(first_two(address_be[0]));
    // Written out: a loop over the address would read it by a variable index,
    // which costs the program a copy on its stack and the verifier a proof.
    macro_rules! go_on {
        ($($number:literal)*) => { $(
            if word & CHILD == 0 {
                return next_hop(word);
            }
            word = below::<R, BASE6>(rows, word, byte(address_be[$number / 4], $number % 4));
        )* };
    }
    go_on!(2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    next_hop(word)
}

/// The first two bytes of an address's first word: the slot of the root.
#[inline(always)]
const fn first_two(word_be: u32) -> u32 {
    let [a, b, _, _] = word_be.to_ne_bytes();
    u16::from_be_bytes([a, b]) as u32
}

/// A byte of a word: no word needs to be swapped for it.
#[inline(always)]
const fn byte(word_be: u32, number: usize) -> u32 {
    word_be.to_ne_bytes()[number] as u32
}

/// The word at a column of the child that a word leads to. Narrow ones, where
/// most lookups end, are asked for first.
#[inline(always)]
fn below<R: Rows, const BASE: u32>(rows: &R, word: u32, column: u32) -> u32 {
    let quarter = word & QUARTER;
    match word >> WIDTH_SHIFT {
        BYTE_CHILD => widened(rows.byte(quarter << 8 | column), BASE),
        HALF_CHILD => widened(rows.half(quarter << 7 | column), BASE),
        _ => rows.word(quarter << 6 | column),
    }
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

const _: () = assert!(
    leaf(MAX_NEXTHOPS) < 1 << WIDTH_SHIFT,
    "a leaf is no child of any width"
);
