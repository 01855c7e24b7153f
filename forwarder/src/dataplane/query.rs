//! What the dataplane task tells the API: its state in the API's shapes.

use std::net::IpAddr;
use std::sync::Arc;

use forwarder_common::reason::Reason;
use forwarder_core::config::{Bypass, Config};
use forwarder_core::fib::{Decision, FibStats, NexthopInfo, Target};
use forwarder_core::interface::Interface;
use forwarder_core::kernel::event::NeighbourState;
use forwarder_core::kernel::export::Installed;
use forwarder_core::net::{Ifindex, Ipv4, Ipv6, TableId};
use forwarder_core::route::{Route, Source};
use ipnet::IpNet;
use tokio::sync::oneshot;

use super::attach::Mode as AttachMode;
use super::family::MapFamily;
use super::listing::Page;
use super::memlock;
use super::ports::PortStatus;
use super::programmer::{ProgrammedFamily, Programmer};
use super::task::DataplaneTask;
use crate::api::counters::PortCounters;
use crate::api::model::{
    self, Degraded, FamilyFib, Fib, FibRoute, Installed as ShownInstalled, Mode, Neighbor, Nexthop,
    PortSummary, RouteCounter, Way, XdpAnswer,
};
use forwarder_common::abi::program;

type Reply<T> = oneshot::Sender<T>;

/// A question or command from the API or the daemon.
pub enum Query {
    /// `show interfaces`.
    Interfaces(Reply<Vec<model::Interface>>),
    /// `show neighbors`.
    Neighbors(Reply<Vec<Neighbor>>),
    /// `show nexthops`.
    Nexthops(Reply<Vec<Nexthop>>),
    /// `show counters`.
    Counters(Reply<Vec<PortCounters>>),
    /// Likewise: the routes that are counted each by itself.
    RouteCounters(Reply<Vec<RouteCounter>>),
    /// `show fib`.
    Fib(Reply<Fib>),
    /// The routes that are programmed: a page of them.
    FibRoutes(Page, Reply<Vec<FibRoute>>),
    /// Part of `show status`.
    Summary(Reply<Summary>),
    /// The fast path's answer for an address.
    Lookup(IpAddr, Reply<XdpAnswer>),
    /// Where prefixes of table main have arrived; in the same order.
    Installed(Vec<IpNet>, Reply<Vec<Arrival>>),
    /// A new configuration; what could not be attached under it.
    Configure(Arc<Config>, Reply<Vec<String>>),
}

/// The dataplane at a glance.
pub struct Summary {
    /// What keeps packets off the fast path.
    pub degraded: Vec<Degraded>,
    /// Ports by mode.
    pub ports: PortSummary,
    /// Routes of ours in the kernel.
    pub kernel: u64,
    /// Routes of ours that should be there and are not.
    pub kernel_missing: u64,
    /// Prefixes in the fast path's table.
    pub xdp: u64,
}

/// Where a route has arrived, and why not.
pub struct Arrival {
    /// In which tables.
    pub installed: ShownInstalled,
    /// The kernel's refusal of a route of ours.
    pub refusal: Option<String>,
}

impl DataplaneTask {
    /// Answers. A client that has gone away is not told.
    pub(super) fn query(&mut self, query: Query) {
        match query {
            Query::Interfaces(reply) => drop(reply.send(self.show_interfaces())),
            Query::Neighbors(reply) => drop(reply.send(self.show_neighbors())),
            Query::Nexthops(reply) => drop(reply.send(self.show_nexthops())),
            Query::Counters(reply) => drop(reply.send(self.show_counters())),
            Query::RouteCounters(reply) => drop(reply.send(self.plane.counted())),
            Query::Fib(reply) => drop(reply.send(self.show_fib())),
            Query::FibRoutes(page, reply) => drop(reply.send(self.fib_routes(page))),
            Query::Summary(reply) => drop(reply.send(self.summary())),
            Query::Lookup(address, reply) => drop(reply.send(self.lookup(address))),
            Query::Installed(prefixes, reply) => {
                drop(
                    reply.send(
                        prefixes
                            .into_iter()
                            .map(|prefix| self.arrival(prefix))
                            .collect(),
                    ),
                );
            }
            Query::Configure(config, reply) => drop(reply.send(self.configure(config))),
        }
    }

