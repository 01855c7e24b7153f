//! Requests of clients, carried out.

use std::sync::Arc;

use super::holds::Hold;
use super::{ClientRoutes, Key, Op, Outcome, OwnerRoutes, Request, Settings, Way};
use crate::net::{Family, TableId};
use crate::rib::Rib;
use crate::rib::entry::{Entry, Offer, Slot};
use crate::rib::journal::Origin;
use crate::rib::resolve::{Place, Unusable};
use crate::rib::socket::ClientId;
use crate::route::{Attributes, Candidate, Distance, Nexthop, Route, RouteType, Source};
use crate::route_msg::number::*;
use crate::route_msg::{Errno, Metrics};
use crate::time::Instant;

/// The only table that clients write to.
const TABLE: TableId = TableId::MAIN;

/// Flags of a request that are stored as they are; the others are made from
/// what the route is.
pub(super) const STORED: u32 =
    RTF_STATIC | RTF_PROTO1 | RTF_PROTO2 | RTF_PROTO3 | RTF_XRESOLVE | RTF_STICKY | RTF_FIXEDMTU;

/// A request that has been carried out and not committed yet.
#[derive(Debug)]
pub(super) struct Applied<F: Family> {
    table: TableId,
    prefix: F::Prefix,
    slot: Slot,
    /// The candidate after it, or before it was deleted.
    candidate: Arc<Candidate<F>>,
    /// Nothing is left of it.
    deleted: bool,
    way: usize,
    /// What the prefix was routed by.
    before: Option<Arc<Route<F>>>,
    hold: Option<u64>,
    down: bool,
}

/// A candidate of a client that has changed, for who stores them.
pub type Stored<F> = (Key<F>, Option<Arc<Candidate<F>>>);

impl<F: Family> Rib<F> {
    /// Carries out a request and closes it as a generation of its own.
    /// `distance` is the priority of candidates without one.
    ///
    /// # Errors
    /// As route(4) and `docs/route-socket.md` have them; nothing has changed.
    pub fn request(
        &mut self,
        now: Instant,
        distance: Distance,
        request: &Request<F>,
    ) -> Result<Outcome<F>, Errno> {
        let applied = self.apply(now, distance, request)?;
        self.commit();
        Ok(self.outcome(applied))
    }

    pub(super) fn apply(
        &mut self,
        now: Instant,
        distance: Distance,
        request: &Request<F>,
    ) -> Result<Applied<F>, Errno> {
        let applied = match &request.op {
            Op::Add(settings) => self.add(now, distance, request, settings),
            Op::Delete(way) => self.delete(now, request, *way),
            Op::Change(settings) => self.change(now, request, settings),
            Op::Lock(settings) => self.lock(now, request, settings),
            Op::Get(way) => return self.get(request, *way),
            Op::Lookup(address, way) => return self.look_up(*address, *way),
            Op::Hold(address) => return self.hold(request.client, *address),
            Op::Held(number) => return self.held(request.client, *number),
            Op::Release(number) => return self.release(request.client, *number),
        }?;
        let origin = Origin {
            client: request.client,
            pid: request.pid,
            seq: request.seq,
            kind: match request.op {
                Op::Add(_) => RTM_ADD,
                Op::Delete(_) => RTM_DELETE,
                _ => RTM_CHANGE,
            },
        };
        self.origins.push((TABLE, request.prefix, origin));
        Ok(applied)
    }

    /// What to tell of a request, after the commit.
    pub(super) fn outcome(&self, applied: Applied<F>) -> Outcome<F> {
        let selected = self.selected(applied.table, &applied.prefix);
        let is_this = |route: &&Arc<Route<F>>| Slot::of(route) == applied.slot;
        let of_this = selected.as_ref().filter(is_this);
        let up = of_this.is_some() && !applied.deleted && !applied.down;
        // The selected route knows its interfaces, the candidate what it was
        // told.
        let route = match of_this {
            _ if applied.deleted => applied.before.as_ref().filter(is_this),
            route => route,
        };
        let changed = match (&applied.before, &selected) {
            (Some(old), Some(new)) => !Arc::ptr_eq(old, new) && old != new,
            (old, new) => old.is_some() != new.is_some(),
        };
        Outcome {
            table: applied.table,
            prefix: applied.prefix,
            route: Arc::clone(route.unwrap_or(&applied.candidate)),
            way: applied.way,
            up,
            changed,
            alone: self.journal.newest_is_single(),
            hold: applied.hold,
            uses: self.clients.holds.uses(applied.table, &applied.prefix),
            generation: self.generation(),
        }
    }

