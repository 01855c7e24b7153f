//! What is written is read as what it was.

use std::net::IpAddr;

use ipnet::IpNet;
use proptest::prelude::*;

use super::super::extension::{self, Ack, Desync, DumpEnd, Generations};
use super::super::number::*;
use super::super::request::{self, ClientMessage};
use super::super::{
    Dump, DumpKind, Errno, Gateway, Greeting, GreetingReply, IfAddr, IfAnnounce, IfInfo, LinkAddr,
    Message, Metrics, Mode, RouteMessage, read,
};

fn one(bytes: &[u8]) -> Message {
    let (message, length) = read(bytes).expect("a message");
    assert_eq!(length, bytes.len());
    message
}

fn net() -> impl Strategy<Value = IpNet> {
    let v4 = (any::<u32>(), 0_u8..=32).prop_map(|(bits, length)| {
        IpNet::new(IpAddr::V4(bits.into()), length).expect("a length in range")
    });
    let v6 = (any::<u128>(), 0_u8..=128).prop_map(|(bits, length)| {
        IpNet::new(IpAddr::V6(bits.into()), length).expect("a length in range")
    });
    prop_oneof![v4, v6].prop_map(|net| net.trunc())
}

fn link() -> impl Strategy<Value = LinkAddr> {
    let address = prop::collection::vec(any::<u8>(), 0..9);
    (any::<u16>(), any::<u8>(), "[a-z0-9.]{0,15}", address).prop_map(
        |(ifindex, kind, name, address)| LinkAddr {
            ifindex,
            kind,
            name,
            address,
        },
    )
}

fn gateway() -> impl Strategy<Value = Gateway> {
    prop_oneof![
        any::<IpAddr>().prop_map(Gateway::Ip),
        link().prop_map(Gateway::Link)
    ]
}

fn metrics() -> impl Strategy<Value = Metrics> {
    any::<[u64; 13]>().prop_map(
        |[
            locks,
            mtu,
            hopcount,
            expire,
            recvpipe,
            sendpipe,
            ssthresh,
            rtt,
            rttvar,
            pksent,
            weight,
            nhidx,
            metric,
        ]| Metrics {
            locks,
            mtu,
            hopcount,
            expire,
            recvpipe,
            sendpipe,
            ssthresh,
            rtt,
            rttvar,
            pksent,
            weight,
            nhidx,
            metric,
        },
    )
}

fn errno() -> impl Strategy<Value = Option<Errno>> {
    prop::option::of(prop::sample::select(&Errno::ALL[..]))
}

fn route_message() -> impl Strategy<Value = RouteMessage> {
    let header = (
        prop::sample::select(vec![
            RTM_ADD,
            RTM_GET,
            RTM_REDIRECT,
            RTM_RESOLVE,
            RTM_EXPORT_FAILED,
        ]),
        any::<u16>(),
        any::<u32>(),
        any::<i32>(),
        any::<i32>(),
        errno(),
        any::<u32>(),
        any::<u64>(),
        metrics(),
    );
    let addresses = (
        net(),
        prop::option::of(gateway()),
        prop::option::of(0_u8..=32),
        prop::option::of(link()),
        any::<Option<IpAddr>>(),
        any::<Option<IpAddr>>(),
        any::<Option<IpAddr>>(),
    );
    (header, addresses).prop_map(
        |(
            (kind, index, flags, pid, seq, errno, uses, inits, metrics),
            (destination, gateway, genmask, ifp, ifa, author, peer),
        )| RouteMessage {
            kind,
            index,
            flags,
            pid,
            seq,
            errno,
            uses,
            inits,
            metrics,
            destination: Some(destination),
            gateway,
            genmask,
            ifp,
            ifa,
            author,
            peer,
        },
    )
}

proptest! {
    #[test]
    fn of_routes(message in route_message()) {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        prop_assert_eq!(bytes.len() % 8, 0);
        prop_assert_eq!(one(&bytes), Message::Route(message));
    }

    /// Several in a packet: each ends where the next begins.
    #[test]
    fn of_routes_back_to_back(messages in prop::collection::vec(route_message(), 1..5)) {
        let mut bytes = Vec::new();
        for message in &messages {
            message.encode(&mut bytes);
        }
        let mut rest = &bytes[..];
        for message in messages {
            let (read, length) = read(rest).expect("a message");
            prop_assert_eq!(read, Message::Route(message));
            rest = &rest[length..];
        }
        prop_assert!(rest.is_empty());
    }

    #[test]
    fn of_addresses(
        added in any::<bool>(),
        interface in link(),
        address in net(),
        broadcast in any::<Option<IpAddr>>(),
    ) {
        let message = IfAddr { added, interface, address, broadcast };
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        prop_assert_eq!(one(&bytes), Message::IfAddr(message));
    }

    #[test]
    fn of_greetings(
        seq in any::<i32>(),
        flags in 0..=extension::GREETING_FLAGS,
        stale_time in any::<u32>(),
        types in any::<u64>(),
        name in "[a-z]{0,32}",
    ) {
        let greeting = Greeting {
            seq,
            revision: extension::REVISION,
            flags,
            family: AF_INET6,
            mode: Mode::Reliable,
            stale_time,
            types,
            name,
        };
        let mut bytes = Vec::new();
        greeting.encode(&mut bytes);
        prop_assert_eq!(request::read(&bytes), Ok(ClientMessage::Greeting(greeting)));
    }
}

