//! RIPng (RFC 2080): what differs from version 2.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use super::*;
use crate::net::Ipv6;

const LOCAL: &str = "fe80::1";
const PEER: &str = "fe80::2";
const OTHER: &str = "fe80::3";

fn addr6(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn net6(text: &str) -> Ipv6Net {
    text.parse().unwrap()
}

fn rte6(prefix: &str, value: u32) -> Rte<Ipv6> {
    Rte {
        prefix: net6(prefix),
        metric: metric(value),
        tag: 0,
        next_hop: None,
    }
}

fn entry6(address: &str, tag: u16, len: u8, metric: u8) -> [u8; ENTRY] {
    let mut entry = [0; ENTRY];
    entry[..16].copy_from_slice(&addr6(address).octets());
    entry[16..18].copy_from_slice(&tag.to_be_bytes());
    (entry[18], entry[19]) = (len, metric);
    entry
}

fn hop(address: &str) -> [u8; ENTRY] {
    entry6(address, 77, 9, 255)
}

fn response6(entries: &[[u8; ENTRY]]) -> Vec<u8> {
    raw(2, 1, entries)
}

fn address6(text: &str) -> Address<Ipv6> {
    let net = net6(text);
    Address {
        local: net.addr(),
        subnet: net.trunc(),
    }
}

fn setup6(ifindex: Ifindex, addresses: &[&str]) -> InterfaceSetup<Ipv6> {
    InterfaceSetup {
        ifindex,
        name: format!("eth{ifindex}"),
        mtu: 1500,
        addresses: addresses.iter().map(|text| address6(text)).collect(),
        config: InterfaceConfig::default(),
    }
}

/// An engine on [`A`] and [`B`], past its start, and what it does.
struct Ng {
    rip: Rip<Ipv6>,
    now: Instant,
    out: Actions<Ipv6>,
}

impl Ng {
    fn new() -> Self {
        let mut ng = Ng {
            rip: Rip::new(config()),
            now: Instant::from_secs(1000),
            out: Actions::default(),
        };
        let on_a = ["2001:db8:a::1/64", "fe80::1/64"];
        ng.input(Input::InterfaceUp(setup6(A, &on_a)));
        let on_b = ["fe80::1/64", "2001:db8:b::1/64"];
        ng.input(Input::InterfaceUp(setup6(B, &on_b)));
        ng.advance(6);
        ng.out = Actions::default();
        ng
    }

    fn input(&mut self, input: Input<'_, Ipv6>) {
        self.rip.handle(self.now, input, &mut self.out);
    }

    fn advance(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        while let Some(at) = self.rip.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.input(Input::Deadline);
        }
        self.now = end;
    }

    fn datagram(&mut self, source: &str, source_port: u16, payload: &[u8]) {
        self.input(Input::Datagram(Datagram {
            ifindex: A,
            source: addr6(source),
            source_port,
            hop_limit: Some(255),
            multicast: true,
            payload,
        }));
    }

    /// The route in use: next hop and metric.
    fn route(&self, prefix: &str) -> Option<(Ipv6Addr, u8)> {
        let row = self
            .rip
            .routes(self.now)
            .find(|row| row.prefix == net6(prefix))?;
        let best = row.offers.iter().find(|offer| offer.best)?;
        Some((best.via, best.metric.get()))
    }

    fn refused(&self, reason: Reject) -> u64 {
        let errors = self.rip.errors();
        errors
            .iter()
            .find(|row| row.reason == reason)
            .unwrap()
            .count
    }

    /// Datagrams sent on [`A`] since the last look.
    fn sent(&mut self) -> Vec<Send<Ipv6>> {
        let sends = std::mem::take(&mut self.out.sends);
        sends.into_iter().filter(|send| send.ifindex == A).collect()
    }
}

fn rtes(send: &Send<Ipv6>) -> Vec<Rte<Ipv6>> {
    let packet = Packet::parse(&send.payload, Ipv6::MAX_ENTRIES).unwrap();
    assert_eq!(packet.version, 1);
    let entries = packet.entries().iter();
    entries.map(|entry| Ipv6::decode(entry).unwrap()).collect()
}

