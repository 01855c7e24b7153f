//! Network namespaces of a measurement: without a name, so that nothing is left
//! of them when the process ends, however it ends.
//!
//! The kernel takes a namespace down with the last file that holds it open, and
//! the links in it and the programs on them too.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use nix::sched::{CloneFlags, setns, unshare};

const OURS: &str = "/proc/thread-self/ns/net";

/// One namespace.
#[derive(Debug)]
pub struct Namespace {
    file: File,
}

impl Namespace {
    /// An empty one.
    pub fn new() -> anyhow::Result<Self> {
        let home = Self::current()?;
        unshare(CloneFlags::CLONE_NEWNET)
            .context("making a network namespace failed; run it as root")?;
        let new = Self::current();
        home.join()?;
        new
    }

    fn current() -> anyhow::Result<Self> {
        let file = File::open(OURS).with_context(|| format!("opening {OURS}"))?;
        Ok(Namespace { file })
    }

    fn join(&self) -> anyhow::Result<()> {
        setns(&self.file, CloneFlags::CLONE_NEWNET).context("entering a network namespace")
    }

    /// Does something inside. Sockets, and interfaces looked up, are this
    /// namespace's for good.
    pub fn enter<T>(&self, body: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
        let home = Self::current()?;
        self.join()?;
        let result = body();
        home.join()?;
        result
    }

    /// Has `ip` do these lines inside.
    pub fn ip(&self, lines: &str) -> anyhow::Result<()> {
        self.enter(|| batch(lines))
    }

    /// What `ip` and others may name the namespace by while we live.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd())
    }

    /// Writes a file of `/proc/sys`.
    pub fn sysctl(&self, key: &str, value: &str) -> anyhow::Result<()> {
        let path = format!("/proc/sys/{key}");
        self.enter(|| fs::write(&path, value).with_context(|| format!("writing {value} to {path}")))
    }

    /// An interface's MAC address.
    pub fn mac(&self, interface: &str) -> anyhow::Result<[u8; 6]> {
        self.enter(|| {
            let found = nix::ifaddrs::getifaddrs()
                .context("listing interfaces")?
                .filter(|found| found.interface_name == interface)
                .find_map(|found| found.address?.as_link_addr()?.addr());
            found.with_context(|| format!("{interface} has no MAC address"))
        })
    }
}

fn batch(lines: &str) -> anyhow::Result<()> {
    let mut child = Command::new("ip")
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("starting `ip` (package iproute2)")?;
    if let Some(mut stdin) = child.stdin.take() {
        // It ends without reading everything where a line is wrong, and says so.
        let _ = stdin.write_all(lines.as_bytes());
    }
    let output = child.wait_with_output().context("waiting for `ip`")?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        bail!("`ip -batch` with {lines:?} failed: {}", words.trim());
    }
    Ok(())
}
