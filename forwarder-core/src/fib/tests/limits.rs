//! Full tables: packets go up, nothing is missing, and all is made good once
//! there is room.

use super::nexthops::{FALLBACK, FIRST_ID};
use super::*;

fn bench(nexthops: u32, adjacencies: u32, own: u32) -> Bench {
    let nexthops = FIRST_ID + nexthops;
    let mut bench = Bench::with_capacity(Capacity {
        nexthops: FIRST_ID..nexthops,
        counted: 0..0,
        adjacencies: 0..adjacencies,
        groups: 0..0,
        own,
    });
    bench.port(ETH1, Some(port(ETH1)));
    bench.port(ETH2, Some(port(ETH2)));
    bench
}

#[test]
fn without_an_id_the_prefix_goes_up_until_one_is_released() {
    let mut bench = bench(1, 8, 8);
    bench.neighbour(ETH2, "10.0.1.1", Some(MAC_B));
    bench.main("198.51.100.0/24", &via("10.0.0.1", ETH1));
    bench.main("198.51.101.0/24", &via("10.0.1.1", ETH2));
    bench.main("198.51.102.0/24", &via("10.0.1.1", ETH2));
    assert_eq!(bench.decide("198.51.101.1"), up(FALLBACK));
    assert_eq!(bench.fib.stats().without_nexthop, 2);

    bench.withdraw("198.51.100.0/24");
    assert_eq!(
        bench.decide("198.51.101.1"),
        up(FALLBACK),
        "the id still rests"
    );
    bench.grace();
    assert_eq!(bench.forwards("198.51.101.1"), Some((MAC_B, ETH2, 1500)));
    assert_eq!(bench.forwards("198.51.102.1"), Some((MAC_B, ETH2, 1500)));
    assert_eq!(bench.fib.stats().without_nexthop, 0);
}

#[test]
fn prefix_without_an_id_never_falls_to_a_shorter_route() {
    let mut bench = bench(1, 8, 8);
    bench.neighbour(ETH1, "10.0.0.1", Some(MAC_A));
    bench.main("0.0.0.0/0", &via("10.0.0.1", ETH1));
    bench.main("198.51.101.0/24", &via("10.0.1.1", ETH2));
    assert_eq!(bench.decide("198.51.101.1"), up(FALLBACK));
    assert_eq!(bench.forwards("198.51.102.1"), Some((MAC_A, ETH1, 1500)));
}

#[test]
fn withdrawn_while_it_waits_takes_no_id() {
    let mut bench = bench(1, 8, 8);
    bench.main("198.51.100.0/24", &via("10.0.0.1", ETH1));
    bench.main("198.51.101.0/24", &via("10.0.1.1", ETH2));
    bench.withdraw("198.51.101.0/24");
    bench.withdraw("198.51.100.0/24");
    assert!(bench.grace().is_empty());
    assert_eq!(bench.fib.stats().nexthops, 0);
}

#[test]
fn without_a_slot_the_word_says_up_until_one_is_released() {
    let mut bench = bench(8, 1, 8);
    bench.neighbour(ETH1, "10.0.0.1", Some(MAC_A));
    bench.neighbour(ETH2, "10.0.1.1", Some(MAC_B));
    bench.main("198.51.100.0/24", &via("10.0.0.1", ETH1));
    bench.main("198.51.101.0/24", &via("10.0.1.1", ETH2));
    assert_eq!(bench.decide("198.51.101.1"), up(FALLBACK));
    assert_eq!(bench.fib.stats().without_adjacency, 1);

    bench.withdraw("198.51.100.0/24");
    bench.grace();
    assert_eq!(bench.forwards("198.51.101.1"), Some((MAC_B, ETH2, 1500)));
    assert_eq!(bench.fib.stats().without_adjacency, 0);
}

#[test]
fn last_slot_is_not_rewritten_in_place() {
    let mut bench = bench(8, 1, 8);
    bench.neighbour(ETH1, "10.0.0.1", Some(MAC_A));
    bench.main("198.51.100.0/24", &via("10.0.0.1", ETH1));
    bench.neighbour(ETH1, "10.0.0.1", Some(MAC_B));
    assert_eq!(bench.decide("198.51.100.1"), up(FALLBACK));
    bench.grace();
    assert_eq!(bench.forwards("198.51.100.1"), Some((MAC_B, ETH1, 1500)));
}

#[test]
fn own_address_beyond_the_limit_follows_when_there_is_room() {
    let mut bench = bench(8, 8, 1);
    bench.local("10.0.0.1/32", Some(RouteType::Local));
    bench.local("10.0.0.2/32", Some(RouteType::Local));
    assert_eq!(
        (bench.maps.own.len(), bench.fib.stats().without_own),
        (1, 1)
    );
    bench.local("10.0.0.1/32", None);
    assert_eq!(Vec::from_iter(bench.maps.own.clone()), [addr("10.0.0.2")]);
    assert_eq!(bench.fib.stats().without_own, 0);
}

#[test]
fn own_address_gone_while_it_waits_is_not_added_later() {
    let mut bench = bench(8, 8, 1);
    bench.local("10.0.0.1/32", Some(RouteType::Local));
    bench.local("10.0.0.2/32", Some(RouteType::Local));
    bench.local("10.0.0.2/32", None);
    bench.local("10.0.0.1/32", None);
    assert!(bench.maps.own.is_empty());
}
