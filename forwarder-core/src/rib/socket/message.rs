//! A route, and what becomes of it, as the routing socket tells it.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::net::{Family, Ifindex, TableId};
use crate::rib::entry::Slot;
use crate::rib::{Change, Generation, Origin};
use crate::route::{Route, RouteType, Source};
use crate::route_msg::extension::Generations;
use crate::route_msg::number::*;
use crate::route_msg::{Gateway, LinkAddr, RouteMessage};

/// The loopback interface has this number in every network namespace.
const LO: u16 = 1;

/// `RTPROT_*` whose routes are permanent, and that of redirects.
const PROTO_REDIRECT: u8 = 1;
const PROTO_BOOT: u8 = 3;
const PROTO_STATIC: u8 = 4;

/// Whether listeners and dumps are told of a route: what `route -n` shows, and
/// own addresses. Not broadcast and multicast addresses, which no BSD keeps as
/// routes, and not what only the kernel understands.
pub fn is_told<F: Family>(table: TableId, route: &Route<F>) -> bool {
    match route.kind {
        RouteType::Local => true,
        RouteType::Broadcast
        | RouteType::Anycast
        | RouteType::Multicast
        | RouteType::Throw
        | RouteType::KernelOnly => false,
        RouteType::Unicast
        | RouteType::Blackhole
        | RouteType::Unreachable
        | RouteType::Prohibit => table != TableId::LOCAL,
    }
}

/// A state of one family's table, the other's being as it likes.
pub fn state_of<F: Family>(generation: Generation) -> Generations {
    let (ipv4, ipv6) = match F::BITS {
        32 => (generation.number, 0),
        _ => (0, generation.number),
    };
    Generations {
        epoch: generation.epoch,
        ipv4,
        ipv6,
    }
}

/// A message about one way of a route. `up` = packets take it.
pub fn route_message<F: Family>(
    kind: u8,
    prefix: &F::Prefix,
    route: &Route<F>,
    way: usize,
    up: bool,
) -> RouteMessage {
    let mut message = RouteMessage::new(kind);
    let destination: IpNet = (*prefix).into();
    message.destination = Some(destination);
    message.flags = flags(route) | RTF_DONE;
    if F::len(prefix) == F::BITS {
        message.flags |= RTF_HOST;
    }
    if up {
        message.flags |= RTF_UP;
    }
    if way > 0 {
        message.flags |= RTF_MPATH;
    }
    if let Some(attributes) = &route.attributes {
        message.flags |= attributes.flags;
        message.inits = attributes.inits;
        message.metrics = attributes.metrics;
        message.genmask = attributes.genmask;
    }
    if let Some(mtu) = route.mtu {
        message.inits |= RTV_MTU;
        message.metrics.mtu = u64::from(mtu);
    }
    message.metrics.metric = u64::from(route.distance.0);
    message.metrics.weight = 1;
    if route.kind != RouteType::Unicast && route.kind != RouteType::Local {
        // As BSD keeps them: to the loopback address, where they end.
        let loopback = match destination {
            IpNet::V4(_) => IpAddr::from([127, 0, 0, 1]),
            IpNet::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        };
        message.flags |= RTF_GATEWAY;
        message.gateway = Some(Gateway::Ip(loopback));
        message.index = LO;
        return message;
    }
    if let Some(hop) = route.nexthops.get(way) {
        let index = hop.ifindex.map_or(0, index);
        message.index = index;
        message.metrics.weight = u64::from(hop.weight);
        message.gateway = Some(match hop.gateway {
            Some(gateway) => Gateway::Ip(gateway.into()),
            None => Gateway::Link(LinkAddr::interface(index)),
        });
        if hop.gateway.is_some() {
            message.flags |= RTF_GATEWAY;
        }
    }
    if route.kind == RouteType::Local {
        message.index = LO;
    }
    message
}

/// Interface numbers of today fit; one that does not is told as 0, unknown.
fn index(ifindex: Ifindex) -> u16 {
    u16::try_from(ifindex.0).unwrap_or(0)
}

/// The flags that are made from what a route is.
fn flags<F: Family>(route: &Route<F>) -> u32 {
    let of_source = match route.source {
        Source::Connected if route.kind == RouteType::Local => RTF_STATIC | RTF_PINNED,
        Source::Connected => RTF_PINNED,
        Source::Static | Source::Kernel(PROTO_BOOT | PROTO_STATIC) => RTF_STATIC,
        Source::Redirect | Source::Kernel(PROTO_REDIRECT) => RTF_DYNAMIC,
        Source::Socket | Source::Rip | Source::Kernel(_) => 0,
    };
    of_source
        | match route.kind {
            RouteType::Blackhole => RTF_BLACKHOLE,
            RouteType::Unreachable | RouteType::Prohibit => RTF_REJECT,
            _ => 0,
        }
}

/// Says a route: as many messages as it has ways. The first takes the place of
/// whatever was known of the prefix; those with `RTF_MPATH` join it.
pub fn tell_route<F: Family>(
    kind: u8,
    prefix: &F::Prefix,
    route: &Route<F>,
    mut to: impl FnMut(RouteMessage),
) {
    to(route_message::<F>(kind, prefix, route, 0, true));
    for way in 1..route.nexthops.len() {
        to(route_message::<F>(RTM_ADD, prefix, route, way, true));
    }
}

/// Says a change, in the name of who has caused it.
pub fn tell_change<F: Family>(change: &Change<F>, mut to: impl FnMut(RouteMessage)) {
    let table = change.table;
    let old = change.old.as_deref().filter(|route| is_told(table, route));
    let new = change.new.as_deref().filter(|route| is_told(table, route));
    let prefix = &change.prefix;
    let origin = change.origin;
    let mut named = |mut message: RouteMessage, origin: Option<Origin>| {
        if let Some(origin) = origin {
            (message.pid, message.seq) = (origin.pid, origin.seq);
        }
        to(message);
    };
    match (old, new) {
        (None, None) => {}
        (None, Some(new)) => {
            let kind = RTM_ADD;
            tell_route::<F>(kind, prefix, new, |message| named(message, origin));
        }
        (Some(old), None) => {
            let message = route_message::<F>(RTM_DELETE, prefix, old, 0, false);
            named(message, origin);
        }
        (Some(old), Some(new)) => {
            let another = Slot::of(old) != Slot::of(new);
            match origin.map(|origin| origin.kind) {
                // The best is gone, and the next best takes its place: that is
                // nobody's request.
                Some(RTM_DELETE) if another => {
                    let gone = route_message::<F>(RTM_DELETE, prefix, old, 0, false);
                    named(gone, origin);
                    tell_route::<F>(RTM_ADD, prefix, new, |message| named(message, None));
                }
                Some(RTM_ADD) if another => {
                    tell_route::<F>(RTM_ADD, prefix, new, |message| named(message, origin));
                }
                _ => tell_route::<F>(RTM_CHANGE, prefix, new, |message| named(message, origin)),
            }
        }
    }
}
