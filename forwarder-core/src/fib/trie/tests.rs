//! The writer against a naive longest match, looked at by a reader after every
//! single store.

use std::collections::BTreeMap;

use forwarder_common::abi::{FIRST_COUNTED, FIRST_ID4, FIRST_ID6};
use forwarder_common::trie::{Row, Rows, lookup4, lookup6};
use ipnet::{Ipv4Net, Ipv6Net};
use proptest::prelude::*;

use super::*;
use crate::net::{Family, Ipv4, Ipv6};

type Routes<F> = BTreeMap<<F as Family>::Prefix, u32>;

/// A family's lookup, as programs do it.
trait Reader: FibFamily {
    fn find(rows: &impl Rows, address: Self::Addr) -> Option<u32>;

    fn number(address: Self::Addr) -> u128;

    fn address(number: u128) -> Self::Addr;
}

impl Reader for Ipv4 {
    fn find(rows: &impl Rows, address: Self::Addr) -> Option<u32> {
        lookup4(rows, address.to_bits().to_be())
    }

    fn number(address: Self::Addr) -> u128 {
        address.to_bits().into()
    }

    fn address(number: u128) -> Self::Addr {
        (number as u32).into()
    }
}

impl Reader for Ipv6 {
    fn find(rows: &impl Rows, address: Self::Addr) -> Option<u32> {
        let bits = address.to_bits();
        let word = |shift: u32| ((bits >> shift) as u32).to_be();
        lookup6(rows, [word(96), word(64), word(32), word(0)])
    }

    fn number(address: Self::Addr) -> u128 {
        address.to_bits()
    }

    fn address(number: u128) -> Self::Addr {
        number.into()
    }
}

/// Rows in memory, watched.
struct Memory<F: Reader> {
    rows: Vec<Row>,
    /// Address, and the two answers that it may get.
    probes: Vec<(F::Addr, [Option<u32>; 2])>,
    /// Nodes that rest: a reader may be in them.
    resting: Vec<u32>,
}

impl<F: Reader> Memory<F> {
    fn new(rows: u32) -> Self {
        Memory {
            rows: vec![[0; COLUMNS]; rows as usize],
            probes: Vec::new(),
            resting: Vec::new(),
        }
    }
}

impl<F: Reader> Rows for Memory<F> {
    fn word(&self, index: u32) -> u32 {
        self.rows[index as usize / COLUMNS][index as usize % COLUMNS]
    }
}

impl<F: Reader> RowStore for Memory<F> {
    fn load(&self, row: u32, column: u32) -> u32 {
        self.rows[row as usize][column as usize]
    }

    fn store(&mut self, row: u32, column: u32, word: u32) {
        let quarter = row * QUARTERS + column / (COLUMNS as u32 / QUARTERS);
        let mut resting = self.resting.iter().copied().filter_map(child_node);
        let rests =
            |node: Node| (node.quarter..node.quarter + node.width.quarters()).contains(&quarter);
        assert!(!resting.any(rests), "quarter {quarter} rests");
        self.rows[row as usize][column as usize] = word;
        for (address, allowed) in &self.probes {
            let found = F::find(self, *address);
            assert!(
                allowed.contains(&found),
                "{address} got {found:?} during a change from {allowed:?}"
            );
        }
    }
}

/// A table and what should be in it.
struct Checked<F: Reader> {
    trie: Trie<F>,
    memory: Memory<F>,
    routes: Routes<F>,
}

impl<F: Reader> Checked<F> {
    fn new(rows: u32) -> Self {
        Checked {
            trie: Trie::new(rows),
            memory: Memory::new(rows),
            routes: Routes::<F>::new(),
        }
    }

    fn insert(&mut self, prefix: F::Prefix, id: u32) -> Result<(), Full> {
        let mut after = self.routes.clone();
        after.insert(prefix, id);
        self.watch(&after, prefix);
        self.trie.insert(prefix, id, &mut self.memory)?;
        self.routes = after;
        self.check();
        Ok(())
    }

