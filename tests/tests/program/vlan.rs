//! VLAN tags: popped, pushed, exchanged, left alone, and what is the kernel's.

use aya::programs::ProgramError;
use forwarder_common::abi::{PORT_VLANS, Tags, VlanKey};
use forwarder_tests::frame::Frame6;

use super::*;

const Q: u16 = 0x8100;
const AD: u16 = 0x88a8;

/// A sub-interface of the port: its tags, ifindex and number.
struct Sub {
    tags: &'static [(u16, u16)],
    ifindex: u32,
    number: u32,
}

const SINGLE: Sub = Sub {
    tags: &[(Q, 10)],
    ifindex: 1010,
    number: 10,
};
const DOUBLE: Sub = Sub {
    tags: &[(AD, 20), (Q, 30)],
    ifindex: 1020,
    number: 20,
};
/// Another MAC than its parent's.
const SUB_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x12];

const NOTHING: &[(u16, u16)] = &[];
const WAYS: [&[(u16, u16)]; 5] = [
    NOTHING,
    &[(Q, 10)],
    &[(AD, 4094)],
    &[(AD, 20), (Q, 30)],
    &[(Q, 1), (Q, 10)],
];

fn word(tags: &[(u16, u16)]) -> Tags {
    match *tags {
        [] => Tags::NONE,
        [(tpid, vid)] => Tags::one(vid, tpid == AD),
        [outer, inner] => Tags::two((outer.1, outer.0 == AD), (inner.1, inner.0 == AD)),
        _ => panic!("more tags than the word holds"),
    }
}

/// The frame with these tags, each `(TPID, TCI)`.
fn tagged(untagged: &[u8], tags: &[(u16, u16)]) -> Vec<u8> {
    let mut frame = untagged[..12].to_vec();
    for (tpid, tci) in tags {
        frame.extend(tpid.to_be_bytes());
        frame.extend(tci.to_be_bytes());
    }
    frame.extend(&untagged[12..]);
    frame
}

fn add(bench: &mut Bench, sub: &Sub, up_reason: u16) {
    let key = VlanKey {
        parent: PORT,
        tags: word(sub.tags).0,
    };
    let port = Port {
        ifindex: sub.ifindex,
        number: sub.number,
        mac: SUB_MAC,
        up_reason4: up_reason,
        up_reason6: up_reason,
        tx: NUMBER,
        tags: key.tags,
        ..Port::default()
    };
    bench.tables.set_vlan(key, port).expect("sub-interface");
}

/// The neighbour is reached with these tags.
fn leaves_with(bench: &mut Bench, tags: &[(u16, u16)]) {
    let adjacency = Adjacency {
        destination: NEIGHBOUR_MAC,
        source: EGRESS_MAC,
        port: NUMBER,
        mtu: MTU,
        ifindex: 99,
        tags: word(tags).0,
        ..Adjacency::default()
    };
    bench.tables.set_adjacency(SLOT, adjacency).expect("slot");
}

fn on_trunk(test: impl Fn(&mut Bench)) {
    on_all(|bench| {
        let port = Port {
            ifindex: PORT,
            number: NUMBER,
            mac: PORT_MAC,
            flags: PORT_VLANS,
            tx: NUMBER,
            ..Port::default()
        };
        bench.tables.set_port(port).expect("port");
        bench.route6(
            "2001:db8:beef::/48",
            70,
            nexthop_word(NexthopKind::Adjacency, SLOT),
        );
        for tags in WAYS.into_iter().filter(|tags| !tags.is_empty()) {
            let sub = Sub { tags, ..SINGLE };
            add(bench, &sub, 0);
        }
        add(bench, &DOUBLE, 0);
        test(bench);
    });
}

fn to_sub() -> Frame {
    Frame {
        to: SUB_MAC,
        ..Frame::default()
    }
}

fn to_sub6() -> Frame6 {
    Frame6 {
        to: SUB_MAC,
        ..Frame6::default()
    }
}

