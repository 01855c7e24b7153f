//! Clients' candidates in the table: kept, counted, stored, and ended.

use std::sync::Arc;
use std::time::Duration;

use super::{ClientId, ClientRoutes, Clients, Key, OwnerRoutes};
use crate::net::Family;
use crate::rib::Rib;
use crate::rib::entry::{Offer, Slot};
use crate::rib::resolve::Place;
use crate::route::{Candidate, Route};
use crate::time::Instant;

/// A candidate of a client that has changed, for who stores them.
pub type Stored<F> = (Key<F>, Option<Arc<Candidate<F>>>);

impl<F: Family> Rib<F> {
    /// The one place where a candidate of a client changes; returns what the
    /// prefix is routed by until the commit.
    pub(super) fn set_client_route(
        &mut self,
        now: Instant,
        key: Key<F>,
        new: Option<Arc<Candidate<F>>>,
    ) -> Option<Arc<Route<F>>> {
        let (table, prefix, priority) = key;
        let slot = Slot::Socket(priority);
        let entry = self.tables.entry(table).or_default().get_or_default(prefix);
        let selected = entry.selected.clone();
        let old = match &new {
            Some(candidate) => entry.put(Offer {
                slot,
                candidate: Arc::clone(candidate),
                changed: now,
            }),
            None => entry.take(slot),
        };
        let place = Place {
            table,
            prefix,
            slot,
        };
        self.replaced(place, old.as_ref(), new.as_deref());
        let old = old.map(|offer| offer.candidate);
        self.clients.count(key, old.as_deref(), new.as_deref());
        if let Some(undo) = &mut self.undo {
            undo.push((key, old));
        }
        self.stored.push((key, new));
        selected
    }

    /// Takes back in what an earlier life of the daemon has stored, record by
    /// record. Routes of registered clients are swept after `stale` unless these
    /// come back.
    pub fn restore(
        &mut self,
        now: Instant,
        key: Key<F>,
        candidate: Option<Candidate<F>>,
        stale: Duration,
    ) {
        let attributes = candidate.as_ref().and_then(|c| c.attributes.as_ref());
        if let Some(owner) = attributes.and_then(|attributes| attributes.owner.clone()) {
            self.clients.owners.restore(now, key, &owner, stale);
        }
        self.set_client_route(now, key, candidate.map(Arc::new));
    }

    /// What has become of clients' candidates since this was asked last, in
    /// order, for who stores them.
    pub fn take_stored(&mut self) -> Vec<Stored<F>> {
        std::mem::take(&mut self.stored)
    }

    /// All candidates of clients, for who stores them.
    pub fn client_routes(&self) -> impl Iterator<Item = (Key<F>, &Arc<Candidate<F>>)> {
        self.tables.iter().flat_map(|(table, map)| {
            map.iter().flat_map(move |(prefix, entry)| {
                entry.offers().filter_map(move |offer| match offer.slot {
                    Slot::Socket(priority) => Some(((*table, prefix, priority), &offer.candidate)),
                    _ => None,
                })
            })
        })
    }

    /// How many candidates of clients there are.
    pub fn client_route_count(&self) -> usize {
        self.clients.routes
    }

    /// At most so many candidates of clients.
    pub fn limit_client_routes(&mut self, most: usize) {
        self.clients.max_routes = most;
    }

    /// Numbers of clients' routes.
    pub fn count_client_routes(&self) -> (ClientRoutes, OwnerRoutes) {
        let counts = ClientRoutes {
            routes: self.clients.routes,
            max_routes: self.clients.max_routes,
            holds: self.clients.holds.len(),
            trash: self.clients.holds.trash(),
        };
        (counts, self.clients.owners.routes())
    }

    /// A client has registered a name.
    pub fn register(&mut self, client: ClientId, name: &str, stale_time: Duration) {
        self.clients.owners.register(client, name, stale_time);
    }

    /// A connection has ended.
    pub fn client_gone(&mut self, now: Instant, client: ClientId) {
        self.clients.owners.unregister(now, client);
        self.clients.holds.release_all(client);
    }

    /// When [`Rib::expire`] has something to do: by the wall clock, in seconds
    /// since 1970, and by ours.
    pub fn next_expiry(&self) -> (Option<u64>, Option<Instant>) {
        let expiry = self.clients.expiries.first().map(|(at, _)| *at);
        let sweep = self.clients.owners.next_sweep();
        (expiry, sweep.into_iter().chain(self.next_redirect()).min())
    }

    /// Withdraws candidates that have expired or been swept, and redirects that
    /// have aged; the caller commits.
    pub fn expire(&mut self, now: Instant, wall: u64) {
        self.expire_redirects(now);
        let expiries = self.clients.expiries.iter();
        let due = expiries.take_while(|(at, _)| *at <= wall);
        let mut due: Vec<_> = due.map(|(_, key)| *key).collect();
        due.extend(self.clients.owners.sweep(now));
        for key in due {
            self.set_client_route(now, key, None);
        }
        self.clients.owners.forget();
    }
}

impl<F: Family> Clients<F> {
    /// A candidate has taken another's place.
    fn count(&mut self, key: Key<F>, old: Option<&Candidate<F>>, new: Option<&Candidate<F>>) {
        if old.is_some() {
            self.routes -= 1;
        }
        if new.is_some() {
            self.routes += 1;
        }
        let expiry = |candidate: Option<&Candidate<F>>| {
            let metrics = candidate?.attributes.as_ref()?.metrics;
            (metrics.expire != 0).then_some(metrics.expire)
        };
        if let Some(at) = expiry(old) {
            self.expiries.remove(&(at, key));
        }
        if let Some(at) = expiry(new) {
            self.expiries.insert((at, key));
        }
        self.owners.set(key, owner(old), owner(new));
    }
}

fn owner<F: Family>(candidate: Option<&Candidate<F>>) -> Option<&str> {
    candidate?.attributes.as_ref()?.owner.as_deref()
}
