//! `cargo xtask test vm`: the program tests and a choice of labs on other
//! kernels than this machine's, each in a QEMU machine with four virtio NICs.
//! Old kernels refuse programs that new ones take, and have links that the
//! kernel of a small machine may lack: VLANs, bonds, VRFs, tunnels, pktgen.
//!
//! No test is packed: the guest's root is this machine's, read-only over 9p
//! with its changes in memory, so that tests find what they find here (`ip`,
//! nextest, what cargo has built) under the same paths. QEMU and the kernels
//! are Debian's and are unpacked under `target/vm/`, never installed.
//!
//! It is not part of the gate: emulation takes minutes, and says nothing
//! about speed.

mod apt;
mod initramfs;
mod kernel;
mod machine;
mod tools;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::ValueEnum as _;

use self::apt::Apt;
pub(crate) use self::kernel::Series;
use self::tools::Tools;
use super::{Count, cargo_workspace, junit, skipped};
use crate::shell;

/// What is run in the guests. Not all labs and no large tables: each takes many
/// times as long as here, and what labs hold of timing would not be true there.
const TESTS: &str = "(binary(program) and not test(/^equal::table::/)) or binary(vm)";
const LABS: &str = "binary(netns) and test(/^(forwarding|ipv6|foreign_routes|lifecycle|vlan)::/)";

/// The labs expect a fast path between veths, which Linux before 5.13 does not
/// have: no host of theirs runs an XDP program.
fn tests(series: Series) -> String {
    match series {
        Series::V5_10 => TESTS.to_owned(),
        Series::V6_1 | Series::V6_12 => format!("{TESTS} or ({LABS})"),
    }
}

/// How it is built (Cargo.toml).
const PROFILE: &str = "emulated";

/// Where all of it is kept.
fn directory() -> PathBuf {
    shell::target().join("vm")
}

/// Runs the tests on every kernel; what cannot be had is a skip.
pub(super) fn run(count: &mut Count, filter: Option<&str>, only: Option<Series>) {
    let before = count.failed;
    let mut tools = None;
    count.step("vm: build", build);
    count.step("vm: QEMU and kernels", || {
        let apt = Apt::new(&directory().join("apt"))?;
        tools = Some(Tools::get(&apt, &directory())?);
        Ok(())
    });
    let Some(tools) = tools.filter(|_| count.failed == before) else {
        return;
    };
    let rows: Vec<_> = Series::value_variants()
        .iter()
        .filter(|series| only.is_none_or(|only| only == **series))
        .map(|series| on_kernel(count, &tools, *series, filter))
        .collect();
    shell::step("vm: by kernel");
    for row in rows {
        shell::note(&row);
    }
}

/// One kernel's tests; returns its row of the table.
fn on_kernel(count: &mut Count, tools: &Tools, series: Series, filter: Option<&str>) -> String {
    shell::step(&format!("vm: Linux {series}"));
    let installed = match series.fetch(&directory()) {
        Ok(installed) => installed,
        Err(error) => {
            count.skipped += 1;
            return format!("{series:6} skipped: {error:#}");
        }
    };
    let share = directory().join(series.name()).join("share");
    let choice = [
        ("TESTS", tests(series)),
        ("FILTER", filter.unwrap_or_default().to_owned()),
    ];
    let own = guest(tools, &installed, &share, choice).unwrap_or_else(|error| {
        shell::complain(&error);
        Count {
            failed: 1,
            ..Count::default()
        }
    });
    count.add(own);
    let Count {
        passed,
        failed,
        skipped,
    } = own;
    format!(
        "{series:6} {passed} passed, {failed} failed, {skipped} skipped  (Linux {})",
        installed.version
    )
}

/// Boots the guest and reads what its tests have left in `share`.
fn guest(
    tools: &Tools,
    kernel: &kernel::Installed,
    share: &Path,
    choice: [(&str, String); 2],
) -> anyhow::Result<Count> {
    // What an earlier run has left; it is made anew below.
    let _ = fs::remove_dir_all(share);
    fs::create_dir_all(share).with_context(|| format!("making {}", share.display()))?;
    let initrd = initramfs::build(tools, kernel)?;
    fs::write(share.join("guest.sh"), script(tools, kernel, choice))?;
    let ended = machine::run(tools, kernel, &initrd, share);
    let skipped = skipped::Directory::at(share.join("skipped")).report();
    let tests = match junit::read(&share.join("junit.xml")) {
        Ok(tests) => tests,
        Err(error) => return Err(ended.err().unwrap_or(error)),
    };
    ended?;
    if tests.failed > 0 {
        let share = share.display();
        shell::note(&format!("what failed tests saw: {share}/lab"));
    }
    Ok(Count {
        passed: tests.total.saturating_sub(tests.failed + skipped),
        failed: tests.failed,
        skipped,
    })
}

/// guest.sh with what only this side knows set ahead of it.
fn script(tools: &Tools, kernel: &kernel::Installed, choice: [(&str, String); 2]) -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    let daemon = shell::target().join(PROFILE).join("forwarder");
    let variables = [
        ("PATH", format!("{path}:/usr/sbin:/sbin")),
        ("ROOT", shell::root().display().to_string()),
        ("TARGET", shell::target().display().to_string()),
        ("DAEMON", daemon.display().to_string()),
        ("TOOLS", tools.root().display().to_string()),
        ("MODULES", kernel.modules().display().to_string()),
    ];
    let mut script = String::new();
    for (name, value) in variables.into_iter().chain(choice) {
        let quoted = value.replace('\'', "'\\''");
        script.push_str(&format!("export {name}='{quoted}'\n"));
    }
    script.push_str(include_str!("vm/guest.sh"));
    script
}

/// Builds daemon and tests, and writes down for the guest's nextest what cargo
/// knows of them: it runs there without cargo.
fn build() -> anyhow::Result<()> {
    fs::create_dir_all(directory()).context("making target/vm")?;
    shell::run(cargo_workspace("build").args(["--locked", "--bins", "--profile", PROFILE]))?;
    let list = [
        "nextest",
        "list",
        "--package",
        "forwarder-tests",
        "--locked",
        "--cargo-profile",
        PROFILE,
        "--list-type",
        "binaries-only",
        "--message-format",
        "json",
    ];
    // Else cargo would want the crates of all platforms.
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    for (name, arguments) in [
        ("binaries.json", &list[..]),
        (
            "cargo.json",
            &[
                "metadata",
                "--locked",
                "--format-version",
                "1",
                "--filter-platform",
                &platform,
            ],
        ),
    ] {
        let path = directory().join(name);
        let file =
            fs::File::create(&path).with_context(|| format!("writing {}", path.display()))?;
        shell::run(shell::cargo().args(arguments).stdout(file))?;
    }
    Ok(())
}
