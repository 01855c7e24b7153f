use super::*;
use crate::rip::output::SLOT;

const P: &str = "20.0.0.0/8";

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn many(count: u32, value: u32) -> Vec<Rte<Ipv4>> {
    let prefix = |n| Ipv4Net::new(Ipv4Addr::from(0x1400_0000 + n * 256), 24).unwrap();
    let rte = |n| Rte {
        prefix: prefix(n),
        metric: metric(value),
        tag: 0,
        next_hop: None,
    };
    (0..count).map(rte).collect()
}

/// A neighbour on A tells `count` routes in full datagrams.
fn hear_many(router: &mut Router, count: u32, value: u32) {
    for chunk in many(count, value).chunks(25) {
        router.hear(A2, chunk);
    }
}

fn with_split_horizon(split_horizon: SplitHorizon) -> Router {
    Router::with(InterfaceConfig {
        split_horizon,
        ..Default::default()
    })
}

/// The responses to the group on an interface.
fn updates(router: &Router, ifindex: Ifindex) -> Vec<&Sent> {
    let ours = |sent: &&Sent| sent.ifindex == ifindex && sent.command == Command::Response;
    router.sent.iter().filter(ours).collect()
}

#[test]
fn an_interface_that_comes_up_asks_at_once_and_tells_all_within_a_second() {
    let mut router = Router::bare();
    router.up(setup(A, "10.0.12.1/24", InterfaceConfig::default()));
    router.up(setup(B, "10.0.13.1/24", InterfaceConfig::default()));
    router.flush();
    let asked = router
        .sent
        .iter()
        .filter(|sent| sent.command == Command::Request);
    assert_eq!(asked.map(|sent| sent.ifindex).collect::<Vec<_>>(), [A, B]);
    assert!(
        router
            .sent
            .iter()
            .all(|sent| (sent.destination, sent.port) == (Ipv4::GROUP, 520))
    );
    assert_eq!(router.sent[0].source, addr("10.0.12.1"));
    router.advance(secs(1));
    assert_eq!(router.told(A, "10.0.13.0/24")[0], 1);
    assert_eq!(router.told(B, "10.0.12.0/24")[0], 1);
    assert_eq!(
        router.told(A, "10.0.12.0/24"),
        [0; 0],
        "everybody there has that network"
    );
}

#[test]
fn an_interface_where_nobody_is_heard_keeps_asking() {
    let asked = |router: &Router| {
        let ours = |sent: &&Sent| sent.ifindex == A && sent.command == Command::Request;
        router.sent.iter().filter(ours).count()
    };
    let mut router = Router::bare();
    router.up(setup(A, "10.0.12.1/24", InterfaceConfig::default()));
    router.advance(secs(1));
    assert_eq!(asked(&router), 2, "again within a second");
    router.advance(secs(35));
    assert_eq!(asked(&router), 3, "and with each update");
    router.hear(A2, &[rte(P, 1)]);
    router.advance(secs(100));
    assert_eq!(asked(&router), 3);
}

#[test]
fn rfc2453_3_8_updates_come_every_30_s_with_jitter() {
    let mut router = Router::settled();
    router.advance(secs(30 * 200));
    let times: Vec<_> = updates(&router, A).iter().map(|sent| sent.at).collect();
    let gaps: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let (least, most) = (gaps.iter().min().unwrap(), gaps.iter().max().unwrap());
    assert!(*least >= Duration::from_millis(25_500), "{least:?}");
    assert!(*most <= Duration::from_millis(34_500), "{most:?}");
    assert!(*most - *least > secs(7), "spread over the whole range");
    assert!(
        (190..=210).contains(&times.len()),
        "{} on average",
        times.len()
    );
    let other: Vec<_> = updates(&router, B).iter().map(|sent| sent.at).collect();
    assert_ne!(times, other, "interfaces are not synchronised");
}

