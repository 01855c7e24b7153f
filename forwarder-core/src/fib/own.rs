//! Our own addresses: the set behind the own-source check.

use std::collections::BTreeSet;

use super::{FibFamily, FibOp};

/// Own addresses, and those that the map had no room for.
///
/// One left out only lets packets with that forged source through to the
/// kernel's own check, so the limit costs no reachability.
pub(super) struct Own<F: FibFamily> {
    pub(super) programmed: BTreeSet<F::Addr>,
    pub(super) waiting: BTreeSet<F::Addr>,
    limit: usize,
}

impl<F: FibFamily> Own<F> {
    pub(super) fn new(limit: u32) -> Self {
        Own {
            programmed: BTreeSet::new(),
            waiting: BTreeSet::new(),
            limit: limit as usize,
        }
    }

    /// Whether this address is ours from now on.
    pub(super) fn set(&mut self, address: F::Addr, ours: bool, out: &mut Vec<FibOp<F>>) {
        // 127/8 is a martian source before it is an own one.
        if F::is_loopback(address) {
            return;
        }
        if ours {
            self.add(address, out);
        } else {
            self.remove(address, out);
        }
    }

    fn add(&mut self, address: F::Addr, out: &mut Vec<FibOp<F>>) {
        if self.programmed.contains(&address) {
            return;
        }
        if self.programmed.len() >= self.limit {
            self.waiting.insert(address);
            return;
        }
        self.programmed.insert(address);
        out.push(FibOp::AddOwn(address));
    }

    fn remove(&mut self, address: F::Addr, out: &mut Vec<FibOp<F>>) {
        self.waiting.remove(&address);
        if !self.programmed.remove(&address) {
            return;
        }
        out.push(FibOp::RemoveOwn(address));
        // A hash map's entry is free at once: no grace period.
        if let Some(next) = self.waiting.pop_first() {
            self.add(next, out);
        }
    }
}
