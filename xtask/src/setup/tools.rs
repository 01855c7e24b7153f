//! What does not come as a Debian package: bpf-linker, cargo-nextest, the
//! linked toolchain, rustup's components, the protocol's name.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use super::Purpose;
use crate::shell;

/// The one set of versions that works together with aya-ebpf 0.2 and LLVM 22.
const BPF_LINKER: &str = "0.13.0";
/// The test runner that `.config/nextest.toml` was written for.
const NEXTEST: &str = "0.9.143";
const LLVM: &str = "/usr/lib/llvm-22";
/// Rustup's name for Debian's compiler; forwarder/build.rs asks for it.
pub(super) const TOOLCHAIN: &str = "debian-web";
/// Where iproute2 looks for names of route protocols.
const PROTOCOL_FILE: &str = "/etc/iproute2/rt_protos.d/forwarder.conf";
const PROTOCOL_NAME: &str =
    "# Routes of the forwarder daemon (`[kernel] protocol`)\n210\tforwarder\n";

/// Something to install or to write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tool {
    BpfLinker,
    Toolchain,
    Nextest,
    Clippy,
    Rustfmt,
    ProtocolName,
}

impl Tool {
    /// How the operator knows it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Tool::BpfLinker => "bpf-linker",
            Tool::Toolchain => "debian-web",
            Tool::Nextest => "cargo-nextest",
            Tool::Clippy => "clippy",
            Tool::Rustfmt => "rustfmt",
            Tool::ProtocolName => "rt_protos.d",
        }
    }

    /// What would not work without it.
    pub(super) fn why(self) -> &'static str {
        match self {
            Tool::BpfLinker => "links the XDP program (0.13.0, built from source: 1 min)",
            Tool::Toolchain => "Debian's compiler as a toolchain of rustup's",
            Tool::Nextest => "runs the tests, one process each (built from source: 3 min)",
            Tool::Clippy => "lints",
            Tool::Rustfmt => "format check",
            Tool::ProtocolName => "lets `ip route` call protocol 210 `forwarder`",
        }
    }

    /// Whether `purpose` needs it.
    fn is_for(self, purpose: Purpose) -> bool {
        match self {
            Tool::BpfLinker | Tool::Toolchain => true,
            Tool::ProtocolName => purpose >= Purpose::Demo,
            Tool::Nextest | Tool::Clippy | Tool::Rustfmt => purpose >= Purpose::Test,
        }
    }

    fn is_missing(self, debian_compiler: bool) -> bool {
        match self {
            Tool::BpfLinker => !bpf_linker_is_right(),
            Tool::Toolchain => debian_compiler && has_rustup() && !has_toolchain(),
            Tool::Nextest => {
                shell::find("cargo-nextest").is_none() && !in_cargo_bin("cargo-nextest")
            }
            Tool::Clippy => !sysroot_has("cargo-clippy"),
            Tool::Rustfmt => !sysroot_has("cargo-fmt"),
            Tool::ProtocolName => {
                fs::read_to_string(PROTOCOL_FILE).unwrap_or_default() != PROTOCOL_NAME
            }
        }
    }

    /// Puts it in place.
    pub(super) fn install(self) -> anyhow::Result<()> {
        shell::step(&format!("setup: {}: {}", self.name(), self.why()));
        match self {
            Tool::BpfLinker => install_bpf_linker(),
            Tool::Toolchain => {
                shell::run(shell::command("rustup").args(["toolchain", "link", TOOLCHAIN, "/usr"]))
            }
            Tool::Nextest => install_nextest(),
            Tool::Clippy => component("clippy", "rust-web-clippy"),
            Tool::Rustfmt => component("rustfmt", "rustfmt-web"),
            Tool::ProtocolName => write_protocol_name(),
        }
    }
}

/// What `purpose` lacks, in the order of installation.
pub(super) fn missing(purpose: Purpose, debian_compiler: bool) -> Vec<Tool> {
    use Tool::{BpfLinker, Clippy, Nextest, ProtocolName, Rustfmt, Toolchain};
    let all = [BpfLinker, Toolchain, Nextest, Clippy, Rustfmt, ProtocolName];
    all.into_iter()
        .filter(|t| t.is_for(purpose) && t.is_missing(debian_compiler))
        .collect()
}

