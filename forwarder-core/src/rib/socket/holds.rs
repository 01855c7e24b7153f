//! References to routes. A route that is deleted while it is referred to has
//! left the table at once; the reference says that it is down, and what there is
//! of it goes with the last one (route(4): "the resources associated with it will
//! not be reclaimed until all references to it are released").

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ClientId;
use crate::net::{Family, TableId};
use crate::rib::{Change, Slot};
use crate::route::Route;
use crate::route_msg::Errno;

/// Holds of a client: each keeps a route's memory.
const PER_CLIENT: usize = 1024;

/// One reference.
#[derive(Clone, Debug)]
pub(super) struct Hold<F: Family> {
    pub(super) client: ClientId,
    pub(super) table: TableId,
    pub(super) prefix: F::Prefix,
    pub(super) route: Arc<Route<F>>,
    /// The route has left the table, or is not what its prefix is routed by any
    /// more.
    pub(super) down: bool,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Holds<F: Family> {
    all: BTreeMap<u64, Hold<F>>,
    last: u64,
}

impl<F: Family> Default for Holds<F> {
    fn default() -> Self {
        Holds {
            all: BTreeMap::new(),
            last: 0,
        }
    }
}

impl<F: Family> Holds<F> {
    pub(super) fn add(&mut self, hold: Hold<F>) -> Result<u64, Errno> {
        let held = self.all.values().filter(|held| held.client == hold.client);
        if held.count() >= PER_CLIENT {
            return Err(Errno::Enobufs);
        }
        self.last += 1;
        self.all.insert(self.last, hold);
        Ok(self.last)
    }

    /// A hold of this client's; nobody sees another's.
    pub(super) fn get(&self, client: ClientId, number: u64) -> Result<&Hold<F>, Errno> {
        let hold = self.all.get(&number);
        hold.filter(|hold| hold.client == client)
            .ok_or(Errno::Esrch)
    }

    pub(super) fn release(&mut self, client: ClientId, number: u64) -> Result<Hold<F>, Errno> {
        self.get(client, number)?;
        self.all.remove(&number).ok_or(Errno::Esrch)
    }

    pub(super) fn release_all(&mut self, client: ClientId) {
        self.all.retain(|_, hold| hold.client != client);
    }

    /// References to what a prefix is routed by.
    pub(super) fn uses(&self, table: TableId, prefix: &F::Prefix) -> u32 {
        if self.all.is_empty() {
            return 0;
        }
        let of = |hold: &&Hold<F>| !hold.down && hold.table == table && hold.prefix == *prefix;
        let count = self.all.values().filter(of).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// A route that was changed is the same route. One that is gone is down, and
    /// so is one whose place another candidate has taken: what its holder relies on
    /// is not what packets do.
    pub(super) fn routes_changed(&mut self, changes: &[Change<F>]) {
        if self.all.is_empty() {
            return;
        }
        for change in changes {
            let of = |hold: &&mut Hold<F>| {
                !hold.down && hold.table == change.table && hold.prefix == change.prefix
            };
            for hold in self.all.values_mut().filter(of) {
                let same = |new: &&Arc<Route<F>>| Slot::of(new) == Slot::of(&hold.route);
                match change.new.as_ref().filter(same) {
                    Some(route) => hold.route = Arc::clone(route),
                    None => hold.down = true,
                }
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn trash(&self) -> usize {
        self.all.values().filter(|hold| hold.down).count()
    }
}
