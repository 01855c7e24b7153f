//! Random frames: valid ones to every kind of destination, with a few things
//! made wrong, so that most get as far as the check that they are for.

use std::net::{Ipv4Addr, Ipv6Addr};

use forwarder_common::checksum;
use forwarder_tests::frame::{Frame, Frame6};
use proptest::prelude::*;
use proptest::sample::select;

use super::twins::{PORTS, far_mac, port_mac};

/// Hosts on the links, ours, routes of every kind, and what no route leads to.
/// The last one of each network is unknown to the neighbour table.
const DESTINATIONS4: &[&str] = &[
    "10.0.1.2",
    "10.0.2.2",
    "10.0.3.2",
    "10.0.2.3",
    "10.0.2.99",
    "10.0.1.1",
    "10.0.2.1",
    "10.0.2.255",
    "10.0.2.0",
    "198.51.100.5",
    "198.51.100.129",
    "198.51.100.200",
    "198.51.101.1",
    "198.51.102.1",
    "198.51.103.1",
    "198.51.104.1",
    "203.0.113.7",
    "192.0.2.1",
    "224.0.0.9",
    "239.1.2.3",
    "255.255.255.255",
    "127.0.0.1",
    "0.0.0.0",
    "0.1.2.3",
    "240.0.0.1",
    "169.254.7.7",
];
const FORWARDED4: &[&str] = &[
    "10.0.1.2",
    "10.0.2.2",
    "10.0.3.2",
    "198.51.100.5",
    "198.51.100.129",
    "198.51.100.200",
    "203.0.113.7",
];
const SOURCES4: &[&str] = &[
    "10.0.1.2",
    "10.0.2.2",
    "10.0.3.3",
    "198.51.100.7",
    "198.51.100.130",
    "203.0.113.9",
    "192.0.2.9",
    "10.0.1.1",
    "10.0.2.1",
    "0.0.0.0",
    "0.1.2.3",
    "127.0.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "169.254.1.1",
    "10.0.2.255",
    "10.0.1.0",
    "198.51.101.9",
    "198.51.102.9",
];
const DESTINATIONS6: &[&str] = &[
    "2001:db8:1::2",
    "2001:db8:2::2",
    "2001:db8:3::2",
    "2001:db8:2::3",
    "2001:db8:2::99",
    "2001:db8:1::1",
    "2001:db8:2::1",
    "2001:db8:2::",
    "2001:db8:100::5",
    "2001:db8:100:8000::5",
    "2001:db8:100:8000::200",
    "2001:db8:101::1",
    "2001:db8:102::1",
    "2001:db8:103::1",
    "2001:db8:110::7",
    "2001:db8:ffff::1",
    "::",
    "::1",
    "ff02::1",
    "ff02::2",
    "ff05::2",
    "ff0e::1",
    "fe80::2",
    "fe80::ff:fe00:101",
    "::ffff:10.0.2.2",
    "::10.0.2.2",
    "2002:a00:202::1",
    "fec0::1",
    "fc00::1",
];
const FORWARDED6: &[&str] = &[
    "2001:db8:1::2",
    "2001:db8:2::2",
    "2001:db8:3::2",
    "2001:db8:100::5",
    "2001:db8:100:8000::5",
    "2001:db8:100:8000::200",
    "2001:db8:110::7",
];
const SOURCES6: &[&str] = &[
    "2001:db8:1::2",
    "2001:db8:2::2",
    "2001:db8:3::3",
    "2001:db8:100::7",
    "2001:db8:110::9",
    "2001:db8:ffff::9",
    "2001:db8:1::1",
    "2001:db8:2::1",
    "2001:db8:2::",
    "::",
    "::1",
    "ff02::1",
    "ff0e::1",
    "fe80::2",
    "fe80::77",
    "::ffff:10.0.2.2",
    "::10.0.2.2",
    "2002:a00:202::1",
    "fec0::1",
    "2001:db8:101::9",
    "2001:db8:102::9",
];
/// Around the shortest frame, the MTUs of a route, of a link, and of all links.
const SIZES: &[usize] = &[
    0, 1, 7, 8, 17, 18, 19, 64, 512, 951, 952, 960, 971, 972, 973, 980, 1230, 1249, 1250, 1251,
    1252, 1259, 1260, 1261, 1271, 1272, 1273, 1279, 1280, 1281, 1440, 1452, 1459, 1460, 1461, 1472,
    1480,
];
const PROTOCOLS: &[u8] = &[
    0, 1, 2, 4, 6, 17, 33, 41, 43, 44, 47, 50, 51, 58, 59, 60, 89, 132, 136, 255,
];
/// Header checksums, as numbers, at which the arithmetic of RFC 1624 turns over.
const CHECKSUMS: &[u16] = &[0x0000, 0x00ff, 0xfe00, 0xfeff, 0xff00, 0xfffe];