#[test]
fn of_interfaces() {
    let info = IfInfo {
        index: 3,
        flags: 0x8843,
        link_state: 2,
        mtu: 9000,
        kind: IFT_ETHER,
        address_length: 6,
    };
    let mut bytes = Vec::new();
    info.encode(&mut bytes);
    assert_eq!(bytes.len(), 168);
    assert_eq!(one(&bytes), Message::IfInfo(info));
    let announce = IfAnnounce {
        index: 7,
        name: "eth0.100".into(),
        arrival: false,
    };
    let mut bytes = Vec::new();
    announce.encode(&mut bytes);
    assert_eq!(bytes.len(), 24);
    assert_eq!(one(&bytes), Message::IfAnnounce(announce));
}

#[test]
fn of_our_own() {
    let at = Generations {
        epoch: 1,
        ipv4: 2,
        ipv6: 3,
    };
    let reply = GreetingReply {
        seq: 1,
        errno: None,
        revision: 1,
        at,
        max_packet: 200_000,
        window: 1024,
    };
    let end = DumpEnd {
        seq: 2,
        errno: Some(Errno::Enobufs),
        at,
    };
    let ack = Ack {
        seq: 3,
        errno: Some(Errno::Esrch),
        index: 4,
        epoch: 5,
        generation: 6,
    };
    let desync = Desync {
        errno: Some(Errno::Enobufs),
        told: Generations::default(),
        from: at,
    };
    let bytes = |encode: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = Vec::new();
        encode(&mut bytes);
        bytes
    };
    assert_eq!(
        one(&bytes(&|out| reply.encode(out))),
        Message::GreetingReply(reply)
    );
    assert_eq!(one(&bytes(&|out| end.encode(out))), Message::DumpEnd(end));
    assert_eq!(one(&bytes(&|out| ack.encode(out))), Message::Ack(ack));
    let batch = bytes(&|out| ack.encode_as(RTM_BATCH_COMMIT, out));
    assert_eq!(one(&batch), Message::BatchReply(ack));
    let marker = bytes(&|out| desync.encode(out));
    assert_eq!(marker.len(), RT_MSGHDR);
    assert_eq!(one(&marker), Message::Desync(desync));
    for kind in [
        DumpKind::Table,
        DumpKind::Flags(RTF_LLDATA),
        DumpKind::Interfaces,
    ] {
        let dump = Dump {
            seq: 9,
            kind,
            family: AF_INET,
            live_tail: true,
        };
        let dumped = request::read(&bytes(&|out| dump.encode(out)));
        assert_eq!(dumped, Ok(ClientMessage::Dump(dump)));
    }
    let begin = bytes(&|out| extension::batch_begin(7, out));
    assert_eq!(request::read(&begin), Ok(ClientMessage::BatchBegin(7)));
    let commit = bytes(&|out| extension::batch_commit(8, out));
    assert_eq!(request::read(&commit), Ok(ClientMessage::BatchCommit(8)));
}

/// The scope of a link-local gateway is the interface of its route.
#[test]
fn a_link_local_gateway_is_written_with_its_interface() {
    let message = RouteMessage {
        index: 7,
        destination: Some("2001:db8::/32".parse().expect("a prefix")),
        gateway: Some(Gateway::Ip("fe80::1".parse().expect("an address"))),
        ..RouteMessage::new(RTM_ADD)
    };
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    let scope = RT_MSGHDR + 32 + 24;
    assert_eq!(bytes[scope..scope + 4], 7_u32.to_ne_bytes());
    assert_eq!(one(&bytes), Message::Route(message));
}

/// Sizes that a compiled `struct rt_msghdr` has.
#[test]
fn a_route_through_a_gateway_has_the_length_that_bsd_gives_it() {
    for (destination, gateway, length) in [
        ("192.0.2.0/24", "192.0.2.254", 200),
        ("2001:db8::/32", "2001:db8::1", 248),
    ] {
        let message = RouteMessage {
            destination: Some(destination.parse().expect("a prefix")),
            gateway: Some(Gateway::Ip(gateway.parse().expect("an address"))),
            ..RouteMessage::new(RTM_ADD)
        };
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        assert_eq!(bytes.len(), length);
    }
}
