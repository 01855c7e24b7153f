//! Which rows and parts of rows are free for nodes of the trie.
//!
//! A node takes a row, or a half or a quarter of one ([`Width`]); parts come
//! from rows that are split, each into parts of one width, and make a row again
//! when all of them are free. What readers may be in rests, as in
//! [`Pool`](crate::fib::pool::Pool), until the caller hands it back.

use std::collections::BTreeMap;
use std::ops::Range;

use forwarder_common::trie::{Node, QUARTERS, Width, child, child_node};

/// How many nodes of each width.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Count([u32; 3]);

impl Count {
    /// One more.
    pub(super) fn add(&mut self, width: Width) {
        self.0[width as usize] += 1;
    }
}

/// Free parts of split rows.
#[derive(Default)]
struct Parts {
    /// By row, a bit for each part that is free; rows without one are left out.
    free: BTreeMap<u32, u8>,
    count: u32,
}

impl Parts {
    /// The lowest, so that neighbours in time are neighbours in memory: (row, part).
    fn take(&mut self) -> Option<(u32, u32)> {
        let mut entry = self.free.first_entry()?;
        let (row, mask) = (*entry.key(), *entry.get());
        let part = mask.trailing_zeros();
        *entry.get_mut() &= mask - 1;
        if *entry.get() == 0 {
            entry.remove();
        }
        self.count -= 1;
        Some((row, part))
    }

    /// Takes parts back; true where the row is whole again, and then gone from
    /// here.
    fn put(&mut self, row: u32, mask: u8, width: Width) -> bool {
        let free = self.free.entry(row).or_default();
        *free |= mask;
        self.count += mask.count_ones();
        let all = parts(width);
        let whole = free.count_ones() == all;
        if whole {
            self.free.remove(&row);
            self.count -= all;
        }
        whole
    }
}

/// How many nodes of a width a row holds.
fn parts(width: Width) -> u32 {
    QUARTERS / width.quarters()
}

/// The rows below the root.
pub(super) struct Space {
    /// Lowest row that was never handed out.
    fresh: u32,
    /// One above the last.
    end: u32,
    /// Whole rows, handed out before and free again.
    rows: Vec<u32>,
    /// Parts, by the width of nodes.
    parts: [Parts; 2],
    /// Nodes that were freed, as words that lead to them.
    resting: Vec<u32>,
    in_use: u32,
    nodes: u32,
}

impl Space {
    /// These rows.
    pub(super) fn new(rows: Range<u32>) -> Self {
        Space {
            fresh: rows.start,
            end: rows.end,
            rows: Vec::new(),
            parts: Default::default(),
            resting: Vec::new(),
            in_use: 0,
            nodes: 0,
        }
    }

    /// Whether all these nodes could be taken.
    pub(super) fn has_room_for(&self, Count(count): Count) -> bool {
        let split = |width: Width| {
            let lacking = count[width as usize].saturating_sub(self.parts[width as usize].count);
            lacking.div_ceil(parts(width))
        };
        let rows = count[Width::Word as usize] + split(Width::Half) + split(Width::Byte);
        rows <= self.rows.len() as u32 + (self.end - self.fresh)
    }

    /// Room for a node that no reader can be in; used room comes first: the
    /// table stays dense.
    pub(super) fn take(&mut self, width: Width) -> Option<Node> {
        let quarter = if width == Width::Word {
            self.take_row()? * QUARTERS
        } else {
            let (row, part) = self.take_part(width)?;
            row * QUARTERS + part * width.quarters()
        };
        self.nodes += 1;
        Some(Node { quarter, width })
    }

    fn take_part(&mut self, width: Width) -> Option<(u32, u32)> {
        if let Some(part) = self.parts[width as usize].take() {
            return Some(part);
        }
        let row = self.take_row()?;
        let others = (1 << parts(width)) - 2;
        self.parts[width as usize].put(row, others, width);
        Some((row, 0))
    }

    fn take_row(&mut self) -> Option<u32> {
        let row = self.rows.pop().or_else(|| {
            let row = self.fresh;
            (row < self.end).then(|| {
                self.fresh += 1;
                row
            })
        })?;
        self.in_use += 1;
        Some(row)
    }

    /// Ends the use of a node; it rests.
    pub(super) fn put(&mut self, node: Node) {
        self.nodes -= 1;
        self.resting.push(child(node));
    }

    /// Everything that rests, for the caller to wait for.
    pub(super) fn take_resting(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.resting)
    }

    /// Whether anything does.
    pub(super) fn has_resting(&self) -> bool {
        !self.resting.is_empty()
    }

    /// The wait is over.
    pub(super) fn release(&mut self, rested: Vec<u32>) {
        for node in rested.into_iter().filter_map(child_node) {
            let (row, part) = (node.quarter / QUARTERS, node.quarter % QUARTERS);
            let whole = match node.width {
                Width::Word => true,
                width => {
                    let mask = 1 << (part / width.quarters());
                    self.parts[width as usize].put(row, mask, width)
                }
            };
            if whole {
                self.in_use -= 1;
                self.rows.push(row);
            }
        }
    }

    /// Rows that nodes are in, or were and rest.
    pub(super) fn in_use(&self) -> u32 {
        self.in_use
    }

    /// How many nodes there are.
    #[cfg(test)]
    pub(super) fn nodes(&self) -> u32 {
        self.nodes
    }
}
