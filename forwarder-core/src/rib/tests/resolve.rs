//! Next hops: which are usable, by which interface, and what follows when a
//! link or a connected route changes.

use super::*;
use crate::net::Ipv6;

const TO: &str = "203.0.113.0/24";

fn interfaces(rib: &mut Rib<Ipv4>, prefix: &str) -> Vec<u32> {
    let route = selected(rib, prefix);
    route.map_or_else(Vec::new, |route| {
        route
            .nexthops
            .iter()
            .map(|hop| hop.ifindex.unwrap().0)
            .collect()
    })
}

fn add_local(rib: &mut Rib<Ipv4>, prefix: &str, kind: RouteType) {
    rib.update(
        Instant::ZERO,
        TableId::LOCAL,
        net(prefix),
        of_kind(kind, Source::Connected),
    );
}

#[test]
fn a_gateway_resolves_by_its_connected_route() {
    let mut rib = rib();
    put(&mut rib, TO, stat(vec![via("198.51.100.9")]));
    assert_eq!(interfaces(&mut rib, TO), [2]);
}

#[test]
fn a_gateway_resolves_by_the_longest_connected_route() {
    let mut rib = rib();
    put(&mut rib, TO, stat(vec![via("192.0.2.9")]));
    assert_eq!(interfaces(&mut rib, TO), [1]);
    put(&mut rib, "192.0.2.8/29", connected(ETH2));
    assert_eq!(interfaces(&mut rib, TO), [2]);
    rib.withdraw(MAIN, net("192.0.2.8/29"), Slot::Kernel);
    assert_eq!(interfaces(&mut rib, TO), [1]);
}

#[test]
fn an_unreachable_gateway_waits_for_its_connected_route() {
    let mut rib = rib();
    put(&mut rib, TO, stat(vec![via("10.0.0.9")]));
    assert_eq!(winner(&mut rib, TO), None);
    assert_eq!(reason(&rib, TO, Slot::Static), "unresolved");
    put(&mut rib, "10.0.0.0/24", connected(ETH1));
    assert_eq!(interfaces(&mut rib, TO), [1]);
}

#[test]
fn a_route_with_a_gateway_resolves_no_other() {
    let mut rib = rib();
    put(&mut rib, "10.0.0.0/8", stat(vec![via("192.0.2.9")]));
    put(&mut rib, TO, stat(vec![via("10.0.0.9")]));
    assert_eq!(winner(&mut rib, TO), None);
}

#[test]
fn a_static_route_to_the_link_resolves_gateways_while_its_link_runs() {
    let mut rib = rib();
    put(&mut rib, "10.9.9.9/32", stat(vec![Nexthop::link(ETH1)]));
    put(&mut rib, "0.0.0.0/0", stat(vec![via("10.9.9.9")]));
    assert_eq!(interfaces(&mut rib, "0.0.0.0/0"), [1]);
    rib.set_link(ETH1, true, false);
    assert_eq!(winner(&mut rib, "0.0.0.0/0"), None);
    rib.set_link(ETH1, true, true);
    assert_eq!(interfaces(&mut rib, "0.0.0.0/0"), [1]);
}

#[test]
fn a_gateway_must_be_on_the_interface_it_is_named_with() {
    let mut rib = rib();
    put(&mut rib, TO, rip(1, via_dev("198.51.100.9", ETH1)));
    assert_eq!(winner(&mut rib, TO), None);
    assert_eq!(reason(&rib, TO, Slot::Rip), "unresolved");
    let onlink = Nexthop {
        onlink: true,
        ..via_dev("198.51.100.9", ETH1)
    };
    put(&mut rib, TO, rip(1, onlink));
    assert_eq!(interfaces(&mut rib, TO), [1]);
}

#[test]
fn our_own_address_is_no_gateway() {
    let mut rib = rib();
    put(&mut rib, TO, stat(vec![via("192.0.2.1")]));
    assert_eq!(interfaces(&mut rib, TO), [1]);
    add_local(&mut rib, "192.0.2.1/32", RouteType::Local);
    assert_eq!(winner(&mut rib, TO), None);
    assert_eq!(reason(&rib, TO, Slot::Static), "own-address");
    rib.withdraw(TableId::LOCAL, net("192.0.2.1/32"), Slot::Kernel);
    assert_eq!(interfaces(&mut rib, TO), [1]);
}

#[test]
fn a_broadcast_address_is_no_gateway() {
    let mut rib = rib();
    add_local(&mut rib, "192.0.2.255/32", RouteType::Broadcast);
    put(&mut rib, TO, stat(vec![via("192.0.2.255")]));
    assert_eq!(winner(&mut rib, TO), None);
    assert_eq!(reason(&rib, TO, Slot::Static), "not-unicast");
}

#[test]
fn carrier_loss_hands_over_to_a_backup() {
    let mut rib = rib();
    put(&mut rib, TO, stat(vec![via("192.0.2.9")]));
    put(&mut rib, TO, rip(2, via_dev("198.51.100.9", ETH2)));
    assert_eq!(winner(&mut rib, TO), Some(Source::Static));
    rib.set_link(ETH1, true, false);
    assert_eq!(winner(&mut rib, TO), Some(Source::Rip));
    assert_eq!(reason(&rib, TO, Slot::Static), "no-carrier");
    rib.set_link(ETH1, true, true);
    assert_eq!(winner(&mut rib, TO), Some(Source::Static));
}

