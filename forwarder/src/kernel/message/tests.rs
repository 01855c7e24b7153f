//! Captured on Linux 6.18 (x86-64), so for little-endian machines.

use forwarder_core::interface::Vlan;
use forwarder_core::kernel::event::{KernelNexthops, NeighbourState};
use forwarder_core::net::TableId;
use forwarder_core::route::{Nexthop, RouteType};
use proptest::prelude::*;

use super::super::wire::Request;
use std::net::Ipv4Addr;

use super::*;

/// `10.1.0.0/16 via 192.0.2.9 dev v0 proto static src 192.0.2.1 metric 7 mtu 1400`
const STATIC: &str = "02100000fe0400010000000008000f00fe000000080001000a01000008000600070000000c00\
    0800080002007805000008000700c000020108000500c00002090800040003000000";
/// `10.2.0.0/16 nexthop via 192.0.2.8 weight 1 nexthop via 192.0.2.9 weight 3`
const MULTIPATH: &str = "02100000fe0300010000000008000f00fe000000080001000a020000240009001000000003\
    00000008000500c0000208100000020300000008000500c0000209";
/// `10.3.0.0/16 via inet6 fe80::1 dev v0`
const VIA_IPV6: &str = "02100000fe0300010000000008000f00fe000000080001000a030000160012000a00fe8000\
    0000000000000000000000000100000800040003000000";
/// `10.4.0.0/16 nhid 1`
const BY_OBJECT: &str = "02100000fe0300010000000008000f00fe000000080001000a04000008001e000100000008\
    000500c00002090800040003000000";
/// `192.0.2.0/24 dev v0 proto kernel scope link src 192.0.2.1`
const CONNECTED: &str = "02180000fe02fd010000000008000f00fe00000008000100c000020008000700c000020108\
    00040003000000";
/// `id 1 via 192.0.2.9 dev v0 scope link`
const OBJECT: &str = "02fd0000000000000800010001000000080005000300000008000600c0000209";
/// `id 2 group 1,5`
const GROUP: &str =
    "0000000000000000080001000200000006000300000000000c000200010000000400000008000e0000000080";
/// `192.0.2.9 dev v0 lladdr 02:00:00:00:00:09 PERMANENT`
const PERMANENT: &str = "02000000030000008000000108000100c00002090a00020002000000000900000800040000\
    0000001400030000000000000000000000000000000000";
/// `192.0.2.8 dev v0 managed INCOMPLETE`
const MANAGED: &str = "02000000030000000100000108000100c000020808000400000000001400030070170000000000\
    00000000000100000008000f0001000000";
/// `inet 192.0.2.1/24 brd 192.0.2.255 scope global v0`
const ADDRESS: &str = "021880000300000008000100c000020108000200c000020108000400c00002ff0700030076300000\
    080008008000000014000600ffffffffffffffff4e0506004e050600";
/// `inet v0 forwarding off …`
const NETCONF: &str = "020000000800010003000000080002000000000008000300000000000800040000000000080008\
    000000000008000500000000000800060000000000";
/// The same of `all`.
const NETCONF_ALL: &str = "0200000008000100ffffffff08000200000000000800030000000000";

const V0: Ifindex = Ifindex(3);

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn read(kind: u16, hex: &str) -> Message {
    decode(kind, 0, &bytes(hex)).unwrap()
}

fn route(hex: &str) -> KernelRoute<Ipv4> {
    match read(libc::RTM_NEWROUTE, hex) {
        Message::Route4(RouteMessage::There {
            route,
            replaced: false,
        }) => route,
        other => panic!("{other:?}"),
    }
}

fn hop(n: u8) -> Nexthop<Ipv4> {
    Nexthop::via(Ipv4Addr::new(192, 0, 2, n), V0)
}

#[test]
fn a_static_route_is_read() {
    let expected = KernelRoute {
        table: TableId::MAIN,
        prefix: "10.1.0.0/16".parse().unwrap(),
        metric: 7,
        tos: 0,
        kind: RouteType::Unicast,
        protocol: 4,
        nexthops: KernelNexthops::Inline(vec![hop(9)]),
        mtu: Some(1400),
        preferred_source: Some(Ipv4Addr::new(192, 0, 2, 1)),
    };
    assert_eq!(route(STATIC), expected);
}

