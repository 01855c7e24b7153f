//! What a failed lab leaves behind, under `target/lab/NAME/`: every daemon's
//! log, every router's `show ... --json`, every namespace's tables, captures.
#![expect(clippy::print_stderr, reason = "a failed test's own report")]

use std::fs;
use std::path::{Path, PathBuf};

use super::namespace::Namespace;
use super::router::Client;
use super::state::Inner;

/// What every router is asked.
const SHOWS: &[&str] = &[
    "status",
    "routes",
    "interfaces",
    "neighbors",
    "nexthops",
    "counters",
    "fib",
    "rip interfaces",
    "rip neighbors",
    "rip routes",
    "rip errors",
];

/// What is looked at in every namespace.
const TABLES: &[&str] = &[
    "ip -details -statistics link",
    "ip address",
    "ip route show table all",
    "ip -details nexthop",
    "ip -statistics neighbour",
    "ip rule",
    "nstat -asz",
    "ss -aunp",
];

/// The directory of all labs' directories.
pub(super) fn root() -> PathBuf {
    match std::env::var_os("FORWARDER_LAB_DIR") {
        Some(directory) => directory.into(),
        None => target().join("lab"),
    }
}

/// Cargo's target directory, of which this executable is in
/// `PROFILE/` or `PROFILE/deps/`.
fn target() -> PathBuf {
    let exe = std::env::current_exe().unwrap_or_default();
    let target = exe
        .ancestors()
        .find(|directory| directory.join("CACHEDIR.TAG").exists());
    target.map_or_else(|| PathBuf::from("target"), Path::to_path_buf)
}

/// Saves everything that can be seen; what cannot be saved is reported.
pub(super) fn save(directory: &Path, lab: &Inner) {
    report(&format!("what the lab saw is in {}", directory.display()));
    for process in &lab.processes {
        let state = match process.status() {
            Ok(Some(status)) => format!("ended with {status}"),
            Ok(None) => "running".into(),
            Err(error) => format!("{error:#}"),
        };
        report(&format!(
            "--- {} ({state})\n{}",
            process.label(),
            process.log_tail()
        ));
    }
    for router in &lab.routers {
        save_router(directory, router);
    }
    for namespace in &lab.namespaces {
        save_namespace(directory, namespace);
    }
    for capture in &lab.captures {
        let name = capture.file_name().unwrap_or_default();
        write(
            &directory.join(name),
            &fs::read(capture).unwrap_or_default(),
        );
    }
}

fn save_router(directory: &Path, router: &Client) {
    for what in SHOWS {
        let shown = match router.show(what) {
            Ok(value) => format!("{value:#}\n"),
            Err(error) => format!("{error:#}\n"),
        };
        let file = format!("{}.show-{}.json", router.name(), what.replace(' ', "-"));
        write(&directory.join(file), shown.as_bytes());
    }
}

fn save_namespace(directory: &Path, namespace: &Namespace) {
    let mut text = String::new();
    for line in TABLES {
        let output = namespace
            .run(line)
            .unwrap_or_else(|error| format!("{error:#}"));
        text.push_str(&format!("# {line}\n{output}\n"));
    }
    write(
        &directory.join(format!("{}.tables.txt", namespace.name())),
        text.as_bytes(),
    );
}

fn write(file: &Path, contents: &[u8]) {
    if let Err(error) = fs::write(file, contents) {
        report(&format!("{} could not be written: {error}", file.display()));
    }
}

/// A line of the failed test's report.
pub(super) fn report(line: &str) {
    eprintln!("{line}");
}
