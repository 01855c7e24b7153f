//! The archive that the kernel starts from: busybox, the modules up to 9p and
//! overlayfs, and `init.sh`, which leaves it for this machine's root.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, ensure};

use super::kernel::Installed;
use super::tools::Tools;
use crate::shell;

/// What has to be there before the root is.
const MODULES: [&str; 4] = ["virtio_pci", "9pnet_virtio", "9p", "overlay"];

/// Makes the archive for this kernel; returns where it is.
pub(super) fn build(tools: &Tools, kernel: &Installed) -> anyhow::Result<PathBuf> {
    let tree = kernel.directory().join("initramfs");
    // What an earlier run has left.
    let _ = fs::remove_dir_all(&tree);
    for part in [
        "bin", "dev", "lower", "changes", "joined", "modules", "proc",
    ] {
        fs::create_dir_all(tree.join(part)).context("making the initramfs")?;
    }
    fs::copy(tools.file("bin/busybox"), tree.join("bin/busybox")).context("copying busybox")?;
    let init = tree.join("init");
    fs::write(&init, script(tools, kernel, &tree)?)?;
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755))?;
    let archive = tree.with_extension("cpio");
    pack(tools, &tree, &archive)?;
    Ok(archive)
}

/// init.sh with the modules' names in the order of loading; copies them.
fn script(tools: &Tools, kernel: &Installed, tree: &Path) -> anyhow::Result<String> {
    shell::run(
        tools
            .kmod("depmod")
            .arg("-b")
            .arg(kernel.root())
            .arg(&kernel.version),
    )?;
    let mut names = Vec::new();
    for file in closure(tools, kernel)? {
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        let name = name.trim_end_matches(".ko").to_owned();
        if !names.contains(&name) {
            copy_plain(tools, &file, &tree.join("modules").join(&name))?;
            names.push(name);
        }
    }
    let modules = names.join(" ");
    Ok(include_str!("init.sh").replace("@MODULES@", &modules))
}

/// The modules' files, each behind those it needs.
fn closure(tools: &Tools, kernel: &Installed) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for module in MODULES {
        let mut show = tools.kmod("modprobe");
        show.args([
            "--show-depends",
            "--set-version",
            &kernel.version,
            "--dirname",
        ]);
        show.arg(kernel.root()).arg(module);
        let output = shell::output(&mut show)
            .with_context(|| format!("the kernel has no module {module}"))?;
        // The other lines say that one is built in.
        let paths = output
            .lines()
            .filter_map(|line| line.strip_prefix("insmod "));
        files.extend(paths.map(|path| PathBuf::from(path.trim())));
    }
    Ok(files)
}

/// Copies a module, unpacked: the guest's insmod takes them plain.
fn copy_plain(tools: &Tools, from: &Path, to: &Path) -> anyhow::Result<()> {
    if from.extension().is_some_and(|end| end == "xz") {
        let file = File::create(to).with_context(|| format!("writing {}", to.display()))?;
        return shell::run(
            tools
                .command("bin/busybox")
                .arg("xzcat")
                .arg(from)
                .stdout(file),
        );
    }
    fs::copy(from, to)
        .map(drop)
        .with_context(|| format!("copying {}", from.display()))
}

fn pack(tools: &Tools, tree: &Path, archive: &Path) -> anyhow::Result<()> {
    let file = File::create(archive).with_context(|| format!("writing {}", archive.display()))?;
    let mut find = shell::command("find");
    let mut find = find
        .arg(".")
        .current_dir(tree)
        .stdout(Stdio::piped())
        .spawn()
        .context("starting find")?;
    let names = find.stdout.take().context("find without output")?;
    let mut cpio = tools.command("bin/cpio");
    cpio.args(["--create", "--format=newc", "--owner=0:0", "--quiet"]);
    shell::run(cpio.current_dir(tree).stdin(names).stdout(file))?;
    ensure!(find.wait()?.success(), "find failed");
    Ok(())
}
