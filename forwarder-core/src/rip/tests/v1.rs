//! RIPv1 (RFC 1058), alone and beside RIPv2 (RFC 2453 §4).

use super::*;

/// An interface that speaks and hears these versions.
fn speaking(send_version: SendVersion, receive_version: ReceiveVersion) -> InterfaceConfig<Ipv4> {
    InterfaceConfig {
        send_version,
        receive_version,
        ..Default::default()
    }
}

/// RIPv1 on [`A`], RIPv2 on [`B`].
fn router() -> Router {
    Router::with(speaking(SendVersion::V1, ReceiveVersion::V1))
}

/// An entry of RIPv1.
fn v1(address: &str, metric: u32) -> [u8; ENTRY] {
    entry(2, address, "0.0.0.0", "0.0.0.0", metric)
}

/// The prefixes learnt from a RIPv1 response of a neighbour on [`A`].
fn learnt(entries: &[[u8; ENTRY]]) -> Vec<String> {
    let mut router = router();
    router.datagram(A, A2, 520, &raw(2, 1, entries));
    let rows = router.rip.routes(router.now);
    let learnt = rows.filter(|row| !row.offers.is_empty());
    learnt.map(|row| row.prefix.to_string()).collect()
}

fn redistribute(router: &mut Router, prefix: &str, value: u32) {
    router.input(Input::Redistribute(Redistribute::Update {
        prefix: net(prefix),
        metric: metric(value),
        tag: 7,
        next_hop: None,
    }));
}

/// What a periodic update says on an interface.
fn update(router: &mut Router, ifindex: Ifindex) -> Vec<(String, u8)> {
    router.advance(Duration::from_secs(6));
    router.forget();
    router.advance(Duration::from_secs(35));
    let periodic = router.sent.iter().filter(|sent| sent.ifindex == ifindex);
    let first = periodic.map(|sent| sent.at).min().unwrap();
    let sent = router.sent.iter();
    let now = sent.filter(|sent| sent.ifindex == ifindex && sent.at == first);
    now.flat_map(|sent| &sent.rtes)
        .map(|rte| (rte.prefix.to_string(), rte.metric.get()))
        .collect()
}

#[test]
fn rip_case_37_an_address_is_a_network_a_subnet_or_a_host() {
    // The link is 10.0.12.0/24.
    for (address, prefix) in [
        ("0.0.0.0", "0.0.0.0/0"),
        ("21.0.0.0", "21.0.0.0/8"),
        ("172.16.0.0", "172.16.0.0/16"),
        ("192.168.1.0", "192.168.1.0/24"),
        ("10.0.13.0", "10.0.13.0/24"),
        ("10.0.14.7", "10.0.14.7/32"),
        ("10.0.0.0", "10.0.0.0/8"),
        ("22.0.1.0", "22.0.1.0/32"),
        ("192.168.1.9", "192.168.1.9/32"),
    ] {
        assert_eq!(learnt(&[v1(address, 1)]), [prefix], "{address}");
    }
}

#[test]
fn rip_case_37_fields_that_must_be_zero_cost_the_entry() {
    let mut tagged = v1("21.0.0.0", 1);
    tagged[3] = 5;
    let masked = entry(2, "22.0.0.0", "255.0.0.0", "0.0.0.0", 1);
    let hop = entry(2, "23.0.0.0", "0.0.0.0", A3, 1);
    let good = v1("24.0.0.0", 1);
    assert_eq!(learnt(&[tagged, masked, hop, good]), ["24.0.0.0/8"]);
    let mut router = router();
    router.datagram(A, A2, 520, &raw(2, 1, &[tagged, masked, hop, good]));
    assert_eq!(router.refused(Reject::ReservedField), 3);
}

#[test]
fn rip_case_18_a_header_that_is_not_zero_costs_a_version_1_packet() {
    let mut router = router();
    let mut packet = raw(2, 1, &[v1("21.0.0.0", 1)]);
    packet[2] = 1;
    router.datagram(A, A2, 520, &packet);
    assert_eq!(router.refused(Reject::ReservedHeader), 1);
    assert_eq!(router.row("21.0.0.0/8"), None);
    let mut router = Router::settled();
    packet = response(&[rte("21.0.0.0/8", 1)]);
    packet[2] = 1;
    router.hear(A2, &[]);
    router.datagram(A, A2, 520, &packet);
    assert!(router.row("21.0.0.0/8").is_some(), "version 2 ignores it");
}

#[test]
fn rfc1058_nobody_routes_to_martians_or_beyond_16() {
    let bad = [
        v1("127.0.0.1", 1),
        v1("224.0.0.9", 1),
        v1("240.0.0.1", 1),
        v1("255.255.255.255", 1),
        v1("0.1.0.0", 1),
        v1("21.0.0.0", 0),
        v1("21.0.0.0", 17),
        entry(9, "21.0.0.0", "0.0.0.0", "0.0.0.0", 1),
    ];
    assert!(learnt(&bad).is_empty());
}

