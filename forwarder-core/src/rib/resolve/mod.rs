//! Next hops of our own candidates: by which interface they leave now, or what
//! stops them.
//!
//! [`super::Rib`] owns it and tells it of every candidate and link. Routes are
//! many and next hops few, so each distinct next hop is one [`Target`] that is
//! resolved once and knows who depends on it: a link or a connected route that
//! changes re-resolves the targets it concerns, and marks only the routes of
//! those whose answer became another.
//!
//! The rules are the kernel's (`fib_check_nh` in net/ipv4/fib_semantics.c), so
//! that what is usable here can be exported: a gateway must not be ours, and
//! must be on the link, by a route without a gateway over the same interface
//! (`onlink` lifts that). Candidates that come from the kernel are taken as
//! they are: what it cannot use it has dropped.

mod dependents;
mod index;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use self::dependents::Dependents;
use self::index::{OnLink, OwnAddresses};
use super::entry::Slot;
use crate::net::{Family, Ifindex, TableId};
use crate::route::{Candidate, Nexthop, Route, RouteType};

/// Why a next hop cannot be used now.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Unusable {
    /// No route without a gateway covers the gateway (on the interface that
    /// the next hop names, where it names one): it waits for one.
    Unresolved,
    /// The interface does not exist.
    NoInterface,
    /// The interface is set down.
    LinkDown,
    /// The interface is up and has no carrier.
    NoCarrier,
    /// The gateway is one of our own addresses.
    OwnAddress,
    /// The gateway is a broadcast, anycast or multicast address.
    NotUnicast,
}

impl Unusable {
    /// As `show routes` says it.
    pub const fn name(self) -> &'static str {
        match self {
            Unusable::Unresolved => "unresolved",
            Unusable::NoInterface => "no-interface",
            Unusable::LinkDown => "link-down",
            Unusable::NoCarrier => "no-carrier",
            Unusable::OwnAddress => "own-address",
            Unusable::NotUnicast => "not-unicast",
        }
    }
}

/// State of a link, as far as our next hops depend on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Link {
    up: bool,
    carrier: bool,
}

/// A next hop without its weight: what is resolved.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Target<F: Family> {
    table: TableId,
    gateway: Option<F::Addr>,
    ifindex: Option<Ifindex>,
    onlink: bool,
}

impl<F: Family> Target<F> {
    fn of(table: TableId, hop: &Nexthop<F>) -> Self {
        Target {
            table,
            gateway: hop.gateway,
            ifindex: hop.ifindex,
            onlink: hop.onlink,
        }
    }
}

/// A target's answer, and the link whose state can change it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Answer {
    link: Option<Ifindex>,
    result: Result<Ifindex, Unusable>,
}

/// A target in use.
#[derive(Debug)]
struct Tracked<F: Family> {
    answer: Answer,
    dependents: Dependents<F>,
}

/// Where a candidate sits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<F: Family> {
    pub(super) table: TableId,
    pub(super) prefix: F::Prefix,
    pub(super) slot: Slot,
}

/// Prefixes whose selection must be made again.
pub(super) type Dirty<F> = Vec<(TableId, <F as Family>::Prefix)>;

/// The next hops in use and all that they are resolved by.
#[derive(Debug)]
pub(super) struct Resolver<F: Family> {
    links: BTreeMap<Ifindex, Link>,
    on_link: OnLink<F>,
    own: OwnAddresses<F>,
    targets: BTreeMap<Target<F>, Tracked<F>>,
    by_link: BTreeSet<(Ifindex, Target<F>)>,
}

impl<F: Family> Resolver<F> {
    pub(super) fn new() -> Self {
        Resolver {
            links: BTreeMap::new(),
            on_link: OnLink::default(),
            own: OwnAddresses::default(),
            targets: BTreeMap::new(),
            by_link: BTreeSet::new(),
        }
    }

    /// The candidate as a route: only usable next hops, each with its
    /// interface. Shares the candidate's allocation where nothing differs.
    pub(super) fn route(
        &self,
        table: TableId,
        slot: Slot,
        candidate: &Arc<Candidate<F>>,
    ) -> Result<Arc<Route<F>>, Unusable> {
        if candidate.kind != RouteType::Unicast {
            return Ok(Arc::clone(candidate));
        }
        let mut refused = None;
        let usable: Vec<Nexthop<F>> = candidate
            .nexthops
            .iter()
            .filter_map(|hop| match self.answer(table, slot, hop) {
                Ok(ifindex) => Some(Nexthop {
                    ifindex: Some(ifindex),
                    ..*hop
                }),
                Err(unusable) => {
                    refused.get_or_insert(unusable);
                    None
                }
            })
            .collect();
        if usable.is_empty() {
            Err(refused.unwrap_or(Unusable::Unresolved))
        } else if usable == candidate.nexthops {
            Ok(Arc::clone(candidate))
        } else {
            Ok(Arc::new(candidate.leading(usable)))
        }
    }

