//! What memory this process takes.
#![cfg_attr(
    target_env = "gnu",
    expect(unsafe_code, reason = "malloc_trim has no wrapper")
)]

use std::fs;

use anyhow::Context as _;

use crate::dataplane::memlock::field;

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
