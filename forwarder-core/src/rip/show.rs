//! The state as plain rows, for `show rip …` and metrics.

use std::collections::BTreeMap;
use std::time::Duration;

use super::auth::{AuthType, Proof};
use super::config::{ReceiveVersion, SendVersion, SplitHorizon};
use super::entry::{Entry, Offer};
use super::interface::Interface;
use super::io::NeighborKey;
use super::metric::Metric;
use super::reject::{Occurrence, Reject};
use super::table::Table;
use super::{Rip, Wire};
use crate::net::{Family, Ifindex};
use crate::time::Instant;

/// An interface that RIP runs on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InterfaceRow<F: Family> {
    /// Its number.
    pub ifindex: Ifindex,
    /// Its name.
    pub name: String,
    /// Our addresses on it.
    pub addresses: Vec<F::Addr>,
    /// The version in packets that are sent.
    pub version: u8,
    /// What is sent.
    pub send_version: SendVersion,
    /// What is accepted.
    pub receive_version: ReceiveVersion,
    /// Whether nothing is multicast.
    pub passive: bool,
    /// Split horizon.
    pub split_horizon: SplitHorizon,
    /// How packets are authenticated.
    pub auth: Option<AuthType>,
    /// What the link costs.
    pub cost: Metric,
    /// Neighbours heard.
    pub neighbors: usize,
    /// Datagrams received, bad ones included.
    pub received: u64,
    /// Datagrams sent.
    pub sent: u64,
    /// Datagrams refused.
    pub bad_packets: u64,
    /// Entries refused.
    pub bad_routes: u64,
    /// Time until the next periodic update; `None` where none is sent.
    pub next_update: Option<Duration>,
    /// How long a whole update takes at the interface's pace.
    pub full_update: Duration,
    /// That is more than half of the time between two updates.
    pub overcommitted: bool,
}

/// A router heard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NeighborRow<F: Family> {
    /// Its address.
    pub address: F::Addr,
    /// The interface it is heard on.
    pub ifindex: Ifindex,
    /// That interface's name.
    pub interface: String,
    /// The version of its last response.
    pub version: u8,
    /// Since its last response.
    pub last_seen: Duration,
    /// Destinations it offers now.
    pub routes: usize,
    /// Responses from it.
    pub packets: u64,
    /// Packets from it that were refused.
    pub bad_packets: u64,
    /// Entries from it that were refused.
    pub bad_routes: u64,
    /// Both by reason, as far as there were any.
    pub refused: BTreeMap<Reject, u64>,
    /// How its last response was authenticated.
    pub proof: Option<Proof>,
}

/// Why a destination is in the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RouteOrigin {
    /// A network of an interface that RIP runs on.
    Connected,
    /// A route of another source, advertised by us.
    Redistributed,
    /// Learnt from a neighbour.
    Learnt,
    /// Lost, and advertised as unreachable for a while.
    Garbage,
}

impl RouteOrigin {
    /// For people and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            RouteOrigin::Connected => "connected",
            RouteOrigin::Redistributed => "redistributed",
            RouteOrigin::Learnt => "rip",
            RouteOrigin::Garbage => "garbage",
        }
    }
}

/// A destination.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RouteRow<F: Family> {
    /// Its prefix.
    pub prefix: F::Prefix,
    /// Why it is here.
    pub origin: RouteOrigin,
    /// The metric advertised; 16 while it is garbage.
    pub metric: Metric,
    /// The tag advertised.
    pub tag: u16,
    /// Time until it is forgotten, for garbage.
    pub forgotten_in: Option<Duration>,
    /// Time until the best offer is used, where it settles.
    pub settles_in: Option<Duration>,
    /// Every neighbour's offer, best first.
    pub offers: Vec<OfferRow<F>>,
}

/// What a neighbour offers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OfferRow<F: Family> {
    /// The neighbour.
    pub neighbor: NeighborKey<F>,
    /// Whom to send to.
    pub via: F::Addr,
    /// With the cost of the link.
    pub metric: Metric,
    /// Its tag.
    pub tag: u16,
    /// Since it was last repeated.
    pub age: Duration,
    /// Whether it is the best.
    pub best: bool,
    /// Whether packets go this way.
    pub used: bool,
}

/// How often something was refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ErrorRow<F: Family> {
    /// Why.
    pub reason: Reject,
    /// How often.
    pub count: u64,
    /// The last time.
    pub last: Option<Occurrence<F>>,
}

