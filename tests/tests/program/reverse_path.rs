//! The reverse-path check (RFC 3704), row by row.

use forwarder_common::abi::{PORT_RP4_LOOSE, PORT_RP4_STRICT, PORT_RP6_LOOSE, PORT_RP6_STRICT};
use forwarder_tests::frame::Frame6;

use super::*;

const BACK_ID: u32 = 95;
const BACK_SLOT: u32 = 9;

fn checked(bench: &mut Bench, flags: u16) {
    let port = Port {
        ifindex: PORT,
        number: NUMBER,
        mac: PORT_MAC,
        flags,
        ..Port::default()
    };
    bench.tables.set_port(port).expect("port");
}

/// The source's network by a neighbour on this interface.
fn back_by(bench: &mut Bench, ifindex: u32) -> u32 {
    let adjacency = Adjacency {
        destination: [2, 0, 0, 4, 0, 1],
        source: EGRESS_MAC,
        port: NUMBER,
        mtu: MTU,
        ifindex,
        ..Adjacency::default()
    };
    bench
        .tables
        .set_adjacency(BACK_SLOT, adjacency)
        .expect("slot");
    nexthop_word(NexthopKind::Adjacency, BACK_SLOT)
}

#[test]
fn rfc3704_2_2_strict_wants_the_way_back_by_the_same_port() {
    on_all(|bench| {
        checked(bench, PORT_RP4_STRICT);
        bench.expect(&frame(), Reason::ReversePath);
        let word = back_by(bench, 98);
        bench.route("198.51.100.0/24", BACK_ID, word);
        bench.expect(&frame(), Reason::ReversePath);
        back_by(bench, PORT);
        bench.forwards(&frame());
        for (slot, reason) in [
            (NUMBER, Reason::Forwarded),
            (NUMBER + 1, Reason::ReversePath),
        ] {
            let resolve = nexthop_word(NexthopKind::Resolve, slot);
            bench.tables.set_nexthop(BACK_ID, resolve).expect("word");
            let before = bench.count(NUMBER, reason);
            bench.run(&frame().bytes());
            assert_eq!(bench.count(NUMBER, reason), before + 1, "{reason:?}");
        }
    });
}

#[test]
fn rfc3704_2_4_loose_wants_any_way_back() {
    on_all(|bench| {
        checked(bench, PORT_RP4_LOOSE);
        bench.expect(&frame(), Reason::ReversePath);
        let word = back_by(bench, 98);
        bench.route("198.51.100.0/24", BACK_ID, word);
        bench.forwards(&frame());
        for word in [
            nexthop_word(NexthopKind::Drop, Reason::Blackhole as u32),
            up(Reason::Unreachable),
        ] {
            bench.tables.set_nexthop(BACK_ID, word).expect("word");
            bench.expect(&frame(), Reason::ReversePath);
        }
    });
}

#[test]
fn a_way_back_that_only_the_kernel_knows_is_the_kernels_to_judge() {
    on_all(|bench| {
        checked(bench, PORT_RP4_STRICT);
        bench.route("198.51.100.0/24", BACK_ID, up(Reason::KernelRoute));
        bench.expect(&frame(), Reason::KernelRoute);
    });
}

#[test]
fn a_group_is_a_way_back_by_each_of_its_links() {
    on_all(|bench| {
        checked(bench, PORT_RP4_STRICT);
        let group = nexthop_word(NexthopKind::Group, 2);
        bench.route("198.51.100.0/24", BACK_ID, group);
        for (links, reason) in [
            ([98, PORT, 0, 0, 0, 0, 0, 0], Reason::Forwarded),
            ([98, 97, 0, 0, 0, 0, 0, 0], Reason::ReversePath),
            // More than are listed: perhaps.
            ([11, 12, 13, 14, 15, 16, 17, 18], Reason::Multipath),
        ] {
            bench.tables.set_group(2, &[0; 256], links).expect("group");
            let before = bench.count(NUMBER, reason);
            bench.run(&frame().bytes());
            assert_eq!(bench.count(NUMBER, reason), before + 1, "{reason:?}");
        }
    });
}

#[test]
fn each_family_has_its_own_switch() {
    on_all(|bench| {
        let adjacency = nexthop_word(NexthopKind::Adjacency, SLOT);
        bench.route6("2001:db8:beef::/48", 70, adjacency);
        let frame6 = Frame6 {
            to: PORT_MAC,
            ..Frame6::default()
        };
        checked(bench, PORT_RP4_STRICT | PORT_RP4_LOOSE);
        bench.forwards_bytes(&frame6.bytes());
        for flag in [PORT_RP6_STRICT, PORT_RP6_LOOSE] {
            checked(bench, flag);
            bench.forwards(&frame());
            bench.expect_bytes(&frame6.bytes(), Reason::ReversePath);
        }
        let word = back_by(bench, PORT);
        bench.route6("2001:db8:1::/48", BACK_ID, word);
        checked(bench, PORT_RP6_STRICT);
        bench.forwards_bytes(&frame6.bytes());
    });
}

#[test]
fn what_goes_up_is_the_kernels_to_check() {
    on_all(|bench| {
        checked(bench, PORT_RP4_STRICT);
        bench.route("203.0.113.0/24", ADJACENCY_ID, up(Reason::ForUs));
        bench.expect(&frame(), Reason::ForUs);
    });
}
