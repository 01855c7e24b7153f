//! Random tables that nest and overlap, from /0 to single hosts, changed in any
//! order.

use std::cell::RefCell;

use forwarder_tests::lab::patience;
use forwarder_tests::numbers;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use super::*;

/// Changes between two looks.
const BURST: usize = 8;

/// Tables; fewer where a machine is emulated.
const CASES: u32 = 48;

/// Few distinct bytes, so that prefixes nest.
fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![Just(0u8), Just(1), Just(10), Just(128), Just(255)]
}

/// The bytes that begin an address, all later ones alike, and a length.
fn prefix<F: Side>() -> impl Strategy<Value = F::Prefix> {
    let host = F::BITS;
    let length = prop_oneof![1 => 0u8..8, 4 => 8..=host / 2, 6 => host / 2..=host, 2 => Just(host)];
    (prop::array::uniform4(byte()), byte(), length).prop_map(move |(first, rest, len)| {
        let mut bytes = [rest; 16];
        bytes[..4].copy_from_slice(&first);
        let number = u128::from_be_bytes(bytes) >> (128 - host);
        F::prefix(F::address(number), len).expect("a length of the family")
    })
}

/// Adds, or gives another next hop, or removes, whether it is there or not.
fn changes<F: Side>() -> impl Strategy<Value = Vec<(F::Prefix, Option<u32>)>> {
    let change = (prefix::<F>(), prop::option::weighted(0.7, 0..HOPS));
    prop::collection::vec(change, 1..48)
}

fn equal<F: Side>() {
    in_namespace(|| {
        let engines = RefCell::new(Engines::<F>::new(2048, 1024));
        let seed = numbers::seed("FORWARDER_SEED");
        let config = Config {
            cases: (CASES / patience()).max(1),
            failure_persistence: None,
            rng_seed: RngSeed::Fixed(seed),
            ..Config::default()
        };
        let result = TestRunner::new(config).run(&changes::<F>(), |changes| {
            let mut engines = engines.borrow_mut();
            for burst in changes.chunks(BURST) {
                // One by one: a burst may name a prefix twice.
                burst.iter().for_each(|change| engines.change(&[*change]));
                engines.agree_around(changes.iter().map(|(prefix, _)| *prefix));
            }
            let left: Vec<_> = engines.model.keys().map(|prefix| (prefix, None)).collect();
            engines.change(&left);
            engines.agree_around(changes.iter().map(|(prefix, _)| *prefix));
            Ok(())
        });
        if let Err(error) = result {
            panic!("with FORWARDER_SEED={seed}: {error}");
        }
    });
}

#[test]
fn the_engines_take_the_same_next_hop_whatever_changes() {
    equal::<Ipv4>();
}

#[test]
fn so_they_do_for_ipv6() {
    equal::<Ipv6>();
}