#[test]
fn rfc2080_2_1_an_entry_on_the_wire() {
    let rte = Rte {
        tag: 0x1234,
        ..rte6("2001:db8::/32", 5)
    };
    let bytes = Ipv6::encode(&rte);
    assert_eq!(bytes, entry6("2001:db8::", 0x1234, 32, 5));
    assert_eq!(Ipv6::decode(&bytes), Ok(rte));
    assert_eq!(Ipv6::max_entries(1500), 72);
    assert_eq!(Ipv6::max_entries(1280), 61);
}

#[test]
fn rfc2080_2_5_1_updates_come_from_the_link_local_address_to_the_group() {
    let mut ng = Ng::new();
    ng.datagram(
        PEER,
        521,
        &response6(&[Ipv6::encode(&rte6("2001:db8:1::/48", 1))]),
    );
    assert_eq!(ng.route("2001:db8:1::/48"), Some((addr6(PEER), 2)));
    let RouteChange::Update { nexthops, .. } = &ng.out.routes[0] else {
        panic!("{:?}", ng.out.routes)
    };
    assert_eq!(nexthops.len(), 1);
    ng.advance(40);
    let sent = ng.sent();
    assert!(!sent.is_empty());
    for send in &sent {
        assert_eq!((send.source, send.port), (addr6(LOCAL), 521));
        assert_eq!(send.destination, addr6("ff02::9"));
    }
    // Poisoned reverse; the link's own network is not told there.
    let expected = [rte6("2001:db8:1::/48", 16), rte6("2001:db8:b::/64", 1)];
    assert_eq!(rtes(sent.last().unwrap()), expected);
}

#[test]
fn rip_case_63_only_routers_on_the_link_are_believed() {
    let mut ng = Ng::new();
    let packet = response6(&[Ipv6::encode(&rte6("2001:db8:1::/48", 1))]);
    ng.datagram("2001:db8:a::2", 521, &packet);
    assert_eq!(ng.refused(Reject::NotLinkLocal), 1);
    ng.datagram("2001:db8:c::2", 521, &packet);
    assert_eq!(ng.refused(Reject::NotOnLink), 1);
    ng.datagram(PEER, 520, &packet);
    assert_eq!(ng.refused(Reject::BadSourcePort), 1);
    ng.datagram(LOCAL, 521, &packet);
    assert_eq!(ng.refused(Reject::OwnPacket), 1);
    ng.input(Input::Datagram(Datagram {
        ifindex: A,
        source: addr6(PEER),
        source_port: 521,
        hop_limit: Some(254),
        multicast: true,
        payload: &packet,
    }));
    assert_eq!(ng.refused(Reject::HopLimit), 1);
    assert_eq!(ng.route("2001:db8:1::/48"), None);
    ng.datagram(PEER, 521, &packet);
    assert_eq!(ng.route("2001:db8:1::/48"), Some((addr6(PEER), 2)));
}

#[test]
fn rip_case_63_a_unicast_answer_may_have_any_hop_limit() {
    let packet = response6(&[Ipv6::encode(&rte6("2001:db8:1::/48", 1))]);
    for (hop_limit, ttl_security, believed) in
        [(64, false, true), (64, true, false), (255, true, true)]
    {
        let mut ng = Ng::new();
        let mut setup = setup6(A, &["fe80::1/64"]);
        setup.config.ttl_security = ttl_security;
        ng.input(Input::InterfaceUp(setup));
        ng.input(Input::Datagram(Datagram {
            ifindex: A,
            source: addr6(PEER),
            source_port: 521,
            hop_limit: Some(hop_limit),
            multicast: false,
            payload: &packet,
        }));
        assert_eq!(
            ng.route("2001:db8:1::/48").is_some(),
            believed,
            "{hop_limit}"
        );
    }
}

