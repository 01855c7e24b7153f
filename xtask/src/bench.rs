//! `cargo xtask bench`: builds release binaries, then becomes the measurement:
//! the daemon's own `bench`, or, for `rip`, the one that starts other people's
//! daemons beside it.

use std::os::unix::process::CommandExt as _;

use anyhow::Context as _;

use crate::setup::{self, Purpose};
use crate::shell;

/// What is measured without a name: what users ask first.
const DEFAULT: &str = "forward";
/// The one that is a program of the tests.
const RIP: &str = "rip";

/// Builds, and replaces this process by the measurement, so that Ctrl-C and
/// the exit status are its own. Without a name the arguments are `forward`'s.
pub(crate) fn run(args: &[String]) -> anyhow::Result<()> {
    match args.split_first() {
        Some((name, rest)) if name == RIP => run_rip(rest),
        _ => run_own(args),
    }
}

fn run_own(args: &[String]) -> anyhow::Result<()> {
    setup::ensure(Purpose::Demo)?;
    shell::step("cargo build --release");
    shell::run(shell::cargo().args(["build", "--release", "--package", "forwarder"]))?;
    let mut bench = shell::command(shell::target().join("release/forwarder"));
    bench.arg("bench");
    if args.first().is_none_or(|first| first.starts_with('-')) && !asks_for_help(args) {
        bench.arg(DEFAULT);
    }
    // exec returns only when it fails.
    Err(bench.args(args).exec()).context("starting the binary that was just built")
}

/// It needs FRR and BIRD, which the others do without.
fn run_rip(args: &[String]) -> anyhow::Result<()> {
    setup::ensure(Purpose::Test)?;
    shell::step("cargo build --release");
    let mut build = shell::cargo();
    build.args([
        "build",
        "--release",
        "--package",
        "forwarder",
        "--package",
        "forwarder-tests",
    ]);
    shell::run(build.args(["--bin", "forwarder", "--bin", "rip-bench"]))?;
    let release = shell::target().join("release");
    let mut bench = shell::command(release.join("rip-bench"));
    bench
        .args(args)
        .env("FORWARDER_BIN", release.join("forwarder"));
    // exec returns only when it fails.
    Err(bench.exec()).context("starting the measurement that was just built")
}

fn asks_for_help(args: &[String]) -> bool {
    matches!(args, [only] if only == "--help" || only == "-h")
}