/// What is forwarded, and counted at this number.
fn forwards(bench: &mut Bench, frame: &[u8], number: u32) -> Vec<u8> {
    let before = bench.count(number, Reason::Forwarded);
    let (action, out) = bench.run(frame);
    assert_eq!(action, XDP_REDIRECT);
    assert_eq!(bench.count(number, Reason::Forwarded), before + 1);
    out
}

/// The frame ends under this reason at this number, unchanged.
fn ends(bench: &mut Bench, frame: &[u8], number: u32, reason: Reason) {
    let before = bench.count(number, reason);
    let (action, out) = bench.run(frame);
    let wanted = match reason.verdict() {
        Verdict::Up => XDP_PASS,
        _ => XDP_DROP,
    };
    assert_eq!(action, wanted, "action for {reason:?}");
    assert_eq!(out, frame, "{reason:?}: not touched");
    assert_eq!(bench.count(number, reason), before + 1, "{reason:?}");
}

#[test]
fn ieee8021q_tags_are_popped_pushed_and_exchanged_in_both_families() {
    on_trunk(|bench| {
        for into in WAYS {
            for out_of in WAYS {
                leaves_with(bench, out_of);
                let (to, number) = if into.is_empty() {
                    (PORT_MAC, NUMBER)
                } else if into == DOUBLE.tags {
                    (SUB_MAC, DOUBLE.number)
                } else {
                    (SUB_MAC, SINGLE.number)
                };
                let frame = Frame { to, ..frame() };
                let out = forwards(bench, &tagged(&frame.bytes(), into), number);
                let expected = Frame {
                    to: NEIGHBOUR_MAC,
                    from: EGRESS_MAC,
                    ttl: frame.ttl - 1,
                    ..frame
                };
                assert_eq!(
                    out,
                    tagged(&expected.bytes(), out_of),
                    "{into:?} {out_of:?}"
                );
                let frame = Frame6 {
                    to,
                    ..Frame6::default()
                };
                let out = forwards(bench, &tagged(&frame.bytes(), into), number);
                let expected = Frame6 {
                    to: NEIGHBOUR_MAC,
                    from: EGRESS_MAC,
                    hop_limit: frame.hop_limit - 1,
                    ..frame
                };
                assert_eq!(
                    out,
                    tagged(&expected.bytes(), out_of),
                    "{into:?} {out_of:?}"
                );
            }
        }
    });
}

#[test]
fn the_priority_of_a_tag_is_one_hops_affair() {
    on_trunk(|bench| {
        leaves_with(bench, &[(Q, 11)]);
        // Priority 5 and the drop-eligible bit.
        let frame = tagged(&to_sub().bytes(), &[(Q, 0xb000 | 10)]);
        let out = forwards(bench, &frame, SINGLE.number);
        assert_eq!(out[12..16], [0x81, 0, 0, 11]);
    });
}

#[test]
fn tags_that_name_no_sub_interface_of_ours_go_up() {
    on_trunk(|bench| {
        let cases: [&[(u16, u16)]; 9] = [
            &[(Q, 11)],
            &[(AD, 10)],
            &[(Q, 4095)],
            &[(AD, 20)],
            &[(AD, 20), (Q, 31)],
            &[(Q, 30), (AD, 20)],
            // Priority tags.
            &[(Q, 0)],
            &[(AD, 20), (Q, 0)],
            &[(Q, 0), (Q, 10)],
        ];
        for tags in cases {
            let frame = tagged(&to_sub().bytes(), tags);
            ends(bench, &frame, NUMBER, Reason::Vlan);
        }
        // A third tag, behind two that are known.
        let frame = tagged(&to_sub().bytes(), &[(AD, 20), (Q, 30), (Q, 10)]);
        ends(bench, &frame, DOUBLE.number, Reason::Vlan);
    });
}

