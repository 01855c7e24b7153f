//! The daemon as the API sees it: every question goes to the task that owns
//! the answer.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use forwarder_core::interface::Interfaces;
use forwarder_core::net::{Family, Ipv4, Ipv6, TableId};
use forwarder_core::rib::Generation as RibGeneration;
use forwarder_core::rip::{Clear, RouteOrigin, RouteRow, Scope};
use ipnet::IpNet;
use tokio::sync::{mpsc, oneshot, watch};

use super::rip::RipCommands;
use super::{Control, RunOptions, routes};
use crate::api::backend::{
    ApiError, ApiErrorKind, Backend, EventQuery, Reply, RouteQuery, RouteTable,
};
use crate::api::counters::PortCounters;
use crate::api::lookup::compare;
use crate::api::model::{
    Done, Events, FamilyGeneration, Fib, Generation, Interface, KernelAnswer, Lookup, Neighbor,
    NetlinkSummary, Nexthop, RipClear, RipError, RipErrorOccurrence, RipInterface, RipNeighbor,
    RipRoute, RipSummary, Route, RouteCounter, RouteSummary, Status,
};
use crate::clock;
use crate::dataplane::events::Question;
use crate::dataplane::programmer::{ProgrammedFamily, Reached};
use crate::dataplane::query::Query;
use crate::kernel::{self, MonitorCounters};
use crate::rib_task::{Filter, RibHandle};
use crate::rip_io::Command;

/// What the backend asks.
pub(super) struct Parts {
    pub(super) options: RunOptions,
    pub(super) rib4: RibHandle<Ipv4>,
    pub(super) rib6: RibHandle<Ipv6>,
    pub(super) dataplane: mpsc::Sender<Query>,
    pub(super) events: mpsc::Sender<Question>,
    pub(super) rip: RipCommands,
    pub(super) interfaces: watch::Receiver<Arc<Interfaces>>,
    pub(super) reached: watch::Receiver<[Reached; 2]>,
    pub(super) rip_reached: watch::Receiver<RibGeneration>,
    pub(super) counters: Arc<MonitorCounters>,
    pub(super) control: mpsc::Sender<Control>,
}

/// Implements the API over the daemon's tasks.
pub(super) struct DaemonBackend {
    parts: Parts,
    started: Instant,
}

/// Asks a task; it ends only when the daemon does.
pub(super) async fn ask<Q, T>(
    task: &mpsc::Sender<Q>,
    question: impl FnOnce(oneshot::Sender<T>) -> Q,
) -> Reply<T> {
    let (reply, answer) = oneshot::channel();
    task.send(question(reply))
        .await
        .map_err(|_| ApiError::stopping())?;
    answer.await.map_err(|_| ApiError::stopping())
}

impl DaemonBackend {
    pub(super) fn new(parts: Parts) -> Arc<DaemonBackend> {
        Arc::new(DaemonBackend {
            parts,
            started: Instant::now(),
        })
    }

    async fn dataplane<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Query) -> Reply<T> {
        ask(&self.parts.dataplane, question).await
    }

    async fn rip<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Command) -> Reply<T> {
        let commands = self.parts.rip.borrow().clone();
        ask(&commands.ok_or_else(ApiError::rip_is_off)?, question).await
    }

    /// The shown routes of one family that `keep` lets through.
    async fn shown<F: ProgrammedFamily>(
        &self,
        rib: &RibHandle<F>,
        filter: Filter<F>,
        keep: impl Fn(TableId) -> bool,
    ) -> Reply<Vec<Route>> {
        let entries = rib.show(filter).await;
        let mut entries = entries.map_err(|_| ApiError::stopping())?;
        entries.retain(|entry| keep(entry.table));
        let interfaces = self.parts.interfaces.borrow().clone();
        routes::show(&self.parts.dataplane, &interfaces, &entries).await
    }

    fn generation(&self) -> Generation {
        let rib = *self.parts.rib4.generation.borrow();
        let [reached, reached6] = *self.parts.reached.borrow();
        // A sink that is off has nothing to follow.
        let off = self.parts.rip.borrow().is_none();
        let rip = if off {
            rib
        } else {
            *self.parts.rip_reached.borrow()
        };
        Generation {
            epoch: rib.epoch,
            rib: rib.number,
            kernel: reached.kernel.number,
            xdp: reached.xdp.number,
            rip: rip.number,
            ipv6: FamilyGeneration {
                rib: self.parts.rib6.generation.borrow().number,
                kernel: reached6.kernel.number,
                xdp: reached6.xdp.number,
            },
        }
    }

    async fn rip_summary(&self) -> Reply<Option<RipSummary>> {
        if self.parts.rip.borrow().is_none() {
            return Ok(None);
        }
        let interfaces = self.rip(Command::Interfaces).await?;
        let neighbors = self.rip(Command::Neighbors).await?;
        let routes = self.rip(Command::RouteCount).await?;
        Ok(Some(RipSummary {
            interfaces: interfaces.len() as u32,
            neighbors: neighbors.len() as u32,
            routes: routes as u64,
            socket_drops: interfaces
                .iter()
                .map(|interface| u64::from(interface.socket_drops))
                .sum(),
        }))
    }

    async fn control(&self, control: Control) -> Reply<()> {
        self.parts
            .control
            .send(control)
            .await
            .map_err(|_| ApiError::stopping())
    }
}

