//! IPv4 sysctls: the few that the daemon reads, and the one it may set.
//!
//! `/proc/sys/net` is that of the network namespace of the thread that opens
//! the file, so all of this runs on the thread the daemon's sockets are opened
//! on. The files are a few bytes made up in memory: reading them blocks for
//! microseconds.

use std::io;
use std::path::PathBuf;

/// A sysctl could not be set.
#[derive(Debug, thiserror::Error)]
#[error(
    "setting {path} to 1: {source}; set it by hand (`sysctl -w`), or leave `[kernel] forwarding` out"
)]
pub struct SysctlError {
    path: String,
    source: io::Error,
}

fn conf(interface: &str, name: &str) -> PathBuf {
    ["/proc/sys/net/ipv4/conf", interface, name]
        .iter()
        .collect()
}

fn is_on(interface: &str, name: &str) -> bool {
    let value = std::fs::read_to_string(conf(interface, name));
    value.is_ok_and(|value| !matches!(value.trim(), "0" | ""))
}

/// Whether the kernel sends ICMP redirects on this interface
/// (`IN_DEV_TX_REDIRECTS`: for all, or for this one).
pub(crate) fn send_redirects(interface: &str) -> bool {
    is_on("all", "send_redirects") || is_on(interface, "send_redirects")
}

/// What `[kernel] forwarding = true` asks for: `net.ipv4.ip_forward`, and
/// `forwarding` of each of these interfaces. Only what is off is written: a
/// write to `ip_forward` resets redirects and others as RFC 1812 says.
pub fn enable_forwarding<'a>(
    interfaces: impl IntoIterator<Item = &'a str>,
) -> Result<(), SysctlError> {
    // conf/all/forwarding is the same switch as ip_forward.
    for interface in std::iter::once("all").chain(interfaces) {
        if is_on(interface, "forwarding") {
            continue;
        }
        let path = conf(interface, "forwarding");
        std::fs::write(&path, "1").map_err(|source| SysctlError {
            path: path.display().to_string(),
            source,
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