    fn entry_of(&self, table: TableId, prefix: &F::Prefix) -> Option<&Entry<F>> {
        self.tables.get(&table)?.get(prefix)
    }

    fn selected(&self, table: TableId, prefix: &F::Prefix) -> Option<Arc<Route<F>>> {
        self.entry_of(table, prefix)?.selected.clone()
    }

    fn client_route(&self, prefix: &F::Prefix, priority: u8) -> Option<&Arc<Candidate<F>>> {
        let offer = self
            .entry_of(TABLE, prefix)?
            .offer(Slot::Socket(priority))?;
        Some(&offer.candidate)
    }

    /// The candidate that a request is about: that of its priority, else the
    /// best. What only another source knows is busy.
    fn own(&self, request: &Request<F>) -> Result<(u8, Arc<Candidate<F>>), Errno> {
        let entry = self.entry_of(TABLE, &request.prefix);
        let mine = entry
            .into_iter()
            .flat_map(Entry::offers)
            .filter_map(|offer| match offer.slot {
                Slot::Socket(priority) if request.priority.is_none_or(|p| p == priority) => {
                    Some((priority, &offer.candidate))
                }
                _ => None,
            });
        if let Some((priority, candidate)) = mine.min_by_key(|(priority, _)| *priority) {
            return Ok((priority, Arc::clone(candidate)));
        }
        let others = entry.into_iter().flat_map(Entry::offers);
        let local = self.entry_of(TableId::LOCAL, &request.prefix);
        let others = others.chain(local.into_iter().flat_map(Entry::offers));
        let mut others = others.filter(|offer| !matches!(offer.slot, Slot::Socket(_)));
        if others.next().is_some() {
            Err(Errno::Ebusy)
        } else {
            Err(Errno::Esrch)
        }
    }

    fn add(
        &mut self,
        now: Instant,
        distance: Distance,
        request: &Request<F>,
        settings: &Settings<F>,
    ) -> Result<Applied<F>, Errno> {
        let prefix = request.prefix;
        let priority = request.priority.unwrap_or(distance.0);
        if self.is_connected(&prefix) {
            return Err(Errno::Eexist);
        }
        let known = self.client_route(&prefix, priority).cloned();
        if let Some(known) = &known
            && settings.flags & RTF_MPATH != 0
            && known.kind == RouteType::Unicast
        {
            return self.add_way(now, request, priority, known, settings);
        }
        let key = (TABLE, prefix, priority);
        if known.is_some() && !self.clients.owners.is_stale(request.client, &key) {
            return Err(Errno::Eexist);
        }
        if known.is_none() && self.clients.routes >= self.clients.max_routes {
            return Err(Errno::Enobufs);
        }
        let mut candidate = Candidate {
            kind: RouteType::Unicast,
            nexthops: Vec::new(),
            source: Source::Socket,
            distance: Distance(priority),
            metric: 0,
            tag: 0,
            mtu: None,
            kernel_metric: None,
            preferred_source: settings.ifa,
            attributes: None,
        };
        let mut attributes = Attributes {
            flags: settings.flags & STORED,
            genmask: settings.genmask,
            owner: self.clients.owners.name(request.client).cloned(),
            ..Attributes::default()
        };
        candidate.kind = kind(settings.flags).unwrap_or(RouteType::Unicast);
        if candidate.kind == RouteType::Unicast {
            candidate.nexthops.push(self.hop(settings)?);
        }
        set_metrics(&mut candidate, &mut attributes, settings);
        Ok(self.put(now, request, priority, candidate, attributes, 0))
    }

    /// One more way of a candidate that is there.
    fn add_way(
        &mut self,
        now: Instant,
        request: &Request<F>,
        priority: u8,
        known: &Candidate<F>,
        settings: &Settings<F>,
    ) -> Result<Applied<F>, Errno> {
        let hop = self.hop(settings)?;
        let same =
            |known: &Nexthop<F>| (known.gateway, known.ifindex) == (hop.gateway, hop.ifindex);
        if known.nexthops.iter().any(same) {
            return Err(Errno::Eexist);
        }
        let mut candidate = known.clone();
        candidate.nexthops.push(hop);
        let way = candidate.nexthops.len() - 1;
        let attributes = attributes(known);
        Ok(self.put(now, request, priority, candidate, attributes, way))
    }