    fn remove(&mut self, prefix: F::Prefix) {
        let mut after = self.routes.clone();
        let known = after.remove(&prefix).is_some();
        self.watch(&after, prefix);
        assert_eq!(self.trie.remove(prefix, &mut self.memory), known);
        self.routes = after;
        self.check();
    }

    fn watch(&mut self, after: &Routes<F>, changed: F::Prefix) {
        self.memory.probes = probes::<F>(after.keys().chain([&changed]))
            .into_iter()
            .map(|address| {
                let answers = [
                    longest::<F>(&self.routes, address),
                    longest::<F>(after, address),
                ];
                (address, answers)
            })
            .collect();
    }

    fn check(&self) {
        for (address, [_, expected]) in &self.memory.probes {
            let found = F::find(&self.memory, *address);
            assert_eq!(found, *expected, "{address}");
        }
        assert_eq!(self.trie.space.nodes(), nodes::<F>(&self.routes));
    }

    /// A grace period begins, and what was freed rests.
    fn rest(&mut self) {
        self.memory.resting.extend(self.trie.take_freed());
    }

    fn release(&mut self) {
        let rested = std::mem::take(&mut self.memory.resting);
        self.trie.release(rested);
    }
}

/// The ends of each prefix and their neighbours outside.
fn probes<'a, F: Reader>(prefixes: impl Iterator<Item = &'a F::Prefix>) -> Vec<F::Addr> {
    let mut probes: Vec<F::Addr> = prefixes
        .flat_map(|prefix| {
            let (first, last) = (F::number(F::network(prefix)), F::number(F::last(prefix)));
            let around = [first.wrapping_sub(1), first, last, last.wrapping_add(1)];
            around.map(F::address)
        })
        .collect();
    probes.sort_unstable();
    probes.dedup();
    probes
}

fn longest<F: Reader>(routes: &Routes<F>, address: F::Addr) -> Option<u32> {
    let matches = routes
        .iter()
        .filter(|(prefix, _)| F::contains(prefix, address));
    let best = matches.max_by_key(|(prefix, _)| F::len(prefix));
    best.map(|(_, id)| *id)
}

/// Nodes below the root that a set of prefixes needs: one for each /16, /24 and
/// so on with something longer in it.
fn nodes<F: Reader>(routes: &Routes<F>) -> u32 {
    (16..F::BITS)
        .step_by(8)
        .map(|len| {
            let mut nodes: Vec<_> = routes
                .keys()
                .filter(|prefix| F::len(prefix) > len)
                .map(|prefix| F::number(F::network(prefix)) >> (F::BITS - len))
                .collect();
            nodes.sort_unstable();
            nodes.dedup();
            nodes.len() as u32
        })
        .sum()
}

fn net(text: &str) -> Ipv4Net {
    text.parse().expect("prefix")
}

#[derive(Clone, Debug)]
enum Op<P> {
    Insert(P, u32),
    /// The n-th of those that there are, or one that is not.
    Remove(usize),
    Rest,
    Release,
}

/// Few distinct bytes, so that prefixes nest.
fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![Just(0u8), Just(1), Just(10), Just(128), Just(255)]
}

/// Short ones are rare, since each stores many words.
fn prefix4() -> impl Strategy<Value = Ipv4Net> {
    let length = prop_oneof![1 => 0u8..8, 4 => 8u8..=16, 6 => 17u8..=24, 6 => 25u8..=32];
    ([byte(), byte(), byte(), byte()], length)
        .prop_map(|(bytes, len)| Ipv4Net::new(bytes.into(), len).expect("length").trunc())
}

fn prefix6() -> impl Strategy<Value = Ipv6Net> {
    let length =
        prop_oneof![1 => 0u8..8, 4 => 8u8..=32, 6 => 33u8..=64, 4 => 65u8..=127, 3 => Just(128)];
    // The later bytes are all alike, so that long prefixes share their way.
    ([byte(), byte(), byte(), byte()], byte(), length).prop_map(|(first, rest, len)| {
        let mut bytes = [rest; 16];
        bytes[..4].copy_from_slice(&first);
        Ipv6Net::new(bytes.into(), len).expect("length").trunc()
    })
}

