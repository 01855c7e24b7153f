//! `RTM_NEWADDR`, `RTM_DELADDR`: `struct ifaddrmsg` and `IFA_*`.

use std::net::IpAddr;

use forwarder_core::interface::InterfaceAddress;
use forwarder_core::net::Ifindex;
use ipnet::IpNet;

use super::super::wire::{Attributes, Malformed, after, u8_at, u32_at};
use super::family;

/// Length of `struct ifaddrmsg`.
pub(crate) const FIXED_LEN: usize = 8;

#[derive(Default)]
struct Parts {
    local: Option<IpAddr>,
    address: Option<IpAddr>,
    broadcast: Option<IpAddr>,
    flags: u32,
}

/// `None` for families other than IPv4 and IPv6.
pub(super) fn decode(payload: &[u8]) -> Result<Option<(Ifindex, InterfaceAddress)>, Malformed> {
    let this = u8_at(payload, 0)?;
    if this != family(libc::AF_INET) && this != family(libc::AF_INET6) {
        return Ok(None);
    }
    let prefix_len = u8_at(payload, 1)?;
    let flags = u32::from(u8_at(payload, 2)?);
    let ifindex = Ifindex(u32_at(payload, 4)?);
    let parts = read(after(payload, FIXED_LEN)?, flags)?;
    // IPv6 has no IFA_LOCAL unless there is a peer (rtnetlink(7)).
    let local = parts.local.or(parts.address).ok_or(Malformed::Missing)?;
    let local_net = IpNet::new(local, prefix_len).map_err(|_| Malformed::PrefixLength)?;
    let address = InterfaceAddress {
        local: local_net,
        peer: parts.address.filter(|address| *address != local),
        broadcast: parts.broadcast,
        secondary: parts.flags & libc::IFA_F_SECONDARY != 0,
        tentative: is_tentative(parts.flags),
    };
    Ok(Some((ifindex, address)))
}

fn is_tentative(flags: u32) -> bool {
    let asking = flags & libc::IFA_F_TENTATIVE != 0 && flags & libc::IFA_F_OPTIMISTIC == 0;
    asking || flags & libc::IFA_F_DADFAILED != 0
}

fn read(attributes: &[u8], flags: u32) -> Result<Parts, Malformed> {
    let mut parts = Parts {
        flags,
        ..Parts::default()
    };
    for attribute in Attributes::new(attributes) {
        let attribute = attribute?;
        match attribute.kind {
            libc::IFA_LOCAL => parts.local = Some(attribute.ip()?),
            libc::IFA_ADDRESS => parts.address = Some(attribute.ip()?),
            libc::IFA_BROADCAST => parts.broadcast = Some(attribute.ip()?),
            // The byte in the fixed header holds only the first eight.
            libc::IFA_FLAGS => parts.flags = attribute.u32()?,
            _ => {}
        }
    }
    Ok(parts)
}