impl<F: Wire> Rip<F> {
    /// Every interface that RIP runs on.
    pub fn interfaces(&self, now: Instant) -> Vec<InterfaceRow<F>> {
        self.interfaces
            .values()
            .map(|interface| interface_row(now, interface, &self.table))
            .collect()
    }

    /// Every router heard.
    pub fn neighbors(&self, now: Instant) -> Vec<NeighborRow<F>> {
        let all = self.interfaces.values();
        let rows = all.flat_map(|interface| {
            interface
                .neighbors
                .iter()
                .map(|(address, neighbor)| NeighborRow {
                    address: *address,
                    ifindex: interface.ifindex(),
                    interface: interface.setup.name.clone(),
                    version: neighbor.version,
                    last_seen: now.since(neighbor.last_seen),
                    routes: self.table.offers_of(&interface.key(*address)),
                    packets: neighbor.packets,
                    bad_packets: neighbor.bad_packets,
                    bad_routes: neighbor.bad_routes,
                    refused: neighbor.refused.clone(),
                    proof: neighbor.proof,
                })
        });
        rows.collect()
    }

    /// Every destination in the order of prefixes.
    pub fn routes(&self, now: Instant) -> impl Iterator<Item = RouteRow<F>> + '_ {
        self.table
            .iter()
            .map(move |(prefix, entry)| route_row(now, *prefix, entry))
    }

    /// Every reason for refusal, zeros included.
    pub fn errors(&self) -> Vec<ErrorRow<F>> {
        let rows = self.rejects.iter();
        rows.map(|(reason, count, last)| ErrorRow {
            reason,
            count,
            last,
        })
        .collect()
    }

    /// How many destinations there are, garbage included.
    pub fn route_count(&self) -> usize {
        self.table.len()
    }
}

fn interface_row<F: Wire>(
    now: Instant,
    interface: &Interface<F>,
    table: &Table<F>,
) -> InterfaceRow<F> {
    let full_update = interface.full_update(table.len());
    let (setup, traffic) = (&interface.setup, &interface.traffic);
    let silent = interface.targets.is_empty() || interface.closing;
    InterfaceRow {
        ifindex: setup.ifindex,
        name: setup.name.clone(),
        addresses: setup
            .addresses
            .iter()
            .map(|address| address.local)
            .collect(),
        version: setup.config.send_version.dialect().version::<F>(),
        send_version: setup.config.send_version,
        receive_version: setup.config.receive_version,
        passive: setup.config.passive,
        split_horizon: setup.config.split_horizon,
        auth: setup.config.auth.as_ref().map(|auth| auth.kind()),
        cost: setup.config.cost,
        neighbors: interface.neighbors.iter().len(),
        received: traffic.received,
        sent: traffic.sent,
        bad_packets: traffic.bad_packets,
        bad_routes: traffic.bad_routes,
        next_update: (!silent).then(|| interface.output.next_update().since(now)),
        full_update,
        overcommitted: full_update > table.tuning.timers.update / 2,
    }
}

fn route_row<F: Wire>(now: Instant, prefix: F::Prefix, entry: &Entry<F>) -> RouteRow<F> {
    let origin = match (entry.connected, entry.redistributed, entry.best()) {
        (Some(_), _, _) => RouteOrigin::Connected,
        (_, Some(_), _) => RouteOrigin::Redistributed,
        (_, _, Some(_)) => RouteOrigin::Learnt,
        _ => RouteOrigin::Garbage,
    };
    let best = entry.best().map(|offer| offer.from);
    let row = |offer: &Offer<F>| OfferRow {
        neighbor: offer.from,
        via: offer.via,
        metric: offer.metric,
        tag: offer.tag,
        age: now.since(offer.heard),
        best: Some(offer.from) == best,
        used: offer.used,
    };
    let mut offers: Vec<_> = entry.offers.iter().map(row).collect();
    offers.sort_by_key(|offer| (!offer.best, !offer.used, offer.metric, offer.neighbor));
    let advert = entry.advert.as_ref();
    RouteRow {
        prefix,
        origin,
        metric: advert.map_or(Metric::INFINITY, |advert| advert.metric),
        tag: advert.map_or(0, |advert| advert.tag),
        forgotten_in: entry.garbage_at.map(|at| at.since(now)),
        settles_in: entry.settle_at.map(|at| at.since(now)),
        offers,
    }
}
