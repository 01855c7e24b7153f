use super::*;

fn table_request() -> Vec<u8> {
    raw(1, 2, &[Ipv4::table_request()])
}

/// A router with a connected network, a learnt and a redistributed route.
fn router() -> Router {
    let mut router = Router::settled();
    router.hear(A2, &[rte("20.0.0.0/8", 1)]);
    router.input(Input::Redistribute(Redistribute::Update {
        prefix: net("30.0.0.0/8"),
        metric: metric(3),
        tag: 7,
        next_hop: None,
    }));
    router.advance(Duration::from_secs(6));
    router.forget();
    router
}

fn table(sent: &Sent) -> Vec<(String, u8)> {
    sent.rtes
        .iter()
        .map(|rte| (rte.prefix.to_string(), rte.metric.get()))
        .collect()
}

#[test]
fn rfc2453_3_9_1_a_router_gets_the_table_with_split_horizon() {
    let mut router = router();
    router.datagram(A, A2, 520, &table_request());
    router.flush();
    let [answer] = &router.sent[..] else {
        panic!("{:?}", router.sent)
    };
    assert_eq!(
        (answer.source, answer.destination),
        (addr("10.0.12.1"), addr(A2))
    );
    assert_eq!((answer.port, answer.command), (520, Command::Response));
    let expected = [("10.0.13.0/24", 1), ("20.0.0.0/8", 16), ("30.0.0.0/8", 3)];
    assert_eq!(
        table(answer),
        expected.map(|(prefix, metric)| (prefix.to_owned(), metric))
    );
}

#[test]
fn a_tool_gets_the_whole_table_at_its_own_port() {
    let mut router = router();
    router.datagram(A, A2, 4711, &table_request());
    router.flush();
    let [answer] = &router.sent[..] else {
        panic!("{:?}", router.sent)
    };
    assert_eq!((answer.destination, answer.port), (addr(A2), 4711));
    let expected = [
        ("10.0.12.0/24", 1),
        ("10.0.13.0/24", 1),
        ("20.0.0.0/8", 2),
        ("30.0.0.0/8", 3),
    ];
    assert_eq!(
        table(answer),
        expected.map(|(prefix, metric)| (prefix.to_owned(), metric))
    );
}

#[test]
fn rfc2453_3_9_1_single_destinations_are_answered_without_split_horizon() {
    let mut router = router();
    let ask = |address, mask| entry(2, address, mask, "0.0.0.0", 9);
    let entries = [
        ask("20.0.0.0", "255.0.0.0"),
        ask("203.0.113.0", "255.255.255.0"),
        ask("30.0.0.0", "255.0.0.0"),
    ];
    router.datagram(A, A2, 520, &raw(1, 2, &entries));
    let [answer] = &router.sent[..] else {
        panic!("{:?}", router.sent)
    };
    let expected = [("20.0.0.0/8", 2), ("203.0.113.0/24", 16), ("30.0.0.0/8", 3)];
    assert_eq!(
        table(answer),
        expected.map(|(prefix, metric)| (prefix.to_owned(), metric))
    );
}

#[test]
fn the_default_route_can_be_asked_for() {
    let mut router = router();
    router.datagram(
        A,
        A2,
        520,
        &raw(1, 2, &[entry(2, "0.0.0.0", "0.0.0.0", "0.0.0.0", 16)]),
    );
    assert_eq!(table(&router.sent[0]), [("0.0.0.0/0".to_owned(), 16)]);
}

#[test]
fn rfc2453_3_9_1_an_empty_request_is_not_answered() {
    let mut router = router();
    router.datagram(A, A2, 520, &raw(1, 2, &[]));
    router.datagram(A, A2, 520, &table_request()[..23]);
    router.flush();
    assert!(router.sent.is_empty());
    assert_eq!(router.refused(Reject::NoEntries), 1);
    assert_eq!(router.refused(Reject::BadLength), 1);
}

#[test]
fn requests_that_make_no_sense_are_not_answered() {
    let mut router = router();
    let all = Ipv4::table_request();
    router.datagram(A, A2, 520, &raw(1, 2, &[all, all]));
    router.datagram(
        A,
        A2,
        520,
        &raw(1, 2, &[entry(0, "0.0.0.0", "0.0.0.0", "0.0.0.0", 1)]),
    );
    router.flush();
    assert!(router.sent.is_empty());
    assert_eq!(router.refused(Reject::BadRequest), 2);
}

#[test]
fn versions_0_and_1_are_refused_and_3_is_answered() {
    let mut router = router();
    for version in [0, 1, 3] {
        router.datagram(A, A2, 520, &raw(1, version, &[Ipv4::table_request()]));
    }
    router.flush();
    assert_eq!(router.sent.len(), 1);
    assert_eq!(router.refused(Reject::VersionZero), 1);
    assert_eq!(router.refused(Reject::VersionRefused), 1);
}

#[test]
fn passive_interfaces_answer_only_their_neighbours() {
    let neighbors = vec![addr(A3)];
    let mut router = Router::with(InterfaceConfig {
        passive: true,
        neighbors,
        ..Default::default()
    });
    router.datagram(A, A2, 520, &table_request());
    router.flush();
    assert!(router.sent.is_empty());
    assert_eq!(router.refused(Reject::PassiveInterface), 1);
    router.datagram(A, A3, 520, &table_request());
    router.flush();
    assert_eq!(router.sent.len(), 1);
}

#[test]
fn strangers_and_ourselves_are_not_answered() {
    let mut router = router();
    router.datagram(A, "192.0.2.1", 520, &table_request());
    router.datagram(A, "10.0.12.1", 520, &table_request());
    router.flush();
    assert!(router.sent.is_empty());
    assert_eq!(router.refused(Reject::NotOnLink), 1);
    assert_eq!(router.refused(Reject::OwnPacket), 1);
}

#[test]
fn a_flood_of_requests_gets_few_answers() {
    let mut router = router();
    let mut asked = 0;
    for _ in 0..10 {
        for _ in 0..1000 {
            router.datagram(
                A,
                A2,
                520,
                &raw(1, 2, &[entry(2, "20.0.0.0", "255.0.0.0", "0.0.0.0", 1)]),
            );
            asked += 1;
        }
        router.advance(Duration::from_secs(1));
    }
    let answers = router
        .sent
        .iter()
        .filter(|sent| sent.destination == addr(A2))
        .count();
    assert_eq!(answers, 40, "four a second");
    assert_eq!(router.refused(Reject::RequestLimit), asked - 40);
}

#[test]
fn a_flood_of_made_up_sources_gets_few_answers() {
    let mut router = router();
    for host in 2..=254 {
        router.datagram(A, &format!("10.0.12.{host}"), 520, &table_request());
    }
    router.advance(Duration::from_secs(2));
    let answers = router
        .sent
        .iter()
        .filter(|sent| sent.destination != Ipv4::GROUP)
        .count();
    assert_eq!(answers, 64);
    assert_eq!(router.refused(Reject::RequestLimit), 253 - 64);
}

#[test]
fn asking_makes_no_neighbour() {
    let mut router = Router::settled();
    router.datagram(A, A2, 520, &table_request());
    assert!(router.rip.neighbors(router.now).is_empty());
}