    fn configure(&mut self, config: Arc<Config>) -> Vec<String> {
        let errors = self.plane.configure(&config, &self.features);
        self.config = config;
        errors.iter().map(ToString::to_string).collect()
    }

    fn show_interfaces(&self) -> Vec<model::Interface> {
        let interfaces = self.plane.interfaces.clone();
        interfaces
            .by_index
            .values()
            .map(|interface| self.show_interface(interface))
            .collect()
    }

    fn show_interface(&self, interface: &Interface) -> model::Interface {
        let port = self.plane.ports.status(interface.ifindex);
        let reason = match &port {
            Some(port) => port_reason(port),
            None => self
                .plane
                .ports
                .refusal(interface.ifindex)
                .map(str::to_owned),
        };
        model::Interface {
            name: interface.name.clone(),
            ifindex: interface.ifindex.0,
            mode: port
                .as_ref()
                .map_or(Mode::None, |port| mode(port.attachment.mode)),
            reason,
            program: port.as_ref().map(|port| program_name(port).to_owned()),
            mac: interface.mac.map(mac),
            mtu: interface.mtu,
            up: interface.up,
            carrier: interface.carrier,
            can_redirect: port.as_ref().is_some_and(|port| port.egress.is_ok()),
            hands_up: port
                .as_ref()
                .and_then(|port| port.up_reason)
                .map(|reason| reason.name().to_owned()),
            hands_up_ipv6: port
                .as_ref()
                .and_then(|port| port.up_reason6)
                .map(|reason| reason.name().to_owned()),
            forwarding: interface.forwarding4,
            forwarding_ipv6: interface.forwarding6,
            reverse_path: port
                .as_ref()
                .map(|port| port.reverse_path.name().to_owned()),
            reverse_path_ipv6: port
                .as_ref()
                .map(|port| port.reverse_path6.name().to_owned()),
            kind: interface.kind.clone(),
            addresses: interface
                .addresses
                .iter()
                .map(|address| address.local.to_string())
                .collect(),
        }
    }

    fn show_neighbors(&self) -> Vec<Neighbor> {
        let mut shown = self.neighbors_of::<Ipv4>();
        shown.extend(self.neighbors_of::<Ipv6>());
        shown
    }

    fn neighbors_of<F: MapFamily>(&self) -> Vec<Neighbor> {
        let side = self.plane.side::<F>();
        let adjacencies: std::collections::BTreeMap<_, _> = side
            .fib
            .adjacencies()
            .map(|adjacency| ((adjacency.ifindex, adjacency.neighbour), adjacency.slot))
            .collect();
        let now = crate::clock::now();
        let ours = |ifindex: &Ifindex| self.plane.ports.status(*ifindex).is_some();
        side.neighbours
            .values()
            .filter(|neighbour| ours(&neighbour.ifindex))
            .map(|neighbour| {
                let key = (neighbour.ifindex, neighbour.address);
                let (mac, state) = match neighbour.state {
                    NeighbourState::Usable(address) => (Some(mac(address)), "usable"),
                    NeighbourState::Resolving => (None, "resolving"),
                    NeighbourState::Failed => (None, "failed"),
                };
                let idle = self.usage.idle(now, (key.0, key.1.into()));
                Neighbor {
                    address: neighbour.address.into(),
                    interface: self.plane.interfaces.name(neighbour.ifindex),
                    mac,
                    state: state.into(),
                    managed: neighbour.managed,
                    adjacency: adjacencies.get(&key).copied(),
                    idle: idle.map(|idle| idle.as_secs()),
                }
            })
            .collect()
    }

    /// The reasons' own are in both families' tables: shown once, with the
    /// prefixes of both.
    fn show_nexthops(&self) -> Vec<Nexthop> {
        let mut shown = self.nexthops_of::<Ipv4>();
        for nexthop in self.nexthops_of::<Ipv6>() {
            match shown.iter_mut().find(|known| known.id == nexthop.id) {
                Some(known) => known.prefixes += nexthop.prefixes,
                None => shown.push(nexthop),
            }
        }
        shown
    }

