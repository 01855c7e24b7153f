//! `RTM_NEWNEXTHOP`, `RTM_DELNEXTHOP`: `struct nhmsg` and `NHA_*`.

use std::net::IpAddr;

use forwarder_core::kernel::event::NexthopObject;
use forwarder_core::net::Ifindex;

use super::super::wire::{Attribute, Attributes, Malformed, after, u32_at};
use super::route::RTNH_F_ONLINK;

/// Length of `struct nhmsg`.
pub(crate) const FIXED_LEN: usize = 8;
/// Length of `struct nexthop_grp`.
const GROUP_ENTRY_LEN: usize = 8;

const NHA_ID: u16 = 1;
const NHA_GROUP: u16 = 2;
const NHA_BLACKHOLE: u16 = 4;
const NHA_OIF: u16 = 5;
const NHA_GATEWAY: u16 = 6;
const NHA_ENCAP: u16 = 8;
const NHA_FDB: u16 = 11;

#[derive(Default)]
struct Parts {
    id: Option<u32>,
    group: Option<Vec<(u32, u16)>>,
    blackhole: bool,
    ifindex: Option<Ifindex>,
    gateway: Option<IpAddr>,
    kernel_only: bool,
}

/// The id alone, which is all that is needed of one that is gone.
pub(super) fn decode_id(payload: &[u8]) -> Result<u32, Malformed> {
    read(after(payload, FIXED_LEN)?)?
        .id
        .ok_or(Malformed::Missing)
}

pub(super) fn decode(payload: &[u8]) -> Result<(u32, NexthopObject), Malformed> {
    let onlink = u32_at(payload, 4)? & u32::from(RTNH_F_ONLINK) != 0;
    let parts = read(after(payload, FIXED_LEN)?)?;
    let id = parts.id.ok_or(Malformed::Missing)?;
    Ok((id, object(parts, onlink)))
}

fn object(parts: Parts, onlink: bool) -> NexthopObject {
    match (parts.group, parts.ifindex) {
        _ if parts.kernel_only => NexthopObject::KernelOnly,
        (Some(group), _) => NexthopObject::Group(group),
        _ if parts.blackhole => NexthopObject::Blackhole,
        (None, Some(ifindex)) => NexthopObject::Single {
            gateway: parts.gateway,
            ifindex,
            onlink,
        },
        (None, None) => NexthopObject::KernelOnly,
    }
}

fn read(attributes: &[u8]) -> Result<Parts, Malformed> {
    let mut parts = Parts::default();
    for attribute in Attributes::new(attributes) {
        let attribute = attribute?;
        match attribute.kind {
            NHA_ID => parts.id = Some(attribute.u32()?),
            NHA_GROUP => parts.group = Some(group(&attribute)?),
            NHA_BLACKHOLE => parts.blackhole = true,
            NHA_OIF => parts.ifindex = Some(Ifindex(attribute.u32()?)),
            NHA_GATEWAY => parts.gateway = Some(attribute.ip()?),
            NHA_ENCAP | NHA_FDB => parts.kernel_only = true,
            _ => {}
        }
    }
    Ok(parts)
}

/// `struct nexthop_grp`: id, weight − 1, its high byte (0 before 6.12).
fn group(attribute: &Attribute<'_>) -> Result<Vec<(u32, u16)>, Malformed> {
    let (entries, rest) = attribute.value.as_chunks::<GROUP_ENTRY_LEN>();
    if !rest.is_empty() {
        return Err(Malformed::ValueSize);
    }
    let entry = |[a, b, c, d, low, high, _, _]: &[u8; GROUP_ENTRY_LEN]| {
        let weight = u16::from_le_bytes([*low, *high]).saturating_add(1);
        (u32::from_ne_bytes([*a, *b, *c, *d]), weight)
    };
    Ok(entries.iter().map(entry).collect())
}
