//! The XDP program on frames built by hand (`BPF_PROG_TEST_RUN`): each row of
//! the decision table, the bytes that come out, and that a frame handed up is
//! the one that went in, bit for bit.

mod engines;
mod equal;
mod events;
mod groups;
mod ipv6;
mod kernel;
mod reverse_path;
mod vlan;

use std::net::Ipv4Addr;

use aya::programs::{TestRun as _, TestRunOptions};
use forwarder::dataplane::object::{Lookup, Object, RowLayout, running_kernel};
use forwarder::dataplane::tables::Tables;
use forwarder_common::abi::{
    Adjacency, NexthopKind, PORT_SEND_REDIRECTS, Port, nexthop_word, program,
};
use forwarder_common::checksum;
use forwarder_common::reason::{PuntClass, Reason, Verdict};
use forwarder_core::net::{Ipv4, Ipv6};
use forwarder_tests::frame::Frame;
use forwarder_tests::lab::skip;
use ipnet::{Ipv4Net, Ipv6Net};

/// `lo`, where test_run has frames arrive that no context says otherwise of
/// (and kernels before 5.14 take none with a program).
const PORT: u32 = 1;
const NUMBER: u32 = 1;
const PORT_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x10];
const NEIGHBOUR_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x20];
const EGRESS_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x11];
const MTU: u32 = 1500;

const ADJACENCY_ID: u32 = 7;
const SLOT: u32 = 3;
/// Of the flow hash.
const SEED: u32 = 7;
const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;
const XDP_REDIRECT: u32 = 4;

const ENGINES: [Lookup; 2] = [
    Lookup::Multibit {
        rows4: 2048,
        rows6: 2048,
    },
    Lookup::LpmTrie { prefixes: 1024 },
];

/// For `--success-output`.
#[expect(clippy::print_stderr, reason = "a test's own report")]
fn show(figures: &str) {
    eprintln!("{figures}");
}

struct Bench {
    object: Object,
    tables: Tables,
    program: &'static str,
}

impl Bench {
    /// A router with one port, `203.0.113.0/24` behind a resolved neighbour.
    fn new(program: &'static str, lookup: Lookup) -> Bench {
        let object = Object::load_laid_out(lookup, RowLayout::Whole, SEED);
        Self::with_object(program, object.expect("load"))
    }

    fn with_object(program: &'static str, mut object: Object) -> Bench {
        let mut tables = Tables::new(&mut object).expect("maps");
        tables
            .set_port(Port {
                ifindex: PORT,
                number: NUMBER,
                mac: PORT_MAC,
                ..Port::default()
            })
            .expect("port");
        let adjacency = Adjacency {
            destination: NEIGHBOUR_MAC,
            source: EGRESS_MAC,
            port: NUMBER,
            mtu: MTU,
            ifindex: 99,
            ..Adjacency::default()
        };
        tables.set_adjacency(SLOT, adjacency).expect("adjacency");
        let mut bench = Bench {
            object,
            tables,
            program,
        };
        bench.route(
            "203.0.113.0/24",
            ADJACENCY_ID,
            nexthop_word(NexthopKind::Adjacency, SLOT),
        );
        bench
    }

    fn route6(&mut self, prefix: &str, id: u32, word: u32) {
        let prefix: Ipv6Net = prefix.parse().expect("prefix");
        self.tables.set_nexthop(id, word).expect("word");
        let routes = self.tables.of_mut::<Ipv6>();
        routes.set_route(prefix, id).expect("route");
    }

    fn route(&mut self, prefix: &str, id: u32, word: u32) {
        let prefix: Ipv4Net = prefix.parse().expect("prefix");
        self.tables.set_nexthop(id, word).expect("word");
        self.tables
            .of_mut::<Ipv4>()
            .set_route(prefix, id)
            .expect("route");
    }

    /// Runs the program once: (action, bytes after).
    fn run(&mut self, frame: &[u8]) -> (u32, Vec<u8>) {
        let mut out = vec![0; frame.len() + 64];
        let program = self.object.xdp(self.program).expect("program");
        let result = program
            .test_run(TestRunOptions {
                data_in: Some(frame),
                data_out: Some(&mut out),
                ..TestRunOptions::default()
            })
            .expect("test_run");
        out.truncate(result.data_size_out as usize);
        (result.return_value, out)
    }

