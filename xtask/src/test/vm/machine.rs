//! One run of QEMU.
//!
//! Emulated (TCG) even where /dev/kvm exists: hardware help that does not know
//! the guest's kernel hangs instead of failing.
//!
//! With one thread a processor QEMU before 8.1 runs stale code: a page was
//! translated without being locked, so that a kernel that patches itself (jump
//! labels, the XDP dispatcher) dies of a breakpoint that it has long removed.
//! And 7.2 spoils the flags behind `cmpxchg16b`, hence `-cx16`. The backports'
//! QEMU has neither fault.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use super::kernel::Installed;
use super::tools::Tools;
use crate::shell;

/// For one kernel's tests: generous, since nextest ends each test that hangs.
const DEADLINE: Duration = Duration::from_secs(1_800);

/// Boots the kernel, shows and keeps its console, and waits for its end.
pub(super) fn run(
    tools: &Tools,
    kernel: &Installed,
    initrd: &Path,
    share: &Path,
) -> anyhow::Result<()> {
    let mut qemu = command(tools, kernel, initrd, share);
    let mut child = qemu
        .spawn()
        .with_context(|| format!("starting {}", shell::show(&qemu)))?;
    let result = wait(&mut child);
    result.with_context(|| format!("the console's output is in {}", share.display()))
}

fn wait(child: &mut Child) -> anyhow::Result<()> {
    let end = Instant::now() + DEADLINE;
    while Instant::now() < end {
        if let Some(status) = child.try_wait().context("waiting for QEMU")? {
            ensure!(status.success(), "QEMU ended with {status}");
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    child.kill().context("ending QEMU")?;
    child.wait().context("waiting for QEMU")?;
    bail!("the guest was not done after {DEADLINE:?}")
}

fn command(tools: &Tools, kernel: &Installed, initrd: &Path, share: &Path) -> Command {
    // The guest ends with this process, however that ends.
    let mut qemu = tools.around("setpriv");
    qemu.args(["--pdeathsig", "KILL"]);
    qemu.arg(tools.file("usr/bin/qemu-system-x86_64"));
    for data in ["usr/share/qemu", "usr/share/seabios", "usr/lib/ipxe/qemu"] {
        qemu.arg("-L").arg(tools.file(data));
    }
    qemu.args(["-nodefaults", "-no-user-config", "-display", "none"]);
    qemu.args(["-no-reboot", "-M", "q35", "-smp", "2", "-m", "1024"]);
    qemu.args([
        "-accel",
        "tcg,thread=multi,tb-size=256",
        "-cpu",
        "max,-cx16",
    ]);
    qemu.arg("-kernel").arg(kernel.image());
    qemu.arg("-initrd").arg(initrd);
    qemu.args(["-append", "console=ttyS0 quiet panic=-1"]);
    let console = share.join("console.log");
    qemu.arg("-chardev").arg(format!(
        "stdio,id=console,signal=off,logfile={}",
        console.display()
    ));
    qemu.args(["-serial", "chardev:console"]);
    file_system(&mut qemu, "root", Path::new("/"), "readonly=on");
    file_system(&mut qemu, "share", share, "readonly=off");
    for nic in 0..4 {
        network_card(&mut qemu, nic);
    }
    qemu.stdin(Stdio::null());
    qemu
}

/// A directory of this machine's, shared under the name `tag`.
fn file_system(qemu: &mut Command, tag: &str, path: &Path, mode: &str) {
    let path = path.display();
    qemu.arg("-fsdev").arg(format!(
        "local,id={tag},path={path},security_model=none,multidevs=remap,{mode}"
    ));
    qemu.arg("-device")
        .arg(format!("virtio-9p-pci,fsdev={tag},mount_tag={tag}"));
}

/// eth0 and eth1 are cabled together, and eth2 and eth3: a router between two
/// hosts in one guest, without any link on this machine.
fn network_card(qemu: &mut Command, number: u32) {
    let hub = number / 2;
    qemu.arg("-netdev")
        .arg(format!("hubport,hubid={hub},id=n{number}"));
    qemu.arg("-device").arg(format!(
        "virtio-net-pci,netdev=n{number},mac=52:54:00:00:00:0{number},romfile="
    ));
}
