//! `cargo xtask setup`: brings a Debian 12 that has only `cargo` to the point
//! where everything builds and tests. Idempotent; when nothing is missing it
//! costs one `dpkg-query` and a few file look-ups.
//!
//! The other verbs call [`ensure`] with what they are about to do, so that a
//! build does not ask for BIRD.

mod packages;
#[cfg(test)]
mod tests;
mod tools;

use anyhow::bail;

use crate::shell::{self, note, step};

/// What the tools are needed for; each includes those before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Purpose {
    /// Compiling the daemon and its XDP program.
    Build,
    /// Labs of network namespaces.
    Demo,
    /// Lints, tests, interoperation with other daemons.
    Test,
}

/// The verb: everything, and a line when nothing was missing.
pub(crate) fn run() -> anyhow::Result<()> {
    if !install_missing(Purpose::Test)? {
        println!("nothing is missing");
    }
    Ok(())
}

/// Installs what `purpose` lacks; silent when nothing is missing.
pub(crate) fn ensure(purpose: Purpose) -> anyhow::Result<()> {
    install_missing(purpose).map(drop)
}

/// The toolchain of rustup's that builds the XDP program, as forwarder/build.rs
/// chooses it.
pub(crate) fn ebpf_toolchain() -> &'static str {
    if tools::nightly_with_source() {
        "nightly"
    } else {
        tools::TOOLCHAIN
    }
}

/// Everything that is missing.
struct Missing {
    packages: Vec<&'static packages::Package>,
    tools: Vec<tools::Tool>,
}

impl Missing {
    fn find(purpose: Purpose, debian: bool) -> Missing {
        let from_distribution = !tools::nightly_with_source();
        let wanted = packages::wanted(purpose, from_distribution);
        let packages = match debian {
            true => packages::not_installed(wanted),
            false => packages::not_found(wanted),
        };
        Missing {
            packages,
            tools: tools::missing(purpose, from_distribution),
        }
    }

    fn is_empty(&self) -> bool {
        self.packages.is_empty() && self.tools.is_empty()
    }

    fn list(&self) {
        for package in &self.packages {
            note(&format!("{:18} {}", package.name, package.why));
        }
        for tool in &self.tools {
            note(&format!("{:18} {}", tool.name(), tool.why()));
        }
    }
}

/// Returns whether anything had to be installed.
fn install_missing(purpose: Purpose) -> anyhow::Result<bool> {
    let debian = is_debian_12();
    let missing = Missing::find(purpose, debian);
    if missing.is_empty() {
        return Ok(false);
    }
    step("setup: these are missing");
    missing.list();
    if !debian {
        bail!(
            "this is not Debian 12, so nothing was installed: install the above by this \
             distribution's means (the names are Debian's), then run the command again"
        );
    }
    if !shell::is_root() {
        bail!("installing needs root: run `sudo env \"PATH=$PATH\" cargo xtask setup`");
    }
    packages::install(&missing.packages)?;
    for tool in &missing.tools {
        tool.install()?;
    }
    step("setup: done");
    Ok(true)
}

fn is_debian_12() -> bool {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    os_release_is_debian_12(&release)
}

fn os_release_is_debian_12(release: &str) -> bool {
    let field = |key: &str| {
        let line = release
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
        Some(line.trim_matches('"'))
    };
    field("ID") == Some("debian") && field("VERSION_ID") == Some("12")
}
