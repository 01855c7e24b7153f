//! IPv6: each row of the decision table.

use std::net::Ipv6Addr;

use forwarder_tests::frame::Frame6;

use super::*;

/// Next-hop ids of IPv6 are its own; these are as good as any.
const ID: u32 = 70;

fn frame6() -> Frame6 {
    Frame6 {
        to: PORT_MAC,
        ..Frame6::default()
    }
}

fn address(text: &str) -> Ipv6Addr {
    text.parse().expect("address")
}

fn on_all6(test: impl Fn(&mut Bench)) {
    on_all(|bench| {
        let word = nexthop_word(NexthopKind::Adjacency, SLOT);
        bench.route6("2001:db8:beef::/48", ID, word);
        test(bench);
    });
}

#[test]
fn rfc8200_3_forwarded_frame_has_new_macs_and_hop_limit_and_nothing_else() {
    on_all6(|bench| {
        for hop_limit in [2, 3, 64, 128, 255] {
            let frame = Frame6 {
                hop_limit,
                ..frame6()
            };
            let out = bench.forwards_bytes(&frame.bytes());
            let expected = Frame6 {
                to: NEIGHBOUR_MAC,
                from: EGRESS_MAC,
                hop_limit: hop_limit - 1,
                ..frame
            };
            assert_eq!(out, expected.bytes(), "hop limit {hop_limit}");
        }
    });
}

#[test]
fn rfc8200_3_hop_limit_of_one_or_none_goes_up() {
    on_all6(|bench| {
        for hop_limit in [0, 1] {
            let frame = Frame6 {
                hop_limit,
                ..frame6()
            };
            bench.expect_bytes(&frame.bytes(), Reason::TtlExpired);
        }
    });
}

#[test]
fn broken_ipv6_headers_are_dropped() {
    on_all6(|bench| {
        for version in [0, 4, 5, 7, 15] {
            let frame = Frame6 {
                version,
                ..frame6()
            };
            bench.expect_bytes(&frame.bytes(), Reason::BadVersion);
        }
        for beyond in [65, 1000, u16::MAX] {
            let frame = Frame6 {
                payload_len: Some(beyond),
                ..frame6()
            };
            bench.expect_bytes(&frame.bytes(), Reason::BadTotalLength);
        }
        let whole = frame6().bytes();
        for length in [14, 20, 33, 53] {
            bench.expect_bytes(&whole[..length], Reason::Truncated);
        }
    });
}

#[test]
fn rfc4291_2_5_martian_sources_are_dropped() {
    on_all6(|bench| {
        for source in ["::", "::1", "ff02::1", "ff0e::7"] {
            let frame = Frame6 {
                source: address(source),
                ..frame6()
            };
            bench.expect_bytes(&frame.bytes(), Reason::MartianSource);
        }
        for source in [
            "::2",
            "::192.0.2.1",
            "::ffff:192.0.2.1",
            "fec0::1",
            "64:ff9b::1",
            "1::",
        ] {
            let frame = Frame6 {
                source: address(source),
                ..frame6()
            };
            bench.forwards_bytes(&frame.bytes());
        }
    });
}

#[test]
fn ipv6_packets_from_our_own_addresses_are_dropped() {
    on_all6(|bench| {
        let source = address("2001:db8:1::7");
        bench.tables.add_own::<Ipv6>(source).expect("own");
        bench.expect_bytes(&frame6().bytes(), Reason::OwnSource);
        bench.tables.remove_own::<Ipv6>(source).expect("own");
        bench.forwards_bytes(&frame6().bytes());
    });
}

#[test]
fn rfc4291_2_5_6_link_local_sources_are_not_forwarded() {
    on_all6(|bench| {
        for source in ["fe80::1", "febf:ffff::1"] {
            let frame = Frame6 {
                source: address(source),
                ..frame6()
            };
            bench.expect_bytes(&frame.bytes(), Reason::LinkLocal);
        }
    });
}

#[test]
fn rfc8200_4_3_hop_by_hop_options_go_up() {
    on_all6(|bench| {
        for payload_len in [None, Some(0)] {
            let frame = Frame6 {
                next_header: 0,
                payload_len,
                ..frame6()
            };
            bench.expect_bytes(&frame.bytes(), Reason::HopByHop);
        }
    });
}

