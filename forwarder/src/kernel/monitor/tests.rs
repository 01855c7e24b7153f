use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use forwarder_core::interface::Interface;
use forwarder_core::kernel::event::{
    KernelNexthops, KernelRoute, Neighbour, NeighbourState, NexthopObject,
};
use forwarder_core::kernel::export::{ExportOp, ExportRoute};
use forwarder_core::net::{Ifindex, Ipv4, TableId};
use forwarder_core::route::{Nexthop, RouteType};
use ipnet::Ipv4Net;
use nix::sched::CloneFlags;
use tokio::time::Instant;

use super::super::export::{Identity, KernelWriter};
use super::super::testing::{DEADLINE, ifindex, in_namespace, ip_batch, run, veth_pair};
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
    fn route_event(&mut self, event: RouteEvent) {
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
        match *event {
            DataplaneEvent::Neighbour(entry) => {
                let key = (entry.ifindex, entry.address);
                self.neighbours.insert(key, entry);
                if let Some(named) = &mut self.named_neighbours {
                    named.insert(key);
                }
            }
            DataplaneEvent::NeighbourGone { ifindex, address } => {
                self.neighbours.remove(&(ifindex, address));
            }
            DataplaneEvent::NeighbourDumpStart => self.named_neighbours = Some(Default::default()),
            DataplaneEvent::NeighbourDumpEnd => {
                let named = self.named_neighbours.take().expect("a dump that began");
                self.neighbours.retain(|key, _| named.contains(key));
                self.neighbour_dumps += 1;
            }
            DataplaneEvent::Constraints(_) => panic!("not the monitor's"),
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
    routes: mpsc::Receiver<Vec<RouteEvent>>,
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
            routes: routes_out,
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

#[test]
fn what_is_there_at_start_is_told_between_dump_start_and_end() {
    in_namespace(|| async {
        veth_pair();
        run("ip route add 10.1.0.0/16 via 192.0.2.9 metric 7 mtu 1400 proto static");
        run("ip neigh add 192.0.2.9 lladdr 02:00:00:00:00:09 dev v0 nud permanent");
        let world = World::plain().await;
        let route = world.model.find("10.1.0.0/16").unwrap();
        assert_eq!(
            (route.metric, route.protocol, route.mtu),
            (7, 4, Some(1400))
        );
        let connected = world.model.find("192.0.2.0/24").unwrap();
        assert_eq!(
            connected.preferred_source,
            Some(Ipv4Addr::new(192, 0, 2, 1))
        );
        let local = |route: &&KernelRoute<Ipv4>| route.kind == RouteType::Local;
        let local: Vec<_> = world
            .model
            .routes
            .values()
            .flatten()
            .filter(local)
            .collect();
        assert!(
            local
                .iter()
                .any(|route| route.prefix == "192.0.2.1/32".parse().unwrap())
        );
        let neighbour = world.model.neighbours[&(ifindex("v0"), Ipv4Addr::new(192, 0, 2, 9))];
        assert_eq!(neighbour.state, NeighbourState::Usable([2, 0, 0, 0, 0, 9]));
    });
}

#[test]
fn interfaces_are_published_whole() {
    in_namespace(|| async {
        veth_pair();
        run("ip addr add 10.9.9.1 peer 10.9.9.2/32 dev v0");
        run("ip link add b0 type bridge");
        run("ip link set v1 master b0");
        std::fs::write("/proc/sys/net/ipv4/conf/all/send_redirects", "0").unwrap();
        std::fs::write("/proc/sys/net/ipv4/conf/v0/send_redirects", "0").unwrap();
        std::fs::write("/proc/sys/net/ipv4/conf/v0/forwarding", "1").unwrap();
        let mut world = World::plain().await;
        let v0 = world.interface("v0").unwrap();
        assert!(v0.is_running() && v0.ethernet && !v0.loopback && v0.forwarding4);
        assert_eq!(
            (v0.kind.as_str(), v0.mtu, v0.send_redirects),
            ("veth", 1500, false)
        );
        assert_eq!(v0.link, Some(ifindex("v1")));
        let peer = v0
            .addresses
            .iter()
            .find(|address| address.peer.is_some())
            .unwrap();
        assert_eq!(peer.local, "10.9.9.1/32".parse().unwrap());
        assert_eq!(world.interface("v1").unwrap().master, Some(ifindex("b0")));
        assert!(world.interface("lo").unwrap().loopback);
        run("ip link set v1 nomaster");
        world
            .until("leaving the bridge", |world| {
                world.interface("v1").is_some_and(|v1| v1.master.is_none())
            })
            .await;
    });
}

#[test]
fn link_address_and_sysctl_changes_are_followed() {
    in_namespace(|| async {
        veth_pair();
        let mut world = World::plain().await;
        run("ip link set v0 mtu 1400");
        run("ip addr add 198.51.100.1/24 dev v0");
        run("ip addr del 192.0.2.1/24 dev v0");
        world
            .until("MTU and addresses", |world| {
                let v0 = world.interface("v0").unwrap();
                let locals: Vec<_> = v0.addresses.iter().map(|a| a.local.to_string()).collect();
                v0.mtu == 1400
                    && locals
                        .iter()
                        .filter(|a| !a.contains(':'))
                        .eq(["198.51.100.1/24"])
            })
            .await;
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
        let on = |world: &mut World| world.interface("v0").is_some_and(|v0| v0.forwarding4);
        world.until("forwarding on", on).await;
        run("ip link set v0 down");
        run("ip link set v0 name w0");
        world
            .until("the new name", |world| {
                world.interface("w0").is_some_and(|w0| !w0.up)
            })
            .await;
        run("ip link del w0");
        world
            .until("its end", |world| world.interface("w0").is_none())
            .await;
    });
}

#[test]
fn routes_added_replaced_and_deleted_are_followed() {
    in_namespace(|| async {
        veth_pair();
        let mut world = World::plain().await;
        run("ip route add 10.1.0.0/16 via 192.0.2.9");
        run("ip route add blackhole 10.2.0.0/16");
        run("ip route append 10.1.0.0/16 via 192.0.2.7");
        world.agrees_with_ip_route().await;
        run("ip route replace 10.1.0.0/16 via 192.0.2.8");
        world.agrees_with_ip_route().await;
        run("ip route del 10.2.0.0/16");
        run("ip route add 10.3.0.0/16 nexthop via 192.0.2.5 weight 3 nexthop via 192.0.2.6");
        world.agrees_with_ip_route().await;
        let route = world.model.find("10.3.0.0/16").unwrap().nexthops.clone();
        let KernelNexthops::Inline(hops) = route else {
            panic!("inline next hops")
        };
        assert_eq!(
            hops.iter().map(|hop| hop.weight).collect::<Vec<_>>(),
            [3, 1]
        );
        assert_eq!(world.model.route_dumps, 1, "by notifications alone");
    });
}

#[test]
fn routes_the_kernel_drops_silently_when_a_link_goes_down_are_found_out() {
    in_namespace(|| async {
        veth_pair();
        run("ip route add 10.1.0.0/16 via 192.0.2.9");
        let mut world = World::plain().await;
        run("ip link set v0 down");
        world.agrees_with_ip_route().await;
        assert_eq!(world.model.find("10.1.0.0/16"), None);
        assert!(!world.model.links[&ifindex("v0")].0);
        run("ip link set v0 up");
        world.agrees_with_ip_route().await;
        assert!(world.model.find("192.0.2.0/24").is_some());
    });
}

#[test]
fn carrier_loss_is_told_and_keeps_the_routes() {
    in_namespace(|| async {
        veth_pair();
        run("ip route add 10.1.0.0/16 via 192.0.2.9");
        let mut world = World::plain().await;
        run("ip link set v1 down");
        let v0 = ifindex("v0");
        world
            .until("carrier loss", |world| {
                world.model.links.get(&v0) == Some(&(true, false))
            })
            .await;
        assert!(!world.interface("v0").unwrap().carrier);
        world.agrees_with_ip_route().await;
        assert!(world.model.find("10.1.0.0/16").is_some());
    });
}

#[test]
fn routes_with_a_preferred_source_that_goes_are_found_out() {
    in_namespace(|| async {
        veth_pair();
        run("ip addr add 198.51.100.1/32 dev v0");
        run("ip route add 10.1.0.0/16 via 192.0.2.9 src 198.51.100.1");
        let mut world = World::plain().await;
        run("ip addr del 198.51.100.1/32 dev v0");
        world.agrees_with_ip_route().await;
        assert_eq!(world.model.find("10.1.0.0/16"), None);
    });
}

#[test]
fn a_link_that_goes_takes_its_routes_with_it() {
    in_namespace(|| async {
        veth_pair();
        run("ip route add 10.1.0.0/16 via 192.0.2.9");
        let mut world = World::plain().await;
        let v0 = ifindex("v0");
        run("ip link del v0");
        world
            .until("its end", |world| !world.model.links.contains_key(&v0))
            .await;
        world.agrees_with_ip_route().await;
    });
}

#[test]
fn next_hop_objects_are_followed_and_take_their_routes_with_them() {
    in_namespace(|| async {
        veth_pair();
        run("ip nexthop add id 1 via 192.0.2.9 dev v0");
        run("ip nexthop add id 2 via 192.0.2.8 dev v0");
        run("ip nexthop add id 3 group 1,5/2");
        run("ip nexthop add id 4 blackhole");
        run("ip route add 10.1.0.0/16 nhid 1");
        let mut world = World::plain().await;
        let v0 = ifindex("v0");
        let via = |n| NexthopObject::Single {
            gateway: Some(Ipv4Addr::new(192, 0, 2, n).into()),
            ifindex: v0,
            onlink: false,
        };
        assert_eq!(world.model.nexthops[&1], via(9));
        assert_eq!(
            world.model.nexthops[&3],
            NexthopObject::Group(vec![(1, 5), (2, 1)])
        );
        assert_eq!(world.model.nexthops[&4], NexthopObject::Blackhole);
        let route = world.model.find("10.1.0.0/16").unwrap();
        assert_eq!(route.nexthops, KernelNexthops::Object(1));
        run("ip nexthop replace id 1 via 192.0.2.7 dev v0");
        world
            .until("the change", |world| {
                world.model.nexthops.get(&1) == Some(&via(7))
            })
            .await;
        run("ip nexthop del id 1");
        world
            .until("its end", |world| !world.model.nexthops.contains_key(&1))
            .await;
        assert_eq!(world.model.find("10.1.0.0/16"), None);
        assert_eq!(world.model.nexthops[&3], NexthopObject::Group(vec![(2, 1)]));
        run("ip link set v0 down");
        world
            .until("the others' end", |world| {
                !world.model.nexthops.contains_key(&2)
            })
            .await;
    });
}

#[test]
fn neighbours_are_followed() {
    in_namespace(|| async {
        veth_pair();
        let mut world = World::plain().await;
        let key = (ifindex("v0"), Ipv4Addr::new(192, 0, 2, 9));
        let state = |world: &World| world.model.neighbours.get(&key).map(|entry| entry.state);
        for (command, expected) in [
            (
                "add 192.0.2.9 lladdr 02:00:00:00:00:01 dev v0 nud reachable",
                Some(NeighbourState::Usable([2, 0, 0, 0, 0, 1])),
            ),
            (
                "change 192.0.2.9 lladdr 02:00:00:00:00:02 dev v0 nud permanent",
                Some(NeighbourState::Usable([2, 0, 0, 0, 0, 2])),
            ),
            (
                "change 192.0.2.9 dev v0 nud failed",
                Some(NeighbourState::Failed),
            ),
            ("del 192.0.2.9 dev v0", None),
        ] {
            run(&format!("ip neigh {command}"));
            world.until(command, |world| state(world) == expected).await;
        }
    });
}

/// Runs a monitor's session until that many dumps of routes are complete.
async fn listen(
    monitor: &mut Monitor,
    routes: &mut mpsc::Receiver<Vec<RouteEvent>>,
    model: &mut Model,
    dumps: usize,
) {
    let until = async {
        while model.route_dumps < dumps {
            let batch = routes.recv().await.unwrap();
            batch.into_iter().for_each(|event| model.route_event(event));
        }
    };
    tokio::select! {
        end = monitor.session.run(&monitor.outputs) => panic!("{end:?}"),
        done = tokio::time::timeout(DEADLINE, until) => done.expect("dumps in time"),
    }
}

#[test]
fn a_new_socket_starts_over_and_believes_the_kernel() {
    in_namespace(|| async {
        veth_pair();
        run("ip route add 10.1.0.0/16 via 192.0.2.9");
        let (routes_out, mut routes) = mpsc::channel(CHANNEL_DEPTH);
        let (dataplane, _dataplane) = mpsc::channel(CHANNEL_DEPTH);
        let (interfaces, seen) = watch::channel(Arc::default());
        let outputs = MonitorOutputs {
            routes: routes_out,
            dataplane,
            interfaces,
        };
        let mut monitor = Monitor::open(outputs, MonitorConfig::default()).unwrap();
        let mut model = Model::default();
        listen(&mut monitor, &mut routes, &mut model, 1).await;
        assert!(model.find("10.1.0.0/16").is_some());
        // What happens while there is no socket is found out by its dumps.
        run("ip route flush root 10.0.0.0/8");
        run("ip link add b0 type bridge");
        monitor.session.reopen(monitor.config).unwrap();
        listen(&mut monitor, &mut routes, &mut model, 2).await;
        assert_eq!(model.find("10.1.0.0/16"), None);
        assert!(seen.borrow().by_name("b0").is_some());
    });
}

fn many_routes(count: u32, verb: &str, gateway: u8) -> String {
    let line = |n: u32| {
        let prefix = Ipv4Addr::from(0x0a00_0000 + (n << 8));
        format!("route {verb} {prefix}/24 via 192.0.2.{gateway}\n")
    };
    (0..count).map(line).collect()
}

#[test]
fn after_an_overrun_everything_is_read_again() {
    in_namespace(|| async {
        veth_pair();
        let small = MonitorConfig {
            receive_buffer: 4096,
            ..MonitorConfig::default()
        };
        let mut world = World::start(small).await;
        // The monitor shares this thread, so that it hears nothing meanwhile.
        ip_batch(&many_routes(5000, "add", 9));
        ip_batch(&many_routes(2000, "del", 9));
        ip_batch(&many_routes(3000, "replace", 8));
        world.agrees_with_ip_route().await;
        let counts = world.counters.read();
        assert!(counts.overruns > 0, "{counts:?}");
        assert_eq!(counts.undecodable, 0);
        assert_eq!(world.model.main().count(), 5001);
    });
}

#[test]
fn routes_changed_while_they_are_dumped_end_up_right() {
    in_namespace(|| async {
        veth_pair();
        ip_batch(&many_routes(20_000, "add", 9));
        // Audits without pause, and changes by another thread of this namespace.
        let config = MonitorConfig {
            audit: Duration::from_millis(1),
            ..MonitorConfig::default()
        };
        let mut world = World::start(config).await;
        let net = std::fs::File::open("/proc/thread-self/ns/net").unwrap();
        let changes = std::thread::spawn(move || {
            nix::sched::setns(net, CloneFlags::CLONE_NEWNET).unwrap();
            for gateway in 1..6 {
                ip_batch(&many_routes(20_000, "del", 9));
                ip_batch(&many_routes(20_000, "add", gateway));
                ip_batch(&many_routes(20_000, "replace", 9));
            }
        });
        let before = world.model.route_dumps;
        world.until("changes", |_| changes.is_finished()).await;
        changes.join().unwrap();
        world.agrees_with_ip_route().await;
        assert!(world.model.route_dumps > before, "dumped meanwhile");
        assert_eq!(world.model.main().count(), 20_001);
    });
}

#[test]
fn audits_repair_what_was_missed() {
    in_namespace(|| async {
        let config = MonitorConfig {
            audit: Duration::from_millis(50),
            ..MonitorConfig::default()
        };
        let mut world = World::start(config).await;
        world
            .until("a second round", |world| world.model.neighbour_dumps > 1)
            .await;
        assert!(world.counters.read().dumps >= 6);
    });
}

/// Adds routes one by one from another thread of this namespace, each when the
/// one before has been heard of: how long each took from
/// before its request to its event, sorted.
async fn latencies(world: &mut World, count: u32) -> Vec<Duration> {
    let net = std::fs::File::open("/proc/thread-self/ns/net").unwrap();
    let (go, wait) = std::sync::mpsc::channel::<u32>();
    let (began, mut start) = mpsc::unbounded_channel();
    let v0 = ifindex("v0");
    let writer = std::thread::spawn(move || {
        nix::sched::setns(net, CloneFlags::CLONE_NEWNET).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let identity = Identity {
                protocol: 210,
                metric: 15,
            };
            let mut writer = KernelWriter::open(identity).unwrap();
            for n in wait {
                let route = ExportRoute {
                    prefix: Ipv4Net::from(Ipv4Addr::from(0xac10_0000 + n)),
                    kind: RouteType::Unicast,
                    nexthops: vec![Nexthop::via(Ipv4Addr::new(192, 0, 2, 9), v0)],
                    mtu: None,
                };
                began.send(Instant::now()).unwrap();
                let results = writer.apply(&[ExportOp::Add(Arc::new(route))]).await;
                assert_eq!(results, [Ok(())]);
            }
        });
    });
    let mut took = Vec::new();
    for n in 0..count {
        go.send(n).unwrap();
        let prefix = Ipv4Net::from(Ipv4Addr::from(0xac10_0000 + n));
        let key = (TableId::MAIN, prefix, 15, 0);
        world
            .until("the route", |world| world.model.routes.contains_key(&key))
            .await;
        took.push(start.recv().await.unwrap().elapsed());
    }
    drop(go);
    writer.join().unwrap();
    took.sort_unstable();
    took
}

fn assert_quick(what: &str, took: &[Duration]) {
    let (median, p99) = (took[took.len() / 2], took[took.len() * 99 / 100]);
    eprintln!("event to channel, {what}: median {median:?}, p99 {p99:?}");
    assert!(median < Duration::from_millis(10) && p99 < Duration::from_millis(100));
}

#[test]
fn a_change_is_told_within_milliseconds() {
    in_namespace(|| async {
        veth_pair();
        let mut world = World::plain().await;
        let took = latencies(&mut world, 300).await;
        assert_quick("idle", &took);
    });
}

#[test]
fn a_change_is_told_within_milliseconds_while_a_large_table_is_dumped() {
    in_namespace(|| async {
        veth_pair();
        ip_batch(&many_routes(60_000, "add", 9));
        let config = MonitorConfig {
            audit: Duration::from_millis(1),
            ..MonitorConfig::default()
        };
        let mut world = World::start(config).await;
        let took = latencies(&mut world, 300).await;
        assert_quick("while dumping 60,000 routes", &took);
    });
}
