//! What a tool asks and reads.

use super::*;
use crate::net::Ipv6;
use crate::rip::Dialect;
use crate::rip::query;

fn from() -> Ipv4Addr {
    addr(A2)
}

/// Our own engine answers what a tool asks, in both versions.
#[test]
fn a_request_asks_for_the_whole_table() {
    for (dialect, version) in [(Dialect::Classful, 1), (Dialect::Prefixes, 2)] {
        let asked = query::request::<Ipv4>(dialect);
        assert_eq!(asked, raw(1, version, &[Ipv4::table_request()]));
    }
    let mut router = Router::settled();
    router.datagram(A, A2, 4711, &query::request::<Ipv4>(Dialect::Prefixes));
    router.flush();
    let [sent] = &router.sent[..] else {
        panic!("{:?}", router.sent)
    };
    let answer = query::read::<Ipv4>(sent.source, &sent.payload).unwrap();
    let networks: Vec<_> = answer
        .routes
        .iter()
        .map(|rte| rte.unwrap().prefix)
        .collect();
    assert_eq!(networks, [net("10.0.12.0/24"), net("10.0.13.0/24")]);
}

#[test]
fn what_an_answer_says_is_read_and_bad_entries_are_told_apart() {
    let entries = [
        entry(2, "20.0.1.0", "255.255.255.0", "10.0.12.9", 3),
        entry(2, "20.0.2.0", "255.255.255.0", "0.0.0.0", 16),
        entry(2, "20.0.3.0", "255.255.255.0", "0.0.0.0", 17),
    ];
    let answer = query::read::<Ipv4>(from(), &raw(2, 2, &entries)).unwrap();
    let [first, second, third] = &answer.routes[..] else {
        panic!("{answer:?}")
    };
    let first = first.unwrap();
    assert_eq!(first.prefix, net("20.0.1.0/24"));
    assert_eq!(
        (first.metric, first.next_hop),
        (metric(3), Some(addr("10.0.12.9")))
    );
    assert_eq!(second.unwrap().metric, Metric::INFINITY);
    assert!(third.is_err());
}

#[test]
fn rfc1058_3_2_an_address_of_version_1_is_a_network_or_a_host() {
    let entries = ["20.0.0.0", "192.0.2.9"].map(|a| entry(2, a, "0.0.0.0", "0.0.0.0", 1));
    let answer = query::read::<Ipv4>(from(), &raw(2, 1, &entries)).unwrap();
    assert_eq!(answer.version, 1);
    let prefixes: Vec<_> = answer
        .routes
        .iter()
        .map(|rte| rte.unwrap().prefix)
        .collect();
    assert_eq!(prefixes, [net("20.0.0.0/8"), net("192.0.2.9/32")]);
}

#[test]
fn rfc2080_2_1_1_a_next_hop_of_ripng_holds_for_what_follows() {
    let hop: std::net::Ipv6Addr = "fe80::9".parse().unwrap();
    let mut packet = vec![2, 1, 0, 0];
    for (address, length, metric) in [("fe80::9", 0, 255), ("2001:db8::", 32, 1)] {
        let address: std::net::Ipv6Addr = address.parse().unwrap();
        packet.extend(address.octets());
        packet.extend([0, 0, length, metric]);
    }
    let answer = query::read::<Ipv6>(hop, &packet).unwrap();
    let [route] = &answer.routes[..] else {
        panic!("{answer:?}")
    };
    assert_eq!(route.unwrap().next_hop, Some(hop));
}

#[test]
fn a_request_and_garbage_are_no_answers() {
    let request = raw(1, 2, &[Ipv4::table_request()]);
    for payload in [&request[..], &[], &[2, 2, 0, 0], &[0; 24], &[2, 2, 0, 0, 1]] {
        assert!(query::read::<Ipv4>(from(), payload).is_err(), "{payload:?}");
    }
}
