//! The daemon's side of the fast path, driven as fast as it goes: routes below
//! a covering one come, change and go, neighbours get new MAC addresses, and
//! what that frees is used again after real grace periods.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::ensure;
use forwarder::dataplane::grace::Grace;
use forwarder::dataplane::side::{Resting, Side};
use forwarder::dataplane::tables::Tables;
use forwarder_core::fib::PortState;
use forwarder_core::kernel::event::{Neighbour, NeighbourEvent, NeighbourState};
use forwarder_core::net::{Ifindex, Ipv4, TableId};
use forwarder_core::route::{Distance, Nexthop, Route, RouteType, Source};
use forwarder_tests::numbers::Numbers;
use ipnet::Ipv4Net;

/// Neighbours of a way, of which the first is the covering route's.
const NEIGHBOURS: u32 = 16;
/// Routes of a way that come and go.
const CHILDREN: usize = 200;
/// Between two looks at the grace period.
const BURST: u32 = 64;

/// One covering route, 10.NET.0.0/16, with all its neighbours on one port.
#[derive(Clone, Copy)]
pub(super) struct Way {
    pub(super) net: u8,
    pub(super) egress: Ifindex,
    pub(super) state: PortState,
}

/// What was written.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Written {
    pub(super) routes: u64,
    pub(super) neighbours: u64,
    pub(super) grace_periods: u64,
}

/// See the module's head.
pub(super) struct Writer {
    pub(super) tables: Tables,
    side: Side<Ipv4>,
    ways: [Way; 2],
    children: Vec<(usize, Ipv4Net, bool)>,
    numbers: Numbers,
    written: Written,
}

impl Writer {
    /// With the covering routes in the maps.
    pub(super) fn new(mut tables: Tables, ways: [Way; 2], seed: u64) -> Writer {
        let side = Side::new(&mut tables);
        let mut writer = Writer {
            tables,
            side,
            ways,
            children: Vec::new(),
            numbers: Numbers::new(seed),
            written: Written::default(),
        };
        for (way, Way { egress, state, net }) in ways.into_iter().enumerate() {
            writer
                .side
                .set_port(&mut writer.tables, (egress, Some(state)));
            (0..NEIGHBOURS).for_each(|number| writer.new_mac(way, number));
            let cover = Ipv4Net::new_assert(Ipv4Addr::new(10, net, 0, 0), 16);
            writer.set_route(way, cover, Some(0));
            for _ in 0..CHILDREN {
                let child = writer.child(way);
                writer.children.push((way, child, false));
            }
        }
        writer
    }

    /// Addresses below a covering route, most of them below its children.
    pub(super) fn destinations(&self, way: usize) -> Vec<Ipv4Addr> {
        let cover = Ipv4Addr::new(10, self.ways[way].net, 0, 0).to_bits();
        let below = self.children.iter().filter(|(of, ..)| *of == way);
        let ends = below.flat_map(|(_, child, _)| {
            let (first, last) = (child.network().to_bits(), child.broadcast().to_bits());
            [
                first,
                last,
                first.wrapping_sub(1).max(cover),
                last.wrapping_add(1).min(cover | 0xffff),
            ]
        });
        ends.map(Ipv4Addr::from).collect()
    }

    /// Writes until told to stop.
    pub(super) async fn run(&mut self, stop: &AtomicBool) -> anyhow::Result<Written> {
        let mut grace = Grace::start()?;
        let mut resting: Option<Resting> = None;
        while !stop.load(Ordering::Relaxed) {
            (0..BURST).for_each(|_| self.change());
            tokio::select! {
                biased;
                () = grace.ended() => {
                    if let Some(rested) = resting.take() {
                        self.side.release(&mut self.tables, rested);
                        self.written.grace_periods += 1;
                    }
                }
                () = std::future::ready(()) => {}
            }
            if resting.is_none() && self.side.has_freed(&self.tables) && grace.begin() {
                resting = Some(self.side.take_freed(&mut self.tables));
            }
        }
        ensure!(!self.side.is_full(), "the tables were too small");
        Ok(self.written)
    }

    fn change(&mut self) {
        let (way, number) = (
            self.numbers.below(2) as usize,
            self.numbers.below(NEIGHBOURS),
        );
        if self.numbers.below(4) == 0 {
            self.new_mac(way, number);
            return;
        }
        let index = self.numbers.below(self.children.len() as u32) as usize;
        let (way, child, there) = self.children[index];
        // One of three that are there changes its next hop instead.
        let stays = !there || self.numbers.below(3) == 0;
        self.set_route(way, child, stays.then_some(number));
        self.children[index].2 = stays;
    }

    /// A route under a cover, so that they nest: 17 to 32 bits.
    fn child(&mut self, way: usize) -> Ipv4Net {
        let low = self.numbers.draw() & 0x3fff;
        let address = Ipv4Addr::new(10, self.ways[way].net, (low >> 8) as u8, low as u8);
        Ipv4Net::new_assert(address, 17 + self.numbers.below(16) as u8).trunc()
    }

    fn set_route(&mut self, way: usize, prefix: Ipv4Net, neighbour: Option<u32>) {
        let route = neighbour.map(|number| Route {
            kind: RouteType::Unicast,
            nexthops: vec![Nexthop::via(
                self.address(way, number),
                self.ways[way].egress,
            )],
            source: Source::Static,
            distance: Distance(1),
            metric: 0,
            tag: 0,
            mtu: None,
            kernel_metric: None,
            preferred_source: None,
            attributes: None,
        });
        self.side
            .set_route(&mut self.tables, TableId::MAIN, prefix, route.as_ref());
        self.written.routes += 1;
    }

    fn address(&self, way: usize, number: u32) -> Ipv4Addr {
        Ipv4Addr::new(192, 0, 2, self.ways[way].net * 100 + number as u8)
    }

    /// The neighbour's MAC address changes: a new adjacency, and one word.
    fn new_mac(&mut self, way: usize, number: u32) {
        let [.., high, low] = self.numbers.draw().to_be_bytes();
        let neighbour = Neighbour {
            ifindex: self.ways[way].egress,
            address: self.address(way, number),
            state: NeighbourState::Usable([2, self.ways[way].net, high, low, 0, number as u8]),
            managed: true,
        };
        self.side
            .neighbour_event(&mut self.tables, &NeighbourEvent::Set(neighbour));
        self.written.neighbours += 1;
    }
}
