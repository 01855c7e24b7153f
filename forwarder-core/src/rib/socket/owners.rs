//! Clients that have registered a name. Their routes are swept when the last
//! connection of that name has been gone for the time that it asked for, or when
//! one has come back and has not added them again by then: what a daemon needs
//! that restarts without its routes' leaving the table.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::{ClientId, Key};
use crate::net::Family;
use crate::time::Instant;

/// One name.
#[derive(Debug)]
struct Owner<F: Family> {
    connections: BTreeSet<ClientId>,
    stale_time: Duration,
    routes: BTreeSet<Key<F>>,
    /// Those of an earlier connection that nobody has added again.
    stale: BTreeSet<Key<F>>,
    /// When they are swept.
    sweep: Option<Instant>,
}

/// All names.
#[derive(Debug)]
pub(super) struct Owners<F: Family> {
    by_name: BTreeMap<Arc<str>, Owner<F>>,
    by_client: BTreeMap<ClientId, Arc<str>>,
}

impl<F: Family> Default for Owners<F> {
    fn default() -> Self {
        Owners {
            by_name: BTreeMap::new(),
            by_client: BTreeMap::new(),
        }
    }
}

impl<F: Family> Owners<F> {
    pub(super) fn register(&mut self, client: ClientId, name: &str, stale_time: Duration) {
        let name: Arc<str> = match self.by_name.get_key_value(name) {
            Some((name, _)) => Arc::clone(name),
            None => name.into(),
        };
        let owner = self.by_name.entry(Arc::clone(&name)).or_insert(Owner {
            connections: BTreeSet::new(),
            stale_time,
            routes: BTreeSet::new(),
            stale: BTreeSet::new(),
            sweep: None,
        });
        owner.connections.insert(client);
        owner.stale_time = stale_time;
        self.by_client.insert(client, name);
    }

    /// The connection has ended.
    pub(super) fn unregister(&mut self, now: Instant, client: ClientId) {
        let Some(name) = self.by_client.remove(&client) else {
            return;
        };
        let Some(owner) = self.by_name.get_mut(&name) else {
            return;
        };
        owner.connections.remove(&client);
        if !owner.connections.is_empty() {
            return;
        }
        if owner.routes.is_empty() {
            self.by_name.remove(&name);
            return;
        }
        owner.stale.clone_from(&owner.routes);
        owner.sweep = Some(now + owner.stale_time);
    }

    pub(super) fn name(&self, client: ClientId) -> Option<&Arc<str>> {
        self.by_client.get(&client)
    }

    /// Whether the client may add this again: it is its own from an earlier
    /// connection.
    pub(super) fn is_stale(&self, client: ClientId, key: &Key<F>) -> bool {
        let owner = self.name(client).and_then(|name| self.by_name.get(name));
        owner.is_some_and(|owner| owner.stale.contains(key))
    }

    /// A candidate has this owner from now on.
    pub(super) fn set(&mut self, key: Key<F>, old: Option<&str>, new: Option<&str>) {
        if old != new
            && let Some(owner) = old.and_then(|name| self.by_name.get_mut(name))
        {
            owner.routes.remove(&key);
            owner.stale.remove(&key);
        }
        if let Some(owner) = new.and_then(|name| self.by_name.get_mut(name)) {
            owner.routes.insert(key);
            owner.stale.remove(&key);
        }
    }

    /// A candidate of before a restart of the daemon: its owner has no
    /// connection yet.
    pub(super) fn restore(&mut self, now: Instant, key: Key<F>, name: &Arc<str>, stale: Duration) {
        let owner = self.by_name.entry(Arc::clone(name)).or_insert(Owner {
            connections: BTreeSet::new(),
            stale_time: stale,
            routes: BTreeSet::new(),
            stale: BTreeSet::new(),
            sweep: Some(now + stale),
        });
        owner.routes.insert(key);
        owner.stale.insert(key);
    }

    pub(super) fn next_sweep(&self) -> Option<Instant> {
        self.by_name.values().filter_map(|owner| owner.sweep).min()
    }

    /// The candidates whose time has come.
    pub(super) fn sweep(&mut self, now: Instant) -> Vec<Key<F>> {
        let due = |owner: &&mut Owner<F>| owner.sweep.is_some_and(|sweep| sweep <= now);
        let mut swept = Vec::new();
        for owner in self.by_name.values_mut().filter(due) {
            owner.sweep = None;
            swept.extend(std::mem::take(&mut owner.stale));
        }
        swept
    }

    /// Forgets names that have neither connections nor routes.
    pub(super) fn forget(&mut self) {
        self.by_name
            .retain(|_, owner| !owner.connections.is_empty() || !owner.routes.is_empty());
    }

    pub(super) fn routes(&self) -> super::OwnerRoutes {
        let count = |(name, owner): (&Arc<str>, &Owner<F>)| (Arc::clone(name), owner.routes.len());
        self.by_name.iter().map(count).collect()
    }
}