#[test]
fn a_sub_interface_that_is_gone_is_the_kernels() {
    on_trunk(|bench| {
        let frame = tagged(&to_sub().bytes(), SINGLE.tags);
        forwards(bench, &frame, SINGLE.number);
        let key = VlanKey {
            parent: PORT,
            tags: word(SINGLE.tags).0,
        };
        bench.tables.clear_vlan(key).expect("gone");
        bench.tables.clear_vlan(key).expect("gone already");
        ends(bench, &frame, NUMBER, Reason::Vlan);
    });
}

/// Without the flag the map is not even asked.
#[test]
fn a_port_without_sub_interfaces_hands_tagged_frames_up() {
    on_trunk(|bench| {
        let port = Port {
            ifindex: PORT,
            number: NUMBER,
            mac: PORT_MAC,
            ..Port::default()
        };
        bench.tables.set_port(port).expect("port");
        let frame = tagged(&to_sub().bytes(), SINGLE.tags);
        ends(bench, &frame, NUMBER, Reason::Vlan);
    });
}

#[test]
fn frames_cut_within_their_tags_go_up() {
    on_trunk(|bench| {
        let whole = tagged(&to_sub().bytes(), DOUBLE.tags);
        for length in 14..20 {
            ends(bench, &whole[..length], NUMBER, Reason::Vlan);
        }
        for length in 20..42 {
            let frame = &whole[..length];
            ends(bench, frame, DOUBLE.number, Reason::Truncated);
        }
    });
}

#[test]
fn every_row_of_the_table_holds_for_a_tagged_frame() {
    on_trunk(|bench| {
        bench
            .tables
            .add_own::<Ipv4>([192, 0, 2, 9].into())
            .expect("own");
        let rows: [(Frame, Reason); 12] = [
            (
                Frame {
                    to: PORT_MAC,
                    ..to_sub()
                },
                Reason::NotOurMac,
            ),
            (
                Frame {
                    to: [0xff; 6],
                    ..to_sub()
                },
                Reason::NotOurMac,
            ),
            (
                Frame {
                    ether_type: 0x0806,
                    ..to_sub()
                },
                Reason::Arp,
            ),
            (
                Frame {
                    ether_type: 0x88cc,
                    ..to_sub()
                },
                Reason::NotIp,
            ),
            (
                Frame {
                    version: 6,
                    ..to_sub()
                },
                Reason::BadVersion,
            ),
            (
                Frame {
                    ihl: Some(4),
                    ..to_sub()
                },
                Reason::BadHeaderLength,
            ),
            (
                Frame {
                    total_len: Some(85),
                    ..to_sub()
                },
                Reason::BadTotalLength,
            ),
            (
                Frame {
                    checksum_error: 1,
                    ..to_sub()
                },
                Reason::BadChecksum,
            ),
            (
                Frame {
                    source: [127, 0, 0, 1].into(),
                    ..to_sub()
                },
                Reason::MartianSource,
            ),
            (
                Frame {
                    source: [192, 0, 2, 9].into(),
                    ..to_sub()
                },
                Reason::OwnSource,
            ),
            (
                Frame {
                    options: vec![1; 40],
                    ..to_sub()
                },
                Reason::IpOptions,
            ),
            (
                Frame {
                    destination: [192, 0, 2, 1].into(),
                    ..to_sub()
                },
                Reason::NoRoute,
            ),
        ];
        for sub in [SINGLE, DOUBLE] {
            for (frame, reason) in &rows {
                ends(
                    bench,
                    &tagged(&frame.bytes(), sub.tags),
                    sub.number,
                    *reason,
                );
            }
            let ttl = Frame { ttl: 1, ..to_sub() };
            ends(
                bench,
                &tagged(&ttl.bytes(), sub.tags),
                sub.number,
                Reason::TtlExpired,
            );
            for reason in [
                Reason::ForUs,
                Reason::Tc,
                Reason::Multipath,
                Reason::Unreachable,
            ] {
                bench.route("203.0.113.9/32", 21, up(reason));
                ends(
                    bench,
                    &tagged(&to_sub().bytes(), sub.tags),
                    sub.number,
                    reason,
                );
            }
            let resolve = nexthop_word(NexthopKind::Resolve, sub.number);
            bench.route("203.0.113.9/32", 21, resolve);
            ends(
                bench,
                &tagged(&to_sub().bytes(), sub.tags),
                sub.number,
                Reason::Unresolved,
            );
            let way = nexthop_word(NexthopKind::Adjacency, SLOT);
            bench.route("203.0.113.9/32", 21, way);
        }
    });
}

