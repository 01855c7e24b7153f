//! The configured static routes as candidates.
//!
//! A `dev` names an interface that may not exist yet, or be renamed; such a
//! next hop waits. Called by the RIB task at start, at reload and whenever an
//! interface changes; it tells only what differs.

use std::collections::BTreeMap;

use forwarder_core::config::{StaticNexthop, StaticRoute, StaticTarget};
use forwarder_core::interface::Interfaces;
use forwarder_core::net::{Ifindex, Ipv4};
use forwarder_core::route::{Candidate, Nexthop, RouteType, Source};
use ipnet::Ipv4Net;

/// What was given to the RIB.
#[derive(Default)]
pub(super) struct Statics {
    installed: BTreeMap<Ipv4Net, Candidate<Ipv4>>,
}

/// What to tell the RIB.
pub(super) struct Difference {
    pub(super) gone: Vec<Ipv4Net>,
    pub(super) changed: Vec<(Ipv4Net, Candidate<Ipv4>)>,
}

impl Statics {
    pub(super) fn set(&mut self, routes: &[StaticRoute], interfaces: &Interfaces) -> Difference {
        let wanted: BTreeMap<_, _> = routes
            .iter()
            .map(|route| (route.prefix, candidate(route, interfaces)))
            .collect();
        let gone = self
            .installed
            .keys()
            .filter(|prefix| !wanted.contains_key(prefix))
            .copied()
            .collect();
        let changed = wanted
            .iter()
            .filter(|(prefix, candidate)| self.installed.get(prefix) != Some(candidate))
            .map(|(prefix, candidate)| (*prefix, candidate.clone()))
            .collect();
        self.installed = wanted;
        Difference { gone, changed }
    }
}

fn candidate(route: &StaticRoute, interfaces: &Interfaces) -> Candidate<Ipv4> {
    let (kind, nexthops) = match &route.target {
        StaticTarget::Nexthops(nexthops) => (
            RouteType::Unicast,
            nexthops
                .iter()
                .filter_map(|nexthop| resolve(nexthop, interfaces))
                .collect(),
        ),
        StaticTarget::Blackhole => (RouteType::Blackhole, Vec::new()),
        StaticTarget::Unreachable => (RouteType::Unreachable, Vec::new()),
        StaticTarget::Prohibit => (RouteType::Prohibit, Vec::new()),
    };
    Candidate {
        kind,
        nexthops,
        source: Source::Static,
        distance: route.distance,
        metric: route.metric,
        tag: u32::from(route.tag),
        mtu: None,
        kernel_metric: None,
        preferred_source: None,
    }
}

/// `None` while the interface it names does not exist.
fn resolve(nexthop: &StaticNexthop, interfaces: &Interfaces) -> Option<Nexthop<Ipv4>> {
    let ifindex: Option<Ifindex> = match &nexthop.dev {
        Some(name) => Some(interfaces.by_name(name)?.ifindex),
        None => None,
    };
    Some(Nexthop {
        gateway: nexthop.via,
        ifindex,
        weight: nexthop.weight,
        onlink: nexthop.onlink,
    })
}
