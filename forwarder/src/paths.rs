//! Where an instance keeps its things.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The name of an instance: several can run on one machine, each in its own
/// network namespace.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct InstanceName(String);

/// Longest instance name: a Unix socket's path has 107 bytes in all.
const NAME_MAX: usize = 32;

/// Why a text is no instance name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a name has 1 to {NAME_MAX} letters, digits, '-', '_' and '.', and starts with no '.'")]
pub struct InstanceNameError;

impl FromStr for InstanceName {
    type Err = InstanceNameError;

    /// The name becomes a directory, so it must not lead out of the base.
    fn from_str(text: &str) -> Result<Self, InstanceNameError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let fits = (1..=NAME_MAX).contains(&text.len());
        if fits && text.chars().all(allowed) && !text.starts_with('.') {
            return Ok(InstanceName(text.to_owned()));
        }
        Err(InstanceNameError)
    }
}

impl fmt::Display for InstanceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<Path> for InstanceName {
    fn as_ref(&self) -> &Path {
        Path::new(&self.0)
    }
}

/// The directories of one instance.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Paths {
    /// Which instance.
    pub instance: InstanceName,
    /// `/run/forwarder/INSTANCE`: sockets and the pid file.
    pub run_dir: PathBuf,
    /// `/sys/fs/bpf/forwarder/INSTANCE`: on a bpffs.
    pub bpf_dir: PathBuf,
    /// `/var/lib/forwarder/INSTANCE`: what outlives a reboot.
    pub state_dir: PathBuf,
}

impl Paths {
    /// The directories of `instance` below these bases.
    pub fn below(instance: InstanceName, run: &Path, bpf: &Path, state: &Path) -> Self {
        Paths {
            run_dir: run.join(&instance),
            bpf_dir: bpf.join(&instance),
            state_dir: state.join(&instance),
            instance,
        }
    }

    /// The socket of the HTTP API.
    pub fn api_socket(&self) -> PathBuf {
        self.run_dir.join("api.sock")
    }

    /// The routing socket.
    pub fn route_socket(&self) -> PathBuf {
        self.run_dir.join("route.sock")
    }

    /// The pid file, which is also the lock.
    pub fn pid_file(&self) -> PathBuf {
        self.run_dir.join("pid")
    }

    /// Names of the instances that have an API socket under the same base.
    pub fn instances(&self) -> Vec<String> {
        let base = self.run_dir.parent().unwrap_or(Path::new("/"));
        let Ok(entries) = std::fs::read_dir(base) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .filter_map(Result::ok)
            .filter(|entry| entry.path().join("api.sock").exists())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}
