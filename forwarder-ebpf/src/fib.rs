//! Looks addresses up: prefix → next-hop id → word.
//!
//! The one place that knows the engines with tables of our own. Called by
//! `forward` and `packet`.

use core::hint::black_box;

use aya_ebpf::maps::lpm_trie::Key;
use forwarder_common::abi::{
    Adjacency, FIRST_COUNTED, FIRST_ID4, FIRST_ID6, GROUP_BUCKETS, GROUP_LINKS, NexthopKind,
    OWN_FILTER_WORDS, PORT_SLOTS, Port, engine, nexthop_word, own_fold, own_hash,
};
use forwarder_common::flow::FlowHash;
use forwarder_common::reason::Reason;
use forwarder_common::trie::{self, NO_ROUTE, Row, Rows};

use crate::maps::{self, Table};
use crate::opaque::opaque;

/// Set at load, one of [`engine`]. In read-only memory, which the verifier
/// knows: the branch not taken is not in the program that runs.
#[unsafe(no_mangle)]
static ENGINE: u32 = engine::LPM_TRIE;

/// Likewise: the seed of the flow hash.
#[unsafe(no_mangle)]
static SEED: u32 = 0;

/// Words of `ROWS4`, whose size is set at load. The verifier knows them, too: a
/// comparison with them is all that a load wants. 0 where each row is an entry:
/// kernels before 6.0 take no value of more than 4 MiB.
#[unsafe(no_mangle)]
static WORDS4: u32 = 0;

/// Those of `ROWS6`.
#[unsafe(no_mangle)]
static WORDS6: u32 = 0;

/// One of [`engine`].
#[inline(always)]
pub fn engine() -> u32 {
    // SAFETY: a constant; volatile because the loader sets another value than
    // the one that LLVM sees.
    unsafe { core::ptr::read_volatile(&raw const ENGINE) }
}

/// The seed of this router's flow hash.
#[inline(always)]
pub fn seed() -> u32 {
    // SAFETY: as in `engine`.
    unsafe { core::ptr::read_volatile(&raw const SEED) }
}

/// What a lookup finds: a next-hop id and its word. Of an `Option` LLVM would
/// keep what `None` leaves undefined, which the verifier refuses to see kept.
#[derive(Clone, Copy)]
pub struct Found {
    pub id: u32,
    pub word: u32,
}

/// No route is a way, too: up, counted as what it is.
const NO_WAY: Found = Found {
    id: 0,
    word: nexthop_word(NexthopKind::Up, Reason::NoRoute as u32),
};

impl Found {
    #[inline(always)]
    fn of(id: Option<u32>) -> Found {
        let Some(id) = id else {
            return NO_WAY;
        };
        match nexthop(id) {
            Some(word) => Found { id, word },
            None => NO_WAY,
        }
    }
}

/// An IPv4 address's longest match.
#[inline(always)]
pub fn lookup4(address_be: u32) -> Found {
    Found::of(id4(address_be))
}

#[inline(always)]
fn id4(address_be: u32) -> Option<u32> {
    match engine() {
        engine::MULTIBIT => {}
        engine::LPM_TRIE => return maps::ROUTES4.get(Key::new(32, address_be)).copied(),
        engine::CONSTANT => return Some(FIRST_ID4),
        _ => return None,
    }
    // SAFETY: as in `engine`.
    let words = unsafe { core::ptr::read_volatile(&raw const WORDS4) };
    let rows = MappedRows::new(&maps::ROWS4, words)?;
    trie::lookup4(&rows, address_be)
}

/// An IPv6 address's.
#[inline(always)]
pub fn lookup6(address_be: &[u32; 4]) -> Found {
    Found::of(id6(address_be))
}

#[inline(always)]
fn id6(address_be: &[u32; 4]) -> Option<u32> {
    match engine() {
        engine::MULTIBIT => {}
        engine::LPM_TRIE => return maps::ROUTES6.get(Key::new(128, *address_be)).copied(),
        engine::CONSTANT => return Some(FIRST_ID6),
        _ => return None,
    }
    // SAFETY: as in `engine`.
    let words = unsafe { core::ptr::read_volatile(&raw const WORDS6) };
    let rows = MappedRows::new(&maps::ROWS6, words)?;
    trie::lookup6(&rows, *address_be)
}

/// The word of a next-hop id. One out of range cannot be: the daemon allocates
/// below the map's size. Were it so, the packet goes up as one without a route.
#[inline(always)]
pub fn nexthop(id: u32) -> Option<u32> {
    let word = element(&maps::NEXTHOP, id)?;
    // SAFETY: a map value; volatile because the daemon stores it at any time.
    Some(unsafe { core::ptr::read_volatile(word) })
}

/// An element of a table.
#[inline(always)]
pub fn element<T, const N: usize>(table: &'static Table<[T; N]>, index: u32) -> Option<*mut T> {
    let first = table.get_ptr_mut(0)? as *mut T;
    let index = opaque(index as usize);
    if index >= N {
        return None;
    }
    // SAFETY: within the value.
    Some(unsafe { first.add(index) })
}

/// The rows of a trie.
struct MappedRows<const N: usize> {
    table: &'static Table<[Row; N]>,
    first: *const u32,
    words: u32,
}

