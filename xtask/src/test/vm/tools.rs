//! QEMU and what the guests' start needs, unpacked under `target/vm/tools`.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use super::apt::Apt;
use crate::shell;

/// The emulator; a shell that needs no libraries; the maker of initramfs
/// archives; modprobe and depmod.
const PACKAGES: [&str; 4] = ["qemu-system-x86", "busybox-static", "cpio", "kmod"];

/// The directory they were unpacked in.
pub(super) struct Tools(PathBuf);

impl Tools {
    /// Downloads them when they are not there; brings apt's lists up to date
    /// by the way, for the kernels that may be missing, too.
    pub(super) fn get(apt: &Apt, directory: &Path) -> anyhow::Result<Tools> {
        let root = directory.join("tools");
        if !root.exists() {
            apt.update();
            let part = root.with_extension("part");
            let _ = fs::remove_dir_all(&part);
            apt.unpack(&PACKAGES, &part)
                .context("QEMU comes from Debian 12's packages and its backports")?;
            fs::rename(&part, &root).context("putting QEMU in its place")?;
        }
        Ok(Tools(root))
    }

    /// Where they are.
    pub(super) fn root(&self) -> &Path {
        &self.0
    }

    /// A file that the packages have.
    pub(super) fn file(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }

    /// A command that runs one of them, with the libraries beside it.
    pub(super) fn command(&self, path: &str) -> Command {
        self.around(self.file(path))
    }

    /// A command of this machine's that starts one of them.
    pub(super) fn around(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = shell::command(program);
        let architecture = std::env::consts::ARCH;
        let libraries = ["lib", "usr/lib"].map(|directory| {
            let path = self.0.join(directory);
            format!("{}/{architecture}-linux-gnu", path.display())
        });
        command.env("LD_LIBRARY_PATH", libraries.join(":"));
        command
    }

    /// modprobe or depmod: one program, which goes by its name.
    pub(super) fn kmod(&self, name: &str) -> Command {
        let mut command = self.command("bin/kmod");
        command.arg0(name);
        command
    }
}
