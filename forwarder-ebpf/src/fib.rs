//! Looks destinations up: prefix → next-hop id → word.
//!
//! The one place that knows the engine. Called by `forward`.

use aya_ebpf::maps::lpm_trie::Key;
use forwarder_common::abi::{Adjacency, OWN_FILTER_WORDS, engine, own_hash};
use forwarder_common::trie::{NO_ROUTE, Rows, lookup4};

use crate::maps;

/// Set at load, one of [`engine`]. In read-only memory, which the verifier
/// knows: the branch not taken is not in the program that runs.
#[unsafe(no_mangle)]
static ENGINE: u32 = engine::LPM_TRIE;

/// The next-hop word of the longest match; `None` = no route.
#[inline(always)]
pub fn lookup(destination_be: u32) -> Option<u32> {
    let id = nexthop_id(destination_be)?;
    // An id out of range cannot be: the daemon allocates below the map's size.
    // Were it so, the packet goes up as one without a route.
    let word = maps::NEXTHOP.get_ptr(id)?;
    // SAFETY: a map value; volatile because the daemon stores it at any time.
    Some(unsafe { core::ptr::read_volatile(word) })
}

#[inline(always)]
fn nexthop_id(destination_be: u32) -> Option<u32> {
    // SAFETY: a constant; volatile because the loader sets another value than
    // the one that LLVM sees.
    if unsafe { core::ptr::read_volatile(&raw const ENGINE) } == engine::MULTIBIT {
        lookup4(&MappedRows, u32::from_be(destination_be))
    } else {
        maps::ROUTES4.get(Key::new(32, destination_be)).copied()
    }
}

/// The rows of the trie in map `ROWS4`.
struct MappedRows;

impl Rows for MappedRows {
    #[inline(always)]
    fn word(&self, row: u32, column: u32) -> u32 {
        let Some(row) = maps::ROWS4.get_ptr(row) else {
            return NO_ROUTE;
        };
        let row = row as *const u32;
        // SAFETY: a row has a word for each value of a byte; volatile because
        // the daemon stores it at any time.
        unsafe { core::ptr::read_volatile(row.add((column & 0xff) as usize)) }
    }
}

/// The adjacency of a word of kind `Adjacency`.
#[inline(always)]
pub fn adjacency(slot: u32) -> Option<&'static mut Adjacency> {
    let pointer = maps::ADJACENCY.get_ptr_mut(slot)?;
    // SAFETY: map values live as long as the program; all but `used` is
    // immutable while a word refers to the slot.
    Some(unsafe { &mut *pointer })
}

/// Whether the address is one of our own: a one-hash filter in front of the
/// exact set, since nearly every source is not.
#[inline(always)]
pub fn is_own(address_be: u32) -> bool {
    let Some(filter) = maps::OWN_FILTER.get(0) else {
        return false;
    };
    let (word, bit) = own_hash(address_be);
    // SAFETY: `own_hash` masks the index to OWN_FILTER_WORDS.
    let word = unsafe { *filter.words.get_unchecked(word & (OWN_FILTER_WORDS - 1)) };
    // SAFETY: aya marks lookups unsafe because of concurrent updates; the value
    // is not read.
    word & (1 << bit) != 0 && unsafe { maps::OWN4.get(address_be) }.is_some()
}
