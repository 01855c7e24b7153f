//! An address family as rtnetlink spells it.

use std::net::{Ipv4Addr, Ipv6Addr};

use forwarder_core::net::{Family, Ipv4, Ipv6};

/// What differs between the families in messages.
pub trait NetlinkFamily: Family {
    /// `AF_*`.
    const AF: libc::c_int;

    /// The address that an attribute's value holds; `None` where it is none.
    fn read(value: &[u8]) -> Option<Self::Addr>;

    /// An address as an attribute holds it.
    fn bytes(address: Self::Addr) -> Vec<u8>;
}

impl NetlinkFamily for Ipv4 {
    const AF: libc::c_int = libc::AF_INET;

    fn read(value: &[u8]) -> Option<Ipv4Addr> {
        <[u8; 4]>::try_from(value).ok().map(Into::into)
    }

    fn bytes(address: Ipv4Addr) -> Vec<u8> {
        address.octets().to_vec()
    }
}

impl NetlinkFamily for Ipv6 {
    const AF: libc::c_int = libc::AF_INET6;

    fn read(value: &[u8]) -> Option<Ipv6Addr> {
        <[u8; 16]>::try_from(value).ok().map(Into::into)
    }

    fn bytes(address: Ipv6Addr) -> Vec<u8> {
        address.octets().to_vec()
    }
}
