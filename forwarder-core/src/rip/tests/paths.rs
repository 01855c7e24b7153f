//! Several next hops to one destination.

use super::*;

const P: &str = "20.0.0.0/8";

fn router(paths: usize) -> Router {
    router_with(paths, InterfaceConfig::default())
}

fn router_with(paths: usize, on_a: InterfaceConfig<Ipv4>) -> Router {
    let mut router = Router::with(on_a);
    allow(&mut router, paths);
    router
}

fn allow(router: &mut Router, paths: usize) {
    router.input(Input::Reconfigure(Tuning {
        paths,
        ..Default::default()
    }));
}

/// The next hops that the RIB was told last, and the metric.
fn ways(router: &Router) -> Option<(Vec<Ipv4Addr>, u8)> {
    match router.routes.last()? {
        RouteChange::Update {
            nexthops, metric, ..
        } => {
            let hops = nexthops.iter().map(|hop| hop.gateway.unwrap());
            Some((hops.collect(), metric.get()))
        }
        RouteChange::Withdraw { .. } => None,
    }
}

fn via(hops: &[&str], metric: u8) -> Option<(Vec<Ipv4Addr>, u8)> {
    Some((hops.iter().map(|hop| addr(hop)).collect(), metric))
}

#[test]
fn equally_good_offers_are_used_together() {
    let mut router = router(4);
    router.hear(A2, &[rte(P, 3)]);
    router.hear(B2, &[rte(P, 3)]);
    assert_eq!(ways(&router), via(&[A2, B2], 4));
    router.hear(A3, &[rte(P, 4)]);
    assert_eq!(router.routes.len(), 2, "a worse one is not");
    router.hear(A3, &[rte(P, 2)]);
    assert_eq!(ways(&router), via(&[A3], 3), "a better one is alone");
}

#[test]
fn rip_case_42_an_equal_offer_adds_a_path_where_several_are_allowed() {
    let mut one = router(1);
    let mut two = router(2);
    for router in [&mut one, &mut two] {
        router.hear(A2, &[rte(P, 3)]);
        router.hear(A3, &[rte(P, 3)]);
    }
    assert_eq!(ways(&one), via(&[A2], 4));
    assert_eq!(ways(&two), via(&[A2, A3], 4));
}

#[test]
fn rip_case_47_the_loss_of_one_path_leaves_the_others_at_once() {
    for lose in 0..3 {
        let mut router = router(4);
        router.hear(A2, &[rte(P, 3)]);
        router.hear(A3, &[rte(P, 3)]);
        router.hear(B2, &[rte(P, 3)]);
        router.advance(Duration::from_secs(6));
        router.forget();
        match lose {
            0 => router.hear(A2, &[rte(P, 16)]),
            1 => router.hear(A2, &[rte(P, 5)]),
            _ => router.input(Input::Clear(Clear::Neighbor(addr(A2)))),
        }
        assert_eq!(ways(&router), via(&[A3, B2], 4));
        assert_eq!(router.routes.len(), 1);
        router.flush();
        let told = [router.told(A, P), router.told(B, P)].concat();
        assert!(told.is_empty(), "the metric is the same: {told:?}");
    }
}

#[test]
fn a_lost_link_takes_its_paths_and_no_others() {
    let mut router = router(4);
    router.hear(A2, &[rte(P, 3)]);
    router.hear(A3, &[rte(P, 3)]);
    router.hear(B2, &[rte(P, 3)]);
    router.input(Input::InterfaceDown(A));
    assert_eq!(ways(&router), via(&[B2], 4));
}

#[test]
fn a_path_that_falls_silent_goes_by_itself() {
    let mut router = router(4);
    router.hear(A2, &[rte(P, 3)]);
    router.hear(B2, &[rte(P, 3)]);
    for _ in 0..18 {
        router.advance(Duration::from_secs(10));
        router.hear(B2, &[rte(P, 3)]);
    }
    assert_eq!(ways(&router), via(&[B2], 4));
}

#[test]
fn there_are_no_more_paths_than_allowed_and_those_in_use_stay() {
    let mut router = router(2);
    router.hear(B2, &[rte(P, 3)]);
    router.hear("10.0.12.9", &[rte(P, 3)]);
    let both = via(&["10.0.12.9", B2], 4);
    assert_eq!(ways(&router), both);
    router.hear(A2, &[rte(P, 3)]);
    assert_eq!(ways(&router), both);
    router.hear(B2, &[rte(P, 16)]);
    assert_eq!(ways(&router), via(&[A2, "10.0.12.9"], 4), "one moves up");
    allow(&mut router, 1);
    assert_eq!(ways(&router).unwrap().0.len(), 1);
    allow(&mut router, 16);
    assert_eq!(ways(&router), via(&[A2, "10.0.12.9"], 4));
}

#[test]
fn two_routers_that_name_the_same_next_hop_are_one_path() {
    let mut router = router(4);
    let hop = Rte {
        next_hop: Some(addr("10.0.12.9")),
        ..rte(P, 3)
    };
    router.hear(A2, &[hop]);
    router.hear(A3, &[hop]);
    assert_eq!(ways(&router), via(&["10.0.12.9"], 4));
    router.hear(A2, &[rte(P, 16)]);
    assert_eq!(router.routes.len(), 1, "and the other still names it");
}

#[test]
fn offers_with_other_tags_are_other_routes() {
    let mut router = router(4);
    router.hear(A2, &[rte(P, 3)]);
    router.hear(
        A3,
        &[Rte {
            tag: 5,
            ..rte(P, 3)
        }],
    );
    assert_eq!(ways(&router), via(&[A2], 4));
}

#[test]
fn split_horizon_holds_on_every_link_that_packets_leave_by() {
    let simple = InterfaceConfig {
        split_horizon: SplitHorizon::Simple,
        ..Default::default()
    };
    let mut router = router_with(4, simple);
    router.hear(B2, &[rte(P, 3)]);
    router.advance(Duration::from_secs(6));
    assert_eq!(router.told(A, P), [4]);
    router.forget();
    router.hear(A2, &[rte(P, 3)]);
    router.flush();
    assert_eq!(router.told(A, P), [16], "taken back where it was told");
    router.advance(Duration::from_secs(6));
    router.forget();
    router.advance(Duration::from_secs(35));
    assert!(router.told(A, P).is_empty(), "simple says nothing");
    assert!(router.told(B, P).iter().all(|metric| *metric == 16));
    router.forget();
    router.hear(A2, &[rte(P, 16)]);
    router.advance(Duration::from_secs(6));
    assert_eq!(router.told(A, P)[0], 4, "the way by B is told to A again");
}
