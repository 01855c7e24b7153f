//! What a killed test process could not clean up itself.
//!
//! A lab holds a lock on `RUN/NAME-PID/lock` as long as it lives; the kernel
//! drops it with the process. A directory whose lock can be had is therefore a
//! dead lab's: its namespaces, and whatever still runs in them, are removed.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::namespace::run;
use super::state::RUN;

/// Held by whoever makes or removes a lab's directory: a new one must not be
/// taken for a dead one before its lock is held.
pub(super) fn exclusive() -> std::io::Result<File> {
    fs::create_dir_all(RUN)?;
    let lock = File::create(Path::new(RUN).join("lock"))?;
    lock.lock()?;
    Ok(lock)
}

/// Removes all dead labs. Never fails: it is a courtesy.
pub(super) fn remove() {
    let Ok(_exclusive) = exclusive() else { return };
    for entry in fs::read_dir(RUN).into_iter().flatten().flatten() {
        let Ok(lock) = File::open(entry.path().join("lock")) else {
            continue;
        };
        if lock.try_lock().is_ok() {
            remove_lab(&entry.path());
        }
    }
}

fn remove_lab(directory: &Path) {
    let Some(name) = directory.file_name().and_then(|name| name.to_str()) else {
        return;
    };
    let list = run(Command::new("ip").args(["netns", "list"]), None).unwrap_or_default();
    let prefix = format!("fw-{name}-");
    let names = list
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    for namespace in names.filter(|name| name.starts_with(&prefix)) {
        kill_inside(namespace);
        let _ = run(
            Command::new("ip").args(["netns", "delete", namespace]),
            None,
        );
    }
    let _ = fs::remove_dir_all(directory);
}

fn kill_inside(namespace: &str) {
    let pids = run(Command::new("ip").args(["netns", "pids", namespace]), None);
    for pid in pids
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.trim().parse().ok())
    {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
}
