//! What every measurement is about: the table, the traffic, the machine.

use std::fs;
use std::path::PathBuf;

use serde::Serialize;

use super::family::BenchFamily;
use super::table::{self, Table};
use super::traffic::Destinations;

/// Routes and destinations.
#[derive(Clone, Debug)]
pub struct Input {
    /// Prefixes to make, where there is no file.
    pub routes: usize,
    /// Read the prefixes from this file.
    pub file: Option<PathBuf>,
    /// Where the packets go.
    pub destinations: Destinations,
    /// Next hops that the routes are spread over, 1 to 200.
    pub hops: u8,
    /// What is random follows from this.
    pub seed: u64,
}

impl Input {
    /// The table.
    pub fn table<F: BenchFamily>(&self) -> anyhow::Result<Table<F>> {
        match &self.file {
            Some(path) => Table::of(table::read::<F>(path)?, self.hops, self.seed),
            None => Table::made(self.routes, self.hops, self.seed),
        }
    }

    /// For the record.
    pub fn describe<F: BenchFamily>(&self, table: &Table<F>) -> Setup {
        Setup {
            kernel: uname(),
            cpu: cpu(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            version: env!("CARGO_PKG_VERSION"),
            optimized: !cfg!(debug_assertions),
            family: F::NAME,
            table: match &self.file {
                Some(path) => path.display().to_string(),
                None => "made from the seed".to_owned(),
            },
            routes: table.routes.len(),
            destinations: self.destinations.to_string(),
            next_hops: self.hops,
            seed: self.seed,
        }
    }
}

/// Under what conditions the figures hold.
#[derive(Clone, Debug, Serialize)]
pub struct Setup {
    /// Release of the kernel.
    pub kernel: String,
    /// Model of the CPU.
    pub cpu: String,
    /// CPUs that this process may use.
    pub cores: usize,
    /// Version of this program.
    pub version: &'static str,
    /// Whether it is a release build.
    pub optimized: bool,
    /// "ipv4" or "ipv6".
    pub family: &'static str,
    /// Where the prefixes come from.
    pub table: String,
    /// Prefixes.
    pub routes: usize,
    /// Which destinations.
    pub destinations: String,
    /// Next hops.
    pub next_hops: u8,
    /// Seed of all that is random.
    pub seed: u64,
}

/// The kernel's release; empty where it does not say.
pub fn uname() -> String {
    nix::sys::utsname::uname()
        .map(|name| name.release().to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// The CPU's model; empty where the kernel does not name it.
pub fn cpu() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    model
        .map(|rest| rest.trim_start_matches([' ', '\t', ':']).to_owned())
        .unwrap_or_default()
}