#[test]
fn weights_of_multipath_routes_are_hops_plus_one() {
    let hops = vec![
        hop(8),
        Nexthop {
            weight: 3,
            ..hop(9)
        },
    ];
    assert_eq!(route(MULTIPATH).nexthops, KernelNexthops::Inline(hops));
}

#[test]
fn dead_hops_are_left_out() {
    let mut multipath = bytes(MULTIPATH);
    let second_flags = multipath.len() - 16 + 2;
    multipath[second_flags] = 1;
    let Message::Route4(RouteMessage::There { route, .. }) =
        decode(libc::RTM_NEWROUTE, 0, &multipath).unwrap()
    else {
        panic!("a route");
    };
    assert_eq!(route.nexthops, KernelNexthops::Inline(vec![hop(8)]));
}

#[test]
fn gateways_of_another_family_are_for_the_kernel_alone() {
    assert_eq!(route(VIA_IPV6).kind, RouteType::KernelOnly);
}

#[test]
fn a_route_by_object_follows_the_object() {
    assert_eq!(route(BY_OBJECT).nexthops, KernelNexthops::Object(1));
}

#[test]
fn a_connected_route_has_no_gateway() {
    let connected = route(CONNECTED);
    assert_eq!(connected.protocol, 2);
    assert_eq!(
        connected.nexthops,
        KernelNexthops::Inline(vec![Nexthop::link(V0)])
    );
}

#[test]
fn onlink_is_a_flag_of_the_only_hop() {
    let mut route = bytes(STATIC);
    route[8] = RTNH_F_ONLINK;
    let Message::Route4(RouteMessage::There { route, .. }) =
        decode(libc::RTM_NEWROUTE, 0, &route).unwrap()
    else {
        panic!("a route");
    };
    let hops = vec![Nexthop {
        onlink: true,
        ..hop(9)
    }];
    assert_eq!(route.nexthops, KernelNexthops::Inline(hops));
}

#[test]
fn replacing_is_a_flag_of_the_header() {
    let flags = u16::try_from(libc::NLM_F_REPLACE).unwrap();
    let message = decode(libc::RTM_NEWROUTE, flags, &bytes(STATIC)).unwrap();
    assert!(matches!(
        message,
        Message::Route4(RouteMessage::There { replaced: true, .. })
    ));
}

#[test]
fn other_tables_families_and_cached_routes_are_ignored() {
    let changed = |offset: usize, value: u8| {
        let mut route = bytes(STATIC);
        route[offset] = value;
        decode(libc::RTM_NEWROUTE, 0, &route).unwrap()
    };
    const TABLE_ATTRIBUTE: usize = 16;
    assert_eq!(changed(TABLE_ATTRIBUTE, 100), Message::Ignored);
    assert_eq!(changed(0, 7), Message::Ignored, "a bridge's");
    assert_eq!(changed(9, 2), Message::Ignored, "RTM_F_CLONED");
}

#[test]
fn a_prefix_beyond_32_bits_is_malformed() {
    let mut route = bytes(STATIC);
    route[1] = 33;
    assert_eq!(
        decode(libc::RTM_NEWROUTE, 0, &route),
        Err(Malformed::PrefixLength)
    );
}

#[test]
fn host_bits_of_a_route_are_cleared() {
    let mut route = bytes(STATIC);
    route[1] = 8;
    let Message::Route4(RouteMessage::There { route, .. }) =
        decode(libc::RTM_NEWROUTE, 0, &route).unwrap()
    else {
        panic!("a route");
    };
    assert_eq!(route.prefix, "10.0.0.0/8".parse().unwrap());
}

#[test]
fn next_hop_objects_are_read() {
    let gateway = Some(Ipv4Addr::new(192, 0, 2, 9).into());
    let single = NexthopObject::Single {
        gateway,
        ifindex: V0,
        onlink: false,
    };
    assert_eq!(read(RTM_NEWNEXTHOP, OBJECT), Message::Nexthop(1, single));
    let group = NexthopObject::Group(vec![(1, 5)]);
    assert_eq!(read(RTM_NEWNEXTHOP, GROUP), Message::Nexthop(2, group));
    assert_eq!(read(RTM_DELNEXTHOP, GROUP), Message::NexthopGone(2));
}

