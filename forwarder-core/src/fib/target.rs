//! Where a route leads, reduced to what the fast path can tell apart.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use forwarder_common::abi::{self, GROUP_BUCKETS};
use forwarder_common::reason::Reason;
use ipnet::{Ipv4Net, Ipv6Net};

use super::Capacity;
use super::groups::{Member, Members};
use super::trie::Bits;
use crate::net::{Family, Ifindex, Ipv4, Ipv6};
use crate::route::{Nexthop, Route, RouteType};

/// Where packets of a prefix go. Prefixes with equal targets share one
/// next-hop id.
///
/// The order matters: all targets through one interface are neighbours in it,
/// and among those all through one gateway, so that a change of a port or a
/// neighbour finds what it concerns as a range.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Target<F: FibFamily> {
    /// Always the same, whatever the links do: counted under this reason,
    /// which also says whether that is up or dropped.
    Fixed(Reason),
    /// The destination is on the link: which host that is, its neighbour entry
    /// tells; hosts without one go up to be resolved.
    Glean {
        /// Egress interface.
        ifindex: Ifindex,
        /// The route's own MTU.
        mtu: Option<u32>,
    },
    /// To one neighbour.
    Via {
        /// Egress interface.
        ifindex: Ifindex,
        /// Whose link address goes into the frame: a router, or the
        /// destination itself.
        gateway: F::Addr,
        /// The route's own MTU.
        mtu: Option<u32>,
    },
    /// To one of several, by the flow.
    Group(Members<F>),
}

impl<F: FibFamily> Target<F> {
    /// What a selected route asks for.
    pub(super) fn of(prefix: F::Prefix, route: &Route<F>) -> Target<F> {
        match route.kind {
            RouteType::Unicast => Target::unicast(prefix, route),
            RouteType::Local | RouteType::Anycast => Target::Fixed(Reason::ForUs),
            RouteType::Broadcast | RouteType::Multicast => Target::Fixed(Reason::NotUnicast),
            RouteType::Blackhole => Target::Fixed(Reason::Blackhole),
            RouteType::Unreachable | RouteType::Prohibit => Target::Fixed(Reason::Unreachable),
            RouteType::Throw | RouteType::KernelOnly => Target::Fixed(Reason::KernelRoute),
        }
    }

    fn unicast(prefix: F::Prefix, route: &Route<F>) -> Target<F> {
        match route.nexthops.as_slice() {
            [nexthop] => Target::through(prefix, nexthop, route.mtu),
            [] => Target::Fixed(Reason::KernelRoute),
            several => Target::multipath(prefix, several, route.mtu),
        }
    }

    /// Each router once, in order. Several links without a router, or more
    /// routers than a group has buckets, are the kernel's.
    fn multipath(prefix: F::Prefix, nexthops: &[Nexthop<F>], mtu: Option<u32>) -> Target<F> {
        let mut shares: BTreeMap<Target<F>, u32> = BTreeMap::new();
        for nexthop in nexthops {
            let target = Target::through(prefix, nexthop, mtu);
            if !matches!(target, Target::Via { .. }) {
                return Target::Fixed(Reason::Multipath);
            }
            *shares.entry(target).or_default() += u32::from(nexthop.weight.max(1));
        }
        match shares.len() {
            1 => shares
                .into_keys()
                .next()
                .unwrap_or(Target::Fixed(Reason::Multipath)),
            2..=GROUP_BUCKETS => Target::Group(
                shares
                    .into_iter()
                    .map(|(target, weight)| Member { target, weight })
                    .collect(),
            ),
            _ => Target::Fixed(Reason::Multipath),
        }
    }

    fn through(prefix: F::Prefix, nexthop: &Nexthop<F>, mtu: Option<u32>) -> Target<F> {
        // The kernel takes a route MTU of 0 for none (`dst_metric_raw`).
        let mtu = mtu.filter(|&mtu| mtu != 0);
        let Some(ifindex) = nexthop.ifindex else {
            return Target::Fixed(Reason::KernelRoute);
        };
        // `ip route add 192.0.2.9 dev ppp0`: the destination is the neighbour.
        let peer = (F::len(&prefix) == F::BITS).then(|| F::network(&prefix));
        match nexthop.gateway.or(peer) {
            Some(gateway) => Target::Via {
                ifindex,
                gateway,
                mtu,
            },
            None => Target::Glean { ifindex, mtu },
        }
    }

