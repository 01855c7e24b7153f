//! FRR's daemons, in the foreground, with sockets of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use nix::unistd::{User, chown};

use super::namespace::run;
use super::{Lab, Namespace, Process, SHORT, wait_for};

const DAEMONS: &str = "/usr/lib/frr";

/// zebra and the daemons that stand on it.
pub struct Frr<'lab> {
    lab: &'lab Lab,
    namespace: Namespace,
    directory: PathBuf,
    running: Vec<(&'static str, Arc<Process>)>,
}

impl<'lab> Frr<'lab> {
    pub(super) fn start(
        lab: &'lab Lab,
        namespace: &Namespace,
        daemons: &[(&'static str, &str)],
    ) -> anyhow::Result<Frr<'lab>> {
        let directory = lab.directory().join(format!("{}-frr", namespace.name()));
        fs::create_dir_all(&directory)?;
        give_to_frr(&directory)?;
        let namespace = namespace.clone();
        let mut frr = Frr {
            lab,
            namespace,
            directory,
            running: Vec::new(),
        };
        for (daemon, config) in [("zebra", "hostname zebra\n")].iter().chain(daemons) {
            let file = frr.directory.join(format!("{daemon}.conf"));
            fs::write(&file, config)?;
            give_to_frr(&file)?;
            frr.start_daemon(daemon)?;
        }
        Ok(frr)
    }

    /// Runs a command of vtysh's.
    ///
    /// # Errors
    /// A daemon does not answer.
    pub fn vtysh(&self, line: &str) -> anyhow::Result<String> {
        let mut command = Command::new("vtysh");
        command
            .arg("--vty_socket")
            .arg(&self.directory)
            .args(["-c", line]);
        run(&mut command, None)
    }

    /// The daemons that run: their pids, their logs.
    pub fn processes(&self) -> impl Iterator<Item = &Process> {
        self.running.iter().map(|(_, process)| process.as_ref())
    }

    /// Stops one of the daemons; the others go on. ripd withdraws nothing when
    /// it ends, its neighbours have to time out.
    ///
    /// # Errors
    /// It does not run or does not end.
    pub fn stop(&mut self, daemon: &str) -> anyhow::Result<()> {
        let index = self.running.iter().position(|(name, _)| *name == daemon);
        let (_, process) = self
            .running
            .remove(index.context("this daemon does not run")?);
        process.stop(SHORT).map(drop)
    }

    /// Starts one of the daemons again, and waits for its vty socket: it then
    /// has read its file.
    ///
    /// # Errors
    /// It does not come up.
    pub fn start_daemon(&mut self, daemon: &'static str) -> anyhow::Result<()> {
        let vty = self.directory.join(format!("{daemon}.vty"));
        let _ = fs::remove_file(&vty);
        let label = format!("{}.{daemon}", self.namespace.name());
        let process = self.lab.spawn(&label, self.command(daemon))?;
        self.running.push((daemon, Arc::clone(&process)));
        wait_for(SHORT, &format!("{daemon} to come up"), || {
            ensure!(
                process.status()?.is_none(),
                "it ended: {}",
                process.log_tail()
            );
            ensure!(vty.exists(), "no {}", vty.display());
            Ok(())
        })
    }

    fn command(&self, daemon: &str) -> Command {
        let file = |extension: &str| self.directory.join(format!("{daemon}.{extension}"));
        let mut command = self.namespace.command(Path::new(DAEMONS).join(daemon));
        command
            .arg("--config_file")
            .arg(file("conf"))
            .arg("--pid_file")
            .arg(file("pid"));
        command
            .arg("--socket")
            .arg(self.directory.join("zserv.api"));
        command.arg("--vty_socket").arg(&self.directory);
        // No telnet port, and the log where our own logs are.
        command.args(["--vty_port", "0", "--log", "stdout", "--log-level", "info"]);
        command
    }
}

/// The daemons give up root before they open their files.
fn give_to_frr(path: &Path) -> anyhow::Result<()> {
    let user = User::from_name("frr")?.context("there is no user frr: is FRR installed?")?;
    chown(path, Some(user.uid), Some(user.gid))
        .with_context(|| format!("giving {} to the user frr", path.display()))
}
