use super::*;

const P: &str = "20.0.0.0/8";

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// A router that keeps hearing `rtes` from `source` for `time`.
fn keep_hearing(router: &mut Router, source: &str, rtes: &[Rte<Ipv4>], time: Duration) {
    let end = router.now + time;
    while router.now < end {
        router.advance(secs(10));
        router.hear(source, rtes);
    }
}

fn update(via: &str, ifindex: Ifindex, value: u32) -> RouteChange<Ipv4> {
    RouteChange::Update {
        prefix: net(P),
        nexthops: vec![crate::route::Nexthop::via(addr(via), ifindex)],
        metric: metric(value),
        tag: 0,
    }
}

fn withdraw() -> RouteChange<Ipv4> {
    RouteChange::Withdraw { prefix: net(P) }
}

#[test]
fn the_same_again_only_refreshes() {
    let mut router = Router::settled();
    router.hear(A2, &[rte(P, 1)]);
    router.advance(secs(10));
    router.forget();
    router.hear(A2, &[rte(P, 1)]);
    assert!(router.routes.is_empty());
    router.flush();
    assert!(router.told(B, P).is_empty(), "no triggered update");
    router.advance(secs(175));
    assert!(router.route(P).is_some(), "but the timeout starts over");
}

#[test]
fn rfc2453_3_9_2_the_same_router_is_always_believed() {
    let mut router = Router::settled();
    router.hear(A2, &[rte(P, 1)]);
    router.advance(secs(6));
    router.forget();
    router.hear(A2, &[rte(P, 7)]);
    assert_eq!(router.routes, [update(A2, A, 8)]);
    router.flush();
    assert_eq!(router.told(B, P), [8], "told at once");
}

#[test]
fn rfc2453_3_9_2_another_router_must_be_better() {
    let mut router = Router::settled();
    router.hear(A2, &[rte(P, 3)]);
    router.forget();
    router.hear(B2, &[rte(P, 3)]);
    router.hear(A3, &[rte(P, 4)]);
    assert!(router.routes.is_empty());
    router.hear(B2, &[rte(P, 2)]);
    assert_eq!(router.routes, [update(B2, B, 3)]);
}

#[test]
fn rfc2453_3_9_2_an_equal_one_replaces_a_route_half_timed_out() {
    let mut router = Router::settled();
    router.hear(A2, &[rte(P, 3)]);
    router.hear(B2, &[rte(P, 3)]);
    router.advance(secs(89));
    router.hear(B2, &[rte(P, 3)]);
    assert_eq!(router.route(P), Some((addr(A2), A, 4)));
    router.advance(secs(1));
    router.hear(B2, &[rte(P, 3)]);
    assert_eq!(router.route(P), Some((addr(B2), B, 4)));
}

#[test]
fn a_lost_route_is_replaced_by_the_next_best_offer_at_once() {
    let mut router = Router::settled();
    router.hear(A2, &[rte(P, 1)]);
    router.hear(A3, &[rte(P, 9)]);
    router.hear(B2, &[rte(P, 4)]);
    router.advance(secs(6));
    router.forget();
    router.hear(A2, &[rte(P, 16)]);
    assert_eq!(
        router.routes,
        [update(B2, B, 5)],
        "replaced, never withdrawn"
    );
    router.flush();
    assert_eq!(router.told(A, P), [5]);
    router.hear(B2, &[rte(P, 16)]);
    assert_eq!(router.routes[1..], [update(A3, A, 10)]);
    router.hear(A3, &[rte(P, 16)]);
    assert_eq!(router.routes[2..], [withdraw()]);
}

