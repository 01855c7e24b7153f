//! Groups of next hops, and routes that are counted by themselves.

use std::collections::BTreeMap;

use forwarder_common::abi::{FIRST_COUNTED, GROUP_BUCKETS, KIND_COUNTED};

use super::*;

const GROUP: u32 = 5;
const GROUP_ID: u32 = 90;
const MEMBERS: [u32; 3] = [91, 92, 93];

/// `203.0.113.0/24` by three neighbours, bucket by bucket in turn.
fn grouped(bench: &mut Bench) {
    for (member, slot) in MEMBERS.into_iter().zip(20..) {
        let adjacency = Adjacency {
            destination: [2, 0, 0, 3, 0, member as u8],
            source: EGRESS_MAC,
            port: NUMBER,
            mtu: MTU,
            ifindex: 99,
            ..Adjacency::default()
        };
        bench.tables.set_adjacency(slot, adjacency).expect("slot");
        let word = nexthop_word(NexthopKind::Adjacency, slot);
        bench.tables.set_nexthop(member, word).expect("word");
    }
    let buckets = std::array::from_fn(|bucket| MEMBERS[bucket % MEMBERS.len()]);
    bench
        .tables
        .set_group(GROUP, &buckets, [99, 0, 0, 0, 0, 0, 0, 0])
        .expect("group");
    let word = nexthop_word(NexthopKind::Group, GROUP);
    bench.route("203.0.113.0/24", GROUP_ID, word);
}

fn flow(port: u16) -> Frame {
    let mut payload: Vec<u8> = (0..64).collect();
    payload[..2].copy_from_slice(&port.to_be_bytes());
    Frame { payload, ..frame() }
}

fn member(out: &[u8]) -> u8 {
    out[5]
}

#[test]
fn flows_spread_over_the_members_and_each_keeps_its_own() {
    on_all(|bench| {
        grouped(bench);
        let mut counts: BTreeMap<u8, u32> = BTreeMap::new();
        for port in 0..600 {
            let chosen = member(&bench.forwards(&flow(port)));
            assert_eq!(chosen, member(&bench.forwards(&flow(port))), "flow {port}");
            *counts.entry(chosen).or_default() += 1;
        }
        assert_eq!(counts.len(), MEMBERS.len());
        // 200 expected of each; the deviation is below 12.
        assert!(
            counts.values().all(|count| (130..270).contains(count)),
            "{counts:?}"
        );
    });
}

#[test]
fn fragments_of_a_packet_take_one_path_whatever_their_first_bytes() {
    on_all(|bench| {
        grouped(bench);
        let fragment = |port: u16, offset: u16| {
            let mut bytes = flow(port).bytes();
            bytes[20..22].copy_from_slice(&offset.to_be_bytes());
            let sum = checksum::compute(&{
                let mut header = bytes[14..34].to_vec();
                header[10..12].fill(0);
                header
            });
            bytes[24..26].copy_from_slice(&sum.to_ne_bytes());
            bytes
        };
        let first = member(&bench.forwards_bytes(&fragment(1, 0x2000)));
        for (port, offset) in [(7777, 0x2008), (99, 0x0010), (12345, 0x2020)] {
            let chosen = member(&bench.forwards_bytes(&fragment(port, offset)));
            assert_eq!(chosen, first);
        }
    });
}

#[test]
fn a_bucket_whose_member_is_unresolved_goes_up_and_the_others_do_not() {
    on_all(|bench| {
        grouped(bench);
        let resolve = nexthop_word(NexthopKind::Resolve, NUMBER);
        bench.tables.set_nexthop(MEMBERS[1], resolve).expect("word");
        let (mut forwarded, mut up) = (0, 0);
        for port in 0..200 {
            match bench.run(&flow(port).bytes()).0 {
                XDP_REDIRECT => forwarded += 1,
                XDP_PASS => up += 1,
                action => panic!("action {action}"),
            }
        }
        assert_eq!(bench.count(NUMBER, Reason::Unresolved), up);
        assert!(up > 30 && forwarded > 80, "{up} {forwarded}");
    });
}

#[test]
fn a_group_that_was_freed_under_a_reader_hands_up() {
    on_all(|bench| {
        grouped(bench);
        bench
            .tables
            .set_group(GROUP, &[200; GROUP_BUCKETS], [0; 8])
            .expect("group");
        bench.expect(&frame(), Reason::Unresolved);
    });
}

#[test]
fn counted_routes_count_whatever_becomes_of_the_packet() {
    on_all(|bench| {
        let id = FIRST_COUNTED + 3;
        let counted = |word: u32| word | (KIND_COUNTED << 28);
        let adjacency = counted(nexthop_word(NexthopKind::Adjacency, SLOT));
        bench.route("203.0.113.0/24", id, adjacency);
        let bytes = frame().bytes().len() as u64;
        bench.forwards(&frame());
        bench.forwards(&frame());
        let counter = bench.tables.route_counter(id).expect("counter");
        assert_eq!((counter.packets, counter.bytes), (2, 2 * bytes));
        let drop = counted(nexthop_word(NexthopKind::Drop, Reason::Blackhole as u32));
        bench.tables.set_nexthop(id, drop).expect("word");
        bench.expect(&frame(), Reason::Blackhole);
        let counter = bench.tables.route_counter(id).expect("counter");
        assert_eq!(counter.packets, 3);
    });
}