    /// The interface that a candidate's next hop leaves by.
    pub(super) fn answer(
        &self,
        table: TableId,
        slot: Slot,
        hop: &Nexthop<F>,
    ) -> Result<Ifindex, Unusable> {
        if slot == Slot::Kernel {
            return hop.ifindex.ok_or(Unusable::Unresolved);
        }
        let target = Target::of(table, hop);
        match self.targets.get(&target) {
            Some(tracked) => tracked.answer.result,
            None => self.resolve(&target).result,
        }
    }

    /// The prefixes of candidates that leave through this gateway on this
    /// interface, and some that did.
    pub(super) fn through(
        &self,
        table: TableId,
        gateway: F::Addr,
        ifindex: Ifindex,
    ) -> impl Iterator<Item = F::Prefix> {
        let first = Target {
            table,
            gateway: Some(gateway),
            ifindex: None,
            onlink: false,
        };
        let by_gateway = self.targets.range(first..);
        by_gateway
            .take_while(move |(target, _)| target.table == table && target.gateway == Some(gateway))
            .filter(move |(_, tracked)| tracked.answer.result == Ok(ifindex))
            .flat_map(|(_, tracked)| tracked.dependents.at_least().map(|(prefix, _)| prefix))
    }

    /// A candidate has taken the place of another, or of none.
    pub(super) fn replace(
        &mut self,
        place: Place<F>,
        old: Option<&Candidate<F>>,
        new: Option<&Candidate<F>>,
        dirty: &mut Dirty<F>,
    ) {
        if place.slot != Slot::Kernel {
            self.retrack(place, hops(old), hops(new));
        }
        if self.on_link.replace(place, new) {
            self.refresh_gateways(place.table, &place.prefix, dirty);
        }
        if place.table == TableId::LOCAL && self.own.replace(place, new) {
            for table in self.tables() {
                self.refresh_gateways(table, &place.prefix, dirty);
            }
        }
    }

    /// A link has this state now; `None` = it is gone.
    pub(super) fn set_link(
        &mut self,
        ifindex: Ifindex,
        state: Option<(bool, bool)>,
        dirty: &mut Dirty<F>,
    ) {
        let new = state.map(|(up, carrier)| Link { up, carrier });
        let old = match new {
            Some(link) => self.links.insert(ifindex, link),
            None => self.links.remove(&ifindex),
        };
        if old != new {
            for target in self.on(ifindex) {
                self.refresh(target, dirty);
            }
        }
    }

    /// Moves a candidate's dependence from its old next hops to its new ones.
    fn retrack(&mut self, place: Place<F>, old: &[Nexthop<F>], new: &[Nexthop<F>]) {
        if old == new {
            return;
        }
        let table = place.table;
        for target in targets_beside(table, new, old) {
            self.track(target, place);
        }
        for target in targets_beside(table, old, new) {
            self.untrack(&target, place);
        }
    }

    fn track(&mut self, target: Target<F>, place: Place<F>) {
        if let Some(tracked) = self.targets.get_mut(&target) {
            return tracked.dependents.add(place.prefix, place.slot);
        }
        let answer = self.resolve(&target);
        self.by_link.extend(answer.link.map(|link| (link, target)));
        let mut dependents = Dependents::default();
        dependents.add(place.prefix, place.slot);
        self.targets.insert(target, Tracked { answer, dependents });
    }

    fn untrack(&mut self, target: &Target<F>, place: Place<F>) {
        let Some(tracked) = self.targets.get_mut(target) else {
            return;
        };
        tracked.dependents.remove(place.prefix, place.slot);
        if tracked.dependents.is_empty() {
            if let Some(link) = tracked.answer.link {
                self.by_link.remove(&(link, *target));
            }
            self.targets.remove(target);
        }
    }

    /// Resolves a target again; marks its dependents where the answer differs.
    fn refresh(&mut self, target: Target<F>, dirty: &mut Dirty<F>) {
        let answer = self.resolve(&target);
        let Some(tracked) = self.targets.get_mut(&target) else {
            return;
        };
        let old = std::mem::replace(&mut tracked.answer, answer);
        if old.link != answer.link {
            old.link.map(|link| self.by_link.remove(&(link, target)));
            self.by_link.extend(answer.link.map(|link| (link, target)));
        }
        if old.result == answer.result {
            return;
        }
        dirty.extend(
            tracked
                .dependents
                .at_least()
                .map(|(prefix, _)| (target.table, prefix)),
        );
        if target.gateway.is_none() {
            self.refresh_behind(target, dirty);
        }
    }

    /// A static route without a gateway became usable or unusable: gateways
    /// that lie in it may resolve by another.
    fn refresh_behind(&mut self, target: Target<F>, dirty: &mut Dirty<F>) {
        let Some(tracked) = self.targets.get(&target) else {
            return;
        };
        let behind: Vec<F::Prefix> = tracked
            .dependents
            .at_least()
            .filter(|(_, slot)| matches!(slot, Slot::Static | Slot::Socket(_)))
            .map(|(prefix, _)| prefix)
            .collect();
        for prefix in behind {
            self.refresh_gateways(target.table, &prefix, dirty);
        }
    }

