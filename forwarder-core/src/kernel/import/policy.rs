//! Which of the kernel's routes for a prefix is the candidate, and which is our
//! own.

use super::bucket::{Bucket, Stored};
use super::objects::{Objects, Ways};
use super::{ImportOp, Key, Ours};
use crate::config::Distances;
use crate::kernel::event::{KernelNexthops, KernelRoute};
use crate::net::{Family, TableId};
use crate::route::{Candidate, Nexthop, RouteType, Source};

/// `RTPROT_KERNEL`: connected networks and own addresses.
const PROTO_KERNEL: u8 = 2;

/// What the operator decided.
#[derive(Clone, Copy, Debug)]
pub(super) struct Policy {
    pub(super) ours: Ours,
    pub(super) distances: Distances,
    pub(super) foreign: bool,
}

/// What a prefix comes to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Answer<F: Family> {
    pub(super) candidate: Option<Candidate<F>>,
    pub(super) ours: Option<KernelRoute<F>>,
}

impl<F: Family> Answer<F> {
    /// What has to be said when a prefix comes from this answer to another;
    /// `again` = the candidate is told of even if it seems the same.
    pub(super) fn diff(
        self,
        new: Answer<F>,
        again: bool,
        (table, prefix): Key<F>,
    ) -> Vec<ImportOp<F>> {
        let mut ops = Vec::new();
        match (self.candidate, new.candidate) {
            (old, Some(candidate)) if again || old.as_ref() != Some(&candidate) => {
                ops.push(ImportOp::Update {
                    table,
                    prefix,
                    candidate,
                });
            }
            (Some(_), None) => ops.push(ImportOp::Withdraw { table, prefix }),
            _ => {}
        }
        match (self.ours, new.ours) {
            (old, Some(route)) if old.as_ref() != Some(&route) => {
                ops.push(ImportOp::OursSeen { prefix, route });
            }
            (Some(_), None) => ops.push(ImportOp::OursGone { prefix }),
            _ => {}
        }
        ops
    }
}

impl Policy {
    /// Ours: our protocol and our metric in table main. We never set a TOS, so
    /// a route with one is another's.
    fn is_ours<F: Family>(&self, route: &KernelRoute<F>) -> bool {
        route.table == TableId::MAIN
            && route.protocol == self.ours.protocol
            && route.metric == self.ours.metric
            && route.tos == 0
    }

    /// The first of ours in the kernel's order.
    pub(super) fn find_ours<'a, F: Family>(
        &self,
        bucket: &'a Bucket<F>,
    ) -> Option<&'a KernelRoute<F>> {
        bucket
            .routes()
            .iter()
            .map(|stored| &stored.route)
            .find(|route| self.is_ours(route))
    }

    pub(super) fn answer<F: Family>(&self, bucket: &Bucket<F>, objects: &Objects) -> Answer<F> {
        Answer {
            candidate: self.candidate(bucket, objects),
            ours: self.find_ours(bucket).cloned(),
        }
    }

    /// The first route in the kernel's order that is wanted and not ours. The
    /// order puts a TOS before metrics, so one route with a TOS decides that
    /// the kernel alone can tell where this prefix leads.
    fn candidate<F: Family>(&self, bucket: &Bucket<F>, objects: &Objects) -> Option<Candidate<F>> {
        let wanted = |stored: &&Stored<F>| {
            !self.is_ours(&stored.route)
                && (self.foreign
                    || stored.route.protocol == PROTO_KERNEL
                    || stored.route.table == TableId::LOCAL)
        };
        let first = bucket.routes().iter().find(wanted)?;
        let (kind, nexthops) = ways(first, objects);
        let route = &first.route;
        Some(Candidate {
            kind,
            nexthops,
            source: source(route.protocol),
            distance: self.distances.of_protocol(route.protocol),
            metric: route.metric,
            tag: 0,
            mtu: route.mtu,
            // For the packets that have the TOS no metric of ours comes first.
            kernel_metric: Some(if route.tos == 0 { route.metric } else { 0 }),
            preferred_source: route.preferred_source,
            attributes: None,
        })
    }
}

fn source(protocol: u8) -> Source {
    match protocol {
        PROTO_KERNEL => Source::Connected,
        other => Source::Kernel(other),
    }
}

/// What a route does with a packet, by way of its object where it has one.
fn ways<F: Family>(stored: &Stored<F>, objects: &Objects) -> (RouteType, Vec<Nexthop<F>>) {
    let kernel_only = (RouteType::KernelOnly, Vec::new());
    if stored.route.tos != 0 {
        return kernel_only;
    }
    match (stored.route.kind, &stored.route.nexthops) {
        (RouteType::Unicast | RouteType::Blackhole, KernelNexthops::Object(id)) => {
            match objects.ways(*id) {
                Ways::Hops(hops) => (RouteType::Unicast, hops),
                Ways::Blackhole => (RouteType::Blackhole, Vec::new()),
                Ways::KernelOnly => kernel_only,
            }
        }
        (RouteType::Unicast, KernelNexthops::Inline(_)) => {
            let hops: Vec<_> = stored.live_hops().copied().collect();
            let complete = !hops.is_empty() && hops.iter().all(|hop| hop.ifindex.is_some());
            if complete {
                (RouteType::Unicast, hops)
            } else {
                kernel_only
            }
        }
        // Whose address it is.
        (RouteType::Local, KernelNexthops::Inline(_)) => {
            (RouteType::Local, stored.live_hops().copied().collect())
        }
        (kind, _) => (kind, Vec::new()),
    }
}
