//! `RTM_NEWNEIGH`, `RTM_DELNEIGH`: `struct ndmsg` and `NDA_*`.

use std::net::IpAddr;

use forwarder_core::kernel::event::{Neighbour, NeighbourState};
use forwarder_core::net::Ifindex;

use super::super::family::NetlinkFamily;
use super::super::wire::{Attributes, Malformed, after, u8_at, u16_at, u32_at};
use super::{NeighbourMessage, family};

/// Length of `struct ndmsg`.
pub(crate) const FIXED_LEN: usize = 12;
pub(crate) const NDA_DST: u16 = 1;
pub(crate) const NDA_LLADDR: u16 = 2;
pub(crate) const NDA_FLAGS_EXT: u16 = 15;
/// Under `NDA_FLAGS_EXT`: the kernel keeps the entry resolved.
pub(crate) const NTF_EXT_MANAGED: u32 = 1;

/// States in which the kernel itself sends to the address (`NUD_VALID`).
const USABLE: u16 = libc::NUD_REACHABLE
    | libc::NUD_STALE
    | libc::NUD_DELAY
    | libc::NUD_PROBE
    | libc::NUD_NOARP
    | libc::NUD_PERMANENT;

/// An entry with all that is needed to change it without harm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Entry<A> {
    pub(crate) ifindex: Ifindex,
    pub(crate) address: A,
    /// `NUD_*`.
    pub(crate) state: u16,
    /// `NTF_*`.
    pub(crate) flags: u8,
    pub(crate) mac: Option<[u8; 6]>,
    /// `NTF_EXT_MANAGED`.
    pub(crate) managed: bool,
}

impl<A: Into<IpAddr>> Entry<A> {
    /// The same, of whichever family.
    pub(crate) fn general(self) -> Entry<IpAddr> {
        Entry {
            ifindex: self.ifindex,
            address: self.address.into(),
            state: self.state,
            flags: self.flags,
            mac: self.mac,
            managed: self.managed,
        }
    }
}

impl<A> Entry<A> {
    /// The kernel itself sends to the address.
    pub(crate) fn is_usable(&self) -> bool {
        self.state & USABLE != 0
    }
}

/// `None` for other families.
pub(super) fn decode<F: NetlinkFamily>(
    payload: &[u8],
) -> Result<Option<NeighbourMessage<F>>, Malformed> {
    let Some(entry) = decode_entry::<F>(payload)? else {
        return Ok(None);
    };
    let state = match entry.mac {
        _ if entry.state & libc::NUD_FAILED != 0 => NeighbourState::Failed,
        _ if !entry.is_usable() => NeighbourState::Resolving,
        Some(mac) => NeighbourState::Usable(mac),
        // A tunnel's or the loopback's: nothing an Ethernet header could hold.
        None => return Ok(Some(NeighbourMessage::Gone(entry.ifindex, entry.address))),
    };
    Ok(Some(NeighbourMessage::There(Neighbour {
        ifindex: entry.ifindex,
        address: entry.address,
        state,
        managed: entry.managed,
    })))
}

pub(super) fn decode_gone<F: NetlinkFamily>(
    payload: &[u8],
) -> Result<Option<NeighbourMessage<F>>, Malformed> {
    let entry = decode_entry::<F>(payload)?;
    Ok(entry.map(|entry| NeighbourMessage::Gone(entry.ifindex, entry.address)))
}

/// `None` for other families (bridge FDB entries among them) and proxies.
pub(crate) fn decode_entry<F: NetlinkFamily>(
    payload: &[u8],
) -> Result<Option<Entry<F::Addr>>, Malformed> {
    let flags = u8_at(payload, 10)?;
    if u8_at(payload, 0)? != family(F::AF) || flags & libc::NTF_PROXY != 0 {
        return Ok(None);
    }
    let mut entry = Entry {
        ifindex: Ifindex(u32_at(payload, 4)?),
        address: F::FIRST,
        state: u16_at(payload, 8)?,
        flags,
        mac: None,
        managed: false,
    };
    for attribute in Attributes::new(after(payload, FIXED_LEN)?) {
        let attribute = attribute?;
        match attribute.kind {
            NDA_DST => entry.address = attribute.address::<F>()?,
            NDA_LLADDR => entry.mac = attribute.mac(),
            NDA_FLAGS_EXT => {
                entry.managed = attribute.u32()? & NTF_EXT_MANAGED != 0;
            }
            _ => {}
        }
    }
    Ok(Some(entry))
}
