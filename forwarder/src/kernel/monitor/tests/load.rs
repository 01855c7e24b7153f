//! Overruns, changes during dumps, sockets that fail; and how long things take.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use forwarder_core::kernel::event::RouteEvent;
use forwarder_core::kernel::export::{ExportOp, ExportRoute};
use forwarder_core::net::{Ipv4, TableId};
use forwarder_core::route::{Nexthop, RouteType};
use ipnet::Ipv4Net;
use nix::sched::CloneFlags;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::super::super::export::{Identity, KernelWriter};
use super::super::super::testing::{
    DEADLINE, ifindex, in_namespace, ip_batch, run, unwatched, veth_pair,
};
use super::super::{CHANNEL_DEPTH, Monitor, MonitorConfig, MonitorOutputs};
use super::{Model, World};

/// Runs a monitor's session until that many dumps of routes are complete.
async fn listen(
    monitor: &mut Monitor,
    routes: &mut mpsc::Receiver<Vec<RouteEvent<Ipv4>>>,
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
            routes4: routes_out,
            routes6: unwatched(),
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

/// Times that every route is removed, added by another gateway and replaced.
const ROUNDS: usize = 5;

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
        let rounds = Arc::new(AtomicUsize::new(0));
        let done = rounds.clone();
        let changes = std::thread::spawn(move || {
            nix::sched::setns(net, CloneFlags::CLONE_NEWNET).unwrap();
            for gateway in 1..=ROUNDS as u8 {
                ip_batch(&many_routes(20_000, "del", 9));
                ip_batch(&many_routes(20_000, "add", gateway));
                ip_batch(&many_routes(20_000, "replace", 9));
                done.fetch_add(1, Ordering::Release);
            }
        });
        let before = world.model.route_dumps;
        // Each against the deadline: all of them are work for longer than that
        // on a busy machine.
        for round in 1..=ROUNDS {
            world
                .until("a round", |_| rounds.load(Ordering::Acquire) >= round)
                .await;
        }
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
                let route = ExportRoute::<Ipv4> {
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
