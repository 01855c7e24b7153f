//! `RTM_NEWNETCONF`, `RTM_DELNETCONF`: `struct netconfmsg` and `NETCONFA_*`.
//! Of the sysctls told here only `forwarding` matters to us.

use forwarder_core::net::Ifindex;

use super::super::wire::{Attributes, Malformed, after, u8_at};
use super::Message;

/// Length of `struct netconfmsg`, which is one byte, aligned.
pub(crate) const FIXED_LEN: usize = 4;
/// `NETCONFA_IFINDEX_ALL`.
const ALL: i32 = -1;
const NETCONFA_IFINDEX: u16 = 1;
const NETCONFA_FORWARDING: u16 = 2;

/// IPv4 sysctls of one interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Netconf {
    pub(crate) ifindex: Ifindex,
    /// `net.ipv4.conf.IF.forwarding`, where the message says it.
    pub(crate) forwarding: Option<bool>,
}

/// `None` for other families, and for IPv4's `all` (-1) and `default` (-2),
/// which the kernel resolves into a message for each interface where they
/// matter. IPv6 is forwarded by what `all` says (`ip6_forward`).
pub(super) fn decode(payload: &[u8]) -> Result<Option<Message>, Malformed> {
    let Some((of, number, forwarding)) = read(payload)? else {
        return Ok(None);
    };
    Ok(match (of, number) {
        (libc::AF_INET, 1..) => Some(Message::Netconf(Netconf {
            ifindex: Ifindex(number.cast_unsigned()),
            forwarding,
        })),
        (libc::AF_INET6, ALL) => forwarding.map(Message::Forwarding6),
        _ => None,
    })
}

pub(super) fn decode_gone(payload: &[u8]) -> Result<Option<Message>, Malformed> {
    Ok(match read(payload)? {
        Some((libc::AF_INET, number @ 1.., _)) => {
            Some(Message::NetconfGone(Ifindex(number.cast_unsigned())))
        }
        _ => None,
    })
}

type Parts = (libc::c_int, i32, Option<bool>);

/// Family, interface, `forwarding`.
fn read(payload: &[u8]) -> Result<Option<Parts>, Malformed> {
    let of = libc::c_int::from(u8_at(payload, 0)?);
    if of != libc::AF_INET && of != libc::AF_INET6 {
        return Ok(None);
    }
    let mut ifindex = None;
    let mut forwarding = None;
    for attribute in Attributes::new(after(payload, FIXED_LEN)?) {
        let attribute = attribute?;
        match attribute.kind {
            NETCONFA_IFINDEX => ifindex = Some(attribute.u32()?),
            NETCONFA_FORWARDING => forwarding = Some(attribute.u32()? != 0),
            _ => {}
        }
    }
    let number = ifindex.ok_or(Malformed::Missing)?;
    Ok(Some((of, number.cast_signed(), forwarding)))
}
