//! What each kind of route, neighbour and port makes of a packet, and in which
//! writes.

use forwarder_common::abi::{NexthopKind, nexthop_kind, nexthop_word};
use forwarder_common::reason::Verdict;

use super::nexthops::FIRST_ID;
use super::*;

fn writes_routes(ops: &[FibOp]) -> usize {
    ops.iter()
        .filter(|op| matches!(op, FibOp::SetRoute { .. } | FibOp::RemoveRoute { .. }))
        .count()
}

/// Connected 10.0.0.0/24 on eth1 with 10.0.0.1 known.
fn connected() -> Bench {
    let mut bench = Bench::new();
    bench.main("10.0.0.0/24", Some(link(ETH1)));
    bench.neighbour(ETH1, "10.0.0.1", Some(MAC_A));
    bench
}

#[test]
fn new_emits_nothing_and_initial_the_reasons_and_fixed_entries() {
    let mut out = Vec::new();
    Fib::new().initial(&mut out);
    let words: Vec<_> = out
        .iter()
        .filter_map(|op| match *op {
            FibOp::SetNexthop { id, word } => Some((id, word)),
            _ => None,
        })
        .collect();
    let expected: Vec<_> = Reason::ALL
        .iter()
        .filter_map(|&reason| {
            let kind = match reason.verdict() {
                Verdict::Up => NexthopKind::Up,
                Verdict::Dropped => NexthopKind::Drop,
                Verdict::Forwarded | Verdict::Transmit => return None,
            };
            Some((reason as u32, nexthop_word(kind, reason as u32)))
        })
        .collect();
    assert_eq!(words, expected);
    let routes: Vec<_> = out[words.len()..].to_vec();
    let fixed = |prefix, reason: Reason| FibOp::SetRoute {
        prefix: net(prefix),
        id: reason as u32,
    };
    assert_eq!(
        routes,
        [
            fixed("0.0.0.0/8", Reason::NotUnicast),
            fixed("127.0.0.0/8", Reason::NotUnicast),
            fixed("169.254.0.0/16", Reason::LinkLocal),
            fixed("224.0.0.0/4", Reason::NotUnicast),
            fixed("240.0.0.0/4", Reason::NotUnicast),
        ]
    );
}

#[test]
fn no_route_has_no_entry() {
    let bench = Bench::new();
    assert_eq!(bench.decide("198.51.100.1"), None);
}

#[test]
fn gateway_route_resolves_then_forwards() {
    let mut bench = Bench::new();
    bench.main("198.51.100.0/24", Some(via("10.0.0.1", ETH1)));
    assert_eq!(
        bench.decide("198.51.100.1"),
        Some(Decision::Resolve { port: 1 })
    );
    assert_eq!(
        bench.fib.gateways_to_resolve().collect::<Vec<_>>(),
        [(ETH1, addr("10.0.0.1"))]
    );
    bench.neighbour(ETH1, "10.0.0.1", Some(MAC_A));
    assert_eq!(bench.forwards("198.51.100.1"), Some((MAC_A, ETH1, 1500)));
    assert_eq!(bench.fib.gateways_to_resolve().count(), 0);
}

