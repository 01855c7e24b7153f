//! Writes the route table of the engine `multibit` in place, under the
//! readers: [`forwarder_common::trie`] says what it looks like.
//!
//! Owned by the daemon's `dataplane::tables`, which carries out
//! [`FibOp`](super::FibOp)s with it; the rows are a mapped BPF map there and a
//! vector in tests. Readers take no lock, and every single store leaves each
//! address with its longest match of before or of after the change:
//!
//! * a new row is filled completely before the word that leads to it is stored;
//! * a row without longer prefixes than its parent could hold is cut off by one
//!   store of the leaf that all its slots have come to hold, and used again
//!   only when no reader can be in it ([`Trie::take_freed`]);
//! * everything else is a leaf that changes from the old match to the new one.
//!
//! A change of a short prefix stores many words (a /8 at least 256, a default
//! route over a full Internet table 800,000, 50 ms), so readers may meet the
//! old match of one address after the new one of another, as with any router.
//!
//! Memory in user space: for each row in use 258 bytes, which say how long the
//! prefix is that each slot's leaf comes from, so that a shorter one does not
//! overwrite it; and the [`prefixes`] themselves. Building the table anew for
//! each change would need neither, and 10 ms a change for a full table.

use forwarder_common::trie::{COLUMNS, NO_ROUTE, ROOT_ROWS, child, child_row, leaf};
use thiserror::Error;

use super::FibFamily;
use super::pool::Pool;

mod prefixes;
#[cfg(test)]
mod tests;

pub use prefixes::Bits;
use prefixes::{Prefix, Prefixes, base};

/// Where the rows are.
pub trait RowStore {
    /// The word that the last [`RowStore::store`] left; 0 at first.
    fn load(&self, row: u32, column: u32) -> u32;

    /// Stores a word at once and after all that was stored before it: an
    /// aligned store with release order.
    fn store(&mut self, row: u32, column: u32, word: u32);
}

/// No row is free for the prefix. The table is as it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error(
    "the route table's {rows} rows are all in use; everything goes up until it is larger \
     (`{setting}` is its size at the start)"
)]
pub struct Full {
    /// How many there are.
    pub rows: u32,
    /// The configuration's name for that.
    pub setting: &'static str,
}

/// What a slot holds when it holds no child: a word and the length of the
/// prefix that it is from, 0 where there is none.
#[derive(Clone, Copy)]
struct Leaf {
    word: u32,
    len: u8,
}

/// What the writer knows of a row.
struct RowState {
    /// [`Leaf::len`] of each slot; of no meaning for a child.
    lengths: [u8; COLUMNS],
    /// Slots that keep the row alive: children, and leaves of prefixes longer
    /// than the way to the row.
    own: u16,
}

impl RowState {
    const EMPTY: RowState = RowState {
        lengths: [0; COLUMNS],
        own: 0,
    };
}

/// A word's place.
#[derive(Clone, Copy)]
struct Slot {
    row: u32,
    column: u32,
}

/// A slot of a node, which is one row, but for the root.
fn slot(node: u32, index: u32) -> Slot {
    Slot {
        row: node + (index >> 8),
        column: index & 0xff,
    }
}

fn key<F: FibFamily>(prefix: F::Prefix) -> Prefix<F::Bits> {
    Prefix::new(F::bits(F::network(&prefix)), F::len(&prefix))
}

/// The row at which the root starts.
const ROOT: u32 = 0;

/// The writer.
pub struct Trie<F: FibFamily> {
    prefixes: Prefixes<F::Bits>,
    /// By row, up to the highest ever used.
    states: Vec<RowState>,
    pool: Pool,
    rows: u32,
}

impl<F: FibFamily> Trie<F> {
    /// An empty table in `rows` rows of zeroes, of which the root takes
    /// [`ROOT_ROWS`].
    pub fn new(rows: u32) -> Self {
        let rows = rows.max(ROOT_ROWS);
        let mut states = Vec::new();
        states.resize_with(ROOT_ROWS as usize, || RowState::EMPTY);
        Trie {
            prefixes: Prefixes::new(),
            states,
            pool: Pool::new(ROOT_ROWS..rows),
            rows,
        }
    }

    /// All rows, in use or not.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// Rows that lookups go through, the root's included.
    pub fn rows_used(&self) -> u32 {
        ROOT_ROWS + self.pool.in_use()
    }

    /// Whether [`Trie::take_freed`] has something to give.
    pub fn has_freed(&self) -> bool {
        self.pool.resting() > 0
    }

    /// Rows that lookups no longer get into. The caller waits until the
    /// readers that then ran have ended, and hands them to [`Trie::release`];
    /// rows that it does not hand back are lost.
    #[must_use = "rows that are not released are lost"]
    pub fn take_freed(&mut self) -> Vec<u32> {
        self.pool.take_resting()
    }

    /// Takes freed rows back for reuse after the grace period.
    pub fn release(&mut self, rows: Vec<u32>) {
        self.pool.release(rows);
    }