#[test]
fn rip_case_38_a_subnetted_link_hears_its_own_subnets_and_other_networks_as_a_whole() {
    let mut router = router();
    for (prefix, value) in [
        ("0.0.0.0/0", 5),
        ("10.0.0.0/24", 1),
        ("10.0.14.0/24", 2),
        ("10.0.15.7/32", 3),
        ("10.0.16.0/20", 1),
        ("10.0.32.0/25", 1),
        ("20.1.0.0/16", 4),
        ("20.2.0.0/16", 2),
        ("20.2.3.4/32", 6),
        ("21.0.0.0/8", 3),
        ("21.1.0.0/16", 9),
        ("192.168.0.0/16", 1),
        ("192.168.4.0/22", 1),
        ("192.168.9.0/24", 8),
    ] {
        redistribute(&mut router, prefix, value);
    }
    let told = update(&mut router, A);
    let told: Vec<(&str, u8)> = told.iter().map(|(p, m)| (p.as_str(), *m)).collect();
    assert_eq!(
        told,
        [
            ("0.0.0.0/0", 5),
            ("10.0.13.0/24", 1),
            ("10.0.14.0/24", 2),
            ("10.0.15.7/32", 3),
            ("20.0.0.0/8", 2),
            ("21.0.0.0/8", 3),
            ("192.168.9.0/24", 8),
        ]
    );
    for sent in router.sent.iter().filter(|sent| sent.ifindex == A) {
        assert_eq!((sent.version, sent.destination), (1, addr("10.0.12.255")));
        for bytes in Packet::parse(&sent.payload, 25).unwrap().entries() {
            assert!(bytes[2..4].iter().chain(&bytes[8..16]).all(|b| *b == 0));
        }
    }
}

#[test]
fn rip_case_38_a_foreign_link_hears_of_a_network_once() {
    let mut router = Router::bare();
    let config = speaking(SendVersion::V1, ReceiveVersion::V1);
    router.up(setup(A, "192.168.1.1/24", config));
    for part in 0..100 {
        redistribute(&mut router, &format!("10.0.{part}.0/24"), 3 + part % 5);
    }
    redistribute(&mut router, "10.9.0.0/16", 2);
    assert_eq!(update(&mut router, A), [("10.0.0.0/8".to_owned(), 2)]);
    // The nearest part goes, the network does not.
    router.forget();
    let prefix = net("10.9.0.0/16");
    router.input(Input::Redistribute(Redistribute::Withdraw { prefix }));
    router.advance(Duration::from_secs(6));
    assert_eq!(router.told(A, "10.0.0.0/8"), [3]);
    router.forget();
    for part in 0..100 {
        let prefix = net(&format!("10.0.{part}.0/24"));
        router.input(Input::Redistribute(Redistribute::Withdraw { prefix }));
    }
    router.advance(Duration::from_secs(6));
    assert_eq!(router.told(A, "10.0.0.0/8").last(), Some(&16));
    let packets = router.sent.iter().filter(|sent| sent.ifindex == A).count();
    assert!(packets <= 2, "a hundred changes are {packets} packets");
}

#[test]
fn rip_case_38_split_horizon_holds_for_a_network_as_for_its_parts() {
    let mut router = Router::bare();
    let config = speaking(SendVersion::Compatible, ReceiveVersion::Both);
    router.up(setup(A, "192.168.1.1/24", config));
    router.up(setup(B, "10.0.13.1/24", InterfaceConfig::default()));
    router.datagram(A, "192.168.1.2", 520, &response(&[rte("20.1.0.0/16", 1)]));
    let of = |told: Vec<(String, u8)>| told.into_iter().find(|(p, _)| p == "20.0.0.0/8");
    assert_eq!(of(update(&mut router, A)).unwrap().1, 16);
    router.datagram(B, B2, 520, &response(&[rte("20.2.0.0/16", 6)]));
    assert_eq!(of(update(&mut router, A)).unwrap().1, 7);
}

#[test]
fn rip_case_03_a_version_1_request_is_answered_in_version_1_where_that_is_sent() {
    let request = raw(1, 1, &[Ipv4::table_request()]);
    for (send, receive, answered) in [
        (SendVersion::V1, ReceiveVersion::V1, true),
        (SendVersion::Compatible, ReceiveVersion::Both, true),
        (SendVersion::V2, ReceiveVersion::Both, false),
        (SendVersion::V2, ReceiveVersion::V2, false),
    ] {
        let mut router = Router::with(speaking(send, receive));
        router.datagram(A, A2, 520, &request);
        router.flush();
        let answers = router.sent.iter().filter(|s| s.destination == addr(A2));
        let versions: Vec<u8> = answers.map(|sent| sent.version).collect();
        assert_eq!(versions, vec![1; usize::from(answered)], "{send:?}");
        assert_eq!(router.refused(Reject::VersionRefused), u64::from(!answered));
    }
}

