//! The daemon itself, as a process of its own, with directories of its own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::super::router::Router;
use crate::dataplane::memlock::field;

/// A daemon that is not there after so long will not come.
const START: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);
/// How much of its log an error shows.
const TAIL: usize = 2000;

/// A daemon in a router's namespace; it ends with this.
pub(super) struct Daemon {
    child: Child,
    directory: PathBuf,
}

impl Daemon {
    /// Starts it and waits until it answers.
    pub(super) fn start(router: &Router, name: &str, config: &str) -> anyhow::Result<Daemon> {
        let own = format!("forwarder-bench-{}-{name}", std::process::id());
        let directory = std::env::temp_dir().join(own);
        // Of an earlier process with this number.
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory)
            .with_context(|| format!("making {}", directory.display()))?;
        let file = directory.join("forwarder.toml");
        fs::write(&file, config).with_context(|| format!("writing {}", file.display()))?;
        let log = File::create(directory.join("log"))?;
        let binary = std::env::current_exe().context("asking for this program's path")?;
        let mut command = Command::new(binary);
        for base in ["run", "bpf", "state"] {
            let base_directory = directory.join(base);
            fs::create_dir_all(&base_directory)?;
            command.arg(format!("--{base}-dir")).arg(base_directory);
        }
        command.args(["run", "--config"]).arg(&file);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        command.env("RUST_LOG", "warn");
        // A child is in the namespace of the thread that starts it.
        let child = router.enter(|| command.spawn().context("starting the daemon"))?;
        let mut daemon = Daemon { child, directory };
        daemon.wait_until_ready()?;
        Ok(daemon)
    }

    /// Where its routing socket is.
    pub(super) fn socket(&self) -> PathBuf {
        self.directory.join("run/default/route.sock")
    }

    /// Bytes of its own memory.
    pub(super) fn memory(&self) -> anyhow::Result<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        let kib = field(&text, "RssAnon:").with_context(|| format!("no RssAnon in {path}"))?;
        Ok(kib * 1024)
    }

    fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let end = Instant::now() + START;
        while !is_there(&self.socket()) {
            let ended = self.child.try_wait()?;
            if ended.is_some() || Instant::now() > end {
                bail!("the daemon does not answer; its log ends:\n{}", self.log());
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    fn log(&self) -> String {
        let text = fs::read_to_string(self.directory.join("log")).unwrap_or_default();
        let start = text.len().saturating_sub(TAIL);
        let start = (start..text.len()).find(|at| text.is_char_boundary(*at));
        text[start.unwrap_or(0)..].to_owned()
    }
}

/// Whether somebody listens there.
fn is_there(path: &Path) -> bool {
    let Ok(address) = socket2::SockAddr::unix(path) else {
        return false;
    };
    let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::SEQPACKET, None);
    socket.is_ok_and(|socket| socket.connect(&address).is_ok())
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).map(Pid::from_raw);
        if let Ok(pid) = pid {
            let _ = kill(pid, Signal::SIGTERM);
        }
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}
