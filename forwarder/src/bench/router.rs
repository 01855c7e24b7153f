//! A router between two hosts, all on this machine, and what forwards in it.
//!
//! ```text
//! hosts: g7 ──veth── in: router 7: out ──veth── s7 :hosts
//! ```
//!
//! Frames begin at `in`, which receives them from the generator as from a wire;
//! its veth only makes it a port that is up.
//!
//! The hosts' ends of all routers are in one namespace; each router has one of
//! its own. The next hops are neighbours behind `out` with a MAC address each,
//! so that the sink sees by which one a frame has come.

use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::Context as _;
use aya::programs::{ProgramFd, XdpMode};
use forwarder_common::abi::{Port, Tags, program};
use forwarder_core::config::Engine;
use forwarder_core::fib::{FibOp, PortState};
use forwarder_core::kernel::event::{Neighbour, NeighbourEvent, NeighbourState};
use forwarder_core::kernel::export::{ExportOp, ExportRoute};
use forwarder_core::net::{Ifindex, TableId};
use forwarder_core::route::{Candidate, Distance, Nexthop, RouteType, Source};
use nix::net::if_::if_nametoindex;

use super::family::BenchFamily;
use super::namespace::Namespace;
use super::table::Table;
use super::{Pass, Relay};
use crate::dataplane::object::{Lookup, Object};
use crate::dataplane::side::Side;
use crate::dataplane::tables::Tables;
use crate::kernel::{Identity, KernelWriter};

const IN: &str = "in";
const OUT: &str = "out";
const MTU: u32 = 1500;
/// `static`, as an administrator's routes.
const ROUTES: Identity = Identity {
    protocol: 4,
    metric: 0,
};

/// The forwarding program that ports carry: that for drivers with multi-buffer
/// frames, as in a router.
pub const PROGRAM: &str = program::FORWARD_FRAGS;

/// The MAC address of a next hop.
pub fn hop_mac(hop: u8) -> [u8; 6] {
    [2, 0, 0, 0, 1, hop]
}

/// An engine with room for a table.
pub fn lookup_for<F: BenchFamily>(engine: Engine, table: &Table<F>) -> Lookup {
    let rows = table.rows();
    let (rows4, rows6) = if F::BITS == 32 { (rows, 0) } else { (0, rows) };
    match engine {
        Engine::Multibit => Lookup::Multibit { rows4, rows6 },
        Engine::LpmTrie => Lookup::LpmTrie {
            // The fixed entries and the links of the measurement: a few.
            prefixes: table.routes.len() as u32 + 1024,
        },
        Engine::Kernel => Lookup::Kernel,
    }
}

/// What makes the frames go from one port to the other.
pub enum Forwarder<F: BenchFamily> {
    /// Our program.
    Ours(Box<Ours<F>>),
    /// No lookup and no checks. Held for its Drop, which detaches it; likewise
    /// the next.
    Relay(Relay),
    /// The kernel; a program of two instructions on each port.
    Kernel([Pass; 2]),
}

impl<F: BenchFamily> Forwarder<F> {
    /// The program that receives frames; `None` = the kernel does.
    pub fn program(&mut self) -> anyhow::Result<Option<&ProgramFd>> {
        match self {
            Forwarder::Ours(ours) => Ok(Some(ours.object.xdp(PROGRAM)?.fd()?)),
            Forwarder::Relay(relay) => Ok(Some(relay.program()?)),
            Forwarder::Kernel(_) => Ok(None),
        }
    }
}

/// Our program with its maps.
pub struct Ours<F: BenchFamily> {
    /// The programs.
    pub object: Object,
    /// The maps.
    pub tables: Tables,
    /// What is in them.
    pub side: Side<F>,
}

/// A router's ports.
pub struct Router {
    namespace: Namespace,
    /// MAC address of the port that frames come in by.
    pub mac: [u8; 6],
    out_mac: [u8; 6],
    ports: [Ifindex; 2],
    /// The host's end before the router.
    pub before: String,
    /// The host's end behind it.
    pub behind: String,
}

impl Router {
    /// Links a new router to the hosts; `number` tells it from others.
    pub fn new<F: BenchFamily>(hosts: &Namespace, number: usize, hops: u8) -> anyhow::Result<Self> {
        let namespace = Namespace::new()?;
        let (before, behind) = (format!("g{number}"), format!("s{number}"));
        namespace.ip(&lines::<F>(&hosts.path(), &before, &behind, hops)?)?;
        hosts.ip(&format!("link set {before} up\nlink set {behind} up\n"))?;
        let index = |name: &str| {
            let index = if_nametoindex(name);
            index
                .with_context(|| format!("looking {name} up"))
                .map(Ifindex)
        };
        let ports = namespace.enter(|| Ok([index(IN)?, index(OUT)?]))?;
        Ok(Router {
            mac: namespace.mac(IN)?,
            out_mac: namespace.mac(OUT)?,
            ports,
            before,
            behind,
            namespace,
        })
    }

