//! The journal of the RIB: the last batches of changes, numbered.
//!
//! Written by [`super::Rib::commit`] alone. Every sink (the kernel exporter,
//! the fast path, RIP's redistribution, a client) holds a [`Generation`] as its
//! cursor and pulls with [`Journal::since`]; so a slow sink holds nothing up
//! and no sink needs a queue of its own. One that has fallen off the ring takes
//! a [`super::Snapshot`] and compares it with what it has.

use std::collections::VecDeque;
use std::sync::Arc;

use smallvec::SmallVec;

use super::socket::ClientId;
use crate::net::{Family, TableId};
use crate::route::Route;

/// Batches kept. Every request of a routing socket is one: a listener may lag
/// by some tenths of a second of the fastest writer.
pub const JOURNAL_BATCHES: usize = 1 << 16;

/// Changes kept, summed over the batches: bounds the memory that old routes
/// hold (some 200 bytes each). A sink that lags by more than this is quicker
/// with a snapshot. The newest batch is kept whatever its size.
pub const JOURNAL_CHANGES: usize = 1 << 18;

/// A state of the RIB. Generations of one epoch are consecutive.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Generation {
    /// Differs with each start of the daemon, so that a cursor from an earlier
    /// life is never answered with deltas.
    pub epoch: u64,
    /// Counts the batches of this epoch; 0 = nothing yet.
    pub number: u64,
}

/// Whose request caused a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Origin {
    /// The connection.
    pub client: ClientId,
    /// The process that sent it.
    pub pid: i32,
    /// Its number for the request.
    pub seq: i32,
    /// What it asked for (`RTM_*`).
    pub kind: u8,
}

/// What became of one prefix in one batch. `old` and `new` always differ.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change<F: Family> {
    /// The table of the prefix.
    pub table: TableId,
    /// The prefix.
    pub prefix: F::Prefix,
    /// What was selected before the batch; `None` = nothing.
    pub old: Option<Arc<Route<F>>>,
    /// What is selected after it; `None` = nothing.
    pub new: Option<Arc<Route<F>>>,
    /// The request that is about this very prefix.
    pub origin: Option<Origin>,
}

/// Those of a batch. A request of a client is one with one change, and many
/// thousands of them are kept: that one needs no allocation of its own.
pub type Changes<F> = SmallVec<[Change<F>; 1]>;

/// The changes that lead from one generation to the next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch<F: Family> {
    /// The generation that the batch leads to.
    pub generation: Generation,
    /// At most one change per table and prefix. Routes without a gateway come
    /// first, since the kernel takes a gateway only after the route to it.
    pub changes: Changes<F>,
}

/// The answer to a cursor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Since<F: Family> {
    /// The cursor is at the newest generation.
    UpToDate,
    /// What happened since, oldest first; never empty.
    Deltas(Vec<Arc<Batch<F>>>),
    /// The cursor is older than the ring or of another epoch: take a snapshot.
    FellOff,
}

/// The bounded ring of batches.
#[derive(Debug)]
pub struct Journal<F: Family> {
    generation: Generation,
    ring: VecDeque<Arc<Batch<F>>>,
    /// Sum of the changes in `ring`.
    changes: usize,
}

impl<F: Family> Journal<F> {
    /// An empty journal, at number 0 of the epoch.
    pub(super) fn new(epoch: u64) -> Self {
        Journal {
            generation: Generation { epoch, number: 0 },
            ring: VecDeque::new(),
            changes: 0,
        }
    }

    /// The newest generation.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// What happened after `cursor`.
    pub fn since(&self, cursor: Generation) -> Since<F> {
        self.since_at_most(cursor, usize::MAX)
    }

    /// The first batches after `cursor`, at most so many.
    pub fn since_at_most(&self, cursor: Generation, batches: usize) -> Since<F> {
        if cursor == self.generation {
            return Since::UpToDate;
        }
        if cursor.epoch != self.generation.epoch || cursor.number > self.generation.number {
            return Since::FellOff;
        }
        let behind = usize::try_from(self.generation.number - cursor.number).unwrap_or(usize::MAX);
        match self.ring.len().checked_sub(behind) {
            Some(start) => {
                let after = self.ring.range(start..).take(batches);
                Since::Deltas(after.cloned().collect())
            }
            None => Since::FellOff,
        }
    }

    /// Whether the newest batch holds one change.
    pub(super) fn newest_is_single(&self) -> bool {
        self.ring
            .back()
            .is_some_and(|batch| batch.changes.len() == 1)
    }

    /// Closes a batch as the next generation.
    pub(super) fn push(&mut self, changes: Changes<F>) -> Generation {
        self.generation.number += 1;
        self.changes += changes.len();
        self.ring.push_back(Arc::new(Batch {
            generation: self.generation,
            changes,
        }));
        self.trim();
        self.generation
    }

    fn trim(&mut self) {
        while self.ring.len() > 1
            && (self.ring.len() > JOURNAL_BATCHES || self.changes > JOURNAL_CHANGES)
        {
            if let Some(oldest) = self.ring.pop_front() {
                self.changes -= oldest.changes.len();
            }
        }
    }
}
