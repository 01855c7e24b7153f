//! Numbers of map entries: handed out, taken back, and reused only when no
//! program can still be reading the entry.
//!
//! A number goes *free → in use → resting → (a grace period) → free*. The
//! waiting is the daemon's: it takes what rests, waits until every XDP program
//! that was running has ended, and gives it back. So the core needs no clock,
//! and one wait serves all that was freed since the last.

use std::ops::Range;

/// The numbers of one map.
pub(super) struct Pool {
    /// Lowest number that was never handed out.
    fresh: u32,
    /// One above the highest number there is.
    end: u32,
    /// Handed out before, and free to be again.
    free: Vec<u32>,
    /// Freed, but a program may still hold them.
    resting: Vec<u32>,
    in_use: u32,
}

impl Pool {
    /// These numbers.
    pub(super) fn new(numbers: Range<u32>) -> Self {
        Pool {
            fresh: numbers.start,
            end: numbers.end,
            free: Vec::new(),
            resting: Vec::new(),
            in_use: 0,
        }
    }

    /// A number that no program can be reading; `None` when all are in use or
    /// resting. Used ones come first: the arrays stay dense.
    pub(super) fn take(&mut self) -> Option<u32> {
        let number = self.free.pop().or_else(|| self.take_fresh())?;
        self.in_use += 1;
        Some(number)
    }

    fn take_fresh(&mut self) -> Option<u32> {
        let number = self.fresh;
        (number < self.end).then(|| {
            self.fresh += 1;
            number
        })
    }

    /// Ends the use of a number; it rests.
    pub(super) fn put(&mut self, number: u32) {
        self.in_use -= 1;
        self.resting.push(number);
    }

    /// Everything that rests, for the caller to wait for.
    pub(super) fn take_resting(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.resting)
    }

    /// The wait is over.
    pub(super) fn release(&mut self, numbers: Vec<u32>) {
        if self.free.is_empty() {
            self.free = numbers;
        } else {
            self.free.extend(numbers);
        }
    }

    /// Whether [`Pool::take`] would give one.
    pub(super) fn has_free(&self) -> bool {
        self.available() > 0
    }

    /// How many times in a row.
    pub(super) fn available(&self) -> u32 {
        self.free.len() as u32 + (self.end - self.fresh)
    }

    pub(super) fn in_use(&self) -> u32 {
        self.in_use
    }

    /// Freed and not yet handed to the caller for waiting.
    pub(super) fn resting(&self) -> usize {
        self.resting.len()
    }
}

/// Next-hop ids, adjacency and group slots that nothing refers to any more, on their
/// way through a grace period: [`Fib::take_freed`](super::Fib::take_freed),
/// wait, [`Fib::release`](super::Fib::release). Dropped instead, they are never
/// used again.
#[derive(Debug, Default)]
#[must_use = "ids and slots that are not released are lost"]
pub struct Freed {
    pub(super) nexthops: Vec<u32>,
    pub(super) adjacencies: Vec<u32>,
    pub(super) groups: Vec<u32>,
    pub(super) counted: Vec<u32>,
}

impl Freed {
    /// Nothing was freed: there is nothing to wait for.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many ids and slots it holds.
    pub fn len(&self) -> usize {
        self.nexthops.len() + self.adjacencies.len() + self.groups.len() + self.counted.len()
    }
}