    fn delete(
        &mut self,
        now: Instant,
        request: &Request<F>,
        way: Option<Way<F>>,
    ) -> Result<Applied<F>, Errno> {
        let (priority, known) = self.own(request)?;
        let at = find(&known, way)?;
        if way.is_some() && known.nexthops.len() > 1 {
            let mut candidate = Candidate::clone(&known);
            let hop = candidate.nexthops.remove(at);
            let attributes = attributes(&known);
            let mut applied = self.put(now, request, priority, candidate, attributes, 0);
            // What is told is the way that has gone.
            applied.candidate = Arc::new(Candidate {
                nexthops: vec![hop],
                ..Candidate::clone(&known)
            });
            applied.before = Some(Arc::clone(&applied.candidate));
            applied.deleted = true;
            return Ok(applied);
        }
        let before = self.selected(TABLE, &request.prefix);
        self.set_client_route(now, (TABLE, request.prefix, priority), None);
        Ok(Applied {
            table: TABLE,
            prefix: request.prefix,
            slot: Slot::Socket(priority),
            candidate: known,
            deleted: true,
            way: at,
            before,
            hold: None,
            down: false,
        })
    }

    fn change(
        &mut self,
        now: Instant,
        request: &Request<F>,
        settings: &Settings<F>,
    ) -> Result<Applied<F>, Errno> {
        let (priority, known) = self.own(request)?;
        let mut candidate = Candidate::clone(&known);
        let mut attributes = attributes(&known);
        let several = known.nexthops.len() > 1;
        let mut at = 0;
        if several {
            // Which of them, is what the gateway says.
            at = find(&known, Some(settings.way.ok_or(Errno::Esrch)?))?;
        }
        let mask = match settings.fmask & RTF_FMASK {
            0 => RTF_FMASK,
            mask => mask,
        };
        let drops = (mask & (RTF_REJECT | RTF_BLACKHOLE) != 0).then(|| kind(settings.flags));
        attributes.flags = attributes.flags & !mask | settings.flags & mask & STORED;
        match drops {
            Some(Some(drops)) => {
                candidate.kind = drops;
                candidate.nexthops.clear();
            }
            Some(None) if candidate.kind != RouteType::Unicast => {
                // What it led to before nobody knows any more.
                candidate.kind = RouteType::Unicast;
                candidate.nexthops = vec![self.hop(settings)?];
            }
            _ if settings.way.is_some() && !several && candidate.kind == RouteType::Unicast => {
                let weight = candidate.nexthops[0].weight;
                let hop = self.hop(settings)?;
                candidate.nexthops = vec![Nexthop { weight, ..hop }];
            }
            _ => {}
        }
        if settings.way.is_none()
            && let (Some(ifp), [hop]) = (settings.ifp, candidate.nexthops.as_mut_slice())
        {
            hop.ifindex = Some(ifp);
            let hop = *hop;
            self.reachable(&hop)?;
        }
        if settings.ifa.is_some() {
            candidate.preferred_source = settings.ifa;
        }
        if settings.genmask.is_some() {
            attributes.genmask = settings.genmask;
        }
        set_metrics(&mut candidate, &mut attributes, settings);
        if settings.inits & RTV_WEIGHT != 0
            && let Some(hop) = candidate.nexthops.get_mut(at)
        {
            hop.weight = weight(settings);
        }
        Ok(self.put(now, request, priority, candidate, attributes, at))
    }

    fn lock(
        &mut self,
        now: Instant,
        request: &Request<F>,
        settings: &Settings<F>,
    ) -> Result<Applied<F>, Errno> {
        let (priority, known) = self.own(request)?;
        let mut attributes = attributes(&known);
        set_locks(&mut attributes, settings);
        let candidate = Candidate::clone(&known);
        Ok(self.put(now, request, priority, candidate, attributes, 0))
    }

    fn get(&self, request: &Request<F>, way: Option<Way<F>>) -> Result<Applied<F>, Errno> {
        let prefix = request.prefix;
        let (table, route) = match request.priority {
            Some(priority) => {
                let route = self.client_route(&prefix, priority);
                (TABLE, route.cloned().ok_or(Errno::Esrch)?)
            }
            None => {
                let selected = |table| self.selected(table, &prefix).map(|route| (table, route));
                // One that waits for its link is there, too, but not up.
                let waits = || Some((TABLE, self.own(request).ok()?.1));
                selected(TABLE)
                    .or_else(waits)
                    .or_else(|| selected(TableId::LOCAL))
                    .ok_or(Errno::Esrch)?
            }
        };
        self.found(table, prefix, route, way)
    }

