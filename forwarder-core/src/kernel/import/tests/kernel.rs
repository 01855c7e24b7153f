//! A small kernel: it does to routes what Linux 6.18 was seen to do, and says
//! only what Linux says. The import must know from that what it holds.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::*;

/// A route with the hops that the kernel took for dead.
#[derive(Clone, Debug)]
struct Held {
    route: KernelRoute<Ipv4>,
    dead: BTreeSet<Ifindex>,
}

impl Held {
    fn hops(&self) -> &[Nexthop<Ipv4>] {
        match &self.route.nexthops {
            KernelNexthops::Inline(hops) => hops,
            KernelNexthops::Object(_) => &[],
        }
    }

    fn leaves_by(&self, link: Ifindex) -> bool {
        self.hops().iter().any(|hop| hop.ifindex == Some(link))
    }

    /// Whether netlink could name both alike once hops are dead. (The kernel
    /// has such pairs; what is said of one of them cannot be told from what is
    /// said of the other, and only the next dump puts that right.)
    fn looks_like(&self, route: &KernelRoute<Ipv4>) -> bool {
        let other = Held {
            route: route.clone(),
            dead: BTreeSet::new(),
        };
        let within = |a: &Held, b: &Held| a.hops().iter().all(|hop| b.hops().contains(hop));
        let rest = |route: &KernelRoute<Ipv4>| KernelRoute {
            nexthops: KernelNexthops::Inline(Vec::new()),
            ..route.clone()
        };
        self.route == *route
            || !self.hops().is_empty()
                && !other.hops().is_empty()
                && rest(&self.route) == rest(route)
                && (within(self, &other) || within(&other, self))
    }

    /// As netlink tells it: without the dead hops.
    fn told(&self) -> KernelRoute<Ipv4> {
        let mut route = self.route.clone();
        if let KernelNexthops::Inline(hops) = &mut route.nexthops {
            hops.retain(|hop| hop.ifindex.is_none_or(|link| !self.dead.contains(&link)));
        }
        route
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    /// `ip route add`.
    Exclusive,
    /// `ip route append`.
    Append,
    /// `ip route replace`.
    Replace,
}

/// A link with its addresses, each with the length of its subnet.
#[derive(Clone, Debug, Default)]
struct Link {
    up: bool,
    carrier: bool,
    addresses: Vec<Ipv4Net>,
}

#[derive(Default, Debug)]
pub(super) struct Kernel {
    /// In the order of a dump.
    routes: Vec<Held>,
    objects: BTreeMap<u32, NexthopObject>,
    links: BTreeMap<Ifindex, Link>,
    /// Before 6.6: no message for routes that an address takes.
    pub(super) silent_sources: bool,
    /// What netlink has to say.
    pub(super) messages: Vec<RouteEvent>,
}

fn order(route: &KernelRoute<Ipv4>) -> (TableId, Ipv4Net, Reverse<u8>, u32) {
    (route.table, route.prefix, Reverse(route.tos), route.metric)
}

impl Kernel {
    fn is_up(&self, link: Ifindex) -> bool {
        self.links.get(&link).is_some_and(|link| link.up)
    }

    fn has_address(&self, address: Ipv4Addr) -> bool {
        self.links
            .values()
            .flat_map(|link| &link.addresses)
            .any(|net| net.addr() == address)
    }

    /// `ip route add|append|replace`; what the kernel would refuse is not done.
    pub(super) fn add(&mut self, route: KernelRoute<Ipv4>, mode: Mode) {
        let possible = match &route.nexthops {
            KernelNexthops::Inline(hops) => hops.iter().all(|hop| self.is_up(hop.ifindex.unwrap())),
            KernelNexthops::Object(id) => self.objects.contains_key(id),
        };
        if possible
            && route
                .preferred_source
                .is_none_or(|source| self.has_address(source))
        {
            self.insert(route, mode);
        }
    }

    fn insert(&mut self, route: KernelRoute<Ipv4>, mode: Mode) {
        let key = order(&route);
        let first = self
            .routes
            .iter()
            .position(|held| order(&held.route) == key);
        let same = self.routes.iter().any(|held| held.looks_like(&route));
        if same || first.is_some() && mode == Mode::Exclusive {
            return;
        }
        let new = Held {
            route: route.clone(),
            dead: BTreeSet::new(),
        };
        let replaced = first.is_some() && mode == Mode::Replace;
        match first.filter(|_| replaced) {
            Some(first) => self.routes[first] = new,
            None => {
                let end = self
                    .routes
                    .partition_point(|held| order(&held.route) <= key);
                self.routes.insert(end, new);
            }
        }
        self.messages.push(RouteEvent::Added { route, replaced });
    }

