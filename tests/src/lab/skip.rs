//! Tests that cannot run on this machine. The harness knows only passed and
//! failed, so the reason goes to stderr and into a file that `cargo xtask test`
//! counts (`xtask/src/test/skipped.rs`).
#![expect(clippy::print_stderr, reason = "a test's own report")]

use std::path::Path;

/// Reports that the test `name` cannot run because of `reason`.
pub fn skip(name: &str, reason: &str) {
    eprintln!("SKIPPED: {name}: {reason}");
    let Some(directory) = std::env::var_os("FORWARDER_SKIPPED_DIR") else {
        return;
    };
    let write = || {
        std::fs::create_dir_all(&directory)?;
        std::fs::write(Path::new(&directory).join(name), reason)
    };
    if let Err(error) = write() {
        eprintln!("the skip could not be counted: {error}");
    }
}

/// Whether all `programs` (absolute paths) are there; reports the skip when
/// not: `if !need("name", &["/usr/sbin/bird"]) { return }`.
#[must_use]
pub fn need(name: &str, programs: &[&str]) -> bool {
    let missing = missing(programs);
    if let Some(reason) = &missing {
        skip(name, reason);
    }
    missing.is_none()
}

/// The first of `programs` (absolute paths) that is not there, and what to do;
/// `None` = all are.
#[must_use]
pub fn missing(programs: &[&str]) -> Option<String> {
    let program = programs
        .iter()
        .find(|program| !Path::new(program).exists())?;
    Some(format!(
        "{program} is not installed: run `cargo xtask setup`"
    ))
}
