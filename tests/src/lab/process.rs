//! A daemon of a lab: known by its pid, logging into a file.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::wait::wait_for;

/// A running child; the lab kills it when it ends.
pub struct Process {
    label: String,
    pid: Pid,
    child: Mutex<Child>,
    log: PathBuf,
}

impl Process {
    /// Starts it. A second one with the same label appends to the same log.
    pub(super) fn spawn(
        label: &str,
        mut command: Command,
        logs: &Path,
    ) -> anyhow::Result<Arc<Process>> {
        let log = logs.join(format!("{label}.log"));
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("opening {}", log.display()))?;
        command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        let child = command
            .spawn()
            .with_context(|| format!("starting {label}"))?;
        let pid = Pid::from_raw(i32::try_from(child.id())?);
        Ok(Arc::new(Process {
            label: label.into(),
            pid,
            child: Mutex::new(child),
            log,
        }))
    }

    /// The program's own pid.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// What it is called in errors and logs.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The last lines it has written, for an error.
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// How it ended; `None` while it runs.
    ///
    /// # Errors
    /// The kernel does not know the child.
    pub fn status(&self) -> anyhow::Result<Option<ExitStatus>> {
        self.child()
            .try_wait()
            .with_context(|| format!("asking for the status of {}", self.label))
    }

    /// Sends a signal. A process that has ended is left alone: its pid may be
    /// somebody else's by now.
    ///
    /// # Errors
    /// It has ended.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let mut child = self.child();
        if let Some(status) = child.try_wait()? {
            bail!("{} has already ended with {status}", self.label);
        }
        kill(self.pid, signal).with_context(|| format!("sending {signal} to {}", self.label))
    }

    /// Waits until it ends.
    ///
    /// # Errors
    /// It still runs after `deadline`.
    pub fn wait(&self, deadline: Duration) -> anyhow::Result<ExitStatus> {
        wait_for(deadline, &format!("the end of {}", self.label), || {
            self.status()?.context("it still runs")
        })
    }

    /// SIGTERM, then [`Process::wait`].
    ///
    /// # Errors
    /// It had ended before, or does not end in time.
    pub fn stop(&self, deadline: Duration) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        self.wait(deadline)
    }

    /// SIGKILL, and reaps it. Nothing when it has ended.
    pub fn kill(&self) {
        let mut child = self.child();
        if matches!(child.try_wait(), Ok(None)) {
            // Fails only when it ended in between.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// A panic elsewhere leaves the child as valid as before.
    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
