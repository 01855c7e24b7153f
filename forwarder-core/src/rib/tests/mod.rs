//! Tests of the RIB, by subject, and the words they are written in.

mod journal;
mod model;
mod property;
mod redirect;
mod resolve;
mod selection;
mod socket;

use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::Ipv4Net;

use super::{Rib, RibConfig, Slot};
use crate::net::{Ifindex, Ipv4, TableId};
use crate::route::{Candidate, Distance, Nexthop, Route, RouteType, Source};
use crate::time::Instant;

const MAIN: TableId = TableId::MAIN;
const ETH1: Ifindex = Ifindex(1);
const ETH2: Ifindex = Ifindex(2);

fn net(text: &str) -> Ipv4Net {
    text.parse().unwrap()
}

fn ip(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

fn via(gateway: &str) -> Nexthop<Ipv4> {
    Nexthop {
        gateway: Some(ip(gateway)),
        ifindex: None,
        weight: 1,
        onlink: false,
    }
}

fn via_dev(gateway: &str, ifindex: Ifindex) -> Nexthop<Ipv4> {
    Nexthop::via(ip(gateway), ifindex)
}

fn candidate(source: Source, distance: u8, nexthops: Vec<Nexthop<Ipv4>>) -> Candidate<Ipv4> {
    Candidate {
        kind: RouteType::Unicast,
        nexthops,
        source,
        distance: Distance(distance),
        metric: 0,
        tag: 0,
        mtu: None,
        kernel_metric: None,
        preferred_source: None,
        attributes: None,
    }
}

fn stat(nexthops: Vec<Nexthop<Ipv4>>) -> Candidate<Ipv4> {
    candidate(Source::Static, 1, nexthops)
}

fn rip(metric: u32, hop: Nexthop<Ipv4>) -> Candidate<Ipv4> {
    Candidate {
        metric,
        ..candidate(Source::Rip, 120, vec![hop])
    }
}

fn kernel(protocol: u8, distance: u8, metric: u32, hop: Nexthop<Ipv4>) -> Candidate<Ipv4> {
    let base = candidate(Source::Kernel(protocol), distance, vec![hop]);
    Candidate {
        metric,
        kernel_metric: Some(metric),
        ..base
    }
}

fn connected(ifindex: Ifindex) -> Candidate<Ipv4> {
    let base = candidate(Source::Connected, 0, vec![Nexthop::link(ifindex)]);
    Candidate {
        kernel_metric: Some(0),
        ..base
    }
}

fn of_kind(kind: RouteType, source: Source) -> Candidate<Ipv4> {
    Candidate {
        kind,
        ..candidate(source, 0, Vec::new())
    }
}

/// A RIB that exports with metric 15, with 192.0.2.0/24 on eth1 and
/// 198.51.100.0/24 on eth2, both running, committed.
fn rib() -> Rib<Ipv4> {
    let mut rib = Rib::new(
        7,
        RibConfig {
            export_metric: Some(15),
        },
    );
    for (prefix, ifindex) in [("192.0.2.0/24", ETH1), ("198.51.100.0/24", ETH2)] {
        rib.set_link(ifindex, true, true);
        put(&mut rib, prefix, connected(ifindex));
    }
    rib.commit();
    rib
}

fn put(rib: &mut Rib<Ipv4>, prefix: &str, candidate: Candidate<Ipv4>) {
    rib.update(Instant::ZERO, MAIN, net(prefix), candidate);
}

/// Commits, and says what is selected for the prefix.
fn selected(rib: &mut Rib<Ipv4>, prefix: &str) -> Option<Arc<Route<Ipv4>>> {
    rib.commit();
    rib.entry(MAIN, net(prefix))?.selected
}

fn winner(rib: &mut Rib<Ipv4>, prefix: &str) -> Option<Source> {
    selected(rib, prefix).map(|route| route.source)
}

fn reason(rib: &Rib<Ipv4>, prefix: &str, slot: Slot) -> &'static str {
    let entry = rib.entry(MAIN, net(prefix)).unwrap();
    entry
        .offers
        .iter()
        .find(|offer| offer.slot == slot)
        .unwrap()
        .reason
        .name()
}
