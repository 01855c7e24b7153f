//! `cargo xtask demo`: builds the daemon and the demo, then becomes the demo.

use std::os::unix::process::CommandExt as _;

use anyhow::Context as _;

use crate::setup::{self, Purpose};
use crate::shell;

/// Builds both binaries and replaces this process by the demo, so that Ctrl-C
/// and the exit status are the demo's own.
pub(crate) fn run(args: &[String]) -> anyhow::Result<()> {
    setup::ensure(Purpose::Demo)?;
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
    shell::run(build.args(["--bin", "forwarder", "--bin", "demo"]))?;
    let release = shell::target().join("release");
    let mut demo = shell::command(release.join("demo"));
    demo.args(args)
        .env("FORWARDER_BIN", release.join("forwarder"));
    // exec returns only when it fails.
    Err(demo.exec()).context("starting the demo that was just built")
}
