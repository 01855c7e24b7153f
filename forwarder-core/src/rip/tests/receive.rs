use super::*;

/// A router that hears `payload` from `source`:`port` on [`A`].
fn after(source: &str, port: u16, payload: &[u8]) -> Router {
    let mut router = Router::settled();
    router.datagram(A, source, port, payload);
    router
}

/// `payload` costs the packet for `reason`, and nothing is learnt.
fn assert_packet_refused(source: &str, port: u16, payload: &[u8], reason: Reject) -> Router {
    let router = after(source, port, payload);
    assert_eq!(router.refused(reason), 1, "{reason}");
    assert_eq!(reason.scope(), Scope::Packet);
    assert!(router.routes.is_empty());
    assert_eq!(router.rip.interfaces(router.now)[0].bad_packets, 1);
    router
}

/// One bad entry between two good ones.
fn assert_entry_refused(bad: [u8; ENTRY], reason: Reject) -> Router {
    let good = |prefix| Ipv4::encode(&rte(prefix, 1));
    let router = after(
        A2,
        520,
        &raw(2, 2, &[good("20.1.0.0/16"), bad, good("20.2.0.0/16")]),
    );
    assert_eq!(router.refused(reason), 1, "{reason}");
    assert_eq!(router.routes.len(), 2, "the others are used");
    assert_eq!(router.rip.neighbors(router.now)[0].bad_routes, 1);
    assert_eq!(router.rip.neighbors(router.now)[0].bad_packets, 0);
    router
}

fn good() -> Vec<u8> {
    response(&[rte("20.0.0.0/8", 1)])
}

#[test]
fn rfc2453_3_9_2_a_response_comes_from_the_rip_port() {
    let router = assert_packet_refused(A2, 1024, &good(), Reject::BadSourcePort);
    assert!(router.rip.neighbors(router.now).is_empty());
}

#[test]
fn rfc2453_3_9_2_a_response_comes_from_the_link_it_arrived_on() {
    assert_packet_refused("192.168.2.1", 520, &good(), Reject::NotOnLink);
    // The subnet of another interface than the one of arrival.
    assert_packet_refused(B2, 520, &good(), Reject::NotOnLink);
    // No router has the network's or the broadcast address.
    assert_packet_refused("10.0.12.0", 520, &good(), Reject::NotOnLink);
    assert_packet_refused("10.0.12.255", 520, &good(), Reject::NotOnLink);
}

#[test]
fn rfc2453_3_9_2_our_own_packets_are_ignored() {
    let router = assert_packet_refused("10.0.12.1", 520, &good(), Reject::OwnPacket);
    assert!(router.rip.neighbors(router.now).is_empty());
    // Two of our interfaces may be on one link.
    assert_packet_refused("10.0.13.1", 520, &good(), Reject::OwnPacket);
}

#[test]
fn packets_on_interfaces_without_rip_are_ignored() {
    let mut router = Router::settled();
    router.datagram(Ifindex(9), "10.0.99.2", 520, &good());
    assert_eq!(router.refused(Reject::NoInterface), 1);
    assert!(router.routes.is_empty());
}

#[test]
fn malformed_packets_are_dropped_whole() {
    let entry = Ipv4::encode(&rte("20.0.0.0/8", 1));
    assert_packet_refused(A2, 520, &good()[..3], Reject::Truncated);
    assert_packet_refused(A2, 520, &good()[..4], Reject::NoEntries);
    assert_packet_refused(A2, 520, &good()[..23], Reject::BadLength);
    assert_packet_refused(
        A2,
        520,
        &[&good()[..], &[0; 10]].concat(),
        Reject::BadLength,
    );
    assert_packet_refused(A2, 520, &raw(2, 2, &[entry; 26]), Reject::TooManyEntries);
    assert_packet_refused(A2, 520, &raw(2, 0, &[entry]), Reject::VersionZero);
    assert_packet_refused(A2, 520, &raw(2, 1, &[entry]), Reject::VersionRefused);
    for command in [0, 3, 4, 5, 6, 7, 9, 10, 11, 255] {
        assert_packet_refused(A2, 520, &raw(command, 2, &[entry]), Reject::UnknownCommand);
    }
}

