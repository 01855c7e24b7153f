//! The monitor's socket at work: read, decode, sort into batches, send.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use forwarder_core::interface::Interfaces;
use forwarder_core::kernel::event::{
    DataplaneEvent, KernelNexthops, KernelRoute, NeighbourEvent, RouteEvent,
};
use forwarder_core::net::{Family, Ifindex, Ipv4, Ipv6, TableId};
use forwarder_core::route::RouteType;
use ipnet::IpNet;
use tokio::time::Instant;

use super::super::family::NetlinkFamily;
use super::super::interfaces::{InterfaceTable, LinkChange};
use super::super::message::{self, Message, NeighbourMessage, RouteMessage};
use super::super::requests;
use super::super::socket::{NetlinkSocket, OpenError, Protocol, READ_BUFFER, ReceiveError};
use super::super::wire::{Header, Messages, outcome};
use super::dumps::{Dumps, Finish, Group, STALL, Start};
use super::guard::DumpGuard;
use super::{MonitorConfig, MonitorCounters, MonitorOutputs, count};

/// Datagrams read before what they say is handed on: bounds the work, and with
/// it the delay of everybody else, of one wake-up to about a millisecond.
const READS_PER_WAKE: usize = 16;
/// A route waits so long for the address that it came with: it is there some
/// microseconds later, unless a router's advertisement made the route without one.
const ADDRESS: Duration = Duration::from_millis(5);
/// Undecodable messages are logged at most this often.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// What the socket listens to.
const GROUPS: [u32; 9] = [
    libc::RTNLGRP_LINK,
    libc::RTNLGRP_IPV4_IFADDR,
    libc::RTNLGRP_IPV6_IFADDR,
    libc::RTNLGRP_IPV4_ROUTE,
    libc::RTNLGRP_NEXTHOP,
    libc::RTNLGRP_NEIGH,
    libc::RTNLGRP_IPV4_NETCONF,
    libc::RTNLGRP_IPV6_ROUTE,
    libc::RTNLGRP_IPV6_NETCONF,
];

type RouteKey<F> = (TableId, <F as Family>::Prefix, u32, u8);

fn key<F: Family>(route: &KernelRoute<F>) -> RouteKey<F> {
    (route.table, route.prefix, route.metric, route.tos)
}

/// How a session ended.
#[derive(Debug)]
pub(super) enum End {
    /// Nobody listens.
    Unheard,
    /// The socket failed.
    Failed(io::Error),
}

/// Removals noted while dumps run, a table each.
#[derive(Debug)]
struct Guards {
    links: DumpGuard<Ifindex>,
    addresses: DumpGuard<(Ifindex, forwarder_core::interface::InterfaceAddress)>,
    nexthops: DumpGuard<u32>,
}

/// One family's removals noted while dumps run, and what one wake-up has found.
#[derive(Debug)]
struct Side<F: NetlinkFamily> {
    guard_routes: DumpGuard<RouteKey<F>, KernelRoute<F>>,
    guard_neighbours: DumpGuard<(Ifindex, F::Addr)>,
    routes: Vec<RouteEvent<F>>,
    neighbours: Vec<NeighbourEvent<F>>,
}

impl<F: NetlinkFamily> Side<F> {
    const fn new() -> Self {
        Side {
            guard_routes: DumpGuard::new(),
            guard_neighbours: DumpGuard::new(),
            routes: Vec::new(),
            neighbours: Vec::new(),
        }
    }

    fn begin_routes(&mut self) {
        self.routes.push(RouteEvent::DumpStart);
        self.guard_routes.begin();
    }

    fn begin_neighbours(&mut self) {
        self.neighbours.push(NeighbourEvent::DumpStart);
        self.guard_neighbours.begin();
    }

    fn route(&mut self, message: RouteMessage<F>, dumped: bool) {
        match message {
            RouteMessage::There { route, replaced } => {
                if self.guard_routes.there(dumped, &key(&route), &route) {
                    let replaced = replaced && !dumped;
                    self.routes.push(RouteEvent::Added { route, replaced });
                }
            }
            RouteMessage::Gone(route) => {
                self.guard_routes.gone(&key(&route), &route);
                self.routes.push(RouteEvent::Removed(route));
            }
        }
    }

