//! The candidates that depend on a next hop, a million of them on one where the
//! table is full.
//!
//! A log and no set: to note one costs the end of a vector and not a place in
//! memory that nobody has looked at for long, and they are asked for only when
//! the next hop's answer changes. What has left is struck out when the log has
//! grown to twice its candidates.

use std::collections::BTreeMap;

use super::Slot;
use crate::net::Family;

/// A log shorter than this is never struck through.
const SHORT: usize = 64;

/// Candidates of one table.
#[derive(Debug)]
pub(super) struct Dependents<F: Family> {
    /// What has come, and what has left (`false`), in order.
    log: Vec<(F::Prefix, Slot, bool)>,
    /// How many are there.
    count: usize,
}

impl<F: Family> Default for Dependents<F> {
    fn default() -> Self {
        Dependents {
            log: Vec::new(),
            count: 0,
        }
    }
}

impl<F: Family> Dependents<F> {
    /// One that is not there has come.
    pub(super) fn add(&mut self, prefix: F::Prefix, slot: Slot) {
        self.count += 1;
        self.note(prefix, slot, true);
    }

    /// One that is there has left.
    pub(super) fn remove(&mut self, prefix: F::Prefix, slot: Slot) {
        self.count -= 1;
        self.note(prefix, slot, false);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All of them, some more than once, and some that have left: who asks looks
    /// at the prefix itself.
    pub(super) fn at_least(&self) -> impl Iterator<Item = (F::Prefix, Slot)> {
        self.log.iter().map(|(prefix, slot, _)| (*prefix, *slot))
    }

    fn note(&mut self, prefix: F::Prefix, slot: Slot, there: bool) {
        if self.log.len() > 2 * self.count.max(SHORT) {
            self.strike_out();
        }
        self.log.push((prefix, slot, there));
    }

    fn strike_out(&mut self) {
        let log = std::mem::take(&mut self.log);
        let last: BTreeMap<_, _> = log
            .into_iter()
            .map(|(prefix, slot, there)| ((prefix, slot), there))
            .collect();
        let there = last.into_iter().filter(|(_, there)| *there);
        self.log
            .extend(there.map(|((prefix, slot), there)| (prefix, slot, there)));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::net::Ipv4;

    /// Whatever comes and goes, those that are there are told of, and the log
    /// does not grow beyond what it is allowed to.
    #[test]
    fn who_is_there_is_told_of_and_the_log_is_bounded() {
        let mut dependents = Dependents::<Ipv4>::default();
        let mut there = BTreeSet::new();
        for step in 0..100_000_u32 {
            let host = step.wrapping_mul(2_654_435_761) % 300;
            let key = (Ipv4::host(host.into()), Slot::Socket((host % 3) as u8));
            if there.remove(&key) {
                dependents.remove(key.0, key.1);
            } else {
                there.insert(key);
                dependents.add(key.0, key.1);
            }
            if step % 1_000 == 0 {
                let told: BTreeSet<_> = dependents.at_least().collect();
                assert!(there.is_subset(&told));
                assert!(dependents.log.len() <= 2 * there.len().max(SHORT) + 1);
            }
        }
        assert_eq!(dependents.count, there.len());
        for (prefix, slot) in there {
            dependents.remove(prefix, slot);
        }
        assert!(dependents.is_empty());
    }
}