/// A frame for a port of both routers: a whole one, and what is made otherwise.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) port: usize,
    ipv6: bool,
    destination: usize,
    payload: usize,
    changes: Vec<Change>,
    /// Bytes that are missing at its end.
    cut: usize,
}

pub(super) enum Packet {
    V4(Frame),
    V6(Frame6),
}

impl Sample {
    pub(super) fn packet(&self) -> Packet {
        if self.ipv6 {
            Packet::V6(frame6(self))
        } else {
            Packet::V4(frame4(self))
        }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = match self.packet() {
            Packet::V4(frame) => frame.bytes(),
            Packet::V6(frame) => frame.bytes(),
        };
        // A frame without its own header cannot be sent, nor one that the
        // link is too small for.
        let longest = 14 + super::mtu(self.port);
        bytes.truncate(bytes.len().saturating_sub(self.cut).clamp(14, longest));
        bytes
    }
}

/// A thing made otherwise than a host would.
#[derive(Clone, Debug)]
enum Change {
    Ttl(u8),
    Tos(u8),
    Protocol(u8),
    Version(u8),
    Length(u16),
    HeaderLength(u8),
    Options(Vec<u8>),
    Fragment(u16),
    ChecksumError(u16),
    Checksum(u16),
    Trailer(usize),
    EtherType(u16),
    To([u8; 6]),
    From([u8; 6]),
    Source(usize),
    Destination(usize),
    AnySource(u128),
    AnyDestination(u128),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => prop_oneof![0u8..=3, Just(255), any::<u8>()].prop_map(Change::Ttl),
        1 => any::<u8>().prop_map(Change::Tos),
        3 => select(PROTOCOLS).prop_map(Change::Protocol),
        1 => (0u8..16).prop_map(Change::Version),
        2 => prop_oneof![0u16..80, 0u16..1600, any::<u16>()].prop_map(Change::Length),
        1 => (0u8..16).prop_map(Change::HeaderLength),
        2 => options().prop_map(Change::Options),
        3 => prop_oneof![
            Just(0u16), Just(0x2000), Just(0x0001), Just(0x20b9), Just(0x8000), any::<u16>()
        ].prop_map(Change::Fragment),
        2 => prop_oneof![Just(1u16), Just(0x100), any::<u16>()].prop_map(Change::ChecksumError),
        3 => select(CHECKSUMS).prop_map(Change::Checksum),
        3 => prop_oneof![1usize..50, 1usize..1000].prop_map(Change::Trailer),
        1 => prop_oneof![Just(0x0800u16), Just(0x86dd), Just(0x0806), Just(0x88cc), any::<u16>()]
            .prop_map(Change::EtherType),
        2 => mac().prop_map(Change::To),
        1 => mac().prop_map(Change::From),
        8 => (0usize..64).prop_map(Change::Source),
        8 => (0usize..64).prop_map(Change::Destination),
        1 => any::<u128>().prop_map(Change::AnySource),
        1 => any::<u128>().prop_map(Change::AnyDestination),
    ]
}

fn mac() -> impl Strategy<Value = [u8; 6]> {
    prop_oneof![
        Just([0xff; 6]),
        Just([1, 0, 0x5e, 0, 0, 9]),
        Just([0x33, 0x33, 0, 0, 0, 1]),
        (0..PORTS).prop_map(port_mac),
        (0..PORTS).prop_map(far_mac),
        any::<[u8; 6]>(),
    ]
}