#[test]
fn rfc2453_3_8_a_withdrawn_route_is_garbage_for_120_s() {
    let mut router = Router::settled();
    router.hear(A2, &[rte(P, 1)]);
    router.advance(secs(6));
    router.forget();
    router.hear(A2, &[rte(P, 16)]);
    assert_eq!(router.routes, [withdraw()]);
    router.flush();
    assert_eq!(router.told(B, P), [16]);
    router.advance(secs(119));
    assert_eq!(router.row(P).unwrap().origin, RouteOrigin::Garbage);
    assert!(router.told(B, P).len() >= 4, "still told periodically");
    router.advance(secs(1));
    assert_eq!(router.row(P), None);
}

#[test]
fn repeated_withdrawals_do_not_restart_the_garbage_timer() {
    let mut router = Router::settled();
    router.hear(A2, &[rte(P, 1)]);
    router.hear(A2, &[rte(P, 16)]);
    keep_hearing(&mut router, A2, &[rte(P, 16)], secs(120));
    router.flush();
    assert_eq!(router.row(P), None);
}

#[test]
fn garbage_comes_back_to_life() {
    let mut router = Router::settled();
    router.hear(A2, &[rte(P, 1)]);
    router.hear(A2, &[rte(P, 16)]);
    router.advance(secs(60));
    router.hear(B2, &[rte(P, 3)]);
    assert_eq!(router.routes.last(), Some(&update(B2, B, 4)));
    keep_hearing(&mut router, B2, &[rte(P, 3)], secs(300));
    assert_eq!(router.route(P), Some((addr(B2), B, 4)));
}

#[test]
fn rfc2453_3_8_silence_times_out_after_180_s() {
    let mut router = Router::settled();
    router.hear(A2, &[rte(P, 1)]);
    router.advance(secs(179));
    assert!(router.route(P).is_some());
    router.forget();
    router.advance(secs(1));
    assert_eq!(router.routes, [withdraw()]);
    assert_eq!(
        router.events,
        [Event::NeighborLost(NeighborKey {
            ifindex: A,
            address: addr(A2)
        })]
    );
    router.advance(secs(6));
    assert!(router.told(B, P).contains(&16));
    router.advance(secs(114));
    assert_eq!(router.row(P), None);
}

#[test]
fn a_neighbour_s_silence_is_its_own() {
    // Refreshed by one neighbour, a dead path of another must still time out.
    let mut router = Router::settled();
    router.hear(A2, &[rte(P, 1)]);
    keep_hearing(&mut router, B2, &[rte(P, 3)], secs(180));
    assert_eq!(router.route(P), Some((addr(B2), B, 4)));
    assert_eq!(router.row(P).unwrap().offers.len(), 1);
}

#[test]
fn a_change_of_tag_or_next_hop_reaches_the_rib() {
    let mut router = Router::settled();
    router.hear(A2, &[rte(P, 1)]);
    router.advance(secs(6));
    router.forget();
    router.hear(
        A2,
        &[Rte {
            tag: 5,
            ..rte(P, 1)
        }],
    );
    assert!(matches!(
        router.routes[..],
        [RouteChange::Update { tag: 5, .. }]
    ));
    router.flush();
    assert_eq!(router.told(B, P), [2], "a tag is told too");
    router.hear(
        A2,
        &[Rte {
            tag: 5,
            next_hop: Some(addr("10.0.12.9")),
            ..rte(P, 1)
        }],
    );
    assert_eq!(router.route(P).unwrap().0, addr("10.0.12.9"));
    assert_eq!(router.routes.len(), 2);
}

#[test]
fn a_network_of_ours_is_learnt_and_never_installed() {
    let mut router = Router::settled();
    router.hear(A2, &[rte("10.0.13.0/24", 1)]);
    assert!(router.routes.is_empty());
    let row = router.row("10.0.13.0/24").unwrap();
    assert_eq!(
        (row.origin, row.metric.get(), row.offers.len()),
        (RouteOrigin::Connected, 1, 1)
    );
    // It takes over when the link is lost.
    router.input(Input::InterfaceDown(B));
    assert_eq!(router.route("10.0.13.0/24"), Some((addr(A2), A, 2)));
    assert_eq!(router.routes.len(), 1);
    router.up(setup(B, "10.0.13.1/24", InterfaceConfig::default()));
    assert_eq!(
        router.routes[1],
        RouteChange::Withdraw {
            prefix: net("10.0.13.0/24")
        }
    );
}

