//! Maps that are one array as a single value, mapped into this process.
//!
//! Owned by [`super::tables`] and [`super::routes`]. A store through the mapping
//! is what programs read next, without a system call; `bpf(2)` could only
//! replace the whole value, by a copy that readers would see half done
//! (`array_map_update_elem` in `kernel/bpf/arraymap.c`). aya has no call for it.
//! Every word is stored at once; what is wider is filled while nothing refers to
//! it.
#![expect(unsafe_code, reason = "aya cannot map a map into memory")]

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicU32, Ordering};

use aya::maps::MapData;
use forwarder_common::trie::{COLUMNS, NO_ROUTE, Rows};
use forwarder_core::fib::trie::RowStore;

/// The mapping, a number of words.
pub struct MappedWords {
    words: NonNull<AtomicU32>,
    len: usize,
    /// Held open, though the mapping keeps it alive: so that its memory is found
    /// where the others' is (see [`super::memlock`]).
    _map: MapData,
}

// SAFETY: the mapping belongs to the process, not to a thread, and the words
// are atomic.
unsafe impl Send for MappedWords {}

impl MappedWords {
    /// Maps the first `len` words of the map's value.
    pub fn new(map: MapData, len: usize) -> io::Result<MappedWords> {
        let fd = map.fd().as_fd().as_raw_fd();
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
        // SAFETY: asks for new memory; nothing of ours is touched. The kernel
        // refuses a length beyond the map's.
        let start = unsafe { libc::mmap(null_mut(), len * 4, protection, flags, fd, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let words = NonNull::new(start.cast()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(MappedWords {
            words,
            len,
            _map: map,
        })
    }

    fn get(&self, index: usize) -> Option<&AtomicU32> {
        if index >= self.len {
            return None;
        }
        // SAFETY: within the mapping by the test above, page-aligned at its
        // start, and mapped until `self` is dropped. BPF programs, the other
        // users of these bytes, read and write each word at once.
        Some(unsafe { self.words.add(index).as_ref() })
    }

    /// The word at an index; `None` beyond the end.
    pub fn load(&self, index: usize) -> Option<u32> {
        self.get(index).map(|word| word.load(Ordering::Acquire))
    }

    /// Stores a word after all that was stored before it. False beyond the end.
    #[must_use = "an index beyond the end stores nothing"]
    pub fn store(&mut self, index: usize, word: u32) -> bool {
        let place = self.get(index);
        if let Some(place) = place {
            place.store(word, Ordering::Release);
        }
        place.is_some()
    }

    /// Stores the element at an index of an array of such elements, its first
    /// word last. False beyond the end.
    #[must_use = "an index beyond the end stores nothing"]
    pub fn store_element<const N: usize>(&mut self, index: u32, words: [u32; N]) -> bool {
        let first = index as usize * N;
        let mut stored = true;
        for (offset, word) in words.into_iter().enumerate().rev() {
            stored &= self.store(first + offset, word);
        }
        stored
    }
}

impl Drop for MappedWords {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this length; no reference outlives `self`.
        unsafe { libc::munmap(self.words.as_ptr().cast(), self.len * 4) };
    }
}

/// The rows of the route table of the engine `multibit`.
pub struct MappedRows(MappedWords);

impl MappedRows {
    /// Maps `rows` rows, all that the map has.
    pub fn new(map: MapData, rows: u32) -> io::Result<MappedRows> {
        MappedWords::new(map, rows as usize * COLUMNS).map(MappedRows)
    }
}

fn index(row: u32, column: u32) -> usize {
    row as usize * COLUMNS + column as usize % COLUMNS
}

impl Rows for MappedRows {
    fn word(&self, index: u32) -> u32 {
        self.0.load(index as usize).unwrap_or(NO_ROUTE)
    }
}

impl RowStore for MappedRows {
    fn load(&self, row: u32, column: u32) -> u32 {
        self.0.load(index(row, column)).unwrap_or(NO_ROUTE)
    }

    fn store(&mut self, row: u32, column: u32, word: u32) {
        let stored = self.0.store(index(row, column), word);
        debug_assert!(stored, "the trie has as many rows as the map");
    }
}
