//! The writer against a naive longest match, looked at by a reader after every
//! single store.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use forwarder_common::trie::{Row, Rows, lookup4};
use proptest::prelude::*;

use super::*;

type Routes = BTreeMap<Ipv4Net, u32>;

/// Rows in memory, watched.
struct Memory {
    rows: Vec<Row>,
    /// Address, and the two answers that it may get.
    probes: Vec<(u32, [Option<u32>; 2])>,
    /// Rows that rest: a reader may be in them.
    resting: Vec<u32>,
}

impl Memory {
    fn new(rows: u32) -> Self {
        Memory {
            rows: vec![[0; COLUMNS]; rows as usize],
            probes: Vec::new(),
            resting: Vec::new(),
        }
    }
}

impl Rows for Memory {
    fn word(&self, row: u32, column: u32) -> u32 {
        self.rows[row as usize][column as usize % COLUMNS]
    }
}

impl RowStore for Memory {
    fn load(&self, row: u32, column: u32) -> u32 {
        self.word(row, column)
    }

    fn store(&mut self, row: u32, column: u32, word: u32) {
        assert!(!self.resting.contains(&row), "row {row} rests");
        self.rows[row as usize][column as usize] = word;
        for (address, allowed) in &self.probes {
            let found = lookup4(self, *address);
            let address = Ipv4Addr::from(*address);
            assert!(
                allowed.contains(&found),
                "{address} got {found:?} during a change from {allowed:?}"
            );
        }
    }
}

/// A table and what should be in it.
struct Checked {
    trie: Trie,
    memory: Memory,
    routes: Routes,
}

impl Checked {
    fn new(rows: u32) -> Self {
        Checked {
            trie: Trie::new(rows),
            memory: Memory::new(rows),
            routes: Routes::new(),
        }
    }

    fn insert(&mut self, prefix: Ipv4Net, id: u32) -> Result<(), Full> {
        let mut after = self.routes.clone();
        after.insert(prefix, id);
        self.watch(&after, prefix);
        self.trie.insert(prefix, id, &mut self.memory)?;
        self.routes = after;
        self.check();
        Ok(())
    }

    fn remove(&mut self, prefix: Ipv4Net) {
        let mut after = self.routes.clone();
        let known = after.remove(&prefix).is_some();
        self.watch(&after, prefix);
        assert_eq!(self.trie.remove(prefix, &mut self.memory), known);
        self.routes = after;
        self.check();
    }

    fn watch(&mut self, after: &Routes, changed: Ipv4Net) {
        self.memory.probes = probes(after.keys().chain([&changed]))
            .into_iter()
            .map(|address| {
                let answers = [longest(&self.routes, address), longest(after, address)];
                (address, answers)
            })
            .collect();
    }

