//! Which route is the candidate, and what it is.

use super::*;

const TO: &str = "10.5.0.0/16";

fn removed(route: KernelRoute<Ipv4>) -> RouteEvent {
    RouteEvent::Removed(route)
}

#[test]
fn a_candidate_carries_what_the_kernel_says() {
    let mut kernel = Fixture::new();
    let told = KernelRoute {
        mtu: Some(1400),
        preferred_source: Some(ip("10.0.0.1")),
        ..route(TO, BIRD, 32, vec![via("10.0.0.9", ETH1)])
    };
    kernel.add(told);
    let expected = Candidate {
        kind: RouteType::Unicast,
        nexthops: vec![via("10.0.0.9", ETH1)],
        source: Source::Kernel(BIRD),
        distance: Distance(150),
        metric: 32,
        tag: 0,
        mtu: Some(1400),
        kernel_metric: Some(32),
        preferred_source: Some(ip("10.0.0.1")),
        attributes: None,
    };
    assert_eq!(kernel.get(TO), Some(&expected));
}

#[test]
fn distances_follow_the_protocol() {
    let expected = [
        (2, 0),
        (3, 1),
        (4, 1),
        (186, 20),
        (192, 90),
        (42, 100),
        (188, 110),
        (187, 115),
        (189, 120),
        (11, 150),
        (12, 150),
        (77, 150),
        (9, 200),
        (16, 200),
    ];
    for (protocol, distance) in expected {
        assert_eq!(
            Distances::default().of_protocol(protocol),
            Distance(distance),
            "protocol {protocol}"
        );
    }
}

#[test]
fn kernel_protocol_is_connected() {
    let mut kernel = Fixture::new();
    kernel.add(connected("10.0.0.0/24", ETH1));
    assert_eq!(kernel.get("10.0.0.0/24").unwrap().source, Source::Connected);
}

#[test]
fn the_lowest_metric_is_the_candidate() {
    let mut kernel = Fixture::new();
    kernel.add(route(TO, BIRD, 32, vec![via("10.0.0.2", ETH1)]));
    kernel.add(route(TO, BOOT, 10, vec![via("10.0.0.3", ETH1)]));
    assert!(
        kernel
            .add(route(TO, BOOT, 100, vec![via("10.0.0.4", ETH1)]))
            .is_empty()
    );
    assert_eq!(kernel.gateways(TO), ["10.0.0.3"]);
    kernel.tell(removed(route(TO, BOOT, 10, vec![via("10.0.0.3", ETH1)])));
    assert_eq!(kernel.gateways(TO), ["10.0.0.2"]);
}

#[test]
fn the_first_of_equal_metrics_is_the_candidate() {
    let mut kernel = Fixture::new();
    kernel.add(route(TO, BOOT, 0, vec![via("10.0.0.2", ETH1)]));
    assert!(
        kernel
            .add(route(TO, BOOT, 0, vec![via("10.0.0.3", ETH1)]))
            .is_empty()
    );
    assert_eq!(kernel.gateways(TO), ["10.0.0.2"]);
    kernel.tell(removed(route(TO, BOOT, 0, vec![via("10.0.0.2", ETH1)])));
    assert_eq!(kernel.gateways(TO), ["10.0.0.3"]);
    kernel.tell(removed(route(TO, BOOT, 0, vec![via("10.0.0.3", ETH1)])));
    assert_eq!(kernel.get(TO), None);
}

#[test]
fn a_replacement_takes_the_first_ones_place() {
    let mut kernel = Fixture::new();
    kernel.add(route(TO, BOOT, 0, vec![via("10.0.0.2", ETH1)]));
    kernel.add(route(TO, BOOT, 0, vec![via("10.0.0.3", ETH1)]));
    let new = route(TO, BIRD, 0, vec![via("10.0.0.4", ETH1)]);
    kernel.tell(RouteEvent::Added {
        route: new,
        replaced: true,
    });
    assert_eq!(kernel.gateways(TO), ["10.0.0.4"]);
    kernel.tell(removed(route(TO, BIRD, 0, vec![via("10.0.0.4", ETH1)])));
    assert_eq!(
        kernel.gateways(TO),
        ["10.0.0.3"],
        "the second one is still there"
    );
}