    fn count(&self, number: u32, reason: Reason) -> u64 {
        self.tables.counters(number).expect("counters").reasons[reason as usize].packets
    }

    fn total(&self) -> u64 {
        let row = self.tables.counters(NUMBER).expect("counters");
        row.reasons.iter().map(|counter| counter.packets).sum()
    }

    /// The frame ends under this reason and no other, unchanged.
    fn expect(&mut self, frame: &Frame, reason: Reason) {
        self.expect_bytes(&frame.bytes(), reason);
    }

    fn expect_bytes(&mut self, bytes: &[u8], reason: Reason) {
        let (before, total) = (self.count(NUMBER, reason), self.total());
        let (action, out) = self.run(bytes);
        let wanted = match reason.verdict() {
            Verdict::Up => XDP_PASS,
            Verdict::Dropped => XDP_DROP,
            Verdict::Forwarded | Verdict::Transmit => XDP_REDIRECT,
        };
        assert_eq!(action, wanted, "action for {reason:?}");
        assert_eq!(out, bytes, "a frame that is not forwarded is not touched");
        assert_eq!(
            self.count(NUMBER, reason),
            before + 1,
            "counted as {reason:?}"
        );
        assert_eq!(self.total(), total + 1, "counted once");
    }

    /// The frame is forwarded; returns what would leave.
    fn forwards(&mut self, frame: &Frame) -> Vec<u8> {
        self.forwards_bytes(&frame.bytes())
    }

    fn forwards_bytes(&mut self, bytes: &[u8]) -> Vec<u8> {
        let before = self.count(NUMBER, Reason::Forwarded);
        let (action, out) = self.run(bytes);
        assert_eq!(action, XDP_REDIRECT);
        assert_eq!(self.count(NUMBER, Reason::Forwarded), before + 1);
        out
    }
}

fn frame() -> Frame {
    Frame {
        to: PORT_MAC,
        ..Frame::default()
    }
}

fn up(reason: Reason) -> u32 {
    nexthop_word(NexthopKind::Up, reason as u32)
}

/// Those that this kernel has to take.
fn programs() -> &'static [&'static str] {
    if has_multi_buffer() {
        &[program::FORWARD, program::FORWARD_FRAGS]
    } else {
        &[program::FORWARD]
    }
}

/// Linux 5.18 and later have programs that see frames in several buffers.
fn has_multi_buffer() -> bool {
    running_kernel().1.is_none_or(|version| version >= (5, 18))
}

/// What the other tests leave out on older kernels.
#[test]
fn the_multi_buffer_program_is_there_where_the_kernel_has_it() {
    if !has_multi_buffer() {
        let (release, _) = running_kernel();
        return skip(
            "program-frags",
            &format!("Linux {release} has no multi-buffer XDP (5.18)"),
        );
    }
    let object = Object::load(ENGINES[0]).expect("load");
    assert_eq!(object.frags_refused, None);
}

/// Every test runs on both programs with both engines: they share the code, not
/// the verifier's opinion of it.
fn on_all(test: impl Fn(&mut Bench)) {
    for name in programs() {
        for lookup in ENGINES {
            test(&mut Bench::new(name, lookup));
        }
    }
}

#[test]
fn forwarded_frame_has_new_macs_ttl_and_checksum_and_nothing_else() {
    on_all(|bench| {
        for ttl in [2, 3, 64, 128, 255] {
            let frame = Frame { ttl, ..frame() };
            let out = bench.forwards(&frame);
            let expected = Frame {
                to: NEIGHBOUR_MAC,
                from: EGRESS_MAC,
                ttl: ttl - 1,
                ..frame
            };
            assert_eq!(out, expected.bytes(), "ttl {ttl}");
            assert!(checksum::is_valid(&out[14..34]));
        }
    });
}

#[test]
fn other_protocols_go_up() {
    on_all(|bench| {
        for (ether_type, reason) in [
            (0x0806, Reason::Arp),
            (0x8100, Reason::Vlan),
            (0x88a8, Reason::Vlan),
            (0x88cc, Reason::NotIp),
        ] {
            bench.expect(
                &Frame {
                    ether_type,
                    ..frame()
                },
                reason,
            );
        }
    });
}

