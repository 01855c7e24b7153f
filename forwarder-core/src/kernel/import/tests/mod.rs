//! Tests of the import, and the words they are written in.

mod kernel;
mod links;
mod objects;
mod property;
mod rules;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::Ours;
use crate::config::Distances;
use crate::kernel::event::{KernelNexthops, KernelRoute, NexthopObject};
use crate::net::{Ifindex, Ipv4, TableId};
use crate::route::{Candidate, Distance, Nexthop, RouteType, Source};

/// Told in IPv4, whose kernel drops the most without a word.
type KernelTable = super::KernelTable<Ipv4>;
type ImportOp = super::ImportOp<Ipv4>;
type RouteEvent = crate::kernel::event::RouteEvent<Ipv4>;

const MAIN: TableId = TableId::MAIN;
const LOCAL: TableId = TableId::LOCAL;
const ETH1: Ifindex = Ifindex(1);
const ETH2: Ifindex = Ifindex(2);
const OURS: Ours = Ours {
    protocol: 210,
    metric: 15,
};
const BOOT: u8 = 3;
const BIRD: u8 = 12;

fn net(text: &str) -> Ipv4Net {
    text.parse().unwrap()
}

fn ip(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

fn via(gateway: &str, ifindex: Ifindex) -> Nexthop<Ipv4> {
    Nexthop::via(ip(gateway), ifindex)
}

fn route(prefix: &str, protocol: u8, metric: u32, hops: Vec<Nexthop<Ipv4>>) -> KernelRoute<Ipv4> {
    KernelRoute {
        table: MAIN,
        prefix: net(prefix),
        metric,
        tos: 0,
        kind: RouteType::Unicast,
        protocol,
        nexthops: KernelNexthops::Inline(hops),
        mtu: None,
        preferred_source: None,
    }
}

fn by_object(prefix: &str, id: u32) -> KernelRoute<Ipv4> {
    KernelRoute {
        nexthops: KernelNexthops::Object(id),
        ..route(prefix, BOOT, 0, Vec::new())
    }
}

fn address(addr: &str, ifindex: Ifindex) -> KernelRoute<Ipv4> {
    KernelRoute {
        table: LOCAL,
        kind: RouteType::Local,
        preferred_source: Some(ip(addr)),
        ..route(&format!("{addr}/32"), 2, 0, vec![Nexthop::link(ifindex)])
    }
}

fn connected(prefix: &str, ifindex: Ifindex) -> KernelRoute<Ipv4> {
    route(prefix, 2, 0, vec![Nexthop::link(ifindex)])
}

type Candidates = BTreeMap<(TableId, Ipv4Net), Candidate<Ipv4>>;
type OurRoutes = BTreeMap<Ipv4Net, KernelRoute<Ipv4>>;

/// The table under test, with what its answers come to.
struct Fixture {
    table: KernelTable,
    /// What one has who carries out every answer.
    candidates: Candidates,
    ours: OurRoutes,
}

impl Fixture {
    fn new() -> Self {
        Fixture {
            table: KernelTable::new(OURS, Distances::default()),
            candidates: BTreeMap::new(),
            ours: BTreeMap::new(),
        }
    }

    /// Hands in an event; returns the answers, after carrying them out.
    fn tell(&mut self, event: RouteEvent) -> Vec<ImportOp> {
        let mut out = Vec::new();
        self.table.handle(event, &mut out);
        self.carry_out(&out);
        out
    }

    fn carry_out(&mut self, ops: &[ImportOp]) {
        for op in ops.iter().cloned() {
            match op {
                ImportOp::Update {
                    table,
                    prefix,
                    candidate,
                } => {
                    self.candidates.insert((table, prefix), candidate);
                }
                ImportOp::Withdraw { table, prefix } => {
                    assert!(
                        self.candidates.remove(&(table, prefix)).is_some(),
                        "never offered"
                    );
                }
                ImportOp::OursSeen { prefix, route } => {
                    self.ours.insert(prefix, route);
                }
                ImportOp::OursGone { prefix } => {
                    assert!(self.ours.remove(&prefix).is_some(), "never seen");
                }
            }
        }
    }

    fn add(&mut self, route: KernelRoute<Ipv4>) -> Vec<ImportOp> {
        self.tell(RouteEvent::Added {
            route,
            replaced: false,
        })
    }

    fn link(&mut self, ifindex: Ifindex, up: bool, carrier: bool) -> Vec<ImportOp> {
        self.tell(RouteEvent::Link {
            ifindex,
            up,
            carrier,
        })
    }

    fn single(&mut self, id: u32, gateway: &str, ifindex: Ifindex) -> Vec<ImportOp> {
        let gateway = Some(gateway.parse().unwrap());
        let object = NexthopObject::Single {
            gateway,
            ifindex,
            onlink: false,
        };
        self.tell(RouteEvent::NexthopSet { id, object })
    }

    fn get(&self, prefix: &str) -> Option<&Candidate<Ipv4>> {
        self.candidates.get(&(MAIN, net(prefix)))
    }

    /// The gateways of a prefix's candidate; empty where there is none.
    fn gateways(&self, prefix: &str) -> Vec<String> {
        let hops = self
            .get(prefix)
            .map_or(&[][..], |candidate| &candidate.nexthops);
        hops.iter()
            .map(|hop| hop.gateway.map_or("link".into(), |g| g.to_string()))
            .collect()
    }
}