    fn nexthops_of<F: MapFamily>(&self) -> Vec<Nexthop> {
        let fib = &self.plane.side::<F>().fib;
        fib.nexthops()
            .filter_map(|info| self.show_nexthop(fib, &info))
            .collect()
    }

    /// `None` for one that has no number because the table is full.
    fn show_nexthop<F: MapFamily>(
        &self,
        fib: &forwarder_core::fib::Fib<F>,
        info: &NexthopInfo<F>,
    ) -> Option<Nexthop> {
        let (kind, reason, adjacency) = words(fib.decision(info.word));
        Some(Nexthop {
            id: info.id?,
            kind: kind.into(),
            reason: reason.map(|reason| reason.name().to_owned()),
            via: gateway(&info.target),
            dev: info
                .target
                .ifindex()
                .map(|ifindex| self.plane.interfaces.name(ifindex)),
            mac: adjacency.map(|(_, adjacency)| mac(adjacency.destination)),
            mtu: adjacency.map(|(_, adjacency)| adjacency.mtu),
            adjacency: adjacency.map(|(slot, _)| slot),
            group: match fib.decision(info.word) {
                Decision::Balance { slot } => Some(slot),
                _ => None,
            },
            prefixes: u64::from(info.prefixes),
            groups: u64::from(info.groups),
        })
    }

    fn show_counters(&self) -> Vec<PortCounters> {
        let port = |name: String, ifindex, mode, number| {
            let row = self.plane.counters(number).ok()?;
            Some(PortCounters {
                name,
                ifindex,
                mode,
                row,
            })
        };
        // Row 0: what came in by ports that the daemon does not know (yet).
        let unknown = port("(unknown)".into(), 0, Mode::None, 0)
            .filter(|unknown| unknown.get(Reason::UnknownPort).packets > 0);
        let known = self.plane.ports.statuses().filter_map(|(ifindex, status)| {
            let mode = mode(status.attachment.mode);
            port(status.name.to_owned(), ifindex.0, mode, status.number)
        });
        known.chain(unknown).collect()
    }

    fn show_fib(&self) -> Fib {
        let (v4, v6) = (self.stats::<Ipv4>(), self.stats::<Ipv6>());
        let (rows_used, rows) = self.plane.tables.of::<Ipv4>().rows();
        let (rows_used6, rows6) = self.plane.tables.of::<Ipv6>().rows();
        Fib {
            engine: self.config.dataplane.engine.name().into(),
            prefixes: (v4.prefixes - v4.host_routes) as u64,
            host_routes: v4.host_routes as u64,
            nexthops: u64::from(v4.nexthops + v6.nexthops),
            adjacencies: u64::from(v4.adjacencies + v6.adjacencies),
            own_addresses: v4.own as u64,
            overflow: (v4.without_room() + v6.without_room()) as u64,
            rows_used: u64::from(rows_used),
            rows: u64::from(rows),
            bytes: memlock::of_this_process().unwrap_or(0),
            ipv6: FamilyFib {
                prefixes: (v6.prefixes - v6.host_routes) as u64,
                host_routes: v6.host_routes as u64,
                own_addresses: v6.own as u64,
                rows_used: u64::from(rows_used6),
                rows: u64::from(rows6),
            },
        }
    }

    fn stats<F: MapFamily>(&self) -> FibStats {
        self.plane.side::<F>().fib.stats()
    }

    fn lookup(&self, address: IpAddr) -> XdpAnswer {
        match address {
            IpAddr::V4(address) => self.answer::<Ipv4>(address),
            IpAddr::V6(address) => self.answer::<Ipv6>(address),
        }
    }

