//! The daemon as the API sees it: every question goes to the task that owns
//! the answer.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use forwarder_core::interface::Interfaces;
use forwarder_core::net::{Family, Ipv4, Ipv6, TableId};
use forwarder_core::rib::Generation as RibGeneration;
use forwarder_core::rip::Clear;
use ipnet::IpNet;
use tokio::sync::{mpsc, oneshot, watch};

use super::clients;
use super::rip::RipCommands;
use super::{Control, RunOptions, routes};
use crate::api::backend::{
    ApiError, ApiErrorKind, Backend, EventQuery, Reply, RouteQuery, RouteTable,
};
use crate::api::counters::PortCounters;
use crate::api::lookup::compare;
use crate::api::model::{
    Clients, Done, Events, FamilyGeneration, Fib, FibRoute, Generation, Interface, KernelAnswer,
    Lookup, Neighbor, NetlinkSummary, Nexthop, RecordingSummary, RipClear, RipError, RipInterface,
    RipNeighbor, RipRoute, RipSummary, Route, RouteCounter, RouteSummary, Status,
};
use crate::dataplane::events::Question;
use crate::dataplane::listing::Page;
use crate::dataplane::programmer::{ProgrammedFamily, Reached};
use crate::dataplane::query::Query;
use crate::kernel::{self, MonitorCounters};
use crate::rib_task::{Filter, RibHandle};
use crate::rip_io::Command;
use crate::rip_record::Recording;
use crate::route_events::Counts;
use crate::route_socket::roster::Roster;
use crate::{clock, rip_rows};

/// Asks RIP and RIPng the same; an error where both are off.
macro_rules! both {
    ($self:ident, $question:expr) => {{
        let rip = ask_rip(&$self.parts.rip, $question).await?;
        let ripng = ask_rip(&$self.parts.ripng, $question).await?;
        if rip.is_none() && ripng.is_none() {
            return Err(ApiError::rip_is_off());
        }
        (rip, ripng)
    }};
}

