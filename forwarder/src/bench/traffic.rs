//! Where the frames of a measurement go: how many destinations, how often each.

use std::str::FromStr;

use anyhow::ensure;

use super::family::BenchFamily;
use super::random::Random;
use super::table::{Table, is_reserved_address};

/// Destinations of the `zipf` set.
const POPULAR: usize = 100_000;
/// Frames until a set starts over, where it is drawn from a distribution.
const SEQUENCE: usize = 1 << 20;
/// Sets are held in memory, a few times over.
const MOST: usize = 1 << 24;

/// Which destinations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Destinations {
    /// So many, each a random host of a random prefix, in turn.
    Distinct(usize),
    /// A hundred thousand of the kind, the nth popular one 1/n as often as the
    /// first: what traffic looks like.
    Zipf,
}

impl FromStr for Destinations {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "zipf" {
            return Ok(Destinations::Zipf);
        }
        match text.parse() {
            Ok(count @ 1..=MOST) => Ok(Destinations::Distinct(count)),
            _ => Err(format!(
                "expected `zipf` or a number of destinations, 1 to {MOST} (64, 4096 and 1048576 \
                 are usual)"
            )),
        }
    }
}

impl std::fmt::Display for Destinations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Destinations::Distinct(count) => write!(f, "{count}"),
            Destinations::Zipf => f.write_str("zipf"),
        }
    }
}

/// Destinations in the order of the frames, each with the next hop that is
/// right.
pub struct Traffic<A> {
    /// The destinations.
    pub addresses: Vec<A>,
    /// The next hop of each.
    pub hops: Vec<u8>,
}

impl<A: Copy> Traffic<A> {
    /// Draws them; the same for the same seed and table.
    pub fn draw<F: BenchFamily<Addr = A>>(
        table: &Table<F>,
        destinations: Destinations,
        seed: u64,
    ) -> anyhow::Result<Self> {
        let mut random = Random::new(seed ^ 0x7261_6666_6963);
        match destinations {
            Destinations::Distinct(count) => Self::hosts(table, count, &mut random),
            Destinations::Zipf => {
                let hosts = Self::hosts(table, POPULAR, &mut random)?;
                Ok(hosts.by_popularity(&mut random))
            }
        }
    }

    fn hosts<F: BenchFamily<Addr = A>>(
        table: &Table<F>,
        count: usize,
        random: &mut Random,
    ) -> anyhow::Result<Self> {
        let mut traffic = Traffic {
            addresses: Vec::with_capacity(count),
            hops: Vec::with_capacity(count),
        };
        for _ in 0..4 * count {
            if traffic.addresses.len() == count {
                break;
            }
            let (prefix, _) = table.routes[random.below(table.routes.len())];
            let address = F::host_in(&prefix, random.wide());
            if is_reserved_address::<F>(address) {
                continue;
            }
            traffic.addresses.push(address);
            traffic.hops.extend(table.find(address));
        }
        ensure!(
            traffic.addresses.len() == count && traffic.hops.len() == count,
            "hardly an address of the table's prefixes can be forwarded to"
        );
        Ok(traffic)
    }

    fn by_popularity(&self, random: &mut Random) -> Self {
        let mut sum = 0.0;
        let shares: Vec<f64> = (1..=self.addresses.len())
            .map(|rank| {
                sum += 1.0 / rank as f64;
                sum
            })
            .collect();
        let picks: Vec<usize> = (0..SEQUENCE)
            .map(|_| {
                let at = sum * (random.bits() >> 11) as f64 / (1_u64 << 53) as f64;
                let index = shares.partition_point(|share| *share <= at);
                index.min(self.addresses.len() - 1)
            })
            .collect();
        Traffic {
            addresses: picks.iter().map(|&pick| self.addresses[pick]).collect(),
            hops: picks.iter().map(|&pick| self.hops[pick]).collect(),
        }
    }
}