#[test]
fn a_removal_of_what_is_not_known_removes_nothing_else() {
    let mut kernel = Fixture::new();
    kernel.add(connected("10.0.0.0/24", ETH2));
    assert!(
        kernel
            .tell(removed(connected("10.0.0.0/24", ETH1)))
            .is_empty()
    );
    assert!(kernel.get("10.0.0.0/24").is_some());
}

#[test]
fn a_route_for_a_tos_leaves_the_prefix_to_the_kernel() {
    let mut kernel = Fixture::new();
    kernel.add(route(TO, BOOT, 0, vec![via("10.0.0.2", ETH1)]));
    let tos = KernelRoute {
        tos: 0x10,
        ..route(TO, BOOT, 50, vec![via("10.0.0.3", ETH1)])
    };
    kernel.add(tos.clone());
    let candidate = kernel.get(TO).unwrap();
    assert_eq!(
        (candidate.kind, candidate.kernel_metric),
        (RouteType::KernelOnly, Some(0))
    );
    assert!(candidate.nexthops.is_empty());
    kernel.tell(removed(tos));
    assert_eq!(kernel.gateways(TO), ["10.0.0.2"]);
}

#[test]
fn types_other_than_unicast_have_no_next_hops() {
    let kinds = [
        RouteType::Blackhole,
        RouteType::Throw,
        RouteType::KernelOnly,
    ];
    for kind in kinds {
        let mut kernel = Fixture::new();
        kernel.add(KernelRoute {
            kind,
            ..route(TO, BOOT, 0, vec![Nexthop::link(ETH1)])
        });
        let candidate = kernel.get(TO).unwrap();
        assert_eq!((candidate.kind, candidate.nexthops.len()), (kind, 0));
    }
}

#[test]
fn only_tables_main_and_local_count() {
    let mut kernel = Fixture::new();
    let other = KernelRoute {
        table: TableId(100),
        ..connected("10.0.0.0/24", ETH1)
    };
    assert!(kernel.add(other.clone()).is_empty());
    assert!(kernel.tell(removed(other)).is_empty());
    kernel.add(address("10.0.0.1", ETH1));
    let own = &kernel.candidates[&(LOCAL, net("10.0.0.1/32"))];
    assert_eq!(
        (own.kind, own.source),
        (RouteType::Local, Source::Connected)
    );
}

#[test]
fn ours_are_no_candidates() {
    let mut kernel = Fixture::new();
    let ours = route(TO, OURS.protocol, OURS.metric, vec![via("10.0.0.2", ETH1)]);
    let seen = ImportOp::OursSeen {
        prefix: net(TO),
        route: ours.clone(),
    };
    for told in ["new", "named again"] {
        assert_eq!(
            &kernel.add(ours.clone())[..],
            std::slice::from_ref(&seen),
            "{told}"
        );
    }
    assert_eq!(kernel.get(TO), None);
    assert_eq!(
        kernel.tell(removed(ours)),
        [ImportOp::OursGone { prefix: net(TO) }]
    );
}

#[test]
fn ours_need_protocol_and_metric_and_no_tos() {
    let ours = route(TO, OURS.protocol, OURS.metric, vec![via("10.0.0.2", ETH1)]);
    let others = [
        KernelRoute {
            metric: 16,
            ..ours.clone()
        },
        KernelRoute {
            protocol: BIRD,
            ..ours.clone()
        },
        KernelRoute {
            tos: 4,
            ..ours.clone()
        },
        KernelRoute {
            table: LOCAL,
            ..ours.clone()
        },
    ];
    for other in others {
        let mut kernel = Fixture::new();
        kernel.add(other);
        assert_eq!((kernel.candidates.len(), kernel.ours.len()), (1, 0));
    }
}

#[test]
fn a_foreign_route_that_replaces_ours_is_seen_as_both() {
    let mut kernel = Fixture::new();
    kernel.add(route(
        TO,
        OURS.protocol,
        OURS.metric,
        vec![via("10.0.0.2", ETH1)],
    ));
    let foreign = route(TO, BIRD, OURS.metric, vec![via("10.0.0.3", ETH1)]);
    kernel.tell(RouteEvent::Added {
        route: foreign,
        replaced: true,
    });
    assert!(kernel.ours.is_empty());
    assert_eq!(kernel.gateways(TO), ["10.0.0.3"]);
}

