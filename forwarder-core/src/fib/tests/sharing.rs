//! Ids, words and slots: who shares them, in which order they are written,
//! when they are reused, how they are shown.

use forwarder_common::abi::{NexthopKind, nexthop_kind, nexthop_word};

use super::nexthops::FIRST_ID;
use super::*;

#[test]
fn adjacency_is_written_before_the_word_and_the_word_before_the_route() {
    let mut bench = Bench::new();
    bench.neighbour(ETH1, "10.0.0.1", Some(MAC_A));
    let ops = bench.main("198.51.100.0/24", &via("10.0.0.1", ETH1));
    let [
        FibOp::SetAdjacency { slot, adjacency },
        FibOp::SetNexthop { id, word },
        FibOp::SetRoute { prefix, id: used },
    ] = *ops
    else {
        panic!("{ops:?}");
    };
    assert_eq!((prefix, used), (net("198.51.100.0/24"), id));
    assert_eq!(word, nexthop_word(NexthopKind::Adjacency, slot));
    assert_eq!(
        (adjacency.destination, adjacency.source),
        (MAC_A, port(ETH1).mac)
    );
    assert_eq!(
        (adjacency.port, adjacency.ifindex, adjacency.used),
        (1, ETH1.0, 0)
    );
}

#[test]
fn prefixes_through_one_gateway_share_one_word() {
    let mut bench = connected();
    for third in 0..100 {
        bench.main(&format!("198.51.{third}.0/24"), &via("10.0.0.1", ETH1));
    }
    let ops = bench.neighbour(ETH1, "10.0.0.1", Some(MAC_B));
    let [
        FibOp::SetAdjacency { slot, .. },
        FibOp::SetNexthop { word, .. },
    ] = *ops
    else {
        panic!("{ops:?}");
    };
    assert_eq!(word, nexthop_word(NexthopKind::Adjacency, slot));
    assert_eq!(bench.forwards("198.51.99.1"), Some((MAC_B, ETH1, 1500)));
}

#[test]
fn equal_adjacencies_share_a_slot() {
    let mut bench = connected();
    bench.main(
        "198.51.100.0/24",
        &Route {
            mtu: Some(1500),
            ..via("10.0.0.1", ETH1)
        },
    );
    bench.main(
        "198.51.101.0/24",
        &Route {
            mtu: Some(1400),
            ..via("10.0.0.1", ETH1)
        },
    );
    let stats = bench.fib.stats();
    assert_eq!((stats.nexthops, stats.adjacencies), (4, 2));
}

#[test]
fn nothing_is_written_twice() {
    let mut bench = connected();
    bench.main("198.51.100.0/24", &via("10.0.0.1", ETH1));
    assert!(
        bench
            .main("198.51.100.0/24", &via("10.0.0.1", ETH1))
            .is_empty()
    );
    assert!(bench.neighbour(ETH1, "10.0.0.1", Some(MAC_A)).is_empty());
    assert!(bench.port(ETH1, Some(port(ETH1))).is_empty());
    // The bulk of a route that the fast path has no use for.
    let other = Route {
        metric: 9,
        tag: 7,
        source: Source::Rip,
        ..via("10.0.0.1", ETH1)
    };
    assert!(bench.main("198.51.100.0/24", &other).is_empty());
}

#[test]
fn freed_ids_and_slots_rest_until_released() {
    let mut bench = connected();
    bench.main(
        "198.51.100.0/24",
        &Route {
            mtu: Some(1400),
            ..via("10.0.0.1", ETH1)
        },
    );
    let old = bench.fib.lookup(addr("198.51.100.1")).unwrap();
    bench.main(
        "198.51.100.0/24",
        &Route {
            mtu: Some(1300),
            ..via("10.0.0.1", ETH1)
        },
    );
    assert_ne!(bench.fib.lookup(addr("198.51.100.1")).unwrap().id, old.id);
    let freed = bench.fib.take_freed();
    assert_eq!((freed.len(), bench.fib.take_freed().is_empty()), (2, true));
    bench.maps.grace_begins();
    bench.maps.grace_ends();
    bench.call(|fib, out| fib.release(freed, out));
    bench.main(
        "198.51.100.0/24",
        &Route {
            mtu: Some(1200),
            ..via("10.0.0.1", ETH1)
        },
    );
    assert_eq!(bench.fib.lookup(addr("198.51.100.1")).unwrap().id, old.id);
}

#[test]
fn adjacency_of_a_slot_names_the_neighbour() {
    let mut bench = connected();
    let Some(Decision::Forward { slot, .. }) = bench.decide("10.0.0.1") else {
        panic!()
    };
    assert_eq!(bench.fib.adjacency_of(slot), Some((ETH1, addr("10.0.0.1"))));
    bench.neighbour(ETH1, "10.0.0.1", None);
    assert_eq!(bench.fib.adjacency_of(slot), None);
    assert_eq!(bench.fib.adjacency_of(u32::MAX), None);
}

#[test]
fn listings_show_each_next_hop_with_its_use() {
    let mut bench = connected();
    bench.main("198.51.100.0/24", &via("10.0.0.1", ETH1));
    bench.main("198.51.101.0/24", &route(RouteType::Blackhole, &[]));
    let shown: Vec<_> = bench
        .fib
        .nexthops()
        .map(|nexthop| (nexthop.target, nexthop.prefixes))
        .collect();
    assert_eq!(
        shown,
        [
            (Target::Fixed(Reason::LinkLocal), 1),
            (Target::Fixed(Reason::NotUnicast), 4),
            (Target::Fixed(Reason::Blackhole), 1),
            (
                Target::Glean {
                    ifindex: ETH1,
                    mtu: None
                },
                1
            ),
            // The host route to the gateway, and the route through it.
            (
                Target::Via {
                    ifindex: ETH1,
                    gateway: addr("10.0.0.1"),
                    mtu: None
                },
                2
            ),
        ]
    );
    let host = bench
        .fib
        .entries()
        .find(|entry| entry.origin == Origin::Neighbour)
        .unwrap();
    assert_eq!(host.prefix, net("10.0.0.1/32"));
    assert!(host.id >= FIRST_ID);
    let words = bench
        .fib
        .nexthops()
        .filter(|n| nexthop_kind(n.word) == NexthopKind::Adjacency as u32);
    assert_eq!(words.count(), 1);
}