#[test]
fn rfc2453_4_6_later_versions_are_read_as_2() {
    let entry = Ipv4::encode(&rte("20.0.0.0/8", 1));
    for version in [3, 255] {
        let router = after(A2, 520, &raw(2, version, &[entry]));
        assert_eq!(router.route("20.0.0.0/8"), Some((addr(A2), A, 2)));
        assert_eq!(router.rip.neighbors(router.now)[0].version, version);
    }
}

#[test]
fn rfc2453_5_2_authenticated_packets_are_discarded_without_authentication() {
    let auth = entry(0xffff, "112.97.115.115", "0.0.0.0", "0.0.0.0", 0);
    let route = Ipv4::encode(&rte("20.0.0.0/8", 1));
    let router = assert_packet_refused(A2, 520, &raw(2, 2, &[auth, route]), Reject::UnexpectedAuth);
    assert_eq!(
        router.rip.neighbors(router.now)[0].bad_packets,
        1,
        "seen where it is looked for"
    );
    assert_packet_refused(
        A2,
        520,
        &raw(1, 2, &[auth, Ipv4::table_request()]),
        Reject::UnexpectedAuth,
    );
}

#[test]
fn bad_entries_are_skipped_and_the_others_used() {
    let with = |address, mask, metric| entry(2, address, mask, "0.0.0.0", metric);
    assert_entry_refused(with("20.0.0.0", "255.0.0.0", 0), Reject::MetricZero);
    assert_entry_refused(with("20.0.0.0", "255.0.0.0", 17), Reject::MetricTooLarge);
    assert_entry_refused(with("20.0.6.1", "255.255.255.0", 1), Reject::HostBits);
    assert_entry_refused(with("20.0.0.0", "255.0.255.0", 1), Reject::BadMask);
    assert_entry_refused(with("20.0.12.0", "0.0.0.0", 1), Reject::NoMask);
    assert_entry_refused(with("127.0.0.0", "255.0.0.0", 1), Reject::Martian);
    assert_entry_refused(
        entry(1, "20.0.0.0", "255.0.0.0", "0.0.0.0", 1),
        Reject::BadFamily,
    );
    // A password is only looked for in the first entry.
    assert_entry_refused(
        entry(0xffff, "1.1.1.1", "0.0.0.0", "0.0.0.0", 0),
        Reject::BadFamily,
    );
}

#[test]
fn rfc2453_3_9_2_the_cost_of_the_link_is_added() {
    let router = Router::settled();
    let mut router = router;
    router.hear(
        A2,
        &[
            rte("20.0.0.0/8", 1),
            rte("21.0.0.0/8", 14),
            rte("22.0.0.0/8", 15),
        ],
    );
    assert_eq!(router.route("20.0.0.0/8"), Some((addr(A2), A, 2)));
    assert_eq!(router.route("21.0.0.0/8"), Some((addr(A2), A, 15)));
    assert_eq!(router.row("22.0.0.0/8"), None, "15 and 1 is out of reach");

    let cost = metric(5);
    let mut router = Router::with(InterfaceConfig {
        cost,
        ..Default::default()
    });
    router.hear(A2, &[rte("20.0.0.0/8", 1), rte("21.0.0.0/8", 11)]);
    assert_eq!(router.route("20.0.0.0/8"), Some((addr(A2), A, 6)));
    assert_eq!(router.row("21.0.0.0/8"), None);
}

#[test]
fn an_unknown_destination_at_infinity_is_ignored() {
    let mut router = Router::settled();
    router.hear(A2, &[rte("20.0.0.0/8", 16)]);
    assert_eq!(router.row("20.0.0.0/8"), None);
    assert!(router.routes.is_empty());
}