#[test]
fn other_macs_go_up() {
    on_all(|bench| {
        for to in [[0xff; 6], [1, 0, 0x5e, 0, 0, 9], NEIGHBOUR_MAC] {
            bench.expect(&Frame { to, ..frame() }, Reason::NotOurMac);
        }
    });
}

#[test]
fn frames_cut_short_are_dropped() {
    on_all(|bench| {
        let bytes = frame().bytes();
        for length in 14..34 {
            bench.expect_bytes(&bytes[..length], Reason::Truncated);
        }
    });
}

#[test]
fn rfc1812_5_2_2_broken_headers_are_dropped() {
    on_all(|bench| {
        bench.expect(
            &Frame {
                version: 6,
                ..frame()
            },
            Reason::BadVersion,
        );
        bench.expect(
            &Frame {
                version: 0,
                ..frame()
            },
            Reason::BadVersion,
        );
        for ihl in 0..5 {
            bench.expect(
                &Frame {
                    ihl: Some(ihl),
                    ..frame()
                },
                Reason::BadHeaderLength,
            );
        }
        let true_length = 20 + 64;
        for total_len in [0, 19, true_length + 1, 0xffff] {
            let frame = Frame {
                total_len: Some(total_len),
                ..frame()
            };
            bench.expect(&frame, Reason::BadTotalLength);
        }
        for checksum_error in [1, 0x100, 0x8000] {
            bench.expect(
                &Frame {
                    checksum_error,
                    ..frame()
                },
                Reason::BadChecksum,
            );
        }
    });
}

#[test]
fn rfc1812_5_2_2_the_checksum_covers_the_options() {
    on_all(|bench| {
        for words in 1..=10 {
            let options = vec![1; words * 4];
            bench.expect(
                &Frame {
                    options: options.clone(),
                    ..frame()
                },
                Reason::IpOptions,
            );
            let broken = Frame {
                options,
                checksum_error: 3,
                ..frame()
            };
            bench.expect(&broken, Reason::BadChecksum);
        }
    });
}

#[test]
fn rfc1812_5_3_7_martian_sources_are_dropped() {
    on_all(|bench| {
        for source in [
            "0.1.2.3",
            "127.0.0.1",
            "224.0.0.9",
            "240.0.0.1",
            "255.255.255.255",
        ] {
            let source = source.parse().expect("address");
            bench.expect(&Frame { source, ..frame() }, Reason::MartianSource);
        }
    });
}

#[test]
fn packets_from_our_own_addresses_are_dropped() {
    on_all(|bench| {
        let source = Ipv4Addr::new(198, 51, 100, 7);
        bench.tables.add_own::<Ipv4>(source).expect("own");
        bench.expect(&Frame { source, ..frame() }, Reason::OwnSource);
        bench.tables.remove_own::<Ipv4>(source).expect("own");
        bench.forwards(&Frame { source, ..frame() });
    });
}

#[test]
fn rfc3927_2_7_link_local_sources_are_not_forwarded() {
    on_all(|bench| {
        let source = Ipv4Addr::new(169, 254, 1, 1);
        bench.expect(&Frame { source, ..frame() }, Reason::LinkLocal);
    });
}

#[test]
fn rfc1812_5_3_1_ttl_of_one_or_none_goes_up() {
    on_all(|bench| {
        for ttl in [0, 1] {
            bench.expect(&Frame { ttl, ..frame() }, Reason::TtlExpired);
        }
    });
}

#[test]
fn a_packet_for_ourselves_may_have_any_ttl() {
    on_all(|bench| {
        bench.route("203.0.113.9/32", 20, up(Reason::ForUs));
        for ttl in [0, 1, 2, 255] {
            bench.expect(&Frame { ttl, ..frame() }, Reason::ForUs);
        }
    });
}

#[test]
fn what_the_route_says_is_the_reason() {
    on_all(|bench| {
        for reason in [
            Reason::NotUnicast,
            Reason::LinkLocal,
            Reason::Unreachable,
            Reason::Multipath,
            Reason::KernelRoute,
            Reason::EgressCannotRedirect,
            Reason::Tc,
        ] {
            bench.route("203.0.113.9/32", 21, up(reason));
            bench.expect(&frame(), reason);
        }
        let word = nexthop_word(NexthopKind::Drop, Reason::Blackhole as u32);
        bench.route("203.0.113.9/32", 21, word);
        bench.expect(&frame(), Reason::Blackhole);
        bench.route(
            "203.0.113.9/32",
            21,
            nexthop_word(NexthopKind::Resolve, NUMBER),
        );
        bench.expect(&frame(), Reason::Unresolved);
        bench.route("203.0.113.9/32", 21, nexthop_word(NexthopKind::None, 0));
        bench.expect(&frame(), Reason::Unresolved);
    });
}