#[test]
fn rfc1058_single_destinations_are_answered_in_version_1() {
    let mut router = router();
    redistribute(&mut router, "10.0.14.0/24", 4);
    router.forget();
    router.datagram(
        A,
        A2,
        520,
        &raw(1, 1, &[v1("10.0.14.0", 0), v1("21.0.0.0", 0)]),
    );
    let answer = &router.sent[0];
    assert_eq!((answer.version, answer.rtes.len()), (1, 2));
    let metrics: Vec<u8> = answer.rtes.iter().map(|rte| rte.metric.get()).collect();
    assert_eq!(metrics, [4, 16]);
}

#[test]
fn each_interface_accepts_what_it_is_configured_to() {
    let one = raw(2, 1, &[v1("21.0.0.0", 1)]);
    let two = response(&[rte("22.0.0.0/8", 1)]);
    for (receive, accepted) in [
        (ReceiveVersion::V1, [true, false]),
        (ReceiveVersion::V2, [false, true]),
        (ReceiveVersion::Both, [true, true]),
    ] {
        let mut router = Router::with(speaking(SendVersion::V2, receive));
        router.datagram(A, A2, 520, &one);
        router.datagram(A, A2, 520, &two);
        let there = ["21.0.0.0/8", "22.0.0.0/8"].map(|prefix| router.row(prefix).is_some());
        assert_eq!(there, accepted, "{receive:?}");
    }
}

#[test]
fn rfc2453_4_1_compatible_is_version_2_by_broadcast() {
    let mut router = Router::with(speaking(SendVersion::Compatible, ReceiveVersion::Both));
    redistribute(&mut router, "10.0.14.0/24", 4);
    redistribute(&mut router, "10.0.16.0/20", 4);
    let told = update(&mut router, A);
    let kept = ["10.0.13.0/24", "10.0.14.0/24"];
    assert!(told.iter().map(|(prefix, _)| prefix).eq(kept), "{told:?}");
    let update = |sent: &&Sent| sent.ifindex == A && !sent.rtes.is_empty();
    let sent = router.sent.iter().find(update).unwrap();
    assert_eq!((sent.version, sent.destination), (2, addr("10.0.12.255")));
    assert_eq!(sent.rtes[1].tag, 7, "the tag is kept");
}

#[test]
fn a_broadcast_of_ours_that_comes_back_is_nobody_s() {
    let mut router = router();
    router.datagram(A, "10.0.12.1", 520, &raw(2, 1, &[v1("21.0.0.0", 1)]));
    assert_eq!(router.row("21.0.0.0/8"), None);
    assert_eq!(router.refused(Reject::OwnPacket), 0, "nor a mistake");
    assert!(router.events.is_empty());
    // Elsewhere it is one.
    router.datagram(B, "10.0.12.1", 520, &raw(2, 1, &[v1("21.0.0.0", 1)]));
    assert_eq!(router.refused(Reject::OwnPacket), 1);
}

#[test]
fn a_link_of_two_is_spoken_to_at_its_other_end() {
    for (local, subnet, other) in [
        ("10.0.12.1", "10.0.12.0/31", Some("10.0.12.0")),
        ("10.0.12.1", "10.0.99.2/32", Some("10.0.99.2")),
        ("10.0.12.1", "10.0.12.1/32", None),
        ("10.0.12.1", "10.0.12.0/30", Some("10.0.12.3")),
    ] {
        assert_eq!(Ipv4::broadcast(addr(local), &net(subnet)), other.map(addr));
    }
}

#[test]
fn a_change_of_the_version_says_goodbye_in_the_old_one() {
    let mut router = router();
    redistribute(&mut router, "21.0.0.0/8", 3);
    router.advance(Duration::from_secs(6));
    router.forget();
    router.up(setup(A, "10.0.12.1/24", InterfaceConfig::default()));
    router.flush();
    let told = |version| {
        let sent = router
            .sent
            .iter()
            .filter(move |sent| sent.version == version);
        let rtes = sent.flat_map(|sent| &sent.rtes);
        rtes.filter(|rte| rte.prefix == net("21.0.0.0/8"))
            .map(|rte| rte.metric.get())
            .collect::<Vec<_>>()
    };
    assert_eq!((told(1), told(2)), (vec![16, 16], vec![3]));
}