/// Of every width in both families, and on both sides of the widths' ends.
fn id() -> impl Strategy<Value = u32> {
    prop_oneof![
        4 => 0u32..5,
        2 => FIRST_ID4 - 1..FIRST_ID4 + 2,
        2 => FIRST_ID6..FIRST_ID6 + 2,
        1 => 253u32..257,
        1 => FIRST_ID6 - FIRST_ID4 + 253..FIRST_ID6 - FIRST_ID4 + 257,
        1 => 65_533u32..65_537,
        1 => FIRST_ID6 - FIRST_ID4 + 65_533..FIRST_ID6 - FIRST_ID4 + 65_537,
        1 => FIRST_COUNTED..FIRST_COUNTED + 2,
    ]
}

fn op<P: Clone + std::fmt::Debug>(
    prefix: impl Strategy<Value = P>,
) -> impl Strategy<Value = Op<P>> {
    prop_oneof![
        6 => (prefix, id()).prop_map(|(prefix, id)| Op::Insert(prefix, id)),
        4 => (0usize..20).prop_map(Op::Remove),
        1 => Just(Op::Rest),
        1 => Just(Op::Release),
    ]
}

/// Carries the changes out, looked at after each store.
fn change<F: Reader>(ops: Vec<Op<F::Prefix>>, room: u32, absent: F::Prefix) {
    let mut table = Checked::<F>::new(room);
    for op in ops {
        match op {
            Op::Insert(prefix, id) => {
                let before = table.trie.rows_used();
                if table.insert(prefix, id).is_err() {
                    let narrow = Trie::<F>::width(leaf(id)) == Width::Byte;
                    assert!(!(narrow && table.routes.contains_key(&prefix)));
                    assert_eq!(table.trie.rows_used(), before);
                    let routes = table.routes.clone();
                    table.watch(&routes, prefix);
                    table.check();
                }
            }
            Op::Remove(n) => {
                let prefix = table.routes.keys().nth(n).copied();
                table.remove(prefix.unwrap_or(absent));
            }
            Op::Rest => table.rest(),
            Op::Release => table.release(),
        }
    }
    for prefix in table.routes.clone().into_keys() {
        table.remove(prefix);
    }
    table.release();
    table.rest();
    table.release();
    assert_eq!(table.trie.rows_used(), ROOT_ROWS);
    let mut root = table.memory.rows[..256].iter().flatten();
    assert!(root.all(|word| *word == NO_ROUTE));
}

