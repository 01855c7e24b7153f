//! Address families, interface indexes and table numbers.

use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// An address family. The RIB and the RIP engine are generic over it, so that
/// a table never mixes families and no match on them is ever forgotten.
pub trait Family: Copy + Eq + Ord + Hash + Debug + Default + Send + Sync + 'static {
    /// A host address.
    type Addr: Copy + Eq + Ord + Hash + Debug + Display + Into<IpAddr> + Send + Sync + 'static;
    /// A prefix whose host bits are zero.
    type Prefix: prefix_trie::Prefix
        + Default
        + Copy
        + Eq
        + Ord
        + Hash
        + Debug
        + Display
        + Into<IpNet>
        + Send
        + Sync
        + 'static;

    /// Length of a host prefix: 32 or 128.
    const BITS: u8;
    /// "ipv4" or "ipv6".
    const NAME: &'static str;

    /// The kernel drops a link's routes with its last address, and those that
    /// prefer an address as source with that address. (IPv6 keeps both.)
    const NEEDS_ADDRESSES: bool;
    /// The kernel makes one route of all next hops with a prefix and metric,
    /// and tells of them one by one.
    const MERGES_NEXTHOPS: bool;
    /// The lowest address.
    const FIRST: Self::Addr;
    /// The highest.
    const LAST: Self::Addr;

    /// The prefix of this length that holds `addr`, host bits cleared; `None`
    /// where `len` is above [`Family::BITS`].
    fn prefix(addr: Self::Addr, len: u8) -> Option<Self::Prefix>;
    /// First address of the prefix.
    fn network(prefix: &Self::Prefix) -> Self::Addr;
    /// Last address of the prefix.
    fn last(prefix: &Self::Prefix) -> Self::Addr;
    /// Length of the prefix in bits.
    fn len(prefix: &Self::Prefix) -> u8;
    /// Whether the address lies in the prefix.
    fn contains(prefix: &Self::Prefix, addr: Self::Addr) -> bool;
    /// The address in this family, if it is of this family.
    fn from_ip(addr: IpAddr) -> Option<Self::Addr>;
    /// The prefix in this family, if it is of this family.
    fn from_net(net: IpNet) -> Option<Self::Prefix>;

    /// The host prefix of an address.
    fn host(addr: Self::Addr) -> Self::Prefix;
}

/// IPv4.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Ipv4;

/// IPv6.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Ipv6;

macro_rules! family {
    ($family:ty, $addr:ty, $net:ty, $bits:literal, $name:literal, $variant:ident) => {
        impl Family for $family {
            type Addr = $addr;
            type Prefix = $net;
            const BITS: u8 = $bits;
            const NAME: &'static str = $name;
            const NEEDS_ADDRESSES: bool = $bits == 32;
            const MERGES_NEXTHOPS: bool = $bits == 128;
            const FIRST: $addr = <$addr>::from_bits(0);
            const LAST: $addr = <$addr>::from_bits(!0);

            fn prefix(addr: $addr, len: u8) -> Option<$net> {
                <$net>::new(addr, len).ok().map(|net| net.trunc())
            }
            fn network(prefix: &$net) -> $addr {
                prefix.network()
            }
            fn last(prefix: &$net) -> $addr {
                prefix.broadcast()
            }
            fn len(prefix: &$net) -> u8 {
                prefix.prefix_len()
            }
            fn contains(prefix: &$net, addr: $addr) -> bool {
                prefix.contains(&addr)
            }
            fn from_ip(addr: IpAddr) -> Option<$addr> {
                match addr {
                    IpAddr::$variant(addr) => Some(addr),
                    _ => None,
                }
            }
            fn from_net(net: IpNet) -> Option<$net> {
                match net {
                    IpNet::$variant(net) => Some(net.trunc()),
                    _ => None,
                }
            }

            fn host(addr: $addr) -> $net {
                <$net>::from(addr)
            }
        }
    };
}

family!(Ipv4, Ipv4Addr, Ipv4Net, 32, "ipv4", V4);
family!(Ipv6, Ipv6Addr, Ipv6Net, 128, "ipv6", V6);

/// The kernel's number of an interface; never 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ifindex(pub u32);

impl Display for Ifindex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Display::fmt(&self.0, f)
    }
}

/// A routing table (`RTA_TABLE`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TableId(pub u32);

impl TableId {
    /// Table `main`, the only one that is routed by at first.
    pub const MAIN: TableId = TableId(254);
    /// Table `local`: the kernel's own addresses and broadcasts.
    pub const LOCAL: TableId = TableId(255);
}

impl Display for TableId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            TableId::MAIN => f.write_str("main"),
            TableId::LOCAL => f.write_str("local"),
            TableId(n) => Display::fmt(&n, f),
        }
    }
}
