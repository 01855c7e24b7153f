//! Rules about the repository that no compiler checks.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::shell;

/// A Rust file longer than this has more than one owner's worth in it.
const MAX_LINES: usize = 800;

/// The only source a locked dependency may come from: a mirror's address would
/// break the build for everybody else.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Crates that do I/O or know one kernel interface, by the start of the name.
const IMPURE: &[&str] = &[
    "tokio",
    "mio",
    "aya",
    "netlink",
    "rtnetlink",
    "nix",
    "socket2",
    "axum",
];

/// Checks every file's length and that none names a place of one machine.
pub(super) fn check_files() -> anyhow::Result<()> {
    let mut problems = Vec::new();
    for file in files(shell::root())? {
        // Not text: nothing to check.
        let Ok(text) = fs::read_to_string(&file) else {
            continue;
        };
        let name = file
            .strip_prefix(shell::root())
            .unwrap_or(&file)
            .display()
            .to_string();
        problems.extend(file_problems(&name, &text));
    }
    report(&problems)
}

/// What is wrong with one file.
pub(super) fn file_problems(name: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let lines = text.lines().count();
    if name.ends_with(".rs") && lines > MAX_LINES {
        problems.push(format!(
            "{name}: {lines} lines, more than {MAX_LINES}: split it"
        ));
    }
    for (number, line) in text.lines().enumerate() {
        let number = number + 1;
        if let Some(home) = private_paths().iter().find(|home| line.contains(*home)) {
            problems.push(format!(
                "{name}:{number}: {home} exists only on one machine"
            ));
        }
        let source = line
            .strip_prefix("source = ")
            .filter(|_| name.ends_with("Cargo.lock"));
        if source.is_some_and(|source| source.trim_matches('"') != REGISTRY) {
            problems.push(format!("{name}:{number}: {line}: not the public registry"));
        }
    }
    problems
}

/// Put together here, lest this file accuse itself.
fn private_paths() -> [String; 2] {
    ["root", "home"].map(|top| format!("/{top}/"))
}

/// Checks that nothing impure is among the core's dependencies.
pub(super) fn check_core() -> anyhow::Result<()> {
    let mut tree = shell::cargo();
    tree.args([
        "tree",
        "--package",
        "forwarder-core",
        "--edges",
        "normal",
        "--prefix",
        "none",
    ]);
    let output = shell::output(&mut tree).context("`cargo tree -p forwarder-core` failed")?;
    report(&impure(&output))
}

/// The impure crates in `cargo tree`'s output.
pub(super) fn impure(tree: &str) -> Vec<String> {
    let names = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    let mut impure: Vec<_> = names.filter(|name| is_impure(name)).collect();
    impure.sort_unstable();
    impure.dedup();
    impure
        .iter()
        .map(|name| format!("forwarder-core depends on {name}: it does no I/O"))
        .collect()
}

fn is_impure(name: &str) -> bool {
    IMPURE
        .iter()
        .any(|prefix| name == *prefix || name.starts_with(&format!("{prefix}-")))
}

fn report(problems: &[String]) -> anyhow::Result<()> {
    for problem in problems {
        shell::note(problem);
    }
    if !problems.is_empty() {
        bail!("{} problems in the repository", problems.len());
    }
    Ok(())
}

/// Every file below `directory` but build output and git's own.
fn files(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory)
        .with_context(|| format!("reading the directory {}", directory.display()))?;
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let skip =
            [OsStr::new("target"), OsStr::new(".git")].contains(&entry.file_name().as_os_str());
        if entry.file_type()?.is_dir() && !skip {
            found.extend(files(&entry.path())?);
        } else if entry.file_type()?.is_file() && !skip {
            found.push(entry.path());
        }
    }
    Ok(found)
}
