//! What clients of the routing socket do to the RIB: route(4)'s ADD, DELETE,
//! CHANGE, LOCK and GET.
//!
//! A client's candidate has the key (table, prefix, priority), which all clients
//! share: whoever may write may change and delete what another has added, as on
//! BSD. The priority is the administrative distance. What other sources offer is
//! never touched: a prefix that only they know is `EBUSY`.
//!
//! Called by the RIB's task, which closes each request with
//! [`super::Rib::commit`], so that each is a generation and every listener sees
//! each. The semantics are FreeBSD's (`sys/net/rtsock.c`, `route_ctl.c`); where
//! BSDs differ `docs/adr/` says which is followed.

mod apply;
mod batch;
mod holds;
mod message;
mod owners;
mod query;
mod settings;
pub mod stored;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use self::batch::Refused;
use self::holds::Holds;
pub use self::message::{is_told, route_message, state_of, tell_change, tell_route};
use self::owners::Owners;
pub use self::table::Stored;
use super::{Change, Generation};
use crate::net::{Family, Ifindex, TableId};
use crate::route::{Attributes, Route};
use crate::route_msg::Metrics;

/// A connection. Never used again within one life of the daemon.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct ClientId(pub u64);

/// Most clients' candidates together, unless the configuration says otherwise.
pub const MAX_ROUTES: usize = 4_000_000;

/// Where a client's route leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way<F: Family> {
    /// A router.
    Gateway(F::Addr),
    /// The destination is on this link.
    Link(Ifindex),
}

/// What a request sets. For an addition all of it counts, for a change what is
/// there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings<F: Family> {
    /// Where to.
    pub way: Option<Way<F>>,
    /// `RTF_*`.
    pub flags: u32,
    /// Which flags a change is about; 0 = those that it may change.
    pub fmask: u32,
    /// Which metrics are set.
    pub inits: u64,
    /// The metrics.
    pub metrics: Metrics,
    /// The interface to leave by.
    pub ifp: Option<Ifindex>,
    /// The source address to prefer.
    pub ifa: Option<F::Addr>,
    /// Mask of what is cloned.
    pub genmask: Option<u8>,
}

impl<F: Family> Default for Settings<F> {
    fn default() -> Self {
        Settings {
            way: None,
            flags: 0,
            fmask: 0,
            inits: 0,
            metrics: Metrics::default(),
            ifp: None,
            ifa: None,
            genmask: None,
        }
    }
}

/// What is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Op<F: Family> {
    /// A new candidate, or with `RTF_MPATH` one more way of one.
    Add(Settings<F>),
    /// Takes a candidate back, or the way with this gateway.
    Delete(Option<Way<F>>),
    /// Sets something of a candidate.
    Change(Settings<F>),
    /// Locks metrics, and unlocks them.
    Lock(Settings<F>),
    /// Exactly this prefix's route, perhaps the way with this gateway.
    Get(Option<Way<F>>),
    /// The route that this address takes.
    Lookup(F::Addr, Option<Way<F>>),
    /// The same, and keeps hold of it.
    Hold(F::Addr),
    /// How the route of a hold fares.
    Held(u64),
    /// Lets it go.
    Release(u64),
}

/// A request of a client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request<F: Family> {
    /// The connection.
    pub client: ClientId,
    /// The process that sent it.
    pub pid: i32,
    /// Its number for it.
    pub seq: i32,
    /// The prefix.
    pub prefix: F::Prefix,
    /// The candidate's priority, which is its distance; `None` = the default,
    /// or of a candidate that is there the best.
    pub priority: Option<u8>,
    /// What is asked for.
    pub op: Op<F>,
}

/// What came of a request that was done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome<F: Family> {
    /// The route's table.
    pub table: TableId,
    /// Its prefix: of a lookup, the one that matched.
    pub prefix: F::Prefix,
    /// The route: the candidate as it is after the request, or was before it
    /// was deleted.
    pub route: Arc<Route<F>>,
    /// Which of its ways the request was about.
    pub way: usize,
    /// It is what the prefix is routed by.
    pub up: bool,
    /// The prefix's selected route is another after the commit: the listeners
    /// are told.
    pub changed: bool,
    /// Nothing else has changed with it: who knows of this knows all of the
    /// generation.
    pub alone: bool,
    /// Number of the hold.
    pub hold: Option<u64>,
    /// How many hold it.
    pub uses: u32,
    /// After the commit.
    pub generation: Generation,
}

/// A candidate's key.
pub type Key<F> = (TableId, <F as Family>::Prefix, u8);

/// What is known of clients and of their candidates besides the candidates.
#[derive(Debug)]
pub(super) struct Clients<F: Family> {
    /// Candidates of clients.
    routes: usize,
    max_routes: usize,
    /// When candidates end, in seconds since 1970.
    expiries: BTreeSet<(u64, Key<F>)>,
    owners: Owners<F>,
    holds: Holds<F>,
    /// The attributes that were made last: most routes of a client are alike.
    last: Option<Arc<Attributes>>,
}

impl<F: Family> Default for Clients<F> {
    fn default() -> Self {
        Clients {
            routes: 0,
            max_routes: MAX_ROUTES,
            expiries: BTreeSet::new(),
            owners: Owners::default(),
            holds: Holds::default(),
            last: None,
        }
    }
}

impl<F: Family> Clients<F> {
    /// What a commit has changed: routes that are held go down.
    pub(super) fn routes_changed(&mut self, changes: &[Change<F>]) {
        self.holds.routes_changed(changes);
    }

    fn shared(&mut self, attributes: Attributes) -> Option<Arc<Attributes>> {
        if attributes == Attributes::default() {
            return None;
        }
        if let Some(last) = self.last.as_ref().filter(|last| ***last == attributes) {
            return Some(Arc::clone(last));
        }
        let attributes = Arc::new(attributes);
        self.last = Some(Arc::clone(&attributes));
        Some(attributes)
    }
}

/// Numbers of clients' routes, for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ClientRoutes {
    /// Candidates.
    pub routes: usize,
    /// Most that there may be.
    pub max_routes: usize,
    /// Holds.
    pub holds: usize,
    /// Routes that were deleted while they were held (`rttrash`).
    pub trash: usize,
}

/// Registered names with the number of their candidates.
pub type OwnerRoutes = BTreeMap<Arc<str>, usize>;