impl Backend for DaemonBackend {
    async fn status(&self) -> Reply<Status> {
        let summary = self.dataplane(Query::Summary).await?;
        let fib = self.dataplane(Query::Fib).await?;
        let mut selected = self.parts.rib4.summary().await;
        if let (Ok(selected), Ok(other)) = (&mut selected, self.parts.rib6.summary().await) {
            selected.add(other);
        }
        let selected = selected.map_err(|_| ApiError::stopping())?;
        let counts = self.parts.counters.read();
        let paths = &self.parts.options.paths;
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").into(),
            instance: paths.instance.to_string(),
            pid: std::process::id(),
            uptime: self.started.elapsed().as_secs(),
            config: self.parts.options.config_path.display().to_string(),
            engine: fib.engine,
            generation: self.generation(),
            degraded: summary.degraded,
            ports: summary.ports,
            routes: RouteSummary {
                prefixes: selected.prefixes,
                selected: named(selected.selected),
                kernel: summary.kernel,
                kernel_missing: summary.kernel_missing,
                xdp: summary.xdp,
            },
            rip: self.rip_summary().await?,
            netlink: NetlinkSummary {
                overruns: counts.overruns,
                undecodable: counts.undecodable,
            },
        })
    }

    async fn routes(&self, query: RouteQuery) -> Reply<Vec<Route>> {
        let keep = |table| match query.table {
            RouteTable::Main => table == TableId::MAIN,
            RouteTable::Local => table == TableId::LOCAL,
            RouteTable::All => true,
        };
        let (filter4, filter6) = match query.prefix {
            None => (Some(Filter::All), Some(Filter::All)),
            Some(IpNet::V4(prefix)) => (Some(Filter::Exact(prefix)), None),
            Some(IpNet::V6(prefix)) => (None, Some(Filter::Exact(prefix))),
        };
        let mut routes = Vec::new();
        if let Some(filter) = filter4 {
            routes.extend(self.shown(&self.parts.rib4, filter, keep).await?);
        }
        if let Some(filter) = filter6 {
            routes.extend(self.shown(&self.parts.rib6, filter, keep).await?);
        }
        Ok(routes)
    }

    async fn lookup(&self, address: IpAddr) -> Reply<Lookup> {
        let offers = match address {
            IpAddr::V4(address) => {
                let filter = Filter::Longest(address);
                self.shown(&self.parts.rib4, filter, |_| true).await?
            }
            IpAddr::V6(address) => {
                let filter = Filter::Longest(address);
                self.shown(&self.parts.rib6, filter, |_| true).await?
            }
        };
        let selected = offers.into_iter().find(|route| route.selected);
        let xdp = self
            .dataplane(|reply| Query::Lookup(address, reply))
            .await?;
        let found = kernel::lookup(address).await.map_err(|error| {
            let what = format!("asking the kernel for the route to {address}: {error}");
            ApiError::new(ApiErrorKind::Internal, what, "try again")
        })?;
        let interfaces = self.parts.interfaces.borrow().clone();
        let answer = KernelAnswer {
            kind: found.kind.map_or("none", |kind| kind.name()).into(),
            via: found.gateway,
            dev: found.ifindex.map(|ifindex| interfaces.name(ifindex)),
        };
        Ok(compare(address, selected, answer, xdp))
    }

    async fn interfaces(&self) -> Reply<Vec<Interface>> {
        self.dataplane(Query::Interfaces).await
    }

    async fn neighbors(&self) -> Reply<Vec<Neighbor>> {
        self.dataplane(Query::Neighbors).await
    }

    async fn nexthops(&self) -> Reply<Vec<Nexthop>> {
        self.dataplane(Query::Nexthops).await
    }

    async fn counters(&self) -> Reply<Vec<PortCounters>> {
        self.dataplane(Query::Counters).await
    }

    async fn route_counters(&self) -> Reply<Vec<RouteCounter>> {
        self.dataplane(Query::RouteCounters).await
    }

    async fn events(&self, query: EventQuery) -> Reply<Events> {
        ask(&self.parts.events, |reply| Question { query, reply }).await
    }

    async fn fib(&self) -> Reply<Fib> {
        self.dataplane(Query::Fib).await
    }

    async fn rip_interfaces(&self) -> Reply<Vec<RipInterface>> {
        let rows = self.rip(Command::Interfaces).await?;
        let shown = rows.into_iter().map(|status| RipInterface {
            name: status.row.name,
            ifindex: status.row.ifindex.0,
            passive: status.row.passive,
            version: status.row.version,
            cost: status.row.cost.get(),
            split_horizon: status.row.split_horizon.name().into(),
            auth: status.row.auth.map(|kind| kind.name().into()),
            next_update: status.row.next_update.map(|wait| wait.as_secs()),
            neighbors: status.row.neighbors as u32,
            received: status.row.received,
            sent: status.row.sent,
            socket_drops: u64::from(status.socket_drops),
            receive_buffer: status.receive_buffer as u64,
        });
        Ok(shown.collect())
    }

    async fn rip_neighbors(&self) -> Reply<Vec<RipNeighbor>> {
        let rows = self.rip(Command::Neighbors).await?;
        let shown = rows.into_iter().map(|row| RipNeighbor {
            address: row.address.into(),
            interface: row.interface,
            version: row.version,
            last_seen: row.last_seen.as_secs(),
            routes: row.routes as u64,
            bad_packets: row.bad_packets,
            bad_routes: row.bad_routes,
            refused: row
                .refused
                .iter()
                .map(|(reason, count)| (reason.name().into(), *count))
                .collect(),
            auth: row.proof.map(|proof| match proof.key {
                Some(key) => format!("{} key {key}", proof.kind.name()),
                None => proof.kind.name().into(),
            }),
        });
        Ok(shown.collect())
    }

    async fn rip_routes(&self) -> Reply<Vec<RipRoute>> {
        let rows = self.rip(Command::Routes).await?;
        let interfaces = self.parts.interfaces.borrow().clone();
        Ok(rows
            .iter()
            .flat_map(|row| rip_routes(row, &interfaces))
            .collect())
    }

    async fn rip_errors(&self) -> Reply<Vec<RipError>> {
        let rows = self.rip(Command::Errors).await?;
        let interfaces = self.parts.interfaces.borrow().clone();
        let shown = rows.into_iter().map(|row| RipError {
            reason: row.reason.name().into(),
            scope: match row.reason.scope() {
                Scope::Packet => "packet".into(),
                Scope::Entry => "entry".into(),
            },
            count: row.count,
            last: row.last.map(|last| RipErrorOccurrence {
                age: (clock::now() - last.at).as_secs(),
                interface: interfaces.name(last.ifindex),
                address: last.source.into(),
            }),
        });
        Ok(shown.collect())
    }

    async fn rip_clear(&self, what: RipClear) -> Reply<Done> {
        let (clear, message) = match what {
            RipClear::Neighbor { address } => (
                Clear::Neighbor(Ipv4::from_ip(address).ok_or_else(|| {
                    let what = format!("{address} is no neighbour of RIP, which speaks IPv4");
                    let hint = "`forwarder show rip neighbors` lists them";
                    ApiError::new(ApiErrorKind::NotFound, what, hint)
                })?),
                format!("neighbour {address} forgotten"),
            ),
            RipClear::Routes => (Clear::Routes, "routes forgotten and asked for again".into()),
            RipClear::Counters => (Clear::Counters, "counters are zero".into()),
        };
        self.rip(|reply| Command::Clear(clear, reply)).await?;
        Ok(Done { message })
    }

    async fn rip_request(&self, interface: String) -> Reply<Done> {
        let name = interface.clone();
        if self.rip(|reply| Command::Request(name, reply)).await? {
            return Ok(Done {
                message: format!("request sent on {interface}"),
            });
        }
        let hint = "`forwarder show rip interfaces` lists where it does";
        let error = format!("RIP does not run on {interface}");
        Err(ApiError::new(ApiErrorKind::NotFound, error, hint))
    }

    async fn reload(&self) -> Reply<Done> {
        let (reply, answer) = oneshot::channel();
        self.control(Control::Reload(reply)).await?;
        answer.await.map_err(|_| ApiError::stopping())?
    }

    async fn stop(&self) -> Reply<Done> {
        self.control(Control::Stop).await?;
        Ok(Done {
            message: "stopping".into(),
        })
    }
}

