//! Tests that could not run: Rust's test harness knows no such outcome, so a
//! test that has to give up writes its reason into a file of its own name in
//! the directory named by `FORWARDER_SKIPPED_DIR`, and passes.

use std::fs;
use std::path::{Path, PathBuf};

use crate::shell;

/// The directory of the reasons.
pub(super) struct Directory(PathBuf);

impl Directory {
    /// Without the reasons of earlier runs.
    pub(super) fn empty() -> Directory {
        let path = shell::target().join("skipped");
        // Failing is harmless: it is not there, or the tests can't write
        // there either and fail loudly.
        let _ = fs::remove_dir_all(&path);
        Directory(path)
    }

    /// One that was written elsewhere.
    pub(super) fn at(path: PathBuf) -> Directory {
        Directory(path)
    }

    /// What the tests are told.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Prints every reason and returns how many there are.
    pub(super) fn report(&self) -> u64 {
        let mut count = 0;
        for entry in fs::read_dir(&self.0).into_iter().flatten().flatten() {
            let reason = fs::read_to_string(entry.path()).unwrap_or_default();
            shell::note(&format!(
                "skipped: {}: {}",
                entry.file_name().display(),
                reason.trim()
            ));
            count += 1;
        }
        count
    }
}