    /// Whether it is several ways.
    pub(super) fn is_group(&self) -> bool {
        matches!(self, Target::Group(_))
    }

    /// The interface that packets leave by.
    pub fn ifindex(&self) -> Option<Ifindex> {
        match *self {
            Target::Fixed(_) | Target::Group(_) => None,
            Target::Glean { ifindex, .. } | Target::Via { ifindex, .. } => Some(ifindex),
        }
    }
}

/// What the FIB knows of an address family besides its addresses.
pub trait FibFamily: Family {
    /// Destinations that are the kernel's whatever the routes say (RFC 6890
    /// §2.2): none of them may be forwarded, and the XDP program need not test
    /// for them when they are entries of the table.
    const FIXED: &'static [(Self::Prefix, Reason)];

    /// An address as a number, for the trie.
    type Bits: Bits;

    /// The setting for the size of its trie.
    const ROWS_SETTING: &'static str;

    /// How far its ids are from what narrow slots of its trie hold.
    const LEAF_BASE: u32;

    /// The part of the maps that is this family's.
    const CAPACITY: Capacity;

    /// Whether an address of this router is a source that the program drops as
    /// a martian before it looks for own ones.
    fn is_loopback(address: Self::Addr) -> bool;

    /// The address as a number.
    fn bits(address: Self::Addr) -> Self::Bits;
}

impl FibFamily for Ipv4 {
    type Bits = u32;

    const ROWS_SETTING: &'static str = "ipv4-rows";

    const LEAF_BASE: u32 = forwarder_common::trie::BASE4;

    const FIXED: &'static [(Ipv4Net, Reason)] = &[
        (net4(0, 0, 8), Reason::NotUnicast),
        (net4(127, 0, 8), Reason::NotUnicast),
        (net4(169, 254, 16), Reason::LinkLocal),
        (net4(224, 0, 4), Reason::NotUnicast),
        (net4(240, 0, 4), Reason::NotUnicast),
    ];

    const CAPACITY: Capacity = Capacity {
        nexthops: abi::FIRST_ID4..abi::FIRST_ID6,
        counted: abi::FIRST_COUNTED..abi::FIRST_COUNTED + abi::MAX_COUNTED / 2,
        adjacencies: 0..abi::MAX_ADJACENCIES / 2,
        groups: 0..abi::MAX_GROUPS / 2,
        own: abi::MAX_OWN,
    };

    fn is_loopback(address: Ipv4Addr) -> bool {
        address.is_loopback()
    }

    fn bits(address: Ipv4Addr) -> u32 {
        address.to_bits()
    }
}

impl FibFamily for Ipv6 {
    type Bits = u128;

    const ROWS_SETTING: &'static str = "ipv6-rows";

    const LEAF_BASE: u32 = forwarder_common::trie::BASE6;

    const FIXED: &'static [(Ipv6Net, Reason)] = &[
        // The unspecified and the loopback address.
        (net6(0, 127), Reason::NotUnicast),
        (net6(0xfe80, 10), Reason::LinkLocal),
        (net6(0xff00, 8), Reason::NotUnicast),
    ];

    const CAPACITY: Capacity = Capacity {
        nexthops: abi::FIRST_ID6..abi::FIRST_COUNTED,
        counted: abi::FIRST_COUNTED + abi::MAX_COUNTED / 2..abi::MAX_NEXTHOPS,
        adjacencies: abi::MAX_ADJACENCIES / 2..abi::MAX_ADJACENCIES,
        groups: abi::MAX_GROUPS / 2..abi::MAX_GROUPS,
        own: abi::MAX_OWN,
    };

    fn is_loopback(address: Ipv6Addr) -> bool {
        address.is_loopback()
    }

    fn bits(address: Ipv6Addr) -> u128 {
        address.to_bits()
    }
}

const fn net4(first: u8, second: u8, len: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(first, second, 0, 0), len)
}

const fn net6(first: u16, len: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, 0), len)
}

/// Whether a prefix is a fixed entry or lies inside one.
pub(super) fn is_fixed<F: FibFamily>(prefix: F::Prefix) -> bool {
    F::FIXED.iter().any(|(fixed, _)| {
        F::len(fixed) <= F::len(&prefix) && F::contains(fixed, F::network(&prefix))
    })
}