#[test]
fn a_redistributed_route_is_told_and_the_learnt_one_stays_a_candidate() {
    let mut router = Router::settled();
    router.hear(A2, &[rte(P, 1)]);
    router.advance(secs(6));
    router.forget();
    let route = Redistribute::Update {
        prefix: net(P),
        metric: metric(4),
        tag: 9,
        next_hop: None,
    };
    router.input(Input::Redistribute(route));
    assert!(router.routes.is_empty(), "the RIB chooses, not we");
    router.flush();
    assert_eq!((router.told(A, P), router.told(B, P)), (vec![4], vec![4]));
    router.advance(secs(6));
    router.forget();
    router.input(Input::Redistribute(Redistribute::Withdraw {
        prefix: net(P),
    }));
    router.flush();
    assert_eq!((router.told(A, P), router.told(B, P)), (vec![16], vec![2]));
}

#[test]
fn a_redistributed_route_that_goes_is_garbage() {
    let mut router = Router::settled();
    let route = Redistribute::Update {
        prefix: net(P),
        metric: metric(4),
        tag: 9,
        next_hop: None,
    };
    router.input(Input::Redistribute(route));
    router.advance(secs(6));
    router.forget();
    router.input(Input::Redistribute(Redistribute::Withdraw {
        prefix: net(P),
    }));
    router.flush();
    assert_eq!((router.told(A, P), router.told(B, P)), (vec![16], vec![16]));
    router.advance(secs(120));
    assert_eq!(router.row(P), None);
}

#[test]
fn what_nobody_may_route_is_not_redistributed() {
    let mut router = Router::settled();
    for (prefix, value) in [("127.0.0.0/8", 1), ("224.0.0.0/4", 1), (P, 16)] {
        router.input(Input::Redistribute(Redistribute::Update {
            prefix: net(prefix),
            metric: metric(value),
            tag: 0,
            next_hop: None,
        }));
        assert_eq!(router.row(prefix), None);
    }
}

#[test]
fn an_operator_clears_a_neighbour_or_everything() {
    let mut router = Router::settled();
    router.hear(A2, &[rte(P, 1)]);
    router.hear(B2, &[rte(P, 4), rte("21.0.0.0/8", 1)]);
    router.forget();
    router.input(Input::Clear(Clear::Neighbor(addr(A2))));
    assert_eq!(router.routes, [update(B2, B, 5)]);
    assert_eq!(router.rip.neighbors(router.now).len(), 1);
    router.input(Input::Clear(Clear::Routes));
    assert_eq!(router.routes.len(), 3);
    router.flush();
    let asked = router
        .sent
        .iter()
        .filter(|sent| sent.command == Command::Request)
        .count();
    assert_eq!(asked, 2, "and all are asked again");
}

#[test]
fn new_timers_hold_for_what_is_there() {
    let mut router = Router::settled();
    router.hear(A2, &[rte(P, 1)]);
    let timers = Timers {
        update: secs(1),
        timeout: secs(6),
        garbage: secs(4),
    };
    router.input(Input::Reconfigure(Tuning {
        timers,
        ..Default::default()
    }));
    router.forget();
    router.advance(secs(6));
    assert_eq!(router.routes, [withdraw()]);
    assert!(router.rip.neighbors(router.now).is_empty());
    router.advance(secs(4));
    assert_eq!(router.row(P), None);
    let update = |sent: &&Sent| sent.ifindex == B && sent.command == Command::Response;
    let updates = router.sent.iter().filter(update).count();
    assert!((8..=14).contains(&updates), "{updates} updates in 10 s");
}