fn room() -> impl Strategy<Value = u32> {
    prop_oneof![Just(ROOT_ROWS + 3), Just(ROOT_ROWS + 200)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn readers_meet_the_old_or_the_new_match_whatever_changes(
        ops in proptest::collection::vec(op(prefix4()), 1..40),
        room in room(),
    ) {
        change::<Ipv4>(ops, room, net("77.0.0.0/20"));
    }

    #[test]
    fn so_do_readers_of_ipv6(
        ops in proptest::collection::vec(op(prefix6()), 1..40),
        room in room(),
    ) {
        change::<Ipv6>(ops, room, "7700::/20".parse().expect("prefix"));
    }
}

#[test]
fn a_prefix_that_longer_ones_hide_shows_again_when_they_go() {
    let mut table = Checked::<Ipv4>::new(300);
    for (text, id) in [("10.0.0.0/23", 1), ("10.0.0.0/24", 2), ("10.0.1.0/24", 3)] {
        table.insert(net(text), id).expect("room");
    }
    table.remove(net("10.0.1.0/24"));
    table.remove(net("10.0.0.0/24"));
    assert_eq!(Ipv4::find(&table.memory, [10, 0, 1, 1].into()), Some(1));
}

/// As many /24s as fill a table of one row below its root, each in a node of
/// its own.
fn filled() -> Checked<Ipv4> {
    let mut table = Checked::<Ipv4>::new(ROOT_ROWS + 1);
    for second in 0..4 {
        let prefix = net(&format!("10.{second}.1.0/24"));
        table.insert(prefix, 1).expect("room");
    }
    table
}

const FULL: Full = Full {
    rows: ROOT_ROWS + 1,
    setting: "ipv4-rows",
};

#[test]
fn room_is_used_again_only_after_its_release() {
    let mut table = filled();
    table.remove(net("10.0.1.0/24"));
    assert_eq!(table.insert(net("10.9.1.0/24"), 1), Err(FULL));
    assert!(table.trie.has_freed());
    table.rest();
    assert!(!table.trie.has_freed());
    assert_eq!(table.insert(net("10.9.1.0/24"), 1), Err(FULL));
    table.release();
    assert_eq!(table.insert(net("10.9.1.0/24"), 1), Ok(()));
}

#[test]
fn parts_of_a_row_make_a_row_again() {
    let mut table = filled();
    assert_eq!(table.trie.rows_used(), ROOT_ROWS + 1);
    for second in 0..4 {
        table.remove(net(&format!("10.{second}.1.0/24")));
    }
    table.rest();
    table.release();
    assert_eq!(table.trie.rows_used(), ROOT_ROWS);
    table.insert(net("10.0.1.0/24"), 1000).expect("two halves");
    table.insert(net("10.1.1.0/24"), 1000).expect("two halves");
    assert_eq!(table.insert(net("10.2.1.0/24"), 1000), Err(FULL));
}

#[test]
fn a_prefix_that_needs_two_nodes_takes_none_when_there_is_one() {
    let mut table = Checked::<Ipv4>::new(ROOT_ROWS + 1);
    assert!(table.insert(net("10.0.0.1/32"), 1).is_err());
    table.insert(net("10.0.0.0/24"), 1).expect("room for one");
}

#[test]
fn a_full_table_takes_other_ids_of_the_same_width_for_the_prefixes_it_has() {
    let mut table = filled();
    table.insert(net("10.0.1.0/24"), 254).expect("a byte");
    table.insert(net("10.0.0.0/20"), 3).expect("the same node");
    table.insert(net("0.0.0.0/0"), 4).expect("the root");
    assert_eq!(table.insert(net("10.0.1.0/24"), 255), Err(FULL));
    assert_eq!(table.insert(net("0.0.0.0/0"), 255), Err(FULL));
}

#[test]
fn an_id_that_is_hidden_everywhere_finds_room_when_it_shows() {
    let mut table = Checked::<Ipv4>::new(ROOT_ROWS + 2);
    table.insert(net("10.0.0.0/8"), 70_000).expect("the root");
    table.insert(net("10.0.0.0/16"), 1).expect("the root");
    table.insert(net("10.0.7.0/24"), 2).expect("a wide node");
    table.insert(net("10.1.7.0/24"), 2).expect("a wide node");
    table.remove(net("10.0.0.0/16"));
    assert_eq!(
        Ipv4::find(&table.memory, [10, 0, 1, 1].into()),
        Some(70_000)
    );
}

#[test]
fn ids_of_either_family_have_narrow_slots() {
    let narrow = |word| Width::of_leaf(leaf(word), Ipv6::LEAF_BASE);
    assert_eq!(narrow(FIRST_ID4 - 1), Width::Byte);
    assert_eq!(narrow(FIRST_ID6), Width::Byte);
    assert_eq!(narrow(FIRST_ID6 + 190), Width::Byte);
    assert_eq!(narrow(FIRST_ID6 + 191), Width::Half);
    assert_eq!(narrow(FIRST_ID4), Width::Word);
    assert_eq!(Width::of_leaf(leaf(254), Ipv4::LEAF_BASE), Width::Byte);
    assert_eq!(Width::of_leaf(leaf(255), Ipv4::LEAF_BASE), Width::Half);
}

#[test]
fn a_table_without_room_for_its_root_gets_it() {
    assert_eq!(Trie::<Ipv6>::new(1).rows(), ROOT_ROWS);
}
