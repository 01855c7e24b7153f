//! What the netlink monitor tells the rest of the daemon.

use std::net::IpAddr;

use crate::net::{Family, Ifindex, Ipv4, Ipv6, TableId};
use crate::route::{Nexthop, RouteType};

/// A route as it is in the kernel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KernelRoute<F: Family> {
    /// Its table.
    pub table: TableId,
    /// Its destination.
    pub prefix: F::Prefix,
    /// `RTA_PRIORITY`; with table, prefix and TOS the kernel's key.
    pub metric: u32,
    /// `rtm_tos`.
    pub tos: u8,
    /// `rtm_type`.
    pub kind: RouteType,
    /// `rtm_protocol`.
    pub protocol: u8,
    /// Where it leads: literally, or by a next-hop object.
    pub nexthops: KernelNexthops<F>,
    /// `RTAX_MTU`.
    pub mtu: Option<u32>,
    /// `RTA_PREFSRC`.
    pub preferred_source: Option<F::Addr>,
}

/// The ways out of a kernel route.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KernelNexthops<F: Family> {
    /// In the route itself; empty for types that have none.
    Inline(Vec<Nexthop<F>>),
    /// `RTA_NH_ID`: follow the object, it can change under the route.
    Object(u32),
}

/// A next-hop object (`ip nexthop`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NexthopObject {
    /// One way out; for either family.
    Single {
        /// `NHA_GATEWAY`.
        gateway: Option<IpAddr>,
        /// `NHA_OIF`.
        ifindex: Ifindex,
        /// `RTNH_F_ONLINK`.
        onlink: bool,
    },
    /// `NHA_BLACKHOLE`.
    Blackhole,
    /// `NHA_GROUP`: ids and weights (1..=256).
    Group(Vec<(u32, u16)>),
    /// An FDB next hop or an encapsulation: only the kernel can follow it.
    KernelOnly,
}

/// A neighbour entry's use for forwarding (`NUD_*`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NeighbourState {
    /// REACHABLE, STALE, DELAY, PROBE, PERMANENT, NOARP: the address may be used.
    Usable([u8; 6]),
    /// INCOMPLETE or NONE: being resolved.
    Resolving,
    /// FAILED.
    Failed,
}

/// A neighbour entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Neighbour<A> {
    /// Its interface.
    pub ifindex: Ifindex,
    /// Its network address.
    pub address: A,
    /// Whether it can be sent to.
    pub state: NeighbourState,
    /// `NTF_EXT_MANAGED` is set.
    pub managed: bool,
}

/// Routes and next-hop objects, for the RIB, in the kernel's order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RouteEvent<F: Family> {
    /// A route is there (`NLM_F_REPLACE` where it took another's place; then
    /// the one with the same table, prefix, TOS and metric is gone).
    Added {
        /// The route.
        route: KernelRoute<F>,
        /// It replaced the first route with the same key.
        replaced: bool,
    },
    /// A route is gone.
    Removed(KernelRoute<F>),
    /// A next-hop object is there or changed.
    NexthopSet {
        /// Its id.
        id: u32,
        /// What it is now.
        object: NexthopObject,
    },
    /// A next-hop object is gone, and with it, without a message, its routes.
    NexthopGone(u32),
    /// An interface's state as far as routes depend on it.
    Link {
        /// Which.
        ifindex: Ifindex,
        /// `IFF_UP`; on its loss the kernel drops IPv4 routes without a message.
        up: bool,
        /// `IFF_LOWER_UP`.
        carrier: bool,
    },
    /// An interface is gone, and its routes with it.
    LinkGone(Ifindex),
    /// A dump begins: what is not named until [`RouteEvent::DumpEnd`] is gone.
    /// Where one begins before the last has ended, that one counts for nothing.
    DumpStart,
    /// The dump is complete.
    DumpEnd,
}

/// Neighbour entries of a family, in the kernel's order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NeighbourEvent<F: Family> {
    /// An entry is there or changed.
    Set(Neighbour<F::Addr>),
    /// An entry is gone.
    Gone {
        /// Its interface.
        ifindex: Ifindex,
        /// Its address.
        address: F::Addr,
    },
    /// A dump begins: what it does not name is gone. Where one begins before
    /// the last has ended, that one counts for nothing.
    DumpStart,
    /// The dump is complete.
    DumpEnd,
}

/// What concerns the fast path alone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DataplaneEvent {
    /// Of an IPv4 neighbour.
    Neighbour4(NeighbourEvent<Ipv4>),
    /// Of an IPv6 neighbour.
    Neighbour6(NeighbourEvent<Ipv6>),
    /// What the operator configured that a fast path must not go round: told
    /// once at start, before which nothing is known, and at each change.
    Constraints(Constraints),
}

/// Kernel features in force that forwarding past the kernel would skip
/// behind the back of the operator who configured it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Constraints {
    /// nftables or iptables rules in prerouting, forward or postrouting; the
    /// text says which, for people.
    pub netfilter: Option<String>,
    /// Policy rules beyond the default three.
    pub rules: Option<String>,
    /// IPsec policies.
    pub xfrm: Option<String>,
    /// Interfaces with tc egress filters or a shaper, and what they have.
    pub tc: std::collections::BTreeMap<Ifindex, String>,
}
