//! `settle`: better routes wait, losses do not.

use super::*;
use crate::route::Nexthop;

const P: &str = "20.0.0.0/8";

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Routes settle for 10 s.
fn router() -> Router {
    router_with(1)
}

fn router_with(paths: usize) -> Router {
    let mut router = Router::settled();
    tune(&mut router, paths, secs(10));
    router
}

fn tune(router: &mut Router, paths: usize, settle: Duration) {
    router.input(Input::Reconfigure(Tuning {
        paths,
        settle,
        ..Default::default()
    }));
}

fn update(hops: &[(&str, Ifindex)], value: u32) -> RouteChange<Ipv4> {
    let hop = |(via, ifindex): &(&str, Ifindex)| Nexthop::via(addr(via), *ifindex);
    RouteChange::Update {
        prefix: net(P),
        nexthops: hops.iter().map(hop).collect(),
        metric: metric(value),
        tag: 0,
    }
}

fn withdraw() -> RouteChange<Ipv4> {
    RouteChange::Withdraw { prefix: net(P) }
}

/// A route by A2 that is in use.
fn with_route(router: &mut Router, value: u32) {
    router.hear(A2, &[rte(P, value)]);
    router.advance(secs(10));
    assert_eq!(router.routes, [update(&[(A2, A)], value + 1)]);
    router.forget();
}

#[test]
fn a_new_route_is_announced_at_once_and_used_when_it_has_settled() {
    let mut router = router();
    router.hear(A2, &[rte(P, 1)]);
    router.flush();
    assert_eq!(router.told(B, P), [2]);
    assert_eq!(router.row(P).unwrap().settles_in, Some(secs(10)));
    router.advance(secs(9));
    assert!(router.routes.is_empty());
    router.advance(secs(1));
    assert_eq!(router.routes, [update(&[(A2, A)], 2)]);
    assert_eq!(router.row(P).unwrap().settles_in, None);
}

#[test]
fn a_route_that_goes_before_it_has_settled_was_never_there() {
    let mut router = router();
    router.hear(A2, &[rte(P, 1)]);
    router.advance(secs(5));
    router.hear(A2, &[rte(P, 16)]);
    router.advance(secs(20));
    assert!(router.routes.is_empty());
    // The next one waits for all of its time.
    router.hear(A2, &[rte(P, 1)]);
    router.advance(secs(9));
    assert!(router.routes.is_empty());
}

#[test]
fn a_better_route_waits_and_the_present_one_is_used_meanwhile() {
    let mut router = router();
    with_route(&mut router, 5);
    router.hear(B2, &[rte(P, 2)]);
    router.flush();
    assert!(router.routes.is_empty());
    let used = |router: &Router| {
        let offers = router.row(P).unwrap().offers;
        let used: Vec<_> = offers.into_iter().filter(|offer| offer.used).collect();
        used[0].via
    };
    assert_eq!(used(&router), addr(A2));
    router.advance(secs(10));
    assert_eq!(router.routes, [update(&[(B2, B)], 3)]);
    assert_eq!(used(&router), addr(B2));
}

#[test]
fn the_loss_of_the_next_hop_in_use_never_waits() {
    for lose in 0..4 {
        let mut router = router();
        with_route(&mut router, 2);
        router.hear(B2, &[rte(P, 7)]);
        router.advance(secs(2));
        assert!(router.routes.is_empty());
        match lose {
            0 => router.hear(A2, &[rte(P, 16)]),
            1 => router.input(Input::InterfaceDown(A)),
            2 => router.input(Input::Clear(Clear::Neighbor(addr(A2)))),
            _ => router.hear(A2, &[rte(P, 9)]),
        }
        assert_eq!(router.routes, [update(&[(B2, B)], 8)], "{lose}");
    }
}

#[test]
fn the_loss_of_the_only_next_hop_never_waits() {
    let mut router = router();
    with_route(&mut router, 2);
    router.hear(A2, &[rte(P, 16)]);
    assert_eq!(router.routes, [withdraw()]);
}

#[test]
fn the_loss_of_the_next_hop_in_use_takes_what_is_settling() {
    let mut router = router();
    with_route(&mut router, 5);
    router.hear(B2, &[rte(P, 2)]);
    router.advance(secs(3));
    router.hear(A2, &[rte(P, 16)]);
    assert_eq!(router.routes, [update(&[(B2, B)], 3)]);
}

#[test]
fn a_worse_metric_or_another_next_hop_of_the_one_in_use_never_waits() {
    let mut router = router();
    with_route(&mut router, 2);
    router.hear(A2, &[rte(P, 4)]);
    assert_eq!(router.routes, [update(&[(A2, A)], 5)]);
    let hop = Rte {
        next_hop: Some(addr("10.0.12.9")),
        ..rte(P, 4)
    };
    router.hear(A2, &[hop]);
    assert_eq!(router.routes[1], update(&[("10.0.12.9", A)], 5));
}

#[test]
fn one_path_of_several_goes_at_once_and_comes_when_it_has_settled() {
    let mut router = router_with(4);
    with_route(&mut router, 2);
    router.hear(B2, &[rte(P, 2)]);
    router.advance(secs(9));
    assert!(router.routes.is_empty());
    router.advance(secs(1));
    assert_eq!(router.routes, [update(&[(A2, A), (B2, B)], 3)]);
    router.hear(A2, &[rte(P, 16)]);
    assert_eq!(router.routes[1], update(&[(B2, B)], 3));
}

#[test]
fn what_replaces_a_network_of_ours_never_waits() {
    let mut router = router();
    router.hear(A2, &[rte("10.0.13.0/24", 1)]);
    router.advance(secs(20));
    assert!(router.routes.is_empty());
    router.input(Input::InterfaceDown(B));
    assert_eq!(router.routes.len(), 1);
}

#[test]
fn a_reload_without_settle_uses_at_once_what_was_waiting() {
    let mut router = router();
    router.hear(A2, &[rte(P, 1)]);
    tune(&mut router, 1, Duration::ZERO);
    assert_eq!(router.routes, [update(&[(A2, A)], 2)]);
}
