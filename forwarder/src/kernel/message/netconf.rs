//! `RTM_NEWNETCONF`, `RTM_DELNETCONF`: `struct netconfmsg` and `NETCONFA_*`,
//! IPv4. Of the sysctls told here only `forwarding` matters to us.

use forwarder_core::net::Ifindex;

use super::super::wire::{Attributes, Malformed, after, u8_at};
use super::family;

/// Length of `struct netconfmsg`, which is one byte, aligned.
pub(crate) const FIXED_LEN: usize = 4;
const NETCONFA_IFINDEX: u16 = 1;
const NETCONFA_FORWARDING: u16 = 2;

/// IPv4 sysctls of one interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Netconf {
    pub(crate) ifindex: Ifindex,
    /// `net.ipv4.conf.IF.forwarding`, where the message says it.
    pub(crate) forwarding: Option<bool>,
}

/// `None` for other families, and for `all` (-1) and `default` (-2), which the
/// kernel resolves into a message for each interface where they matter.
pub(super) fn decode(payload: &[u8]) -> Result<Option<Netconf>, Malformed> {
    if u8_at(payload, 0)? != family(libc::AF_INET) {
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
    let real = number.cast_signed() > 0;
    Ok(real.then_some(Netconf {
        ifindex: Ifindex(number),
        forwarding,
    }))
}
