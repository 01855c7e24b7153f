//! What a route is, whoever it comes from.

use std::fmt;
use std::sync::Arc;

use crate::net::{Family, Ifindex};
use crate::route_msg::Metrics;

/// What a route does with a packet (`RTN_*`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RouteType {
    /// By next hops.
    Unicast,
    /// Ours.
    Local,
    /// Broadcast: delivered here and on the link.
    Broadcast,
    /// Ours, anycast.
    Anycast,
    /// Multicast.
    Multicast,
    /// Dropped in silence.
    Blackhole,
    /// Dropped with Host Unreachable.
    Unreachable,
    /// Dropped with Communication Prohibited.
    Prohibit,
    /// Ends the lookup in this table.
    Throw,
    /// Something only the kernel can do: an encapsulation, a TOS route, NAT.
    KernelOnly,
}

impl RouteType {
    /// As `ip route` calls it.
    pub const fn name(self) -> &'static str {
        match self {
            RouteType::Unicast => "unicast",
            RouteType::Local => "local",
            RouteType::Broadcast => "broadcast",
            RouteType::Anycast => "anycast",
            RouteType::Multicast => "multicast",
            RouteType::Blackhole => "blackhole",
            RouteType::Unreachable => "unreachable",
            RouteType::Prohibit => "prohibit",
            RouteType::Throw => "throw",
            RouteType::KernelOnly => "kernel-only",
        }
    }
}

/// One way out of a route. At least one of `gateway` and `ifindex` is set; in
/// a selected route `ifindex` always is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Nexthop<F: Family> {
    /// The router to send to; `None` = the destination is on the link.
    pub gateway: Option<F::Addr>,
    /// The interface to leave by; `None` = the connected route of the gateway
    /// tells (static routes with only a `via`).
    pub ifindex: Option<Ifindex>,
    /// Share of the traffic, 1..=256.
    pub weight: u16,
    /// The gateway is on the link although no connected route says so.
    pub onlink: bool,
}

impl<F: Family> Nexthop<F> {
    /// A gateway on an interface, weight 1.
    pub fn via(gateway: F::Addr, ifindex: Ifindex) -> Self {
        Nexthop {
            gateway: Some(gateway),
            ifindex: Some(ifindex),
            weight: 1,
            onlink: false,
        }
    }

    /// A directly connected network, weight 1.
    pub fn link(ifindex: Ifindex) -> Self {
        Nexthop {
            gateway: None,
            ifindex: Some(ifindex),
            weight: 1,
            onlink: false,
        }
    }
}

/// Who a route comes from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Source {
    /// The kernel itself (`proto kernel`): connected networks, own addresses.
    Connected,
    /// `[[static]]` of the configuration.
    Static,
    /// A client of the routing socket.
    Socket,
    /// RIP.
    Rip,
    /// An ICMP redirect that was followed.
    Redirect,
    /// The kernel's table, put there by somebody else with this protocol number
    /// (`/etc/iproute2/rt_protos`).
    Kernel(u8),
}

impl Source {
    /// Whether the daemon itself puts such routes into the kernel's table.
    pub const fn is_ours(self) -> bool {
        !matches!(self, Source::Connected | Source::Kernel(_))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Connected => f.write_str("connected"),
            Source::Static => f.write_str("static"),
            Source::Socket => f.write_str("socket"),
            Source::Rip => f.write_str("rip"),
            Source::Redirect => f.write_str("redirect"),
            Source::Kernel(protocol) => match protocol_name(*protocol) {
                Some(name) => write!(f, "kernel-{name}"),
                None => write!(f, "kernel-{protocol}"),
            },
        }
    }
}

/// Name of a kernel protocol number (`include/uapi/linux/rtnetlink.h`).
pub const fn protocol_name(protocol: u8) -> Option<&'static str> {
    Some(match protocol {
        1 => "redirect",
        2 => "kernel",
        3 => "boot",
        4 => "static",
        9 => "ra",
        11 => "zebra",
        12 => "bird",
        16 => "dhcp",
        42 => "babel",
        186 => "bgp",
        187 => "isis",
        188 => "ospf",
        189 => "rip",
        192 => "eigrp",
        _ => return None,
    })
}

/// Administrative distance: the lower wins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Distance(pub u8);

/// What a source offers for a prefix.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Candidate<F: Family> {
    /// What to do.
    pub kind: RouteType,
    /// Ways out, for [`RouteType::Unicast`]; of a [`RouteType::Local`] route the
    /// interface that has the address; empty otherwise.
    pub nexthops: Vec<Nexthop<F>>,
    /// Who offers it.
    pub source: Source,
    /// How much that source is trusted.
    pub distance: Distance,
    /// The source's own metric (RIP: 1..=15).
    pub metric: u32,
    /// Route tag.
    pub tag: u32,
    /// Path MTU of the route (`RTAX_MTU`), if it has its own.
    pub mtu: Option<u32>,
    /// For routes found in the kernel: their priority there (`RTA_PRIORITY`).
    pub kernel_metric: Option<u32>,
    /// `RTA_PREFSRC`: the source address of what this host sends.
    pub preferred_source: Option<F::Addr>,
    /// What clients of the routing socket have said of it besides.
    pub attributes: Option<Arc<Attributes>>,
}

impl<F: Family> Candidate<F> {
    /// The same, leading elsewhere.
    pub fn leading(&self, nexthops: Vec<Nexthop<F>>) -> Candidate<F> {
        Candidate {
            kind: self.kind,
            nexthops,
            source: self.source,
            distance: self.distance,
            metric: self.metric,
            tag: self.tag,
            mtu: self.mtu,
            kernel_metric: self.kernel_metric,
            preferred_source: self.preferred_source,
            attributes: self.attributes.clone(),
        }
    }
}

/// The candidate that a prefix is routed by: next hops resolved to interfaces
/// that are up.
pub type Route<F> = Candidate<F>;

/// What route(4) knows of a route and nobody else does.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Attributes {
    /// `RTF_*` that are stored, and not made from the rest of the route.
    pub flags: u32,
    /// Which metrics the client has set (`RTV_*`).
    pub inits: u64,
    /// The metrics. Its locks are those of the route.
    pub metrics: Metrics,
    /// Mask of what is cloned from it.
    pub genmask: Option<u8>,
    /// The name its client has registered.
    pub owner: Option<Arc<str>>,
}
