//! Neighbours on connected subnets: host routes of the FIB.

use super::*;

fn writes_routes(ops: &[FibOp]) -> usize {
    ops.iter()
        .filter(|op| matches!(op, FibOp::SetRoute { .. } | FibOp::RemoveRoute { .. }))
        .count()
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
    bench.withdraw("10.0.0.0/24");
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
    bench.main("10.0.0.0/24", &link(ETH2));
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
    let ops = bench.main("10.0.0.0/24", &link(ETH2));
    // The host's prefix is replaced in place, never missing in between.
    assert!(!ops.contains(&FibOp::RemoveRoute {
        prefix: net("10.0.0.1/32")
    }));
    assert_eq!(bench.forwards("10.0.0.1"), Some((MAC_B, ETH2, 1500)));
}

#[test]
fn more_specific_route_takes_neighbours_away_and_gives_them_back() {
    let mut bench = connected();
    bench.main("10.0.0.0/25", &via("10.0.1.1", ETH2));
    assert_eq!(
        bench.decide("10.0.0.1"),
        Some(Decision::Resolve { port: 2 })
    );
    bench.withdraw("10.0.0.0/25");
    assert_eq!(bench.forwards("10.0.0.1"), Some((MAC_A, ETH1, 1500)));
}

#[test]
fn host_route_and_neighbour_replace_each_other_in_one_write() {
    let mut bench = connected();
    let ops = bench.main("10.0.0.1/32", &via("10.0.1.1", ETH2));
    assert_eq!(writes_routes(ops), 1);
    assert_eq!(
        bench.decide("10.0.0.1"),
        Some(Decision::Resolve { port: 2 })
    );
    let ops = bench.withdraw("10.0.0.1/32");
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
    bench.main("10.9.9.9/32", &link(ETH1));
    assert_eq!(
        bench.fib.gateways_to_resolve().collect::<Vec<_>>(),
        [(ETH1, addr("10.9.9.9"))]
    );
    bench.neighbour(ETH1, "10.9.9.9", Some(MAC_A));
    assert_eq!(bench.forwards("10.9.9.9"), Some((MAC_A, ETH1, 1500)));
}

#[test]
fn host_routes_have_their_subnets_mtu() {
    let mut bench = connected();
    bench.main(
        "10.0.0.0/24",
        &Route {
            mtu: Some(1280),
            ..link(ETH1)
        },
    );
    assert_eq!(bench.forwards("10.0.0.1"), Some((MAC_A, ETH1, 1280)));
}