#[test]
fn split_horizon_poison_says_unreachable_where_it_was_learnt() {
    let mut router = with_split_horizon(SplitHorizon::Poison);
    router.hear(A2, &[rte(P, 1)]);
    router.advance(secs(40));
    assert!(!router.told(A, P).is_empty() && router.told(A, P).iter().all(|metric| *metric == 16));
    assert!(router.told(B, P).iter().all(|metric| *metric == 2));
}

#[test]
fn split_horizon_simple_says_nothing_where_it_was_learnt() {
    let mut router = with_split_horizon(SplitHorizon::Simple);
    router.hear(A2, &[rte(P, 1)]);
    router.hear(A2, &[rte(P, 2)]);
    router.advance(secs(40));
    assert!(router.told(A, P).is_empty());
    router.hear(A2, &[rte(P, 16)]);
    router.advance(secs(40));
    assert!(router.told(A, P).is_empty());
}

#[test]
fn split_horizon_off_says_everything_everywhere() {
    let mut router = with_split_horizon(SplitHorizon::Off);
    router.hear(A2, &[rte(P, 1)]);
    router.flush();
    assert_eq!(router.told(A, P), [2]);
    router.advance(secs(40));
    assert!(router.told(A, "10.0.12.0/24").contains(&1));
}

#[test]
fn a_route_that_moves_is_taken_back_where_it_is_now_learnt() {
    for split in [SplitHorizon::Simple, SplitHorizon::Poison] {
        let mut router = with_split_horizon(split);
        router.hear(B2, &[rte(P, 5)]);
        router.advance(secs(6));
        assert_eq!(router.told(A, P)[0], 6);
        router.forget();
        router.hear(A2, &[rte(P, 1)]);
        router.flush();
        assert_eq!(
            router.told(A, P),
            [16],
            "{split:?}: A's neighbours believe 6 otherwise"
        );
        assert_eq!(router.told(B, P), [2]);
    }
}

#[test]
fn a_triggered_update_holds_only_what_changed() {
    let mut router = Router::settled();
    router.hear(A2, &[rte(P, 1), rte("21.0.0.0/8", 1)]);
    router.advance(secs(6));
    router.forget();
    router.hear(A2, &[rte(P, 1), rte("21.0.0.0/8", 2)]);
    router.flush();
    let [update] = updates(&router, B)[..] else {
        panic!("{:?}", router.sent)
    };
    assert_eq!(update.rtes, [rte("21.0.0.0/8", 3)]);
    assert_eq!(update.at, router.now, "at once");
}

#[test]
fn a_burst_of_datagrams_makes_one_triggered_update() {
    let mut router = Router::settled();
    hear_many(&mut router, 60, 1);
    assert!(
        router.sent.is_empty(),
        "not before all that came has been taken in"
    );
    router.flush();
    let sizes: Vec<_> = updates(&router, B)
        .iter()
        .map(|sent| sent.rtes.len())
        .collect();
    assert_eq!(sizes, [25, 25, 10]);
}

#[test]
fn rfc2453_3_10_1_the_next_triggered_update_waits_1_to_5_s() {
    let mut waits = Vec::new();
    let mut router = Router::settled();
    for round in 0..60 {
        router.advance(secs(7));
        router.hear(A2, &[rte(P, 1 + round % 2)]);
        router.forget();
        let start = router.now;
        router.advance(Duration::from_millis(1));
        if router.told(B, P).is_empty() {
            continue; // a periodic update is close: it does the telling
        }
        router.hear(A2, &[rte(P, 5)]);
        router.forget();
        router.advance(secs(6));
        let second = updates(&router, B)[0];
        if second.rtes.len() == 1 {
            waits.push(second.at - start);
        }
    }
    assert!(waits.len() > 20, "{}", waits.len());
    assert!(
        waits.iter().all(|wait| (secs(1)..=secs(5)).contains(wait)),
        "{waits:?}"
    );
    assert!(
        waits
            .iter()
            .max()
            .unwrap()
            .saturating_sub(*waits.iter().min().unwrap())
            > secs(2)
    );
}

