//! What the kernel does to routes without a message when links and addresses
//! change. Each was watched on Linux 6.18 with `ip monitor` beside `ip route`.

use super::*;

const TO: &str = "10.5.0.0/16";

/// eth1 with 10.0.0.1/24 and eth2 with 10.0.1.1/24, as `ip address add` does it.
fn two_links() -> Fixture {
    let mut kernel = Fixture::new();
    for (ifindex, addr, prefix) in [
        (ETH1, "10.0.0.1", "10.0.0.0/24"),
        (ETH2, "10.0.1.1", "10.0.1.0/24"),
    ] {
        kernel.link(ifindex, true, true);
        kernel.add(address(addr, ifindex));
        kernel.add(KernelRoute {
            preferred_source: Some(ip(addr)),
            ..connected(prefix, ifindex)
        });
    }
    kernel
}

fn broadcast() -> KernelRoute<Ipv4> {
    KernelRoute {
        table: LOCAL,
        kind: RouteType::Broadcast,
        ..connected("10.0.0.255/32", ETH1)
    }
}

#[test]
fn link_down_takes_its_routes_and_leaves_its_address() {
    let mut kernel = two_links();
    kernel.add(broadcast());
    kernel.add(route(TO, BOOT, 0, vec![via("10.0.0.9", ETH1)]));
    kernel.add(route(
        "10.6.0.0/16",
        OURS.protocol,
        15,
        vec![via("10.0.0.9", ETH1)],
    ));
    kernel.link(ETH1, false, false);
    assert_eq!((kernel.get(TO), kernel.get("10.0.0.0/24")), (None, None));
    assert!(kernel.ours.is_empty());
    assert!(
        !kernel
            .candidates
            .contains_key(&(LOCAL, net("10.0.0.255/32")))
    );
    assert!(kernel.candidates.contains_key(&(LOCAL, net("10.0.0.1/32"))));
    assert!(kernel.get("10.0.1.0/24").is_some());
}

#[test]
fn link_up_brings_back_only_hops_of_routes_that_lived_on() {
    let mut kernel = two_links();
    let both = vec![via("10.0.0.9", ETH1), via("10.0.1.9", ETH2)];
    kernel.add(route(TO, BOOT, 0, both));
    kernel.add(route("10.6.0.0/16", BOOT, 0, vec![via("10.0.0.9", ETH1)]));
    kernel.link(ETH1, false, false);
    assert_eq!(kernel.gateways(TO), ["10.0.1.9"]);
    kernel.link(ETH1, true, true);
    assert_eq!(kernel.gateways(TO), ["10.0.0.9", "10.0.1.9"]);
    assert_eq!(kernel.get("10.6.0.0/16"), None);
}

#[test]
fn a_multipath_route_is_gone_with_its_last_hop() {
    let mut kernel = two_links();
    let both = vec![via("10.0.0.9", ETH1), via("10.0.1.9", ETH2)];
    kernel.add(route(TO, BOOT, 0, both));
    kernel.link(ETH1, false, false);
    kernel.link(ETH2, false, false);
    assert_eq!(kernel.get(TO), None);
    kernel.link(ETH1, true, true);
    assert_eq!(kernel.get(TO), None);
}

#[test]
fn carrier_loss_leaves_routes_alone() {
    let mut kernel = two_links();
    kernel.add(route(TO, BOOT, 0, vec![via("10.0.0.9", ETH1)]));
    assert!(kernel.link(ETH1, true, false).is_empty());
    assert_eq!(kernel.gateways(TO), ["10.0.0.9"]);
}

#[test]
fn a_deleted_link_takes_multipath_routes_whole() {
    let mut kernel = two_links();
    let both = vec![via("10.0.0.9", ETH1), via("10.0.1.9", ETH2)];
    kernel.add(route(TO, BOOT, 0, both));
    kernel.tell(RouteEvent::LinkGone(ETH1));
    assert_eq!(kernel.get(TO), None);
    assert!(!kernel.candidates.contains_key(&(LOCAL, net("10.0.0.1/32"))));
    assert!(kernel.get("10.0.1.0/24").is_some());
}