    /// The bare redirect, to the first next hop.
    pub fn relay<F: BenchFamily>(&self) -> anyhow::Result<Forwarder<F>> {
        let attach = || {
            let (from, to) = (self.out_mac, hop_mac(0));
            Ok(Relay::attach(IN, OUT, from, to, XdpMode::Driver)?)
        };
        Ok(Forwarder::Relay(self.namespace.enter(attach)?))
    }

    /// Our program with an engine, without routes. Without an engine
    /// (`Lookup::Constant`) everything goes to the first next hop.
    pub fn ours<F: BenchFamily>(&self, lookup: Lookup, hops: u8) -> anyhow::Result<Ours<F>> {
        self.enter(|| {
            let mut object = Object::load(lookup)?;
            for port in self.ports {
                let program = object.xdp(PROGRAM)?;
                program
                    .attach_to_if_index(port.0, XdpMode::Driver)
                    .context("attaching the forwarding program")?;
            }
            self.install(object, hops)
        })
    }

    /// Fills the maps of an object, all but the routes.
    pub fn install<F: BenchFamily>(&self, mut object: Object, hops: u8) -> anyhow::Result<Ours<F>> {
        let lookup = object.lookup();
        let mut tables = Tables::new(&mut object)?;
        let side = Side::new(&mut tables);
        let mut ours = Ours {
            object,
            tables,
            side,
        };
        if lookup == Lookup::Constant {
            // The first route: it gets the id that the program takes.
            let all = F::prefix(F::FIRST, 0).context("a prefix of length 0")?;
            ours.route(all, &self.via::<F>(0));
        }
        self.fill(&mut ours, hops)?;
        Ok(ours)
    }

    /// Does something in the router's namespace.
    pub fn enter<T>(&self, body: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
        self.namespace.enter(body)
    }

    /// Index of the port that frames come in by.
    pub fn ingress(&self) -> u32 {
        self.ports[0].0
    }

    /// That of the other one.
    pub fn egress(&self) -> u32 {
        self.ports[1].0
    }

    /// Ports, neighbours and links, as the daemon has them.
    fn fill<F: BenchFamily>(&self, ours: &mut Ours<F>, hops: u8) -> anyhow::Result<()> {
        let macs = [self.mac, self.out_mac];
        for (number, (port, mac)) in (1..).zip(self.ports.into_iter().zip(macs)) {
            ours.tables.set_port(Port {
                ifindex: port.0,
                number,
                mac,
                tx: number,
                ..Port::default()
            })?;
            let state = PortState {
                number,
                tx: number,
                tags: Tags::NONE,
                mac,
                mtu: MTU,
                can_transmit: true,
                tc: false,
            };
            ours.side.set_port(&mut ours.tables, (port, Some(state)));
        }
        for (link, (port, prefix)) in self.ports.into_iter().zip(F::links()).enumerate() {
            let own = F::host(F::on_link(link, 1));
            let local = route::<F>(RouteType::Local, Nexthop::link(port));
            let tables = &mut ours.tables;
            ours.side
                .set_route(tables, TableId::LOCAL, own, Some(&local));
            ours.route(prefix, &route::<F>(RouteType::Unicast, Nexthop::link(port)));
        }
        self.set_neighbours(ours, hops, hop_mac);
        Ok(())
    }

    /// The routes by next hop.
    pub fn candidates<F: BenchFamily>(&self, hops: u8) -> Vec<Candidate<F>> {
        (0..hops).map(|hop| self.via::<F>(hop)).collect()
    }

    /// Puts the table into our maps.
    pub fn route_all<F: BenchFamily>(&self, ours: &mut Ours<F>, table: &Table<F>, hops: u8) {
        let routes = self.candidates::<F>(hops);
        for (prefix, hop) in &table.routes {
            ours.route(*prefix, &routes[usize::from(*hop)]);
        }
    }

    /// A route by a next hop.
    fn via<F: BenchFamily>(&self, hop: u8) -> Candidate<F> {
        route(RouteType::Unicast, Nexthop::via(F::hop(hop), self.ports[1]))
    }

    /// The kernel forwards.
    pub fn kernel<F: BenchFamily>(&self) -> anyhow::Result<Forwarder<F>> {
        let attach = |port| Pass::attach(port, XdpMode::Driver);
        let ports = self.namespace.enter(|| Ok([attach(IN)?, attach(OUT)?]))?;
        Ok(Forwarder::Kernel(ports))
    }

