//! BSD's sockaddrs: a byte of length, a byte of family, and no alignment.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Errno;
use super::bytes::{put_u16, put_u32, u16_at, u32_at};
use super::number::*;

/// A link-layer address (`struct sockaddr_dl`): an interface, by number or
/// name, and perhaps an address on it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LinkAddr {
    /// `sdl_index`; 0 = unknown.
    pub ifindex: u16,
    /// `sdl_type` (`IFT_*`).
    pub kind: u8,
    /// The interface's name; may be empty.
    pub name: String,
    /// The address; may be empty.
    pub address: Vec<u8>,
}

impl LinkAddr {
    /// An interface by its number.
    pub fn interface(ifindex: u16) -> LinkAddr {
        LinkAddr {
            ifindex,
            ..LinkAddr::default()
        }
    }
}

/// What a route leads to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Gateway {
    /// A router.
    Ip(IpAddr),
    /// A link: the destination is on it.
    Link(LinkAddr),
}

/// A sockaddr as it came.
#[derive(Clone, Copy, Debug)]
pub(super) enum Raw<'a> {
    /// Length 0: all zeroes, and the end of what is parsed.
    Empty,
    /// Length and family included.
    Bytes(&'a [u8]),
}

/// The sockaddrs of a message by the bits of its mask, in their order.
pub(super) struct Addresses<'a> {
    all: [Option<Raw<'a>>; RTAX_MAX],
}

/// `sin6_scope_id`.
const SCOPE: usize = 24;

/// Places for addresses; higher bits of the mask are ignored.
const RTAX_MAX: usize = 8;

impl<'a> Addresses<'a> {
    /// Splits what follows a header (`rt_xaddrs`). A length of 0 ends it: the
    /// classical programs write "default" that way.
    pub(super) fn split(mut bytes: &'a [u8], bits: u32) -> Result<Self, Errno> {
        let mut all = [None; RTAX_MAX];
        for (place, slot) in all.iter_mut().enumerate() {
            if bits & (1 << place) == 0 {
                continue;
            }
            let length = usize::from(*bytes.first().ok_or(Errno::Einval)?);
            if length == 0 {
                *slot = Some(Raw::Empty);
                break;
            }
            *slot = Some(Raw::Bytes(bytes.get(..length).ok_or(Errno::Einval)?));
            // The padding of the last may be left out.
            bytes = bytes.get(padded(length)..).unwrap_or_default();
        }
        Ok(Addresses { all })
    }

    pub(super) fn get(&self, bit: u32) -> Option<Raw<'a>> {
        self.all[bit.trailing_zeros() as usize % RTAX_MAX]
    }

    /// An address that may be missing.
    pub(super) fn ip(&self, bit: u32) -> Result<Option<IpAddr>, Errno> {
        self.get(bit).map(ip).transpose()
    }

    /// An interface that may be missing, or be asked for by an empty place.
    pub(super) fn link(&self, bit: u32) -> Result<Option<LinkAddr>, Errno> {
        match self.get(bit) {
            None | Some(Raw::Empty) => Ok(None),
            Some(Raw::Bytes(bytes)) => link(bytes).map(Some),
        }
    }

    /// A gateway, of whatever family.
    pub(super) fn gateway(&self) -> Result<Option<Gateway>, Errno> {
        match self.get(RTA_GATEWAY) {
            None | Some(Raw::Empty) => Ok(None),
            Some(Raw::Bytes(bytes)) => match bytes.get(1) {
                Some(&AF_LINK) => link(bytes).map(Gateway::Link).map(Some),
                // An unspecified one is none.
                Some(&AF_UNSPEC) => Ok(None),
                _ => ip(Raw::Bytes(bytes)).map(Gateway::Ip).map(Some),
            },
        }
    }

    /// The length of the mask's prefix, for an address of this family.
    pub(super) fn mask(&self, family: IpAddr) -> Result<Option<u8>, Errno> {
        self.length(RTA_NETMASK, family)
    }

    /// Likewise, of the mask of what is cloned.
    pub(super) fn generated(&self, family: IpAddr) -> Result<Option<u8>, Errno> {
        self.length(RTA_GENMASK, family)
    }

    fn length(&self, bit: u32, family: IpAddr) -> Result<Option<u8>, Errno> {
        match self.get(bit) {
            None => Ok(None),
            Some(Raw::Empty) => Ok(Some(0)),
            Some(Raw::Bytes(bytes)) => mask(bytes, family).map(Some),
        }
    }
}

/// Bytes that a sockaddr of this length takes (`SA_SIZE` with longs of eight).
const fn padded(length: usize) -> usize {
    if length == 0 {
        8
    } else {
        length.next_multiple_of(8)
    }
}

/// An address. Its family decides how long it must be.
pub(super) fn ip(raw: Raw<'_>) -> Result<IpAddr, Errno> {
    let Raw::Bytes(bytes) = raw else {
        return Ok(Ipv4Addr::UNSPECIFIED.into());
    };
    match bytes.get(1).copied() {
        Some(AF_INET) => {
            let octets: [u8; 4] = field(bytes, 4)?;
            Ok(Ipv4Addr::from(octets).into())
        }
        Some(AF_INET6) => {
            let octets: [u8; 16] = field(bytes, 8)?;
            Ok(Ipv6Addr::from(octets).into())
        }
        Some(_) => Err(Errno::Eafnosupport),
        None => Err(Errno::Einval),
    }
}

