//! Which routes of the kernel are candidates: a model of its IPv4 tables `main`
//! and `local` and of its next-hop objects, kept by what netlink tells.
//!
//! The RIB's task owns it, hands it every [`RouteEvent`] and carries the
//! [`ImportOp`]s to the RIB and to the exporter. A plain list of routes would
//! not do, because the kernel drops many without a message (each of these
//! measured on Linux 6.18):
//!
//! * a link set down takes its routes, broadcast ones of table local included,
//!   and its next-hop objects; a multipath route loses the hop and gets it back
//!   when the link is up again (`fib_sync_down_dev`, `fib_sync_up`);
//! * loss of carrier takes the next-hop objects of the link and the routes by
//!   them, and leaves all other routes (`nh_netdev_event`);
//! * a link that is deleted takes whole multipath routes;
//! * the last address of a link takes all its routes (`fib_inetaddr_event`);
//! * an address takes the routes that prefer it as source, before 6.6 without
//!   a message (`fib_sync_down_addr`);
//! * a next-hop object takes its routes, and shrinks or takes its groups.
//!
//! All of that is inferred here at once; the monitor dumps the tables again
//! after such events, and what the dump does not name is gone
//! ([`RouteEvent::DumpEnd`]), so an inference that is wrong is put right.

mod bucket;
mod links;
mod objects;
mod policy;
#[cfg(test)]
mod tests;
mod uses;

use std::collections::BTreeMap;

use self::bucket::{Bucket, is_dead};
use self::objects::{Objects, Removed};
use self::policy::Policy;
use self::uses::{Key, Use, Uses, uses_of};
use crate::config::Distances;
use crate::kernel::event::{KernelRoute, NexthopObject, RouteEvent};
use crate::net::{Family, Ifindex, TableId};
use crate::route::{Candidate, RouteType};

/// How our routes are known: those with both, in table main. They are never
/// candidates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ours {
    /// `[kernel] protocol`.
    pub protocol: u8,
    /// `[kernel] metric`.
    pub metric: u32,
}

/// What an event means for the RIB and the exporter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ImportOp<F: Family> {
    /// This is the kernel's candidate for the prefix now.
    Update {
        /// `main` or `local`.
        table: TableId,
        /// The destination.
        prefix: F::Prefix,
        /// What the kernel would do.
        candidate: Candidate<F>,
    },
    /// The kernel has no candidate for the prefix any more.
    Withdraw {
        /// `main` or `local`.
        table: TableId,
        /// The destination.
        prefix: F::Prefix,
    },
    /// A route of ours is in the kernel. Repeated whenever the kernel names it,
    /// dumps included, so that an exporter that lost track finds back.
    OursSeen {
        /// The destination.
        prefix: F::Prefix,
        /// The route as the kernel has it.
        route: KernelRoute<F>,
    },
    /// The route of ours is no longer there, whoever removed it.
    OursGone {
        /// The destination.
        prefix: F::Prefix,
    },
}

/// The kernel's IPv4 routes and next-hop objects.
#[derive(Debug)]
pub struct KernelTable<F: Family> {
    policy: Policy,
    prefixes: BTreeMap<Key<F>, Bucket<F>>,
    uses: Uses<F>,
    objects: Objects,
    /// `IFF_UP` of the links told of.
    links: BTreeMap<Ifindex, bool>,
    /// Counts what has been told, so that a dump knows what it named.
    clock: u64,
    /// When the dump in progress began.
    dump: Option<u64>,
}

impl<F: Family> KernelTable<F> {
    /// An empty table; foreign routes are candidates until
    /// [`KernelTable::reconfigure`] says otherwise.
    pub fn new(ours: Ours, distances: Distances) -> Self {
        KernelTable {
            policy: Policy {
                ours,
                distances,
                foreign: true,
            },
            prefixes: BTreeMap::new(),
            uses: Uses::default(),
            objects: Objects::default(),
            links: BTreeMap::new(),
            clock: 0,
            dump: None,
        }
    }

    /// Other distances, or another wish for foreign routes: with `foreign`
    /// false (`[kernel] import = false`) only connected networks and table
    /// `local` are candidates. Tells of every prefix that it concerns.
    pub fn reconfigure(&mut self, distances: Distances, foreign: bool, out: &mut Vec<ImportOp<F>>) {
        let new = Policy {
            ours: self.policy.ours,
            distances,
            foreign,
        };
        let old = std::mem::replace(&mut self.policy, new);
        for (key, bucket) in &self.prefixes {
            let before = old.answer(bucket, &self.objects);
            let after = self.policy.answer(bucket, &self.objects);
            out.extend(before.diff(after, false, *key));
        }
    }

