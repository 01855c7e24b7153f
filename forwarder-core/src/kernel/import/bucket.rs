//! The kernel's routes for one prefix of one table, in the kernel's order.
//!
//! The order is that of `fib_table_insert`: higher TOS first, then the lower
//! metric, then who was there first. A dump names them in that order.

use std::cmp::Reverse;

use crate::kernel::event::{KernelNexthops, KernelRoute};
use crate::net::{Family, Ifindex};
use crate::route::{Nexthop, RouteType};

/// A route with what the kernel has not said of it.
#[derive(Clone, Debug)]
pub(super) struct Stored<F: Family> {
    pub(super) route: KernelRoute<F>,
    /// Interfaces whose next hops in this route are dead: the kernel keeps a
    /// multipath route and revives the hop when the interface is back.
    dead: Vec<Ifindex>,
    /// When the kernel last named it.
    told: u64,
}

impl<F: Family> Stored<F> {
    /// Its next hops that are not dead, where it has them in itself.
    pub(super) fn live_hops(&self) -> impl Iterator<Item = &Nexthop<F>> {
        let live = |hop: &&Nexthop<F>| hop.ifindex.is_none_or(|i| !self.dead.contains(&i));
        inline(&self.route).iter().filter(live)
    }

    /// Whether this is the route that the kernel names; it may have left out
    /// dead hops, and what an object's route does follows the object.
    fn is(&self, named: &KernelRoute<F>) -> bool {
        if self.route == *named {
            return true;
        }
        let same_ways = match (&self.route.nexthops, &named.nexthops) {
            (KernelNexthops::Object(a), KernelNexthops::Object(b)) => a == b,
            _ => self.route.kind == named.kind && self.live_hops().eq(inline(named)),
        };
        same_ways && self.is_like(named)
    }

    /// Whether one of the two is the other with some hops left out.
    fn overlaps(&self, named: &KernelRoute<F>) -> bool {
        let (known, named_hops) = (inline(&self.route), inline(named));
        self.is_like(named)
            && self.route.kind == named.kind
            && !known.is_empty()
            && !named_hops.is_empty()
            && (known.iter().all(|hop| named_hops.contains(hop))
                || named_hops.iter().all(|hop| known.contains(hop)))
    }

    fn is_like(&self, named: &KernelRoute<F>) -> bool {
        rank(&self.route) == rank(named)
            && self.route.protocol == named.protocol
            && self.route.mtu == named.mtu
            && self.route.preferred_source == named.preferred_source
    }
}

/// All routes of a prefix.
#[derive(Clone, Default, Debug)]
pub(super) struct Bucket<F: Family> {
    routes: Vec<Stored<F>>,
}

impl<F: Family> Bucket<F> {
    pub(super) fn routes(&self) -> &[Stored<F>] {
        &self.routes
    }

    /// The kernel names a route again; false where it is not known yet.
    pub(super) fn name(&mut self, route: &KernelRoute<F>, told: u64) -> bool {
        let known = self.routes.iter_mut().find(|stored| stored.is(route));
        known.map(|stored| stored.told = told).is_some()
    }

    /// A new route is there: in the place of the first of its rank, or after
    /// all of its rank. `dead` are those of its interfaces that are down.
    pub(super) fn add(
        &mut self,
        route: KernelRoute<F>,
        replaced: bool,
        dead: Vec<Ifindex>,
        told: u64,
    ) {
        let key = rank(&route);
        let first = self
            .routes
            .iter()
            .position(|stored| rank(&stored.route) == key);
        // IPv6 adds a next hop to the route of the same metric, and names the
        // whole of it (`rt6_fill_node`).
        let grown = F::MERGES_NEXTHOPS
            .then(|| {
                self.routes
                    .iter()
                    .position(|stored| stored.overlaps(&route))
            })
            .flatten();
        let new = Stored { route, dead, told };
        match grown.or(first.filter(|_| replaced)) {
            Some(first) => self.routes[first] = new,
            None => {
                let end = self
                    .routes
                    .partition_point(|stored| rank(&stored.route) <= key);
                self.routes.insert(end, new);
            }
        }
    }