#[test]
fn adjacency_is_written_before_the_word_and_the_word_before_the_route() {
    let mut bench = Bench::new();
    bench.neighbour(ETH1, "10.0.0.1", Some(MAC_A));
    let ops = bench.main("198.51.100.0/24", Some(via("10.0.0.1", ETH1)));
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
fn reasons_by_route_type() {
    let mut bench = Bench::new();
    let table = [
        (RouteType::Local, Decision::Up(Reason::ForUs)),
        (RouteType::Anycast, Decision::Up(Reason::ForUs)),
        (RouteType::Broadcast, Decision::Up(Reason::NotUnicast)),
        (RouteType::Multicast, Decision::Up(Reason::NotUnicast)),
        (RouteType::Blackhole, Decision::Drop(Reason::Blackhole)),
        (RouteType::Unreachable, Decision::Up(Reason::Unreachable)),
        (RouteType::Prohibit, Decision::Up(Reason::Unreachable)),
        (RouteType::Throw, Decision::Up(Reason::KernelRoute)),
        (RouteType::KernelOnly, Decision::Up(Reason::KernelRoute)),
    ];
    for (kind, decision) in table {
        bench.main("198.51.100.0/24", Some(route(kind, &[])));
        assert_eq!(bench.decide("198.51.100.1"), Some(decision), "{kind:?}");
    }
}

#[test]
fn several_next_hops_are_the_kernels_choice() {
    let mut bench = Bench::new();
    let paths = [
        Nexthop::via(addr("10.0.0.1"), ETH1),
        Nexthop::via(addr("10.0.1.1"), ETH2),
    ];
    bench.main("198.51.100.0/24", Some(route(RouteType::Unicast, &paths)));
    assert_eq!(bench.decide("198.51.100.1"), up(Reason::Multipath));
}

#[test]
fn next_hop_without_interface_goes_up() {
    let mut bench = Bench::new();
    let nexthop = Nexthop {
        ifindex: None,
        ..Nexthop::via(addr("10.0.0.1"), ETH1)
    };
    bench.main(
        "198.51.100.0/24",
        Some(route(RouteType::Unicast, &[nexthop])),
    );
    assert_eq!(bench.decide("198.51.100.1"), up(Reason::KernelRoute));
    bench.main("198.51.100.0/24", Some(route(RouteType::Unicast, &[])));
    assert_eq!(bench.decide("198.51.100.1"), up(Reason::KernelRoute));
}

#[test]
fn same_prefix_in_both_tables_local_wins() {
    let mut bench = Bench::new();
    bench.main("198.51.100.7/32", Some(via("10.0.0.1", ETH1)));
    bench.local("198.51.100.7/32", Some(RouteType::Local));
    assert_eq!(bench.decide("198.51.100.7"), up(Reason::ForUs));
    assert!(
        bench
            .main("198.51.100.7/32", Some(via("10.0.1.1", ETH2)))
            .is_empty()
    );
    bench.local("198.51.100.7/32", None);
    assert_eq!(
        bench.decide("198.51.100.7"),
        Some(Decision::Resolve { port: 2 })
    );
}

#[test]
fn longer_prefix_wins_whatever_its_table() {
    let mut bench = Bench::new();
    bench.local("198.51.100.0/24", Some(RouteType::Local));
    bench.main("198.51.100.128/25", Some(via("10.0.0.1", ETH1)));
    assert_eq!(
        bench.decide("198.51.100.129"),
        Some(Decision::Resolve { port: 1 })
    );
    assert_eq!(bench.decide("198.51.100.1"), up(Reason::ForUs));
}

#[test]
fn other_tables_are_not_looked_at() {
    let mut bench = Bench::new();
    let route = via("10.0.0.1", ETH1);
    let ops = bench.call(|fib, out| {
        fib.set_route(TableId(100), net("198.51.100.0/24"), Some(&route), out);
    });
    assert!(ops.is_empty());
}

#[test]
fn host_bits_of_a_prefix_do_not_count() {
    let mut bench = Bench::new();
    bench.main("198.51.100.9/24", Some(via("10.0.0.1", ETH1)));
    assert!(
        bench
            .main("198.51.100.0/24", Some(via("10.0.0.1", ETH1)))
            .is_empty()
    );
    bench.main("198.51.100.77/24", None);
    assert_eq!(bench.decide("198.51.100.1"), None);
}

#[test]
fn fixed_entries_are_not_overridden() {
    let mut bench = Bench::new();
    bench.neighbour(ETH1, "169.254.1.1", Some(MAC_A));
    for prefix in [
        "169.254.0.0/16",
        "169.254.1.1/32",
        "127.0.0.0/8",
        "224.0.0.0/4",
        "0.0.0.0/9",
    ] {
        assert!(bench.main(prefix, Some(link(ETH1))).is_empty(), "{prefix}");
    }
    assert_eq!(bench.decide("169.254.1.1"), up(Reason::LinkLocal));
    assert_eq!(bench.decide("255.255.255.255"), up(Reason::NotUnicast));
}

#[test]
fn routes_shorter_than_a_fixed_entry_are_normal() {
    let mut bench = Bench::new();
    bench.main("0.0.0.0/0", Some(link(ETH1)));
    bench.neighbour(ETH1, "169.254.1.1", Some(MAC_A));
    bench.neighbour(ETH1, "192.0.2.1", Some(MAC_A));
    assert_eq!(bench.decide("169.254.1.1"), up(Reason::LinkLocal));
    assert_eq!(bench.decide("0.0.0.1"), up(Reason::NotUnicast));
    assert_eq!(bench.forwards("192.0.2.1"), Some((MAC_A, ETH1, 1500)));
}

#[test]
fn gateway_may_be_link_local() {
    let mut bench = Bench::new();
    bench.main("0.0.0.0/0", Some(via("169.254.1.1", ETH1)));
    bench.neighbour(ETH1, "169.254.1.1", Some(MAC_A));
    assert_eq!(bench.forwards("192.0.2.1"), Some((MAC_A, ETH1, 1500)));
}

#[test]
fn connected_subnet_forwards_to_known_neighbours_only() {
    let bench = connected();
    assert_eq!(bench.forwards("10.0.0.1"), Some((MAC_A, ETH1, 1500)));
    assert_eq!(
        bench.decide("10.0.0.2"),
        Some(Decision::Resolve { port: 1 })
    );
    // The kernel resolves hosts when there is traffic for them.
    assert_eq!(bench.fib.gateways_to_resolve().count(), 0);
}

#[test]
fn host_route_goes_with_its_neighbour_and_with_its_subnet() {
    let mut bench = connected();
    let ops = bench.neighbour(ETH1, "10.0.0.1", None);
    assert_eq!(
        ops,
        [FibOp::RemoveRoute {
            prefix: net("10.0.0.1/32")
        }]
    );
    bench.neighbour(ETH1, "10.0.0.1", Some(MAC_A));
    bench.main("10.0.0.0/24", None);
    assert_eq!(bench.decide("10.0.0.1"), None);
}

#[test]
fn neighbour_on_another_link_than_its_subnet_is_no_host_route() {
    let mut bench = connected();
    bench.neighbour(ETH2, "10.0.0.9", Some(MAC_B));
    assert_eq!(
        bench.decide("10.0.0.9"),
        Some(Decision::Resolve { port: 1 })
    );
    // The subnet moves to the other link, and the neighbours change places.
    bench.main("10.0.0.0/24", Some(link(ETH2)));
    assert_eq!(bench.forwards("10.0.0.9"), Some((MAC_B, ETH2, 1500)));
    assert_eq!(
        bench.decide("10.0.0.1"),
        Some(Decision::Resolve { port: 2 })
    );
}

#[test]
fn one_address_on_two_links_is_reached_by_the_subnets_own() {
    let mut bench = connected();
    bench.neighbour(ETH2, "10.0.0.1", Some(MAC_B));
    assert_eq!(bench.forwards("10.0.0.1"), Some((MAC_A, ETH1, 1500)));
    let ops = bench.main("10.0.0.0/24", Some(link(ETH2)));
    // The host's prefix is replaced in place, never missing in between.
    assert!(!ops.contains(&FibOp::RemoveRoute {
        prefix: net("10.0.0.1/32")
    }));
    assert_eq!(bench.forwards("10.0.0.1"), Some((MAC_B, ETH2, 1500)));
}

#[test]
fn more_specific_route_takes_neighbours_away_and_gives_them_back() {
    let mut bench = connected();
    bench.main("10.0.0.0/25", Some(via("10.0.1.1", ETH2)));
    assert_eq!(
        bench.decide("10.0.0.1"),
        Some(Decision::Resolve { port: 2 })
    );
    bench.main("10.0.0.0/25", None);
    assert_eq!(bench.forwards("10.0.0.1"), Some((MAC_A, ETH1, 1500)));
}

#[test]
fn host_route_and_neighbour_replace_each_other_in_one_write() {
    let mut bench = connected();
    let ops = bench.main("10.0.0.1/32", Some(via("10.0.1.1", ETH2)));
    assert_eq!(writes_routes(ops), 1);
    assert_eq!(
        bench.decide("10.0.0.1"),
        Some(Decision::Resolve { port: 2 })
    );
    let ops = bench.main("10.0.0.1/32", None);
    assert_eq!(writes_routes(ops), 1);
    assert_eq!(bench.forwards("10.0.0.1"), Some((MAC_A, ETH1, 1500)));
}

#[test]
fn subnet_broadcast_address_stays_up_though_it_has_a_neighbour() {
    let mut bench = connected();
    bench.local("10.0.0.255/32", Some(RouteType::Broadcast));
    bench.neighbour(ETH1, "10.0.0.255", Some(MAC_B));
    assert_eq!(bench.decide("10.0.0.255"), up(Reason::NotUnicast));
}

#[test]
fn on_link_host_route_is_its_own_gateway() {
    let mut bench = Bench::new();
    bench.main("10.9.9.9/32", Some(link(ETH1)));
    assert_eq!(
        bench.fib.gateways_to_resolve().collect::<Vec<_>>(),
        [(ETH1, addr("10.9.9.9"))]
    );
    bench.neighbour(ETH1, "10.9.9.9", Some(MAC_A));
    assert_eq!(bench.forwards("10.9.9.9"), Some((MAC_A, ETH1, 1500)));
}

#[test]
fn port_that_cannot_transmit_hands_up() {
    let mut bench = connected();
    bench.main("198.51.100.0/24", Some(via("10.0.0.1", ETH1)));
    for state in [
        None,
        Some(PortState {
            can_transmit: false,
            ..port(ETH1)
        }),
    ] {
        bench.port(ETH1, state);
        for address in ["198.51.100.1", "10.0.0.1", "10.0.0.2"] {
            assert_eq!(
                bench.decide(address),
                up(Reason::EgressCannotRedirect),
                "{address}"
            );
        }
    }
    assert_eq!(bench.fib.gateways_to_resolve().count(), 0);
    bench.port(ETH1, Some(port(ETH1)));
    assert_eq!(bench.forwards("198.51.100.1"), Some((MAC_A, ETH1, 1500)));
}

#[test]
fn port_with_egress_tc_hands_up() {
    let mut bench = connected();
    bench.port(
        ETH1,
        Some(PortState {
            tc: true,
            ..port(ETH1)
        }),
    );
    assert_eq!(bench.decide("10.0.0.1"), up(Reason::Tc));
    assert_eq!(bench.decide("10.0.0.2"), up(Reason::Tc));
}

#[test]
fn mtu_is_the_lesser_of_port_and_route() {
    let mut bench = connected();
    for (mtu, effective) in [
        (None, 1500),
        (Some(0), 1500),
        (Some(1400), 1400),
        (Some(9000), 1500),
    ] {
        bench.main(
            "198.51.100.0/24",
            Some(Route {
                mtu,
                ..via("10.0.0.1", ETH1)
            }),
        );
        assert_eq!(
            bench.forwards("198.51.100.1"),
            Some((MAC_A, ETH1, effective))
        );
    }
}

#[test]
fn host_routes_have_their_subnets_mtu() {
    let mut bench = connected();
    bench.main(
        "10.0.0.0/24",
        Some(Route {
            mtu: Some(1280),
            ..link(ETH1)
        }),
    );
    assert_eq!(bench.forwards("10.0.0.1"), Some((MAC_A, ETH1, 1280)));
}

#[test]
fn prefixes_through_one_gateway_share_one_word() {
    let mut bench = connected();
    for third in 0..100 {
        bench.main(&format!("198.51.{third}.0/24"), Some(via("10.0.0.1", ETH1)));
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
        Some(Route {
            mtu: Some(1500),
            ..via("10.0.0.1", ETH1)
        }),
    );
    bench.main(
        "198.51.101.0/24",
        Some(Route {
            mtu: Some(1400),
            ..via("10.0.0.1", ETH1)
        }),
    );
    let stats = bench.fib.stats();
    assert_eq!((stats.nexthops, stats.adjacencies), (4, 2));
}

#[test]
fn nothing_is_written_twice() {
    let mut bench = connected();
    bench.main("198.51.100.0/24", Some(via("10.0.0.1", ETH1)));
    assert!(
        bench
            .main("198.51.100.0/24", Some(via("10.0.0.1", ETH1)))
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
    assert!(bench.main("198.51.100.0/24", Some(other)).is_empty());
}

#[test]
fn freed_ids_and_slots_rest_until_released() {
    let mut bench = connected();
    bench.main(
        "198.51.100.0/24",
        Some(Route {
            mtu: Some(1400),
            ..via("10.0.0.1", ETH1)
        }),
    );
    let old = bench.fib.lookup(addr("198.51.100.1")).unwrap();
    bench.main(
        "198.51.100.0/24",
        Some(Route {
            mtu: Some(1300),
            ..via("10.0.0.1", ETH1)
        }),
    );
    assert_ne!(bench.fib.lookup(addr("198.51.100.1")).unwrap().id, old.id);
    let freed = bench.fib.take_freed();
    assert_eq!((freed.len(), bench.fib.take_freed().is_empty()), (2, true));
    bench.maps.grace_begins();
    bench.maps.grace_ends();
    bench.call(|fib, out| fib.release(freed, out));
    bench.main(
        "198.51.100.0/24",
        Some(Route {
            mtu: Some(1200),
            ..via("10.0.0.1", ETH1)
        }),
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
fn own_addresses_are_the_local_hosts_but_for_loopback() {
    let mut bench = Bench::new();
    let own = addr("10.0.0.254");
    assert!(
        bench
            .local("10.0.0.254/32", Some(RouteType::Local))
            .contains(&FibOp::AddOwn(own))
    );
    bench.local("127.0.0.1/32", Some(RouteType::Local));
    bench.local("10.0.0.255/32", Some(RouteType::Broadcast));
    bench.local("10.5.0.0/16", Some(RouteType::Local));
    // Link-local and yet ours: a packet from it is forged as well.
    bench.local("169.254.7.7/32", Some(RouteType::Local));
    assert_eq!(
        Vec::from_iter(bench.maps.own.clone()),
        [own, addr("169.254.7.7")]
    );
    bench.local("10.0.0.254/32", Some(RouteType::Anycast));
    bench.local("169.254.7.7/32", None);
    assert!(bench.maps.own.is_empty());
}

#[test]
fn listings_show_each_next_hop_with_its_use() {
    let mut bench = connected();
    bench.main("198.51.100.0/24", Some(via("10.0.0.1", ETH1)));
    bench.main("198.51.101.0/24", Some(route(RouteType::Blackhole, &[])));
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
