//! `RTM_NEWNETCONF`, `RTM_DELNETCONF`: `struct netconfmsg` and `NETCONFA_*`.
//! Of the sysctls told here `forwarding` and `rp_filter` matter to us.

use forwarder_core::net::Ifindex;

use super::super::wire::{Attributes, Malformed, after, u8_at};
use super::Message;

/// Length of `struct netconfmsg`, which is one byte, aligned.
pub(crate) const FIXED_LEN: usize = 4;
/// `NETCONFA_IFINDEX_ALL`.
const ALL: i32 = -1;
/// `NETCONFA_IFINDEX_DEFAULT`.
const DEFAULT: i32 = -2;
const NETCONFA_IFINDEX: u16 = 1;
const NETCONFA_FORWARDING: u16 = 2;
const NETCONFA_RP_FILTER: u16 = 3;

/// IPv4 sysctls of one interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Netconf {
    pub(crate) ifindex: Ifindex,
    /// `net.ipv4.conf.IF.forwarding`, where the message says it.
    pub(crate) forwarding: Option<bool>,
    /// `net.ipv4.conf.IF.rp_filter`, likewise.
    pub(crate) rp_filter: Option<u32>,
}

/// `None` for other families. IPv4's `forwarding` of `all` (-1) the kernel
/// resolves into a message for each interface; its `rp_filter` counts beside
/// that of each (`IN_DEV_RPFILTER`), and that of `default` (-2) is copied to
/// interfaces without a word. IPv6 is forwarded by what `all` says
/// (`ip6_forward`).
pub(super) fn decode(payload: &[u8]) -> Result<Option<Message>, Malformed> {
    let Some(parts) = read(payload)? else {
        return Ok(None);
    };
    Ok(match (parts.family, parts.number) {
        (libc::AF_INET, number @ 1..) => Some(Message::Netconf(Netconf {
            ifindex: Ifindex(number.cast_unsigned()),
            forwarding: parts.forwarding,
            rp_filter: parts.rp_filter,
        })),
        (libc::AF_INET, ALL) => parts.rp_filter.map(Message::RpFilterAll),
        (libc::AF_INET, DEFAULT) => parts.rp_filter.map(|_| Message::RpFilterDefault),
        (libc::AF_INET6, ALL) => parts.forwarding.map(Message::Forwarding6),
        _ => None,
    })
}

pub(super) fn decode_gone(payload: &[u8]) -> Result<Option<Message>, Malformed> {
    Ok(match read(payload)? {
        Some(Parts {
            family: libc::AF_INET,
            number: number @ 1..,
            ..
        }) => Some(Message::NetconfGone(Ifindex(number.cast_unsigned()))),
        _ => None,
    })
}

struct Parts {
    family: libc::c_int,
    /// The interface, or one of the names for several.
    number: i32,
    forwarding: Option<bool>,
    rp_filter: Option<u32>,
}

fn read(payload: &[u8]) -> Result<Option<Parts>, Malformed> {
    let family = libc::c_int::from(u8_at(payload, 0)?);
    if family != libc::AF_INET && family != libc::AF_INET6 {
        return Ok(None);
    }
    let mut ifindex = None;
    let (mut forwarding, mut rp_filter) = (None, None);
    for attribute in Attributes::new(after(payload, FIXED_LEN)?) {
        let attribute = attribute?;
        match attribute.kind {
            NETCONFA_IFINDEX => ifindex = Some(attribute.u32()?),
            NETCONFA_FORWARDING => forwarding = Some(attribute.u32()? != 0),
            NETCONFA_RP_FILTER => rp_filter = Some(attribute.u32()?),
            _ => {}
        }
    }
    let number = ifindex.ok_or(Malformed::Missing)?;
    Ok(Some(Parts {
        family,
        number: number.cast_signed(),
        forwarding,
        rp_filter,
    }))
}
