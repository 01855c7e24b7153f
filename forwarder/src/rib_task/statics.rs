//! The configured static routes as candidates.
//!
//! A `dev` names an interface that may not exist yet, or be renamed; such a
//! next hop waits. Called by the RIB task at start, at reload and whenever an
//! interface changes; it tells only what differs.

use std::collections::BTreeMap;

use forwarder_core::config::{StaticNexthop, StaticRoute, StaticTarget};
use forwarder_core::interface::Interfaces;
use forwarder_core::net::{Family, Ifindex};
use forwarder_core::route::{Candidate, Nexthop, RouteType, Source};

/// What was given to the RIB.
pub(super) struct Statics<F: Family> {
    installed: BTreeMap<F::Prefix, Candidate<F>>,
}

/// What to tell the RIB.
pub(super) struct Difference<F: Family> {
    pub(super) gone: Vec<F::Prefix>,
    pub(super) changed: Vec<(F::Prefix, Candidate<F>)>,
}

impl<F: Family> Statics<F> {
    pub(super) fn new() -> Self {
        Statics {
            installed: BTreeMap::new(),
        }
    }

    /// Those of this family.
    pub(super) fn set(&mut self, routes: &[StaticRoute], interfaces: &Interfaces) -> Difference<F> {
        let wanted: BTreeMap<_, _> = routes
            .iter()
            .filter_map(|route| {
                let prefix = F::from_net(route.prefix)?;
                Some((prefix, candidate(route, interfaces)))
            })
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

fn candidate<F: Family>(route: &StaticRoute, interfaces: &Interfaces) -> Candidate<F> {
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
        attributes: None,
    }
}

/// `None` while the interface it names does not exist.
fn resolve<F: Family>(nexthop: &StaticNexthop, interfaces: &Interfaces) -> Option<Nexthop<F>> {
    let ifindex: Option<Ifindex> = match &nexthop.dev {
        Some(name) => Some(interfaces.by_name(name)?.ifindex),
        None => None,
    };
    Some(Nexthop {
        gateway: match nexthop.via {
            // The configuration has refused one of another family.
            Some(via) => Some(F::from_ip(via)?),
            None => None,
        },
        ifindex,
        weight: nexthop.weight,
        onlink: nexthop.onlink,
    })
}
