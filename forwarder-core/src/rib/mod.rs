//! The RIB: what every source offers for each prefix, the winner, and the
//! journal of what changed.
//!
//! One task of the daemon owns it. It feeds in what the kernel, the
//! configuration and RIP say ([`Rib::update`], [`Rib::withdraw`],
//! [`Rib::set_link`]) and closes each batch with [`Rib::commit`]; the sinks
//! follow [`Rib::journal`], each at its own pace.
//!
//! Every source's candidate is kept, so that a lost winner is replaced at once
//! by the next best. Selection is lazy: a mutation marks prefixes, a commit
//! selects again for those alone, so a batch costs what it changes and a route
//! that flaps within a batch leaves no trace.
//!
//! It is generic over the address family and keyed by table, since IPv6 and
//! VRFs are the same database with other numbers.

mod entry;
mod journal;
mod redirect;
mod resolve;
mod selection;
pub mod socket;
mod table;
#[cfg(test)]
mod tests;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::entry::Offer;
pub use self::entry::Slot;
pub use self::journal::{
    Batch, Change, Changes, Generation, JOURNAL_BATCHES, JOURNAL_CHANGES, Journal, Origin, Since,
};
pub use self::redirect::Redirect;
pub use self::resolve::Unusable;
use self::resolve::{Dirty, Place, Resolver};
pub use self::selection::Reason;
use self::selection::Selection;
use self::socket::Clients;
use self::table::Table;
pub use self::view::{EntryView, OfferView, Snapshot};
use crate::net::{Family, Ifindex, TableId};
use crate::route::{Candidate, Route};
use crate::time::Instant;

/// Prefixes of a commit that memory is kept for from one to the next.
const FEW: usize = 1024;

/// What the selection depends on besides the candidates.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RibConfig {
    /// The metric that our routes have in the kernel's table; `None` while they
    /// are not exported. A foreign route there with a metric at or below it
    /// cannot be beaten, and wins here too.
    pub export_metric: Option<u32>,
}

/// The route database of one address family.
#[derive(Debug)]
pub struct Rib<F: Family> {
    config: RibConfig,
    tables: BTreeMap<TableId, Table<F>>,
    resolver: Resolver<F>,
    /// Prefixes to be selected again at the next commit; may repeat.
    dirty: Dirty<F>,
    /// The requests of clients since the last commit.
    origins: Vec<(TableId, F::Prefix, Origin)>,
    clients: Clients<F>,
    followed: redirect::Followed<F>,
    /// Clients' candidates that have changed, for who stores them.
    stored: Vec<socket::Stored<F>>,
    /// While a batch is carried out: what to put back if it fails.
    undo: Option<Vec<socket::Stored<F>>>,
    journal: Journal<F>,
}

impl<F: Family> Rib<F> {
    /// An empty RIB at generation 0 of this epoch.
    pub fn new(epoch: u64, config: RibConfig) -> Self {
        Rib {
            config,
            tables: BTreeMap::new(),
            resolver: Resolver::new(),
            dirty: Vec::new(),
            origins: Vec::new(),
            clients: Clients::default(),
            followed: BTreeMap::new(),
            stored: Vec::new(),
            undo: None,
            journal: Journal::new(epoch),
        }
    }

    /// Offers a candidate, in place of what its source's slot held. `now` is
    /// where its age counts from; an identical offer keeps its age.
    pub fn update(
        &mut self,
        now: Instant,
        table: TableId,
        prefix: F::Prefix,
        candidate: Candidate<F>,
    ) {
        let slot = Slot::of(&candidate);
        let entry = self.tables.entry(table).or_default().get_or_default(prefix);
        if entry
            .offer(slot)
            .is_some_and(|offer| *offer.candidate == candidate)
        {
            return;
        }
        let candidate = Arc::new(candidate);
        let old = entry.put(Offer {
            slot,
            candidate: Arc::clone(&candidate),
            changed: now,
        });
        self.replaced(
            Place {
                table,
                prefix,
                slot,
            },
            old.as_ref(),
            Some(&candidate),
        );
    }

    /// Takes a slot's candidate back; nothing happens where there is none.
    pub fn withdraw(&mut self, table: TableId, prefix: F::Prefix, slot: Slot) {
        let entry = self
            .tables
            .get_mut(&table)
            .and_then(|map| map.get_mut(&prefix));
        if let Some(old) = entry.and_then(|entry| entry.take(slot)) {
            self.replaced(
                Place {
                    table,
                    prefix,
                    slot,
                },
                Some(&old),
                None,
            );
        }
    }

    /// An interface is there, with this state. Our own candidates need one that
    /// is up and has carrier; the kernel's are taken as the kernel keeps them.
    pub fn set_link(&mut self, ifindex: Ifindex, up: bool, carrier: bool) {
        self.resolver
            .set_link(ifindex, Some((up, carrier)), &mut self.dirty);
    }

    /// An interface is gone.
    pub fn remove_link(&mut self, ifindex: Ifindex) {
        self.resolver.set_link(ifindex, None, &mut self.dirty);
    }

    /// Takes over another configuration; the next commit selects by it.
    pub fn set_config(&mut self, config: RibConfig) {
        if self.config != config {
            self.config = config;
            let all = self
                .tables
                .iter()
                .flat_map(|(table, map)| map.prefixes().map(|prefix| (*table, prefix)));
            self.dirty.extend(all);
        }
    }