    /// `ip route del`, the nth of those in table main.
    pub(super) fn delete(&mut self, nth: usize) {
        let main = |held: &Held| held.route.table == MAIN;
        let positions: Vec<usize> = (0..self.routes.len())
            .filter(|i| main(&self.routes[*i]))
            .collect();
        if let Some(position) = positions.get(nth % positions.len().max(1)) {
            let held = self.routes.remove(*position);
            self.messages.push(RouteEvent::Removed(held.told()));
        }
    }

    fn remove_told(&mut self, matches: impl Fn(&Held) -> bool) {
        let (gone, kept) = self.routes.drain(..).partition(|held| matches(held));
        self.routes = kept;
        let gone: Vec<Held> = gone;
        self.messages
            .extend(gone.iter().map(|held| RouteEvent::Removed(held.told())));
    }

    /// `ip link set up|down`, carrier on or off at the other end.
    pub(super) fn set_link(&mut self, ifindex: Ifindex, up: bool, carrier: bool) {
        let link = self.links.entry(ifindex).or_default();
        let was_up = std::mem::replace(&mut link.up, up);
        link.carrier = carrier;
        let addresses = link.addresses.clone();
        self.messages.push(RouteEvent::Link {
            ifindex,
            up,
            carrier,
        });
        if !up || !carrier {
            self.drop_objects_on(ifindex);
        }
        if was_up && !up {
            self.lose(ifindex, false);
        }
        if !was_up && up {
            self.revive(ifindex);
            for address in addresses {
                self.add_subnet(ifindex, address);
            }
        }
    }

    pub(super) fn delete_link(&mut self, ifindex: Ifindex) {
        if !self.links.contains_key(&ifindex) {
            return;
        }
        self.set_link(ifindex, false, false);
        let addresses = std::mem::take(&mut self.links.get_mut(&ifindex).unwrap().addresses);
        for address in addresses {
            self.forget_address(ifindex, address);
        }
        self.routes.retain(|held| !held.leaves_by(ifindex));
        self.links.remove(&ifindex);
        self.messages.push(RouteEvent::LinkGone(ifindex));
    }

    fn lose(&mut self, link: Ifindex, forced: bool) {
        for held in &mut self.routes {
            if held.leaves_by(link) && (forced || held.route.kind != RouteType::Local) {
                held.dead.insert(link);
            }
        }
        self.routes.retain(|held| {
            let hops = held.hops();
            hops.is_empty()
                || hops
                    .iter()
                    .any(|hop| !held.dead.contains(&hop.ifindex.unwrap()))
        });
    }

    fn revive(&mut self, link: Ifindex) {
        for held in &mut self.routes {
            held.dead.remove(&link);
        }
    }

    /// `ip address add`.
    pub(super) fn add_address(&mut self, ifindex: Ifindex, address: Ipv4Net) {
        let Some(link) = self.links.get_mut(&ifindex) else {
            return;
        };
        if link.addresses.contains(&address) {
            return;
        }
        link.addresses.push(address);
        let up = link.up;
        self.insert(
            super::address(&address.addr().to_string(), ifindex),
            Mode::Append,
        );
        if up {
            self.add_subnet(ifindex, address);
            self.revive(ifindex);
        }
    }

    fn add_subnet(&mut self, ifindex: Ifindex, address: Ipv4Net) {
        for route in subnet(ifindex, address) {
            self.insert(route, Mode::Append);
        }
    }

    /// `ip address del`.
    pub(super) fn delete_address(&mut self, ifindex: Ifindex, address: Ipv4Net) {
        let Some(link) = self.links.get_mut(&ifindex) else {
            return;
        };
        if !link.addresses.contains(&address) {
            return;
        }
        link.addresses.retain(|other| *other != address);
        let last = link.addresses.is_empty();
        self.forget_address(ifindex, address);
        if last {
            self.lose(ifindex, true);
        }
    }

