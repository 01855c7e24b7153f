//! Sockets and task in network namespaces, each owned by a thread of the test:
//! it enters a namespace of its own, which ends with it, so nothing is left
//! behind whatever happens. Needs root; says so and passes without.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, UdpSocket};
use std::process::Command as Process;
use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use forwarder_core::interface::{Interface, InterfaceAddress, Interfaces, ReversePath};
use forwarder_core::net::{Ifindex, Ipv4};
use forwarder_core::rip::{
    Clear, InterfaceConfig, Metric, ReceiveVersion, Redistribute, Reject, RouteChange, SendVersion,
    Tuning,
};
use ipnet::Ipv4Net;
use nix::net::if_::if_nametoindex;
use nix::sched::{CloneFlags, unshare};
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::socket::RipSocket;
use super::*;

/// No test waits longer for anything.
const DEADLINE: Duration = Duration::from_secs(20);

fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        println!("skipped: network namespaces need root");
    }
    root
}

fn ip(arguments: &str) {
    let output = Process::new("ip")
        .args(arguments.split_whitespace())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {errors}");
}

/// Runs `body` in a thread with a network namespace of its own.
fn in_namespace<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        ip("link set lo up");
        body()
    })
}

/// This thread's namespace, as `ip` takes it.
fn namespace_path() -> String {
    format!(
        "/proc/{}/task/{}/ns/net",
        std::process::id(),
        nix::unistd::gettid()
    )
}

/// Runs `left` and `right` in two namespaces with a veth pair between them:
/// `left0` 10.0.12.1/24, `right0` 10.0.12.2/24.
fn on_a_link<L: Send + 'static, R: Send + 'static>(
    left: impl FnOnce() -> L + Send + 'static,
    right: impl FnOnce() -> R + Send + 'static,
) -> (L, R) {
    let (path_tx, path_rx) = std_mpsc::channel::<String>();
    let (ready_tx, ready_rx) = std_mpsc::channel::<()>();
    let right = in_namespace(move || {
        path_tx.send(namespace_path()).unwrap();
        ready_rx.recv().unwrap();
        ip("addr add 10.0.12.2/24 dev right0");
        wait_for_link("right0");
        right()
    });
    let left = in_namespace(move || {
        let path = path_rx.recv().unwrap();
        ip(&format!(
            "link add left0 type veth peer name right0 netns {path}"
        ));
        ip("addr add 10.0.12.1/24 dev left0");
        ip("link set left0 up");
        Process::new("nsenter")
            .args([
                &format!("--net={path}"),
                "ip",
                "link",
                "set",
                "right0",
                "up",
            ])
            .status()
            .unwrap();
        wait_for_link("left0");
        ready_tx.send(()).unwrap();
        left()
    });
    (left.join().unwrap(), right.join().unwrap())
}

