//! RIPng over IPv6 (RFC 2080 §2.1).
//!
//! ```text
//! IPv6 prefix (16)
//! route tag (2)   prefix length (1)   metric (1)
//! ```
//!
//! An entry with metric 255 names the next hop of those that follow. Routers
//! speak from link-local addresses, so next hops are link-local too, and which
//! link they mean only the receiver knows: we honour them and send none.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use super::{Dialect, V1, Wire};
use crate::net::{Family, Ipv6};
use crate::rip::metric::Metric;
use crate::rip::packet::{ENTRY, HEADER, Rte};
use crate::rip::reject::Reject;

/// An IPv6 header and a UDP header.
const IP_UDP: usize = 48;
/// RFC 2080 §2.1.1: this metric marks a next hop.
const NEXT_HOP: u8 = 0xff;

impl V1 for Ipv6 {}

impl Wire for Ipv6 {
    const PORT: u16 = 521;
    const GROUP: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 9);
    const VERSION: u8 = 1;
    const HOP_LIMIT: u8 = 255;
    const SENDS_NEXT_HOPS: bool = false;

    /// RFC 2080 §2.1: as many as the link carries.
    fn max_entries(mtu: u32) -> usize {
        let room = usize::try_from(mtu)
            .unwrap_or(usize::MAX)
            .saturating_sub(IP_UDP + HEADER);
        (room / ENTRY).clamp(1, Self::MAX_ENTRIES)
    }

    /// What fits into the longest datagram.
    const MAX_ENTRIES: usize = (u16::MAX as usize - IP_UDP - HEADER) / ENTRY;

    /// There is one version, and no rule for later ones.
    fn dialect(version: u8) -> Result<Dialect, Reject> {
        if version == Self::VERSION {
            Ok(Dialect::Prefixes)
        } else {
            Err(Reject::VersionRefused)
        }
    }

    /// RFC 2080 §3: that is IPsec's.
    fn is_authentication(_: &[u8; ENTRY]) -> bool {
        false
    }

    /// RFC 2080 §2.4.1: ::/0 with metric 16 alone.
    fn asks_for_table(entry: &[u8; ENTRY]) -> bool {
        *entry == Self::table_request()
    }

    fn table_request() -> [u8; ENTRY] {
        let mut entry = [0; ENTRY];
        entry[ENTRY - 1] = Metric::INFINITY.get();
        entry
    }

    fn next_hop(entry: &[u8; ENTRY]) -> Option<Option<Ipv6Addr>> {
        let hop = address(entry);
        // RFC 2080 §2.1.1: what is not link-local is taken as ::, the sender.
        (entry[ENTRY - 1] == NEXT_HOP).then(|| Some(hop).filter(|hop| Self::is_router(*hop)))
    }

    fn decode_prefix(entry: &[u8; ENTRY]) -> Result<Ipv6Net, Reject> {
        let prefix = Ipv6Net::new(address(entry), entry[18]);
        let prefix = prefix.map_err(|_| Reject::BadPrefixLength)?;
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
        let metric = match entry[ENTRY - 1] {
            0 => return Err(Reject::MetricZero),
            value => Metric::new(u32::from(value)).ok_or(Reject::MetricTooLarge)?,
        };
        Ok(Rte {
            prefix,
            metric,
            tag: u16::from_be_bytes([entry[16], entry[17]]),
            next_hop: None,
        })
    }

    fn encode(rte: &Rte<Self>) -> [u8; ENTRY] {
        let mut entry = [0; ENTRY];
        entry[0..16].copy_from_slice(&rte.prefix.network().octets());
        entry[16..18].copy_from_slice(&rte.tag.to_be_bytes());
        entry[18] = rte.prefix.prefix_len();
        entry[ENTRY - 1] = rte.metric.get();
        entry
    }

    /// Not multicast, link-local, the loopback or the unspecified address.
    fn is_routable(prefix: &Ipv6Net) -> bool {
        let (address, len) = (prefix.network(), prefix.prefix_len());
        let special =
            len == <Self as Family>::BITS && (address.is_loopback() || address.is_unspecified());
        let local = len >= 10 && address.is_unicast_link_local();
        !(special || local || len >= 8 && address.is_multicast())
    }

    /// The network's own address is any router's (RFC 4291 §2.6.1).
    fn is_host_of(subnet: &Ipv6Net, addr: Ipv6Addr) -> bool {
        let anycast = subnet.prefix_len() < 127 && addr == subnet.network();
        subnet.contains(&addr) && !anycast && !addr.is_multicast()
    }

    /// RFC 2080 §2.4.2, §2.5.2.
    fn is_router(addr: Ipv6Addr) -> bool {
        addr.is_unicast_link_local()
    }
}

fn address(entry: &[u8; ENTRY]) -> Ipv6Addr {
    let mut octets = [0; 16];
    octets.copy_from_slice(&entry[..16]);
    Ipv6Addr::from(octets)
}
