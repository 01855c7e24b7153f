use super::*;

const P: &str = "20.0.0.0/8";

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// P learnt on A, all told.
fn router() -> Router {
    let mut router = Router::settled();
    router.hear(A2, &[rte(P, 1)]);
    router.advance(secs(6));
    router.forget();
    router
}

fn setup_a(config: InterfaceConfig<Ipv4>) -> InterfaceSetup<Ipv4> {
    setup(A, "10.0.12.1/24", config)
}

#[test]
fn a_lost_link_takes_its_routes_along_at_once() {
    let mut router = router();
    router.input(Input::InterfaceDown(A));
    assert_eq!(router.routes, [RouteChange::Withdraw { prefix: net(P) }]);
    router.flush();
    assert_eq!(router.told(B, P), [16]);
    assert_eq!(router.told(B, "10.0.12.0/24"), [16]);
    assert!(!router.rip.has_interface(A));
    assert!(router.rip.neighbors(router.now).is_empty());
}

#[test]
fn a_link_that_comes_back_asks() {
    let mut router = router();
    router.input(Input::InterfaceDown(A));
    router.advance(secs(20));
    router.forget();
    router.up(setup_a(InterfaceConfig::default()));
    router.flush();
    assert_eq!(
        (router.sent[0].ifindex, router.sent[0].command),
        (A, Command::Request)
    );
    assert_eq!(router.row("10.0.12.0/24").unwrap().metric.get(), 1);
}

#[test]
fn the_same_setup_again_changes_nothing() {
    let mut router = router();
    router.up(setup_a(InterfaceConfig::default()));
    router.flush();
    assert!(router.sent.is_empty() && router.routes.is_empty());
    assert_eq!(router.rip.neighbors(router.now).len(), 1);
}

#[test]
fn a_new_cost_holds_for_what_was_learnt() {
    let mut router = router();
    router.up(setup_a(InterfaceConfig {
        cost: metric(4),
        ..Default::default()
    }));
    assert_eq!(router.route(P), Some((addr(A2), A, 5)));
    assert_eq!(router.row("10.0.12.0/24").unwrap().metric.get(), 4);
    router.up(setup_a(InterfaceConfig {
        cost: metric(15),
        ..Default::default()
    }));
    assert_eq!(router.route(P), None);
}

#[test]
fn a_removed_address_takes_its_neighbours_along() {
    let mut router = router();
    let mut two = setup_a(InterfaceConfig::default());
    two.addresses.push(Address {
        local: addr("10.0.14.1"),
        subnet: net("10.0.14.0/24"),
    });
    router.up(two.clone());
    router.datagram(A, "10.0.14.2", 520, &response(&[rte("21.0.0.0/8", 1)]));
    two.addresses.remove(0);
    router.up(two);
    assert_eq!(router.route(P), None);
    assert_eq!(router.route("21.0.0.0/8"), Some((addr("10.0.14.2"), A, 2)));
    assert_eq!(
        router.row("10.0.12.0/24").unwrap().origin,
        RouteOrigin::Garbage
    );
}

#[test]
fn a_network_on_two_interfaces_stays_while_one_has_it() {
    let mut router = Router::settled();
    router.up(setup(
        Ifindex(3),
        "10.0.12.9/24",
        InterfaceConfig::default(),
    ));
    router.input(Input::InterfaceDown(A));
    assert_eq!(
        router.row("10.0.12.0/24").unwrap().origin,
        RouteOrigin::Connected
    );
    router.input(Input::InterfaceDown(Ifindex(3)));
    assert_eq!(
        router.row("10.0.12.0/24").unwrap().origin,
        RouteOrigin::Garbage
    );
}

#[test]
fn an_interface_that_becomes_passive_says_goodbye() {
    let mut router = Router::settled();
    router.hear(B2, &[rte(P, 1)]);
    router.advance(secs(6));
    router.forget();
    router.up(setup_a(InterfaceConfig {
        passive: true,
        ..Default::default()
    }));
    router.advance(secs(1));
    assert_eq!(router.told(A, P), [16, 16]);
    router.forget();
    router.advance(secs(100));
    assert!(router.sent.iter().all(|sent| sent.ifindex == B));
}

#[test]
fn split_horizon_switched_on_takes_back_what_was_said() {
    let split_horizon = SplitHorizon::Off;
    let mut router = Router::with(InterfaceConfig {
        split_horizon,
        ..Default::default()
    });
    router.hear(A2, &[rte(P, 1)]);
    router.advance(secs(6));
    router.forget();
    let split_horizon = SplitHorizon::Simple;
    router.up(setup_a(InterfaceConfig {
        split_horizon,
        ..Default::default()
    }));
    router.advance(secs(100));
    assert_eq!(router.told(A, P), [16], "once");
}

