//! Routes by next-hop objects.

use super::*;

const TO: &str = "10.8.0.0/16";

fn set(id: u32, object: NexthopObject) -> RouteEvent {
    RouteEvent::NexthopSet { id, object }
}

/// Objects 1 on eth1 and 2 on eth2, group 3 of both; TO by the group.
fn by_group() -> Fixture {
    let mut kernel = Fixture::new();
    kernel.single(1, "10.0.0.2", ETH1);
    kernel.single(2, "10.0.1.2", ETH2);
    kernel.tell(set(3, NexthopObject::Group(vec![(1, 1), (2, 5)])));
    kernel.add(by_object(TO, 3));
    kernel
}

#[test]
fn a_route_follows_its_object() {
    let mut kernel = Fixture::new();
    kernel.single(1, "10.0.0.2", ETH1);
    kernel.add(by_object(TO, 1));
    assert_eq!(kernel.gateways(TO), ["10.0.0.2"]);
    kernel.single(1, "10.0.1.7", ETH2);
    assert_eq!(kernel.gateways(TO), ["10.0.1.7"]);
    assert!(kernel.single(1, "10.0.1.7", ETH2).is_empty());
}

#[test]
fn a_group_gives_its_members_with_their_weights() {
    let kernel = by_group();
    let weights: Vec<u16> = kernel
        .get(TO)
        .unwrap()
        .nexthops
        .iter()
        .map(|h| h.weight)
        .collect();
    assert_eq!(kernel.gateways(TO), ["10.0.0.2", "10.0.1.2"]);
    assert_eq!(weights, [1, 5]);
}

#[test]
fn a_changed_member_changes_the_routes_of_its_groups() {
    let mut kernel = by_group();
    kernel.single(1, "10.0.0.7", ETH1);
    assert_eq!(kernel.gateways(TO), ["10.0.0.7", "10.0.1.2"]);
}

#[test]
fn a_gone_object_takes_its_routes_and_shrinks_its_groups() {
    let mut kernel = by_group();
    kernel.add(by_object("10.9.0.0/16", 1));
    kernel.tell(RouteEvent::NexthopGone(1));
    assert_eq!(kernel.get("10.9.0.0/16"), None);
    assert_eq!(kernel.gateways(TO), ["10.0.1.2"]);
    kernel.tell(RouteEvent::NexthopGone(2));
    assert_eq!(
        kernel.get(TO),
        None,
        "the group is gone with its last member"
    );
    assert!(kernel.tell(RouteEvent::NexthopGone(3)).is_empty());
}

#[test]
fn carrier_loss_takes_the_objects_of_the_link() {
    let mut kernel = by_group();
    kernel.add(by_object("10.9.0.0/16", 1));
    kernel.link(ETH1, true, false);
    assert_eq!(kernel.get("10.9.0.0/16"), None);
    assert_eq!(kernel.gateways(TO), ["10.0.1.2"]);
    kernel.link(ETH1, true, true);
    assert_eq!(
        kernel.gateways(TO),
        ["10.0.1.2"],
        "and does not bring them back"
    );
}

#[test]
fn a_gone_link_takes_its_objects() {
    let mut kernel = by_group();
    kernel.tell(RouteEvent::LinkGone(ETH1));
    assert_eq!(kernel.gateways(TO), ["10.0.1.2"]);
}

#[test]
fn the_object_says_whether_a_route_is_a_blackhole() {
    let mut kernel = Fixture::new();
    kernel.tell(set(4, NexthopObject::Blackhole));
    let told = KernelRoute {
        kind: RouteType::Blackhole,
        ..by_object(TO, 4)
    };
    kernel.add(told);
    assert_eq!(kernel.get(TO).unwrap().kind, RouteType::Blackhole);
    kernel.single(4, "10.0.0.2", ETH1);
    let again = RouteEvent::Added {
        route: by_object(TO, 4),
        replaced: true,
    };
    assert!(
        kernel.tell(again).is_empty(),
        "the same route, now of another type"
    );
    assert_eq!(kernel.gateways(TO), ["10.0.0.2"]);
    kernel.tell(RouteEvent::Removed(by_object(TO, 4)));
    assert_eq!(kernel.get(TO), None);
}

#[test]
fn what_cannot_be_followed_is_left_to_the_kernel() {
    let v6 = NexthopObject::Single {
        gateway: Some("2001:db8::1".parse().unwrap()),
        ifindex: ETH1,
        onlink: false,
    };
    let group_of_unknown = NexthopObject::Group(vec![(77, 1)]);
    let itself = NexthopObject::Group(vec![(1, 1)]);
    for object in [v6, NexthopObject::KernelOnly, group_of_unknown, itself] {
        let mut kernel = Fixture::new();
        kernel.tell(set(1, object));
        kernel.add(by_object(TO, 1));
        assert_eq!(kernel.get(TO).unwrap().kind, RouteType::KernelOnly);
    }
}

#[test]
fn an_object_may_be_told_of_after_its_route() {
    let mut kernel = Fixture::new();
    kernel.add(by_object(TO, 1));
    assert_eq!(kernel.get(TO).unwrap().kind, RouteType::KernelOnly);
    kernel.single(1, "10.0.0.2", ETH1);
    assert_eq!(kernel.gateways(TO), ["10.0.0.2"]);
}

#[test]
fn a_dump_of_routes_alone_keeps_the_objects() {
    let mut kernel = by_group();
    kernel.tell(RouteEvent::DumpStart);
    kernel.add(by_object(TO, 3));
    kernel.tell(RouteEvent::DumpEnd);
    kernel.add(by_object("10.9.0.0/16", 1));
    assert_eq!(kernel.gateways("10.9.0.0/16"), ["10.0.0.2"]);
}
