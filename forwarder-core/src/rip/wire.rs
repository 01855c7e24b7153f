//! What differs between RIPv2 and RIPng: port, group, and what the 20 bytes of
//! an entry mean. The engine is generic over this and knows neither. RIPv1 is a
//! second dialect of the first: see [`V1`].

use super::packet::{ENTRY, Rte};
use super::reject::Reject;
use crate::net::Family;

mod ng;
mod v1;
mod v2;

/// The form of entries on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialect {
    /// RIPv1's (RFC 1058): an address without a mask. What it stands for depends
    /// on the subnet that it is sent on.
    Classful,
    /// RIPv2's and RIPng's: prefixes.
    Prefixes,
}

impl Dialect {
    /// The version in packets.
    pub(super) const fn version<F: Wire>(self) -> u8 {
        match self {
            Dialect::Classful => 1,
            Dialect::Prefixes => F::VERSION,
        }
    }
}

/// What can be said about a destination to a router of RIPv1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sayable<P> {
    /// Itself: it is understood as it is meant.
    Itself,
    /// Only that its network, of class A, B or C, is somewhere here.
    Network(P),
    /// Nothing: it would be taken for something else.
    Nothing,
}

/// RIPv1's side of a family. RIPng has no such version, and the defaults.
pub trait V1: Family {
    /// The destination in an entry that came from a router of `subnet`, checked.
    fn prefix_v1(_: &[u8; ENTRY], _subnet: &Self::Prefix) -> Result<Self::Prefix, Reject> {
        Err(Reject::VersionRefused)
    }

    /// An entry of a response that came from a router of `subnet`, checked.
    fn decode_v1(_: &[u8; ENTRY], _subnet: &Self::Prefix) -> Result<Rte<Self>, Reject> {
        Err(Reject::VersionRefused)
    }

    /// An entry as it goes out.
    fn encode_v1(_: &Rte<Self>) -> [u8; ENTRY] {
        [0; ENTRY]
    }

    /// What routers of `subnet` can be told about a destination.
    fn sayable(_subnet: &Self::Prefix, _: &Self::Prefix) -> Sayable<Self::Prefix> {
        Sayable::Itself
    }

    /// The address of all others on a subnet on which ours is `local`.
    fn broadcast(_local: Self::Addr, _subnet: &Self::Prefix) -> Option<Self::Addr> {
        None
    }
}

/// An address family that RIP can carry.
pub trait Wire: V1 {
    /// The UDP port of the protocol.
    const PORT: u16;
    /// The multicast group of its routers.
    const GROUP: Self::Addr;
    /// The version of packets whose entries are prefixes.
    const VERSION: u8;

    /// The TTL or hop limit of what is sent. RIPv2 never leaves the link; RFC 2080
    /// §2.5.2 has routers send with 255, so that what is multicast with less is
    /// known to come from elsewhere.
    const HOP_LIMIT: u8;

    /// Whether entries name next hops other than us.
    const SENDS_NEXT_HOPS: bool;

    /// The most entries a packet may hold on a link of this MTU, at least one.
    fn max_entries(mtu: u32) -> usize;

    /// The most entries a packet may hold when received.
    const MAX_ENTRIES: usize;

    /// How packets of this version (never 0) are read.
    fn dialect(version: u8) -> Result<Dialect, Reject>;

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