fn field<const N: usize>(bytes: &[u8], offset: usize) -> Result<[u8; N], Errno> {
    let field = bytes.get(offset..offset + N).ok_or(Errno::Einval)?;
    field.try_into().map_err(|_| Errno::Einval)
}

/// A mask, whole or cut after its last byte that is not zero, as the radix tree
/// kept them: often with no family. One with holes is refused.
fn mask(bytes: &[u8], family: IpAddr) -> Result<u8, Errno> {
    let (offset, size, other) = match family {
        IpAddr::V4(_) => (4, 4, AF_INET6),
        IpAddr::V6(_) => (8, 16, AF_INET),
    };
    // Anything but the other family's, of which the bits would be read at the
    // wrong place.
    if bytes.len() < 4 || bytes[1] == other {
        return Err(Errno::Einval);
    }
    let given = bytes.get(offset..).unwrap_or_default();
    let mut bits = [0_u8; 16];
    let length = given.len().min(size);
    bits[..length].copy_from_slice(&given[..length]);
    let bits = u128::from_be_bytes(bits);
    let ones = bits.leading_ones();
    if bits.checked_shl(ones).unwrap_or(0) != 0 {
        return Err(Errno::Einval);
    }
    u8::try_from(ones).map_err(|_| Errno::Einval)
}

fn link(bytes: &[u8]) -> Result<LinkAddr, Errno> {
    if bytes.len() < 8 || bytes[1] != AF_LINK {
        return Err(Errno::Einval);
    }
    let (name, address) = (usize::from(bytes[5]), usize::from(bytes[6]));
    let data = &bytes[8..];
    let name_bytes = data.get(..name).ok_or(Errno::Einval)?;
    let address_bytes = data.get(name..name + address).ok_or(Errno::Einval)?;
    Ok(LinkAddr {
        ifindex: u16_at(bytes, 2),
        kind: bytes[4],
        name: String::from_utf8_lossy(name_bytes).into_owned(),
        address: address_bytes.to_vec(),
    })
}

/// The interface that an address of link-local scope is on (`sin6_scope_id`);
/// 0 = it is of another scope, or does not say.
pub(super) fn scope(raw: Option<Raw<'_>>) -> u16 {
    let Some(raw @ Raw::Bytes(bytes)) = raw else {
        return 0;
    };
    match ip(raw) {
        Ok(IpAddr::V6(address)) if address.is_unicast_link_local() => {
            u16::try_from(u32_at(bytes, SCOPE)).unwrap_or(0)
        }
        _ => 0,
    }
}

/// Appends a gateway's address, with the interface that it is on where it is of
/// link-local scope and means nothing without.
pub(super) fn put_gateway(out: &mut Vec<u8>, address: IpAddr, index: u16) {
    let start = out.len();
    put_ip(out, address);
    if matches!(address, IpAddr::V6(address) if address.is_unicast_link_local()) {
        put_u32(&mut out[start..], SCOPE, index.into());
    }
}

/// Appends a sockaddr_in or sockaddr_in6.
pub(super) fn put_ip(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            let mut bytes = [0; 16];
            bytes[..2].copy_from_slice(&[16, AF_INET]);
            bytes[4..8].copy_from_slice(&address.octets());
            out.extend_from_slice(&bytes);
        }
        IpAddr::V6(address) => {
            let mut bytes = [0; 32];
            bytes[..2].copy_from_slice(&[28, AF_INET6]);
            bytes[8..24].copy_from_slice(&address.octets());
            out.extend_from_slice(&bytes);
        }
    }
}

/// Appends the mask of a prefix length, whole.
pub(super) fn put_mask(out: &mut Vec<u8>, family: IpAddr, length: u8) {
    let ones = u128::MAX
        .checked_shl(128 - u32::from(length.min(128)))
        .unwrap_or(0);
    let bits = ones.to_be_bytes();
    match family {
        IpAddr::V4(_) => {
            let bits: [u8; 4] = [bits[0], bits[1], bits[2], bits[3]];
            put_ip(out, Ipv4Addr::from(bits).into());
        }
        IpAddr::V6(_) => put_ip(out, Ipv6Addr::from(bits).into()),
    }
}

/// Appends a sockaddr_dl: short where it only names an interface by number.
pub(super) fn put_link(out: &mut Vec<u8>, link: &LinkAddr) {
    /// `sdl_data` of the full structure.
    const DATA: usize = 46;

    let name = link.name.as_bytes();
    let name = &name[..name.len().min(16)];
    let address = &link.address[..link.address.len().min(DATA - name.len())];
    let short = name.is_empty() && address.len() <= 8;
    let length: u8 = if short { 16 } else { 54 };
    let start = out.len();
    out.resize(start + padded(usize::from(length)), 0);
    let bytes = &mut out[start..];
    bytes[..2].copy_from_slice(&[length, AF_LINK]);
    put_u16(bytes, 2, link.ifindex);
    bytes[4] = link.kind;
    bytes[5] = u8::try_from(name.len()).unwrap_or(0);
    bytes[6] = u8::try_from(address.len()).unwrap_or(0);
    bytes[8..8 + name.len()].copy_from_slice(name);
    bytes[8 + name.len()..8 + name.len() + address.len()].copy_from_slice(address);
}
