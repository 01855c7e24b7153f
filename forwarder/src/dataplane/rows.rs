//! The rows of the route table of the engine `multibit`: a BPF array that is
//! mapped into this process.
//!
//! Owned by [`super::routes`]. A store through the mapping is what programs
//! read next, without a system call; `bpf(2)` could only replace a whole row,
//! by a copy that readers would see half done (`array_map_update_elem` in
//! `kernel/bpf/arraymap.c`). aya has no call for it.
#![expect(unsafe_code, reason = "aya cannot map a map into memory")]

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicU32, Ordering};

use aya::maps::MapData;
use forwarder_common::trie::{COLUMNS, NO_ROUTE, Row, Rows};
use forwarder_core::fib::trie::RowStore;

/// The mapping. It keeps the map alive by itself.
pub struct MappedRows {
    words: NonNull<AtomicU32>,
    rows: u32,
}

// SAFETY: the mapping belongs to the process, not to a thread, and the words
// are atomic.
unsafe impl Send for MappedRows {}

impl MappedRows {
    /// Maps `rows` rows, all that the map has.
    pub fn new(map: &MapData, rows: u32) -> io::Result<MappedRows> {
        let fd = map.fd().as_fd().as_raw_fd();
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
        // SAFETY: asks for new memory; nothing of ours is touched. The kernel
        // refuses a length beyond the map's.
        let start = unsafe { libc::mmap(null_mut(), bytes(rows), protection, flags, fd, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let words = NonNull::new(start.cast()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(MappedRows { words, rows })
    }

    fn get(&self, row: u32, column: u32) -> Option<&AtomicU32> {
        if row >= self.rows {
            return None;
        }
        let index = row as usize * COLUMNS + column as usize % COLUMNS;
        // SAFETY: within the mapping by the test above, page-aligned at its
        // start, and mapped until `self` is dropped. The other users of these
        // bytes, BPF programs, only read them, each word at once.
        Some(unsafe { self.words.add(index).as_ref() })
    }
}

impl Drop for MappedRows {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this length; no reference outlives `self`.
        unsafe { libc::munmap(self.words.as_ptr().cast(), bytes(self.rows)) };
    }
}

impl Rows for MappedRows {
    fn word(&self, row: u32, column: u32) -> u32 {
        let word = self.get(row, column);
        word.map_or(NO_ROUTE, |word| word.load(Ordering::Acquire))
    }
}

impl RowStore for MappedRows {
    fn load(&self, row: u32, column: u32) -> u32 {
        self.word(row, column)
    }

    fn store(&mut self, row: u32, column: u32, word: u32) {
        debug_assert!(row < self.rows, "the trie has as many rows as the map");
        if let Some(place) = self.get(row, column) {
            place.store(word, Ordering::Release);
        }
    }
}

fn bytes(rows: u32) -> usize {
    rows as usize * size_of::<Row>()
}