#[test]
fn without_import_only_connected_and_local_are_candidates() {
    let mut kernel = Fixture::new();
    kernel.add(connected("10.0.0.0/24", ETH1));
    kernel.add(KernelRoute {
        protocol: BOOT,
        ..address("10.9.9.9", ETH1)
    });
    kernel.add(route(TO, BIRD, 32, vec![via("10.0.0.2", ETH1)]));
    let mut out = Vec::new();
    kernel
        .table
        .reconfigure(Distances::default(), false, &mut out);
    assert_eq!(
        out,
        [ImportOp::Withdraw {
            table: MAIN,
            prefix: net(TO)
        }]
    );
    kernel.carry_out(&out);
    kernel
        .table
        .reconfigure(Distances::default(), true, &mut out);
    assert!(matches!(out[1..], [ImportOp::Update { .. }]));
}

#[test]
fn new_distances_are_told_of_the_routes_they_concern() {
    let mut kernel = Fixture::new();
    kernel.add(connected("10.0.0.0/24", ETH1));
    kernel.add(route(TO, BIRD, 32, vec![via("10.0.0.2", ETH1)]));
    let distances = Distances {
        other: Distance(20),
        ..Distances::default()
    };
    let mut out = Vec::new();
    kernel.table.reconfigure(distances, true, &mut out);
    assert_eq!(out.len(), 1);
    kernel.carry_out(&out);
    assert_eq!(kernel.get(TO).unwrap().distance, Distance(20));
}

#[test]
fn a_dump_sweeps_what_it_does_not_name() {
    let mut kernel = Fixture::new();
    let stays = route(TO, BOOT, 0, vec![via("10.0.0.2", ETH1)]);
    kernel.add(stays.clone());
    kernel.add(route("10.6.0.0/16", BOOT, 0, vec![via("10.0.0.2", ETH1)]));
    kernel.add(route(
        "10.7.0.0/16",
        OURS.protocol,
        15,
        vec![via("10.0.0.2", ETH1)],
    ));
    kernel.tell(RouteEvent::DumpStart);
    assert!(kernel.add(stays).is_empty());
    kernel.add(route("10.8.0.0/16", BOOT, 0, vec![via("10.0.0.2", ETH1)]));
    let swept = kernel.tell(RouteEvent::DumpEnd);
    let expected = [
        ImportOp::Withdraw {
            table: MAIN,
            prefix: net("10.6.0.0/16"),
        },
        ImportOp::OursGone {
            prefix: net("10.7.0.0/16"),
        },
    ];
    assert_eq!(swept, expected);
    assert!(
        kernel.tell(RouteEvent::DumpEnd).is_empty(),
        "no dump, no sweep"
    );
}

#[test]
fn a_dump_brings_the_kernels_order() {
    let mut kernel = Fixture::new();
    let (a, b) = (via("10.0.0.2", ETH1), via("10.0.0.3", ETH1));
    kernel.add(route(TO, BOOT, 0, vec![a]));
    kernel.add(route(TO, BOOT, 0, vec![b]));
    kernel.tell(RouteEvent::DumpStart);
    kernel.add(route(TO, BOOT, 0, vec![b]));
    kernel.add(route(TO, BOOT, 0, vec![a]));
    assert_eq!(
        kernel.gateways(TO),
        ["10.0.0.2"],
        "not before the dump is complete"
    );
    kernel.tell(RouteEvent::DumpEnd);
    assert_eq!(kernel.gateways(TO), ["10.0.0.3"]);
}

#[test]
fn a_dump_that_starts_anew_counts_from_its_last_start() {
    let mut kernel = Fixture::new();
    let gone = route(TO, BOOT, 0, vec![via("10.0.0.2", ETH1)]);
    kernel.tell(RouteEvent::DumpStart);
    kernel.add(gone);
    kernel.tell(RouteEvent::DumpStart);
    kernel.tell(RouteEvent::DumpEnd);
    assert_eq!(kernel.get(TO), None);
}