    fn neighbour(&mut self, message: &NeighbourMessage<F>, dumped: bool) {
        match *message {
            NeighbourMessage::There(entry) => {
                let key = (entry.ifindex, entry.address);
                if self.guard_neighbours.there(dumped, &key, &()) {
                    self.neighbours.push(NeighbourEvent::Set(entry));
                }
            }
            NeighbourMessage::Gone(ifindex, address) => {
                if !dumped {
                    self.guard_neighbours.gone(&(ifindex, address), &());
                }
                let gone = NeighbourEvent::Gone { ifindex, address };
                self.neighbours.push(gone);
            }
        }
    }
}

/// Everything the monitor knows.
#[derive(Debug)]
pub(super) struct Session {
    socket: NetlinkSocket,
    dumps: Dumps,
    /// Sequence number of the dump in flight, and when it last progressed.
    in_flight: Option<(u32, Instant)>,
    guards: Guards,
    v4: Side<Ipv4>,
    v6: Side<Ipv6>,
    table: InterfaceTable,
    /// The first dump of interfaces is complete: they can be published.
    interfaces_known: bool,
    counters: Arc<MonitorCounters>,
    audit: Duration,
    next_audit: Instant,
    last_log: Option<Instant>,
}

impl Session {
    pub(super) fn open(
        config: MonitorConfig,
        counters: &Arc<MonitorCounters>,
    ) -> Result<Self, OpenError> {
        let mut dumps = Dumps::default();
        dumps.want_all();
        Ok(Session {
            socket: NetlinkSocket::open(Protocol::ROUTE, &GROUPS, config.receive_buffer)?,
            dumps,
            in_flight: None,
            guards: Guards {
                links: DumpGuard::new(),
                addresses: DumpGuard::new(),
                nexthops: DumpGuard::new(),
            },
            v4: Side::new(),
            v6: Side::new(),
            table: InterfaceTable::default(),
            interfaces_known: false,
            counters: Arc::clone(counters),
            audit: config.audit,
            next_audit: Instant::now() + config.audit,
            last_log: None,
        })
    }

    /// A new socket, and everything dumped through it; what is known stays
    /// until the dumps contradict it.
    pub(super) fn reopen(&mut self, config: MonitorConfig) -> Result<(), OpenError> {
        self.socket = NetlinkSocket::open(Protocol::ROUTE, &GROUPS, config.receive_buffer)?;
        self.dumps = Dumps::default();
        self.dumps.want_all();
        self.in_flight = None;
        for group in Group::ALL {
            self.end_guards(group);
        }
        Ok(())
    }

    pub(super) async fn run(&mut self, outputs: &MonitorOutputs) -> End {
        let mut buffer = vec![0; READ_BUFFER];
        loop {
            let read = match self.step(&mut buffer).await {
                Ok(()) => self.read_address(&mut buffer).await,
                failed => failed,
            };
            match read {
                Err(error) => return End::Failed(error),
                Ok(()) if !self.hand_on(outputs).await => return End::Unheard,
                Ok(()) => {}
            }
        }
    }

    /// Waits for something to do and does a bounded amount of it.
    async fn step(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.start_dump().await?;
        let deadline = self.deadline();
        let first = tokio::select! {
            first = self.socket.receive(buffer) => Some(first.map(<[u8]>::len)),
            () = tokio::time::sleep_until(deadline) => None,
        };
        match first {
            Some(first) => self.read(first, buffer),
            None => self.check_clock(),
        }
    }

    /// Reads on while a connected route is ahead of its address. The kernel tells
    /// of IPv6's between the two (`inet6_addr_add`), where of IPv4's it tells first.
    async fn read_address(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let deadline = Instant::now() + ADDRESS;
        while self.interfaces_known
            && self.in_flight.is_none()
            && self.v6.routes.iter().any(|event| {
                connected(event)
                    .is_some_and(|(ifindex, prefix)| !self.table.has_address_in(ifindex, prefix))
            })
        {
            let first = tokio::select! {
                first = self.socket.receive(buffer) => first.map(<[u8]>::len),
                () = tokio::time::sleep_until(deadline) => return Ok(()),
            };
            self.read(first, buffer)?;
            if Instant::now() >= deadline {
                return Ok(());
            }
        }
        Ok(())
    }

