//! What memory this process, and its maps in the kernel, take.

use std::collections::BTreeMap;
use std::fs;

use anyhow::Context as _;

/// Bytes that the kernel charges for all BPF maps that this process holds open
/// (`memlock` of their fdinfo). It counts the nodes of an `LPM_TRIE` without
/// those in between.
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
    let path = "/proc/self/status";
    let text = fs::read_to_string(path).with_context(|| format!("reading {path}"))?;
    let kib = field(&text, "RssAnon:").with_context(|| format!("no RssAnon in {path}"))?;
    Ok(kib * 1024)
}

fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}
