//! What `show routes` reads: every candidate of a prefix with its reason, and
//! the snapshot that a sink starts from.

use std::sync::Arc;

use super::entry::{Entry, Slot};
use super::journal::Generation;
use super::resolve::Unusable;
use super::selection::{Reason, Selection};
use crate::net::{Family, Ifindex, TableId};
use crate::route::{Candidate, Nexthop, Route};
use crate::time::Instant;

/// All selected routes, as of a generation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snapshot<F: Family> {
    /// Where a cursor goes on from here.
    pub generation: Generation,
    /// By table, then prefix.
    pub routes: Vec<(TableId, F::Prefix, Arc<Route<F>>)>,
}

/// A prefix with all that is offered for it.
#[derive(Clone, Debug)]
pub struct EntryView<F: Family> {
    /// Its table.
    pub table: TableId,
    /// The prefix.
    pub prefix: F::Prefix,
    /// What it is routed by, as of the last commit.
    pub selected: Option<Arc<Route<F>>>,
    /// The candidates, by slot.
    pub offers: Vec<OfferView<F>>,
}

/// A candidate and what becomes of it.
#[derive(Clone, Debug)]
pub struct OfferView<F: Family> {
    /// Its source's slot.
    pub slot: Slot,
    /// The candidate as its source offers it.
    pub candidate: Arc<Candidate<F>>,
    /// When it last changed; its age counts from here.
    pub changed: Instant,
    /// Why it is selected or not.
    pub reason: Reason,
    /// Its next hops, each with the interface it leaves by or what stops it.
    pub nexthops: Vec<(Nexthop<F>, Result<Ifindex, Unusable>)>,
}

pub(super) fn view<F: Family>(
    selection: &Selection<'_, F>,
    prefix: F::Prefix,
    entry: &Entry<F>,
) -> EntryView<F> {
    let reasons = selection.reasons(entry);
    let offers = entry
        .offers()
        .zip(reasons)
        .map(|(offer, (slot, reason))| OfferView {
            slot,
            candidate: Arc::clone(&offer.candidate),
            changed: offer.changed,
            reason,
            nexthops: nexthops(selection, slot, &offer.candidate),
        });
    let mut offers: Vec<_> = offers.collect();
    offers.sort_unstable_by_key(|offer| offer.slot);
    EntryView {
        table: selection.table,
        prefix,
        selected: entry.selected.clone(),
        offers,
    }
}

fn nexthops<F: Family>(
    selection: &Selection<'_, F>,
    slot: Slot,
    candidate: &Candidate<F>,
) -> Vec<(Nexthop<F>, Result<Ifindex, Unusable>)> {
    let answer = |hop: &Nexthop<F>| selection.resolver.answer(selection.table, slot, hop);
    candidate
        .nexthops
        .iter()
        .map(|hop| (*hop, answer(hop)))
        .collect()
}