#[test]
fn no_route_goes_up() {
    on_all(|bench| {
        let destination = Ipv4Addr::new(192, 0, 2, 1);
        bench.expect(
            &Frame {
                destination,
                ..frame()
            },
            Reason::NoRoute,
        );
    });
}

#[test]
fn the_longest_prefix_wins() {
    on_all(|bench| {
        bench.route("0.0.0.0/0", 30, up(Reason::KernelRoute));
        bench.route("203.0.113.8/30", 31, up(Reason::Multipath));
        bench.expect(&frame(), Reason::Multipath);
        bench
            .tables
            .of_mut::<Ipv4>()
            .remove_route("203.0.113.8/30".parse().expect("prefix"))
            .expect("remove");
        bench.forwards(&frame());
        bench
            .tables
            .of_mut::<Ipv4>()
            .remove_route("203.0.113.0/24".parse().expect("prefix"))
            .expect("remove");
        bench.expect(&frame(), Reason::KernelRoute);
    });
}

#[test]
fn what_does_not_fit_the_egress_mtu_goes_up() {
    on_all(|bench| {
        let fits = Frame {
            payload: vec![0; MTU as usize - 20],
            ..frame()
        };
        bench.forwards(&fits);
        let large = Frame {
            payload: vec![0; MTU as usize - 19],
            ..frame()
        };
        bench.expect(&large, Reason::MtuExceeded);
        // A frame that carries more than its header says (coalesced by GRO).
        let coalesced = Frame {
            total_len: Some(100),
            ..large
        };
        bench.expect(&coalesced, Reason::MtuExceeded);
    });
}

#[test]
fn an_egress_without_an_entry_in_the_devmap_is_the_kernels() {
    on_all(|bench| {
        let adjacency = Adjacency {
            port: 200,
            mtu: MTU,
            ..Adjacency::default()
        };
        bench.tables.set_adjacency(9, adjacency).expect("adjacency");
        bench.route(
            "203.0.113.9/32",
            40,
            nexthop_word(NexthopKind::Adjacency, 9),
        );
        bench.expect(&frame(), Reason::EgressCannotRedirect);
    });
}

#[test]
fn bytes_behind_the_packet_are_trimmed_down_to_a_minimum_frame() {
    on_all(|bench| {
        let long = Frame {
            trailer: vec![0xee; 30],
            ..frame()
        };
        let out = bench.forwards(&long);
        assert_eq!(out.len(), 14 + 20 + 64);
        // 60 bytes with padding: as short as Ethernet has them, left alone.
        let padded = Frame {
            payload: vec![1; 8],
            trailer: vec![0; 18],
            ..frame()
        };
        assert_eq!(padded.bytes().len(), 60);
        assert_eq!(bench.forwards(&padded).len(), 60);
        let short = Frame {
            payload: vec![1; 8],
            trailer: vec![0; 40],
            ..frame()
        };
        assert_eq!(bench.forwards(&short).len(), 60);
    });
}

#[test]
fn rfc1812_5_2_7_2_one_packet_a_second_and_flow_goes_up_for_a_redirect() {
    on_all(|bench| {
        let adjacency = Adjacency {
            destination: NEIGHBOUR_MAC,
            source: PORT_MAC,
            port: NUMBER,
            mtu: MTU,
            ifindex: PORT,
            ..Adjacency::default()
        };
        bench.tables.set_adjacency(5, adjacency).expect("adjacency");
        bench.route(
            "203.0.113.9/32",
            50,
            nexthop_word(NexthopKind::Adjacency, 5),
        );
        bench.route(
            "198.51.100.0/24",
            51,
            nexthop_word(NexthopKind::Resolve, NUMBER),
        );
        // send_redirects is off: forwarded.
        bench.forwards(&frame());
        let flags = PORT_SEND_REDIRECTS;
        let port = Port {
            ifindex: PORT,
            number: NUMBER,
            mac: PORT_MAC,
            flags,
            ..Port::default()
        };
        bench.tables.set_port(port).expect("port");
        bench.expect(&frame(), Reason::RedirectDue);
        bench.forwards(&frame());
        // Another flow has its own second; a source behind a router has none.
        let source = Ipv4Addr::new(198, 51, 100, 8);
        bench.expect(&Frame { source, ..frame() }, Reason::RedirectDue);
        bench.forwards(&Frame {
            source: Ipv4Addr::new(192, 0, 2, 77),
            ..frame()
        });
    });
}