/// The kernel drops what is sent before it has noticed the carrier.
fn wait_for_link(name: &str) {
    let end = Instant::now() + DEADLINE;
    let state = || {
        Process::new("ip")
            .args(["link", "show", name])
            .output()
            .unwrap()
            .stdout
    };
    while !String::from_utf8_lossy(&state()).contains("state UP") {
        assert!(Instant::now() < end, "{name} does not come up");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn interface(name: &str, local: &str) -> Interface {
    Interface {
        ifindex: Ifindex(if_nametoindex(name).unwrap()),
        name: name.to_owned(),
        mac: None,
        mtu: 1500,
        up: true,
        carrier: true,
        loopback: name == "lo",
        point_to_point: false,
        multicast: name != "lo",
        broadcast: true,
        ethernet: true,
        kind: "veth".to_owned(),
        vlan: None,
        master: None,
        link: None,
        link_elsewhere: true,
        forwarding4: true,
        forwarding6: false,
        send_redirects: true,
        rp_filter: ReversePath::Off,
        addresses: vec![InterfaceAddress {
            local: local.parse().unwrap(),
            peer: None,
            broadcast: None,
            secondary: false,
            tentative: false,
        }],
    }
}

fn interfaces(all: impl IntoIterator<Item = Interface>) -> Arc<Interfaces> {
    let by_index = all
        .into_iter()
        .map(|interface| (interface.ifindex, interface))
        .collect();
    Arc::new(Interfaces { by_index })
}

/// Without authentication nothing is written there.
fn nowhere() -> std::path::PathBuf {
    "/nonexistent/forwarder".into()
}

fn settings() -> Settings {
    settings_of(InterfaceConfig::default())
}

fn settings_of(config: InterfaceConfig<Ipv4>) -> Settings {
    let select = move |name: &str| name.ends_with('0').then(|| config.clone());
    Settings {
        state_dir: nowhere(),
        tuning: Tuning::default(),
        select: Box::new(select),
    }
}

/// The other ends of a running task's channels, and a RIB of sorts.
struct Daemon {
    interfaces: watch::Sender<Arc<Interfaces>>,
    redistribute: mpsc::Sender<Vec<Redistribute<Ipv4>>>,
    commands: mpsc::Sender<Command>,
    routes: mpsc::Receiver<Vec<RouteChange<Ipv4>>>,
    cancel: CancellationToken,
    rib: BTreeMap<Ipv4Net, (Ipv4Addr, u8)>,
}

impl Daemon {
    fn new(start: Arc<Interfaces>) -> (Daemon, Channels) {
        let (interfaces_tx, interfaces) = watch::channel(start);
        let (redistribute_tx, redistribute) = mpsc::channel(4);
        let (commands_tx, commands) = mpsc::channel(4);
        let (routes, routes_rx) = mpsc::channel(1);
        let daemon = Daemon {
            interfaces: interfaces_tx,
            redistribute: redistribute_tx,
            commands: commands_tx,
            routes: routes_rx,
            cancel: CancellationToken::new(),
            rib: BTreeMap::new(),
        };
        (
            daemon,
            Channels {
                interfaces,
                redistribute,
                commands,
                routes,
                recording: None,
            },
        )
    }

    /// Takes route changes in until the RIB is as wanted.
    async fn until(
        &mut self,
        what: &str,
        done: impl Fn(&BTreeMap<Ipv4Net, (Ipv4Addr, u8)>) -> bool,
    ) {
        let end = tokio::time::Instant::now() + DEADLINE;
        while !done(&self.rib) {
            let batch = tokio::time::timeout_at(end, self.routes.recv()).await;
            let batch = batch.unwrap_or_else(|_| panic!("no {what}: {} routes", self.rib.len()));
            for change in batch.expect("the task runs") {
                match change {
                    RouteChange::Update {
                        prefix,
                        nexthops,
                        metric,
                        ..
                    } => {
                        self.rib
                            .insert(prefix, (nexthops[0].gateway.unwrap(), metric.get()));
                    }
                    RouteChange::Withdraw { prefix } => drop(self.rib.remove(&prefix)),
                }
            }
        }
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> T {
        let (reply, answer) = oneshot::channel();
        assert!(self.commands.send(command(reply)).await.is_ok());
        tokio::time::timeout(DEADLINE, answer)
            .await
            .unwrap()
            .unwrap()
    }
}

/// Runs the task and `body` beside it; ends when `body` does and the task has
/// said goodbye.
fn with_rip<T>(
    all: Arc<Interfaces>,
    settings: Settings,
    body: impl AsyncFnOnce(&mut Daemon) -> T,
) -> T {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let (mut daemon, channels) = Daemon::new(all);
    let cancel = daemon.cancel.clone();
    runtime.block_on(async {
        let task = run(settings, channels, cancel.clone());
        let beside = async {
            let result = body(&mut daemon).await;
            cancel.cancel();
            result
        };
        let (ended, result) = tokio::join!(task, beside);
        ended.unwrap();
        result
    })
}

fn net(text: &str) -> Ipv4Net {
    text.parse().unwrap()
}

fn announce(prefix: &str) -> Vec<Redistribute<Ipv4>> {
    let (prefix, metric) = (net(prefix), Metric::ONE);
    vec![Redistribute::Update {
        prefix,
        metric,
        tag: 0,
        next_hop: None,
    }]
}

/// A full response of 25 routes, metric 1.
fn response(first: u32) -> Vec<u8> {
    let mut bytes = vec![2, 2, 0, 0];
    for n in first..first + 25 {
        bytes.extend([0, 2, 0, 0]);
        bytes.extend((0x1400_0000 + n * 256).to_be_bytes());
        bytes.extend([255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    }
    bytes
}

#[test]
fn two_routers_exchange_a_route_and_take_it_back_on_stop() {
    exchange(SendVersion::V2, ReceiveVersion::V2);
}

/// The kernel lets a broadcast out, hands it back to us, and to the other end.
#[test]
fn rfc1058_two_routers_of_version_1_exchange_a_route_by_broadcast() {
    exchange(SendVersion::V1, ReceiveVersion::V1);
}

/// The TTL goes out with each datagram, and comes with it.
#[test]
fn rfc5082_two_routers_with_ttl_security_exchange_a_route() {
    exchange_with(InterfaceConfig {
        ttl_security: true,
        ..Default::default()
    });
}

#[test]
fn rfc2453_4_1_two_compatible_routers_exchange_a_route_by_broadcast() {
    exchange(SendVersion::Compatible, ReceiveVersion::Both);
}

fn exchange(send_version: SendVersion, receive_version: ReceiveVersion) {
    exchange_with(InterfaceConfig {
        send_version,
        receive_version,
        ..Default::default()
    });
}

fn exchange_with(config: InterfaceConfig<Ipv4>) {
    if !is_root() {
        return;
    }
    let other = config.clone();
    let (learnt_tx, learnt_rx) = oneshot::channel();
    let left = || {
        with_rip(
            interfaces([interface("left0", "10.0.12.1/24")]),
            settings_of(config),
            async |daemon| {
                daemon
                    .until("route", |rib| rib.contains_key(&net("192.168.2.0/24")))
                    .await;
                assert_eq!(
                    daemon.rib[&net("192.168.2.0/24")],
                    ("10.0.12.2".parse().unwrap(), 2)
                );
                learnt_tx.send(()).unwrap();
                let learnt = Instant::now();
                // The other end stops now: long before any timeout it is gone.
                daemon.until("withdrawal", BTreeMap::is_empty).await;
                learnt.elapsed()
            },
        )
    };
    let right = || {
        with_rip(
            interfaces([interface("right0", "10.0.12.2/24")]),
            settings_of(other),
            async |daemon| {
                daemon
                    .redistribute
                    .send(announce("192.168.2.0/24"))
                    .await
                    .unwrap();
                tokio::time::timeout(DEADLINE, learnt_rx)
                    .await
                    .unwrap()
                    .unwrap();
                let status = daemon.ask(Command::Interfaces).await;
                assert_eq!(status[0].row.bad_packets, 0);
                assert_eq!(status[0].send_failures, 0);
            },
        );
    };
    let (took, ()) = on_a_link(left, right);
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[test]
fn ten_thousand_routes_in_one_unpaced_burst_are_all_learnt() {
    if !is_root() {
        return;
    }
    let (ready_tx, ready_rx) = std_mpsc::channel();
    let left = move || {
        with_rip(
            interfaces([interface("left0", "10.0.12.1/24")]),
            settings(),
            async |daemon| {
                assert_eq!(
                    daemon.ask(Command::Interfaces).await.len(),
                    1,
                    "the socket is open"
                );
                let start = Instant::now();
                ready_tx.send(()).unwrap();
                daemon
                    .until("10,000 routes", |rib| rib.len() == 10_000)
                    .await;
                println!("10,000 routes after {:?}", start.elapsed());
                let status = daemon.ask(Command::Interfaces).await;
                assert_eq!(status[0].socket_drops, 0);
                assert_eq!(status[0].row.received, 400);
                assert!(
                    status[0].receive_buffer >= 8 << 20,
                    "{}",
                    status[0].receive_buffer
                );
                let neighbors = daemon.ask(Command::Neighbors).await;
                assert_eq!((neighbors.len(), neighbors[0].routes), (1, 10_000));
                assert_eq!(daemon.ask(Command::Routes).await.len(), 10_001);
                daemon
                    .ask(|reply| Command::Clear(Clear::Routes, reply))
                    .await;
                daemon.until("clearing", BTreeMap::is_empty).await;
            },
        );
    };
    let right = move || {
        let socket = UdpSocket::bind("10.0.12.2:520").unwrap();
        let packets: Vec<_> = (0..400).map(|n| response(n * 25)).collect();
        ready_rx.recv().unwrap();
        for packet in &packets {
            socket.send_to(packet, "10.0.12.1:520").unwrap();
        }
        // The namespace, and with it the packets under way, must outlive the test.
        socket
    };
    on_a_link(left, right);
}

#[test]
fn a_lost_link_and_a_changed_configuration_are_followed() {
    if !is_root() {
        return;
    }
    let (ready_tx, ready_rx) = std_mpsc::channel();
    let (listening_tx, listening_rx) = std_mpsc::channel();
    let left = move || {
        listening_rx.recv().unwrap();
        let up = interfaces([interface("left0", "10.0.12.1/24")]);
        with_rip(up.clone(), settings(), async |daemon| {
            ready_tx.send(()).unwrap();
            daemon.until("routes", |rib| rib.len() == 25).await;

            let down = Interface {
                carrier: false,
                ..interface("left0", "10.0.12.1/24")
            };
            daemon.interfaces.send(interfaces([down])).unwrap();
            daemon.until("withdrawals", BTreeMap::is_empty).await;
            assert!(daemon.ask(Command::Interfaces).await.is_empty());

            daemon.interfaces.send(up.clone()).unwrap();
            daemon.interfaces.send(up).unwrap();
            ready_tx.send(()).unwrap();
            daemon.until("routes", |rib| rib.len() == 25).await;
            for (name, known) in [("left0", true), ("eth9", false)] {
                let request = |reply| Command::Request(name.to_owned(), reply);
                assert_eq!(daemon.ask(request).await, known);
            }
            let none = Settings {
                state_dir: nowhere(),
                tuning: Tuning::default(),
                select: Box::new(|_| None),
            };
            daemon.ask(|reply| Command::Reconfigure(none, reply)).await;
            daemon.until("withdrawals", BTreeMap::is_empty).await;
        });
    };
    let right = move || {
        let socket = UdpSocket::bind("0.0.0.0:520").unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        let group = "224.0.0.9".parse().unwrap();
        socket
            .join_multicast_v4(&group, &"10.0.12.2".parse().unwrap())
            .unwrap();
        listening_tx.send(()).unwrap();
        while ready_rx.recv().is_ok() {
            // Whoever has just come up asks the group; the answer is unicast.
            let mut buffer = [0; 600];
            let asker = loop {
                let (_, asker) = socket.recv_from(&mut buffer).unwrap();
                if buffer[0] == 1 {
                    break asker;
                }
            };
            assert_eq!(asker, "10.0.12.1:520".parse().unwrap());
            socket.send_to(&response(0), asker).unwrap();
        }
    };
    on_a_link(left, right);
}

#[test]
fn bad_input_is_counted() {
    if !is_root() {
        return;
    }
    let (ready_tx, ready_rx) = std_mpsc::channel();
    let left = move || {
        with_rip(
            interfaces([interface("left0", "10.0.12.1/24")]),
            settings(),
            async |daemon| {
                daemon.ask(Command::Interfaces).await;
                ready_tx.send(()).unwrap();
                daemon.until("the good one", |rib| rib.len() == 25).await;
                let errors = daemon.ask(Command::Errors).await;
                let count = |reason| {
                    errors
                        .iter()
                        .find(|row| row.reason == reason)
                        .unwrap()
                        .count
                };
                assert_eq!(count(Reject::Truncated), 2);
                assert_eq!(count(Reject::BadLength), 2);
                assert_eq!(count(Reject::TooManyEntries), 0);
            },
        );
    };
    let right = move || {
        let socket = UdpSocket::bind("10.0.12.2:520").unwrap();
        ready_rx.recv().unwrap();
        let oversized = [2; 4000];
        let good = response(0);
        for packet in [&[][..], &[2, 2], &good[..33], &oversized, &good] {
            socket.send_to(packet, "10.0.12.1:520").unwrap();
        }
        socket
    };
    on_a_link(left, right);
}

#[test]
fn a_held_port_is_refused_with_advice_and_is_not_shared() {
    if !is_root() {
        return;
    }
    let test = || {
        ip("link add left0 type veth peer name right0");
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let _guard = runtime.enter();
        let greedy = || {
            let socket =
                socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).unwrap();
            socket.set_reuse_address(true).unwrap();
            let address: std::net::SocketAddr = "0.0.0.0:520".parse().unwrap();
            socket.bind(&address.into()).map(|()| socket)
        };
        let left = Ifindex(if_nametoindex("left0").unwrap());
        let right = Ifindex(if_nametoindex("right0").unwrap());

        let held = greedy().unwrap();
        let error = check_port::<Ipv4>().unwrap_err().to_string();
        assert!(error.contains("ss -lunp sport = :520"), "{error}");
        let Err(error) = RipSocket::<Ipv4>::open(left, "left0", true) else {
            panic!("shared")
        };
        assert!(matches!(error, SocketError::PortHeld { .. }), "{error}");
        drop(held);

        check_port::<Ipv4>().unwrap();
        let _ours = [
            RipSocket::<Ipv4>::open(left, "left0", true).unwrap(),
            RipSocket::<Ipv4>::open(right, "right0", true).unwrap(),
        ];
        assert!(greedy().is_err(), "nobody takes the port away in silence");
        let Err(error) = RipSocket::<Ipv4>::open(left, "gone0", true) else {
            panic!("no such device")
        };
        assert!(error.to_string().contains("gone0"), "{error}");
    };
    in_namespace(test).join().unwrap();
}
