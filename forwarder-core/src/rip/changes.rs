//! Which destinations changed, in order: what triggered updates are made of.
//!
//! A destination is in the log at most once, at its latest change, so the log
//! is never longer than the table, and each interface needs only a number to
//! know what it has not told yet: no copies, however slow the link is paced.

use std::collections::BTreeMap;

/// Numbers of changes; 0 is before the first.
pub(super) type Seq = u64;

/// The log.
#[derive(Clone, Debug)]
pub(super) struct ChangeLog<P> {
    head: Seq,
    order: BTreeMap<Seq, P>,
}

impl<P> Default for ChangeLog<P> {
    fn default() -> Self {
        ChangeLog {
            head: 0,
            order: BTreeMap::new(),
        }
    }
}

impl<P: Copy> ChangeLog<P> {
    /// The number of the latest change.
    pub(super) fn head(&self) -> Seq {
        self.head
    }

    /// Moves a destination to the end, from where it was at `previous`.
    pub(super) fn record(&mut self, prefix: P, previous: Seq) -> Seq {
        self.order.remove(&previous);
        self.head += 1;
        self.order.insert(self.head, prefix);
        self.head
    }

    /// Takes a destination out.
    pub(super) fn remove(&mut self, at: Seq) {
        self.order.remove(&at);
    }

    /// The changes in `after + 1 ..= until`.
    pub(super) fn between(&self, after: Seq, until: Seq) -> impl Iterator<Item = (Seq, P)> + '_ {
        // An empty range, should the two be the wrong way round.
        let first = after.saturating_add(1).min(until.saturating_add(1));
        self.order
            .range(first..until.saturating_add(1))
            .map(|(seq, prefix)| (*seq, *prefix))
    }

    /// Forgets what everybody has told.
    pub(super) fn forget(&mut self, until: Seq) {
        if self
            .order
            .first_key_value()
            .is_some_and(|(first, _)| *first <= until)
        {
            self.order = self.order.split_off(&until.saturating_add(1));
        }
    }
}
