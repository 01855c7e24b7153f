//! Writes the route table of the engine `multibit` in place, under the
//! readers: [`forwarder_common::trie`] says what it looks like.
//!
//! Owned by the daemon's `dataplane::tables`, which carries out
//! [`FibOp`](super::FibOp)s with it; the rows are a mapped BPF map there and a
//! vector in tests. Readers take no lock, and every single store leaves each
//! address with its longest match of before or of after the change:
//!
//! * a new node is filled completely before the word that leads to it is stored;
//! * a node without longer prefixes than its parent could hold is cut off by one
//!   store of the leaf that all its slots have come to hold, and its room used
//!   again only when no reader can be in it ([`Trie::take_freed`]);
//! * a node whose slots are too narrow for what comes is copied into a wider one,
//!   which then takes its place;
//! * everything else is a leaf that changes from the old match to the new one.
//!
//! A node's slots hold every prefix that covers it, also those that longer ones
//! hide: so a removal, which brings them out, never needs room. Nodes get no
//! narrower while they last.
//!
//! A change of a short prefix stores many words (a /8 at least 256, a default
//! route over a full Internet table 800,000, 50 ms), so readers may meet the
//! old match of one address after the new one of another, as with any router.
//!
//! Memory in user space: for each node 258 bytes, which say how long the
//! prefix is that each slot's leaf comes from, so that a shorter one does not
//! overwrite it; and the [`prefixes`] themselves. Building the table anew for
//! each change would need neither, and 10 ms a change for a full table.

use forwarder_common::trie::{
    COLUMNS, NO_ROUTE, Node, QUARTERS, ROOT_ROWS, SLOTS, Width, child, child_node, leaf, narrowed,
    widened,
};
use thiserror::Error;

use super::FibFamily;

mod prefixes;
mod space;
#[cfg(test)]
mod tests;

pub use prefixes::Bits;
use prefixes::{Prefix, Prefixes, base};
use space::{Count, Space};

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

/// What the writer knows of a node; of the root, of each row of it.
struct NodeState {
    /// [`Leaf::len`] of each slot; of no meaning for a child.
    lengths: [u8; SLOTS as usize],
    /// Slots that keep the node alive: children, and leaves of prefixes longer
    /// than the way to the node.
    own: u16,
}

impl NodeState {
    const EMPTY: NodeState = NodeState {
        lengths: [0; SLOTS as usize],
        own: 0,
    };
}

/// A slot of a node.
#[derive(Clone, Copy)]
struct Slot {
    node: Node,
    index: u32,
}

impl Slot {
    /// The word that it is in, by row and column, and which part of it.
    fn place(self) -> (u32, u32, usize) {
        let words = self.node.quarter * (COLUMNS as u32 / QUARTERS);
        let shift = Width::Word as u32 - self.node.width as u32;
        let word = words + (self.index >> shift);
        let part = self.index & ((1 << shift) - 1);
        let columns = COLUMNS as u32;
        (word / columns, word % columns, part as usize)
    }
}

/// One part of a word in the place of another.
fn with_part(word: u32, width: Width, part: usize, value: u32) -> u32 {
    let mut bytes = word.to_ne_bytes();
    match width {
        Width::Byte => bytes[part] = value as u8,
        Width::Half => bytes[2 * part..2 * part + 2].copy_from_slice(&(value as u16).to_ne_bytes()),
        Width::Word => return value,
    }
    u32::from_ne_bytes(bytes)
}

/// A part of a word.
fn part_of(word: u32, width: Width, part: usize) -> u32 {
    let bytes = word.to_ne_bytes();
    match width {
        Width::Byte => bytes[part].into(),
        Width::Half => u16::from_ne_bytes([bytes[2 * part], bytes[2 * part + 1]]).into(),
        Width::Word => word,
    }
}

fn key<F: FibFamily>(prefix: F::Prefix) -> Prefix<F::Bits> {
    Prefix::new(F::bits(F::network(&prefix)), F::len(&prefix))
}

