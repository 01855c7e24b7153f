//! What each kind of route makes of a packet; the fixed entries; our own
//! addresses.

use forwarder_common::abi::{NexthopKind, nexthop_word};
use forwarder_common::reason::Verdict;

use super::*;

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
    bench.main("198.51.100.0/24", &via("10.0.0.1", ETH1));
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
        bench.main("198.51.100.0/24", &route(kind, &[]));
        assert_eq!(bench.decide("198.51.100.1"), Some(decision), "{kind:?}");
    }
}

#[test]
fn several_routers_are_a_group_and_several_links_the_kernels_choice() {
    let mut bench = Bench::new();
    let routers = [
        Nexthop::via(addr("10.0.0.1"), ETH1),
        Nexthop::via(addr("10.0.1.1"), ETH2),
    ];
    bench.main("198.51.100.0/24", &route(RouteType::Unicast, &routers));
    assert_eq!(
        bench.decide("198.51.100.1"),
        Some(Decision::Balance { slot: 0 })
    );
    let links = [Nexthop::link(ETH1), Nexthop::link(ETH2)];
    bench.main("198.51.100.0/24", &route(RouteType::Unicast, &links));
    assert_eq!(bench.decide("198.51.100.1"), up(Reason::Multipath));
}

#[test]
fn next_hop_without_interface_goes_up() {
    let mut bench = Bench::new();
    let nexthop = Nexthop {
        ifindex: None,
        ..Nexthop::via(addr("10.0.0.1"), ETH1)
    };
    bench.main("198.51.100.0/24", &route(RouteType::Unicast, &[nexthop]));
    assert_eq!(bench.decide("198.51.100.1"), up(Reason::KernelRoute));
    bench.main("198.51.100.0/24", &route(RouteType::Unicast, &[]));
    assert_eq!(bench.decide("198.51.100.1"), up(Reason::KernelRoute));
}

#[test]
fn same_prefix_in_both_tables_local_wins() {
    let mut bench = Bench::new();
    bench.main("198.51.100.7/32", &via("10.0.0.1", ETH1));
    bench.local("198.51.100.7/32", Some(RouteType::Local));
    assert_eq!(bench.decide("198.51.100.7"), up(Reason::ForUs));
    assert!(
        bench
            .main("198.51.100.7/32", &via("10.0.1.1", ETH2))
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
    bench.main("198.51.100.128/25", &via("10.0.0.1", ETH1));
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
    bench.main("198.51.100.9/24", &via("10.0.0.1", ETH1));
    assert!(
        bench
            .main("198.51.100.0/24", &via("10.0.0.1", ETH1))
            .is_empty()
    );
    bench.withdraw("198.51.100.77/24");
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
        assert!(bench.main(prefix, &link(ETH1)).is_empty(), "{prefix}");
    }
    assert_eq!(bench.decide("169.254.1.1"), up(Reason::LinkLocal));
    assert_eq!(bench.decide("255.255.255.255"), up(Reason::NotUnicast));
}

#[test]
fn routes_shorter_than_a_fixed_entry_are_normal() {
    let mut bench = Bench::new();
    bench.main("0.0.0.0/0", &link(ETH1));
    bench.neighbour(ETH1, "169.254.1.1", Some(MAC_A));
    bench.neighbour(ETH1, "192.0.2.1", Some(MAC_A));
    assert_eq!(bench.decide("169.254.1.1"), up(Reason::LinkLocal));
    assert_eq!(bench.decide("0.0.0.1"), up(Reason::NotUnicast));
    assert_eq!(bench.forwards("192.0.2.1"), Some((MAC_A, ETH1, 1500)));
}

#[test]
fn gateway_may_be_link_local() {
    let mut bench = Bench::new();
    bench.main("0.0.0.0/0", &via("169.254.1.1", ETH1));
    bench.neighbour(ETH1, "169.254.1.1", Some(MAC_A));
    assert_eq!(bench.forwards("192.0.2.1"), Some((MAC_A, ETH1, 1500)));
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
