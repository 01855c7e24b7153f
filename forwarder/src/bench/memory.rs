//! What memory this process, and its maps in the kernel, take.
#![cfg_attr(
    target_env = "gnu",
    expect(unsafe_code, reason = "malloc_trim has no wrapper")
)]

use std::collections::BTreeMap;
use std::fs;

use anyhow::Context as _;

/// Bytes that the kernel charges for all BPF maps that this process holds open
/// (`memlock` of their fdinfo). It counts the nodes of an `LPM_TRIE` without
/// those in between, and leaves out what is only mapped: the rows of `multibit`.
pub fn maps() -> anyhow::Result<u64> {
    let directory = "/proc/self/fdinfo";
    let mut maps = BTreeMap::new();
    for entry in fs::read_dir(directory).with_context(|| format!("listing {directory}"))? {
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

/// Bytes of this process's own memory that are in use: `RssAnon`, without
/// mapped files and maps.
pub fn own() -> anyhow::Result<u64> {
    give_back();
    let path = "/proc/self/status";
    let text = fs::read_to_string(path).with_context(|| format!("reading {path}"))?;
    let kib = field(&text, "RssAnon:").with_context(|| format!("no RssAnon in {path}"))?;
    Ok(kib * 1024)
}

/// Has the allocator return what is free, which else would count as in use and
/// be taken for what comes next.
fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: glibc's own, callable at any time from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}
