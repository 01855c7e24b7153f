//! Requests of clients, carried out.

use std::sync::Arc;

use super::settings::{attributes, find, kind, set_locks, set_metrics, weight};
use super::{Op, Outcome, Request, Settings, Way};
use crate::net::{Family, Ifindex, TableId};
use crate::rib::Rib;
use crate::rib::entry::{Entry, Slot};
use crate::rib::journal::Origin;
use crate::rib::resolve::Unusable;
use crate::route::{Attributes, Candidate, Distance, Nexthop, Route, RouteType, Source};
use crate::route_msg::Errno;
use crate::route_msg::number::*;
use crate::time::Instant;

/// The only table that clients write to.
pub(super) const TABLE: TableId = TableId::MAIN;

/// Flags of a request that are stored as they are; the others are made from
/// what the route is.
pub(super) const STORED: u32 =
    RTF_STATIC | RTF_PROTO1 | RTF_PROTO2 | RTF_PROTO3 | RTF_XRESOLVE | RTF_STICKY | RTF_FIXEDMTU;

/// A request that has been carried out and not committed yet.
#[derive(Debug)]
pub(super) struct Applied<F: Family> {
    pub(super) table: TableId,
    pub(super) prefix: F::Prefix,
    pub(super) slot: Slot,
    /// The candidate after it, or before it was deleted.
    pub(super) candidate: Arc<Candidate<F>>,
    /// Nothing is left of it.
    pub(super) deleted: bool,
    pub(super) way: usize,
    /// What the prefix was routed by.
    pub(super) before: Option<Arc<Route<F>>>,
    pub(super) hold: Option<u64>,
    pub(super) down: bool,
}

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
        Ok(self.outcome(&applied))
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
            Op::Get(way) => return self.get_route(request, *way),
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
    pub(super) fn outcome(&self, applied: &Applied<F>) -> Outcome<F> {
        let selected = self.selected(applied.table, &applied.prefix);
        let is_this = |route: &&Arc<Route<F>>| Slot::of(route) == applied.slot;
        // What is down has nothing to do with what is selected now.
        let of_this = selected.as_ref().filter(is_this).filter(|_| !applied.down);
        let up = of_this.is_some() && !applied.deleted;
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

    pub(super) fn entry_of(&self, table: TableId, prefix: &F::Prefix) -> Option<&Entry<F>> {
        self.tables.get(&table)?.get(prefix)
    }

    pub(super) fn selected(&self, table: TableId, prefix: &F::Prefix) -> Option<Arc<Route<F>>> {
        self.entry_of(table, prefix)?.selected.clone()
    }

    pub(super) fn client_route(
        &self,
        prefix: &F::Prefix,
        priority: u8,
    ) -> Option<&Arc<Candidate<F>>> {
        let offer = self
            .entry_of(TABLE, prefix)?
            .offer(Slot::Socket(priority))?;
        Some(&offer.candidate)
    }

    /// The candidate that a request is about: that of its priority, else the
    /// best. What only another source knows is busy.
    pub(super) fn own(&self, request: &Request<F>) -> Result<(u8, Arc<Candidate<F>>), Errno> {
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
        let entry = self.entry_of(TABLE, &prefix);
        if entry.is_some_and(is_connected) || self.is_own_address(&prefix) {
            return Err(Errno::Eexist);
        }
        let known = entry.and_then(|entry| entry.offer(Slot::Socket(priority)));
        let known = known.map(|offer| Arc::clone(&offer.candidate));
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
        let key = (TABLE, request.prefix, priority);
        let before = self.set_client_route(now, key, None);
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

    /// Whether the prefix is one of our addresses, or what belongs to one.
    fn is_own_address(&self, prefix: &F::Prefix) -> bool {
        let entry = self.entry_of(TableId::LOCAL, prefix);
        entry.is_some_and(is_connected)
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
            Way::Gateway(address) => match self.interface_of(address, settings.ifp) {
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

    /// The interface that has this address, if it is ours where it is named.
    fn interface_of(&self, address: F::Addr, named: Option<Ifindex>) -> Option<Ifindex> {
        if !self.resolver.is_own(address, named) {
            return None;
        }
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
        candidate.attributes = self.clients.shared(attributes);
        let candidate = Arc::new(candidate);
        let key = (TABLE, request.prefix, priority);
        let before = self.set_client_route(now, key, Some(Arc::clone(&candidate)));
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
}

/// Whether the prefix is an interface's own.
fn is_connected<F: Family>(entry: &Entry<F>) -> bool {
    let offer = entry.offer(Slot::Kernel);
    offer.is_some_and(|offer| offer.candidate.source == Source::Connected)
}
