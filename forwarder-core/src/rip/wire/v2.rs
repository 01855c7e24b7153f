//! RIPv2 over IPv4 (RFC 2453 §4).
//!
//! ```text
//! address family (2)   route tag (2)
//! IP address (4)
//! subnet mask (4)
//! next hop (4)
//! metric (4)
//! ```

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::v1::network;
use super::{Dialect, Wire};
use crate::net::Ipv4;
use crate::rip::metric::Metric;
use crate::rip::packet::{ENTRY, HEADER, Rte};
use crate::rip::reject::Reject;

/// Address family 2: IP.
pub(super) const AFI_INET: u16 = 2;
/// Address family of a request for everything.
const AFI_ANY: u16 = 0;
/// Address family of an authentication entry (RFC 2453 §4.1).
const AFI_AUTH: u16 = 0xffff;

/// Entries in a packet, by the RFC.
const MAX_ENTRIES: usize = 25;
/// An IPv4 header without options and a UDP header.
const IP_UDP: usize = 28;

/// Ranges below multicast that nobody may route to (RFC 1122 §3.2.1.3).
const MARTIANS: [(Ipv4Addr, u8); 2] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
];
/// The first address of multicast and class E, which nobody may route to either.
const MULTICAST: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 0);

impl Wire for Ipv4 {
    const PORT: u16 = 520;
    const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 9);
    const VERSION: u8 = 2;
    const MAX_ENTRIES: usize = MAX_ENTRIES;
    const HOP_LIMIT: u8 = 1;
    const SENDS_NEXT_HOPS: bool = true;

    fn max_entries(mtu: u32) -> usize {
        let room = usize::try_from(mtu)
            .unwrap_or(usize::MAX)
            .saturating_sub(IP_UDP + HEADER);
        (room / ENTRY).clamp(1, MAX_ENTRIES)
    }

    /// RFC 2453 §4.6: versions above 2 are read as 2.
    fn dialect(version: u8) -> Result<Dialect, Reject> {
        Ok(match version {
            1 => Dialect::Classful,
            _ => Dialect::Prefixes,
        })
    }

    fn is_authentication(entry: &[u8; ENTRY]) -> bool {
        family(entry) == AFI_AUTH
    }

    /// RFC 2453 §3.9.1: one entry, address family 0, metric 16.
    fn asks_for_table(entry: &[u8; ENTRY]) -> bool {
        family(entry) == AFI_ANY && word(entry, 16) == u32::from(Metric::INFINITY.get())
    }

    fn table_request() -> [u8; ENTRY] {
        let mut entry = [0; ENTRY];
        entry[ENTRY - 1] = Metric::INFINITY.get();
        entry
    }

    /// Each entry has its own.
    fn next_hop(_: &[u8; ENTRY]) -> Option<Option<Ipv4Addr>> {
        None
    }

    fn decode_prefix(entry: &[u8; ENTRY]) -> Result<Ipv4Net, Reject> {
        if family(entry) != AFI_INET {
            return Err(Reject::BadFamily);
        }
        let address = Ipv4Addr::from(word(entry, 4));
        let len = prefix_len(address, word(entry, 8))?;
        let prefix = Ipv4Net::new(address, len).map_err(|_| Reject::BadMask)?;
        if prefix.trunc() != prefix {
            return Err(Reject::HostBits);
        }
        if !Self::is_routable(&prefix) {
            return Err(Reject::Martian);
        }
        Ok(prefix)
    }

    fn decode(entry: &[u8; ENTRY]) -> Result<Rte<Self>, Reject> {
        let prefix = Self::decode_prefix(entry)?;
        let metric = metric(entry)?;
        let next_hop = Ipv4Addr::from(word(entry, 12));
        Ok(Rte {
            prefix,
            metric,
            tag: u16::from_be_bytes([entry[2], entry[3]]),
            next_hop: (!next_hop.is_unspecified()).then_some(next_hop),
        })
    }

    fn encode(rte: &Rte<Self>) -> [u8; ENTRY] {
        let mut entry = [0; ENTRY];
        let next_hop = rte.next_hop.unwrap_or(Ipv4Addr::UNSPECIFIED);
        entry[0..2].copy_from_slice(&AFI_INET.to_be_bytes());
        entry[2..4].copy_from_slice(&rte.tag.to_be_bytes());
        entry[4..8].copy_from_slice(&rte.prefix.network().octets());
        entry[8..12].copy_from_slice(&rte.prefix.netmask().octets());
        entry[12..16].copy_from_slice(&next_hop.octets());
        entry[ENTRY - 1] = rte.metric.get();
        entry
    }

    fn is_routable(prefix: &Ipv4Net) -> bool {
        prefix.prefix_len() == 0 || prefix.network() < MULTICAST && !is_martian(prefix)
    }

    fn is_host_of(subnet: &Ipv4Net, addr: Ipv4Addr) -> bool {
        let reserved =
            subnet.prefix_len() < 31 && (addr == subnet.network() || addr == subnet.broadcast());
        subnet.contains(&addr) && !reserved
    }

    fn is_router(_: Ipv4Addr) -> bool {
        true
    }
}

pub(super) fn family(entry: &[u8; ENTRY]) -> u16 {
    u16::from_be_bytes([entry[0], entry[1]])
}

pub(super) fn word(entry: &[u8; ENTRY], at: usize) -> u32 {
    u32::from_be_bytes([entry[at], entry[at + 1], entry[at + 2], entry[at + 3]])
}

pub(super) fn metric(entry: &[u8; ENTRY]) -> Result<Metric, Reject> {
    match word(entry, 16) {
        0 => Err(Reject::MetricZero),
        value => Metric::new(value).ok_or(Reject::MetricTooLarge),
    }
}

fn is_martian(prefix: &Ipv4Net) -> bool {
    MARTIANS.iter().any(|(network, len)| {
        prefix.prefix_len() >= *len
            && Ipv4Net::new(*network, *len).is_ok_and(|range| range.contains(&prefix.network()))
    })
}

/// Length of a mask. A mask of zero means that none was given (RFC 2453 §4.3):
/// 0.0.0.0 is then the default route, and the address of a class A, B or C
/// network is that network; anything else cannot be told.
fn prefix_len(address: Ipv4Addr, mask: u32) -> Result<u8, Reject> {
    if mask != 0 {
        let contiguous = mask.leading_ones() + mask.trailing_zeros() == u32::BITS;
        return if contiguous {
            Ok(mask.leading_ones() as u8)
        } else {
            Err(Reject::BadMask)
        };
    }
    if address.is_unspecified() {
        return Ok(0);
    }
    let network = network(address).ok_or(Reject::Martian)?;
    if network.network() == address {
        Ok(network.prefix_len())
    } else {
        Err(Reject::NoMask)
    }
}
