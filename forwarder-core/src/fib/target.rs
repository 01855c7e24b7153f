//! Where a route leads, reduced to what the fast path can tell apart.

use std::net::Ipv4Addr;

use forwarder_common::reason::Reason;
use ipnet::Ipv4Net;

use crate::net::{Ifindex, Ipv4};
use crate::route::{Nexthop, Route, RouteType};

/// Where packets of a prefix go. Prefixes with equal targets share one
/// next-hop id.
///
/// The order matters: all targets through one interface are neighbours in it,
/// and among those all through one gateway, so that a change of a port or a
/// neighbour finds what it concerns as a range.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Target {
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
        gateway: Ipv4Addr,
        /// The route's own MTU.
        mtu: Option<u32>,
    },
}

impl Target {
    /// What a selected route asks for.
    pub(super) fn of(prefix: Ipv4Net, route: &Route<Ipv4>) -> Target {
        match route.kind {
            RouteType::Unicast => Target::unicast(prefix, route),
            RouteType::Local | RouteType::Anycast => Target::Fixed(Reason::ForUs),
            RouteType::Broadcast | RouteType::Multicast => Target::Fixed(Reason::NotUnicast),
            RouteType::Blackhole => Target::Fixed(Reason::Blackhole),
            RouteType::Unreachable | RouteType::Prohibit => Target::Fixed(Reason::Unreachable),
            RouteType::Throw | RouteType::KernelOnly => Target::Fixed(Reason::KernelRoute),
        }
    }

    fn unicast(prefix: Ipv4Net, route: &Route<Ipv4>) -> Target {
        match route.nexthops.as_slice() {
            [nexthop] => Target::through(prefix, nexthop, route.mtu),
            [] => Target::Fixed(Reason::KernelRoute),
            _ => Target::Fixed(Reason::Multipath),
        }
    }

    fn through(prefix: Ipv4Net, nexthop: &Nexthop<Ipv4>, mtu: Option<u32>) -> Target {
        // The kernel takes a route MTU of 0 for none (`dst_metric_raw`).
        let mtu = mtu.filter(|&mtu| mtu != 0);
        let Some(ifindex) = nexthop.ifindex else {
            return Target::Fixed(Reason::KernelRoute);
        };
        // `ip route add 192.0.2.9 dev ppp0`: the destination is the neighbour.
        let peer = (prefix.prefix_len() == 32).then(|| prefix.addr());
        match nexthop.gateway.or(peer) {
            Some(gateway) => Target::Via {
                ifindex,
                gateway,
                mtu,
            },
            None => Target::Glean { ifindex, mtu },
        }
    }

    /// The interface that packets leave by.
    pub const fn ifindex(&self) -> Option<Ifindex> {
        match *self {
            Target::Fixed(_) => None,
            Target::Glean { ifindex, .. } | Target::Via { ifindex, .. } => Some(ifindex),
        }
    }
}

/// Destinations that are the kernel's whatever the routes say. RFC 6890 §2.2:
/// none of them may be forwarded, and the XDP program need not test for them
/// when they are entries of the table.
pub(super) const FIXED: [(Ipv4Net, Reason); 5] = [
    (net(0, 0, 8), Reason::NotUnicast),
    (net(127, 0, 8), Reason::NotUnicast),
    (net(169, 254, 16), Reason::LinkLocal),
    (net(224, 0, 4), Reason::NotUnicast),
    (net(240, 0, 4), Reason::NotUnicast),
];

const fn net(first: u8, second: u8, len: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(first, second, 0, 0), len)
}

/// Whether a prefix is a fixed entry or lies inside one.
pub(super) fn is_fixed(prefix: Ipv4Net) -> bool {
    FIXED.iter().any(|(fixed, _)| fixed.contains(&prefix))
}
