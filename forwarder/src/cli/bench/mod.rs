//! `forwarder bench`: what things cost on this machine, beside their
//! alternatives. The measuring is in [`crate::bench`].

mod fib;
mod forward;
mod program;

use anyhow::ensure;
use forwarder_core::net::{Ipv4, Ipv6};
use serde::Serialize;

use super::args::{
    BenchCommand, BenchFibCommand, BenchForwardCommand, BenchInput, BenchProgramCommand,
};
use super::output;
use crate::bench::forward::{self as measure, Options};
use crate::bench::progress::Progress;
use crate::bench::setup::{Input, Setup};
use crate::bench::{fib as measure_fib, program as measure_program, socket as measure_socket};

pub(super) async fn run(command: BenchCommand, json: bool) -> anyhow::Result<()> {
    ensure!(
        nix::unistd::geteuid().is_root(),
        "measuring needs network namespaces and BPF programs; run it as root"
    );
    match command {
        BenchCommand::Forward(command) => run_forward(command, json).await,
        BenchCommand::Fib(command) => run_fib(command, json).await,
        BenchCommand::Program(command) => run_program(command, json),
    }
}

impl From<BenchInput> for Input {
    fn from(arguments: BenchInput) -> Input {
        Input {
            routes: arguments.routes as usize,
            file: arguments.file,
            destinations: arguments.destinations,
            hops: arguments.next_hops,
            seed: arguments.seed,
        }
    }
}

async fn run_forward(command: BenchForwardCommand, json: bool) -> anyhow::Result<()> {
    let ipv6 = command.input.ipv6;
    let options = Options {
        input: command.input.into(),
        ways: command.ways,
        samples: usize::from(command.samples),
        frames: command.frames,
        batch: command.batch,
    };
    let progress = Progress::new();
    let report = if ipv6 {
        measure::run::<Ipv6>(&options, &progress).await?
    } else {
        measure::run::<Ipv4>(&options, &progress).await?
    };
    drop(progress);
    show(&report, json, forward::table)?;
    ensure!(
        report.problems.is_empty(),
        "the figures do not count: {}",
        report.problems.join("; ")
    );
    Ok(())
}

async fn run_fib(command: BenchFibCommand, json: bool) -> anyhow::Result<()> {
    let ipv6 = command.input.ipv6;
    let options = measure_fib::Options {
        input: command.input.into(),
        engines: command.engines,
        samples: usize::from(command.samples),
    };
    let progress = Progress::new();
    let report = if ipv6 {
        measure_fib::run::<Ipv6>(&options, &progress).await?
    } else {
        measure_fib::run::<Ipv4>(&options, &progress).await?
    };
    drop(progress);
    show(&report, json, fib::table)
}

fn run_program(command: BenchProgramCommand, json: bool) -> anyhow::Result<()> {
    let ipv6 = command.input.ipv6;
    let options = measure_program::Options {
        input: command.input.into(),
        engine: command.engine,
        changes: command.changes as usize,
        rate: command.rate,
        socket: (command.samples > 0).then_some(measure_socket::Options {
            samples: usize::from(command.samples),
            changes: command.changes as usize,
            rate: command.rate,
            stalled_changes: command.stalled_changes as usize,
        }),
    };
    let progress = Progress::new();
    let report = if ipv6 {
        measure_program::run::<Ipv6>(&options, &progress)?
    } else {
        measure_program::run::<Ipv4>(&options, &progress)?
    };
    drop(progress);
    show(&report, json, program::table)
}

fn show<T: Serialize>(report: &T, json: bool, table: fn(&T) -> String) -> anyhow::Result<()> {
    if json {
        output::print(serde_json::to_string_pretty(report)?)
    } else {
        output::print(table(report))
    }
}

/// The conditions in two lines.
fn conditions(setup: &Setup) -> String {
    let build = if setup.optimized {
        ""
    } else {
        "\nnot a release build: the daemon's own figures do not count"
    };
    format!(
        "{} {} prefixes ({}), {} next hops, destinations {}, seed {}\n\
         Linux {}, {} cores, {}{build}\n",
        setup.routes,
        setup.family,
        setup.table,
        setup.next_hops,
        setup.destinations,
        setup.seed,
        setup.kernel,
        setup.cores,
        setup.cpu,
    )
}
