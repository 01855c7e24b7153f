//! A monitor in a namespace, its events put together in the plainest way, and
//! iproute2 to compare with.

mod follow;
mod load;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use forwarder_core::interface::Interface;
use forwarder_core::kernel::event::{
    KernelNexthops, KernelRoute, Neighbour, NeighbourEvent, NexthopObject,
};
use forwarder_core::net::{Ifindex, Ipv4, TableId};
use ipnet::Ipv4Net;
use tokio::time::Instant;

use super::super::testing::{DEADLINE, run, unwatched};
use super::*;

/// Conditions that no event announces are looked at this often.
const TICK: Duration = Duration::from_millis(10);

type Routes = BTreeMap<Key, Vec<KernelRoute<Ipv4>>>;
type Key = (TableId, Ipv4Net, u32, u8);

/// The events, put together in the plainest way.
#[derive(Default)]
struct Model {
    routes: Routes,
    nexthops: BTreeMap<u32, NexthopObject>,
    named: Option<(Routes, BTreeSet<u32>)>,
    links: BTreeMap<Ifindex, (bool, bool)>,
    neighbours: BTreeMap<(Ifindex, Ipv4Addr), Neighbour<Ipv4Addr>>,
    named_neighbours: Option<BTreeSet<(Ifindex, Ipv4Addr)>>,
    route_dumps: usize,
    neighbour_dumps: usize,
}

fn key(route: &KernelRoute<Ipv4>) -> Key {
    (route.table, route.prefix, route.metric, route.tos)
}

fn add(routes: &mut Routes, route: KernelRoute<Ipv4>, first: bool) {
    let same = routes.entry(key(&route)).or_default();
    if first && !same.is_empty() {
        same.remove(0);
    }
    if !same.contains(&route) {
        same.push(route);
    }
}

impl Model {
    fn route_event(&mut self, event: RouteEvent<Ipv4>) {
        match event {
            RouteEvent::Added { route, replaced } => {
                if let Some((named, _)) = &mut self.named {
                    add(named, route.clone(), replaced);
                }
                add(&mut self.routes, route, replaced);
            }
            RouteEvent::Removed(route) => {
                let named = self.named.as_mut().map(|(named, _)| named);
                for routes in [Some(&mut self.routes), named].into_iter().flatten() {
                    routes
                        .entry(key(&route))
                        .or_default()
                        .retain(|old| *old != route);
                }
            }
            RouteEvent::NexthopSet { id, object } => {
                self.nexthops.insert(id, object);
                if let Some((_, named)) = &mut self.named {
                    named.insert(id);
                }
            }
            RouteEvent::NexthopGone(id) => {
                self.nexthops.remove(&id);
                let via = KernelNexthops::Object(id);
                for routes in self.routes.values_mut() {
                    routes.retain(|route| route.nexthops != via);
                }
            }
            RouteEvent::Link {
                ifindex,
                up,
                carrier,
            } => {
                self.links.insert(ifindex, (up, carrier));
            }
            RouteEvent::LinkGone(ifindex) => drop(self.links.remove(&ifindex)),
            RouteEvent::DumpStart => self.named = Some(Default::default()),
            RouteEvent::DumpEnd => {
                let (routes, nexthops) = self.named.take().expect("a dump that began");
                self.routes = routes;
                self.nexthops.retain(|id, _| nexthops.contains(id));
                self.route_dumps += 1;
            }
        }
    }

    fn dataplane_event(&mut self, event: &DataplaneEvent) {
        let DataplaneEvent::Neighbour4(event) = event else {
            assert!(matches!(event, DataplaneEvent::Neighbour6(_)));
            return;
        };
        match *event {
            NeighbourEvent::Set(entry) => {
                let key = (entry.ifindex, entry.address);
                self.neighbours.insert(key, entry);
                if let Some(named) = &mut self.named_neighbours {
                    named.insert(key);
                }
            }
            NeighbourEvent::Gone { ifindex, address } => {
                self.neighbours.remove(&(ifindex, address));
            }
            NeighbourEvent::DumpStart => self.named_neighbours = Some(Default::default()),
            NeighbourEvent::DumpEnd => {
                let named = self.named_neighbours.take().expect("a dump that began");
                self.neighbours.retain(|key, _| named.contains(key));
                self.neighbour_dumps += 1;
            }
        }
    }

    fn main(&self) -> impl Iterator<Item = &KernelRoute<Ipv4>> {
        self.routes
            .values()
            .flatten()
            .filter(|route| route.table == TableId::MAIN)
    }