    /// The kernel says that a route is gone. One that merely has its key stays:
    /// the one meant may have been inferred to be gone long before.
    pub(super) fn forget(&mut self, route: &KernelRoute<F>) {
        let exact = self.routes.iter().position(|stored| stored.is(route));
        if F::MERGES_NEXTHOPS && exact.is_none() {
            return self.shrink(route);
        }
        let alike = || self.routes.iter().position(|stored| stored.overlaps(route));
        if let Some(found) = exact.or_else(alike) {
            self.routes.remove(found);
        }
    }

    /// IPv6 says of each next hop by itself that it has left a route.
    fn shrink(&mut self, gone: &KernelRoute<F>) {
        let hops = inline(gone);
        for stored in &mut self.routes {
            if !stored.overlaps(gone) {
                continue;
            }
            if let KernelNexthops::Inline(ways) = &mut stored.route.nexthops {
                ways.retain(|way| !hops.contains(way));
            }
        }
        self.routes.retain(|stored| {
            stored.route.kind != RouteType::Unicast
                || stored.route.nexthops != KernelNexthops::Inline(Vec::new())
        });
    }

    /// An interface stopped carrying IPv4: its next hops are dead, routes with
    /// no other are gone. Local ones stay, unless `forced`.
    pub(super) fn lose(&mut self, link: Ifindex, forced: bool) {
        let spared = |stored: &Stored<F>| stored.route.kind == RouteType::Local && !forced;
        for stored in self.routes.iter_mut().filter(|stored| !spared(stored)) {
            if leaves_by(&stored.route, link) && !stored.dead.contains(&link) {
                stored.dead.push(link);
            }
        }
        self.routes
            .retain(|stored| !is_dead(&stored.route, &stored.dead));
    }

    /// An interface carries IPv4 again.
    pub(super) fn revive(&mut self, link: Ifindex) {
        for stored in &mut self.routes {
            stored.dead.retain(|dead| *dead != link);
        }
    }

    /// An interface no longer exists: every route that had a hop there goes,
    /// whatever other hops it has (`fib_sync_down_dev`).
    pub(super) fn drop_link(&mut self, link: Ifindex) {
        self.routes.retain(|stored| !leaves_by(&stored.route, link));
    }

    /// A next-hop object no longer exists.
    pub(super) fn drop_object(&mut self, id: u32) {
        self.routes
            .retain(|stored| stored.route.nexthops != KernelNexthops::Object(id));
    }

    /// A local address no longer exists.
    pub(super) fn drop_source(&mut self, source: F::Addr) {
        self.routes
            .retain(|stored| stored.route.preferred_source != Some(source));
    }

    /// Whether [`Bucket::sweep`] would change anything.
    pub(super) fn is_stale(&self, start: u64) -> bool {
        self.routes.iter().any(|stored| stored.told < start)
            || !self
                .routes
                .is_sorted_by_key(|stored| (rank(&stored.route), stored.told))
    }

    /// A dump that began at `start` is complete: what it did not name is gone,
    /// and the rest is in its order.
    pub(super) fn sweep(&mut self, start: u64) {
        self.routes.retain(|stored| stored.told >= start);
        self.routes
            .sort_by_key(|stored| (rank(&stored.route), stored.told));
    }
}

/// The kernel's order within a prefix.
fn rank<F: Family>(route: &KernelRoute<F>) -> (Reverse<u8>, u32) {
    (Reverse(route.tos), route.metric)
}

/// The next hops that a route has in itself.
pub(super) fn inline<F: Family>(route: &KernelRoute<F>) -> &[Nexthop<F>] {
    match &route.nexthops {
        KernelNexthops::Inline(hops) => hops,
        KernelNexthops::Object(_) => &[],
    }
}

/// Whether the route has interfaces of its own and all are dead.
pub(super) fn is_dead<F: Family>(route: &KernelRoute<F>, dead: &[Ifindex]) -> bool {
    let hops = inline(route);
    !hops.is_empty()
        && hops
            .iter()
            .all(|hop| hop.ifindex.is_some_and(|i| dead.contains(&i)))
}

/// Whether a hop of the route itself leaves by the link.
pub(super) fn leaves_by<F: Family>(route: &KernelRoute<F>, link: Ifindex) -> bool {
    inline(route).iter().any(|hop| hop.ifindex == Some(link))
}