    /// Resolves again all targets whose gateway lies in the prefix.
    fn refresh_gateways(&mut self, table: TableId, prefix: &F::Prefix, dirty: &mut Dirty<F>) {
        let first = Target {
            table,
            gateway: Some(F::network(prefix)),
            ifindex: None,
            onlink: false,
        };
        let last = F::last(prefix);
        let inside: Vec<Target<F>> = self
            .targets
            .range(first..)
            .map(|(target, _)| *target)
            .take_while(|target| target.table == table && target.gateway <= Some(last))
            .collect();
        for target in inside {
            self.refresh(target, dirty);
        }
    }

    /// The targets whose answer depends on a link.
    fn on(&self, ifindex: Ifindex) -> Vec<Target<F>> {
        let first = Target {
            table: TableId(0),
            gateway: None,
            ifindex: None,
            onlink: false,
        };
        self.by_link
            .range((ifindex, first)..)
            .take_while(|(link, _)| *link == ifindex)
            .map(|(_, target)| *target)
            .collect()
    }

    /// The tables that have targets.
    fn tables(&self) -> BTreeSet<TableId> {
        self.targets.keys().map(|target| target.table).collect()
    }

    fn resolve(&self, target: &Target<F>) -> Answer {
        match self.find_link(target) {
            Err((link, unusable)) => Answer {
                link,
                result: Err(unusable),
            },
            Ok(ifindex) => Answer {
                link: Some(ifindex),
                result: self.usable(ifindex),
            },
        }
    }

    /// The interface; where there is none, what stops it, with the interface
    /// that the target names. A link that is down is named before the connected
    /// route that it took away.
    fn find_link(&self, target: &Target<F>) -> Result<Ifindex, (Option<Ifindex>, Unusable)> {
        let refuse = |unusable| (target.ifindex, unusable);
        if let Some(ifindex) = target.ifindex {
            self.usable(ifindex).map_err(refuse)?;
        }
        let Some(gateway) = target.gateway else {
            return target.ifindex.ok_or(refuse(Unusable::Unresolved));
        };
        self.own.check(gateway, target.ifindex).map_err(refuse)?;
        match target.ifindex {
            Some(ifindex) if target.onlink || is_link_local(gateway.into()) => Ok(ifindex),
            wanted => self
                .on_link
                .covering(target.table, gateway)
                .find(|way| wanted.is_none_or(|wanted| way.ifindex == wanted) && self.stands(way))
                .map(|way| way.ifindex)
                .ok_or(refuse(Unusable::Unresolved)),
        }
    }

    /// Whether a route without a gateway is in the kernel, as far as we know:
    /// its own are, one of ours is while its link is usable.
    fn stands(&self, way: &index::Way) -> bool {
        way.slot == Slot::Kernel || self.usable(way.ifindex).is_ok()
    }

    /// Whether the address is one of ours as seen from that interface.
    pub(super) fn is_own(&self, address: F::Addr, ifindex: Option<Ifindex>) -> bool {
        self.own.check(address, ifindex) == Err(Unusable::OwnAddress)
    }

    fn usable(&self, ifindex: Ifindex) -> Result<Ifindex, Unusable> {
        match self.links.get(&ifindex) {
            None => Err(Unusable::NoInterface),
            Some(Link { up: false, .. }) => Err(Unusable::LinkDown),
            Some(Link { carrier: false, .. }) => Err(Unusable::NoCarrier),
            Some(_) => Ok(ifindex),
        }
    }
}

/// The next hops that a candidate depends on.
fn hops<F: Family>(candidate: Option<&Candidate<F>>) -> &[Nexthop<F>] {
    match candidate {
        Some(candidate) if candidate.kind == RouteType::Unicast => &candidate.nexthops,
        _ => &[],
    }
}

/// The targets of some next hops that others do not have, each once.
fn targets_beside<F: Family>(
    table: TableId,
    hops: &[Nexthop<F>],
    others: &[Nexthop<F>],
) -> impl Iterator<Item = Target<F>> {
    let has = move |hops: &[Nexthop<F>], target| {
        let mut targets = hops.iter().map(|hop| Target::of(table, hop));
        targets.any(|known| known == target)
    };
    let targets = hops.iter().map(move |hop| Target::of(table, hop));
    let fresh = targets.enumerate();
    fresh
        .filter(move |(at, target)| !has(others, *target) && !has(&hops[..*at], *target))
        .map(|(_, target)| target)
}

/// Whether a route leads to the link itself: the kernel then takes gateways
/// that lie in it.
pub(super) fn is_on_link<F: Family>(route: &Candidate<F>) -> bool {
    route.kind == RouteType::Unicast && route.nexthops.iter().all(|hop| hop.gateway.is_none())
}

/// Such an address is on every link that it is named with. The connected routes
/// do not say so: all links have the same one, of which one is selected.
fn is_link_local(gateway: IpAddr) -> bool {
    matches!(gateway, IpAddr::V6(gateway) if gateway.is_unicast_link_local())
}