    /// Puts the table into the kernel's own.
    pub async fn kernel_routes<F: BenchFamily>(&self, table: &Table<F>) -> anyhow::Result<()> {
        let mut writer = self.namespace.enter(|| Ok(KernelWriter::open(ROUTES)?))?;
        let ops: Vec<ExportOp<F>> = table
            .routes
            .iter()
            .map(|(prefix, hop)| {
                ExportOp::Add(Arc::new(ExportRoute {
                    prefix: *prefix,
                    kind: RouteType::Unicast,
                    nexthops: vec![Nexthop::via(F::hop(*hop), self.ports[1])],
                    mtu: None,
                }))
            })
            .collect();
        let results = writer.apply(&ops).await;
        for (op, result) in ops.iter().zip(results) {
            result.with_context(|| format!("adding {} to the kernel's table", op.prefix()))?;
        }
        Ok(())
    }
}

impl<F: BenchFamily> Ours<F> {
    /// One write to the maps, as [`Side`] does it; here to be timed.
    pub fn carry_out(&mut self, op: &FibOp<F>) {
        if let Err(error) = self.tables.carry_out::<F>(op) {
            tracing::error!("a map did not take {op:?}: {error}");
        }
    }

    /// A route of table main.
    pub fn route(&mut self, prefix: F::Prefix, route: &Candidate<F>) {
        let tables = &mut self.tables;
        self.side
            .set_route(tables, TableId::MAIN, prefix, Some(route));
    }
}

fn route<F: BenchFamily>(kind: RouteType, nexthop: Nexthop<F>) -> Candidate<F> {
    Candidate {
        kind,
        nexthops: vec![nexthop],
        source: Source::Static,
        distance: Distance(1),
        metric: 0,
        tag: 0,
        mtu: None,
        kernel_metric: None,
        preferred_source: None,
        attributes: None,
    }
}

/// What `ip` makes of a router. The neighbours are permanent: nobody answers for
/// them.
fn lines<F: BenchFamily>(
    hosts: &str,
    before: &str,
    behind: &str,
    hops: u8,
) -> anyhow::Result<String> {
    let mut text = String::new();
    for (link, (port, peer)) in [(IN, before), (OUT, behind)].into_iter().enumerate() {
        let (address, len) = (F::on_link(link, 1), F::len(&F::links()[link]));
        let nodad = if F::BITS == 128 { " nodad" } else { "" };
        writeln!(
            text,
            "link add {port} type veth peer name {peer} netns {hosts}"
        )?;
        writeln!(text, "link set {port} up")?;
        writeln!(text, "address add {address}/{len} dev {port}{nodad}")?;
    }
    text += &neighbours::<F>("add", hops, hop_mac)?;
    Ok(text)
}

fn neighbours<F: BenchFamily>(
    verb: &str,
    hops: u8,
    mac: impl Fn(u8) -> [u8; 6],
) -> anyhow::Result<String> {
    let mut text = String::new();
    for hop in 0..hops {
        let mac = mac(hop).map(|byte| format!("{byte:02x}")).join(":");
        let address = F::hop(hop);
        writeln!(
            text,
            "neighbour {verb} {address} lladdr {mac} dev {OUT} nud permanent"
        )?;
    }
    Ok(text)
}

impl Router {
    /// Gives the next hops of our program other MAC addresses.
    pub fn set_hops<F: BenchFamily>(
        &self,
        ours: &mut Ours<F>,
        hops: u8,
        mac: impl Fn(u8) -> [u8; 6],
    ) -> anyhow::Result<()> {
        if ours.object.lookup() == Lookup::Kernel {
            return self.namespace.ip(&neighbours::<F>("replace", hops, mac)?);
        }
        self.set_neighbours(ours, hops, mac);
        Ok(())
    }

    fn set_neighbours<F: BenchFamily>(
        &self,
        ours: &mut Ours<F>,
        hops: u8,
        mac: impl Fn(u8) -> [u8; 6],
    ) {
        for hop in 0..hops {
            let event = NeighbourEvent::Set(Neighbour {
                ifindex: self.ports[1],
                address: F::hop(hop),
                state: NeighbourState::Usable(mac(hop)),
                managed: false,
            });
            ours.side.neighbour_event(&mut ours.tables, &event);
        }
    }

    /// Lets the kernel forward; `bpf_fib_lookup` asks for it too.
    pub fn enable_forwarding(&self) -> anyhow::Result<()> {
        self.namespace.sysctl("net/ipv4/ip_forward", "1")?;
        self.namespace.sysctl("net/ipv6/conf/all/forwarding", "1")
    }
}
