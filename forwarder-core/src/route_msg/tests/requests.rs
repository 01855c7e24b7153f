//! Requests as a BSD program writes them.

use std::net::{IpAddr, Ipv6Addr};

use super::super::bytes::{put_i32, put_u16, put_u32, put_u64};
use super::super::number::*;
use super::super::request::{ClientMessage, RequestKind, RouteRequest, Unreadable, read, split};
use super::super::sockaddr::Gateway;
use super::super::{Errno, LinkAddr};

/// A request with sockaddrs as they are given.
pub(super) fn bytes(kind: u8, bits: u32, addresses: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![0; RT_MSGHDR];
    for address in addresses {
        bytes.extend_from_slice(address);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
    }
    let length = u16::try_from(bytes.len()).expect("short");
    put_u16(&mut bytes, offset::MSGLEN, length);
    bytes[offset::VERSION] = RTM_VERSION;
    bytes[offset::TYPE] = kind;
    put_u32(&mut bytes, offset::ADDRS, bits);
    put_i32(&mut bytes, offset::SEQ, 42);
    bytes
}

pub(super) fn v4(address: [u8; 4]) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&[16, AF_INET]);
    bytes[4..8].copy_from_slice(&address);
    bytes
}

fn v6(address: &str) -> [u8; 28] {
    let address: Ipv6Addr = address.parse().expect("an address");
    let mut bytes = [0; 28];
    bytes[..2].copy_from_slice(&[28, AF_INET6]);
    bytes[8..24].copy_from_slice(&address.octets());
    bytes
}

fn request(bytes: &[u8]) -> Result<RouteRequest, Unreadable> {
    match read(bytes)? {
        ClientMessage::Route(request) => Ok(request),
        other => panic!("{other:?}"),
    }
}

const NET: [u8; 4] = [10, 1, 2, 3];
const GATEWAY: [u8; 4] = [192, 0, 2, 1];

#[test]
fn an_add_through_a_gateway() {
    let bits = RTA_DST | RTA_GATEWAY | RTA_NETMASK;
    let mask = v4([255, 255, 255, 0]);
    let mut packet = bytes(RTM_ADD, bits, &[&v4(NET), &v4(GATEWAY), &mask]);
    put_u32(
        &mut packet,
        offset::FLAGS,
        RTF_GATEWAY | RTF_STATIC | RTF_HOST,
    );
    put_u64(&mut packet, offset::INITS, RTV_MTU);
    put_u64(&mut packet, offset::MTU, 1400);
    let request = request(&packet).expect("a request");
    assert_eq!(request.kind, RequestKind::Add);
    assert_eq!(request.seq, 42);
    assert_eq!(request.destination.to_string(), "10.1.2.0/24");
    assert_eq!(request.address, IpAddr::from(NET));
    assert_eq!(request.gateway, Some(Gateway::Ip(GATEWAY.into())));
    assert_eq!(request.flags, RTF_GATEWAY | RTF_STATIC, "the mask decides");
    assert_eq!(request.metrics.mtu, 1400);
    assert_eq!(request.refused, None);
    assert!(request.exact);
}

#[test]
fn without_a_mask_it_is_a_host() {
    let packet = bytes(RTM_GET, RTA_DST, &[&v4(NET)]);
    let request = request(&packet).expect("a request");
    assert_eq!(request.destination.to_string(), "10.1.2.3/32");
    assert_eq!(request.flags, RTF_HOST);
    assert!(!request.exact, "the longest match is asked for");
}

fn masked(mask: &[u8]) -> Result<String, Errno> {
    let packet = bytes(RTM_GET, RTA_DST | RTA_NETMASK, &[&v4(NET), mask]);
    match request(&packet) {
        Ok(request) => Ok(request.destination.to_string()),
        Err(unreadable) => Err(unreadable.errno),
    }
}

#[test]
fn route4_case_63_masks_cut_after_their_last_byte() {
    assert_eq!(
        masked(&[7, 0, 0, 0, 255, 255, 255]),
        Ok("10.1.2.0/24".into())
    );
    assert_eq!(masked(&[5, 9, 0, 0, 255]), Ok("10.0.0.0/8".into()));
    assert_eq!(masked(&[0; 8]), Ok("0.0.0.0/0".into()));
    assert_eq!(masked(&[4, 2, 0, 0]), Ok("0.0.0.0/0".into()));
    assert_eq!(masked(&[3, 0, 0]), Err(Errno::Einval));
    assert_eq!(masked(&v4([255, 0, 255, 0])), Err(Errno::Einval), "holes");
    assert_eq!(masked(&v4([255; 4])), Ok("10.1.2.3/32".into()));
}

#[test]
fn an_ipv6_mask_cut_after_its_last_byte() {
    let address = v6("2001:db8::");
    let mask = [12, AF_INET6, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255];
    let packet = bytes(RTM_GET, RTA_DST | RTA_NETMASK, &[&address, &mask]);
    let request = request(&packet).expect("a request");
    assert_eq!(request.destination.to_string(), "2001:db8::/32");
}

#[test]
fn a_mask_of_the_other_family_is_refused() {
    let mut mask = [255; 28];
    mask[..8].copy_from_slice(&[28, AF_INET6, 0, 0, 0, 0, 0, 0]);
    assert_eq!(masked(&mask), Err(Errno::Einval));
    let packet = bytes(
        RTM_GET,
        RTA_DST | RTA_NETMASK,
        &[&v6("2001:db8::"), &v4([255; 4])],
    );
    let unreadable = request(&packet).expect_err("a mask of IPv4");
    assert_eq!(unreadable.errno, Errno::Einval);
}

