//! `cargo xtask test`: the whole gate. Format, repository checks, lints, build,
//! tests; every step runs even when one before it failed, so that one run
//! shows all there is to mend. The last line counts: a step that fails counts
//! as a failed test.

mod junit;
mod repository;
mod skipped;
#[cfg(test)]
mod tests;
mod vm;

use std::process::{Command, ExitCode};

use anyhow::Context as _;
use clap::ValueEnum;

pub(crate) use self::vm::Series;
use crate::setup::{self, Purpose};
use crate::shell::{self, cargo};

/// A part of the tests.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Group {
    /// Everything that needs no network namespace
    Unit,
    /// The real daemon between network namespaces
    Netns,
    /// Beside FRR and BIRD
    Interop,
    /// A large table in every engine: with FORWARDER_DFZ=FILE (a prefix a line,
    /// gzip or not) a whole one of the Internet, for minutes
    Table,
    /// On other kernels, in emulated machines; only when asked for
    Vm,
}

impl Group {
    /// In nextest's filter language; the binaries are those of the tests crate.
    fn filter(self) -> &'static str {
        match self {
            Group::Unit => "not binary(netns) and not binary(interop)",
            Group::Netns => "binary(netns)",
            Group::Interop => "binary(interop)",
            Group::Table => "test(/^equal::table::/)",
            Group::Vm => "binary(vm)",
        }
    }
}

/// What the last line says.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Count {
    passed: u64,
    failed: u64,
    skipped: u64,
}

impl Count {
    /// A step that is no test: silent when it works.
    fn step(&mut self, title: &str, run: impl FnOnce() -> anyhow::Result<()>) {
        shell::step(title);
        if let Err(error) = run() {
            shell::complain(&error);
            self.failed += 1;
        }
    }

    fn add(&mut self, other: Count) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// The verb. Prints the count as the last line whatever happens.
pub(crate) fn run(group: Option<Group>, filter: Option<&str>, kernel: Option<Series>) -> ExitCode {
    let mut count = Count::default();
    count.step("tools", || setup::ensure(Purpose::Test));
    if count.failed == 0 {
        if group.is_none() && filter.is_none() {
            checks(&mut count);
        }
        match group {
            Some(Group::Vm) => vm::run(&mut count, filter, kernel),
            _ => tests(&mut count, group, filter),
        }
    }
    println!(
        "{} passed, {} failed, {} skipped",
        count.passed, count.failed, count.skipped
    );
    ExitCode::from(u8::from(count.failed > 0))
}

/// All that is not a test.
fn checks(count: &mut Count) {
    count.step("cargo fmt --check", || {
        shell::run(cargo().args(["fmt", "--all", "--check"]))
    });
    count.step(
        "repository: file length, paths of one machine",
        repository::check_files,
    );
    count.step("repository: the core is pure", repository::check_core);
    count.step("clippy", || {
        let mut clippy = cargo_workspace("clippy");
        shell::run(clippy.args(["--all-targets", "--locked", "--", "-D", "warnings"]))
    });
    count.step("clippy of the XDP program", || {
        shell::run(&mut ebpf_clippy())
    });
}

/// A cargo subcommand over all crates that are built for this machine.
fn cargo_workspace(subcommand: &str) -> Command {
    let mut command = cargo();
    command.args([subcommand, "--workspace", "--exclude", "forwarder-ebpf"]);
    command
}

/// The XDP program's crate is mostly empty for the host: it is linted for its
/// own target, by the compiler that builds it.
fn ebpf_clippy() -> Command {
    let mut clippy = match shell::find("rustup") {
        Some(rustup) => {
            let mut command = shell::command(rustup);
            command.args(["run", setup::ebpf_toolchain(), "cargo"]);
            command
        }
        None => cargo(),
    };
    clippy
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", ebpf_flags());
    clippy.args([
        "clippy",
        "--package",
        "forwarder-ebpf",
        "--target",
        "bpfel-unknown-none",
    ]);
    clippy.args([
        "-Z",
        "build-std=core",
        "--release",
        "--locked",
        "--target-dir",
    ]);
    clippy
        .arg(shell::target().join("ebpf-clippy"))
        .args(["--", "-D", "warnings"]);
    clippy
}

/// aya-ebpf chooses its register layouts by this.
fn ebpf_flags() -> String {
    format!("--cfg=bpf_target_arch=\"{}\"", std::env::consts::ARCH)
}

/// Builds and runs the tests and adds what nextest and the labs report.
fn tests(count: &mut Count, group: Option<Group>, filter: Option<&str>) {
    let before = count.failed;
    count.step("build", || {
        shell::run(cargo_workspace("build").args(["--locked", "--bins"]))
    });
    if count.failed > before {
        return;
    }
    let skips = skipped::Directory::empty();
    shell::step("tests");
    let ran = run_nextest(&skips, group, filter);
    let skipped = skips.report();
    match junit::read(&junit::file()) {
        Ok(tests) => {
            count.failed += tests.failed;
            count.skipped += skipped;
            count.passed += tests.total.saturating_sub(tests.failed + skipped);
            // Nextest can fail for itself, after its tests have passed.
            if let (Err(error), 0) = (ran, tests.failed) {
                shell::complain(&error);
                count.failed += 1;
            }
        }
        Err(error) => {
            shell::complain(&ran.err().unwrap_or(error));
            count.failed += 1;
        }
    }
}

fn run_nextest(
    skips: &skipped::Directory,
    group: Option<Group>,
    filter: Option<&str>,
) -> anyhow::Result<()> {
    junit::remove()?;
    let mut nextest = cargo();
    nextest.args([
        "nextest",
        "run",
        "--workspace",
        "--exclude",
        "forwarder-ebpf",
        "--locked",
    ]);
    nextest.arg("--no-fail-fast");
    if let Some(group) = group {
        nextest.args(["--filterset", group.filter()]);
    }
    nextest.args(filter);
    nextest.env("FORWARDER_SKIPPED_DIR", skips.path());
    nextest.env("FORWARDER_LAB_DIR", shell::target().join("lab"));
    nextest.env("FORWARDER_BIN", shell::target().join("debug/forwarder"));
    shell::run(&mut nextest).context("failed tests leave what they saw under target/lab/")
}