#[test]
fn neighbours_are_read() {
    let address = Ipv4Addr::new(192, 0, 2, 9);
    let state = NeighbourState::Usable([2, 0, 0, 0, 0, 9]);
    let neighbour = Neighbour {
        ifindex: V0,
        address,
        state,
        managed: false,
    };
    assert_eq!(
        read(libc::RTM_NEWNEIGH, PERMANENT),
        Message::Neighbour4(NeighbourMessage::There(neighbour))
    );
    assert_eq!(
        read(libc::RTM_DELNEIGH, PERMANENT),
        Message::Neighbour4(NeighbourMessage::Gone(V0, address))
    );
    let address = Ipv4Addr::new(192, 0, 2, 8);
    let state = NeighbourState::Resolving;
    let neighbour = Neighbour {
        ifindex: V0,
        address,
        state,
        managed: true,
    };
    assert_eq!(
        read(libc::RTM_NEWNEIGH, MANAGED),
        Message::Neighbour4(NeighbourMessage::There(neighbour))
    );
}

#[test]
fn proxies_and_other_families_are_not_neighbours() {
    let mut proxy = bytes(PERMANENT);
    proxy[10] = libc::NTF_PROXY;
    assert_eq!(decode(libc::RTM_NEWNEIGH, 0, &proxy), Ok(Message::Ignored));
    let mut bridge = bytes(PERMANENT);
    bridge[0] = family(libc::AF_BRIDGE);
    assert_eq!(decode(libc::RTM_NEWNEIGH, 0, &bridge), Ok(Message::Ignored));
}

#[test]
fn addresses_are_read() {
    let Message::Address(V0, address) = read(libc::RTM_NEWADDR, ADDRESS) else {
        panic!("an address");
    };
    assert_eq!(address.local, "192.0.2.1/24".parse().unwrap());
    assert_eq!(
        address.broadcast,
        Some(Ipv4Addr::new(192, 0, 2, 255).into())
    );
    assert_eq!((address.peer, address.secondary), (None, false));
}

#[test]
fn forwarding_is_read_for_interfaces_and_rp_filter_also_for_all() {
    let conf = Netconf {
        ifindex: V0,
        forwarding: Some(false),
        rp_filter: Some(0),
    };
    assert_eq!(read(libc::RTM_NEWNETCONF, NETCONF), Message::Netconf(conf));
    let all = read(libc::RTM_NEWNETCONF, NETCONF_ALL);
    assert_eq!(all, Message::RpFilterAll(0));
    let default = NETCONF_ALL.replace("ffffffff", "feffffff");
    let default = read(libc::RTM_NEWNETCONF, &default);
    assert_eq!(default, Message::RpFilterDefault);
    let forwarding = &NETCONF_ALL[..NETCONF_ALL.len() - 16];
    assert_eq!(read(libc::RTM_NEWNETCONF, forwarding), Message::Ignored);
}

fn link(address_family: libc::c_int) -> Vec<u8> {
    let mut header = [0; LINK_LEN];
    header[0] = family(address_family);
    header[2..4].copy_from_slice(&libc::ARPHRD_ETHER.to_ne_bytes());
    header[4..8].copy_from_slice(&V0.0.to_ne_bytes());
    header[8..12].copy_from_slice(&libc::IFF_UP.to_ne_bytes());
    let vlan = Request::new(0, 0, &[])
        .attribute(1, &10u16.to_ne_bytes())
        .attribute(5, &0x88a8u16.to_be_bytes());
    let info = Request::new(0, 0, &[])
        .attribute(libc::IFLA_INFO_KIND, b"vlan\0")
        .attribute(libc::IFLA_INFO_DATA, vlan.body());
    let link = Request::new(0, 0, &header)
        .attribute(libc::IFLA_IFNAME, b"eth0.10\0")
        .attribute(libc::IFLA_ADDRESS, &[2, 0, 0, 0, 0, 1])
        .u32(libc::IFLA_MTU, 1500)
        .u32(libc::IFLA_LINK, 2)
        .u32(libc::IFLA_MASTER, 9)
        .u32(libc::IFLA_LINK_NETNSID, 0)
        .attribute(libc::IFLA_LINKINFO, info.body());
    link.body().to_vec()
}

