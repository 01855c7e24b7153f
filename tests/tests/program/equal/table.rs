//! Large tables: of the shape of the Internet's, made from a seed, or those of
//! a file that `FORWARDER_DFZ` names (a prefix a line, gzip or not), whole and
//! with a million keys:
//!
//! ```text
//! FORWARDER_DFZ=dfz-prefixes.txt.gz cargo xtask test table
//! ```

use std::collections::BTreeMap;

use forwarder_core::net::Family;
use forwarder_tests::numbers::{self, Numbers};
use ipnet::IpNet;

use super::*;

/// The made tables' prefixes, and how often engines are asked in them.
const PREFIXES: usize = 20_000;
const KEYS: u32 = 20_000;
const FILE_KEYS: u32 = 1_000_000;

/// Lengths and their shares in hundredths (RIPE RIS, rounded).
const LENGTHS4: &[(u8, u32)] = &[
    (24, 60),
    (23, 10),
    (22, 11),
    (21, 5),
    (20, 5),
    (19, 3),
    (18, 2),
    (17, 1),
    (16, 2),
    (12, 1),
];
const LENGTHS6: &[(u8, u32)] = &[
    (48, 47),
    (44, 10),
    (40, 9),
    (32, 17),
    (36, 7),
    (29, 5),
    (46, 3),
    (56, 1),
    (64, 1),
];

/// Prefixes in blocks that lie close together, as registries give them out.
fn made<F: Side>(lengths: &[(u8, u32)], numbers: &mut Numbers) -> Vec<F::Prefix> {
    let shift = u32::from(F::BITS) - 32;
    let blocks: Vec<u32> = (0..PREFIXES / 64)
        .map(|_| F::BLOCKS + (numbers.below(F::BLOCKS_SPAN) & !0xfff))
        .collect();
    let prefix = |numbers: &mut Numbers| {
        let mut share = numbers.below(100);
        let found = lengths.iter().find(|(_, of)| {
            let here = share < *of;
            share = share.saturating_sub(*of);
            here
        });
        let len = found.map_or(F::BITS, |(len, _)| *len);
        let block = blocks[numbers.below(blocks.len() as u32) as usize];
        let inside = numbers.wide() & ((1 << (20 + shift)) - 1);
        let number = (u128::from(block) << shift) ^ inside;
        F::prefix(F::address(number), len).expect("a length of the family")
    };
    (0..PREFIXES).map(|_| prefix(numbers)).collect()
}

fn read<F: Family>(path: &str) -> Vec<F::Prefix> {
    let read = Command::new("gzip").args(["-dcf", path]).output();
    let output = read.expect("gzip");
    assert!(output.status.success(), "{path}: {output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    let nets = text.lines().map(|line| line.parse::<IpNet>().expect(line));
    nets.filter_map(F::from_net).collect()
}

/// Half of the keys below prefixes, and the others anywhere near.
fn key<F: Side>(prefixes: &[F::Prefix], numbers: &mut Numbers) -> F::Addr {
    let prefix = &prefixes[numbers.below(prefixes.len() as u32) as usize];
    let host = u32::from(F::BITS - F::len(prefix));
    let wider = numbers.below(2) * numbers.below(12);
    let bits = (host + wider).min(u32::from(F::BITS));
    let mask = if bits == 128 {
        u128::MAX
    } else {
        (1 << bits) - 1
    };
    F::address(F::number(F::network(prefix)) ^ (numbers.wide() & mask))
}

/// So many in a hundred, each with what it is to be changed to.
fn some<F: Side>(
    prefixes: &[F::Prefix],
    share: u32,
    mut change: impl FnMut(&mut Numbers) -> Option<u32>,
    numbers: &mut Numbers,
) -> Vec<(F::Prefix, Option<u32>)> {
    let mut chosen = BTreeMap::new();
    for prefix in prefixes {
        if numbers.below(100) < share {
            chosen.insert(*prefix, change(numbers));
        }
    }
    chosen.into_iter().collect()
}

fn equal<F: Side>(lengths: &[(u8, u32)]) {
    let seed = numbers::seed("FORWARDER_SEED");
    let mut numbers = Numbers::new(seed);
    let (prefixes, keys) = match std::env::var("FORWARDER_DFZ") {
        Ok(path) => (read::<F>(&path), FILE_KEYS),
        Err(_) => (made::<F>(lengths, &mut numbers), KEYS),
    };
    show(&format!(
        "{} prefixes, FORWARDER_SEED={seed}",
        prefixes.len()
    ));
    in_namespace(move || {
        let rows = (4 * prefixes.len() as u32).min(131_072);
        let mut engines = Engines::<F>::new(rows, prefixes.len() as u32);
        let announced = |numbers: &mut Numbers| Some(numbers.below(HOPS));
        let agree = |engines: &mut Engines<F>, numbers: &mut Numbers| {
            (0..keys).for_each(|_| engines.agree_on(key::<F>(&prefixes, numbers)));
        };
        engines.change(&some::<F>(&prefixes, 100, announced, &mut numbers));
        agree(&mut engines, &mut numbers);
        // Withdrawn, announced again by others, with some left out.
        for _ in 0..3 {
            engines.change(&some::<F>(&prefixes, 40, |_| None, &mut numbers));
            engines.change(&some::<F>(&prefixes, 30, announced, &mut numbers));
        }
        agree(&mut engines, &mut numbers);
    });
}

#[test]
fn a_large_table_is_the_same_in_all_engines_after_a_storm_too() {
    equal::<Ipv4>(LENGTHS4);
}

#[test]
fn a_large_table_of_ipv6_is_the_same_in_all_engines_after_a_storm_too() {
    equal::<Ipv6>(LENGTHS6);
}