#[test]
fn rfc2453_4_4_next_hops_on_the_link_are_used() {
    let via = |next_hop: &str| {
        let mut router = Router::settled();
        router.hear(
            A2,
            &[Rte {
                next_hop: Some(addr(next_hop)),
                ..rte("20.0.0.0/8", 1)
            }],
        );
        (
            router.route("20.0.0.0/8").map(|(via, _, _)| via),
            router.refused(Reject::NextHopIsUs),
        )
    };
    assert_eq!(via("10.0.12.99"), (Some(addr("10.0.12.99")), 0));
    // Off the link, multicast, broadcast: the sender.
    for next_hop in [
        "1.2.3.4",
        "10.0.13.2",
        "224.0.0.9",
        "10.0.12.255",
        "10.0.12.0",
    ] {
        assert_eq!(via(next_hop), (Some(addr(A2)), 0), "{next_hop}");
    }
    assert_eq!(via("10.0.12.1"), (None, 1), "never via ourselves");
}

#[test]
fn a_route_that_now_leads_through_us_is_given_up() {
    let mut router = Router::settled();
    router.hear(A2, &[rte("20.0.0.0/8", 1)]);
    router.hear(
        A2,
        &[Rte {
            next_hop: Some(addr("10.0.12.1")),
            ..rte("20.0.0.0/8", 1)
        }],
    );
    assert_eq!(router.route("20.0.0.0/8"), None);
}

#[test]
fn passive_interfaces_listen() {
    let mut router = Router::with(InterfaceConfig {
        passive: true,
        ..Default::default()
    });
    router.hear(A2, &[rte("20.0.0.0/8", 1)]);
    assert_eq!(router.route("20.0.0.0/8"), Some((addr(A2), A, 2)));
    router.advance(Duration::from_secs(60));
    assert!(
        router.sent.iter().all(|sent| sent.ifindex == B),
        "and are silent"
    );
}

#[test]
fn the_reason_is_logged_once_a_minute() {
    let mut router = Router::settled();
    for _ in 0..100 {
        router.datagram(A, A2, 1024, &good());
    }
    assert_eq!(router.events.len(), 1);
    router.advance(Duration::from_secs(60));
    router.events.clear();
    router.datagram(A, A2, 1024, &good());
    assert_eq!(router.events.len(), 1);
    assert_eq!(router.refused(Reject::BadSourcePort), 101);
}

#[test]
fn neighbours_on_an_interface_are_bounded() {
    let mut router = Router::bare();
    router.up(setup(A, "10.0.0.1/16", InterfaceConfig::default()));
    for n in 0..300_u32 {
        let source = Ipv4Addr::from(0x0a00_0100 + n);
        router.datagram(
            A,
            &source.to_string(),
            520,
            &response(&[rte("20.0.0.0/8", 1)]),
        );
    }
    assert_eq!(router.rip.neighbors(router.now).len(), 256);
    assert_eq!(router.refused(Reject::TooManyNeighbors), 44);
    assert_eq!(router.refused(Reject::TooManyOffers), 240);
    assert_eq!(router.row("20.0.0.0/8").unwrap().offers.len(), 16);
}

#[test]
fn a_full_list_of_offers_takes_a_better_one() {
    let mut router = Router::settled();
    for n in 0..16 {
        router.hear(&format!("10.0.12.{}", 10 + n), &[rte("20.0.0.0/8", 5)]);
    }
    router.hear(A2, &[rte("20.0.0.0/8", 2)]);
    assert_eq!(router.route("20.0.0.0/8"), Some((addr(A2), A, 3)));
    assert_eq!(router.row("20.0.0.0/8").unwrap().offers.len(), 16);
}

#[test]
fn counters_can_be_cleared() {
    let mut router = after(A2, 1024, &good());
    router.input(Input::Clear(Clear::Counters));
    assert!(router.rip.errors().iter().all(|row| row.count == 0));
    assert_eq!(router.rip.interfaces(router.now)[0].bad_packets, 0);
}
