//! What nextest reports: the counts in the head of its JUnit file (see
//! `.config/nextest.toml`), which unlike its printed summary is a format.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::shell;

/// How many tests ran and how many of them did not pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Tests {
    pub(super) total: u64,
    pub(super) failed: u64,
}

/// Where nextest writes it.
pub(super) fn file() -> PathBuf {
    shell::target().join("nextest/default/junit.xml")
}

/// Removes the file of an earlier run, so that it is not read for this one's.
pub(super) fn remove() -> anyhow::Result<()> {
    match std::fs::remove_file(file()) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", file().display()))
        }
        _ => Ok(()),
    }
}

/// Reads the counts of the run that has just ended.
pub(super) fn read(path: &Path) -> anyhow::Result<Tests> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("no test was run: {} is not there", path.display()))?;
    parse(&text).with_context(|| format!("{} has no counts", path.display()))
}

/// The counts of the `testsuites` element, which sums up all suites.
pub(super) fn parse(text: &str) -> Option<Tests> {
    let (_, rest) = text.split_once("<testsuites ")?;
    let (head, _) = rest.split_once('>')?;
    let number = |name: &str| {
        let (_, rest) = head.split_once(&format!(" {name}=\""))?;
        rest.split_once('"')?.0.parse::<u64>().ok()
    };
    Some(Tests {
        total: number("tests")?,
        failed: number("failures")? + number("errors")?,
    })
}
