//! An interface that RIP runs on: its set-up, its neighbours, and what is still
//! to be sent there.

use super::auth::{self, Replay};
use super::config::{Address, InterfaceSetup, SendVersion, SplitHorizon};
use super::entry::Advert;
use super::io::NeighborKey;
use super::metric::Metric;
use super::neighbor::{Neighbors, RequestLimiter};
use super::output::Output;
use super::packet::Rte;
use super::wire::Wire;
use crate::net::{Family, Ifindex};

/// Somebody to send to: all on one of our subnets, a unicast neighbour, or
/// whoever asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Target<F: Family> {
    pub(super) source: F::Addr,
    pub(super) subnet: F::Prefix,
    pub(super) destination: F::Addr,
    pub(super) port: u16,
    pub(super) version: SendVersion,
}

/// Why something is sent, which decides what is told about routes learnt on
/// the interface itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// The whole table, as split horizon has it.
    Periodic,
    /// What has changed. Nothing is said about routes learnt here that have
    /// never been advertised here.
    Triggered,
    /// The whole table, once, after split horizon was switched on: what is no
    /// longer said has to be taken back.
    Retraction,
    /// The whole table for a tool that wants to see it: no split horizon.
    Inspection,
    /// We go: all that was advertised is taken back.
    Farewell,
}

/// Datagrams in and out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Traffic {
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) bad_packets: u64,
    pub(super) bad_routes: u64,
}

/// An interface.
#[derive(Clone, Debug)]
pub(super) struct Interface<F: Family> {
    pub(super) setup: InterfaceSetup<F>,
    /// Whom updates go to; empty = we are silent here.
    pub(super) targets: Vec<Target<F>>,
    pub(super) neighbors: Neighbors<F>,
    pub(super) requests: RequestLimiter<F>,
    pub(super) output: Output<F>,
    pub(super) traffic: Traffic,
    /// Sequence numbers of authenticated neighbours.
    pub(super) replay: Replay<F>,
    /// It has been said that no key's time is now.
    pub(super) out_of_keys: bool,
    /// Goes as soon as its farewell is sent.
    pub(super) closing: bool,
}

impl<F: Wire> Interface<F> {
    pub(super) fn ifindex(&self) -> Ifindex {
        self.setup.ifindex
    }

    /// The neighbour with this address.
    pub(super) fn key(&self, address: F::Addr) -> NeighborKey<F> {
        NeighborKey {
            ifindex: self.setup.ifindex,
            address,
        }
    }

    /// Entries in a datagram on this link.
    pub(super) fn max_entries(&self) -> usize {
        let max = F::max_entries(self.setup.mtu);
        let auth = self.setup.config.auth.as_ref();
        auth.map_or(max, |auth| auth::max_entries(auth, max))
    }

    /// Knows nothing of a neighbour any more.
    pub(super) fn forget(&mut self, address: F::Addr) {
        self.neighbors.remove(address);
        self.replay.remove(address);
    }

    /// What is said here about a destination. The next hop is still the
    /// route's own, whoever is told: see [`Interface::for_target`].
    pub(super) fn render(
        &self,
        kind: Kind,
        prefix: F::Prefix,
        advert: &Advert<F>,
    ) -> Option<Rte<F>> {
        let metric = self.metric(kind, advert)?;
        let ours = advert.learnt_on.is_none() || !metric.is_reachable();
        let next_hop = advert.next_hop.filter(|_| ours);
        Some(Rte {
            prefix,
            metric,
            tag: advert.tag,
            next_hop,
        })
    }

    fn metric(&self, kind: Kind, advert: &Advert<F>) -> Option<Metric> {
        let split = self.setup.config.split_horizon;
        let hidden = advert.learnt_on.contains(self.setup.ifindex) && split != SplitHorizon::Off;
        match kind {
            Kind::Inspection => Some(advert.metric),
            Kind::Farewell => (!hidden).then_some(Metric::INFINITY),
            _ if !hidden => Some(advert.metric),
            Kind::Retraction => Some(Metric::INFINITY),
            Kind::Triggered => advert.moved.then_some(Metric::INFINITY),
            Kind::Periodic => (split == SplitHorizon::Poison).then_some(Metric::INFINITY),
        }
    }

    /// What one listener is told: not his own network (unless split horizon is
    /// off), and a next hop only where he can reach it (RFC 2453 §4.4). A route
    /// is taken back with the next hop it was told with: FRR knows routes by
    /// neighbour and next hop, and ignores a withdrawal with another.
    pub(super) fn for_target(
        &self,
        kind: Kind,
        target: &Target<F>,
        rte: &Rte<F>,
    ) -> Option<Rte<F>> {
        let split = self.setup.config.split_horizon != SplitHorizon::Off;
        if split && kind != Kind::Inspection && self.is_of(target, rte.prefix) {
            return None;
        }
        let usable =
            |hop: &F::Addr| F::is_host_of(&target.subnet, *hop) && !self.setup.is_ours(*hop);
        let next_hop = rte.next_hop.filter(|_| F::SENDS_NEXT_HOPS);
        let next_hop = next_hop.filter(usable);
        Some(Rte { next_hop, ..*rte })
    }

    /// Whether a network is the listener's own: his subnet, or, on the link-local
    /// one where all routers of a link are, every network of the link.
    fn is_of(&self, target: &Target<F>, prefix: F::Prefix) -> bool {
        let addresses = &self.setup.addresses;
        prefix == target.subnet
            || !F::is_routable(&target.subnet) && addresses.iter().any(|a| a.subnet == prefix)
    }
}

/// Whom updates go to on an interface: the group, or by broadcast everybody, once
/// for each subnet, so that every neighbour sees a sender of his own subnet; then
/// the unicast ones.
pub(super) fn targets<F: Wire>(setup: &InterfaceSetup<F>, before: &[Target<F>]) -> Vec<Target<F>> {
    let mut targets: Vec<Target<F>> = Vec::new();
    let version = setup.config.send_version;
    let speaking = |address: &&Address<F>| !setup.config.passive && F::is_router(address.local);
    let mut addresses: Vec<_> = setup.addresses.iter().filter(speaking).collect();
    // Whom the neighbours know goes on speaking as long as it is there.
    addresses.sort_by_key(|address| before.iter().all(|target| target.source != address.local));
    for address in addresses {
        let (source, subnet) = (address.local, address.subnet);
        // A host address has nobody else on its subnet.
        let alone = subnet == F::host(source);
        let destination = if version.is_broadcast() {
            F::broadcast(source, &subnet)
        } else {
            Some(F::GROUP)
        };
        if let Some(destination) = destination
            && !alone
            && targets.iter().all(|target| target.subnet != subnet)
        {
            targets.push(Target {
                source,
                subnet,
                destination,
                port: F::PORT,
                version,
            });
        }
    }
    targets.extend(
        setup
            .config
            .neighbors
            .iter()
            .filter_map(|addr| unicast(setup, *addr, F::PORT)),
    );
    targets
}

/// A single router or tool on one of the interface's subnets.
pub(super) fn unicast<F: Wire>(
    setup: &InterfaceSetup<F>,
    destination: F::Addr,
    port: u16,
) -> Option<Target<F>> {
    let facing = setup.facing(destination)?;
    let ours = setup.is_ours(destination);
    let target = Target {
        source: facing.local,
        subnet: facing.subnet,
        destination,
        port,
        version: setup.config.send_version,
    };
    (!ours).then_some(target)
}
