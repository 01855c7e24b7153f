//! One prefix of one table: what each source offers, and what was selected.

use std::sync::Arc;

use crate::net::Family;
use crate::route::{Candidate, Route, Source};
use crate::time::Instant;

/// A candidate's key within its table and prefix: each kind of source offers
/// one, clients of the routing socket one of each priority. Their order is the
/// last word of the selection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Slot {
    /// What the kernel's table holds and others put there, connected networks
    /// included: [`crate::kernel::import`] offers the one the kernel uses.
    Kernel,
    /// `[[static]]` of the configuration.
    Static,
    /// The routing socket, by priority, which is the distance.
    Socket(u8),
    /// RIP.
    Rip,
    /// An ICMP redirect.
    Redirect,
}

impl Slot {
    /// The slot that a candidate takes.
    pub const fn of<F: Family>(candidate: &Candidate<F>) -> Slot {
        match candidate.source {
            Source::Connected | Source::Kernel(_) => Slot::Kernel,
            Source::Static => Slot::Static,
            Source::Socket => Slot::Socket(candidate.distance.0),
            Source::Rip => Slot::Rip,
            Source::Redirect => Slot::Redirect,
        }
    }
}

/// A candidate with the moment it last changed.
#[derive(Clone, Debug)]
pub(super) struct Offer<F: Family> {
    pub(super) slot: Slot,
    pub(super) candidate: Arc<Candidate<F>>,
    pub(super) changed: Instant,
}

/// All offers for a prefix. A million of these are kept, nearly all with one
/// offer: that one needs no allocation of its own.
#[derive(Clone, Debug)]
pub(super) struct Entry<F: Family> {
    first: Option<Offer<F>>,
    /// The others; boxed, since a vector is three words even while empty.
    #[expect(clippy::box_collection, reason = "one word in a million entries")]
    others: Option<Box<Vec<Offer<F>>>>,
    /// The winner as of the last commit.
    pub(super) selected: Option<Arc<Route<F>>>,
}

impl<F: Family> Default for Entry<F> {
    fn default() -> Self {
        Entry {
            first: None,
            others: None,
            selected: None,
        }
    }
}

impl<F: Family> Entry<F> {
    pub(super) fn offer(&self, slot: Slot) -> Option<&Offer<F>> {
        self.offers().find(|offer| offer.slot == slot)
    }

    /// Puts an offer in its slot; returns what was there.
    pub(super) fn put(&mut self, offer: Offer<F>) -> Option<Offer<F>> {
        let place = self
            .first
            .iter_mut()
            .chain(self.others.iter_mut().flat_map(|others| others.iter_mut()))
            .find(|known| known.slot == offer.slot);
        if let Some(known) = place {
            return Some(std::mem::replace(known, offer));
        }
        match &mut self.first {
            None => self.first = Some(offer),
            Some(_) => self.others.get_or_insert_default().push(offer),
        }
        None
    }

    /// Empties a slot; returns what was there.
    pub(super) fn take(&mut self, slot: Slot) -> Option<Offer<F>> {
        if self.first.as_ref().is_some_and(|first| first.slot == slot) {
            let next = self.others.as_mut().and_then(|others| others.pop());
            self.drop_empty();
            return std::mem::replace(&mut self.first, next);
        }
        let others = self.others.as_mut()?;
        let at = others.iter().position(|offer| offer.slot == slot)?;
        let taken = others.swap_remove(at);
        self.drop_empty();
        Some(taken)
    }

    fn drop_empty(&mut self) {
        if self.others.as_ref().is_some_and(|others| others.is_empty()) {
            self.others = None;
        }
    }

    /// The offers, in no order.
    pub(super) fn offers(&self) -> impl Iterator<Item = &Offer<F>> {
        let others = self.others.iter().flat_map(|others| others.iter());
        self.first.iter().chain(others)
    }

    /// Whether nothing is offered and nothing selected: it can be forgotten.
    pub(super) fn is_empty(&self) -> bool {
        self.selected.is_none() && self.first.is_none()
    }
}
