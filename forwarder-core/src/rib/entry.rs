//! One prefix of one table: what each source offers, and what was selected.

use std::sync::Arc;

use crate::net::Family;
use crate::route::{Candidate, Route, Source};
use crate::time::Instant;

/// A candidate's key within its table and prefix: each kind of source offers
/// one. Their order is the last word of the selection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Slot {
    /// What the kernel's table holds and others put there, connected networks
    /// included: [`crate::kernel::import`] offers the one the kernel uses.
    Kernel,
    /// `[[static]]` of the configuration.
    Static,
    /// RIP.
    Rip,
}

impl Slot {
    /// All slots, the preferred first.
    pub const ALL: [Slot; 3] = [Slot::Kernel, Slot::Static, Slot::Rip];

    /// The slot that a source's candidates take.
    pub const fn of(source: Source) -> Slot {
        match source {
            Source::Connected | Source::Kernel(_) => Slot::Kernel,
            Source::Static => Slot::Static,
            Source::Rip => Slot::Rip,
        }
    }
}

/// A candidate with the moment it last changed.
#[derive(Clone, Debug)]
pub(super) struct Offer<F: Family> {
    pub(super) candidate: Arc<Candidate<F>>,
    pub(super) changed: Instant,
}

/// All offers for a prefix. An array and not a map: a million of these are kept.
#[derive(Clone, Debug)]
pub(super) struct Entry<F: Family> {
    offers: [Option<Offer<F>>; Slot::ALL.len()],
    /// The winner as of the last commit.
    pub(super) selected: Option<Arc<Route<F>>>,
}

impl<F: Family> Default for Entry<F> {
    fn default() -> Self {
        Entry {
            offers: [const { None }; Slot::ALL.len()],
            selected: None,
        }
    }
}

impl<F: Family> Entry<F> {
    pub(super) fn offer(&self, slot: Slot) -> Option<&Offer<F>> {
        self.offers[slot as usize].as_ref()
    }

    /// Puts an offer in its slot, or empties the slot; returns what was there.
    pub(super) fn set(&mut self, slot: Slot, offer: Option<Offer<F>>) -> Option<Offer<F>> {
        std::mem::replace(&mut self.offers[slot as usize], offer)
    }

    /// The offers, by slot.
    pub(super) fn offers(&self) -> impl Iterator<Item = (Slot, &Offer<F>)> {
        Slot::ALL
            .into_iter()
            .filter_map(|slot| Some((slot, self.offer(slot)?)))
    }

    /// Whether nothing is offered and nothing selected: it can be forgotten.
    pub(super) fn is_empty(&self) -> bool {
        self.selected.is_none() && self.offers.iter().all(Option::is_none)
    }
}
