//! Keeps the sequence number of authenticated packets across restarts.
//!
//! A neighbour refuses a number lower than the last it has heard, and BIRD does
//! so for ever. The numbers follow the wall clock, so the file matters where
//! that was set back, or is behind the numbers used.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tracing::warn;

/// The file within the instance's state directory.
const NAME: &str = "rip-auth-sequence";

/// Numbers claimed at a time: the file is written once for so many packets, or
/// seconds. A crash costs as many, which is an hour's third at most.
const CLAIM: u32 = 1000;

/// The file and what it says.
pub(super) struct SequenceFile {
    path: PathBuf,
    /// Numbers up to here are claimed on disk.
    claimed: u32,
    failed: bool,
}

impl SequenceFile {
    /// Opens the file of a state directory; answers the last number used, 0
    /// where it is not known.
    pub(super) fn open(directory: &Path) -> (Self, u32) {
        let path = directory.join(NAME);
        let last = match read(&path) {
            Ok(last) => last,
            Err(error) => {
                warn!("RIP's sequence numbers begin at the wall clock: {error:#}");
                0
            }
        };
        let file = SequenceFile {
            path,
            claimed: last,
            failed: false,
        };
        (file, last)
    }

    /// To be told before a packet of this number is sent.
    pub(super) fn reach(&mut self, sequence: u32) {
        if sequence > self.claimed {
            self.write(sequence.saturating_add(CLAIM));
        }
    }

    /// Gives back what was claimed and not used.
    pub(super) fn close(&mut self, sequence: u32) {
        if sequence < self.claimed {
            self.write(sequence);
        }
    }

    /// Not being able to write is said once; the wall clock has to do then.
    fn write(&mut self, number: u32) {
        self.claimed = number;
        let outcome = replace(&self.path, number);
        if let (Err(error), false) = (&outcome, self.failed) {
            let path = self.path.display();
            warn!(
                "cannot write {path}: {error}; if the clock is set back, neighbours will refuse our packets after a restart"
            );
        }
        self.failed = outcome.is_err();
    }
}

fn read(path: &Path) -> anyhow::Result<u32> {
    let name = path.display();
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        outcome => outcome.with_context(|| format!("cannot read {name}"))?,
    };
    let number = text.trim().parse();
    number.with_context(|| format!("{name} is damaged, and is written anew"))
}

/// All or nothing: a half-written number would be a wrong one.
fn replace(path: &Path, number: u32) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let aside = path.with_extension("new");
    let mut file = fs::File::create(&aside)?;
    writeln!(file, "{number}")?;
    file.sync_data()?;
    fs::rename(aside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_claimed_ahead_and_given_back() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("default");
        let (mut file, last) = SequenceFile::open(&state);
        assert_eq!(last, 0);
        file.reach(5000);
        // As after a crash.
        assert_eq!(SequenceFile::open(&state).1, 6000);
        file.reach(6000);
        assert_eq!(SequenceFile::open(&state).1, 6000);
        file.reach(6001);
        assert_eq!(SequenceFile::open(&state).1, 7001);
        file.close(6001);
        assert_eq!(SequenceFile::open(&state).1, 6001);
    }

    #[test]
    fn a_damaged_file_is_no_obstacle() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(NAME), "12x\n").unwrap();
        let (mut file, last) = SequenceFile::open(directory.path());
        assert_eq!(last, 0);
        file.reach(7);
        assert_eq!(SequenceFile::open(directory.path()).1, 1007);
    }
}