#[test]
fn rfc2453_3_10_1_a_periodic_update_that_is_due_suppresses_the_triggered_one() {
    let mut router = Router::settled();
    router.advance(secs(60));
    let next = router.rip.interfaces(router.now)[1].next_update.unwrap();
    router.advance(next.saturating_sub(Duration::from_millis(100)));
    router.hear(A2, &[rte(P, 1)]);
    router.flush();
    router.forget();
    // Held for at least a second, so the periodic update comes first.
    router.hear(A2, &[rte(P, 5)]);
    router.advance(secs(6));
    assert_eq!(router.told(B, P), [6]);
    assert!(
        updates(&router, B)[0].rtes.len() > 1,
        "in the periodic update"
    );
}

#[test]
fn changes_that_nobody_is_told_do_not_delay_those_that_are() {
    let mut router = Router::settled();
    // Learnt on A: nothing to say there, so the hold does not start there.
    router.hear(A2, &[rte(P, 1)]);
    router.flush();
    router.hear(B2, &[rte("21.0.0.0/8", 1)]);
    router.flush();
    assert_eq!(router.told(A, "21.0.0.0/8"), [2]);
}

#[test]
fn output_is_paced() {
    let mut router = Router::settled();
    hear_many(&mut router, 10_000, 1);
    let start = router.now;
    router.advance(Duration::from_millis(900));
    let sent: Vec<_> = updates(&router, B).iter().map(|sent| sent.at).collect();
    assert!(sent.len() >= 400);
    for (first, after) in sent.iter().zip(&sent[PACE..]) {
        assert!(
            *after - *first >= SLOT,
            "more than {PACE} datagrams within {SLOT:?}"
        );
    }
    assert_eq!(sent[0], start, "but it starts at once");
    assert!(
        sent[399] - start <= Duration::from_millis(380),
        "and keeps the pace"
    );
}

#[test]
fn a_withdrawal_goes_ahead_of_a_running_periodic_update() {
    let mut router = Router::settled();
    hear_many(&mut router, 20_000, 1);
    router.advance(secs(60));
    let next = router.rip.interfaces(router.now)[1].next_update.unwrap();
    router.advance(next);
    router.forget();
    router.advance(Duration::from_millis(50));
    assert!(
        updates(&router, B).len() >= 40,
        "the periodic update is being sent"
    );
    router.forget();
    router.hear(A2, &[rte("20.200.0.0/24", 15)]);
    router.hear(A2, &[rte("20.0.0.0/24", 16)]);
    router.advance(SLOT);
    assert_eq!(router.told(B, "20.0.0.0/24"), [16]);
    assert_eq!(updates(&router, B)[0].rtes, [rte("20.0.0.0/24", 16)]);
}

#[test]
fn a_large_periodic_update_tells_every_route_once() {
    let mut router = Router::settled();
    hear_many(&mut router, 10_000, 1);
    router.advance(secs(10));
    router.forget();
    let next = router.rip.interfaces(router.now)[1].next_update.unwrap();
    router.advance(next + secs(1));
    let told: Vec<_> = updates(&router, B)
        .iter()
        .flat_map(|sent| sent.rtes.clone())
        .collect();
    assert_eq!(told.len(), 10_001, "and the network of A");
    let distinct: std::collections::BTreeSet<_> = told.iter().map(|rte| rte.prefix).collect();
    assert_eq!(distinct.len(), told.len());
}

#[test]
fn the_mtu_is_respected() {
    let mut router = Router::settled();
    router.up(InterfaceSetup {
        mtu: 131,
        ..setup(B, "10.0.13.1/24", InterfaceConfig::default())
    });
    hear_many(&mut router, 10, 1);
    router.advance(secs(1));
    let sizes: Vec<_> = updates(&router, B)
        .iter()
        .map(|sent| sent.rtes.len())
        .collect();
    assert_eq!(sizes, [4, 4, 2]);
}