/// No-operation, record route, source routes, router alert, and nonsense; whole
/// words.
fn options() -> impl Strategy<Value = Vec<u8>> {
    let known: &[&[u8]] = &[
        &[1, 1, 1, 0],
        &[7, 7, 4, 0, 0, 0, 0, 0],
        &[7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &[131, 7, 4, 10, 0, 2, 2, 0],
        &[137, 7, 4, 10, 0, 2, 2, 0],
        &[148, 4, 0, 0],
        &[7, 3, 4, 0],
        &[130, 1, 0, 0],
    ];
    let nonsense =
        prop::collection::vec(any::<[u8; 4]>(), 1..=10).prop_map(|words| without_clock(&words));
    prop_oneof![
        3 => select(known).prop_map(<[u8]>::to_vec),
        1 => nonsense,
        1 => (1usize..=10).prop_map(|words| vec![1; words * 4]),
    ]
}

/// No timestamp: the two routers would write different ones.
fn without_clock(words: &[[u8; 4]]) -> Vec<u8> {
    const TIMESTAMP: u8 = 68;
    let mut options = words.concat();
    options.retain(|byte| *byte != TIMESTAMP);
    options.resize(options.len().next_multiple_of(4), 0);
    options
}

/// Mostly whole, mostly with a change or two.
pub(super) fn sample() -> impl Strategy<Value = Sample> {
    let changes = prop::collection::vec(change(), 0..4);
    let cut = prop_oneof![9 => Just(0usize), 1 => 0usize..80];
    (
        0..PORTS,
        any::<bool>(),
        0usize..64,
        select(SIZES),
        changes,
        cut,
    )
        .prop_map(|(port, ipv6, destination, payload, changes, cut)| Sample {
            port,
            ipv6,
            destination,
            payload,
            changes,
            cut,
        })
}

/// Different from byte to byte; no ports that anybody listens on.
fn payload(size: usize) -> Vec<u8> {
    (0x30..0xf0).cycle().take(size).collect()
}

fn pick<T: std::str::FromStr>(list: &[&str], index: usize) -> T {
    let text = list[index % list.len()];
    text.parse()
        .unwrap_or_else(|_| panic!("the address {text}"))
}

fn frame4(sample: &Sample) -> Frame {
    let port = sample.port;
    let mut frame = Frame {
        to: port_mac(port),
        from: far_mac(port),
        source: Ipv4Addr::new(10, 0, port as u8 + 1, 2),
        destination: pick(FORWARDED4, sample.destination),
        payload: payload(sample.payload),
        ..Frame::default()
    };
    let mut checksum = None;
    for change in &sample.changes {
        match change {
            Change::Ttl(ttl) => frame.ttl = *ttl,
            Change::Tos(tos) => frame.tos = *tos,
            Change::Protocol(protocol) => frame.protocol = *protocol,
            Change::Version(version) => frame.version = *version,
            Change::Length(length) => frame.total_len = Some(*length),
            Change::HeaderLength(words) => frame.ihl = Some(*words),
            Change::Options(options) => frame.options.clone_from(options),
            Change::Fragment(fragment) => frame.fragment = *fragment,
            Change::ChecksumError(error) => frame.checksum_error = *error,
            Change::Checksum(wanted) => checksum = Some(*wanted),
            Change::Trailer(size) => frame.trailer = vec![0xee; *size],
            Change::EtherType(ether_type) => frame.ether_type = *ether_type,
            Change::To(to) => frame.to = *to,
            Change::From(from) => frame.from = *from,
            Change::Source(index) => frame.source = pick(SOURCES4, *index),
            Change::Destination(index) => frame.destination = pick(DESTINATIONS4, *index),
            Change::AnySource(number) => frame.source = (*number as u32).into(),
            Change::AnyDestination(number) => frame.destination = (*number as u32).into(),
        }
    }
    if let Some(wanted) = checksum {
        // The identification makes up the difference.
        frame.id = 0;
        let now = u16::from_be_bytes(frame.bytes()[24..26].try_into().expect("two bytes"));
        frame.id = !checksum::fold(u32::from(wanted) + u32::from(!now));
    }
    frame
}

fn frame6(sample: &Sample) -> Frame6 {
    let port = sample.port;
    let mut frame = Frame6 {
        to: port_mac(port),
        from: far_mac(port),
        source: Ipv6Addr::new(0x2001, 0xdb8, port as u16 + 1, 0, 0, 0, 0, 2),
        destination: pick(FORWARDED6, sample.destination),
        payload: payload(sample.payload),
        ..Frame6::default()
    };
    for change in &sample.changes {
        match change {
            Change::Ttl(ttl) => frame.hop_limit = *ttl,
            Change::Protocol(protocol) => frame.next_header = *protocol,
            Change::Version(version) => frame.version = *version,
            Change::Length(length) => frame.payload_len = Some(*length),
            Change::Trailer(size) => frame.trailer = vec![0xee; *size],
            Change::To(to) => frame.to = *to,
            Change::From(from) => frame.from = *from,
            Change::Source(index) => frame.source = pick(SOURCES6, *index),
            Change::Destination(index) => frame.destination = pick(DESTINATIONS6, *index),
            Change::AnySource(number) => frame.source = (*number).into(),
            Change::AnyDestination(number) => frame.destination = (*number).into(),
            Change::Options(options) => extension(&mut frame, options),
            // Not in this header.
            Change::Tos(_)
            | Change::HeaderLength(_)
            | Change::Fragment(_)
            | Change::ChecksumError(_)
            | Change::Checksum(_)
            | Change::EtherType(_) => {}
        }
    }
    frame
}

/// An extension header of the option's kind, with the option in it.
fn extension(frame: &mut Frame6, options: &[u8]) {
    const HOP_BY_HOP: u8 = 0;
    const ROUTING: u8 = 43;
    const FRAGMENT: u8 = 44;
    const DESTINATION: u8 = 60;
    let kind = [HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION][usize::from(options[0]) % 4];
    let mut header = vec![frame.next_header, 0];
    header.extend(options);
    let len = if kind == FRAGMENT {
        8
    } else {
        header.len().next_multiple_of(8)
    };
    header.resize(len, 0);
    if kind != FRAGMENT {
        header[1] = (len / 8 - 1) as u8;
    }
    header.extend(&frame.payload);
    frame.payload = header;
    frame.next_header = kind;
}