#[test]
fn a_priority_is_one_to_255() {
    for (metric, priority, refused) in [
        (1, Some(1), None),
        (255, Some(255), None),
        (0, Some(0), Some(Errno::Einval)),
        (256, None, Some(Errno::Einval)),
    ] {
        let mut packet = bytes(RTM_GET, RTA_DST, &[&v4(NET)]);
        put_u64(&mut packet, offset::METRIC, metric);
        assert_eq!(request(&packet).expect("a request").priority(), None);
        put_u64(&mut packet, offset::INITS, RTV_METRIC);
        let request = request(&packet).expect("a request");
        assert_eq!((request.priority(), request.refused), (priority, refused));
    }
}

/// A link-local gateway is on an interface: the one of the message, or of its
/// scope.
#[test]
fn a_link_local_gateway_has_a_scope() {
    let mut gateway = v6("fe80::1");
    gateway[24..].copy_from_slice(&7_u32.to_ne_bytes());
    let mut packet = bytes(
        RTM_ADD,
        RTA_DST | RTA_GATEWAY,
        &[&v6("2001:db8::"), &gateway],
    );
    assert_eq!(request(&packet).expect("a request").index, 7);
    put_u16(&mut packet, offset::INDEX, 3);
    assert_eq!(request(&packet).expect("a request").index, 3);
    gateway[8] = 0x20;
    let packet = bytes(
        RTM_ADD,
        RTA_DST | RTA_GATEWAY,
        &[&v6("2001:db8::"), &gateway],
    );
    assert_eq!(request(&packet).expect("a request").index, 0, "no scope");
}

#[test]
fn an_empty_destination_is_the_default_route() {
    let bits = RTA_DST | RTA_GATEWAY | RTA_NETMASK;
    let packet = bytes(RTM_GET, bits, &[&[0; 8], &v4(GATEWAY)]);
    let request = request(&packet).expect("a request");
    assert_eq!(request.destination.to_string(), "0.0.0.0/0");
    assert_eq!(request.gateway, None, "what follows is not parsed");
}

#[test]
fn an_interface_that_is_asked_for_is_not_one_that_is_given() {
    let bits = RTA_DST | RTA_IFP | RTA_IFA;
    let packet = bytes(RTM_GET, bits, &[&v4(NET), &[0; 8]]);
    let request = request(&packet).expect("a request");
    assert!(request.wants_ifp && request.wants_ifa);
    assert_eq!((request.ifp, request.ifa), (None, None));
}

#[test]
fn a_link_layer_gateway() {
    let mut link = vec![0; 54];
    link[..8].copy_from_slice(&[54, AF_LINK, 3, 0, IFT_ETHER, 4, 6, 0]);
    link[8..18].copy_from_slice(b"eth0\x02\x00\x00\x00\x00\x01");
    let mut packet = bytes(RTM_ADD, RTA_DST | RTA_GATEWAY, &[&v4(NET), &link]);
    put_u32(&mut packet, offset::FLAGS, RTF_LLDATA);
    let gateway = request(&packet).expect("a request").gateway;
    let wanted = LinkAddr {
        ifindex: 3,
        kind: IFT_ETHER,
        name: "eth0".into(),
        address: vec![2, 0, 0, 0, 0, 1],
    };
    assert_eq!(gateway, Some(Gateway::Link(wanted)));
}

#[test]
fn a_packet_of_several_is_split_by_their_lengths() {
    let one = bytes(RTM_GET, RTA_DST, &[&v4(NET)]);
    let mut packet = one.clone();
    packet.extend_from_slice(&one);
    packet.extend_from_slice(&[9, 9, 9]);
    let parts: Vec<_> = split(&packet).collect();
    assert_eq!(parts, [&one[..], &one[..], &[9, 9, 9]]);
    assert_eq!(split(&[]).count(), 1, "an empty packet is a short message");
    // A length of less than a header's start would go on for ever.
    assert_eq!(split(&[0; 64]).count(), 1);
}

/// What a client writes is what the daemon reads.
#[test]
fn a_request_that_is_written_is_read() {
    let mut written = RouteRequest::new(RequestKind::Add, "10.1.2.3/32".parse().expect("a prefix"));
    written.seq = 9;
    written.flags = RTF_GATEWAY | RTF_STATIC | RTF_HOST;
    written.gateway = Some(Gateway::Ip(GATEWAY.into()));
    written.inits = RTV_MTU | RTV_METRIC;
    written.metrics.mtu = 1400;
    written.metrics.metric = 20;
    written.genmask = Some(24);
    written.ifp = Some(LinkAddr::interface(3));
    written.ifa = Some([192, 0, 2, 7].into());
    (written.wants_ifp, written.wants_ifa) = (true, true);
    for exact in [true, false] {
        written.exact = exact;
        let mut bytes = Vec::new();
        written.encode(&mut bytes);
        assert_eq!(request(&bytes), Ok(written.clone()));
    }
    (written.ifp, written.ifa) = (None, None);
    let mut bytes = Vec::new();
    written.encode(&mut bytes);
    assert_eq!(request(&bytes), Ok(written), "asked for and not given");
}