    fn answer<F: MapFamily>(&self, address: F::Addr) -> XdpAnswer {
        let fib = &self.plane.side::<F>().fib;
        let Some(entry) = fib.lookup(address) else {
            return XdpAnswer {
                verdict: "up".into(),
                reason: Reason::NoRoute.name().into(),
                prefix: None,
                via: None,
                dev: None,
                ways: Vec::new(),
            };
        };
        let (kind, reason, adjacency) = words(entry.decision);
        let forwards = adjacency.is_some();
        let verdict = match kind {
            "resolve" => "up",
            "balance" => "forward",
            kind => kind,
        };
        let ways = fib.ways(&entry.target);
        let to = gateway(&entry.target).filter(|_| forwards);
        XdpAnswer {
            verdict: verdict.into(),
            reason: reason.unwrap_or(Reason::Forwarded).name().into(),
            prefix: Some(entry.prefix.into()),
            via: to,
            dev: adjacency.map(|(_, found)| self.plane.interfaces.name(Ifindex(found.ifindex))),
            ways: ways
                .into_iter()
                .map(|(target, decision)| self.show_way(&target, decision))
                .collect(),
        }
    }

    fn show_way<F: MapFamily>(&self, target: &Target<F>, decision: Decision) -> Way {
        let (verdict, _, _) = words(decision);
        let dev = target.ifindex();
        Way {
            via: gateway(target),
            dev: dev.map(|ifindex| self.plane.interfaces.name(ifindex)),
            verdict: verdict.into(),
        }
    }

    fn arrival(&self, prefix: IpNet) -> Arrival {
        match prefix {
            IpNet::V4(prefix) => self.arrived(&self.programmer4, prefix),
            IpNet::V6(prefix) => self.arrived(&self.programmer6, prefix),
        }
    }

    fn arrived<F: ProgrammedFamily>(
        &self,
        programmer: &Programmer<F>,
        prefix: F::Prefix,
    ) -> Arrival {
        let Some(route) = programmer.selected(TableId::MAIN, prefix) else {
            let installed = ShownInstalled {
                kernel: false,
                xdp: false,
            };
            return Arrival {
                installed,
                refusal: None,
            };
        };
        let (kernel, refusal) = in_kernel(programmer, prefix, route);
        let entry = self.plane.side::<F>().fib.exact(prefix);
        let xdp = entry.is_some_and(|entry| entry.target != Target::Fixed(Reason::KernelRoute));
        Arrival {
            installed: ShownInstalled { kernel, xdp },
            refusal,
        }
    }

    fn summary(&self) -> Summary {
        let stats = [
            self.programmer4.exporter().stats(),
            self.programmer6.exporter().stats(),
        ];
        let mut ports = PortSummary {
            native: 0,
            generic: 0,
            none: 0,
        };
        for (_, port) in self.plane.ports.attached() {
            match port.attachment.mode {
                AttachMode::Native => ports.native += 1,
                AttachMode::Generic => ports.generic += 1,
            }
        }
        ports.none = self.plane.ports.failed() as u32;
        let exports = self.programmer4.exports();
        let installed: usize = stats.iter().map(|stats| stats.installed).sum();
        let desired: usize = stats.iter().map(|stats| stats.desired).sum();
        Summary {
            degraded: self.degraded(),
            ports,
            kernel: if exports { installed as u64 } else { 0 },
            kernel_missing: if exports {
                (desired - installed) as u64
            } else {
                0
            },
            xdp: (self.stats::<Ipv4>().prefixes + self.stats::<Ipv6>().prefixes) as u64,
        }
    }

