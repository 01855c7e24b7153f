//! Routes that are counted each by itself.

use forwarder_common::abi::{FIRST_COUNTED, KIND_COUNTED, NexthopKind, nexthop_word};

use super::*;

const COUNTED: &str = "198.51.100.0/24";

/// The id that the map has for a prefix.
fn id(bench: &Bench, prefix: &str) -> u32 {
    let mut routes = bench.maps.routes();
    routes.find(|(held, _)| *held == net(prefix)).unwrap().1
}

fn counter(bench: &Bench) -> u32 {
    let id = id(bench, COUNTED);
    assert!(Ipv4::CAPACITY.counted.contains(&id), "{id} is not counted");
    id
}

#[test]
fn a_counted_route_has_an_id_of_its_own_that_leads_the_same_way() {
    let mut bench = connected();
    bench.count(&[COUNTED]);
    bench.main("198.51.101.0/24", &via("10.0.0.1", ETH1));
    let ops = bench.main(COUNTED, &via("10.0.0.1", ETH1));
    let [
        FibOp::SetNexthop { id: filled, word },
        FibOp::SetRoute { prefix, id: used },
    ] = *ops
    else {
        panic!("{ops:?}");
    };
    assert_eq!((prefix, used), (net(COUNTED), filled));
    let adjacency = nexthop_word(NexthopKind::Adjacency, 0);
    assert_eq!(
        (used, word),
        (FIRST_COUNTED, adjacency | KIND_COUNTED << 28)
    );
    assert_eq!(bench.forwards("198.51.100.1"), Some((MAC_A, ETH1, 1500)));
    assert_ne!(id(&bench, "198.51.101.0/24"), used);
}

#[test]
fn counting_goes_on_through_every_change_of_the_route() {
    let mut bench = connected();
    bench.neighbour(ETH2, "10.0.1.1", Some(MAC_B));
    bench.count(&[COUNTED]);
    bench.main(COUNTED, &via("10.0.0.1", ETH1));
    let counted = counter(&bench);
    let ways = [
        Nexthop::via(addr("10.0.0.1"), ETH1),
        Nexthop::via(addr("10.0.1.1"), ETH2),
    ];
    for change in [
        via("10.0.1.1", ETH2),
        route(RouteType::Unicast, &ways),
        route(RouteType::Blackhole, &[]),
        via("10.0.0.1", ETH1),
    ] {
        let ops = bench.main(COUNTED, &change);
        let cleared = |op: &FibOp| matches!(op, FibOp::ClearCounter { .. });
        assert!(!ops.iter().any(cleared), "{ops:?}");
        assert_eq!(counter(&bench), counted);
    }
    bench.neighbour(ETH1, "10.0.0.1", Some(MAC_B));
    assert_eq!(bench.forwards("198.51.100.1"), Some((MAC_B, ETH1, 1500)));
    bench.withdraw(COUNTED);
    assert_eq!(bench.decide("198.51.100.1"), None);
    bench.main(COUNTED, &via("10.0.1.1", ETH2));
    assert_eq!(counter(&bench), counted);
}

#[test]
fn switching_counting_on_and_off_stores_no_word_of_another_route() {
    let mut bench = connected();
    bench.main(COUNTED, &via("10.0.0.1", ETH1));
    let plain = id(&bench, COUNTED);
    let ops = bench.count(&[COUNTED]);
    assert!(
        matches!(
            *ops,
            [
                FibOp::ClearCounter { .. },
                FibOp::SetNexthop { .. },
                FibOp::SetRoute { .. }
            ]
        ),
        "{ops:?}"
    );
    let counted = counter(&bench);
    let ops = bench.count(&[]);
    assert_eq!(
        *ops,
        [FibOp::SetRoute {
            prefix: net(COUNTED),
            id: plain
        }]
    );
    // A program may still count under it.
    bench.count(&["198.51.101.0/24"]);
    bench.main("198.51.101.0/24", &via("10.0.0.1", ETH1));
    assert_ne!(id(&bench, "198.51.101.0/24"), counted);
}

#[test]
fn without_a_counter_a_route_forwards_uncounted_until_one_is_released() {
    let mut bench = Bench::with_capacity(Capacity {
        counted: FIRST_COUNTED..FIRST_COUNTED + 1,
        ..Ipv4::CAPACITY
    });
    bench.port(ETH1, Some(port(ETH1)));
    bench.neighbour(ETH1, "10.0.0.1", Some(MAC_A));
    for prefix in [COUNTED, "198.51.101.0/24"] {
        bench.main(prefix, &via("10.0.0.1", ETH1));
    }
    bench.count(&[COUNTED, "198.51.101.0/24"]);
    assert_eq!(bench.fib.stats().without_counter, 1);
    assert_eq!(bench.forwards("198.51.101.1"), Some((MAC_A, ETH1, 1500)));
    bench.count(&["198.51.101.0/24"]);
    assert_eq!(bench.fib.stats().without_counter, 1, "the id still rests");
    bench.grace();
    assert_eq!(bench.fib.stats().without_counter, 0);
    assert_eq!(id(&bench, "198.51.101.0/24"), FIRST_COUNTED);
}

#[test]
fn a_neighbours_own_route_can_be_counted() {
    let mut bench = connected();
    bench.count(&["10.0.0.1/32"]);
    assert_eq!(id(&bench, "10.0.0.1/32"), FIRST_COUNTED);
    bench.neighbour(ETH1, "10.0.0.1", Some(MAC_B));
    assert_eq!(bench.forwards("10.0.0.1"), Some((MAC_B, ETH1, 1500)));
}