#[test]
fn the_last_address_of_a_link_takes_all_its_routes() {
    let mut kernel = two_links();
    kernel.add(address("10.0.9.9", ETH1));
    kernel.add(route(TO, BOOT, 0, vec![Nexthop::link(ETH1)]));
    let both = vec![via("10.0.0.9", ETH1), via("10.0.1.9", ETH2)];
    kernel.add(route("10.6.0.0/16", BOOT, 0, both));
    kernel.tell(RouteEvent::Removed(address("10.0.0.1", ETH1)));
    assert_eq!(kernel.gateways(TO), ["link"], "an address is left");
    kernel.tell(RouteEvent::Removed(address("10.0.9.9", ETH1)));
    assert_eq!(kernel.get(TO), None);
    assert_eq!(kernel.gateways("10.6.0.0/16"), ["10.0.1.9"]);
    kernel.add(address("10.0.0.1", ETH1));
    assert_eq!(kernel.gateways("10.6.0.0/16"), ["10.0.0.9", "10.0.1.9"]);
}

#[test]
fn a_link_without_addresses_keeps_the_routes_it_gets() {
    let mut kernel = two_links();
    kernel.tell(RouteEvent::Removed(address("10.0.0.1", ETH1)));
    kernel.add(route(TO, BOOT, 0, vec![Nexthop::link(ETH1)]));
    assert_eq!(kernel.gateways(TO), ["link"]);
}

#[test]
fn an_address_takes_the_routes_that_prefer_it() {
    let mut kernel = two_links();
    kernel.add(address("10.0.9.9", ETH1));
    let prefers = |addr: &str, prefix: &str| KernelRoute {
        preferred_source: Some(ip(addr)),
        ..route(prefix, BOOT, 0, vec![via("10.0.1.9", ETH2)])
    };
    kernel.add(prefers("10.0.0.1", TO));
    kernel.add(prefers("10.0.9.9", "10.6.0.0/16"));
    kernel.tell(RouteEvent::Removed(address("10.0.0.1", ETH1)));
    assert_eq!(kernel.get(TO), None);
    assert_eq!(kernel.gateways("10.6.0.0/16"), ["10.0.1.9"]);
}

#[test]
fn an_address_on_two_links_is_gone_with_the_second() {
    let mut kernel = two_links();
    kernel.add(address("10.9.9.9", ETH1));
    kernel.add(address("10.9.9.9", ETH2));
    let prefers = KernelRoute {
        preferred_source: Some(ip("10.9.9.9")),
        ..route(TO, BOOT, 0, vec![via("10.0.1.9", ETH2)])
    };
    kernel.add(prefers);
    kernel.tell(RouteEvent::Removed(address("10.9.9.9", ETH1)));
    assert!(kernel.get(TO).is_some());
    kernel.tell(RouteEvent::Removed(address("10.9.9.9", ETH2)));
    assert_eq!(kernel.get(TO), None);
}

#[test]
fn a_route_named_by_a_link_that_is_down_is_stale() {
    let mut kernel = two_links();
    kernel.link(ETH1, false, false);
    assert!(
        kernel
            .add(route(TO, BOOT, 0, vec![via("10.0.0.9", ETH1)]))
            .is_empty()
    );
    kernel.link(ETH1, true, true);
    assert_eq!(kernel.get(TO), None);
}

#[test]
fn a_dump_may_leave_out_dead_hops() {
    let mut kernel = two_links();
    let both = vec![via("10.0.0.9", ETH1), via("10.0.1.9", ETH2)];
    kernel.add(route(TO, BOOT, 0, both.clone()));
    kernel.link(ETH1, false, false);
    for hops in [both[1..].to_vec(), both.clone()] {
        kernel.tell(RouteEvent::DumpStart);
        assert!(kernel.add(route(TO, BOOT, 0, hops)).is_empty());
        kernel.tell(RouteEvent::DumpEnd);
        assert_eq!(kernel.gateways(TO), ["10.0.1.9"]);
    }
    kernel.link(ETH1, true, true);
    assert_eq!(kernel.gateways(TO), ["10.0.0.9", "10.0.1.9"]);
    kernel.tell(RouteEvent::Removed(route(TO, BOOT, 0, both[1..].to_vec())));
    assert_eq!(
        kernel.get(TO),
        None,
        "the one meant, though told without a hop"
    );
}