#[test]
fn unicast_neighbours_are_served_besides_the_group() {
    let neighbors = vec![addr(A3), addr("192.0.2.1")];
    let config = InterfaceConfig {
        neighbors: neighbors.clone(),
        ..Default::default()
    };
    let mut router = Router::with(config);
    router.hear(B2, &[rte(P, 1)]);
    router.flush();
    let to: Vec<_> = updates(&router, A)
        .iter()
        .map(|sent| sent.destination)
        .collect();
    assert_eq!(
        to,
        [Ipv4::GROUP, addr(A3)],
        "and nobody who is not on the link"
    );

    let mut router = Router::with(InterfaceConfig {
        passive: true,
        neighbors,
        ..Default::default()
    });
    router.hear(B2, &[rte(P, 1)]);
    router.flush();
    let to: Vec<_> = updates(&router, A)
        .iter()
        .map(|sent| sent.destination)
        .collect();
    assert_eq!(to, [addr(A3)]);
}

#[test]
fn each_subnet_of_an_interface_hears_a_router_of_its_own() {
    let mut router = Router::settled();
    let mut two = setup(A, "10.0.12.1/24", InterfaceConfig::default());
    for local in ["10.0.14.1/24", "10.0.14.7/24", "10.0.15.1/32"] {
        two.addresses.push(Address {
            local: net(local).addr(),
            subnet: net(local).trunc(),
        });
    }
    router.up(two);
    router.advance(secs(6));
    router.forget();
    router.hear(B2, &[rte(P, 1)]);
    router.flush();
    let from: Vec<_> = updates(&router, A).iter().map(|sent| sent.source).collect();
    assert_eq!(from, [addr("10.0.12.1"), addr("10.0.14.1")]);
    router.forget();
    router.advance(secs(40));
    for sent in updates(&router, A) {
        let (own, other) = match sent.source {
            source if source == addr("10.0.12.1") => ("10.0.12.0/24", "10.0.14.0/24"),
            _ => ("10.0.14.0/24", "10.0.12.0/24"),
        };
        assert!(sent.rtes.iter().all(|rte| rte.prefix != net(own)));
        assert!(
            sent.rtes.iter().any(|rte| rte.prefix == net(other)),
            "routed by us"
        );
        assert!(
            sent.rtes
                .iter()
                .any(|rte| rte.prefix == net("10.0.15.1/32"))
        );
    }
}

#[test]
fn a_network_s_metric_is_its_interface_s_cost() {
    let mut router = Router::with(InterfaceConfig {
        cost: metric(4),
        ..Default::default()
    });
    router.advance(secs(40));
    assert_eq!(router.told(B, "10.0.12.0/24")[0], 4);
    assert_eq!(router.told(A, "10.0.13.0/24")[0], 1);
}

#[test]
fn passive_networks_are_told_too() {
    let mut router = Router::with(InterfaceConfig {
        passive: true,
        ..Default::default()
    });
    router.advance(secs(40));
    assert_eq!(router.told(B, "10.0.12.0/24")[0], 1);
}

#[test]
fn rfc2453_4_4_a_next_hop_is_told_where_it_is_on_the_link() {
    let mut router = Router::settled();
    let route = |next_hop: &str| {
        Input::Redistribute(Redistribute::Update {
            prefix: net(P),
            metric: metric(2),
            tag: 0,
            next_hop: Some(addr(next_hop)),
        })
    };
    let hops = |router: &Router, ifindex| -> Vec<_> {
        updates(router, ifindex)
            .iter()
            .flat_map(|sent| &sent.rtes)
            .map(|rte| rte.next_hop)
            .collect()
    };
    router.input(route("10.0.12.77"));
    router.flush();
    assert_eq!(hops(&router, A), [Some(addr("10.0.12.77"))]);
    assert_eq!(hops(&router, B), [None]);
    router.advance(secs(6));
    router.forget();
    router.input(route("10.0.12.1"));
    router.flush();
    assert_eq!(hops(&router, A), [None], "ours goes without saying");
}

