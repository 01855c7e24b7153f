//! The engines against one another, and what only one of them has.

use forwarder_tests::numbers::Numbers;

use super::*;

/// Prefixes under 10.0.0.0/14, so that they nest, and a few short ones.
fn prefix(numbers: &mut Numbers) -> Ipv4Net {
    let length = 8 + numbers.below(25);
    let address = 0x0a00_0000 | numbers.draw() & 0x0003_ffff;
    let prefix = Ipv4Net::new(address.into(), length as u8);
    prefix.expect("length").trunc()
}

/// One table in both engines: what each says of an address is the frame that
/// leaves, whose MAC address names the route.
struct Pair([Bench; 2]);

impl Pair {
    fn new() -> Pair {
        let mut pair = Pair(ENGINES.map(|lookup| Bench::new(program::FORWARD, lookup)));
        for slot in 100..400 {
            pair.add_next_hop(slot);
        }
        pair
    }

    fn add_next_hop(&mut self, slot: u32) {
        let [_, _, high, low] = slot.to_be_bytes();
        let adjacency = Adjacency {
            destination: [2, 0, 0, 1, high, low],
            source: EGRESS_MAC,
            port: NUMBER,
            mtu: MTU,
            ifindex: 99,
            ..Adjacency::default()
        };
        let word = nexthop_word(NexthopKind::Adjacency, slot);
        for bench in &mut self.0 {
            bench.tables.set_adjacency(slot, adjacency).expect("slot");
            bench.tables.set_nexthop(slot, word).expect("word");
        }
    }

    fn agrees_on(&mut self, destination: u32) {
        let destination = Ipv4Addr::from(destination);
        let bytes = Frame {
            destination,
            ..frame()
        }
        .bytes();
        let [multibit, lpm_trie] = self.0.each_mut().map(|bench| bench.run(&bytes));
        assert_eq!(multibit, lpm_trie, "{destination}");
    }

    fn agrees(&mut self, prefixes: &[Ipv4Net], numbers: &mut Numbers) {
        for prefix in prefixes {
            let (first, last): (u32, u32) = (prefix.network().into(), prefix.broadcast().into());
            for address in [first - 1, first, last, last + 1] {
                self.agrees_on(address);
            }
        }
        for _ in 0..1000 {
            self.agrees_on(0x0a00_0000 | numbers.draw() & 0x0003_ffff);
        }
    }
}

#[test]
fn both_engines_find_the_same_next_hop() {
    let (mut pair, mut numbers) = (Pair::new(), Numbers::new(4));
    let prefixes: Vec<_> = (0..300).map(|_| prefix(&mut numbers)).collect();
    for (slot, prefix) in (100..).zip(&prefixes) {
        for bench in &mut pair.0 {
            bench
                .tables
                .of_mut::<Ipv4>()
                .set_route(*prefix, slot)
                .expect("room");
        }
    }
    pair.agrees(&prefixes, &mut numbers);
    // Some are there twice: the second removal finds nothing, and is no error.
    for prefix in prefixes.iter().step_by(2) {
        for bench in &mut pair.0 {
            bench
                .tables
                .of_mut::<Ipv4>()
                .remove_route(*prefix)
                .expect("removed");
        }
    }
    pair.agrees(&prefixes, &mut numbers);
}

#[test]
fn a_full_table_refuses_a_prefix_and_takes_it_after_a_release() {
    let lookup = Lookup::Multibit {
        rows4: 257,
        rows6: 256,
    };
    let mut bench = Bench::new(program::FORWARD, lookup);
    // The bench's own route and these share the one row that is left.
    for filler in ["198.18.1.0/24", "198.19.1.0/24", "198.20.1.0/24"] {
        let filler = filler.parse().expect("prefix");
        let set = bench
            .tables
            .of_mut::<Ipv4>()
            .set_route(filler, ADJACENCY_ID);
        set.expect("a quarter of a row");
    }
    let prefix = "198.51.100.0/24".parse().expect("prefix");
    assert!(
        bench
            .tables
            .of_mut::<Ipv4>()
            .set_route(prefix, ADJACENCY_ID)
            .is_err()
    );
    bench.forwards(&frame());
    let taken = "203.0.113.0/24".parse().expect("prefix");
    bench
        .tables
        .of_mut::<Ipv4>()
        .remove_route(taken)
        .expect("removed");
    bench.expect(&frame(), Reason::NoRoute);
    assert!(bench.tables.of::<Ipv4>().has_freed_rows());
    let freed = bench.tables.of_mut::<Ipv4>().take_freed_rows();
    bench.tables.of_mut::<Ipv4>().release_rows(freed);
    assert!(
        bench
            .tables
            .of_mut::<Ipv4>()
            .set_route(prefix, ADJACENCY_ID)
            .is_ok()
    );
    assert_eq!(bench.tables.of::<Ipv4>().rows(), (257, 257));
}

/// A table of more than 4 MiB, which kernels before 6.0 take only as entries.
#[test]
fn a_large_table_is_loaded_in_the_layout_that_the_kernel_takes() {
    let lookup = Lookup::Multibit {
        rows4: 8192,
        rows6: 8192,
    };
    let object = Object::load(lookup).expect("load");
    let mut bench = Bench::with_object(program::FORWARD, object);
    bench.forwards(&frame());
    assert_eq!(bench.tables.of::<Ipv4>().rows().1, 8192);
}

/// As kernels before 6.0 have them.
#[test]
fn rows_that_are_entries_of_their_own_forward_alike() {
    let lookup = Lookup::Multibit {
        rows4: 2048,
        rows6: 2048,
    };
    for name in programs() {
        let object = Object::load_laid_out(lookup, RowLayout::Entries, SEED).expect("load");
        let mut bench = Bench::with_object(name, object);
        bench.forwards(&frame());
        let word = nexthop_word(NexthopKind::Drop, Reason::Blackhole as u32);
        bench.route("203.0.113.9/32", 41, word);
        bench.expect(&frame(), Reason::Blackhole);
        let remove: Ipv4Net = "203.0.113.9/32".parse().expect("prefix");
        bench
            .tables
            .of_mut::<Ipv4>()
            .remove_route(remove)
            .expect("removed");
        bench.forwards(&frame());
    }
}