    fn degraded(&self) -> Vec<Degraded> {
        let mut all = Vec::new();
        let mut say = |reason: &str, detail: String| {
            all.push(Degraded {
                reason: reason.to_owned(),
                detail,
            });
        };
        let constraints = &self.plane.constraints;
        let bypass = &self.config.dataplane.bypass;
        for (kind, found) in [
            (Bypass::Netfilter, &constraints.netfilter),
            (Bypass::Rules, &constraints.rules),
            (Bypass::Xfrm, &constraints.xfrm),
        ] {
            if let Some(detail) = found.as_ref().filter(|_| !bypass.contains(&kind)) {
                say(kind.name(), detail.clone());
            }
        }
        if !bypass.contains(&Bypass::Tc) {
            for (ifindex, detail) in &constraints.tc {
                if self.plane.ports.status(*ifindex).is_some() {
                    let name = self.plane.interfaces.name(*ifindex);
                    say(Bypass::Tc.name(), format!("{name}: {detail}"));
                }
            }
        }
        for (_, port) in self.plane.ports.statuses() {
            if port.up_reason == Some(Reason::ForwardingOff) {
                say(
                    Reason::ForwardingOff.name(),
                    format!("everything received on {} goes up", port.name),
                );
            }
        }
        for (_, port) in self.plane.ports.attached() {
            if let Some(why) = port.hides_tags() {
                let name = &port.name;
                let detail = format!("everything received on {name} and its VLANs goes up: {why}");
                say(Reason::VlanOffload.name(), detail);
            }
            if port.failing() {
                let detail = format!("{} loses every redirected frame", port.name);
                say("tx-error", detail);
            }
        }
        let without_room = self.plane.ports.without_room();
        if without_room > 0 {
            say(
                "port-limit",
                format!("{without_room} interfaces are left to the kernel: no room for more ports"),
            );
        }
        let stats = [self.stats::<Ipv4>(), self.stats::<Ipv6>()];
        let uncounted: usize = stats.iter().map(|stats| stats.without_counter).sum();
        if uncounted > 0 {
            say(
                "count-full",
                format!("{uncounted} routes that should be counted are not: too many"),
            );
        }
        let overflow: usize = stats.iter().map(FibStats::without_room).sum();
        if self.plane.is_full() || overflow > 0 {
            let why = self.plane.growth_refused.iter();
            let why = why.map(|why| format!("; they could not be made larger: {why}"));
            let detail = "not everything fits into the fast path's tables";
            say("fib-full", detail.to_owned() + &why.collect::<String>());
        }
        if let Some(why) = self.plane.transmit_refused() {
            say(
                "tx-counters",
                format!("not all transmit losses are counted: {why}"),
            );
        }
        all
    }
}

/// Whether the kernel holds a route, and if it refused one of ours, why.
fn in_kernel<F: ProgrammedFamily>(
    programmer: &Programmer<F>,
    prefix: F::Prefix,
    route: &Route<F>,
) -> (bool, Option<String>) {
    if matches!(route.source, Source::Connected | Source::Kernel(_)) {
        return (true, None);
    }
    if !programmer.exports() {
        return (false, None);
    }
    match programmer.exporter().installed(prefix) {
        Installed::Yes => (true, None),
        Installed::No(refusal) => (false, Some(refusal.to_string())),
        Installed::Pending | Installed::NotWanted => (false, None),
    }
}

fn port_reason(port: &PortStatus<'_>) -> Option<String> {
    let mut words: Vec<String> = port.attachment.refused.clone();
    if let Err(why) = port.egress {
        words.push(format!("not redirected to: {why}"));
    }
    (!words.is_empty()).then(|| words.join("; "))
}

fn program_name(port: &PortStatus<'_>) -> &'static str {
    if port.attachment.program == program::FORWARD_FRAGS {
        "frags"
    } else {
        "plain"
    }
}

fn mode(mode: AttachMode) -> Mode {
    match mode {
        AttachMode::Native => Mode::Native,
        AttachMode::Generic => Mode::Generic,
    }
}

fn mac(octets: [u8; 6]) -> String {
    let parts: Vec<String> = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    parts.join(":")
}

type Found = (u32, forwarder_common::abi::Adjacency);

fn words(decision: Decision) -> (&'static str, Option<Reason>, Option<Found>) {
    match decision {
        Decision::Forward { slot, adjacency } => ("forward", None, Some((slot, adjacency))),
        Decision::Up(reason) => ("up", Some(reason), None),
        Decision::Drop(reason) => ("drop", Some(reason), None),
        Decision::Resolve { .. } => ("resolve", Some(Reason::Unresolved), None),
        Decision::Balance { .. } => ("balance", None, None),
    }
}

fn gateway<F: MapFamily>(target: &Target<F>) -> Option<IpAddr> {
    match target {
        Target::Via { gateway, .. } => Some((*gateway).into()),
        _ => None,
    }
}