#[test]
fn links_are_read() {
    let message = decode(libc::RTM_NEWLINK, 0, &link(libc::AF_UNSPEC)).unwrap();
    let expected = Link {
        ifindex: V0,
        name: "eth0.10".to_owned(),
        flags: libc::IFF_UP.cast_unsigned(),
        hardware: libc::ARPHRD_ETHER,
        mac: Some([2, 0, 0, 0, 0, 1]),
        mtu: 1500,
        kind: "vlan".to_owned(),
        vlan: Some(Vlan {
            id: 10,
            ad: true,
            prioritised: false,
        }),
        master: Some(Ifindex(9)),
        lower: Some(Ifindex(2)),
        lower_elsewhere: true,
    };
    assert_eq!(message, Message::Link(expected));
    let gone = decode(libc::RTM_DELLINK, 0, &link(libc::AF_UNSPEC)).unwrap();
    assert_eq!(gone, Message::LinkGone(V0));
}

/// As `ip link add link eth0 name eth0.10 type vlan id 10` gives it, with an
/// `egress-qos-map`; other kinds use the same numbers for other things.
#[test]
fn only_a_vlans_data_are_a_vlans() {
    let map = Request::new(0, 0, &[]).attribute(1, &[0, 0, 0, 0, 5, 0, 0, 0]);
    let data = Request::new(0, 0, &[])
        .attribute(1, &10u16.to_ne_bytes())
        .attribute(3, map.body())
        .attribute(5, &0x8100u16.to_be_bytes());
    let link = |kind: &[u8]| {
        let info = Request::new(0, 0, &[])
            .attribute(libc::IFLA_INFO_KIND, kind)
            .attribute(libc::IFLA_INFO_DATA, data.body());
        let link = Request::new(0, 0, &[0; LINK_LEN]).attribute(libc::IFLA_LINKINFO, info.body());
        match decode(libc::RTM_NEWLINK, 0, link.body()) {
            Ok(Message::Link(link)) => link.vlan,
            other => panic!("{other:?}"),
        }
    };
    let vlan = Vlan {
        id: 10,
        ad: false,
        prioritised: true,
    };
    assert_eq!(link(b"vlan\0"), Some(vlan));
    assert_eq!(link(b"veth\0"), None);
}

#[test]
fn a_port_that_leaves_its_bridge_is_not_gone() {
    let gone = decode(libc::RTM_DELLINK, 0, &link(libc::AF_BRIDGE)).unwrap();
    assert_eq!(gone, Message::Ignored);
}

const KINDS: [u16; 12] = [
    libc::RTM_NEWLINK,
    libc::RTM_DELLINK,
    libc::RTM_NEWADDR,
    libc::RTM_DELADDR,
    libc::RTM_NEWROUTE,
    libc::RTM_DELROUTE,
    libc::RTM_NEWNEIGH,
    libc::RTM_DELNEIGH,
    libc::RTM_NEWNETCONF,
    libc::RTM_DELNETCONF,
    RTM_NEWNEXTHOP,
    RTM_DELNEXTHOP,
];

const CAPTURED: [&str; 11] = [
    STATIC, MULTIPATH, VIA_IPV6, BY_OBJECT, CONNECTED, OBJECT, GROUP, PERMANENT, MANAGED, ADDRESS,
    NETCONF,
];

proptest! {
    /// Whatever the bytes: no panic.
    #[test]
    fn any_bytes_are_survived(
        kind in prop::sample::select(&KINDS[..]),
        payload in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let _ = decode(kind, 0, &payload);
    }

    /// Real messages with some bytes changed, or cut short.
    #[test]
    fn damaged_messages_are_survived(
        kind in prop::sample::select(&KINDS[..]),
        captured in prop::sample::select(&CAPTURED[..]),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut payload = bytes(captured);
        for (index, byte) in damage {
            *index.get_mut(&mut payload) = byte;
        }
        let _ = decode(kind, 0, &payload);
        let _ = decode(kind, 0, &payload[..cut.index(payload.len())]);
    }
}
