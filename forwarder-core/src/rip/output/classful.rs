//! What routers of RIPv1 are told, or may overhear (RFC 1058 §3.2, RFC 2453 §4.3):
//! of their own network its subnets, of every other one line for the whole.

use crate::rip::entry::Advert;
use crate::rip::interface::{Interface, Kind, Target};
use crate::rip::packet::Rte;
use crate::rip::table::Table;
use crate::rip::wire::{Sayable, Wire};

impl<F: Wire> Target<F> {
    /// What can be said to it about a destination.
    pub(super) fn sayable(&self, prefix: &F::Prefix) -> Sayable<F::Prefix> {
        if self.version.is_broadcast() {
            F::sayable(&self.subnet, prefix)
        } else {
            Sayable::Itself
        }
    }
}

impl<F: Wire> Interface<F> {
    /// What one listener is told about a destination.
    pub(super) fn told(
        &self,
        table: &Table<F>,
        kind: Kind,
        target: &Target<F>,
        prefix: F::Prefix,
        advert: &Advert<F>,
    ) -> Option<Rte<F>> {
        let itself = |prefix, advert| {
            let rte = self.render(kind, prefix, advert)?;
            self.for_target(kind, target, &rte)
        };
        let network = match target.sayable(&prefix) {
            Sayable::Itself => return itself(prefix, advert),
            Sayable::Network(network) => network,
            Sayable::Nothing => return None,
        };
        // A walk says it once, at the first part; a change may be anywhere.
        let first = table.adverts_within(network).next();
        if kind != Kind::Triggered && first.is_some_and(|(first, _)| first != prefix) {
            return None;
        }
        let parts = table.adverts_within(network);
        let told = parts.filter_map(|(part, advert)| itself(part, advert));
        let nearest = told.min_by_key(|rte| rte.metric)?;
        Some(if nearest.prefix == network {
            nearest
        } else {
            Rte {
                prefix: network,
                metric: nearest.metric,
                tag: 0,
                next_hop: None,
            }
        })
    }
}