    fn deadline(&self) -> Instant {
        let stall = self.in_flight.map(|(_, progress)| progress + STALL);
        let deadlines = [stall, self.dumps.next_deadline()];
        deadlines
            .into_iter()
            .flatten()
            .fold(self.next_audit, Instant::min)
    }

    fn check_clock(&mut self) -> io::Result<()> {
        let now = Instant::now();
        if now >= self.next_audit {
            self.next_audit = now + self.audit;
            self.table.refresh_sysctls(|_| true);
            self.dumps.want_all();
        }
        match self.in_flight {
            Some((_, progress)) if now >= progress + STALL => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "a netlink dump never ended",
            )),
            _ => Ok(()),
        }
    }

    async fn start_dump(&mut self) -> io::Result<()> {
        let now = Instant::now();
        let Some(Start { table, begins }) = self.dumps.start(now) else {
            return Ok(());
        };
        if let Some(group) = begins {
            self.begin(group);
        }
        let sequence = self.socket.next_sequence();
        let mut bytes = Vec::new();
        requests::dump(table).append(sequence, libc::NLM_F_DUMP, &mut bytes);
        self.socket.send(&bytes).await?;
        self.in_flight = Some((sequence, now));
        Ok(())
    }

    /// Handles the datagram just read, and what can be read without waiting.
    fn read(&mut self, first: Result<usize, ReceiveError>, buffer: &mut [u8]) -> io::Result<()> {
        let mut next = first.map(Some);
        let mut handled = 0;
        loop {
            match next {
                Ok(Some(len)) => self.datagram(buffer.get(..len).unwrap_or_default()),
                Ok(None) => return Ok(()),
                Err(ReceiveError::Overrun) => self.overrun(),
                Err(ReceiveError::Io(error)) => return Err(error),
            }
            handled += 1;
            if handled == READS_PER_WAKE {
                return Ok(());
            }
            next = self
                .socket
                .try_receive(buffer)
                .map(|datagram| datagram.map(<[u8]>::len));
        }
    }

    fn datagram(&mut self, datagram: &[u8]) {
        for message in Messages::new(datagram) {
            match message {
                Ok((header, payload)) => self.message(header, payload),
                // Cut short: what was in the rest is as good as lost.
                Err(error) => {
                    self.undecodable(0, &error);
                    self.dumps.want_all();
                }
            }
        }
    }

    /// Messages were lost: nothing but a dump of everything helps.
    fn overrun(&mut self) {
        count(&self.counters.overruns);
        self.dumps.want_all();
    }

    fn undecodable(&mut self, kind: u16, error: &dyn std::fmt::Display) {
        count(&self.counters.undecodable);
        let now = Instant::now();
        if self.last_log.is_none_or(|last| now >= last + LOG_EVERY) {
            self.last_log = Some(now);
            let total = self.counters.read().undecodable;
            tracing::warn!(kind, %error, total, "netlink message skipped: not understood");
        }
    }

    fn message(&mut self, header: Header, payload: &[u8]) {
        count(&self.counters.messages);
        let current = self.in_flight.map(|(sequence, _)| sequence);
        let dumped = header.port == self.socket.port() && current == Some(header.sequence);
        if dumped {
            self.in_flight = current.map(|sequence| (sequence, Instant::now()));
            if i32::from(header.flags) & libc::NLM_F_DUMP_INTR != 0 {
                count(&self.counters.interrupted_dumps);
                self.dumps.interrupted();
            }
        }
        match i32::from(header.kind) {
            libc::NLMSG_DONE | libc::NLMSG_ERROR if dumped => self.dump_ended(header, payload),
            libc::NLMSG_OVERRUN => self.overrun(),
            libc::NLMSG_DONE | libc::NLMSG_ERROR | libc::NLMSG_NOOP => {}
            _ => match message::decode(header.kind, header.flags, payload) {
                Ok(message) => self.decoded(message, dumped),
                Err(error) => self.undecodable(header.kind, &error),
            },
        }
    }

    fn dump_ended(&mut self, header: Header, payload: &[u8]) {
        self.in_flight = None;
        let now = Instant::now();
        let finish = match outcome(header, payload) {
            // A table that doesn't exist (yet), a kernel without next-hop
            // objects: empty.
            (0 | libc::ENOENT | libc::EOPNOTSUPP, _) => self.dumps.finished(now),
            (libc::EINTR, _) => {
                count(&self.counters.interrupted_dumps);
                self.dumps.interrupted();
                self.dumps.finished(now)
            }
            (errno, words) => {
                count(&self.counters.failed_dumps);
                let error = io::Error::from_raw_os_error(errno);
                tracing::warn!(%error, words, "netlink dump refused; trying again");
                self.dumps.failed(now)
            }
        };
        match finish {
            Finish::Continues => {}
            Finish::Complete(group) => self.complete(group),
            Finish::Failed(group) => self.end_guards(group),
        }
    }

    fn begin(&mut self, group: Group) {
        match group {
            Group::Interfaces => {
                self.table.begin_dump();
                self.guards.links.begin();
                self.guards.addresses.begin();
            }
            Group::Routes => {
                self.v4.begin_routes();
                self.v6.begin_routes();
                self.guards.nexthops.begin();
            }
            Group::Neighbours => {
                self.v4.begin_neighbours();
                self.v6.begin_neighbours();
            }
        }
    }

    fn complete(&mut self, group: Group) {
        count(&self.counters.dumps);
        match group {
            Group::Interfaces => {
                self.interfaces_known = true;
                for ifindex in self.table.end_dump() {
                    self.link_gone(ifindex);
                }
            }
            Group::Routes => self.route_event(RouteEvent::DumpEnd, RouteEvent::DumpEnd),
            Group::Neighbours => {
                self.v4.neighbours.push(NeighbourEvent::DumpEnd);
                self.v6.neighbours.push(NeighbourEvent::DumpEnd);
            }
        }
        self.end_guards(group);
    }

    fn end_guards(&mut self, group: Group) {
        match group {
            Group::Interfaces => {
                self.table.abandon_dump();
                self.guards.links.end();
                self.guards.addresses.end();
            }
            Group::Routes => {
                self.v4.guard_routes.end();
                self.v6.guard_routes.end();
                self.guards.nexthops.end();
            }
            Group::Neighbours => {
                self.v4.guard_neighbours.end();
                self.v6.guard_neighbours.end();
            }
        }
    }

    /// What concerns the routes of both families.
    fn route_event(&mut self, v4: RouteEvent<Ipv4>, v6: RouteEvent<Ipv6>) {
        self.v4.routes.push(v4);
        self.v6.routes.push(v6);
    }

    fn link_gone(&mut self, ifindex: Ifindex) {
        self.route_event(RouteEvent::LinkGone(ifindex), RouteEvent::LinkGone(ifindex));
        self.dumps.want(Group::Routes);
    }

    fn link_changed(&mut self, change: LinkChange) {
        let LinkChange {
            ifindex,
            up,
            carrier,
            up_changed,
        } = change;
        self.v4.routes.push(RouteEvent::Link {
            ifindex,
            up,
            carrier,
        });
        self.v6.routes.push(RouteEvent::Link {
            ifindex,
            up,
            carrier,
        });
        if up_changed {
            self.dumps.want(Group::Routes);
        }
    }

    fn decoded(&mut self, message: Message, dumped: bool) {
        if !self.believe(&message, dumped) {
            return;
        }
        match message {
            Message::Link(link) => {
                if let Some(change) = self.table.set_link(link) {
                    self.link_changed(change);
                }
            }
            Message::LinkGone(ifindex) => {
                if self.table.remove_link(ifindex) {
                    self.link_gone(ifindex);
                }
            }
            Message::Address(ifindex, address) => self.table.set_address(ifindex, address),
            Message::AddressGone(ifindex, address) => {
                self.table.remove_address(ifindex, &address);
                // Routes with it as preferred source go without a message.
                self.dumps.want(Group::Routes);
            }
            Message::Netconf(conf) => self.table.set_netconf(conf),
            Message::NetconfGone(ifindex) => self.table.remove_netconf(ifindex),
            Message::Forwarding6(on) => self.table.set_forwarding6(on),
            Message::RpFilterAll(value) => self.table.set_rp_filter_all(value),
            // A dump names it each time.
            Message::RpFilterDefault if dumped => {}
            Message::RpFilterDefault => self.dumps.want(Group::Interfaces),
            Message::Route4(message) => self.v4.route(message, dumped),
            Message::Route6(message) => self.v6.route(message, dumped),
            Message::Nexthop(id, object) => {
                let again = object.clone();
                self.v4.routes.push(RouteEvent::NexthopSet { id, object });
                let object = again;
                self.v6.routes.push(RouteEvent::NexthopSet { id, object });
            }
            Message::NexthopGone(id) => {
                self.route_event(RouteEvent::NexthopGone(id), RouteEvent::NexthopGone(id));
            }
            Message::Neighbour4(message) => self.v4.neighbour(&message, dumped),
            Message::Neighbour6(message) => self.v6.neighbour(&message, dumped),
            Message::Ignored => {}
        }
    }

    /// Notes what notifications say of entries, and whether a dump's word
    /// stands against it.
    fn believe(&mut self, message: &Message, dumped: bool) -> bool {
        let guards = &mut self.guards;
        match message {
            Message::Link(link) => guards.links.there(dumped, &link.ifindex, &()),
            Message::LinkGone(ifindex) => guards.links.gone(ifindex, &()),
            Message::Address(ifindex, address) => {
                guards.addresses.there(dumped, &(*ifindex, *address), &())
            }
            Message::AddressGone(ifindex, address) => {
                guards.addresses.gone(&(*ifindex, *address), &())
            }
            Message::Nexthop(id, _) => guards.nexthops.there(dumped, id, &()),
            Message::NexthopGone(id) => guards.nexthops.gone(id, &()),
            _ => true,
        }
    }

    /// Sends what was found; `false` when nobody listens any more.
    async fn hand_on(&mut self, outputs: &MonitorOutputs) -> bool {
        if let Some(interfaces) = self.publishable() {
            outputs.interfaces.send_replace(interfaces);
        }
        let neighbours4 = std::mem::take(&mut self.v4.neighbours).into_iter();
        let neighbours6 = std::mem::take(&mut self.v6.neighbours).into_iter();
        let dataplane: Vec<DataplaneEvent> = neighbours4
            .map(DataplaneEvent::Neighbour4)
            .chain(neighbours6.map(DataplaneEvent::Neighbour6))
            .collect();
        // Neighbours first: the fast path waits for them, the RIB has work.
        if !dataplane.is_empty() && outputs.dataplane.send(dataplane).await.is_err() {
            return false;
        }
        let routes = std::mem::take(&mut self.v4.routes);
        if !routes.is_empty() && outputs.routes4.send(routes).await.is_err() {
            return false;
        }
        let routes = std::mem::take(&mut self.v6.routes);
        routes.is_empty() || outputs.routes6.send(routes).await.is_ok()
    }

    fn publishable(&mut self) -> Option<Arc<Interfaces>> {
        if self.interfaces_known {
            self.table.snapshot()
        } else {
            None
        }
    }
}

/// The interface and prefix of a route that the kernel has added with an address.
fn connected(event: &RouteEvent<Ipv6>) -> Option<(Ifindex, IpNet)> {
    let RouteEvent::Added { route, .. } = event else {
        return None;
    };
    let KernelNexthops::Inline(hops) = &route.nexthops else {
        return None;
    };
    let is_connected = route.table == TableId::MAIN
        && route.kind == RouteType::Unicast
        && route.protocol == libc::RTPROT_KERNEL
        && hops.iter().all(|hop| hop.gateway.is_none());
    let ifindex = hops.first()?.ifindex?;
    is_connected.then(|| (ifindex, route.prefix.into()))
}
