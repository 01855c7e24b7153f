//! What differs between the families.

use std::net::Ipv6Addr;

use forwarder::dataplane::programmer::ProgrammedFamily;
use forwarder_common::checksum;
use forwarder_tests::frame::Frame6;

use super::*;

/// See the module's head.
pub(super) trait Side: ProgrammedFamily {
    /// The kernel has to be told that the gateways are on the link.
    const ONLINK: bool;

    /// Where made tables begin: the first 32 bits.
    const BLOCKS: u32;
    /// How far they go.
    const BLOCKS_SPAN: u32;

    /// A next hop, among the addresses that are never looked up.
    fn gateway(hop: u32) -> Self::Addr;

    /// A short frame, to be aimed.
    fn frame(to: [u8; 6]) -> Vec<u8>;

    /// Changes its destination.
    fn aim(frame: &mut [u8], address: Self::Addr);

    fn number(address: Self::Addr) -> u128;

    /// Of the last bits.
    fn address(number: u128) -> Self::Addr;

    /// Never forwarded to, whatever the routes say: entries of the daemon's that
    /// are not in these tables.
    fn is_special(address: Self::Addr) -> bool;
}

impl Side for Ipv4 {
    const ONLINK: bool = true;
    const BLOCKS: u32 = 0x0100_0000;
    const BLOCKS_SPAN: u32 = 0xdf00_0000 - Self::BLOCKS;

    fn gateway(hop: u32) -> Ipv4Addr {
        (0xf000_0001 + hop).into()
    }

    fn frame(to: [u8; 6]) -> Vec<u8> {
        Frame {
            to,
            payload: vec![0; 8],
            ..Frame::default()
        }
        .bytes()
    }

    fn aim(frame: &mut [u8], address: Ipv4Addr) {
        frame[24..26].fill(0);
        frame[30..34].copy_from_slice(&address.octets());
        let sum = checksum::compute(&frame[14..34]);
        frame[24..26].copy_from_slice(&sum.to_ne_bytes());
    }

    fn number(address: Ipv4Addr) -> u128 {
        address.to_bits().into()
    }

    fn address(number: u128) -> Ipv4Addr {
        (number as u32).into()
    }

    fn is_special(address: Ipv4Addr) -> bool {
        matches!(address.octets(), [0 | 127 | 224.., ..] | [169, 254, ..])
    }
}

impl Side for Ipv6 {
    const ONLINK: bool = false;
    const BLOCKS: u32 = 0x2001_0000;
    const BLOCKS_SPAN: u32 = 0x0fff_0000;

    fn gateway(hop: u32) -> Ipv6Addr {
        (0xfe80 << 112 | u128::from(hop + 1)).into()
    }

    fn frame(to: [u8; 6]) -> Vec<u8> {
        Frame6 {
            to,
            payload: vec![0; 8],
            ..Frame6::default()
        }
        .bytes()
    }

    fn aim(frame: &mut [u8], address: Ipv6Addr) {
        frame[38..54].copy_from_slice(&address.octets());
    }

    fn number(address: Ipv6Addr) -> u128 {
        address.to_bits()
    }

    fn address(number: u128) -> Ipv6Addr {
        number.into()
    }

    fn is_special(address: Ipv6Addr) -> bool {
        let local = address.is_unicast_link_local() || address.is_loopback();
        local || address.is_multicast() || address.is_unspecified()
    }
}
