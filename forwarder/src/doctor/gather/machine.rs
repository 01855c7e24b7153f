//! The machine: `/proc`, system calls.

use std::fs;
use std::path::Path;

use forwarder_core::kernel::event::Constraints;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};

use super::namespace;
use crate::dataplane::grace;
use crate::dataplane::object::running_kernel;
use crate::doctor::facts::{Kernel, Look};
use crate::doctor::{forwarding, limits};
use crate::kernel::read_constraints;

const NET_ADMIN: u32 = 12;
/// What the daemon needs (`packaging/forwarder.service`), with the bits of
/// `include/uapi/linux/capability.h`.
const NEEDED: [(&str, u32); 4] = [
    ("CAP_NET_ADMIN", NET_ADMIN),
    ("CAP_NET_RAW", 13),
    ("CAP_PERFMON", 38),
    ("CAP_BPF", 39),
];

/// What the calling thread may do.
pub(super) struct Capabilities(u64);

impl Capabilities {
    /// All of them where the kernel does not tell: refusals will.
    pub(super) fn of_this_thread() -> Capabilities {
        let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
        let hex = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
        let bits = hex.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
        Capabilities(bits.unwrap_or(u64::MAX))
    }

    fn has(&self, bit: u32) -> bool {
        self.0 & (1 << bit) != 0
    }
}

pub(super) fn kernel(bpf_dir: &Path, capabilities: &Capabilities, initial: Option<&str>) -> Kernel {
    let (release, version) = running_kernel();
    let missing = NEEDED.iter().filter(|(_, bit)| !capabilities.has(*bit));
    Kernel {
        release,
        version,
        btf: Path::new("/sys/kernel/btf/vmlinux").exists(),
        jit: initial_sysctl(initial, "net/core/bpf_jit_enable"),
        jit_harden: initial_sysctl(initial, "net/core/bpf_jit_harden"),
        bpf_dir: bpf_dir.to_owned(),
        bpffs: is_bpffs(bpf_dir),
        missing_capabilities: missing.map(|(name, _)| *name).collect(),
        membarrier: grace::has_barrier(),
    }
}

pub(super) fn cpus() -> usize {
    // Not those that this process may run on: interrupts come to all.
    let online = fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    match count(&online) {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        cpus => cpus,
    }
}

/// The CPUs of a list such as "0-3,8".
fn count(list: &str) -> usize {
    let ranges = list.trim().split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (first.parse::<usize>().ok()?, last.parse::<usize>().ok()?);
        Some(last.checked_sub(first)? + 1)
    });
    ranges.sum()
}

/// A path that is not there yet is judged by the directory it would be in.
fn is_bpffs(dir: &Path) -> Look<bool> {
    let there = dir.ancestors().find(|path| path.exists());
    let there = there.unwrap_or(Path::new("/"));
    let found = statfs(there).map_err(|error| format!("{}: {error}", there.display()))?;
    Ok(found.filesystem_type() == BPF_FS_MAGIC)
}

pub(super) fn available() -> Look<u64> {
    limits::available(&read("/proc/meminfo")?)
}

pub(super) fn memlock() -> Option<u64> {
    let (soft, _) = getrlimit(Resource::RLIMIT_MEMLOCK).ok()?;
    (soft != RLIM_INFINITY).then_some(soft)
}

/// Without the capability every question would be refused, and count as "in
/// force".
pub(super) async fn constraints(capabilities: &Capabilities) -> Look<Constraints> {
    if capabilities.has(NET_ADMIN) {
        Ok(read_constraints().await)
    } else {
        Err("that needs CAP_NET_ADMIN, run it as root".to_owned())
    }
}

/// A number below /proc/sys.
pub(super) fn sysctl(key: &str) -> Look<u32> {
    forwarding::number(read(&format!("/proc/sys/{key}")))
}

/// One that only the initial namespace has.
fn initial_sysctl(namespace: Option<&str>, key: &str) -> Look<u32> {
    match namespace {
        None => sysctl(key),
        Some(path) => namespace::enter(path, || sysctl(key))
            .map_err(|error| format!("only the initial network namespace has it: {error}"))?,
    }
}

pub(super) fn read(path: &str) -> Look<String> {
    fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn lists_of_cpus_are_counted() {
        assert_eq!(count("0\n"), 1);
        assert_eq!(count("0-3,8,10-11\n"), 7);
        assert_eq!(count(""), 0);
        assert_eq!(count("3-1,x"), 0);
    }
}
