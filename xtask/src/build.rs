//! `cargo xtask build`: what an operator installs.

use crate::setup::{self, Purpose};
use crate::shell;

/// Builds the release binary and prints where it is.
pub(crate) fn run() -> anyhow::Result<()> {
    setup::ensure(Purpose::Build)?;
    shell::step("cargo build --release");
    shell::run(shell::cargo().args(["build", "--release", "--package", "forwarder"]))?;
    println!("{}", shell::target().join("release/forwarder").display());
    Ok(())
}