#[test]
fn rip_case_64_bad_entries_are_skipped() {
    let bad = [
        (entry6("2001:db8::", 0, 129, 1), Reject::BadPrefixLength),
        (entry6("2001:db8::", 0, 32, 0), Reject::MetricZero),
        (entry6("2001:db8::", 0, 32, 17), Reject::MetricTooLarge),
        (entry6("2001:db8::", 0, 32, 254), Reject::MetricTooLarge),
        (entry6("2001:db8::1", 0, 64, 1), Reject::HostBits),
        (entry6("ff00::", 0, 8, 1), Reject::Martian),
        (entry6("ff02::9", 0, 128, 1), Reject::Martian),
        (entry6("fe80::", 0, 10, 1), Reject::Martian),
        (entry6("fe80::", 0, 64, 1), Reject::Martian),
        (entry6("::1", 0, 128, 1), Reject::Martian),
        (entry6("::", 0, 128, 1), Reject::Martian),
    ];
    let good = Ipv6::encode(&rte6("2001:db8:1::/48", 1));
    for (entry, reason) in bad {
        let mut ng = Ng::new();
        ng.datagram(PEER, 521, &response6(&[entry, good]));
        assert_eq!(ng.refused(reason), 1, "{reason}");
        assert_eq!(
            ng.route("2001:db8:1::/48"),
            Some((addr6(PEER), 2)),
            "{reason}"
        );
        assert_eq!(ng.rip.route_count(), 3, "{reason}");
    }
    let mut ng = Ng::new();
    ng.datagram(PEER, 521, &response6(&[Ipv6::encode(&rte6("::/0", 3))]));
    assert_eq!(ng.route("::/0"), Some((addr6(PEER), 4)));
}

#[test]
fn rip_case_65_a_next_hop_holds_for_the_entries_behind_it() {
    let mut ng = Ng::new();
    let to = |n: u16| entry6(&format!("2001:db8:{n}::"), 0, 48, 1);
    let entries = [
        to(1),
        hop(OTHER),
        to(2),
        to(3),
        hop("::"),
        to(4),
        hop(OTHER),
        to(5),
        hop("2001:db8:a::9"),
        to(6),
        hop(LOCAL),
        to(7),
    ];
    ng.datagram(PEER, 521, &response6(&entries));
    let via = |n: u16| ng.route(&format!("2001:db8:{n}::/48")).map(|(via, _)| via);
    let (peer, other) = (Some(addr6(PEER)), Some(addr6(OTHER)));
    let found: Vec<_> = (1..=7).map(via).collect();
    assert_eq!(found, [peer, other, other, peer, other, peer, None]);
    assert_eq!(ng.refused(Reject::NextHopIsUs), 1);
    // It does not outlive its packet.
    ng.datagram(PEER, 521, &response6(&[to(8)]));
    assert_eq!(ng.route("2001:db8:8::/48").map(|(via, _)| via), peer);
}

#[test]
fn rip_case_66_the_table_and_single_destinations_are_answered() {
    let mut ng = Ng::new();
    ng.datagram(PEER, 521, &raw(1, 1, &[Ipv6::table_request()]));
    ng.advance(0);
    let sent = ng.sent();
    assert_eq!(
        (sent[0].source, sent[0].destination),
        (addr6(LOCAL), addr6(PEER))
    );
    assert_eq!(rtes(&sent[0]), [rte6("2001:db8:b::/64", 1)]);
    let ask = [
        entry6("2001:db8:a::", 0, 64, 9),
        entry6("2001:db8:f::", 0, 48, 9),
    ];
    ng.datagram(PEER, 521, &raw(1, 1, &ask));
    let expected = [rte6("2001:db8:a::/64", 1), rte6("2001:db8:f::/48", 16)];
    assert_eq!(rtes(&ng.sent()[0]), expected);
}

