//! The metric of RIP: a hop count that ends at 16.

use std::fmt;

/// 1..=16, where 16 is infinity: unreachable (RFC 2453 §3.6).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Metric(u8);

impl Metric {
    /// The lowest: a network of our own.
    pub const ONE: Metric = Metric(1);
    /// Unreachable.
    pub const INFINITY: Metric = Metric(16);

    /// The metric with this value; `None` outside 1..=16.
    pub const fn new(value: u32) -> Option<Metric> {
        match value {
            1..=16 => Some(Metric(value as u8)),
            _ => None,
        }
    }

    /// As it stands on the wire.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Below infinity.
    pub const fn is_reachable(self) -> bool {
        self.0 < Metric::INFINITY.0
    }

    /// One link further: the sum, at most infinity.
    #[must_use]
    pub fn plus(self, cost: Metric) -> Metric {
        Metric(self.0.saturating_add(cost.0).min(Metric::INFINITY.0))
    }

    /// The same route after its link's cost changed from `old` to `new`.
    #[must_use]
    pub(super) fn recosted(self, old: Metric, new: Metric) -> Metric {
        let received = self.0.saturating_sub(old.0);
        Metric(received.saturating_add(new.0).clamp(1, Metric::INFINITY.0))
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