/// The writer.
pub struct Trie<F: FibFamily> {
    prefixes: Prefixes<F::Bits>,
    /// By the quarter that the node begins at, up to the highest ever used.
    states: Vec<Option<Box<NodeState>>>,
    space: Space,
    rows: u32,
    /// The widest leaf there ever was: while none needs more than a byte, no
    /// node has to ask what covers it.
    widest: Width,
}

impl<F: FibFamily> Trie<F> {
    /// An empty table in `rows` rows of zeroes, of which the root takes
    /// [`ROOT_ROWS`].
    pub fn new(rows: u32) -> Self {
        let rows = rows.max(ROOT_ROWS);
        let mut states = Vec::new();
        for _ in 0..ROOT_ROWS {
            states.push(Some(Box::new(NodeState::EMPTY)));
            states.resize_with(states.len() + QUARTERS as usize - 1, || None);
        }
        Trie {
            prefixes: Prefixes::new(),
            states,
            space: Space::new(ROOT_ROWS..rows),
            rows,
            widest: Width::Byte,
        }
    }

    /// All rows, in use or not.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// Rows that lookups go through, the root's included, and those that rest.
    pub fn rows_used(&self) -> u32 {
        ROOT_ROWS + self.space.in_use()
    }

    /// Whether [`Trie::take_freed`] has something to give.
    pub fn has_freed(&self) -> bool {
        self.space.has_resting()
    }

    /// Nodes that lookups no longer get into. The caller waits until the
    /// readers that then ran have ended, and hands them to [`Trie::release`];
    /// the room of those that it does not hand back is lost.
    #[must_use = "nodes that are not released are lost"]
    pub fn take_freed(&mut self) -> Vec<u32> {
        self.space.take_resting()
    }

    /// Takes freed nodes back for reuse after the grace period.
    pub fn release(&mut self, nodes: Vec<u32>) {
        self.space.release(nodes);
    }

    /// Routes a prefix by a next-hop id, new or in the place of another. A
    /// prefix that is not new can only fail with an id that is beyond those of
    /// its nodes' slots.
    pub fn insert(
        &mut self,
        prefix: F::Prefix,
        id: u32,
        store: &mut impl RowStore,
    ) -> Result<(), Full> {
        let prefix = key::<F>(prefix);
        let leaf = Leaf {
            word: leaf(id),
            len: prefix.len,
        };
        let width = Self::width(leaf.word);
        if !self
            .space
            .has_room_for(self.missing(prefix, width, &*store))
        {
            return Err(self.full());
        }
        self.widest = self.widest.max(width);
        self.insert_below(Node::ROOT, 0, prefix, leaf, store)?;
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
        self.remove_below(Node::ROOT, 0, prefix, behind, store);
        true
    }

    fn full(&self) -> Full {
        Full {
            rows: self.rows,
            setting: F::ROWS_SETTING,
        }
    }

    /// The least width for a leaf.
    fn width(word: u32) -> Width {
        Width::of_leaf(word, F::LEAF_BASE)
    }

    /// The least width of the node of a level on the way to a prefix, whose own
    /// leaf needs `width`, and of what covers the node.
    fn least(&self, prefix: Prefix<F::Bits>, level: u8, width: Width) -> Width {
        if level < prefix.level() {
            return Width::Word;
        }
        if self.widest == Width::Byte {
            return width;
        }
        let covering = self.prefixes.all_covering(prefix, base(level));
        covering.fold(width, |least, id| least.max(Self::width(leaf(id))))
    }

    /// Which nodes an insertion takes.
    fn missing(&self, prefix: Prefix<F::Bits>, width: Width, store: &impl RowStore) -> Count {
        let mut count = Count::default();
        let mut node = Some(Node::ROOT);
        for level in 0..prefix.level() {
            let index = prefix.index(level);
            node = node.and_then(|node| child_node(self.load(Slot { node, index }, store)));
            let least = match node {
                // Wide enough for all that covers it already.
                Some(_) if level + 1 < prefix.level() => Width::Word,
                Some(_) => width,
                None => self.least(prefix, level + 1, width),
            };
            if node.is_none_or(|node| node.width < least) {
                count.add(least);
            }
        }
        if let Some(node) = node
            && width > Width::Byte
        {
            for index in prefix.slots() {
                self.missing_below(Slot { node, index }, width, &mut count, store);
            }
        }
        count
    }

