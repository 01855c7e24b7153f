//! The routes of a measurement: made from a seed in the shape of the Internet's
//! table, or read from a file; and who is right about a destination.
//!
//! [`shape`] makes prefixes, [`file`] reads them. Each prefix gets one of a few
//! next hops at random, so that no engine can merge neighbours. [`Table::find`]
//! looks a destination up in the plainest way there is, a hash table for each
//! length: what the engines are held to.

mod file;
mod shape;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use anyhow::ensure;
use forwarder_core::fib::FibFamily;

use super::family::BenchFamily;
use super::random::Random;

pub use file::read;
pub use shape::{Bits, Blocks, Nested, Shape};

/// Prefixes, each with the number of its next hop.
pub struct Table<F: BenchFamily> {
    /// In no order.
    pub routes: Vec<(F::Prefix, u8)>,
    exact: HashMap<F::Prefix, u8>,
    /// Longest first.
    lengths: Vec<u8>,
}

impl<F: BenchFamily> Table<F> {
    /// As many prefixes, shaped like the Internet's.
    pub fn made(routes: usize, hops: u8, seed: u64) -> anyhow::Result<Self> {
        ensure!(routes > 0, "a table needs one route at least");
        let mut random = Random::new(seed);
        let prefixes = F::shape().make(routes, &mut random);
        Self::of(prefixes.into_iter().filter_map(F::of_bits), hops, seed)
    }

    /// Of these prefixes; those that a router never forwards to, and those of
    /// the measurement's own links, are left out.
    pub fn of(
        prefixes: impl IntoIterator<Item = F::Prefix>,
        hops: u8,
        seed: u64,
    ) -> anyhow::Result<Self> {
        ensure!(hops > 0, "routes need one next hop at least");
        let mut random = Random::new(!seed);
        let mut exact = HashMap::new();
        let mut routes = Vec::new();
        for prefix in prefixes {
            let hop = random.below(usize::from(hops)) as u8;
            if !is_reserved::<F>(&prefix) && exact.insert(prefix, hop).is_none() {
                routes.push(prefix);
            }
        }
        ensure!(
            !routes.is_empty(),
            "there is no {} prefix to forward to",
            F::NAME
        );
        let mut lengths: Vec<u8> = routes.iter().map(F::len).collect();
        lengths.sort_unstable_by(|a, b| b.cmp(a));
        lengths.dedup();
        let routes = routes.into_iter().map(|prefix| (prefix, exact[&prefix]));
        Ok(Table {
            routes: routes.collect(),
            exact,
            lengths,
        })
    }

    /// The next hop of the longest match.
    pub fn find(&self, address: F::Addr) -> Option<u8> {
        self.longest(address).map(|(_, hop)| hop)
    }

    /// The longest match, and its next hop.
    pub fn longest(&self, address: F::Addr) -> Option<(F::Prefix, u8)> {
        self.lengths
            .iter()
            .filter_map(|&len| F::prefix(address, len))
            .find_map(|prefix| Some((prefix, *self.exact.get(&prefix)?)))
    }

    /// Another next hop for a prefix of the table, or none for now.
    pub fn set(&mut self, prefix: F::Prefix, hop: Option<u8>) {
        match hop {
            Some(hop) => self.exact.insert(prefix, hop),
            None => self.exact.remove(&prefix),
        };
    }

    /// Rows that the engine `multibit` needs: the root, and one for each way
    /// beyond a byte's end.
    pub fn rows(&self) -> u32 {
        let mut ways: Vec<F::Prefix> = Vec::new();
        for (prefix, _) in &self.routes {
            let beyond = (16..F::len(prefix)).step_by(8);
            ways.extend(beyond.filter_map(|len| F::prefix(F::network(prefix), len)));
        }
        ways.sort_unstable();
        ways.dedup();
        // The fixed entries and the links of the measurement: a few.
        256 + 256 + ways.len() as u32
    }
}

/// Whether a destination is one that a router never forwards to, or that of a
/// link of the measurement.
pub fn is_reserved_address<F: BenchFamily>(address: F::Addr) -> bool {
    F::FIXED
        .iter()
        .map(|(fixed, _)| *fixed)
        .chain(F::links())
        .any(|prefix| F::contains(&prefix, address))
}

fn is_reserved<F: FibFamily + BenchFamily>(prefix: &F::Prefix) -> bool {
    F::FIXED
        .iter()
        .map(|(fixed, _)| *fixed)
        .chain(F::links())
        .any(|reserved| {
            F::len(&reserved) <= F::len(prefix) && F::contains(&reserved, F::network(prefix))
        })
}
