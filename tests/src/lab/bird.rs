//! BIRD, in the foreground, with a control socket of its own.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use super::namespace::run;
use super::{Lab, Namespace, Process, SHORT, wait_for};

/// A running BIRD.
pub struct Bird {
    directory: PathBuf,
    process: Arc<Process>,
}

impl Bird {
    pub(super) fn start(lab: &Lab, namespace: &Namespace, config: &str) -> anyhow::Result<Bird> {
        let directory = lab.directory().join(format!("{}-bird", namespace.name()));
        fs::create_dir_all(&directory)?;
        fs::write(directory.join("bird.conf"), config)?;
        let mut command = namespace.command("bird");
        command.arg("-f").arg("-c").arg(directory.join("bird.conf"));
        command.arg("-s").arg(directory.join("bird.ctl"));
        command.arg("-P").arg(directory.join("bird.pid"));
        let process = lab.spawn(&format!("{}.bird", namespace.name()), command)?;
        let bird = Bird { directory, process };
        wait_for(SHORT, "bird to come up", || {
            anyhow::ensure!(
                bird.process.status()?.is_none(),
                "it ended: {}",
                bird.process.log_tail()
            );
            bird.birdc("show status")
        })?;
        Ok(bird)
    }

    /// Runs a command of birdc's.
    ///
    /// # Errors
    /// BIRD does not answer.
    pub fn birdc(&self, line: &str) -> anyhow::Result<String> {
        let mut command = Command::new("birdc");
        command
            .arg("-s")
            .arg(self.directory.join("bird.ctl"))
            .args(line.split_whitespace());
        run(&mut command, None)
    }

    /// Replaces the configuration while it runs.
    ///
    /// # Errors
    /// BIRD refuses it.
    pub fn configure(&self, config: &str) -> anyhow::Result<()> {
        fs::write(self.directory.join("bird.conf"), config)?;
        let answer = self.birdc("configure")?;
        anyhow::ensure!(
            answer.contains("Reconfigur"),
            "birdc configure said {answer}"
        );
        Ok(())
    }

    /// The daemon itself: its pid, its log.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Stops it.
    ///
    /// # Errors
    /// It does not end.
    pub fn stop(&self) -> anyhow::Result<()> {
        self.process.stop(SHORT).map(drop)
    }
}