/// Whether rustup has a nightly that can build `core` for BPF: then Debian's
/// compiler is not needed.
pub(super) fn nightly_with_source() -> bool {
    let toolchains = rustup_home().join("toolchains");
    let entries = fs::read_dir(toolchains).into_iter().flatten().flatten();
    entries
        // `rustup run nightly` means this one, not a dated one beside it.
        .filter(|entry| is_plain_nightly(&entry.file_name().to_string_lossy()))
        .any(|entry| {
            entry
                .path()
                .join("lib/rustlib/src/rust/library/core")
                .exists()
        })
}

fn is_plain_nightly(toolchain: &str) -> bool {
    toolchain
        .strip_prefix("nightly-")
        .is_some_and(|host| host.starts_with(std::env::consts::ARCH))
}

fn bpf_linker_is_right() -> bool {
    // Asking it also proves that the LLVM library it is linked with is there.
    let version = shell::output(Command::new("bpf-linker").arg("--version"));
    version.is_some_and(|version| version.trim().ends_with(BPF_LINKER))
}

fn has_rustup() -> bool {
    shell::find("rustup").is_some()
}

fn has_toolchain() -> bool {
    rustup_home()
        .join("toolchains")
        .join(TOOLCHAIN)
        .join("bin/rustc")
        .exists()
}

fn rustup_home() -> PathBuf {
    home("RUSTUP_HOME", ".rustup")
}

fn cargo_bin() -> PathBuf {
    home("CARGO_HOME", ".cargo").join("bin")
}

fn home(variable: &str, default: &str) -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
    std::env::var_os(variable).map_or_else(|| home().join(default), PathBuf::from)
}

fn in_cargo_bin(program: &str) -> bool {
    cargo_bin().join(program).exists()
}

/// Whether the cargo that runs us has this subcommand. Asked of its own
/// directory: rustup's stand-ins in `PATH` exist for missing components, too.
fn sysroot_has(program: &str) -> bool {
    let cargo = std::env::var_os("CARGO").map(PathBuf::from);
    let beside = cargo
        .as_deref()
        .and_then(Path::parent)
        .map(|bin| bin.join(program));
    beside.is_some_and(|file| file.exists()) || (!has_rustup() && shell::find(program).is_some())
}

fn component(rustup: &str, package: &str) -> anyhow::Result<()> {
    if has_rustup() {
        return shell::run(shell::command("rustup").args(["component", "add", rustup]));
    }
    let mut apt = shell::command("apt-get");
    apt.env("DEBIAN_FRONTEND", "noninteractive");
    shell::run(apt.args([
        "install",
        "--yes",
        "--quiet",
        "--no-install-recommends",
        package,
    ]))
}

/// `cargo install` to where the build will find it: `PATH` need not contain
/// cargo's own directory.
fn cargo_install() -> Command {
    let mut install = shell::cargo();
    install.current_dir("/").arg("install");
    let path = std::env::var_os("PATH").unwrap_or_default();
    if !std::env::split_paths(&path).any(|dir| dir == cargo_bin()) {
        install.args(["--root", "/usr/local"]);
    }
    install
}

fn install_bpf_linker() -> anyhow::Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let llvm_bin = std::iter::once(Path::new(LLVM).join("bin"));
    let path = std::env::join_paths(llvm_bin.chain(std::env::split_paths(&path)))?;
    let mut install = cargo_install();
    install.env("LLVM_PREFIX", LLVM).env("PATH", path);
    install.args(["bpf-linker", "--version", BPF_LINKER, "--force"]);
    shell::run(install.args(["--no-default-features", "--features", "llvm-22"]))
}

/// Without updating itself over the network and without tracing probes, and
/// hardly optimised: it is compiled in a third of the time, and spends its own
/// waiting for tests.
fn install_nextest() -> anyhow::Result<()> {
    let mut install = cargo_install();
    install
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_RELEASE_LTO", "off");
    install.args([
        "--locked",
        "cargo-nextest",
        "--version",
        NEXTEST,
        "--no-default-features",
    ]);
    shell::run(&mut install)
}

fn write_protocol_name() -> anyhow::Result<()> {
    let file = Path::new(PROTOCOL_FILE);
    let directory = file.parent().unwrap_or(file);
    fs::create_dir_all(directory)
        .and_then(|()| fs::write(file, PROTOCOL_NAME))
        .with_context(|| format!("writing {PROTOCOL_FILE}"))
}
