//! The kernel memory of BPF maps, as the kernel itself counts it.
//!
//! Called by `query` for `show fib`, and by the benchmarks. aya does not tell it.

use std::collections::BTreeMap;
use std::fs;
use std::io;

/// Bytes that the kernel charges for all BPF maps that this process holds open:
/// `memlock` of their fdinfo (`bpf_map_show_fdinfo`). Of an `LPM_TRIE` it counts the
/// nodes of prefixes without those in between.
pub fn of_this_process() -> io::Result<u64> {
    let mut maps = BTreeMap::new();
    for entry in fs::read_dir("/proc/self/fdinfo")? {
        // One that is closed meanwhile, the directory's own, is none of ours.
        let Ok(text) = fs::read_to_string(entry?.path()) else {
            continue;
        };
        if let (Some(id), Some(bytes)) = (field(&text, "map_id:"), field(&text, "memlock:")) {
            maps.insert(id, bytes);
        }
    }
    Ok(maps.values().sum())
}

/// The number behind a name of a file of such lines under /proc.
pub(crate) fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}