    /// Closes the batch: selects again where something changed. Returns the
    /// new generation, or `None` where every winner is what it was.
    pub fn commit(&mut self) -> Option<Generation> {
        if self.dirty.is_empty() {
            return None;
        }
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.sort_unstable();
        dirty.dedup();
        // Stable: the last request about a prefix stays the last.
        self.origins
            .sort_by_key(|(table, prefix, _)| (*table, *prefix));
        let mut changes: Changes<F> = dirty
            .drain(..)
            .filter_map(|(table, prefix)| self.reselect(table, prefix))
            .collect();
        // What a request needs again, and no more.
        dirty.shrink_to(FEW);
        self.dirty = dirty;
        self.origins.clear();
        self.clients.routes_changed(&changes);
        if changes.is_empty() {
            return None;
        }
        changes.sort_by_key(|change| !change.new.as_deref().is_some_and(resolve::is_on_link));
        Some(self.journal.push(changes))
    }

    /// The generation of the last commit that changed something.
    pub fn generation(&self) -> Generation {
        self.journal.generation()
    }

    /// The changes of the last generations, for the sinks.
    pub fn journal(&self) -> &Journal<F> {
        &self.journal
    }

    /// All selected routes, as of the last commit.
    pub fn snapshot(&self) -> Snapshot<F> {
        let routes = self.tables.iter().flat_map(|(table, map)| {
            map.iter()
                .filter_map(|(prefix, entry)| Some((*table, prefix, entry.selected.clone()?)))
        });
        Snapshot {
            generation: self.generation(),
            routes: routes.collect(),
        }
    }

    /// The selected route of the longest prefix that holds the address, as of
    /// the last commit.
    pub fn lookup(&self, table: TableId, addr: F::Addr) -> Option<(F::Prefix, Arc<Route<F>>)> {
        let covering = self.tables.get(&table)?.covering(addr).rev();
        let mut routed =
            covering.filter_map(|(prefix, entry)| Some((prefix, entry.selected.clone()?)));
        routed.next()
    }

    /// The selected routes of our own sources that leave through this gateway on
    /// this interface, at most so many.
    pub fn through(
        &self,
        table: TableId,
        gateway: F::Addr,
        ifindex: Ifindex,
        most: usize,
    ) -> Vec<(F::Prefix, Arc<Route<F>>)> {
        let leads = |route: &Arc<Route<F>>| {
            let mut ways = route.nexthops.iter();
            ways.any(|hop| hop.gateway == Some(gateway) && hop.ifindex == Some(ifindex))
        };
        let dependents = self.resolver.through(table, gateway, ifindex);
        let selected = dependents.filter_map(|prefix| {
            let entry = self.tables.get(&table)?.get(&prefix)?;
            Some((prefix, entry.selected.clone().filter(leads)?))
        });
        let mut through = BTreeMap::new();
        for (prefix, route) in selected {
            if through.len() == most {
                break;
            }
            through.insert(prefix, route);
        }
        through.into_iter().collect()
    }

    /// Every prefix with its candidates, by table and prefix; lazy.
    pub fn entries(&self) -> impl Iterator<Item = EntryView<F>> {
        self.tables.iter().flat_map(|(table, map)| {
            let selection = self.selection(*table);
            map.iter()
                .map(move |(prefix, entry)| view::view(&selection, prefix, entry))
        })
    }

    /// One prefix with its candidates.
    pub fn entry(&self, table: TableId, prefix: F::Prefix) -> Option<EntryView<F>> {
        let entry = self.tables.get(&table)?.get(&prefix)?;
        Some(view::view(&self.selection(table), prefix, entry))
    }

    fn replaced(&mut self, place: Place<F>, old: Option<&Offer<F>>, new: Option<&Candidate<F>>) {
        self.dirty.push((place.table, place.prefix));
        let old = old.map(|offer| &*offer.candidate);
        self.resolver.replace(place, old, new, &mut self.dirty);
    }

    /// Selects for a prefix, forgets it where nothing is left of it.
    fn reselect(&mut self, table: TableId, prefix: F::Prefix) -> Option<Change<F>> {
        let map = self.tables.get_mut(&table)?;
        let entry = map.get_mut(&prefix)?;
        let selection = Selection {
            table,
            export_metric: self.config.export_metric,
            resolver: &self.resolver,
        };
        let new = selection.winner(entry);
        let change = (entry.selected != new).then(|| Change {
            table,
            prefix,
            old: std::mem::replace(&mut entry.selected, new.clone()),
            new,
            origin: origin::<F>(&self.origins, table, prefix),
        });
        if entry.is_empty() {
            map.remove(&prefix);
        }
        change
    }

    fn selection(&self, table: TableId) -> Selection<'_, F> {
        Selection {
            table,
            export_metric: self.config.export_metric,
            resolver: &self.resolver,
        }
    }
}

/// The last request about a prefix, of those sorted by prefix.
fn origin<F: Family>(
    origins: &[(TableId, F::Prefix, Origin)],
    table: TableId,
    prefix: F::Prefix,
) -> Option<Origin> {
    let end = origins.partition_point(|known| (known.0, known.1) <= (table, prefix));
    let last = origins[..end].last()?;
    ((last.0, last.1) == (table, prefix)).then_some(last.2)
}
