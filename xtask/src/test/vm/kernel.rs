//! The kernels: which, and how they come under `target/vm/SERIES/`.
//!
//! One that is there is used as it is; remove the directory for a newer one.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use clap::ValueEnum;

use super::apt::Apt;
use crate::shell;

/// The oldest that Debian still serves, Debian 12's, and the newest that Debian
/// 12 gets. In 5.18 came XDP in several buffers, in 6.3 what a device says of
/// its XDP features.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Series {
    /// Linux 5.10
    #[value(name = "5.10")]
    V5_10,
    /// Linux 6.1
    #[value(name = "6.1")]
    V6_1,
    /// Linux 6.12
    #[value(name = "6.12")]
    V6_12,
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What is taken of a package: modules of physical devices would be most of it.
const PARTS: &[&str] = &[
    "./boot/vmlinuz-*",
    "*/modules.*",
    "*/kernel/arch/*/crypto/*",
    "*/kernel/crypto/*",
    "*/kernel/drivers/char/*",
    "*/kernel/drivers/net/*.ko*",
    "*/kernel/drivers/net/bonding/*",
    "*/kernel/drivers/net/vxlan/*",
    "*/kernel/drivers/virtio/*",
    "*/kernel/fs/*",
    "*/kernel/lib/*",
    "*/kernel/net/*",
];

/// A kernel that has been unpacked.
pub(super) struct Installed {
    /// As `uname -r` will say.
    pub(super) version: String,
    root: PathBuf,
}

impl Series {
    /// `5.10`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Series::V5_10 => "5.10",
            Series::V6_1 => "6.1",
            Series::V6_12 => "6.12",
        }
    }

    /// The names of its packages. The generic flavour: the one for clouds has
    /// no 9p.
    fn packages(self) -> &'static str {
        match self {
            Series::V5_10 => r"^linux-image-5\.10\.0-[0-9]+-amd64$",
            Series::V6_1 => r"^linux-image-6\.1\.0-[0-9]+-amd64$",
            Series::V6_12 => r"^linux-image-6\.12\.[0-9]+\+deb12-amd64$",
        }
    }

    /// The unpacked kernel below `directory`, downloaded when it is not there.
    pub(super) fn fetch(self, directory: &Path) -> anyhow::Result<Installed> {
        let root = directory.join(self.name()).join("kernel");
        if !root.join("boot").exists() {
            let apt = Apt::new(&directory.join("apt"))?;
            let name = apt.newest(self.packages())?;
            let package = apt.download(&name)?;
            let part = root.with_extension("part");
            extract(&package, &part)?;
            fs::rename(&part, &root).context("putting the kernel in its place")?;
            fs::remove_file(&package).context("removing the package")?;
        }
        let version = only_entry(&root.join("lib/modules"))?;
        Ok(Installed { version, root })
    }
}

impl Installed {
    /// Its image.
    pub(super) fn image(&self) -> PathBuf {
        self.root.join(format!("boot/vmlinuz-{}", self.version))
    }

    /// Where `lib/modules` is.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Its modules.
    pub(super) fn modules(&self) -> PathBuf {
        self.root.join("lib/modules").join(&self.version)
    }

    /// Its own directory in `target/vm`.
    pub(super) fn directory(&self) -> &Path {
        self.root.parent().unwrap_or(&self.root)
    }
}

/// `dpkg-deb --fsys-tarfile PACKAGE | tar -x`, of the parts that are wanted.
fn extract(package: &Path, root: &Path) -> anyhow::Result<()> {
    // Half of an earlier try.
    let _ = fs::remove_dir_all(root);
    fs::create_dir_all(root).with_context(|| format!("making {}", root.display()))?;
    let mut unpack = shell::command("dpkg-deb");
    unpack.arg("--fsys-tarfile").arg(package);
    let mut unpack = unpack
        .stdout(Stdio::piped())
        .spawn()
        .context("starting dpkg-deb")?;
    let archive = unpack.stdout.take().context("dpkg-deb without output")?;
    let mut tar = shell::command("tar");
    tar.args(["-x", "--wildcards", "-C"]).arg(root).args(PARTS);
    // It fails when a pattern matches nothing: kernels differ in what is a
    // module. What is needed is looked at.
    tar.stdin(archive).stderr(Stdio::null());
    let _ = tar.status().context("starting tar")?;
    ensure!(
        unpack.wait()?.success() && root.join("lib/modules").exists(),
        "{} could not be unpacked",
        package.display()
    );
    Ok(())
}

/// The name of the one entry of a directory.
fn only_entry(directory: &Path) -> anyhow::Result<String> {
    let mut entries = fs::read_dir(directory)
        .with_context(|| format!("reading {}", directory.display()))?
        .flatten();
    let entry = entries
        .next()
        .with_context(|| format!("{} is empty", directory.display()))?;
    Ok(entry.file_name().to_string_lossy().into_owned())
}
