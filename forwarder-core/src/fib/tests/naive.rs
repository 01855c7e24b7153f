//! The rules as one plain function of the whole state, worked out anew for
//! every address.

use forwarder_common::abi::Adjacency;

use super::*;

/// What a FIB has been told.
#[derive(Clone, Default, Debug)]
pub(super) struct State {
    pub(super) routes: BTreeMap<(Ipv4Net, TableId), Route<Ipv4>>,
    pub(super) neighbours: BTreeMap<(Ifindex, Ipv4Addr), [u8; 6]>,
    pub(super) ports: BTreeMap<Ifindex, PortState>,
    pub(super) counted: BTreeSet<Ipv4Net>,
}

/// What a packet should meet. Slots are the FIB's own business.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Expected {
    NoRoute,
    Forward(Adjacency),
    Up(Reason),
    Drop(Reason),
    Resolve(u32),
    /// One of these, by the flow: each once, in no order.
    Balance(Vec<Expected>),
}

impl Expected {
    pub(super) fn balance(mut members: Vec<Expected>) -> Expected {
        members.sort_by_key(|member| format!("{member:?}"));
        members.dedup();
        Expected::Balance(members)
    }
}

impl From<Option<Decision>> for Expected {
    fn from(decision: Option<Decision>) -> Self {
        match decision {
            None => Expected::NoRoute,
            Some(Decision::Forward { adjacency, .. }) => Expected::Forward(adjacency),
            Some(Decision::Up(reason)) => Expected::Up(reason),
            Some(Decision::Drop(reason)) => Expected::Drop(reason),
            Some(Decision::Resolve { port }) => Expected::Resolve(port),
            Some(Decision::Balance { slot }) => panic!("group {slot} is not a way"),
        }
    }
}

impl State {
    pub(super) fn expect(&self, address: Ipv4Addr) -> Expected {
        let octets = address.octets();
        match octets {
            [0 | 127 | 224..=255, ..] => return Expected::Up(Reason::NotUnicast),
            [169, 254, ..] => return Expected::Up(Reason::LinkLocal),
            _ => {}
        }
        let Some((prefix, route)) = self.longest_match(address) else {
            return Expected::NoRoute;
        };
        match route.kind {
            RouteType::Unicast => self.unicast(address, prefix, route),
            RouteType::Local | RouteType::Anycast => Expected::Up(Reason::ForUs),
            RouteType::Broadcast | RouteType::Multicast => Expected::Up(Reason::NotUnicast),
            RouteType::Blackhole => Expected::Drop(Reason::Blackhole),
            RouteType::Unreachable | RouteType::Prohibit => Expected::Up(Reason::Unreachable),
            RouteType::Throw | RouteType::KernelOnly => Expected::Up(Reason::KernelRoute),
        }
    }

    fn longest_match(&self, address: Ipv4Addr) -> Option<(Ipv4Net, &Route<Ipv4>)> {
        // TableId::LOCAL is above TableId::MAIN: the last of the longest.
        let matches = self
            .routes
            .iter()
            .filter(|((prefix, _), _)| prefix.contains(&address));
        let ((prefix, _), route) =
            matches.max_by_key(|((p, table), _)| (p.prefix_len(), *table))?;
        Some((*prefix, route))
    }

    fn unicast(&self, address: Ipv4Addr, prefix: Ipv4Net, route: &Route<Ipv4>) -> Expected {
        // To a single host on a link, it is its own neighbour.
        let peer = (prefix.prefix_len() == 32).then_some(address);
        let distinct: BTreeSet<_> = route
            .nexthops
            .iter()
            .map(|hop| (hop.ifindex, hop.gateway.or(peer)))
            .collect();
        if route.nexthops.len() > 1 && distinct.iter().any(|(_, gateway)| gateway.is_none()) {
            return Expected::Up(Reason::Multipath);
        }
        if distinct.len() > 1 {
            let ways = route.nexthops.iter();
            return Expected::balance(ways.map(|hop| self.way(address, route, hop)).collect());
        }
        self.way(address, route, &route.nexthops[0])
    }

    fn way(&self, address: Ipv4Addr, route: &Route<Ipv4>, nexthop: &Nexthop<Ipv4>) -> Expected {
        let ifindex = nexthop.ifindex.unwrap();
        let Some(port) = self.ports.get(&ifindex).filter(|port| port.can_transmit) else {
            return Expected::Up(Reason::EgressCannotRedirect);
        };
        if port.tc {
            return Expected::Up(Reason::Tc);
        }
        // On the link: the destination is the neighbour, whether or not the
        // route is a host route.
        let neighbour = nexthop.gateway.unwrap_or(address);
        match self.neighbours.get(&(ifindex, neighbour)) {
            None => Expected::Resolve(port.number),
            Some(&destination) => Expected::Forward(Adjacency {
                destination,
                source: port.mac,
                port: port.number,
                mtu: route.mtu.unwrap_or(u32::MAX).min(port.mtu),
                ifindex: ifindex.0,
                ..Adjacency::default()
            }),
        }
    }

    /// Gateways that [`Fib::gateways_to_resolve`] should name.
    pub(super) fn unresolved(&self) -> BTreeSet<(Ifindex, Ipv4Addr)> {
        let selected = self.routes.iter().filter(|((prefix, table), _)| {
            let hidden =
                *table == TableId::MAIN && self.routes.contains_key(&(*prefix, TableId::LOCAL));
            !hidden && !target::is_fixed::<Ipv4>(*prefix)
        });
        let gateways = selected.flat_map(|((prefix, _), route)| {
            let peer = (prefix.prefix_len() == 32).then(|| prefix.addr());
            // A way straight onto a link makes the whole route the kernel's.
            let on_link = |hop: &Nexthop<Ipv4>| hop.gateway.or(peer).is_none();
            let followed = route.nexthops.len() == 1 || !route.nexthops.iter().any(on_link);
            let ways = route.nexthops.iter().filter(move |_| followed);
            ways.filter_map(move |hop| Some((hop.ifindex?, hop.gateway.or(peer)?)))
        });
        gateways
            .filter(|(ifindex, _)| {
                self.ports
                    .get(ifindex)
                    .is_some_and(|port| port.can_transmit && !port.tc)
            })
            .filter(|gateway| !self.neighbours.contains_key(gateway))
            .collect()
    }

    /// Our own addresses as the map should hold them.
    pub(super) fn own(&self) -> BTreeSet<Ipv4Addr> {
        let hosts = self.routes.iter().filter(|((prefix, table), route)| {
            *table == TableId::LOCAL && prefix.prefix_len() == 32 && route.kind == RouteType::Local
        });
        hosts
            .map(|((prefix, _), _)| prefix.addr())
            .filter(|own| !own.is_loopback())
            .collect()
    }
}
