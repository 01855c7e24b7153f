//! The rules one by one (`routes`, `hosts`, `ports`, `sharing`, `limits`), and
//! all of them together against a naive evaluation over a model of the maps
//! (`property`).

use std::net::Ipv4Addr;

use forwarder_common::abi::Tags;
use forwarder_common::reason::Reason;
use ipnet::Ipv4Net;

use super::*;
use crate::net::{Ifindex, Ipv4};
use crate::route::{Distance, Nexthop, Source};
use model::Maps;

mod counted;
mod hosts;
mod limits;
mod model;
mod naive;
mod ports;
mod property;
mod routes;
mod sharing;

/// The rules are the same for both families: told in IPv4 here.
type Fib = super::Fib<Ipv4>;
type FibOp = super::FibOp<Ipv4>;
type Target = super::Target<Ipv4>;

const ETH1: Ifindex = Ifindex(11);
const ETH2: Ifindex = Ifindex(12);
/// An interface that is never a port.
const TUN: Ifindex = Ifindex(19);
const MAC_A: [u8; 6] = [2, 0, 0, 0, 0, 0xa];
const MAC_B: [u8; 6] = [2, 0, 0, 0, 0, 0xb];

fn net(text: &str) -> Ipv4Net {
    text.parse().unwrap()
}

fn addr(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

fn route(kind: RouteType, nexthops: &[Nexthop<Ipv4>]) -> Route<Ipv4> {
    Route {
        kind,
        nexthops: nexthops.to_vec(),
        source: Source::Static,
        distance: Distance(1),
        metric: 0,
        tag: 0,
        mtu: None,
        kernel_metric: None,
        preferred_source: None,
        attributes: None,
    }
}

fn via(gateway: &str, ifindex: Ifindex) -> Route<Ipv4> {
    route(RouteType::Unicast, &[Nexthop::via(addr(gateway), ifindex)])
}

fn link(ifindex: Ifindex) -> Route<Ipv4> {
    route(RouteType::Unicast, &[Nexthop::link(ifindex)])
}

fn port(ifindex: Ifindex) -> PortState {
    let number = ifindex.0 - 10;
    let mac = [2, 0xff, 0, 0, 0, ifindex.0 as u8];
    PortState {
        number,
        tx: number,
        tags: Tags::NONE,
        mac,
        mtu: 1500,
        can_transmit: true,
        tc: false,
    }
}

/// A FIB with maps that carry out what it says and check it.
struct Bench {
    fib: Fib,
    maps: Maps,
    /// What the last call emitted.
    ops: Vec<FibOp>,
}

impl Bench {
    fn with_capacity(capacity: Capacity) -> Self {
        let fib = Fib::with_capacity(&capacity);
        let mut bench = Bench {
            fib,
            maps: Maps::new(capacity),
            ops: Vec::new(),
        };
        bench.call(|fib, out| fib.initial(out));
        bench
    }

    /// Large enough, and with the two ports up.
    fn new() -> Self {
        let mut bench = Self::with_capacity(Ipv4::CAPACITY);
        bench.port(ETH1, Some(port(ETH1)));
        bench.port(ETH2, Some(port(ETH2)));
        bench
    }

    fn call(&mut self, change: impl FnOnce(&mut Fib, &mut Vec<FibOp>)) -> &[FibOp] {
        self.ops.clear();
        let before = self.targets();
        change(&mut self.fib, &mut self.ops);
        let after = self.targets();
        let kept = before.intersection(&after).map(|(id, _)| *id);
        self.maps.keep(kept.collect());
        for op in &self.ops {
            self.maps.execute(op.clone());
        }
        &self.ops
    }

    fn targets(&self) -> BTreeSet<(u32, Target)> {
        let nexthops = self.fib.nexthops();
        nexthops
            .filter_map(|nexthop| Some((nexthop.id?, nexthop.target)))
            .collect()
    }

    fn main(&mut self, prefix: &str, route: &Route<Ipv4>) -> &[FibOp] {
        self.call(|fib, out| fib.set_route(TableId::MAIN, net(prefix), Some(route), out))
    }

    fn withdraw(&mut self, prefix: &str) -> &[FibOp] {
        self.call(|fib, out| fib.set_route(TableId::MAIN, net(prefix), None, out))
    }

    fn local(&mut self, prefix: &str, kind: Option<RouteType>) -> &[FibOp] {
        let route = kind.map(|kind| route(kind, &[]));
        self.call(|fib, out| fib.set_route(TableId::LOCAL, net(prefix), route.as_ref(), out))
    }

    fn count(&mut self, prefixes: &[&str]) -> &[FibOp] {
        let wanted = prefixes.iter().map(|prefix| net(prefix)).collect();
        self.call(|fib, out| fib.set_counted(&wanted, out))
    }

    fn neighbour(&mut self, ifindex: Ifindex, address: &str, mac: Option<[u8; 6]>) -> &[FibOp] {
        self.call(|fib, out| fib.set_neighbour(ifindex, addr(address), mac, out))
    }

    fn port(&mut self, ifindex: Ifindex, port: Option<PortState>) -> &[FibOp] {
        self.call(|fib, out| fib.set_port(ifindex, port, out))
    }

    /// A whole grace period.
    fn grace(&mut self) -> &[FibOp] {
        self.maps.grace_begins();
        let freed = self.fib.take_freed();
        self.maps.grace_ends();
        self.call(|fib, out| fib.release(freed, out))
    }

    /// What the program would do; also that the FIB knows it.
    fn decide(&self, address: &str) -> Option<Decision> {
        let decision = self.maps.decide(addr(address));
        assert_eq!(
            decision,
            self.fib.lookup(addr(address)).map(|entry| entry.decision)
        );
        decision
    }

    /// Destination MAC, egress interface and MTU; `None` if not forwarded.
    fn forwards(&self, address: &str) -> Option<([u8; 6], Ifindex, u32)> {
        match self.decide(address) {
            Some(Decision::Forward { adjacency, .. }) => Some((
                adjacency.destination,
                Ifindex(adjacency.ifindex),
                adjacency.mtu,
            )),
            _ => None,
        }
    }
}

fn up(reason: Reason) -> Option<Decision> {
    Some(Decision::Up(reason))
}

/// Connected 10.0.0.0/24 on eth1 with 10.0.0.1 known.
fn connected() -> Bench {
    let mut bench = Bench::new();
    bench.main("10.0.0.0/24", &link(ETH1));
    bench.neighbour(ETH1, "10.0.0.1", Some(MAC_A));
    bench
}