    /// Takes in one event; appends what follows from it.
    pub fn handle(&mut self, event: RouteEvent<F>, out: &mut Vec<ImportOp<F>>) {
        self.clock += 1;
        match event {
            RouteEvent::Added { route, replaced } if is_routed(route.table) => {
                self.added(route, replaced, out);
            }
            RouteEvent::Removed(route) if is_routed(route.table) => self.removed(&route, out),
            RouteEvent::Added { .. } | RouteEvent::Removed(_) => {}
            RouteEvent::NexthopSet { id, object } => self.object_set(id, object, out),
            RouteEvent::NexthopGone(id) => self.object_gone(id, out),
            RouteEvent::Link {
                ifindex,
                up,
                carrier,
            } => self.link(ifindex, up, carrier, out),
            RouteEvent::LinkGone(ifindex) => self.link_gone(ifindex, out),
            RouteEvent::DumpStart => self.dump = Some(self.clock),
            RouteEvent::DumpEnd => self.sweep(out),
        }
    }

    fn added(&mut self, route: KernelRoute<F>, replaced: bool, out: &mut Vec<ImportOp<F>>) {
        let key = (route.table, route.prefix);
        let told = self.clock;
        if self
            .prefixes
            .get_mut(&key)
            .is_some_and(|bucket| bucket.name(&route, told))
        {
            self.repeat_ours(key, out);
            return;
        }
        let dead = self.down_links(&route);
        if is_dead(&route, &dead) {
            return;
        }
        if is_own_address(&route) {
            self.address_added(&route, out);
        }
        self.edit(key, out, |bucket| bucket.add(route, replaced, dead, told));
    }

    fn removed(&mut self, route: &KernelRoute<F>, out: &mut Vec<ImportOp<F>>) {
        self.edit((route.table, route.prefix), out, |bucket| {
            bucket.forget(route);
        });
        if is_own_address(route) {
            self.address_gone(route, out);
        }
    }

    fn object_set(&mut self, id: u32, object: NexthopObject, out: &mut Vec<ImportOp<F>>) {
        for id in self.objects.set(id, object) {
            self.tell_again(Use::Object(id), out, |_| {});
        }
    }

    fn object_gone(&mut self, id: u32, out: &mut Vec<ImportOp<F>>) {
        let Removed { gone, shrunk } = self.objects.remove(id);
        for id in gone {
            self.tell_again(Use::Object(id), out, |bucket| bucket.drop_object(id));
        }
        for id in shrunk {
            self.tell_again(Use::Object(id), out, |_| {});
        }
    }

    fn sweep(&mut self, out: &mut Vec<ImportOp<F>>) {
        let Some(start) = self.dump.take() else {
            return;
        };
        let stale: Vec<Key<F>> = self
            .prefixes
            .iter()
            .filter(|(_, bucket)| bucket.is_stale(start))
            .map(|(key, _)| *key)
            .collect();
        for key in stale {
            self.edit(key, out, |bucket| bucket.sweep(start));
        }
    }

    /// Changes the routes of a prefix and says what follows.
    fn edit(
        &mut self,
        key: Key<F>,
        out: &mut Vec<ImportOp<F>>,
        change: impl FnOnce(&mut Bucket<F>),
    ) {
        self.change(key, false, out, change);
    }

    fn edit_all(
        &mut self,
        used: Use<F>,
        out: &mut Vec<ImportOp<F>>,
        mut change: impl FnMut(&mut Bucket<F>),
    ) {
        for key in self.uses.keys(used) {
            self.change(key, false, out, &mut change);
        }
    }

    /// As `edit_all`, after an object changed: what the candidates were before
    /// can no longer be told, so each is told of again.
    fn tell_again(
        &mut self,
        used: Use<F>,
        out: &mut Vec<ImportOp<F>>,
        mut change: impl FnMut(&mut Bucket<F>),
    ) {
        for key in self.uses.keys(used) {
            self.change(key, true, out, &mut change);
        }
    }

    fn change(
        &mut self,
        key: Key<F>,
        again: bool,
        out: &mut Vec<ImportOp<F>>,
        change: impl FnOnce(&mut Bucket<F>),
    ) {
        let bucket = self.prefixes.entry(key).or_default();
        let before = self.policy.answer(bucket, &self.objects);
        let used = uses_of(bucket);
        change(bucket);
        let after = self.policy.answer(bucket, &self.objects);
        self.uses.replace(key, &used, &uses_of(bucket));
        if bucket.routes().is_empty() {
            self.prefixes.remove(&key);
        }
        out.extend(before.diff(after, again, key));
    }

    /// Tells of our route of a prefix once more, if there is one.
    fn repeat_ours(&self, key: Key<F>, out: &mut Vec<ImportOp<F>>) {
        let Some(bucket) = self.prefixes.get(&key) else {
            return;
        };
        let ours = self.policy.find_ours(bucket).cloned();
        out.extend(ours.map(|route| ImportOp::OursSeen {
            prefix: key.1,
            route,
        }));
    }
}

/// The tables that packets are routed by while there are only the default rules.
fn is_routed(table: TableId) -> bool {
    table == TableId::MAIN || table == TableId::LOCAL
}

/// A route by which the kernel knows an address of its own.
fn is_own_address<F: Family>(route: &KernelRoute<F>) -> bool {
    route.table == TableId::LOCAL && route.kind == RouteType::Local
}
