//! Prefixes in the shape of the Internet's table, from a seed.
//!
//! What makes a real table fast or slow to look up in is how its prefixes lie:
//! their lengths, how many lie inside shorter ones, and that they crowd into a
//! small part of the space. So a [`Shape`] has the lengths' shares, and blocks
//! into which everything longer than them is put. The figures are from a table
//! of 901,899 IPv4 and 160,147 IPv6 prefixes of 2024; [`super::tests`] hold the
//! result to them.

use std::collections::HashSet;

use super::super::random::Random;

/// Network address, in the lowest bits for IPv4, and length.
pub type Bits = (u128, u8);

/// Blocks of one length, into which longer prefixes are put.
#[derive(Clone, Copy, Debug)]
pub struct Blocks {
    /// Length of a block.
    pub len: u8,
    /// Blocks for each thousand prefixes of the table.
    pub per_thousand: usize,
}

/// What a family's table looks like.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Bits of an address.
    pub bits: u8,
    /// Lengths and how often they occur among 100,000.
    pub lengths: &'static [(u8, usize)],
    /// Where the blocks of the first kind lie: address and length of the ranges
    /// that are handed out.
    pub space: &'static [Bits],
    /// From short to long; each kind lies in blocks of the one before.
    pub blocks: &'static [Blocks],
    /// What lies in shorter prefixes of the table.
    pub nested: Nested,
}

/// Prefixes of one length, of which a part lies in shorter ones.
#[derive(Clone, Copy, Debug)]
pub struct Nested {
    /// Which length.
    pub len: u8,
    /// How many of them.
    pub percent: usize,
    /// In prefixes of this length and longer: those much shorter are few and
    /// cover so much that nothing would crowd.
    pub inside: u8,
}

/// How often a place is looked for that is free: a small table is dense.
const ATTEMPTS: usize = 64;

impl Shape {
    /// As many prefixes; fewer where the space has no room for more.
    pub fn make(&self, routes: usize, random: &mut Random) -> Vec<Bits> {
        let weights: Vec<usize> = self.lengths.iter().map(|(_, weight)| *weight).collect();
        let mut lengths: Vec<u8> = (0..routes)
            .map(|_| self.lengths[random.weighted(&weights)].0)
            .collect();
        // The shorter ones first: the others are put inside or beside them.
        lengths.sort_unstable();
        let mut maker = Maker {
            shape: self,
            blocks: self.blocks(routes, random),
            taken: HashSet::with_capacity(routes),
            made: Vec::with_capacity(routes),
        };
        for len in lengths {
            maker.add(len, random);
        }
        maker.made
    }

    fn blocks(&self, routes: usize, random: &mut Random) -> Vec<(u8, Vec<u128>)> {
        let mut all: Vec<(u8, Vec<u128>)> = Vec::new();
        for kind in self.blocks {
            let count = (routes * kind.per_thousand).div_ceil(1000).max(1);
            let blocks = (0..count)
                .map(|_| {
                    let parent = match all.last() {
                        Some((len, parents)) => random.pick(parents).map(|block| (block, *len)),
                        None => Some(self.place(random)),
                    };
                    self.inside(parent.unwrap_or_default(), kind.len, random)
                })
                .collect();
            all.push((kind.len, blocks));
        }
        all
    }

    /// A range of the space, each as often as it is large.
    fn place(&self, random: &mut Random) -> Bits {
        let size = |&(_, len): &Bits| 1_usize << 32_u8.saturating_sub(len);
        let weights: Vec<usize> = self.space.iter().map(size).collect();
        self.space[random.weighted(&weights)]
    }

    /// A random prefix of this length inside another.
    fn inside(&self, (network, outer): Bits, len: u8, random: &mut Random) -> u128 {
        let below = |len: u8| (1_u128 << (self.bits - len)) - 1;
        // A /0 of 128 bits would shift by all of them; no space is that wide.
        let free = below(outer.max(1)) & !below(len);
        network | (random.wide() & free)
    }
}

struct Maker<'a> {
    shape: &'a Shape,
    blocks: Vec<(u8, Vec<u128>)>,
    taken: HashSet<Bits>,
    made: Vec<Bits>,
}

impl Maker<'_> {
    fn add(&mut self, len: u8, random: &mut Random) {
        let nested_len = self.shape.nested.len;
        let nested = random.chance(self.shape.nested.percent);
        for _ in 0..ATTEMPTS {
            let prefix = if len == nested_len && nested {
                self.nested(len, random)
            } else {
                self.in_block(len, random)
            };
            if len == nested_len && !nested && self.is_covered(prefix) {
                continue;
            }
            if self.taken.insert(prefix) {
                self.made.push(prefix);
                return;
            }
        }
    }

    /// In a block of the longest kind that is shorter.
    fn in_block(&self, len: u8, random: &mut Random) -> Bits {
        let kind = self.blocks.iter().rev().find(|(block, _)| *block < len);
        let outer = match kind {
            Some((block, blocks)) => random.pick(blocks).map(|network| (network, *block)),
            None => Some(self.shape.place(random)),
        };
        let outer = outer.unwrap_or_default();
        (self.shape.inside(outer, len, random), len)
    }

    /// In a prefix of the table that is shorter.
    fn nested(&self, len: u8, random: &mut Random) -> Bits {
        let least = self.shape.nested.inside;
        let first = self.made.partition_point(|(_, len)| *len < least);
        let last = self.made.partition_point(|(_, outer)| *outer < len);
        match random.pick(&self.made[first..last.max(first)]) {
            Some(outer) => (self.shape.inside(outer, len, random), len),
            None => self.in_block(len, random),
        }
    }

    fn is_covered(&self, (network, len): Bits) -> bool {
        let least = self.shape.blocks[0].len;
        (least..len).any(|shorter| {
            let host = (1_u128 << (self.shape.bits - shorter)) - 1;
            self.taken.contains(&(network & !host, shorter))
        })
    }
}
