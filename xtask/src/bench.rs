//! `cargo xtask bench`: builds the release binary, then becomes its `bench`.

use std::os::unix::process::CommandExt as _;

use anyhow::Context as _;

use crate::setup::{self, Purpose};
use crate::shell;

/// What is measured without a name: what users ask first.
const DEFAULT: &str = "forward";

/// Builds, and replaces this process by `forwarder bench`, so that Ctrl-C and
/// the exit status are its own. Without a name the arguments are `forward`'s.
pub(crate) fn run(args: &[String]) -> anyhow::Result<()> {
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

fn asks_for_help(args: &[String]) -> bool {
    matches!(args, [only] if only == "--help" || only == "-h")
}