    fn look_up(&self, address: F::Addr, way: Option<Way<F>>) -> Result<Applied<F>, Errno> {
        let (table, prefix, route) = self.taken_by(address)?;
        self.found(table, prefix, route, way)
    }

    /// By the kernel's first two rules: table local, then main.
    fn taken_by(&self, address: F::Addr) -> Result<(TableId, F::Prefix, Arc<Route<F>>), Errno> {
        [TableId::LOCAL, TABLE]
            .into_iter()
            .find_map(|table| {
                let (prefix, route) = self.lookup(table, address)?;
                Some((table, prefix, route))
            })
            .ok_or(Errno::Esrch)
    }

    fn found(
        &self,
        table: TableId,
        prefix: F::Prefix,
        route: Arc<Route<F>>,
        way: Option<Way<F>>,
    ) -> Result<Applied<F>, Errno> {
        Ok(Applied {
            table,
            prefix,
            slot: Slot::of(&route),
            way: find(&route, way)?,
            before: self.selected(table, &prefix),
            candidate: route,
            deleted: false,
            hold: None,
            down: false,
        })
    }

    fn hold(&mut self, client: ClientId, address: F::Addr) -> Result<Applied<F>, Errno> {
        let (table, prefix, route) = self.taken_by(address)?;
        let hold = self.clients.holds.add(Hold {
            client,
            table,
            prefix,
            route: Arc::clone(&route),
            down: false,
        })?;
        let mut applied = self.found(table, prefix, route, None)?;
        applied.hold = Some(hold);
        Ok(applied)
    }

    fn held(&self, client: ClientId, number: u64) -> Result<Applied<F>, Errno> {
        let hold = self.clients.holds.get(client, number)?.clone();
        self.of_hold(number, hold)
    }

    fn release(&mut self, client: ClientId, number: u64) -> Result<Applied<F>, Errno> {
        let hold = self.clients.holds.release(client, number)?;
        self.of_hold(number, hold)
    }

    fn of_hold(&self, number: u64, hold: Hold<F>) -> Result<Applied<F>, Errno> {
        let mut applied = self.found(hold.table, hold.prefix, hold.route, None)?;
        applied.hold = Some(number);
        applied.down = hold.down;
        Ok(applied)
    }

    /// Whether the prefix is an interface's own.
    fn is_connected(&self, prefix: &F::Prefix) -> bool {
        let connected = |entry: &Entry<F>| {
            let offer = entry.offer(Slot::Kernel);
            offer.is_some_and(|offer| offer.candidate.source == Source::Connected)
        };
        [TABLE, TableId::LOCAL]
            .into_iter()
            .any(|table| self.entry_of(table, prefix).is_some_and(connected))
    }

    /// The way that a request names, as a next hop that can be reached.
    fn hop(&self, settings: &Settings<F>) -> Result<Nexthop<F>, Errno> {
        let plain = |gateway, ifindex| Nexthop {
            gateway,
            ifindex,
            weight: weight(settings),
            onlink: false,
        };
        let hop = match settings.way.ok_or(Errno::Einval)? {
            Way::Link(ifindex) => plain(None, Some(ifindex)),
            Way::Gateway(address) => match self.interface_of(address) {
                // One of our own addresses means its interface.
                Some(ifindex) => plain(None, Some(ifindex)),
                None => plain(Some(address), settings.ifp),
            },
        };
        self.reachable(&hop)?;
        Ok(hop)
    }

    /// An interface that is down or has no carrier is reached again some day.
    fn reachable(&self, hop: &Nexthop<F>) -> Result<(), Errno> {
        match self.resolver.answer(TABLE, Slot::Socket(0), hop) {
            Ok(_) | Err(Unusable::LinkDown | Unusable::NoCarrier) => Ok(()),
            Err(_) => Err(Errno::Enetunreach),
        }
    }

    /// The interface that has this address.
    fn interface_of(&self, address: F::Addr) -> Option<crate::net::Ifindex> {
        let route = self.selected(TableId::LOCAL, &F::host(address))?;
        (route.kind == RouteType::Local).then(|| route.nexthops.first()?.ifindex)?
    }

