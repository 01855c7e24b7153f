//! Debian packages: which, why, and how they are put in without starting
//! daemons.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Context as _;

use super::Purpose;
use crate::shell;

/// One package.
#[derive(Debug)]
pub(super) struct Package {
    /// Its name in Debian 12.
    pub(super) name: &'static str,
    /// What would not work without it.
    pub(super) why: &'static str,
    /// What it is needed for.
    purpose: Purpose,
    /// What tells on another distribution that it is there: a command. A
    /// library that only builds bpf-linker has none; bpf-linker itself is
    /// looked for.
    command: Option<&'static str>,
    /// Needed only where the compiler for the XDP program is Debian's.
    compiler: bool,
}

const fn package(
    purpose: Purpose,
    name: &'static str,
    command: Option<&'static str>,
    why: &'static str,
) -> Package {
    Package {
        name,
        why,
        purpose,
        command,
        compiler: false,
    }
}

const fn compiler(purpose: Purpose, name: &'static str, why: &'static str) -> Package {
    Package {
        name,
        why,
        purpose,
        command: None,
        compiler: true,
    }
}

use Purpose::{Build, Demo, Test};

/// Everything, in the order it is listed to the operator.
const PACKAGES: &[Package] = &[
    package(Build, "gcc", Some("cc"), "links Rust programs"),
    package(Build, "libc6-dev", None, "links Rust programs"),
    package(
        Build,
        "g++",
        Some("c++"),
        "links bpf-linker, which uses LLVM's C++ libraries",
    ),
    package(
        Build,
        "pkg-config",
        Some("pkg-config"),
        "finds the libraries that bpf-linker links",
    ),
    compiler(Build, "rustc-web", "compiler (LLVM 22) for the XDP program"),
    compiler(Build, "cargo-web", "cargo that belongs to rustc-web"),
    compiler(
        Build,
        "rust-web-src",
        "source of `core`, built for the BPF target",
    ),
    package(
        Build,
        "llvm-22-dev",
        None,
        "bpf-linker is built with LLVM 22",
    ),
    package(Build, "libpolly-22-dev", None, "LLVM 22 links it"),
    package(Build, "zlib1g-dev", None, "LLVM 22 links it"),
    package(Build, "libzstd-dev", None, "LLVM 22 links it"),
    package(Build, "libxml2-dev", None, "LLVM 22 links it"),
    package(
        Demo,
        "iproute2",
        Some("ip"),
        "makes the network namespaces of labs",
    ),
    package(
        Demo,
        "util-linux",
        Some("nsenter"),
        "enters network namespaces",
    ),
    package(
        Demo,
        "ethtool",
        Some("ethtool"),
        "sets the offloads of the labs' links",
    ),
    package(
        Demo,
        "iputils-ping",
        Some("ping"),
        "ping through the labs' routers",
    ),
    package(
        Demo,
        "procps",
        Some("sysctl"),
        "reads and sets the labs' sysctls",
    ),
    compiler(
        Test,
        "rust-web-clippy",
        "lints the XDP program for its own target",
    ),
    package(
        Test,
        "frr",
        Some("/usr/lib/frr/ripd"),
        "RIP peer of the interoperation tests",
    ),
    package(
        Test,
        "bird2",
        Some("bird"),
        "RIP peer of the interoperation tests",
    ),
    package(Test, "tshark", Some("tshark"), "captures of failed tests"),
    package(
        Test,
        "nftables",
        Some("nft"),
        "packet filter rules that the daemon must respect",
    ),
    package(
        Test,
        "iptables",
        Some("iptables-legacy"),
        "the same by the old kernel interface",
    ),
    package(
        Test,
        "traceroute",
        Some("traceroute"),
        "traceroute through the router",
    ),
    package(Test, "net-tools", Some("route"), "`route -n`"),
];

/// What `purpose` wants.
pub(super) fn wanted(purpose: Purpose, debian_compiler: bool) -> Vec<&'static Package> {
    let wanted =
        |package: &&Package| package.purpose <= purpose && (debian_compiler || !package.compiler);
    PACKAGES.iter().filter(wanted).collect()
}

/// Those that dpkg does not have: one query for all.
pub(super) fn not_installed(wanted: Vec<&'static Package>) -> Vec<&'static Package> {
    let mut query = shell::command("dpkg-query");
    query.args(["-W", "-f", "${Package} ${db:Status-Status}\n"]);
    query.args(wanted.iter().map(|package| package.name));
    // It fails when it doesn't know one of them, and prints the others.
    let output = query
        .output()
        .map(|output| output.stdout)
        .unwrap_or_default();
    let output = String::from_utf8_lossy(&output).into_owned();
    let installed = parse_dpkg(&output);
    wanted
        .into_iter()
        .filter(|package| !installed.contains(package.name))
        .collect()
}

/// The installed ones in `dpkg-query`'s answer.
pub(super) fn parse_dpkg(output: &str) -> HashSet<&str> {
    output
        .lines()
        .filter_map(|line| line.strip_suffix(" installed"))
        .collect()
}

/// Those whose command is not there, for distributions without dpkg.
pub(super) fn not_found(wanted: Vec<&'static Package>) -> Vec<&'static Package> {
    let there = |command: &str| match command.starts_with('/') {
        true => Path::new(command).exists(),
        false => shell::find(command).is_some(),
    };
    let missing = |package: &&Package| package.command.is_some_and(|command| !there(command));
    wanted.into_iter().filter(missing).collect()
}

/// Installs `packages`; their daemons are not started.
pub(super) fn install(packages: &[&Package]) -> anyhow::Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let _policy = NoServices::begin()?;
    shell::step("setup: apt-get update");
    shell::run(apt().args(["update", "--quiet"]))?;
    shell::step("setup: apt-get install");
    let mut install = apt();
    install.args(["install", "--yes", "--quiet", "--no-install-recommends"]);
    shell::run(install.args(packages.iter().map(|package| package.name)))
        .context("the packages listed above could not be installed")
}

fn apt() -> std::process::Command {
    let mut apt = shell::command("apt-get");
    apt.env("DEBIAN_FRONTEND", "noninteractive")
        .args(["-o", "DPkg::Lock::Timeout=300"]);
    apt
}

/// While it lives, packages may not start services: the tests start FRR and
/// BIRD themselves, and a build machine should not become a router. A
/// policy-rc.d of the operator's own is left alone.
struct NoServices {
    ours: bool,
}

impl NoServices {
    const PATH: &str = "/usr/sbin/policy-rc.d";

    fn begin() -> anyhow::Result<NoServices> {
        let ours = !Path::new(Self::PATH).exists();
        if ours {
            let write = || {
                fs::write(Self::PATH, "#!/bin/sh\nexit 101\n")?;
                fs::set_permissions(Self::PATH, fs::Permissions::from_mode(0o755))
            };
            write().with_context(|| format!("writing {}", Self::PATH))?;
        }
        Ok(NoServices { ours })
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.ours
            && let Err(error) = fs::remove_file(Self::PATH)
        {
            let path = Self::PATH;
            shell::note(&format!(
                "remove {path} by hand, it keeps services from starting: {error}"
            ));
        }
    }
}
