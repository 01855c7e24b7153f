//! What a measurement is doing, for whoever waits at a terminal.

use std::io::{self, IsTerminal as _, Write as _};

/// One line on stderr that is written over; nothing where that is no terminal.
#[derive(Debug)]
pub struct Progress {
    shown: bool,
}

impl Progress {
    /// On the terminal, if stderr is one.
    pub fn new() -> Self {
        Progress {
            shown: io::stderr().is_terminal(),
        }
    }

    /// What is done now.
    pub fn step(&self, what: &str) {
        if self.shown {
            // Nobody to tell, nothing to do.
            let _ = write!(io::stderr(), "\r\x1b[K{what}");
        }
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.step("");
    }
}