    fn forget_address(&mut self, ifindex: Ifindex, address: Ipv4Net) {
        let routes = subnet(ifindex, address);
        self.remove_told(|held| routes.contains(&held.route));
        let own = super::address(&address.addr().to_string(), ifindex);
        self.remove_told(|held| held.route == own);
        if self.has_address(address.addr()) {
            return;
        }
        let prefers = |held: &Held| held.route.preferred_source == Some(address.addr());
        if self.silent_sources {
            self.routes.retain(|held| !prefers(held));
        } else {
            self.remove_told(prefers);
        }
    }

    /// `ip nexthop replace`; what the kernel would refuse is not done.
    pub(super) fn set_object(&mut self, id: u32, object: NexthopObject) {
        let single = |id: &u32| matches!(self.objects.get(id), Some(NexthopObject::Single { .. }));
        let in_group = |id: u32| {
            let groups = self.objects.values();
            groups
                .into_iter()
                .any(|object| members(object).contains(&id))
        };
        let possible = match &object {
            NexthopObject::Single { ifindex, .. } => self
                .links
                .get(ifindex)
                .is_some_and(|link| link.up && link.carrier),
            NexthopObject::Group(_) => members(&object).iter().all(single),
            _ => !in_group(id),
        };
        if !possible || self.objects.get(&id) == Some(&object) {
            return;
        }
        let known = self.objects.insert(id, object.clone()).is_some();
        self.messages.push(RouteEvent::NexthopSet { id, object });
        if known {
            self.name_routes_of(id);
        }
    }

    /// The type of a route by this object.
    pub(super) fn kind_of(&self, id: u32) -> RouteType {
        match self.objects.get(&id) {
            Some(NexthopObject::Blackhole) => RouteType::Blackhole,
            _ => RouteType::Unicast,
        }
    }

    /// The type of a route follows its object; the kernel names it again.
    fn name_routes_of(&mut self, id: u32) {
        let kind = self.kind_of(id);
        for held in &mut self.routes {
            if held.route.nexthops == KernelNexthops::Object(id) {
                held.route.kind = kind;
                let route = held.route.clone();
                self.messages.push(RouteEvent::Added {
                    route,
                    replaced: true,
                });
            }
        }
    }

    /// `ip nexthop del`: tells of the object and its groups, not of routes.
    pub(super) fn delete_object(&mut self, id: u32) {
        if !self.objects.contains_key(&id) {
            return;
        }
        let (gone, shrunk) = self.drop_object(id);
        self.messages
            .extend(gone.into_iter().map(RouteEvent::NexthopGone));
        for id in shrunk {
            let object = self.objects[&id].clone();
            self.messages.push(RouteEvent::NexthopSet { id, object });
        }
    }

    fn drop_objects_on(&mut self, link: Ifindex) {
        let on = |object: &NexthopObject| matches!(object, NexthopObject::Single { ifindex, .. } if *ifindex == link);
        let ids: Vec<u32> = self
            .objects
            .iter()
            .filter(|(_, object)| on(object))
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            self.drop_object(id);
        }
    }

    /// Returns what is gone and which groups are smaller.
    fn drop_object(&mut self, id: u32) -> (Vec<u32>, Vec<u32>) {
        self.objects.remove(&id);
        let (mut gone, mut shrunk) = (vec![id], Vec::new());
        for (group, object) in &mut self.objects {
            if let NexthopObject::Group(members) = object
                && members.iter().any(|(member, _)| *member == id)
            {
                members.retain(|(member, _)| *member != id);
                let list = if members.is_empty() {
                    &mut gone
                } else {
                    &mut shrunk
                };
                list.push(*group);
            }
        }
        self.objects.retain(|id, _| !gone.contains(id));
        self.routes.retain(|held| match held.route.nexthops {
            KernelNexthops::Object(id) => !gone.contains(&id),
            KernelNexthops::Inline(_) => true,
        });
        (gone, shrunk)
    }

