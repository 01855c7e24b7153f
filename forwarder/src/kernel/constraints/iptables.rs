//! iptables with the old kernel interface (iptables-legacy): tables whose
//! built-in chains on the forwarding path do something.
//!
//! The kernel lists the tables in use in `/proc/net/ip_tables_names`, and
//! answers `getsockopt(IPT_SO_GET_INFO, IPT_SO_GET_ENTRIES)` on a raw socket.
//! Where rules begin and where the policy stands tells whether there are any;
//! the policy itself is an entry to be read. Nothing tells of changes, which
//! is why the watcher looks again every few seconds.
//!
//! Layouts: `include/uapi/linux/netfilter_ipv4/ip_tables.h`, `x_tables.h`.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

use super::super::wire::{u16_at, u32_at};
use super::ProbeError;

/// The tables in use, one name a line; of the calling thread's namespace.
const TABLES: &str = "/proc/thread-self/net/ip_tables_names";
const IPT_SO_GET_INFO: libc::c_int = 64;
const IPT_SO_GET_ENTRIES: libc::c_int = 65;
/// `XT_TABLE_MAXNAMELEN`.
const NAME_LEN: usize = 32;
/// `sizeof(struct ipt_getinfo)`.
const INFO_LEN: usize = 84;
/// `offsetof(struct ipt_get_entries, entrytable)`.
const ENTRIES_OFFSET: usize = 40;
/// `offsetof(struct ipt_entry, target_offset)`.
const TARGET_OFFSET: usize = 88;
/// `sizeof(struct xt_entry_target)`, before a standard target's verdict.
const TARGET_LEN: usize = 32;
/// Larger tables are not read for their policy but taken to be in force.
const TABLE_LIMIT: u32 = 64 * 1024 * 1024;
/// `-NF_ACCEPT - 1`.
const VERDICT_ACCEPT: i32 = -2;
/// Hooks on the forwarding path.
const HOOKS: [(usize, &str); 3] = [(0, "prerouting"), (2, "forward"), (4, "postrouting")];

pub(super) fn read() -> Result<Vec<String>, ProbeError> {
    let names = match std::fs::read_to_string(TABLES) {
        Ok(names) => names,
        // A kernel without ip_tables, or the module not loaded.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut found = Vec::new();
    for name in names.lines() {
        let hooks = hooks_in_force(name)?;
        if !hooks.is_empty() {
            found.push(format!("iptables table {name} ({})", hooks.join(", ")));
        }
    }
    Ok(found)
}

/// `struct ipt_getinfo` as far as it matters.
#[derive(Debug)]
struct Info {
    /// Bit per hook that the table has.
    valid: u32,
    /// Offset of each hook's first rule.
    first: [u32; 5],
    /// Offset of each hook's policy.
    policy: [u32; 5],
    /// Size of the entries.
    size: u32,
}

fn hooks_in_force(table: &str) -> io::Result<Vec<&'static str>> {
    let socket = raw_socket()?;
    let info = info(&socket, table)?;
    let valid = |hook: usize| info.valid & (1 << hook) != 0;
    let has_rules = |hook: usize| info.first.get(hook) < info.policy.get(hook);
    if HOOKS.iter().all(|(hook, _)| !valid(*hook)) {
        return Ok(Vec::new());
    }
    let entries = entries(&socket, table, info.size)?;
    let accepts = |hook: usize| policy_accepts(&entries, info.policy.get(hook).copied());
    let in_force = |hook: usize| valid(hook) && (has_rules(hook) || !accepts(hook));
    Ok(HOOKS
        .iter()
        .filter(|(hook, _)| in_force(*hook))
        .map(|(_, name)| *name)
        .collect())
}

fn raw_socket() -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC;
    Ok(socket(
        AddressFamily::Inet,
        SockType::Raw,
        flags,
        SockProtocol::Icmp,
    )?)
}

fn name_buffer(table: &str, len: usize) -> Vec<u8> {
    let mut buffer = vec![0; len];
    // Shorter than the field, so that it ends in a NUL.
    let name = table
        .as_bytes()
        .get(..NAME_LEN - 1)
        .unwrap_or(table.as_bytes());
    if let Some(field) = buffer.get_mut(..name.len()) {
        field.copy_from_slice(name);
    }
    buffer
}

fn info(socket: &OwnedFd, table: &str) -> io::Result<Info> {
    let mut buffer = name_buffer(table, INFO_LEN);
    get_option(socket, IPT_SO_GET_INFO, &mut buffer)?;
    let word = |index: usize| u32_at(&buffer, NAME_LEN + 4 * index).map_err(io::Error::other);
    let mut info = Info {
        valid: word(0)?,
        first: [0; 5],
        policy: [0; 5],
        size: word(12)?,
    };
    for (hook, (first, policy)) in info.first.iter_mut().zip(&mut info.policy).enumerate() {
        *first = word(1 + hook)?;
        *policy = word(6 + hook)?;
    }
    Ok(info)
}

fn entries(socket: &OwnedFd, table: &str, size: u32) -> io::Result<Vec<u8>> {
    if size > TABLE_LIMIT {
        return Ok(Vec::new());
    }
    let mut buffer = name_buffer(table, ENTRIES_OFFSET + size as usize);
    if let Some(field) = buffer.get_mut(NAME_LEN..NAME_LEN + 4) {
        field.copy_from_slice(&size.to_ne_bytes());
    }
    match get_option(socket, IPT_SO_GET_ENTRIES, &mut buffer) {
        Ok(()) => Ok(buffer.split_off(ENTRIES_OFFSET)),
        // Replaced since its size was asked: read next time, in force till then.
        Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Whether the entry there is a plain ACCEPT; no, if it can't be read.
fn policy_accepts(entries: &[u8], offset: Option<u32>) -> bool {
    let entry = offset
        .and_then(|offset| entries.get(offset as usize..))
        .unwrap_or_default();
    let target = u16_at(entry, TARGET_OFFSET).map(usize::from);
    let verdict = target.and_then(|target| u32_at(entry, target + TARGET_LEN));
    verdict.is_ok_and(|verdict| verdict.cast_signed() == VERDICT_ACCEPT)
}

/// `getsockopt(2)` at level `IPPROTO_IP`, with a buffer that goes both ways.
#[expect(
    unsafe_code,
    reason = "no crate has these two options, which read their buffer too"
)]
fn get_option(socket: &OwnedFd, option: libc::c_int, buffer: &mut [u8]) -> io::Result<()> {
    let mut len = libc::socklen_t::try_from(buffer.len()).map_err(io::Error::other)?;
    // SAFETY: the descriptor is open; the kernel reads and writes at most `len`
    // bytes of `buffer`, which is exclusively ours, and `len` itself.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            option,
            buffer.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