impl<const N: usize> MappedRows<N> {
    #[inline(always)]
    fn new(table: &'static Table<[Row; N]>, words: u32) -> Option<Self> {
        let first = table.get_ptr(0)? as *const u32;
        Some(MappedRows {
            table,
            first,
            words,
        })
    }

    /// Where an element of the array of rows is, counted in elements of `T`;
    /// rows may be entries of their own.
    #[inline(always)]
    fn element<T>(&self, index: u32) -> Option<*const T> {
        if self.words == 0 {
            let columns = (size_of::<Row>() / size_of::<T>()) as u32;
            let row = self.table.get_ptr(index / columns)? as *const T;
            // SAFETY: within the row.
            return Some(unsafe { row.add((index % columns) as usize) });
        }
        let index = opaque(index as usize);
        if index >= self.words as usize * (size_of::<u32>() / size_of::<T>()) {
            return None;
        }
        // SAFETY: within the value, whose size in words `words` is.
        Some(unsafe { (self.first as *const T).add(index) })
    }
}

impl<const N: usize> Rows for MappedRows<N> {
    #[inline(always)]
    fn word(&self, index: u32) -> u32 {
        match self.element::<u32>(index) {
            // SAFETY: by `element`; volatile because the daemon stores words at
            // any time.
            Some(word) => unsafe { core::ptr::read_volatile(word) },
            None => NO_ROUTE,
        }
    }

    #[inline(always)]
    fn half(&self, index: u32) -> u32 {
        match self.element::<u16>(index) {
            // SAFETY: as above.
            Some(half) => unsafe { core::ptr::read_volatile(half) }.into(),
            None => NO_ROUTE,
        }
    }

    #[inline(always)]
    fn byte(&self, index: u32) -> u32 {
        match self.element::<u8>(index) {
            // SAFETY: as above.
            Some(byte) => unsafe { core::ptr::read_volatile(byte) }.into(),
            None => NO_ROUTE,
        }
    }
}

/// The next-hop id that a flow's packets take of a group.
#[inline(always)]
pub fn member(slot: u32, flow: FlowHash) -> Option<u32> {
    let buckets = maps::GROUP.get_ptr(slot)? as *const u32;
    // Hidden from LLVM, which would drop the mask that the verifier wants.
    let bucket = black_box(flow.bucket(GROUP_BUCKETS)) & (GROUP_BUCKETS - 1);
    // SAFETY: masked to the length of the value.
    Some(unsafe { core::ptr::read_volatile(buckets.add(bucket)) })
}

/// Whether a group leaves by an interface; `None` where it has more of them
/// than are listed.
#[inline(always)]
pub fn group_leaves_by(slot: u32, ifindex: u32) -> Option<bool> {
    let links = maps::GROUP_LINKS.get(slot)?;
    let mut link = 0;
    while link < GROUP_LINKS {
        if links[link] == ifindex {
            return Some(true);
        }
        if links[link] == 0 {
            return Some(false);
        }
        link += 1;
    }
    None
}

/// Counts a packet of a route that is counted by itself.
#[inline(always)]
pub fn count_route(id: u32, bytes: u32) {
    let Some(counter) = maps::ROUTE_COUNTERS.get_ptr_mut(id.wrapping_sub(FIRST_COUNTED)) else {
        return;
    };
    // SAFETY: a per-CPU value; XDP programs do not preempt one another on it.
    unsafe {
        (*counter).packets += 1;
        (*counter).bytes += u64::from(bytes);
    }
}

/// The adjacency of a word of kind `Adjacency`.
#[inline(always)]
pub fn adjacency(slot: u32) -> Option<&'static mut Adjacency> {
    let pointer = element(&maps::ADJACENCY, slot)?;
    // SAFETY: map values live as long as the program; all but `used` is
    // immutable while a word refers to the slot.
    Some(unsafe { &mut *pointer })
}

/// The entry in the port table where an interface's would be.
#[inline(always)]
pub fn port(ifindex: u32) -> Option<&'static Port> {
    let pointer = element(&maps::PORTS, ifindex & (PORT_SLOTS - 1))?;
    // SAFETY: a map value.
    Some(unsafe { &*pointer })
}

/// Whether the address is one of our own: a one-hash filter in front of the
/// exact set, since nearly every source is not.
#[inline(always)]
pub fn is_own4(address_be: u32) -> bool {
    // SAFETY: aya marks lookups unsafe because of concurrent updates; the value
    // is not read.
    may_be_own(address_be) && unsafe { maps::OWN4.get(address_be) }.is_some()
}

/// Likewise for IPv6.
#[inline(always)]
pub fn is_own6(address_be: &[u32; 4]) -> bool {
    // SAFETY: as above.
    may_be_own(own_fold(*address_be)) && unsafe { maps::OWN6.get(address_be) }.is_some()
}

#[inline(always)]
fn may_be_own(word: u32) -> bool {
    let Some(filter) = maps::OWN_FILTER.get(0) else {
        return false;
    };
    let (word, bit) = own_hash(word);
    // SAFETY: `own_hash` masks the index to OWN_FILTER_WORDS.
    let word = unsafe { *filter.words.get_unchecked(word & (OWN_FILTER_WORDS - 1)) };
    word & (1 << bit) != 0
}
