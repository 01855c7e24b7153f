//! FRR's zebra and ripd, in the foreground, with sockets of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use nix::unistd::{User, chown};

use super::namespace::run;
use super::{Lab, Namespace, Process, SHORT, wait_for};

const DAEMONS: &str = "/usr/lib/frr";

/// A running pair of daemons.
pub struct Frr<'lab> {
    lab: &'lab Lab,
    namespace: Namespace,
    directory: PathBuf,
    zebra: Arc<Process>,
    ripd: Arc<Process>,
}

impl<'lab> Frr<'lab> {
    pub(super) fn start(
        lab: &'lab Lab,
        namespace: &Namespace,
        ripd_conf: &str,
    ) -> anyhow::Result<Frr<'lab>> {
        let directory = lab.directory().join(format!("{}-frr", namespace.name()));
        fs::create_dir_all(&directory)?;
        fs::write(directory.join("zebra.conf"), "hostname zebra\n")?;
        fs::write(directory.join("ripd.conf"), ripd_conf)?;
        // They give up root and then open these.
        let user = User::from_name("frr")?.context("there is no user frr")?;
        for path in [
            directory.clone(),
            directory.join("zebra.conf"),
            directory.join("ripd.conf"),
        ] {
            chown(&path, Some(user.uid), Some(user.gid))?;
        }
        let zebra = start_daemon(lab, namespace, &directory, "zebra")?;
        let ripd = start_daemon(lab, namespace, &directory, "ripd")?;
        Ok(Frr {
            lab,
            namespace: namespace.clone(),
            directory,
            zebra,
            ripd,
        })
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

    /// Stops zebra; ripd goes on.
    ///
    /// # Errors
    /// It does not end.
    pub fn stop_zebra(&self) -> anyhow::Result<()> {
        self.zebra.stop(SHORT).map(drop)
    }

    /// Starts zebra again.
    ///
    /// # Errors
    /// It does not come up.
    pub fn start_zebra(&mut self) -> anyhow::Result<()> {
        self.zebra = start_daemon(self.lab, &self.namespace, &self.directory, "zebra")?;
        Ok(())
    }

    /// Stops ripd: it withdraws nothing, its neighbours have to time out.
    ///
    /// # Errors
    /// It does not end.
    pub fn stop_ripd(&self) -> anyhow::Result<()> {
        self.ripd.stop(SHORT).map(drop)
    }
}

/// Starts one and waits for its vty socket: it then has read its file. The
/// next daemon needs zebra's other socket, too, which is older.
fn start_daemon(
    lab: &Lab,
    namespace: &Namespace,
    directory: &Path,
    daemon: &str,
) -> anyhow::Result<Arc<Process>> {
    let vty = directory.join(format!("{daemon}.vty"));
    let _ = fs::remove_file(&vty);
    let mut command = namespace.command(Path::new(DAEMONS).join(daemon));
    command
        .arg("--config_file")
        .arg(directory.join(format!("{daemon}.conf")));
    command
        .arg("--pid_file")
        .arg(directory.join(format!("{daemon}.pid")));
    command.arg("--socket").arg(directory.join("zserv.api"));
    command.arg("--vty_socket").arg(directory);
    // No telnet port, and the log where our own logs are.
    command.args(["--vty_port", "0", "--log", "stdout", "--log-level", "info"]);
    let process = lab.spawn(&format!("{}.{daemon}", namespace.name()), command)?;
    wait_for(SHORT, &format!("{daemon} to come up"), || {
        ensure!(
            process.status()?.is_none(),
            "it ended: {}",
            process.log_tail()
        );
        ensure!(vty.exists(), "no {}", vty.display());
        Ok(())
    })?;
    Ok(process)
}
