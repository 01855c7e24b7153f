//! What differs between RIPv2 and RIPng: port, group, and what the 20 bytes of
//! an entry mean. The engine is generic over this and knows neither.

use super::packet::{ENTRY, Rte};
use super::reject::Reject;
use crate::net::Family;

mod ng;
mod v2;

/// An address family that RIP can carry.
pub trait Wire: Family {
    /// The UDP port of the protocol.
    const PORT: u16;
    /// The multicast group of its routers.
    const GROUP: Self::Addr;
    /// The version in packets we send.
    const VERSION: u8;

    /// Whether entries name next hops other than us.
    const SENDS_NEXT_HOPS: bool;

    /// The most entries a packet may hold on a link of this MTU, at least one.
    fn max_entries(mtu: u32) -> usize;

    /// The most entries a packet may hold when received.
    const MAX_ENTRIES: usize;

    /// Whether packets of this version (never 0) are spoken here.
    fn check_version(version: u8) -> Result<(), Reject>;

    /// Whether this entry is authentication rather than a route.
    fn is_authentication(entry: &[u8; ENTRY]) -> bool;

    /// Whether a request of this single entry asks for the whole table.
    fn asks_for_table(entry: &[u8; ENTRY]) -> bool;

    /// The entry that asks for the whole table.
    fn table_request() -> [u8; ENTRY];

    /// The next hop of the entries that follow, where this entry is one:
    /// `Some(None)` = the sender again.
    fn next_hop(entry: &[u8; ENTRY]) -> Option<Option<Self::Addr>>;

    /// The destination in an entry, checked. Metric and next hop are not.
    fn decode_prefix(entry: &[u8; ENTRY]) -> Result<Self::Prefix, Reject>;

    /// An entry of a response, checked in itself; whether its next hop can be
    /// used depends on the interface.
    fn decode(entry: &[u8; ENTRY]) -> Result<Rte<Self>, Reject>;

    /// An entry as it goes out.
    fn encode(rte: &Rte<Self>) -> [u8; ENTRY];

    /// Whether a router may have a route to this prefix at all.
    fn is_routable(prefix: &Self::Prefix) -> bool;

    /// Whether an address can be a router's on this subnet: inside, and neither
    /// the network's nor its broadcast address.
    fn is_host_of(subnet: &Self::Prefix, addr: Self::Addr) -> bool;

    /// Whether routers speak from such addresses: in IPv6 only from link-local
    /// ones.
    fn is_router(addr: Self::Addr) -> bool;
}