    /// Routes a prefix by a next-hop id, new or in the place of another. Only a
    /// prefix that is new can fail.
    pub fn insert(
        &mut self,
        prefix: F::Prefix,
        id: u32,
        store: &mut impl RowStore,
    ) -> Result<(), Full> {
        let prefix = key::<F>(prefix);
        if self.missing(prefix, store) > self.pool.available() {
            return Err(self.full());
        }
        let leaf = Leaf {
            word: leaf(id),
            len: prefix.len,
        };
        self.insert_below(ROOT, 0, prefix, leaf, store)?;
        self.prefixes.insert(prefix, id);
        Ok(())
    }

    /// Forgets a prefix; what it covered goes to the next shorter one. False,
    /// and nothing is done, where there is no such prefix.
    pub fn remove(&mut self, prefix: F::Prefix, store: &mut impl RowStore) -> bool {
        let prefix = key::<F>(prefix);
        if !self.prefixes.remove(prefix) {
            return false;
        }
        let behind = match self.prefixes.covering(prefix) {
            Some((len, id)) => Leaf {
                word: leaf(id),
                len,
            },
            None => Leaf {
                word: NO_ROUTE,
                len: 0,
            },
        };
        self.remove_below(ROOT, 0, prefix, behind, store);
        true
    }

    fn full(&self) -> Full {
        Full {
            rows: self.rows,
            setting: F::ROWS_SETTING,
        }
    }

    /// How many rows an insertion takes.
    fn missing(&self, prefix: Prefix<F::Bits>, store: &impl RowStore) -> u32 {
        let mut node = ROOT;
        for level in 0..prefix.level() {
            let at = slot(node, prefix.index(level));
            match child_row(store.load(at.row, at.column)) {
                Some(row) => node = row,
                None => return u32::from(prefix.level() - level),
            }
        }
        0
    }

    fn insert_below(
        &mut self,
        node: u32,
        level: u8,
        prefix: Prefix<F::Bits>,
        leaf: Leaf,
        store: &mut impl RowStore,
    ) -> Result<(), Full> {
        if level == prefix.level() {
            for index in prefix.slots() {
                self.push(
                    slot(node, index),
                    level,
                    &|len| len <= leaf.len,
                    leaf,
                    store,
                );
            }
            return Ok(());
        }
        let at = slot(node, prefix.index(level));
        let word = store.load(at.row, at.column);
        if let Some(row) = child_row(word) {
            return self.insert_below(row, level + 1, prefix, leaf, store);
        }
        let above = Leaf {
            word,
            len: self.length(at),
        };
        let row = self.pool.take().ok_or_else(|| self.full())?;
        self.fill(row, level + 1, above, store);
        // Nobody sees the row yet: what is below it is made in place.
        self.insert_below(row, level + 1, prefix, leaf, store)?;
        self.set(at, level, child(row), 0, store);
        Ok(())
    }

    fn remove_below(
        &mut self,
        node: u32,
        level: u8,
        prefix: Prefix<F::Bits>,
        behind: Leaf,
        store: &mut impl RowStore,
    ) {
        if level == prefix.level() {
            for index in prefix.slots() {
                let its = |len| len == prefix.len;
                self.push(slot(node, index), level, &its, behind, store);
            }
            return;
        }
        let at = slot(node, prefix.index(level));
        let Some(row) = child_row(store.load(at.row, at.column)) else {
            return;
        };
        self.remove_below(row, level + 1, prefix, behind, store);
        if self.states[row as usize].own == 0 {
            // Every leaf is from above the row, so all are the same.
            let word = store.load(row, 0);
            let len = self.states[row as usize].lengths[0];
            self.set(at, level, word, len, store);
            self.pool.put(row);
        }
    }

    /// Stores a leaf into a slot, or into all slots under it, where the length
    /// of the leaf there says so.
    fn push(
        &mut self,
        at: Slot,
        level: u8,
        replaces: &impl Fn(u8) -> bool,
        leaf: Leaf,
        store: &mut impl RowStore,
    ) {
        if let Some(row) = child_row(store.load(at.row, at.column)) {
            for column in 0..COLUMNS as u32 {
                self.push(Slot { row, column }, level + 1, replaces, leaf, store);
            }
        } else if replaces(self.length(at)) {
            self.set(at, level, leaf.word, leaf.len, store);
        }
    }

    /// Fills a row that nobody sees with one leaf.
    fn fill(&mut self, row: u32, level: u8, leaf: Leaf, store: &mut impl RowStore) {
        let index = row as usize;
        if self.states.len() <= index {
            self.states.resize_with(index + 1, || RowState::EMPTY);
        }
        for column in 0..COLUMNS as u32 {
            store.store(row, column, leaf.word);
        }
        debug_assert!(leaf.len <= base(level), "the leaf is from above");
        self.states[index] = RowState {
            lengths: [leaf.len; COLUMNS],
            own: 0,
        };
    }

    fn length(&self, at: Slot) -> u8 {
        self.states[at.row as usize].lengths[at.column as usize]
    }

    /// Changes a slot of a node of a level.
    fn set(&mut self, at: Slot, level: u8, word: u32, len: u8, store: &mut impl RowStore) {
        let is_own = |word, len| child_row(word).is_some() || len > base(level);
        let old = store.load(at.row, at.column);
        let state = &mut self.states[at.row as usize];
        let length = &mut state.lengths[at.column as usize];
        state.own -= u16::from(is_own(old, *length));
        state.own += u16::from(is_own(word, len));
        *length = len;
        if word != old {
            store.store(at.row, at.column, word);
        }
    }
}
