//! The conditions under which the manual page of routed(8) has a route updated, and
//! whom it tells.

use super::*;

const P: &str = "20.0.0.0/8";

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn via(router: &Router) -> Option<(Ipv4Addr, u8)> {
    router.route(P).map(|(via, _, metric)| (via, metric))
}

#[test]
fn seed_1_a_route_to_what_is_not_known_is_taken_if_it_is_finite() {
    let mut router = Router::settled();
    for infinite in [16, 15] {
        router.hear(A2, &[rte(P, infinite)]);
        assert_eq!(router.row(P), None, "{infinite} and the link's cost");
    }
    router.hear(A2, &[rte(P, 14)]);
    assert_eq!(via(&router), Some((addr(A2), 15)));
}

#[test]
fn seed_2_an_update_of_the_router_that_the_entry_is_from_is_applied() {
    let mut router = Router::settled();
    router.hear(A2, &[rte(P, 2)]);
    for better_or_worse in [5, 1, 3] {
        router.hear(A2, &[rte(P, better_or_worse)]);
        let metric = better_or_worse as u8 + 1;
        assert_eq!(via(&router), Some((addr(A2), metric)));
    }
    router.hear(A2, &[rte(P, 16)]);
    assert_eq!(via(&router), None);
}

#[test]
fn seed_3_after_90_s_a_route_at_least_as_good_is_taken() {
    for (metric, after, taken) in [(3, 90, true), (3, 89, false), (4, 90, false)] {
        let mut router = Router::settled();
        router.hear(A2, &[rte(P, 3)]);
        router.advance(secs(after));
        router.hear(B2, &[rte(P, metric)]);
        let expected = if taken { B2 } else { A2 };
        assert_eq!(via(&router), Some((addr(expected), 4)), "{metric} {after}");
    }
}

#[test]
fn seed_4_a_strictly_shorter_route_is_taken() {
    let mut router = Router::settled();
    router.hear(A2, &[rte(P, 3)]);
    router.hear(B2, &[rte(P, 3)]);
    assert_eq!(via(&router), Some((addr(A2), 4)), "not an equal one");
    router.hear(B2, &[rte(P, 2)]);
    assert_eq!(via(&router), Some((addr(B2), 3)));
}

#[test]
fn seed_a_change_is_told_to_all_directly_connected_networks() {
    let mut router = Router::settled();
    let mut two = setup(Ifindex(3), "10.1.0.1/24", InterfaceConfig::default());
    two.addresses.push(Address {
        local: addr("10.2.0.1"),
        subnet: net("10.2.0.0/24"),
    });
    router.up(two);
    router.advance(secs(6));
    router.forget();
    router.hear(A2, &[rte(P, 1)]);
    router.flush();
    let told = router.sent.iter().filter(|sent| {
        sent.rtes
            .iter()
            .any(|rte| rte.prefix == net(P) && rte.metric.get() == 2)
    });
    let sources: Vec<Ipv4Addr> = told.map(|sent| sent.source).collect();
    assert_eq!(
        sources,
        ["10.0.13.1", "10.1.0.1", "10.2.0.1"].map(addr),
        "but to that it came from"
    );
}

#[test]
fn rip_case_49_what_is_lost_with_a_link_is_told_on_all_others_at_once() {
    let mut router = Router::settled();
    router.hear(A2, &[rte(P, 1)]);
    router.advance(secs(6));
    router.forget();
    router.input(Input::InterfaceDown(A));
    router.flush();
    assert_eq!(router.told(B, P), [16]);
    assert_eq!(router.told(B, "10.0.12.0/24"), [16], "and its own network");
    assert_eq!(router.sent[0].at, router.now);
    router.forget();
    router.up(setup(A, "10.0.12.1/24", InterfaceConfig::default()));
    router.flush();
    let asked = router.sent.iter().filter(|s| s.command == Command::Request);
    assert!(asked.map(|sent| sent.ifindex).eq([A]));
}

#[test]
fn sixty_five_interfaces_are_served() {
    const LAST: u32 = 65;
    let mut router = Router::bare();
    for n in 1..=LAST {
        let config = InterfaceConfig::default();
        router.up(setup(Ifindex(n), &format!("10.1.{n}.1/24"), config));
    }
    router.advance(secs(6));
    for n in 1..=LAST {
        let told = router.sent.iter().filter(|s| s.ifindex == Ifindex(n));
        let rtes: std::collections::BTreeSet<_> =
            told.flat_map(|s| &s.rtes).map(|rte| rte.prefix).collect();
        assert_eq!(rtes.len(), 64, "interface {n} hears of the other 64");
    }
    router.forget();
    router.datagram(Ifindex(LAST), "10.1.65.2", 520, &response(&[rte(P, 1)]));
    router.flush();
    let told = |router: &Router, value| {
        let sent = router.sent.iter();
        let said = sent.filter(|s| {
            s.rtes
                .iter()
                .any(|r| r.prefix == net(P) && r.metric == value)
        });
        said.map(|sent| sent.ifindex.0).collect::<Vec<_>>()
    };
    assert!(told(&router, metric(2)).into_iter().eq(1..LAST));
    router.advance(secs(6));
    router.forget();
    router.input(Input::InterfaceDown(Ifindex(LAST)));
    router.flush();
    assert!(told(&router, metric(16)).into_iter().eq(1..LAST));
}