    fn find(&self, prefix: &str) -> Option<&KernelRoute<Ipv4>> {
        let prefix: Ipv4Net = prefix.parse().unwrap();
        self.main().find(|route| route.prefix == prefix)
    }
}

/// A running monitor and what it has said.
struct World {
    model: Model,
    routes: mpsc::Receiver<Vec<RouteEvent<Ipv4>>>,
    dataplane: mpsc::Receiver<Vec<DataplaneEvent>>,
    interfaces: watch::Receiver<Arc<Interfaces>>,
    counters: Arc<MonitorCounters>,
    _cancel: tokio_util::sync::DropGuard,
}

impl World {
    async fn start(config: MonitorConfig) -> World {
        let (routes_out, routes) = mpsc::channel(CHANNEL_DEPTH);
        let (dataplane_out, dataplane) = mpsc::channel(CHANNEL_DEPTH);
        let (interfaces_out, interfaces) = watch::channel(Arc::default());
        let outputs = MonitorOutputs {
            routes4: routes_out,
            routes6: unwatched(),
            dataplane: dataplane_out,
            interfaces: interfaces_out,
        };
        let monitor = Monitor::open(outputs, config).unwrap();
        let counters = monitor.counters();
        let cancel = CancellationToken::new();
        tokio::spawn(monitor.run(cancel.clone()));
        let _cancel = cancel.drop_guard();
        let model = Model::default();
        let mut world = World {
            model,
            routes,
            dataplane,
            interfaces,
            counters,
            _cancel,
        };
        world
            .until("the first dumps", |world| {
                world.model.route_dumps > 0 && world.model.neighbour_dumps > 0
            })
            .await;
        world
    }

    async fn plain() -> World {
        World::start(MonitorConfig::default()).await
    }

    /// Listens until the condition holds, or fails.
    async fn until(&mut self, what: &str, mut condition: impl FnMut(&mut World) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !condition(self) {
            tokio::select! {
                Some(batch) = self.routes.recv() => {
                    batch.into_iter().for_each(|event| self.model.route_event(event));
                }
                Some(batch) = self.dataplane.recv() => {
                    batch.iter().for_each(|event| self.model.dataplane_event(event));
                }
                Ok(()) = self.interfaces.changed() => {}
                () = tokio::time::sleep(TICK) => {}
            }
            assert!(Instant::now() < deadline, "no {what}");
        }
    }

    fn interface(&self, name: &str) -> Option<Interface> {
        self.interfaces.borrow().by_name(name).cloned()
    }

    /// Listens for a while, whatever comes.
    async fn listen(&mut self, time: Duration) {
        let end = Instant::now() + time;
        self.until("end of time", |_| Instant::now() >= end).await;
    }

    /// Until the model's main table is the one that `ip route` shows.
    async fn agrees_with_ip_route(&mut self) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let ours: BTreeSet<String> = self.model.main().map(shown).collect();
            let theirs = ip_route();
            if ours == theirs {
                return;
            }
            if Instant::now() >= deadline {
                let differing: Vec<_> = ours.symmetric_difference(&theirs).take(5).collect();
                panic!(
                    "{differing:?} … not in both of {} and {}",
                    ours.len(),
                    theirs.len()
                );
            }
            self.listen(Duration::from_millis(50)).await;
        }
    }
}

/// Prefix, metric, type and gateway, enough to tell routes apart here.
fn shown(route: &KernelRoute<Ipv4>) -> String {
    let gateway = match &route.nexthops {
        KernelNexthops::Inline(hops) => hops.first().and_then(|hop| hop.gateway),
        KernelNexthops::Object(_) => None,
    };
    let gateway = gateway
        .map(|gateway| gateway.to_string())
        .unwrap_or_default();
    format!(
        "{} {} {} {gateway}",
        route.prefix,
        route.metric,
        route.kind.name()
    )
}

fn ip_route() -> BTreeSet<String> {
    let text = run("ip -4 -j -d route show table main");
    let routes: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let describe = |route: &serde_json::Value| {
        let destination = match route["dst"].as_str().unwrap() {
            "default" => "0.0.0.0/0".to_owned(),
            host if !host.contains('/') => format!("{host}/32"),
            prefix => prefix.to_owned(),
        };
        let metric = route["metric"].as_u64().unwrap_or(0);
        let kind = route["type"].as_str().unwrap_or("unicast");
        let hop = route["nexthops"].get(0).unwrap_or(route);
        let gateway = hop["gateway"].as_str().unwrap_or("");
        format!("{destination} {metric} {kind} {gateway}")
    };
    routes.iter().map(describe).collect()
}