#[test]
fn what_an_ipv6_route_says_is_the_reason() {
    on_all6(|bench| {
        let drop = nexthop_word(NexthopKind::Drop, Reason::Blackhole as u32);
        let resolve = nexthop_word(NexthopKind::Resolve, NUMBER);
        for (id, word, reason) in [
            (71, up(Reason::ForUs), Reason::ForUs),
            (72, up(Reason::NotUnicast), Reason::NotUnicast),
            (73, up(Reason::Unreachable), Reason::Unreachable),
            (74, up(Reason::KernelRoute), Reason::KernelRoute),
            (75, drop, Reason::Blackhole),
            (76, resolve, Reason::Unresolved),
            (77, 0, Reason::Unresolved),
        ] {
            bench.route6("2001:db8:beef::9/128", id, word);
            bench.expect_bytes(&frame6().bytes(), reason);
        }
    });
}

#[test]
fn ipv6_without_a_route_goes_up() {
    on_all6(|bench| {
        let frame = Frame6 {
            destination: address("2001:db8:dead::1"),
            ..frame6()
        };
        bench.expect_bytes(&frame.bytes(), Reason::NoRoute);
    });
}

#[test]
fn rfc8201_an_ipv6_packet_counts_with_its_header_against_the_mtu() {
    on_all6(|bench| {
        let sized = |payload| Frame6 {
            payload: vec![7; payload],
            ..frame6()
        };
        bench.forwards_bytes(&sized(MTU as usize - 40).bytes());
        let longer = sized(MTU as usize - 39).bytes();
        bench.expect_bytes(&longer, Reason::MtuExceeded);
    });
}

#[test]
fn bytes_behind_an_ipv6_packet_are_trimmed() {
    on_all6(|bench| {
        let frame = Frame6 {
            trailer: vec![0xee; 33],
            ..frame6()
        };
        let out = bench.forwards_bytes(&frame.bytes());
        assert_eq!(out.len(), 14 + 40 + 64);
    });
}

#[test]
fn every_length_of_prefix_is_found_in_both_engines() {
    on_all6(|bench| {
        bench.route6("::/0", 80, up(Reason::KernelRoute));
        for length in 1..=128u8 {
            let net = Ipv6Net::new(address("2001:db8:cafe:1234:5678:9abc:def0:1357"), length);
            let net = net.expect("length").trunc();
            // The longest of all lengths so far: its id tells which.
            let word = nexthop_word(NexthopKind::Drop, u32::from(length % 2));
            bench
                .tables
                .set_nexthop(100 + u32::from(length), word)
                .expect("word");
            let routes = bench.tables.of_mut::<Ipv6>();
            routes
                .set_route(net, 100 + u32::from(length))
                .expect("room");
            let frame = Frame6 {
                destination: address("2001:db8:cafe:1234:5678:9abc:def0:1357"),
                ..frame6()
            };
            let (action, _) = bench.run(&frame.bytes());
            assert_eq!(action, XDP_DROP, "length {length}");
        }
        // Each goes, the longest first: what is behind it shows.
        for length in (1..=128u8).rev() {
            let net = Ipv6Net::new(address("2001:db8:cafe:1234:5678:9abc:def0:1357"), length);
            let net = net.expect("length").trunc();
            bench
                .tables
                .of_mut::<Ipv6>()
                .remove_route(net)
                .expect("there");
        }
        let frame = Frame6 {
            destination: address("2001:db8:cafe:1234:5678:9abc:def0:1357"),
            ..frame6()
        };
        bench.expect_bytes(&frame.bytes(), Reason::KernelRoute);
    });
}

#[test]
fn ipv4_and_ipv6_are_handed_up_each_by_its_own_reason() {
    on_all6(|bench| {
        let port = Port {
            ifindex: PORT,
            number: NUMBER,
            mac: PORT_MAC,
            up_reason6: Reason::ForwardingOff as u16,
            ..Port::default()
        };
        bench.tables.set_port(port).expect("port");
        bench.forwards(&frame());
        bench.expect_bytes(&frame6().bytes(), Reason::ForwardingOff);
    });
}