#[test]
fn a_route_is_taken_back_with_the_next_hop_it_was_told_with() {
    let next_hop = Some(addr("10.0.12.77"));
    let route = || {
        let (prefix, metric) = (net(P), metric(2));
        Input::Redistribute(Redistribute::Update {
            prefix,
            metric,
            tag: 0,
            next_hop,
        })
    };
    let withdraw = || Input::Redistribute(Redistribute::Withdraw { prefix: net(P) });
    let told = |router: &Router, ifindex| -> Vec<_> {
        let rtes = updates(router, ifindex)
            .into_iter()
            .flat_map(|sent| &sent.rtes);
        let rtes = rtes.filter(|rte| rte.prefix == net(P));
        rtes.map(|rte| (rte.metric.get(), rte.next_hop)).collect()
    };
    // Gone; learnt elsewhere instead; learnt there instead; and at shutdown.
    let after = |change: &dyn Fn(&mut Router)| {
        let mut router = Router::settled();
        router.input(route());
        router.advance(secs(6));
        router.forget();
        change(&mut router);
        router.flush();
        (told(&router, A), told(&router, B))
    };
    let gone = after(&|router| router.input(withdraw()));
    assert_eq!(gone, (vec![(16, next_hop)], vec![(16, None)]));
    let on_b = after(&|router| {
        router.hear(B2, &[rte(P, 4)]);
        router.input(withdraw());
    });
    assert_eq!(on_b, (vec![(5, None)], vec![(16, None)]));
    let on_a = after(&|router| {
        router.hear(A2, &[rte(P, 4)]);
        router.input(withdraw());
    });
    assert_eq!(on_a, (vec![(16, next_hop)], vec![(5, None)]));
    let stopped = after(&|router| router.input(Input::Shutdown));
    assert_eq!(stopped, (vec![(16, next_hop); 2], vec![(16, None); 2]));
}

#[test]
fn an_operator_can_ask() {
    let mut router = Router::settled();
    router.input(Input::Request(B));
    router.flush();
    let [asked] = &router.sent[..] else {
        panic!("{:?}", router.sent)
    };
    assert_eq!((asked.ifindex, asked.command), (B, Command::Request));
}

/// A periodic update of `count` routes on [`A`]: how long it takes, and the most
/// datagrams within any 20 ms.
fn paced(pace: usize, count: u32) -> (Duration, usize, InterfaceRow<Ipv4>) {
    let mut router = Router::with(InterfaceConfig {
        pace,
        ..Default::default()
    });
    for rtes in many(count, 1).chunks(25) {
        router.datagram(B, B2, 520, &response(rtes));
    }
    router.advance(secs(60));
    router.forget();
    router.advance(secs(70));
    let sent = router.sent.iter().filter(|sent| sent.ifindex == A);
    let times: Vec<Instant> = sent.map(|sent| sent.at).collect();
    let within = |from: Instant| {
        let slot = times
            .iter()
            .filter(|at| **at >= from && at.since(from) < SLOT);
        slot.count()
    };
    let most = times.iter().map(|at| within(*at)).max().unwrap();
    let first = times[0];
    let update = times.iter().take_while(|at| at.since(first) < secs(20));
    let took = update.last().unwrap().since(first);
    (took, most, router.rip.interfaces(router.now).remove(0))
}

#[test]
fn no_more_datagrams_go_out_in_20_ms_than_the_pace() {
    let (took, most, row) = paced(20, 10_000);
    assert_eq!(most, 20);
    assert!(took <= row.full_update && row.full_update <= took + SLOT);
    assert!(row.full_update < secs(1) && !row.overcommitted, "{row:?}");
    let (took, most, row) = paced(2, 10_000);
    assert_eq!(most, 2);
    assert!(took <= row.full_update && row.full_update <= took + SLOT);
}

#[test]
fn a_table_that_takes_more_than_half_the_time_between_updates_is_said_so() {
    let (_, _, row) = paced(1, 18_000);
    assert!(row.full_update < secs(15) && !row.overcommitted, "{row:?}");
    let (_, _, row) = paced(1, 19_000);
    assert!(row.full_update > secs(15) && row.overcommitted, "{row:?}");
    // The default carries far more than RIP was ever made for.
    let (_, _, row) = paced(PACE, 19_000);
    assert!(row.full_update < secs(1), "{row:?}");
}