    fn put(
        &mut self,
        now: Instant,
        request: &Request<F>,
        priority: u8,
        mut candidate: Candidate<F>,
        attributes: Attributes,
        way: usize,
    ) -> Applied<F> {
        let before = self.selected(TABLE, &request.prefix);
        candidate.attributes = self.clients.shared(attributes);
        let candidate = Arc::new(candidate);
        let key = (TABLE, request.prefix, priority);
        self.set_client_route(now, key, Some(Arc::clone(&candidate)));
        Applied {
            table: TABLE,
            prefix: request.prefix,
            slot: Slot::Socket(priority),
            candidate,
            deleted: false,
            way,
            before,
            hold: None,
            down: false,
        }
    }

    /// The one place where a candidate of a client changes.
    pub(super) fn set_client_route(
        &mut self,
        now: Instant,
        key: Key<F>,
        new: Option<Arc<Candidate<F>>>,
    ) -> Option<Arc<Candidate<F>>> {
        let (table, prefix, priority) = key;
        let slot = Slot::Socket(priority);
        let entry = self
            .tables
            .entry(table)
            .or_default()
            .entry(prefix)
            .or_default();
        let old = match &new {
            Some(candidate) => entry.put(Offer {
                slot,
                candidate: Arc::clone(candidate),
                changed: now,
            }),
            None => entry.take(slot),
        };
        let place = Place {
            table,
            prefix,
            slot,
        };
        self.replaced(place, old.as_ref(), new.as_deref());
        let old = old.map(|offer| offer.candidate);
        self.clients.count(key, old.as_deref(), new.as_deref());
        if let Some(undo) = &mut self.undo {
            undo.push((key, old.clone()));
        }
        self.stored.push((key, new));
        old
    }

    /// Takes back in what an earlier life of the daemon has stored, record by
    /// record. Routes of registered clients are swept after `stale` unless these
    /// come back.
    pub fn restore(
        &mut self,
        now: Instant,
        key: Key<F>,
        candidate: Option<Candidate<F>>,
        stale: std::time::Duration,
    ) {
        let attributes = candidate.as_ref().and_then(|c| c.attributes.as_ref());
        if let Some(owner) = attributes.and_then(|attributes| attributes.owner.clone()) {
            self.clients.owners.restore(now, key, &owner, stale);
        }
        self.set_client_route(now, key, candidate.map(Arc::new));
    }

    /// What has become of clients' candidates since this was asked last, in
    /// order, for who stores them.
    pub fn take_stored(&mut self) -> Vec<Stored<F>> {
        std::mem::take(&mut self.stored)
    }

    /// All candidates of clients, for who stores them.
    pub fn client_routes(&self) -> impl Iterator<Item = (Key<F>, &Arc<Candidate<F>>)> {
        self.tables.iter().flat_map(|(table, map)| {
            map.iter().flat_map(move |(prefix, entry)| {
                entry.offers().filter_map(move |offer| match offer.slot {
                    Slot::Socket(priority) => Some(((*table, prefix, priority), &offer.candidate)),
                    _ => None,
                })
            })
        })
    }

    /// At most so many candidates of clients.
    pub fn limit_client_routes(&mut self, most: usize) {
        self.clients.max_routes = most;
    }

    /// Numbers of clients' routes.
    pub fn count_client_routes(&self) -> (ClientRoutes, OwnerRoutes) {
        let counts = ClientRoutes {
            routes: self.clients.routes,
            max_routes: self.clients.max_routes,
            holds: self.clients.holds.len(),
            trash: self.clients.holds.trash(),
        };
        (counts, self.clients.owners.routes())
    }

    /// A client has registered a name.
    pub fn register(&mut self, client: ClientId, name: &str, stale_time: std::time::Duration) {
        self.clients.owners.register(client, name, stale_time);
    }

    /// A connection has ended.
    pub fn client_gone(&mut self, now: Instant, client: ClientId) {
        self.clients.owners.unregister(now, client);
        self.clients.holds.release_all(client);
    }

    /// When [`Rib::expire`] has something to do: by the wall clock, in seconds
    /// since 1970, and by ours.
    pub fn next_expiry(&self) -> (Option<u64>, Option<Instant>) {
        let expiry = self.clients.expiries.first().map(|(at, _)| *at);
        (expiry, self.clients.owners.next_sweep())
    }

    /// Withdraws candidates that have expired or been swept; the caller commits.
    pub fn expire(&mut self, now: Instant, wall: u64) {
        let expiries = self.clients.expiries.iter();
        let due = expiries.take_while(|(at, _)| *at <= wall);
        let mut due: Vec<_> = due.map(|(_, key)| *key).collect();
        due.extend(self.clients.owners.sweep(now));
        for key in due {
            self.set_client_route(now, key, None);
        }
        self.clients.owners.forget();
    }
}

