//! `cargo xtask bench rip`: our RIP beside FRR's and BIRD's.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Parser, ValueEnum as _};
use forwarder_tests::rip_bench::{self, Options, Part};

/// Measures RIP beside FRR's ripd and zebra and BIRD, in one run: real daemons
/// in network namespaces, all defaults. Needs root, FRR and BIRD (`cargo xtask setup`),
/// and the forwarder binary beside this one or in FORWARDER_BIN; takes some four
/// minutes; leaves nothing behind.
///
/// A figure that is missed is a result and no error; one that could not be measured
/// is.
#[derive(Parser)]
#[command(name = "cargo xtask bench rip")]
struct Arguments {
    /// Print one JSON object with every sample on stdout instead of the table.
    #[arg(long)]
    json: bool,
    /// Routes of the tables that BIRD sends. The largest is also what is announced
    /// and what the costs are of; a tenth of it is the smaller table for the memory
    #[arg(
        long,
        value_name = "N,…",
        value_delimiter = ',',
        default_value = "5000,20000,100000",
        value_parser = clap::value_parser!(u32).range(100..=1_000_000)
    )]
    routes: Vec<u32>,
    /// Samples of repairs, withdrawals and updates; of bursts five at most
    #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u8).range(1..=50))]
    samples: u8,
    /// Only these parts
    #[arg(long, value_name = "PART,…", value_delimiter = ',')]
    only: Vec<Part>,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Nobody to tell, nothing to do.
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether everything could be measured.
fn run(arguments: Arguments) -> anyhow::Result<bool> {
    let parts = match arguments.only.is_empty() {
        true => Part::value_variants().to_vec(),
        false => arguments.only,
    };
    let options = Options {
        routes: arguments.routes.iter().map(|n| *n as usize).collect(),
        samples: arguments.samples.into(),
        parts,
    };
    let report = rip_bench::run(&options)?;
    let ok = report.ok();
    let text = match arguments.json {
        true => format!("{}\n", report.json()?),
        false => report.table(),
    };
    // A reader that has gone away has seen enough.
    let _ = io::stdout().lock().write_all(text.as_bytes());
    Ok(ok)
}