#[test]
fn an_interface_configured_away_says_goodbye_and_goes() {
    let mut router = Router::settled();
    router.hear(A2, &[rte("21.0.0.0/8", 1)]);
    router.hear(B2, &[rte(P, 1)]);
    router.advance(secs(6));
    router.forget();
    router.input(Input::InterfaceRemove(A));
    assert!(router.rip.has_interface(A), "its socket is still needed");
    assert_eq!(router.route("21.0.0.0/8"), None);
    router.datagram(A, A2, 520, &response(&[rte("21.0.0.0/8", 1)]));
    assert_eq!(
        router.refused(Reject::NoInterface),
        1,
        "nothing is learnt any more"
    );
    router.flush();
    assert_eq!(router.told(A, P), [16, 16]);
    assert_eq!(router.told(B, "10.0.12.0/24"), [16]);
    assert!(!router.rip.has_interface(A));
}

#[test]
fn shutdown_takes_back_all_that_was_advertised() {
    let mut router = router();
    router.input(Input::Shutdown);
    assert!(!router.rip.is_drained());
    router.flush();
    assert!(router.rip.is_drained());
    assert_eq!(router.told(B, P), [16, 16], "twice: nobody repeats it");
    assert_eq!(router.told(B, "10.0.12.0/24"), [16, 16]);
    assert!(router.told(A, P).is_empty(), "it came from there");
    assert_eq!(router.rip.next_deadline(), None);
    router.forget();
    router.hear(A2, &[rte("21.0.0.0/8", 1)]);
    router.advance(secs(600));
    assert!(router.sent.is_empty() && router.routes.is_empty());
}

#[test]
fn shutdown_is_paced() {
    let mut router = Router::settled();
    let prefix = |n: u32| Ipv4Net::new(Ipv4Addr::from(0x1400_0000 + n * 256), 24).unwrap();
    for n in 0..10_000 {
        router.input(Input::Redistribute(Redistribute::Update {
            prefix: prefix(n),
            metric: Metric::ONE,
            tag: 0,
            next_hop: None,
        }));
    }
    router.advance(secs(10));
    router.forget();
    let start = router.now;
    router.input(Input::Shutdown);
    router.advance(secs(1));
    assert!(router.rip.is_drained());
    let on_b: Vec<_> = router
        .sent
        .iter()
        .filter(|sent| sent.ifindex == B)
        .collect();
    assert_eq!(on_b.len(), 802, "10,001 routes, twice");
    assert!(on_b[801].at - start < Duration::from_millis(820));
    assert!(
        on_b.iter()
            .flat_map(|sent| &sent.rtes)
            .all(|rte| !rte.metric.is_reachable())
    );
}

#[test]
fn an_engine_without_interfaces_rests() {
    let mut router = Router::bare();
    assert_eq!(router.rip.next_deadline(), None);
    router.input(Input::Deadline);
    router.input(Input::InterfaceDown(A));
    router.input(Input::InterfaceRemove(A));
    router.input(Input::Request(A));
    router.input(Input::Shutdown);
    assert!(router.rip.is_drained());
}

#[test]
fn the_rows_of_show_are_complete() {
    let mut router = router();
    router.datagram(
        A,
        A2,
        520,
        &raw(2, 2, &[entry(2, "20.0.0.0", "255.0.0.0", "0.0.0.0", 0)]),
    );
    let rows = router.rip.interfaces(router.now);
    assert_eq!(rows.len(), 2);
    assert_eq!(
        (rows[0].name.as_str(), rows[0].neighbors, rows[0].bad_routes),
        ("eth1", 1, 1)
    );
    assert_eq!((rows[0].received, rows[0].version), (2, 2));
    assert!(rows[0].sent >= 2 && rows[0].next_update.is_some());
    let rows = router.rip.neighbors(router.now);
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (rows[0].address, rows[0].interface.as_str()),
        (addr(A2), "eth1")
    );
    assert_eq!(
        (rows[0].routes, rows[0].packets, rows[0].bad_routes),
        (1, 2, 1)
    );
    let row = router.row(P).unwrap();
    assert_eq!(
        (row.origin, row.metric.get(), row.offers.len()),
        (RouteOrigin::Learnt, 2, 1)
    );
    assert_eq!(row.offers[0].age, secs(6));
    let errors = router.rip.errors();
    assert_eq!(errors.len(), Reject::ALL.len());
    let zero = errors
        .iter()
        .find(|row| row.reason == Reject::MetricZero)
        .unwrap();
    assert_eq!((zero.count, zero.last.unwrap().source), (1, addr(A2)));
}