#[test]
fn every_ipv6_row_holds_for_a_tagged_frame() {
    on_trunk(|bench| {
        let source = |text: &str| Frame6 {
            source: text.parse().expect("address"),
            ..to_sub6()
        };
        let rows: [(Frame6, Reason); 8] = [
            (
                Frame6 {
                    to: PORT_MAC,
                    ..to_sub6()
                },
                Reason::NotOurMac,
            ),
            (
                Frame6 {
                    version: 4,
                    ..to_sub6()
                },
                Reason::BadVersion,
            ),
            (
                Frame6 {
                    payload_len: Some(65),
                    ..to_sub6()
                },
                Reason::BadTotalLength,
            ),
            (source("::1"), Reason::MartianSource),
            (source("fe80::1"), Reason::LinkLocal),
            (
                Frame6 {
                    next_header: 0,
                    ..to_sub6()
                },
                Reason::HopByHop,
            ),
            (
                Frame6 {
                    hop_limit: 1,
                    ..to_sub6()
                },
                Reason::TtlExpired,
            ),
            (
                Frame6 {
                    destination: "2001:db8:1::1".parse().expect("address"),
                    ..to_sub6()
                },
                Reason::NoRoute,
            ),
        ];
        for sub in [SINGLE, DOUBLE] {
            for (frame, reason) in &rows {
                ends(
                    bench,
                    &tagged(&frame.bytes(), sub.tags),
                    sub.number,
                    *reason,
                );
            }
        }
    });
}

#[test]
fn a_sub_interface_is_handed_up_by_itself() {
    on_trunk(|bench| {
        add(bench, &SINGLE, Reason::ForwardingOff as u16);
        let frame = tagged(&to_sub().bytes(), SINGLE.tags);
        ends(bench, &frame, SINGLE.number, Reason::ForwardingOff);
        forwards(bench, &frame_to_parent(), NUMBER);
        let double = tagged(&to_sub().bytes(), DOUBLE.tags);
        forwards(bench, &double, DOUBLE.number);
    });
}

fn frame_to_parent() -> Vec<u8> {
    frame().bytes()
}

#[test]
fn the_mtu_counts_the_ip_packet_and_no_tags() {
    on_trunk(|bench| {
        let sized = |length: usize| {
            let frame = Frame {
                payload: vec![0; length - 20],
                ..to_sub()
            };
            frame.bytes()
        };
        for into in [SINGLE, DOUBLE] {
            for out_of in WAYS {
                leaves_with(bench, out_of);
                let fits = tagged(&sized(MTU as usize), into.tags);
                forwards(bench, &fits, into.number);
                let large = tagged(&sized(MTU as usize + 1), into.tags);
                ends(bench, &large, into.number, Reason::MtuExceeded);
            }
        }
    });
}

#[test]
fn bytes_behind_the_packet_are_trimmed_to_a_minimum_payload() {
    on_trunk(|bench| {
        for into in WAYS {
            let (to, number) = match into {
                [] => (PORT_MAC, NUMBER),
                tags if tags == DOUBLE.tags => (SUB_MAC, DOUBLE.number),
                _ => (SUB_MAC, SINGLE.number),
            };
            for out_of in WAYS {
                leaves_with(bench, out_of);
                let link = 14 + 4 * out_of.len();
                // (IP payload, bytes behind it) → IP packet and what is left behind.
                for (payload, behind, left) in [(64, 30, 84), (8, 40, 46), (8, 18, 46)] {
                    let frame = Frame {
                        to,
                        payload: vec![1; payload],
                        trailer: vec![0xee; behind],
                        ..frame()
                    };
                    let out = forwards(bench, &tagged(&frame.bytes(), into), number);
                    assert_eq!(
                        out.len(),
                        link + left,
                        "{into:?} {out_of:?} {payload}+{behind}"
                    );
                }
            }
        }
    });
}