/// What the backend asks.
pub(super) struct Parts {
    pub(super) options: RunOptions,
    /// Who is connected to the routing socket.
    pub(super) roster: Roster,
    pub(super) event_counts: Arc<Counts>,
    /// The metric of our routes in the kernel, if they go there.
    pub(super) export_metric: Option<u32>,
    pub(super) rib4: RibHandle<Ipv4>,
    pub(super) rib6: RibHandle<Ipv6>,
    pub(super) dataplane: mpsc::Sender<Query>,
    pub(super) events: mpsc::Sender<Question>,
    pub(super) rip: RipCommands<Ipv4>,
    pub(super) ripng: RipCommands<Ipv6>,
    pub(super) interfaces: watch::Receiver<Arc<Interfaces>>,
    pub(super) reached: watch::Receiver<[Reached; 2]>,
    pub(super) rip_reached: watch::Receiver<RibGeneration>,
    pub(super) ripng_reached: watch::Receiver<RibGeneration>,
    pub(super) counters: Arc<MonitorCounters>,
    pub(super) control: mpsc::Sender<Control>,
    /// Where RIP is recorded, if it is.
    pub(super) recording: Option<Recording>,
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
        let metric = self.parts.export_metric;
        routes::show(&self.parts.dataplane, &interfaces, metric, &entries).await
    }

    fn generation(&self) -> Generation {
        let rib = *self.parts.rib4.generation.borrow();
        let [reached, reached6] = *self.parts.reached.borrow();
        let rib6 = *self.parts.rib6.generation.borrow();
        // A sink that is off has nothing to follow.
        let rip = match self.parts.rip.borrow().is_some() {
            true => *self.parts.rip_reached.borrow(),
            false => rib,
        };
        let ripng = match self.parts.ripng.borrow().is_some() {
            true => *self.parts.ripng_reached.borrow(),
            false => rib6,
        };
        Generation {
            epoch: rib.epoch,
            rib: rib.number,
            kernel: reached.kernel.number,
            xdp: reached.xdp.number,
            rip: rip.number,
            ipv6: FamilyGeneration {
                rib: rib6.number,
                kernel: reached6.kernel.number,
                xdp: reached6.xdp.number,
                rip: ripng.number,
            },
        }
    }

    /// RIP and RIPng together; `None` where both are off.
    async fn rip_summary(&self) -> Reply<Option<RipSummary>> {
        if self.parts.rip.borrow().is_none() && self.parts.ripng.borrow().is_none() {
            return Ok(None);
        }
        let rip = summary(&self.parts.rip).await?;
        let ripng = summary(&self.parts.ripng).await?;
        Ok(Some(RipSummary {
            interfaces: rip.interfaces + ripng.interfaces,
            neighbors: rip.neighbors + ripng.neighbors,
            routes: rip.routes + ripng.routes,
            socket_drops: rip.socket_drops + ripng.socket_drops,
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
            recording: self.parts.recording.as_ref().map(recording),
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

    async fn clients(&self) -> Reply<Clients> {
        let ipv4 = self
            .parts
            .rib4
            .client_routes()
            .await
            .map_err(|_| ApiError::stopping())?;
        let ipv6 = self
            .parts
            .rib6
            .client_routes()
            .await
            .map_err(|_| ApiError::stopping())?;
        let entries = self.parts.roster.ask().await;
        Ok(Clients {
            clients: entries.iter().map(|entry| clients::row(entry)).collect(),
            ipv4: clients::routes(ipv4),
            ipv6: clients::routes(ipv6),
            totals: clients::totals(self.parts.roster.totals(), &self.parts.event_counts),
        })
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

    async fn fib_routes(&self, ipv6: bool) -> Reply<Vec<FibRoute>> {
        let mut page = Page::first(ipv6);
        let mut all: Vec<FibRoute> = Vec::new();
        loop {
            let some = self
                .dataplane(|reply| Query::FibRoutes(page, reply))
                .await?;
            let Some(last) = some.last() else {
                return Ok(all);
            };
            page.after = Some(last.destination);
            all.extend(some);
        }
    }

    async fn rip_interfaces(&self) -> Reply<Vec<RipInterface>> {
        let (rip, ripng) = both!(self, Command::Interfaces);
        let rows = rip.into_iter().flatten().map(rip_rows::interface);
        let rows_ng = ripng.into_iter().flatten().map(rip_rows::interface);
        Ok(rows.chain(rows_ng).collect())
    }

    async fn rip_neighbors(&self) -> Reply<Vec<RipNeighbor>> {
        let (rip, ripng) = both!(self, Command::Neighbors);
        let rows = rip.into_iter().flatten().map(rip_rows::neighbor);
        let rows_ng = ripng.into_iter().flatten().map(rip_rows::neighbor);
        Ok(rows.chain(rows_ng).collect())
    }

    async fn rip_routes(&self) -> Reply<Vec<RipRoute>> {
        let (rip, ripng) = both!(self, Command::Routes);
        let interfaces = self.parts.interfaces.borrow().clone();
        let rip = rip.iter().flatten();
        let ripng = ripng.iter().flatten();
        let name = |ifindex| interfaces.name(ifindex);
        let rows = rip.flat_map(|row| rip_rows::routes(row, name));
        let rows_ng = ripng.flat_map(|row| rip_rows::routes(row, name));
        Ok(rows.chain(rows_ng).collect())
    }

    async fn rip_errors(&self) -> Reply<Vec<RipError>> {
        let (rip, ripng) = both!(self, Command::Errors);
        let interfaces = self.parts.interfaces.borrow().clone();
        let rip = rip.iter().flatten();
        let ripng = ripng.iter().flatten();
        let (now, name) = (clock::now(), |ifindex| interfaces.name(ifindex));
        let rows = rip.map(|row| rip_rows::error(row, now, name));
        let rows_ng = ripng.map(|row| rip_rows::error(row, now, name));
        Ok(rows.chain(rows_ng).collect())
    }

    async fn rip_clear(&self, what: RipClear) -> Reply<Done> {
        let message = match what {
            RipClear::Neighbor { address } => format!("neighbour {address} forgotten"),
            RipClear::Routes => "routes forgotten and asked for again".into(),
            RipClear::Counters => "counters are zero".into(),
        };
        let (rip, ripng) = (clear::<Ipv4>(&what), clear::<Ipv6>(&what));
        let ask4 = async {
            match rip {
                Some(what) => ask_rip(&self.parts.rip, |to| Command::Clear(what, to)).await,
                None => Ok(None),
            }
        };
        let ask6 = async {
            match ripng {
                Some(what) => ask_rip(&self.parts.ripng, |to| Command::Clear(what, to)).await,
                None => Ok(None),
            }
        };
        let (done, done_ng) = (ask4.await?, ask6.await?);
        if done.is_none() && done_ng.is_none() {
            return Err(ApiError::rip_is_off());
        }
        Ok(Done { message })
    }

    async fn rip_request(&self, interface: String) -> Reply<Done> {
        let (rip, ripng) = both!(self, |to| Command::Request(interface.clone(), to));
        if rip == Some(true) || ripng == Some(true) {
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

/// What a task of RIP's answers; `None` where it is off.
async fn ask_rip<F: Family, T>(
    commands: &RipCommands<F>,
    question: impl FnOnce(oneshot::Sender<T>) -> Command<F>,
) -> Reply<Option<T>> {
    let commands = commands.borrow().clone();
    match commands {
        Some(commands) => ask(&commands, question).await.map(Some),
        None => Ok(None),
    }
}

async fn summary<F: Family>(commands: &RipCommands<F>) -> Reply<RipSummary> {
    let interfaces = ask_rip(commands, Command::Interfaces).await?;
    let interfaces = interfaces.unwrap_or_default();
    let neighbors = ask_rip(commands, Command::Neighbors).await?;
    let routes = ask_rip(commands, Command::RouteCount).await?;
    let drops = interfaces
        .iter()
        .map(|status| u64::from(status.socket_drops));
    Ok(RipSummary {
        socket_drops: drops.sum(),
        interfaces: interfaces.len() as u32,
        neighbors: neighbors.map_or(0, |rows| rows.len()) as u32,
        routes: routes.unwrap_or(0) as u64,
    })
}

/// What one of the two is to forget; `None` for a neighbour of the other's.
fn clear<F: Family>(what: &RipClear) -> Option<Clear<F>> {
    Some(match what {
        RipClear::Neighbor { address } => Clear::Neighbor(F::from_ip(*address)?),
        RipClear::Routes => Clear::Routes,
        RipClear::Counters => Clear::Counters,
    })
}

fn named(selected: BTreeMap<forwarder_core::route::Source, u64>) -> BTreeMap<String, u64> {
    selected
        .into_iter()
        .map(|(source, count)| (source.to_string(), count))
        .collect()
}

fn recording(recording: &Recording) -> RecordingSummary {
    let status = recording.status();
    RecordingSummary {
        file: status.path.display().to_string(),
        bytes: status.bytes,
        stopped: status.stopped,
    }
}