    /// What the monitor asks for at its start, after a loss, and now and then.
    pub(super) fn dump(&mut self, links_and_objects: bool) {
        if links_and_objects {
            for link in (1..=LINKS).map(Ifindex) {
                self.messages.push(match self.links.get(&link) {
                    Some(&Link { up, carrier, .. }) => RouteEvent::Link {
                        ifindex: link,
                        up,
                        carrier,
                    },
                    None => RouteEvent::LinkGone(link),
                });
            }
        }
        self.messages.push(RouteEvent::DumpStart);
        if links_and_objects {
            let objects = self.objects.iter();
            self.messages
                .extend(objects.map(|(id, object)| RouteEvent::NexthopSet {
                    id: *id,
                    object: object.clone(),
                }));
        }
        let told = self.routes.iter().map(Held::told);
        self.messages.extend(told.map(|route| RouteEvent::Added {
            route,
            replaced: false,
        }));
        self.messages.push(RouteEvent::DumpEnd);
    }

    /// The candidates and our routes, read off the table.
    pub(super) fn answers(&self) -> (Candidates, OurRoutes) {
        let (mut candidates, mut ours) = (BTreeMap::new(), BTreeMap::new());
        for held in &self.routes {
            let KernelRoute {
                table,
                prefix,
                protocol,
                metric,
                tos,
                ..
            } = held.route;
            if (table, protocol, metric, tos) == (MAIN, OURS.protocol, OURS.metric, 0) {
                ours.entry(prefix).or_insert_with(|| held.told());
            } else {
                candidates
                    .entry((table, prefix))
                    .or_insert_with(|| self.candidate(held));
            }
        }
        (candidates, ours)
    }

    fn candidate(&self, held: &Held) -> Candidate<Ipv4> {
        let KernelRoute {
            protocol,
            metric,
            tos,
            ..
        } = held.route;
        let (kind, nexthops) = match &held.told().nexthops {
            _ if tos != 0 => (RouteType::KernelOnly, Vec::new()),
            KernelNexthops::Object(id) => self.lead_by(*id),
            KernelNexthops::Inline(hops)
                if matches!(held.route.kind, RouteType::Unicast | RouteType::Local) =>
            {
                (held.route.kind, hops.clone())
            }
            KernelNexthops::Inline(_) => (held.route.kind, Vec::new()),
        };
        Candidate {
            kind,
            nexthops,
            source: if protocol == 2 {
                Source::Connected
            } else {
                Source::Kernel(protocol)
            },
            distance: Distances::default().of_protocol(protocol),
            metric,
            tag: 0,
            mtu: held.route.mtu,
            kernel_metric: Some(if tos == 0 { metric } else { 0 }),
            preferred_source: held.route.preferred_source,
            attributes: None,
        }
    }

    fn lead_by(&self, id: u32) -> (RouteType, Vec<Nexthop<Ipv4>>) {
        let hop = |id: u32, weight: u16| match &self.objects[&id] {
            NexthopObject::Single {
                gateway: Some(gateway),
                ifindex,
                ..
            } => Nexthop {
                weight,
                ..via(&gateway.to_string(), *ifindex)
            },
            other => panic!("{other:?} as a hop"),
        };
        match &self.objects[&id] {
            NexthopObject::Blackhole => (RouteType::Blackhole, Vec::new()),
            NexthopObject::KernelOnly => (RouteType::KernelOnly, Vec::new()),
            NexthopObject::Single { .. } => (RouteType::Unicast, vec![hop(id, 1)]),
            NexthopObject::Group(members) => (
                RouteType::Unicast,
                members
                    .iter()
                    .map(|(id, weight)| hop(*id, *weight))
                    .collect(),
            ),
        }
    }
}

/// Links that ever exist: 1 to this.
pub(super) const LINKS: u32 = 3;

fn members(object: &NexthopObject) -> Vec<u32> {
    match object {
        NexthopObject::Group(members) => members.iter().map(|(id, _)| *id).collect(),
        _ => Vec::new(),
    }
}

/// The routes besides its own that an address brings while its link is up.
fn subnet(ifindex: Ifindex, address: Ipv4Net) -> Vec<KernelRoute<Ipv4>> {
    if address.prefix_len() == 32 {
        return Vec::new();
    }
    let with_source = |route| KernelRoute {
        preferred_source: Some(address.addr()),
        ..route
    };
    let broadcast = Ipv4Net::from(address.broadcast()).to_string();
    let broadcast = connected(&broadcast, ifindex);
    vec![
        with_source(connected(&address.trunc().to_string(), ifindex)),
        with_source(KernelRoute {
            table: LOCAL,
            kind: RouteType::Broadcast,
            ..broadcast
        }),
    ]
}