    /// Which nodes under a slot are too narrow.
    fn missing_below(&self, at: Slot, width: Width, count: &mut Count, store: &impl RowStore) {
        let Some(node) = child_node(self.load(at, store)) else {
            return;
        };
        if node.width < width {
            count.add(width);
        }
        if node.width == Width::Word {
            for index in 0..SLOTS {
                self.missing_below(Slot { node, index }, width, count, store);
            }
        }
    }

    /// The node is wide enough for what is to be inserted: a leaf or a child.
    fn insert_below(
        &mut self,
        node: Node,
        level: u8,
        prefix: Prefix<F::Bits>,
        leaf: Leaf,
        store: &mut impl RowStore,
    ) -> Result<(), Full> {
        let width = Self::width(leaf.word);
        if level == prefix.level() {
            for index in prefix.slots() {
                let at = Slot { node, index };
                self.widen_below(at, width, store)?;
                self.push(at, level, &|len| len <= leaf.len, leaf, store);
            }
            return Ok(());
        }
        let index = prefix.index(level);
        let at = Slot { node, index };
        let word = self.load(at, store);
        if let Some(below) = child_node(word) {
            let least = if level + 1 < prefix.level() {
                Width::Word
            } else {
                width
            };
            let below = self.widen(at, below, least, store)?;
            return self.insert_below(below, level + 1, prefix, leaf, store);
        }
        let above = Leaf {
            word,
            len: self.length(at),
        };
        let least = self.least(prefix, level + 1, width);
        let below = self.space.take(least).ok_or_else(|| self.full())?;
        self.fill(below, level + 1, above, store);
        // Nobody sees the node yet: what is below it is made in place.
        self.insert_below(below, level + 1, prefix, leaf, store)?;
        self.set(at, level, child(below), 0, store);
        Ok(())
    }