impl<F: Family> super::Clients<F> {
    /// A candidate has taken another's place.
    fn count(&mut self, key: Key<F>, old: Option<&Candidate<F>>, new: Option<&Candidate<F>>) {
        if old.is_some() {
            self.routes -= 1;
        }
        if new.is_some() {
            self.routes += 1;
        }
        let expiry = |candidate: Option<&Candidate<F>>| {
            let metrics = candidate?.attributes.as_ref()?.metrics;
            (metrics.expire != 0).then_some(metrics.expire)
        };
        if let Some(at) = expiry(old) {
            self.expiries.remove(&(at, key));
        }
        if let Some(at) = expiry(new) {
            self.expiries.insert((at, key));
        }
        self.owners.set(key, owner(old), owner(new));
    }
}

fn owner<F: Family>(candidate: Option<&Candidate<F>>) -> Option<&str> {
    candidate?.attributes.as_ref()?.owner.as_deref()
}

/// What drops packets, by a request's flags.
fn kind(flags: u32) -> Option<RouteType> {
    match flags & (RTF_REJECT | RTF_BLACKHOLE) {
        RTF_REJECT => Some(RouteType::Unreachable),
        RTF_BLACKHOLE => Some(RouteType::Blackhole),
        _ => None,
    }
}

fn attributes<F: Family>(candidate: &Candidate<F>) -> Attributes {
    let attributes = candidate.attributes.as_deref();
    attributes.cloned().unwrap_or_default()
}

/// The way with this gateway; the first, where none is named.
fn find<F: Family>(candidate: &Candidate<F>, way: Option<Way<F>>) -> Result<usize, Errno> {
    let Some(way) = way else {
        return Ok(0);
    };
    let is = |hop: &Nexthop<F>| match way {
        Way::Gateway(address) => hop.gateway == Some(address),
        Way::Link(ifindex) => hop.gateway.is_none() && hop.ifindex == Some(ifindex),
    };
    let at = candidate.nexthops.iter().position(is);
    // One that drops leads to the loopback address, whatever it is called by.
    match at {
        None if candidate.kind != RouteType::Unicast => Ok(0),
        at => at.ok_or(Errno::Esrch),
    }
}

/// The kernel's weights are 1..=256; 0 means none was given.
fn weight<F: Family>(settings: &Settings<F>) -> u16 {
    if settings.inits & RTV_WEIGHT == 0 {
        return 1;
    }
    u16::try_from(settings.metrics.weight.clamp(1, 256)).unwrap_or(1)
}

fn set_locks<F: Family>(attributes: &mut Attributes, settings: &Settings<F>) {
    let locks = &mut attributes.metrics.locks;
    *locks = *locks & !settings.inits | settings.inits & settings.metrics.locks;
}

fn set_metrics<F: Family>(
    candidate: &mut Candidate<F>,
    attributes: &mut Attributes,
    settings: &Settings<F>,
) {
    /// What is kept as it is given; weights belong to the ways, the distance to
    /// the key.
    const KEPT: [(u64, fn(&mut Metrics) -> &mut u64); 8] = [
        (RTV_MTU, |metrics| &mut metrics.mtu),
        (RTV_HOPCOUNT, |metrics| &mut metrics.hopcount),
        (RTV_EXPIRE, |metrics| &mut metrics.expire),
        (RTV_RPIPE, |metrics| &mut metrics.recvpipe),
        (RTV_SPIPE, |metrics| &mut metrics.sendpipe),
        (RTV_SSTHRESH, |metrics| &mut metrics.ssthresh),
        (RTV_RTT, |metrics| &mut metrics.rtt),
        (RTV_RTTVAR, |metrics| &mut metrics.rttvar),
    ];

    if settings.inits == 0 {
        return;
    }
    let mut given = settings.metrics;
    for (bit, field) in KEPT {
        if settings.inits & bit != 0 {
            attributes.inits |= bit;
            *field(&mut attributes.metrics) = *field(&mut given);
        }
    }
    if settings.inits & RTV_MTU != 0 {
        let mtu = u32::try_from(given.mtu).unwrap_or(u32::MAX);
        candidate.mtu = (mtu != 0).then_some(mtu);
    }
    set_locks(attributes, settings);
}