#[test]
fn rip_case_67_a_tool_is_answered_from_an_address_it_can_reach() {
    let mut ng = Ng::new();
    ng.datagram("2001:db8:a::9", 4711, &raw(1, 1, &[Ipv6::table_request()]));
    ng.advance(0);
    let sent = ng.sent();
    assert_eq!(
        (sent[0].source, sent[0].port),
        (addr6("2001:db8:a::1"), 4711)
    );
    assert_eq!(rtes(&sent[0]).len(), 2, "no split horizon");
}

#[test]
fn rip_case_68_link_local_networks_are_nobodys_business() {
    let ng = Ng::new();
    let prefixes: Vec<_> = ng.rip.routes(ng.now).map(|row| row.prefix).collect();
    assert_eq!(prefixes, [net6("2001:db8:a::/64"), net6("2001:db8:b::/64")]);
}

#[test]
fn rip_case_69_one_link_local_address_speaks_as_long_as_it_is_there() {
    let mut ng = Ng::new();
    let more = ["fe80::9/64", "2001:db8:a::1/64", "fe80::1/64"];
    ng.input(Input::InterfaceUp(setup6(A, &more)));
    ng.advance(40);
    assert!(ng.sent().iter().all(|send| send.source == addr6(LOCAL)));
    ng.input(Input::InterfaceUp(setup6(A, &["fe80::9/64"])));
    ng.advance(40);
    let sent = ng.sent();
    assert!(!sent.is_empty() && sent.iter().all(|send| send.source == addr6("fe80::9")));
    // Without any nothing can be said.
    ng.input(Input::InterfaceUp(setup6(A, &["2001:db8:a::1/64"])));
    ng.sent();
    ng.advance(40);
    assert!(ng.sent().is_empty());
}

#[test]
fn rip_case_70_other_versions_are_refused() {
    let mut ng = Ng::new();
    let entry = Ipv6::encode(&rte6("2001:db8:1::/48", 1));
    ng.datagram(PEER, 521, &raw(2, 2, &[entry]));
    ng.datagram(PEER, 521, &raw(1, 2, &[Ipv6::table_request()]));
    assert_eq!(ng.refused(Reject::VersionRefused), 2);
    ng.datagram(PEER, 521, &raw(2, 0, &[entry]));
    assert_eq!(ng.refused(Reject::VersionZero), 1);
    assert_eq!(ng.route("2001:db8:1::/48"), None);
}

#[test]
fn rip_case_53_a_packet_holds_what_the_link_carries() {
    let mut ng = Ng::new();
    let table: Vec<_> = (0..200)
        .map(|n| entry6(&format!("2001:db8:{n:x}::"), 0, 48, 1))
        .collect();
    // A neighbour on a link with a larger MTU.
    ng.input(Input::Datagram(Datagram {
        ifindex: B,
        source: addr6(PEER),
        source_port: 521,
        hop_limit: Some(255),
        multicast: true,
        payload: &response6(&table),
    }));
    assert_eq!(ng.route("2001:db8:c7::/48"), Some((addr6(PEER), 2)));
    ng.advance(1);
    let counts: Vec<_> = ng.sent().iter().map(|send| rtes(send).len()).collect();
    assert_eq!(counts, [72, 72, 56]);
}

#[test]
fn a_withdrawal_is_passed_on_and_a_stop_takes_all_back() {
    let mut ng = Ng::new();
    ng.datagram(PEER, 521, &response6(&[entry6("2001:db8:1::", 0, 48, 1)]));
    ng.datagram(PEER, 521, &response6(&[entry6("2001:db8:1::", 0, 48, 16)]));
    let withdraw = RouteChange::Withdraw {
        prefix: net6("2001:db8:1::/48"),
    };
    assert_eq!(ng.out.routes.last(), Some(&withdraw));
    ng.advance(40);
    ng.sent();
    ng.input(Input::Shutdown);
    ng.advance(1);
    assert!(ng.rip.is_drained());
    let sent = ng.sent();
    assert!(
        sent.iter()
            .flat_map(rtes)
            .any(|rte| rte == rte6("2001:db8:b::/64", 16))
    );
}