/// 60 bytes with tags are a whole frame, without them a runt.
#[test]
fn a_short_frame_is_padded_when_it_loses_tags() {
    on_trunk(|bench| {
        let short = Frame {
            payload: vec![1; 8],
            trailer: vec![0; 14],
            ..to_sub()
        };
        let bytes = tagged(&short.bytes(), SINGLE.tags);
        assert_eq!(bytes.len(), 60);
        leaves_with(bench, NOTHING);
        let out = forwards(bench, &bytes, SINGLE.number);
        assert_eq!(out.len(), 60);
        assert_eq!(out[42..], [0; 18], "padded with nothing of others");
        // Tags exchanged: as long as it came.
        leaves_with(bench, &[(AD, 7)]);
        assert_eq!(forwards(bench, &bytes, SINGLE.number).len(), 60);
    });
}

/// Metadata in front of a frame leaves no room for a tag: the kernel gives the
/// program 256 bytes, keeps 40, and the rest is metadata here.
#[test]
fn a_frame_without_room_for_a_tag_goes_up_unchanged() {
    if !takes_long_metadata() {
        let (release, _) = running_kernel();
        let why = format!("Linux {release} takes 32 bytes of metadata, which leaves room for tags");
        return skip("program-no-headroom", &why);
    }
    on_trunk(|bench| {
        leaves_with(bench, DOUBLE.tags);
        for trailer in [0, 30] {
            let frame = Frame {
                trailer: vec![0xee; trailer],
                ..frame()
            };
            for (metadata, reason) in [(208, Reason::Forwarded), (212, Reason::NoHeadroom)] {
                let before = bench.count(NUMBER, reason);
                let mut bytes = vec![0; metadata];
                bytes.extend(frame.bytes());
                let ran = run_behind(bench, &mut bytes, metadata as u32);
                let action = ran.expect("test_run");
                assert_eq!(bench.count(NUMBER, reason), before + 1, "{metadata}");
                if reason == Reason::NoHeadroom {
                    assert_eq!(action, XDP_PASS);
                    assert_eq!(bytes[metadata..], frame.bytes());
                }
            }
        }
    });
}

/// Metadata was 32 bytes at most (`xdp_metalen_invalid`), later 255.
fn takes_long_metadata() -> bool {
    let mut bench = Bench::new(program::FORWARD, ENGINES[0]);
    let mut bytes = vec![0; 36];
    bytes.extend(frame().bytes());
    let ran = run_behind(&mut bench, &mut bytes, 36);
    // What is refused otherwise than by that rule fails in the test.
    let Err(ProgramError::SyscallError(refused)) = ran else {
        return true;
    };
    refused.io_error.raw_os_error() != Some(nix::libc::EINVAL)
}

/// Runs a frame with metadata in front of it, which comes back in its place.
fn run_behind(bench: &mut Bench, bytes: &mut Vec<u8>, metadata: u32) -> Result<u32, ProgramError> {
    let context: Vec<u8> = [metadata, bytes.len() as u32, 0, PORT, 0, 0]
        .iter()
        .flat_map(|word: &u32| word.to_ne_bytes())
        .collect();
    let mut out = vec![0; bytes.len() + 64];
    let program = bench.object.xdp(bench.program).expect("program");
    let result = program.test_run(TestRunOptions {
        data_in: Some(bytes),
        data_out: Some(&mut out),
        ctx_in: Some(&context),
        ..TestRunOptions::default()
    })?;
    out.truncate(result.data_size_out as usize);
    *bytes = out;
    Ok(result.return_value)
}