    fn check(&self) {
        for (address, [_, expected]) in &self.memory.probes {
            let address = *address;
            assert_eq!(lookup4(&self.memory, address), *expected, "{address:#x}");
        }
        assert_eq!(self.trie.rows_used(), ROOT_ROWS + nodes(&self.routes));
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
fn probes<'a>(prefixes: impl Iterator<Item = &'a Ipv4Net>) -> Vec<u32> {
    let mut probes: Vec<u32> = prefixes
        .flat_map(|prefix| {
            let (first, last) = (prefix.network().into(), prefix.broadcast().into());
            [
                u32::wrapping_sub(first, 1),
                first,
                last,
                u32::wrapping_add(last, 1),
            ]
        })
        .collect();
    probes.sort_unstable();
    probes.dedup();
    probes
}

fn longest(routes: &Routes, address: u32) -> Option<u32> {
    let address = Ipv4Addr::from(address);
    let matches = routes
        .iter()
        .filter(|(prefix, _)| prefix.contains(&address));
    let best = matches.max_by_key(|(prefix, _)| prefix.prefix_len());
    best.map(|(_, id)| *id)
}

/// Nodes below the root that a set of prefixes needs: one for each /16 and each
/// /24 with something longer in it.
fn nodes(routes: &Routes) -> u32 {
    [16, 24]
        .into_iter()
        .map(|len| {
            let mut nodes: Vec<_> = routes
                .keys()
                .filter(|prefix| prefix.prefix_len() > len)
                .map(|prefix| u32::from(prefix.network()) >> (32 - len))
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
enum Op {
    Insert(Ipv4Net, u32),
    /// The n-th of those that there are, or one that is not.
    Remove(usize),
    Rest,
    Release,
}

/// Few distinct bytes, so that prefixes nest; short ones are rare, since each
/// stores many words.
fn prefix() -> impl Strategy<Value = Ipv4Net> {
    let byte = || prop_oneof![Just(0u8), Just(1), Just(10), Just(128), Just(255)];
    let length = prop_oneof![1 => 0u8..8, 4 => 8u8..=16, 6 => 17u8..=24, 6 => 25u8..=32];
    ([byte(), byte(), byte(), byte()], length)
        .prop_map(|(bytes, len)| Ipv4Net::new(bytes.into(), len).expect("length").trunc())
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (prefix(), 0u32..5).prop_map(|(prefix, id)| Op::Insert(prefix, id)),
        4 => (0usize..20).prop_map(Op::Remove),
        1 => Just(Op::Rest),
        1 => Just(Op::Release),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn readers_meet_the_old_or_the_new_match_whatever_changes(
        ops in proptest::collection::vec(op(), 1..40),
        room in prop_oneof![Just(ROOT_ROWS + 5), Just(ROOT_ROWS + 200)],
    ) {
        let mut table = Checked::new(room);
        for op in ops {
            match op {
                Op::Insert(prefix, id) => {
                    let before = table.trie.rows_used();
                    if table.insert(prefix, id).is_err() {
                        prop_assert!(!table.routes.contains_key(&prefix));
                        prop_assert_eq!(table.trie.rows_used(), before);
                        let routes = table.routes.clone();
                        table.watch(&routes, prefix);
                        table.check();
                    }
                }
                Op::Remove(n) => {
                    let absent = net("77.0.0.0/20");
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
        prop_assert_eq!(table.trie.rows_used(), ROOT_ROWS);
        prop_assert!(table.memory.rows[..256].iter().flatten().all(|word| *word == NO_ROUTE));
    }
}

#[test]
fn a_prefix_that_longer_ones_hide_shows_again_when_they_go() {
    let mut table = Checked::new(300);
    for (text, id) in [("10.0.0.0/23", 1), ("10.0.0.0/24", 2), ("10.0.1.0/24", 3)] {
        table.insert(net(text), id).expect("room");
    }
    table.remove(net("10.0.1.0/24"));
    table.remove(net("10.0.0.0/24"));
    assert_eq!(lookup4(&table.memory, 0x0a00_0101), Some(1));
}

#[test]
fn a_row_is_used_again_only_after_its_release() {
    let mut table = Checked::new(ROOT_ROWS + 1);
    table.insert(net("10.0.1.0/24"), 1).expect("room");
    table.remove(net("10.0.1.0/24"));
    let full = Full {
        rows: ROOT_ROWS + 1,
    };
    assert_eq!(table.insert(net("10.9.1.0/24"), 1), Err(full));
    assert!(table.trie.has_freed());
    table.rest();
    assert!(!table.trie.has_freed());
    assert_eq!(table.insert(net("10.9.1.0/24"), 1), Err(full));
    table.release();
    assert_eq!(table.insert(net("10.9.1.0/24"), 1), Ok(()));
}

#[test]
fn a_prefix_that_needs_two_rows_takes_none_when_there_is_one() {
    let mut table = Checked::new(ROOT_ROWS + 1);
    assert!(table.insert(net("10.0.0.1/32"), 1).is_err());
    table.insert(net("10.0.0.0/24"), 1).expect("room for one");
}

#[test]
fn a_full_table_takes_new_next_hops_for_the_prefixes_it_has() {
    let mut table = Checked::new(ROOT_ROWS + 2);
    table.insert(net("10.0.0.1/32"), 1).expect("room");
    table.insert(net("10.0.0.1/32"), 2).expect("its rows");
    table.insert(net("10.0.0.0/25"), 3).expect("the same rows");
    table.insert(net("0.0.0.0/0"), 4).expect("the root");
    assert!(table.insert(net("10.0.1.1/32"), 1).is_err());
}

#[test]
fn a_table_without_room_for_its_root_gets_it() {
    assert_eq!(Trie::new(1).rows(), ROOT_ROWS);
}