    fn remove_below(
        &mut self,
        node: Node,
        level: u8,
        prefix: Prefix<F::Bits>,
        behind: Leaf,
        store: &mut impl RowStore,
    ) {
        if level == prefix.level() {
            for index in prefix.slots() {
                let its = |len| len == prefix.len;
                self.push(Slot { node, index }, level, &its, behind, store);
            }
            return;
        }
        let index = prefix.index(level);
        let at = Slot { node, index };
        let Some(below) = child_node(self.load(at, store)) else {
            return;
        };
        self.remove_below(below, level + 1, prefix, behind, store);
        let first = Slot {
            node: below,
            index: 0,
        };
        if self.state(first).own == 0 {
            // Every leaf is from above the node, so all are the same.
            let word = self.load(first, store);
            let len = self.length(first);
            self.set(at, level, word, len, store);
            self.states[below.quarter as usize] = None;
            self.space.put(below);
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
        if let Some(node) = child_node(self.load(at, store)) {
            for index in 0..SLOTS {
                self.push(Slot { node, index }, level + 1, replaces, leaf, store);
            }
        } else if replaces(self.length(at)) {
            self.set(at, level, leaf.word, leaf.len, store);
        }
    }

    /// Makes the nodes under a slot as wide as a leaf that covers them needs.
    fn widen_below(
        &mut self,
        at: Slot,
        least: Width,
        store: &mut impl RowStore,
    ) -> Result<(), Full> {
        if least == Width::Byte {
            return Ok(());
        }
        let Some(node) = child_node(self.load(at, store)) else {
            return Ok(());
        };
        if node.width == Width::Word {
            for index in 0..SLOTS {
                self.widen_below(Slot { node, index }, least, store)?;
            }
        }
        self.widen(at, node, least, store).map(drop)
    }

    /// Puts a wider copy in the place of the child at a slot, if it is too
    /// narrow.
    fn widen(
        &mut self,
        at: Slot,
        node: Node,
        least: Width,
        store: &mut impl RowStore,
    ) -> Result<Node, Full> {
        if node.width >= least {
            return Ok(node);
        }
        let wider = self.space.take(least).ok_or_else(|| self.full())?;
        for index in 0..SLOTS {
            let word = self.load(Slot { node, index }, store);
            let to = Slot { node: wider, index };
            self.store(to, word, store);
        }
        let state = self.states[node.quarter as usize].take();
        self.put_state(wider, state);
        // A child stays a child: nothing else changes in the parent.
        self.store(at, child(wider), store);
        self.space.put(node);
        Ok(wider)
    }

    /// Fills a node that nobody sees with one leaf.
    fn fill(&mut self, node: Node, level: u8, leaf: Leaf, store: &mut impl RowStore) {
        let value = Self::value(node.width, leaf.word);
        let word = match node.width {
            Width::Byte => value * 0x0101_0101,
            Width::Half => value * 0x0001_0001,
            Width::Word => value,
        };
        let quarter = COLUMNS as u32 / QUARTERS;
        let (row, first, _) = Slot { node, index: 0 }.place();
        for column in first..first + node.width.quarters() * quarter {
            store.store(row, column, word);
        }
        debug_assert!(leaf.len <= base(level), "the leaf is from above");
        let state = NodeState {
            lengths: [leaf.len; SLOTS as usize],
            own: 0,
        };
        self.put_state(node, Some(Box::new(state)));
    }

    fn put_state(&mut self, node: Node, state: Option<Box<NodeState>>) {
        let index = node.quarter as usize;
        if self.states.len() <= index {
            self.states.resize_with(index + 1, || None);
        }
        self.states[index] = state;
    }

    fn state(&self, at: Slot) -> &NodeState {
        match &self.states[state_index(at)] {
            Some(state) => state,
            None => &NodeState::EMPTY,
        }
    }

    fn length(&self, at: Slot) -> u8 {
        self.state(at).lengths[(at.index % SLOTS) as usize]
    }

    /// Changes a slot of a node of a level.
    fn set(&mut self, at: Slot, level: u8, word: u32, len: u8, store: &mut impl RowStore) {
        let is_own = |word, len| child_node(word).is_some() || len > base(level);
        let old = self.load(at, store);
        let state = self.states[state_index(at)].get_or_insert_with(|| Box::new(NodeState::EMPTY));
        let length = &mut state.lengths[(at.index % SLOTS) as usize];
        state.own -= u16::from(is_own(old, *length));
        state.own += u16::from(is_own(word, len));
        *length = len;
        if word != old {
            self.store(at, word, store);
        }
    }

    /// The word that a slot holds or stands for.
    fn load(&self, at: Slot, store: &impl RowStore) -> u32 {
        let (row, column, part) = at.place();
        let value = part_of(store.load(row, column), at.node.width, part);
        match at.node.width {
            Width::Word => value,
            _ => widened(value, F::LEAF_BASE),
        }
    }

    /// Makes a slot, wide enough, hold or stand for a word.
    fn store(&self, at: Slot, word: u32, store: &mut impl RowStore) {
        let (row, column, part) = at.place();
        let value = Self::value(at.node.width, word);
        let word = with_part(store.load(row, column), at.node.width, part, value);
        store.store(row, column, word);
    }

    /// What a slot of a width holds for a word.
    fn value(width: Width, word: u32) -> u32 {
        if width == Width::Word {
            return word;
        }
        debug_assert!(Self::width(word) <= width, "{word:#x} in {width:?}");
        narrowed(word, F::LEAF_BASE).unwrap_or(NO_ROUTE)
    }
}

/// Where the state of a slot is: the root has one for each of its rows.
fn state_index(at: Slot) -> usize {
    (at.node.quarter + at.index / SLOTS * QUARTERS) as usize
}
