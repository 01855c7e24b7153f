//! Builds the XDP programs for the BPF target and leaves the objects in OUT_DIR.
//!
//! Needs bpf-linker and a toolchain whose `core` source is at hand; `cargo
//! xtask setup` brings both. See docs/adr/0002-ebpf-toolchain.md.

use std::process::Command;

use anyhow::{Context as _, bail};
use aya_build::{Package, Toolchain};

fn main() -> anyhow::Result<()> {
    for path in ["../forwarder-ebpf", "../forwarder-common"] {
        println!("cargo:rerun-if-changed={path}/src");
        println!("cargo:rerun-if-changed={path}/Cargo.toml");
    }
    // Checked first: without it the linker's absence drowns in cargo's output.
    if which::which("bpf-linker").is_err() {
        bail!(
            "bpf-linker is not installed, so the XDP program cannot be built: run `cargo xtask setup`"
        );
    }
    // A stable or distribution compiler may build `core` for BPF only with the
    // nightly features unlocked; this reaches the nested cargo alone.
    // SAFETY: a build script's main thread, before any other thread exists.
    #[expect(unsafe_code, reason = "set_var is unsafe; no other thread runs yet")]
    unsafe {
        std::env::set_var("RUSTC_BOOTSTRAP", "1");
    }
    let package = Package {
        name: "forwarder-ebpf",
        root_dir: "../forwarder-ebpf",
        no_default_features: false,
        features: if cfg!(feature = "ebpf-log") {
            &["log"]
        } else {
            &[]
        },
    };
    aya_build::build_ebpf([package], toolchain()?).context("building the XDP programs")
}

/// A nightly with rust-src where there is one, else the distribution's
/// compiler that `cargo xtask setup` has linked.
fn toolchain() -> anyhow::Result<Toolchain<'static>> {
    for name in ["nightly", "debian-web"] {
        let Ok(output) = Command::new("rustup")
            .args(["run", name, "rustc", "--print", "sysroot"])
            .output()
        else {
            // No rustup: aya-build uses the cargo at hand.
            return Ok(Toolchain::default());
        };
        let sysroot = String::from_utf8_lossy(&output.stdout);
        let core = format!("{}/lib/rustlib/src/rust/library/core", sysroot.trim());
        if output.status.success() && std::path::Path::new(&core).exists() {
            return Ok(Toolchain::Custom(name));
        }
    }
    bail!("no toolchain with the source of `core` is linked: run `cargo xtask setup`")
}