/// `__fib_validate_source` has the source looked up where it may send a
/// redirect, and drops what is from a broadcast address.
#[test]
fn from_a_broadcast_address_nothing_leaves_by_the_port_it_came_in_on() {
    on_all(|bench| {
        let adjacency = Adjacency {
            destination: NEIGHBOUR_MAC,
            source: PORT_MAC,
            port: NUMBER,
            mtu: MTU,
            ifindex: PORT,
            ..Adjacency::default()
        };
        bench.tables.set_adjacency(5, adjacency).expect("adjacency");
        let back = nexthop_word(NexthopKind::Adjacency, 5);
        bench.route("203.0.113.9/32", 50, back);
        bench.route("198.51.100.255/32", 51, up(Reason::NotUnicast));
        let broadcast = Frame {
            source: Ipv4Addr::new(198, 51, 100, 255),
            ..frame()
        };
        bench.forwards(&broadcast);
        let port = Port {
            ifindex: PORT,
            number: NUMBER,
            mac: PORT_MAC,
            flags: PORT_SEND_REDIRECTS,
            ..Port::default()
        };
        bench.tables.set_port(port).expect("port");
        bench.expect(&broadcast, Reason::NotUnicast);
        bench.expect(&broadcast, Reason::NotUnicast);
    });
}

#[test]
fn a_port_that_is_handed_up_hands_everything_up() {
    on_all(|bench| {
        let up_reason4 = Reason::Netfilter as u16;
        let port = Port {
            ifindex: PORT,
            number: NUMBER,
            mac: PORT_MAC,
            up_reason4,
            ..Port::default()
        };
        bench.tables.set_port(port).expect("port");
        bench.expect(&frame(), Reason::Netfilter);
        bench.expect(
            &Frame {
                checksum_error: 1,
                ..frame()
            },
            Reason::Netfilter,
        );
    });
}

#[test]
fn an_unknown_port_is_counted_in_row_zero() {
    on_all(|bench| {
        bench.tables.clear_port(PORT).expect("clear");
        let bytes = frame().bytes();
        let (action, out) = bench.run(&bytes);
        assert_eq!((action, out), (XDP_PASS, bytes));
        assert_eq!(bench.count(0, Reason::UnknownPort), 1);
    });
}

#[test]
fn the_excess_over_a_punt_limit_is_dropped() {
    on_all(|bench| {
        let destination = Ipv4Addr::new(192, 0, 2, 1);
        let bytes = Frame {
            destination,
            ..frame()
        }
        .bytes();
        bench
            .tables
            .set_punt_limit(PuntClass::NoRoute, 10)
            .expect("limit");
        for _ in 0..50 {
            let (_, out) = bench.run(&bytes);
            assert_eq!(out, bytes);
        }
        let up = bench.count(NUMBER, Reason::NoRoute);
        let limited = bench.count(NUMBER, Reason::PuntLimited);
        assert_eq!(up + limited, 50, "each counted once");
        // Ten a second with a burst of a tenth of one: few of fifty at once,
        // on each of the CPUs that the test may have moved across.
        assert!((1..=20).contains(&up), "{up} went up");
        // Other classes and forwarding are not concerned.
        bench.forwards(&frame());
        bench.expect(&Frame { ttl: 1, ..frame() }, Reason::TtlExpired);
    });
}

#[test]
fn the_word_in_use_marks_the_adjacency_used() {
    on_all(|bench| {
        assert_eq!(bench.tables.used(SLOT).expect("used"), 0);
        bench.forwards(&frame());
        assert_ne!(bench.tables.used(SLOT).expect("used"), 0);
    });
}
