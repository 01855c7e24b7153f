//! Which candidate wins: one pure total order, and the reason why each of the
//! others does not.

use std::sync::Arc;

use super::entry::{Entry, Slot};
use super::resolve::{Resolver, Unusable};
use crate::net::{Family, TableId};
use crate::route::{Candidate, Distance, Route};

/// Why a candidate is selected, or is not.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reason {
    /// It is what the prefix is routed by.
    Selected,
    /// A route of the kernel, put there by another, has a metric at or below
    /// the one we export with: the kernel would use it whatever we add.
    Shadowed,
    /// Another is trusted more.
    HigherDistance,
    /// Another has the same distance and a lower metric.
    HigherMetric,
    /// Equal to another in all that counts; the order of sources decided.
    LaterSource,
    /// None of its next hops can be used; this is what stops the first.
    Unusable(Unusable),
}

impl Reason {
    /// As `show routes` says it.
    pub const fn name(self) -> &'static str {
        match self {
            Reason::Selected => "selected",
            Reason::Shadowed => "shadowed",
            Reason::HigherDistance => "higher-distance",
            Reason::HigherMetric => "higher-metric",
            Reason::LaterSource => "later-source",
            Reason::Unusable(unusable) => unusable.name(),
        }
    }
}

/// Place in the order; the lowest wins. Slots differ within a prefix, so no
/// two ranks of a prefix are equal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Rank {
    /// False sorts first: what cannot be beaten in the kernel wins here too.
    beatable: bool,
    distance: Distance,
    metric: u32,
    slot: Slot,
}

impl Rank {
    fn of<F: Family>(slot: Slot, candidate: &Candidate<F>, export_metric: Option<u32>) -> Rank {
        let unbeatable = slot == Slot::Kernel
            && candidate
                .kernel_metric
                .zip(export_metric)
                .is_some_and(|(its, ours)| its <= ours);
        Rank {
            beatable: !unbeatable,
            distance: candidate.distance,
            metric: candidate.metric,
            slot,
        }
    }

    /// Why this one loses to `winner`.
    fn reason(self, winner: Rank) -> Reason {
        if self == winner {
            Reason::Selected
        } else if self.beatable && !winner.beatable {
            Reason::Shadowed
        } else if self.distance != winner.distance {
            Reason::HigherDistance
        } else if self.metric != winner.metric {
            Reason::HigherMetric
        } else {
            Reason::LaterSource
        }
    }
}

/// What selection depends on besides the entry.
#[derive(Clone, Copy)]
pub(super) struct Selection<'a, F: Family> {
    pub(super) table: TableId,
    pub(super) export_metric: Option<u32>,
    pub(super) resolver: &'a Resolver<F>,
}

impl<F: Family> Selection<'_, F> {
    /// The winner with its next hops resolved, if any candidate is eligible.
    pub(super) fn winner(&self, entry: &Entry<F>) -> Option<Arc<Route<F>>> {
        self.eligible(entry)
            .min_by_key(|(rank, _)| *rank)
            .map(|(_, route)| route)
    }

    /// What becomes of each candidate, by slot.
    pub(super) fn reasons(&self, entry: &Entry<F>) -> Vec<(Slot, Reason)> {
        let winner = self.eligible(entry).map(|(rank, _)| rank).min();
        let reason =
            |slot, candidate| match (self.resolver.route(self.table, slot, candidate), winner) {
                (Err(unusable), _) => Reason::Unusable(unusable),
                (Ok(_), Some(winner)) => {
                    Rank::of(slot, candidate, self.export_metric).reason(winner)
                }
                (Ok(_), None) => Reason::Selected,
            };
        entry
            .offers()
            .map(|offer| (offer.slot, reason(offer.slot, &offer.candidate)))
            .collect()
    }

    fn eligible(&self, entry: &Entry<F>) -> impl Iterator<Item = (Rank, Arc<Route<F>>)> {
        entry.offers().filter_map(|offer| {
            let route = self
                .resolver
                .route(self.table, offer.slot, &offer.candidate)
                .ok()?;
            let rank = Rank::of(offer.slot, &offer.candidate, self.export_metric);
            Some((rank, route))
        })
    }
}
