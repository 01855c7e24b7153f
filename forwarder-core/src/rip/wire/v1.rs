//! RIPv1 over IPv4 (RFC 1058 §3.1).
//!
//! ```text
//! address family (2)   must be zero (2)
//! IP address (4)
//! must be zero (8)
//! metric (4)
//! ```
//!
//! An address stands for the default route, for a network of class A, B or C,
//! for a subnet of the network that the link belongs to (with the link's own
//! mask), or for a host (RFC 1058 §3.2).

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::v2::{AFI_INET, family, metric, word};
use super::{Sayable, V1, Wire};
use crate::net::Ipv4;
use crate::rip::packet::{ENTRY, Rte};
use crate::rip::reject::Reject;

impl V1 for Ipv4 {
    fn prefix_v1(entry: &[u8; ENTRY], subnet: &Ipv4Net) -> Result<Ipv4Net, Reject> {
        if family(entry) != AFI_INET {
            return Err(Reject::BadFamily);
        }
        if entry[2..4]
            .iter()
            .chain(&entry[8..16])
            .any(|byte| *byte != 0)
        {
            return Err(Reject::ReservedField);
        }
        let address = Ipv4Addr::from(word(entry, 4));
        understood(subnet, address)
            .filter(Self::is_routable)
            .ok_or(Reject::Martian)
    }

    fn decode_v1(entry: &[u8; ENTRY], subnet: &Ipv4Net) -> Result<Rte<Self>, Reject> {
        Ok(Rte {
            prefix: Self::prefix_v1(entry, subnet)?,
            metric: metric(entry)?,
            tag: 0,
            next_hop: None,
        })
    }

    fn encode_v1(rte: &Rte<Self>) -> [u8; ENTRY] {
        let mut entry = [0; ENTRY];
        entry[0..2].copy_from_slice(&AFI_INET.to_be_bytes());
        entry[4..8].copy_from_slice(&rte.prefix.network().octets());
        entry[ENTRY - 1] = rte.metric.get();
        entry
    }

    /// Subnets stay within their network, other networks hear of it as a whole,
    /// and nothing is said that would be taken for something else: subnets of
    /// another length, the subnet zero, and what is larger than a network.
    fn sayable(subnet: &Ipv4Net, prefix: &Ipv4Net) -> Sayable<Ipv4Net> {
        if prefix.prefix_len() == 0 {
            return Sayable::Itself;
        }
        match network(prefix.network()) {
            Some(network) if !network.contains(prefix) => Sayable::Nothing,
            Some(network) if is_foreign(subnet, &network) => Sayable::Network(network),
            Some(_) if understood(subnet, prefix.network()) == Some(*prefix) => Sayable::Itself,
            _ => Sayable::Nothing,
        }
    }

    /// On a link of two that is the other end.
    fn broadcast(local: Ipv4Addr, subnet: &Ipv4Net) -> Option<Ipv4Addr> {
        match subnet.prefix_len() {
            31 | 32 => subnet.hosts().find(|host| *host != local),
            _ => Some(subnet.broadcast()),
        }
    }
}

/// The network of class A, B or C that an address is in.
pub(super) fn network(address: Ipv4Addr) -> Option<Ipv4Net> {
    let len = match address.octets()[0] {
        0..128 => 8,
        128..192 => 16,
        192..224 => 24,
        224.. => return None,
    };
    Ipv4Net::new(address, len)
        .ok()
        .map(|network| network.trunc())
}

/// What a router of `subnet` takes an address for.
fn understood(subnet: &Ipv4Net, address: Ipv4Addr) -> Option<Ipv4Net> {
    if address.is_unspecified() {
        return Some(Ipv4Net::default());
    }
    let network = network(address)?;
    let subnetted = self::network(subnet.network()) == Some(network);
    let len = subnet.prefix_len().max(network.prefix_len());
    let candidates = [network.prefix_len(), if subnetted { len } else { 32 }, 32];
    candidates
        .into_iter()
        .filter_map(|len| Ipv4Net::new(address, len).ok())
        .find(|candidate| candidate.network() == address)
}

/// Whether routers of `subnet` are outside of a network.
fn is_foreign(subnet: &Ipv4Net, network: &Ipv4Net) -> bool {
    !network.contains(subnet) && !subnet.contains(network)
}