#[test]
fn carrier_loss_leaves_the_kernels_routes_as_the_kernel_has_them() {
    let mut rib = rib();
    put(&mut rib, TO, kernel(4, 1, 0, via_dev("192.0.2.9", ETH1)));
    rib.set_link(ETH1, true, false);
    assert_eq!(winner(&mut rib, TO), Some(Source::Kernel(4)));
    assert_eq!(winner(&mut rib, "192.0.2.0/24"), Some(Source::Connected));
}

#[test]
fn link_down_and_gone_are_told_apart() {
    let mut rib = rib();
    put(&mut rib, TO, rip(2, via_dev("192.0.2.9", ETH1)));
    rib.set_link(ETH1, false, false);
    assert_eq!(winner(&mut rib, TO), None);
    assert_eq!(reason(&rib, TO, Slot::Rip), "link-down");
    rib.remove_link(ETH1);
    rib.withdraw(MAIN, net("192.0.2.0/24"), Slot::Kernel);
    assert_eq!(winner(&mut rib, TO), None);
    assert_eq!(reason(&rib, TO, Slot::Rip), "no-interface");
}

#[test]
fn a_multipath_static_keeps_the_next_hops_that_are_up() {
    let mut rib = rib();
    put(
        &mut rib,
        TO,
        stat(vec![via("192.0.2.9"), via("198.51.100.9")]),
    );
    assert_eq!(interfaces(&mut rib, TO), [1, 2]);
    rib.set_link(ETH1, false, false);
    assert_eq!(interfaces(&mut rib, TO), [2]);
    rib.set_link(ETH2, false, false);
    assert_eq!(winner(&mut rib, TO), None);
    rib.set_link(ETH1, true, true);
    assert_eq!(interfaces(&mut rib, TO), [1]);
}

#[test]
fn resolution_stays_within_its_table() {
    let mut rib = rib();
    let table = TableId(100);
    rib.update(Instant::ZERO, table, net(TO), stat(vec![via("192.0.2.9")]));
    rib.commit();
    assert!(rib.lookup(table, ip("203.0.113.1")).is_none());
    rib.update(Instant::ZERO, table, net("192.0.2.0/24"), connected(ETH1));
    rib.commit();
    assert!(rib.lookup(table, ip("203.0.113.1")).is_some());
}

#[test]
fn a_resolved_candidate_is_shared_and_not_copied() {
    let mut rib = rib();
    put(&mut rib, TO, rip(2, via_dev("192.0.2.9", ETH1)));
    let route = selected(&mut rib, TO).unwrap();
    let entry = rib.entry(MAIN, net(TO)).unwrap();
    assert!(Arc::ptr_eq(&route, &entry.offers[0].candidate));
}

/// An IPv6 database with two links that are up.
fn rib6() -> Rib<Ipv6> {
    let mut rib = Rib::new(7, RibConfig::default());
    for ifindex in [ETH1, ETH2] {
        rib.set_link(ifindex, true, true);
    }
    rib
}

fn net6(text: &str) -> ipnet::Ipv6Net {
    text.parse().unwrap()
}

fn stat6(gateway: &str, ifindex: Option<Ifindex>) -> Candidate<Ipv6> {
    Candidate {
        kind: RouteType::Unicast,
        nexthops: vec![Nexthop {
            gateway: Some(gateway.parse().unwrap()),
            ifindex,
            weight: 1,
            onlink: false,
        }],
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

fn interface6(rib: &Rib<Ipv6>, prefix: &str) -> Option<Ifindex> {
    let selected = rib.entry(MAIN, net6(prefix)).unwrap().selected;
    selected.and_then(|route| route.nexthops[0].ifindex)
}

/// All links have fe80::/64, and one of these routes is selected; a link-local
/// gateway is on the link that it is named with nevertheless, and on no other.
#[test]
fn a_link_local_gateway_is_on_the_link_that_it_is_named_with() {
    let mut rib = rib6();
    for (prefix, ifindex) in [
        ("2001:db8:1::/48", Some(ETH1)),
        ("2001:db8:2::/48", Some(ETH2)),
        ("2001:db8:3::/48", None),
    ] {
        let candidate = stat6("fe80::1", ifindex);
        rib.update(Instant::ZERO, MAIN, net6(prefix), candidate);
        rib.commit();
        assert_eq!(interface6(&rib, prefix), ifindex, "{prefix}");
    }
}

/// Many routers are fe80::1 on their link, and so may we be on one of ours.
#[test]
fn rfc4007_5_our_link_local_address_is_another_routers_on_another_link() {
    let mut rib = rib6();
    for (prefix, ifindex) in [("2001:db8:1::/48", ETH1), ("2001:db8:2::/48", ETH2)] {
        let candidate = stat6("fe80::1", Some(ifindex));
        rib.update(Instant::ZERO, MAIN, net6(prefix), candidate);
    }
    let ours = Candidate {
        kind: RouteType::Local,
        nexthops: vec![Nexthop::link(ETH1)],
        source: Source::Connected,
        distance: Distance(0),
        ..stat6("::", None)
    };
    rib.update(Instant::ZERO, TableId::LOCAL, net6("fe80::1/128"), ours);
    rib.commit();
    assert_eq!(interface6(&rib, "2001:db8:1::/48"), None);
    assert_eq!(interface6(&rib, "2001:db8:2::/48"), Some(ETH2));
    rib.withdraw(TableId::LOCAL, net6("fe80::1/128"), Slot::Kernel);
    rib.commit();
    assert_eq!(interface6(&rib, "2001:db8:1::/48"), Some(ETH1));
}