fn named(selected: BTreeMap<forwarder_core::route::Source, u64>) -> BTreeMap<String, u64> {
    selected
        .into_iter()
        .map(|(source, count)| (source.to_string(), count))
        .collect()
}

/// Our own networks and redistributed routes have a row of their own; learnt
/// ones one for each offer.
fn rip_routes(row: &RouteRow<Ipv4>, interfaces: &Interfaces) -> Vec<RipRoute> {
    let own = |origin: &str| RipRoute {
        prefix: row.prefix.into(),
        origin: origin.into(),
        selected: row.metric.is_reachable(),
        metric: row.metric.get(),
        tag: row.tag,
        via: None,
        neighbor: None,
        interface: None,
        expires: row.forgotten_in.map(|left| left.as_secs()),
    };
    let mut rows = match row.origin {
        RouteOrigin::Connected => vec![own("interface")],
        RouteOrigin::Redistributed => vec![own("redistributed")],
        RouteOrigin::Garbage => vec![own("learnt")],
        RouteOrigin::Learnt => Vec::new(),
    };
    rows.extend(row.offers.iter().map(|offer| RipRoute {
        prefix: row.prefix.into(),
        origin: "learnt".into(),
        selected: offer.best && row.origin == RouteOrigin::Learnt,
        metric: offer.metric.get(),
        tag: offer.tag,
        via: Some(offer.via.into()),
        neighbor: Some(offer.neighbor.address.into()),
        interface: Some(interfaces.name(offer.neighbor.ifindex)),
        expires: None,
    }));
    rows
}
