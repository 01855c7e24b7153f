//! Progress on stderr: what is being done, and when.
#![expect(clippy::print_stderr, reason = "progress of a program run by hand")]

use std::time::Instant;

/// Lines with the seconds since the start.
pub(crate) struct Console {
    started: Instant,
}

impl Console {
    pub(crate) fn new() -> Console {
        Console {
            started: Instant::now(),
        }
    }

    /// What is about to be done.
    pub(crate) fn step(&self, what: &str) {
        eprintln!("[{:5.1} s] {what}", self.started.elapsed().as_secs_f64());
    }

    /// What has come out of it.
    pub(crate) fn detail(&self, text: &str) {
        for line in text.lines() {
            eprintln!("          {line}");
        }
    }

    /// What went wrong.
    pub(crate) fn problem(&self, what: &str) {
        self.step(&format!("FAILED: {what}"));
    }

    pub(crate) fn done(&self) {
        self.step("done");
    }
}
