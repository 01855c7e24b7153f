//! What kernel routes depend on, the other way round: an event touches only the
//! prefixes that it concerns.

use std::collections::BTreeSet;

use super::bucket::{Bucket, inline};
use crate::kernel::event::KernelNexthops;
use crate::net::{Family, Ifindex, TableId};

/// A prefix of a table.
pub(super) type Key<F> = (TableId, <F as Family>::Prefix);

/// Something whose end takes routes with it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Use<F: Family> {
    /// A next hop leaves by this interface.
    Link(Ifindex),
    /// The route names this next-hop object.
    Object(u32),
    /// The route prefers this source address.
    Source(F::Addr),
}

/// The index.
#[derive(Default, Debug)]
pub(super) struct Uses<F: Family> {
    pairs: BTreeSet<(Use<F>, Key<F>)>,
}

impl<F: Family> Uses<F> {
    /// The prefixes with a route that depends on it.
    pub(super) fn keys(&self, used: Use<F>) -> Vec<Key<F>> {
        self.keys_from(used, TableId(0))
    }

    /// Those of tables from `table` on.
    pub(super) fn keys_from(&self, used: Use<F>, table: TableId) -> Vec<Key<F>> {
        let first = (used, (table, F::Prefix::default()));
        let pairs = self.pairs.range(first..).take_while(|(u, _)| *u == used);
        pairs.map(|(_, key)| *key).collect()
    }

    /// A prefix's routes depended on `old` and now on `new`.
    pub(super) fn replace(&mut self, key: Key<F>, old: &BTreeSet<Use<F>>, new: &BTreeSet<Use<F>>) {
        for gone in old.difference(new) {
            self.pairs.remove(&(*gone, key));
        }
        self.pairs
            .extend(new.difference(old).map(|added| (*added, key)));
    }
}

/// What the routes of a prefix depend on.
pub(super) fn uses_of<F: Family>(bucket: &Bucket<F>) -> BTreeSet<Use<F>> {
    let mut uses = BTreeSet::new();
    for route in bucket.routes().iter().map(|stored| &stored.route) {
        uses.extend(
            inline(route)
                .iter()
                .filter_map(|hop| hop.ifindex)
                .map(Use::Link),
        );
        uses.extend(route.preferred_source.map(Use::Source));
        if let KernelNexthops::Object(id) = route.nexthops {
            uses.insert(Use::Object(id));
        }
    }
    uses
}
