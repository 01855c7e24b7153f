//! What keeps strangers, floods and large neighbours within bounds.

use super::*;

/// Destinations of one neighbour.
fn many(first: u32, count: u32) -> Vec<Rte<Ipv4>> {
    let prefix = |n: u32| Ipv4Net::new(Ipv4Addr::from(0x1400_0000 + n * 256), 24).unwrap();
    let one = |n| Rte {
        prefix: prefix(n),
        ..rte("20.0.0.0/24", 1)
    };
    (first..first + count).map(one).collect()
}

fn learnt(router: &Router) -> usize {
    let rows = router.rip.routes(router.now);
    rows.filter(|row| !row.offers.is_empty()).count()
}

fn secured() -> Router {
    Router::with(InterfaceConfig {
        ttl_security: true,
        ..Default::default()
    })
}

fn with_ttl(router: &mut Router, ttl: Option<u8>, multicast: bool) {
    let payload = response(&[rte("20.0.0.0/8", 1)]);
    router.input(Input::Datagram(Datagram {
        ifindex: A,
        source: addr(A2),
        source_port: 520,
        hop_limit: ttl,
        multicast,
        payload: &payload,
    }));
}

#[test]
fn rfc5082_with_ttl_security_what_has_passed_a_router_is_refused() {
    for (ttl, multicast) in [
        (Some(254), true),
        (Some(254), false),
        (Some(1), true),
        (None, false),
    ] {
        let mut router = secured();
        with_ttl(&mut router, ttl, multicast);
        assert_eq!(router.row("20.0.0.0/8"), None, "{ttl:?}");
        assert_eq!(router.refused(Reject::HopLimit), 1);
    }
    let mut router = secured();
    with_ttl(&mut router, Some(255), false);
    assert!(router.row("20.0.0.0/8").is_some());
}

#[test]
fn rfc5082_with_ttl_security_all_is_sent_with_255_and_otherwise_with_1() {
    for (mut router, ttl) in [(secured(), 255), (Router::settled(), 1)] {
        router.datagram(B, B2, 520, &raw(1, 2, &[Ipv4::table_request()]));
        router.advance(Duration::from_secs(40));
        let on = |ifindex| router.sent.iter().filter(move |s| s.ifindex == ifindex);
        assert!(on(A).count() > 0);
        assert!(on(A).all(|sent| sent.hop_limit == ttl));
        assert!(on(B).all(|sent| sent.hop_limit == 1), "the other interface");
    }
}

#[test]
fn without_ttl_security_any_ttl_is_right() {
    let mut router = Router::settled();
    with_ttl(&mut router, Some(64), true);
    assert!(router.row("20.0.0.0/8").is_some());
}

#[test]
fn the_table_is_bounded() {
    let mut router = Router::settled();
    let connected = router.rip.route_count();
    router.input(Input::Reconfigure(Tuning {
        max_routes: connected + 10,
        ..Default::default()
    }));
    router.hear(A2, &many(0, 12));
    assert_eq!(learnt(&router), 10);
    assert_eq!(router.refused(Reject::TableFull), 2);
    // What is there may still be offered by others, and change.
    router.hear(A3, &many(0, 10));
    router.hear(A2, &[rte("20.0.0.0/24", 16)]);
    assert_eq!(router.refused(Reject::TableFull), 2);
    assert_eq!(router.route("20.0.0.0/24"), Some((addr(A3), A, 2)));
}

#[test]
fn what_one_neighbour_offers_is_bounded() {
    let mut router = Router::with(InterfaceConfig {
        max_neighbor_routes: 10,
        ..Default::default()
    });
    router.hear(A2, &many(0, 12));
    assert_eq!(
        (learnt(&router), router.refused(Reject::TooManyRoutes)),
        (10, 2)
    );
    router.hear(A2, &many(0, 10));
    assert_eq!(
        router.refused(Reject::TooManyRoutes),
        2,
        "repeating is free"
    );
    // Others have their own, and what is withdrawn makes room.
    router.hear(A3, &many(10, 10));
    assert_eq!(learnt(&router), 20);
    let gone = rte("20.0.0.0/24", 16);
    router.hear(A2, &[gone]);
    router.hear(A2, &many(30, 1));
    assert_eq!(
        (learnt(&router), router.refused(Reject::TooManyRoutes)),
        (20, 2)
    );
    let rows = router.rip.neighbors(router.now);
    assert!(rows.iter().all(|row| row.routes == 10));
}

#[test]
fn counted_offers_are_those_that_there_are_whatever_happens() {
    let mut router = Router::settled();
    router.hear(A2, &many(0, 20));
    router.hear(A3, &many(0, 10));
    router.hear(B2, &many(5, 10));
    router.input(Input::InterfaceDown(B));
    router.input(Input::Clear(Clear::Neighbor(addr(A3))));
    router.advance(Duration::from_secs(170));
    router.hear(A2, &many(0, 5));
    router.advance(Duration::from_secs(20));
    let routes: Vec<usize> = router
        .rip
        .neighbors(router.now)
        .iter()
        .map(|row| row.routes)
        .collect();
    assert_eq!(routes, [5]);
    router.advance(Duration::from_secs(200));
    assert!(router.rip.neighbors(router.now).is_empty());
}

#[test]
fn neighbours_of_an_interface_are_as_many_as_configured() {
    let mut router = Router::with(InterfaceConfig {
        max_neighbors: 2,
        ..Default::default()
    });
    for host in 2..6 {
        router.hear(&format!("10.0.12.{host}"), &many(host, 1));
    }
    assert_eq!(learnt(&router), 2);
    assert_eq!(router.refused(Reject::TooManyNeighbors), 2);
}
