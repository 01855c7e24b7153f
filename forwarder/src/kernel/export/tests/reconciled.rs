//! Everything from the kernel's notifications to the kernel's table in a loop:
//! monitor, import, exporter, writer. Whatever others do, ours come back, and
//! theirs stay.

use std::sync::Arc;
use std::time::Duration;

use forwarder_core::config::Distances;
use forwarder_core::kernel::event::RouteEvent;
use forwarder_core::kernel::export::{Exporter, Installed};
use forwarder_core::kernel::import::{ImportOp, KernelTable, Ours};
use forwarder_core::net::{Ifindex, Ipv4};
use forwarder_core::route::{Candidate, Distance, RouteType, Source};
use forwarder_core::time;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::super::super::monitor::{CHANNEL_DEPTH, Monitor, MonitorConfig, MonitorOutputs};
use super::super::super::testing::{
    DEADLINE, ifindex, in_namespace, ip_batch, run, unwatched, veth_pair,
};
use super::*;

/// The loop, and what turns it.
struct Loop {
    table: KernelTable<Ipv4>,
    exporter: Exporter<Ipv4>,
    writer: KernelWriter,
    events: mpsc::Receiver<Vec<RouteEvent<Ipv4>>>,
    start: Instant,
    v0: Ifindex,
    requests: usize,
    known: bool,
    _cancel: DropGuard,
    _dataplane: mpsc::Receiver<Vec<forwarder_core::kernel::event::DataplaneEvent>>,
}

impl Loop {
    async fn start() -> Loop {
        let (routes, events) = mpsc::channel(CHANNEL_DEPTH);
        let (dataplane, _dataplane) = mpsc::channel(CHANNEL_DEPTH);
        let (interfaces, _) = watch::channel(Arc::default());
        let outputs = MonitorOutputs {
            routes4: routes,
            routes6: unwatched(),
            dataplane,
            interfaces,
        };
        let monitor = Monitor::open(outputs, MonitorConfig::default()).unwrap();
        let cancel = CancellationToken::new();
        tokio::spawn(monitor.run(cancel.clone()));
        let ours = Ours {
            protocol: OURS.protocol,
            metric: OURS.metric,
        };
        let mut this = Loop {
            table: KernelTable::new(ours, Distances::default()),
            exporter: Exporter::new(),
            writer: KernelWriter::open(OURS).unwrap(),
            events,
            start: Instant::now(),
            v0: ifindex("v0"),
            requests: 0,
            known: false,
            _cancel: cancel.drop_guard(),
            _dataplane,
        };
        this.until("the kernel's table", |this| this.known).await;
        this.exporter.rib_filled();
        this
    }

    fn now(&self) -> time::Instant {
        let micros = u64::try_from(self.start.elapsed().as_micros()).unwrap();
        time::Instant::from_micros(micros)
    }

    fn want(&mut self, destination: &str, gateway: Option<u8>) {
        let hop = |n| Nexthop::via(Ipv4Addr::new(192, 0, 2, n), self.v0);
        let route = gateway.map(|n| Candidate {
            kind: RouteType::Unicast,
            nexthops: vec![hop(n)],
            source: Source::Rip,
            distance: Distance(120),
            metric: 2,
            tag: 0,
            mtu: None,
            kernel_metric: None,
            preferred_source: None,
            attributes: None,
        });
        self.exporter
            .set_desired(prefix(destination), route.as_ref());
    }

    fn hear(&mut self, batch: Vec<RouteEvent<Ipv4>>) {
        let mut ops = Vec::new();
        for event in batch {
            if event == RouteEvent::DumpEnd {
                self.known = true;
                self.exporter.kernel_known();
            }
            if let RouteEvent::Link { up: true, .. } = event {
                self.exporter.retry_refused();
            }
            self.table.handle(event, &mut ops);
        }
        for op in ops {
            match op {
                ImportOp::OursSeen { route, .. } => self.exporter.ours_seen(self.now(), &route),
                ImportOp::OursGone { prefix } => self.exporter.ours_gone(self.now(), prefix),
                ImportOp::Update { .. } | ImportOp::Withdraw { .. } => {}
            }
        }
    }

    async fn work(&mut self) {
        let now = self.now();
        self.exporter.tick(now);
        let mut ops = self.exporter.take_additions(now, 256);
        ops.extend(self.exporter.take_removals(now, 256));
        self.requests += ops.len();
        let results = self.writer.apply(&ops).await;
        for (op, result) in ops.iter().zip(results) {
            self.exporter.complete(self.now(), op, result);
        }
    }

    /// Turns the loop until the condition holds: how long that took.
    async fn until(&mut self, what: &str, condition: impl Fn(&Loop) -> bool) -> Duration {
        let start = Instant::now();
        while !condition(self) {
            assert!(start.elapsed() < DEADLINE, "no {what}");
            self.work().await;
            let wait = tokio::time::timeout(Duration::from_millis(10), self.events.recv());
            if let Ok(Some(batch)) = wait.await {
                self.hear(batch);
            }
        }
        start.elapsed()
    }
}

fn with_loop<F: Future<Output = ()>>(test: impl FnOnce(Loop) -> F + Send + 'static) {
    in_namespace(|| async {
        veth_pair();
        test(Loop::start().await).await;
    });
}

fn count() -> usize {
    run("ip -N route show proto 210").lines().count()
}

#[test]
fn routes_flushed_by_hand_are_back_within_a_second() {
    with_loop(|mut this| async move {
        for n in 0..100 {
            this.want(&format!("10.{n}.0.0/16"), Some(9));
        }
        this.until("our routes", |_| count() == 100).await;
        run("ip route flush proto 210");
        assert_eq!(count(), 0);
        let took = this.until("our routes again", |_| count() == 100).await;
        assert!(took < Duration::from_secs(1), "{took:?}");
    });
}

#[test]
fn routes_lost_with_their_link_are_back_when_it_is() {
    with_loop(|mut this| async move {
        this.want("10.1.0.0/16", Some(9));
        this.until("our route", |_| count() == 1).await;
        run("ip link set v0 down");
        let refused = |this: &Loop| {
            matches!(
                this.exporter.installed(prefix("10.1.0.0/16")),
                Installed::No(_)
            )
        };
        this.until("its loss and refusal", refused).await;
        run("ip link set v0 up");
        let took = this.until("our route again", |_| count() == 1).await;
        assert!(took < Duration::from_secs(1), "{took:?}");
    });
}

#[test]
fn a_route_changed_or_doubled_by_hand_is_put_right() {
    with_loop(|mut this| async move {
        this.want("10.1.0.0/16", Some(9));
        this.until("our route", |_| count() == 1).await;
        run("ip route replace 10.1.0.0/16 via 192.0.2.7 proto 210 metric 15");
        this.until("it put right", |_| {
            shown("10.1.0.0/16").contains("192.0.2.9")
        })
        .await;
        assert_eq!(count(), 1);
    });
}

#[test]
fn a_foreign_route_at_our_key_stays_and_ours_follows_when_it_goes() {
    with_loop(|mut this| async move {
        run("ip route add 10.1.0.0/16 via 192.0.2.7 metric 15 proto static");
        this.want("10.1.0.0/16", Some(9));
        let occupied = Installed::No(Refusal::Occupied);
        let key = prefix("10.1.0.0/16");
        this.until("the refusal", |this| {
            this.exporter.installed(key) == occupied
        })
        .await;
        assert!(shown("10.1.0.0/16").contains("192.0.2.7"));
        run("ip route del 10.1.0.0/16 metric 15");
        this.exporter.retry_refused();
        this.until("our route", |_| count() == 1).await;
    });
}

#[test]
fn what_an_earlier_life_left_is_adopted_or_removed() {
    in_namespace(|| async {
        veth_pair();
        run("ip route add 10.1.0.0/16 via 192.0.2.9 metric 15 proto 210");
        run("ip route add 10.2.0.0/16 via 192.0.2.9 metric 15 proto 210");
        run("ip route add 10.3.0.0/16 via 192.0.2.9 metric 16 proto 210");
        let mut this = Loop::start().await;
        this.want("10.1.0.0/16", Some(9));
        this.until("the sweep", |_| count() == 2).await;
        assert!(!shown("10.1.0.0/16").is_empty() && !shown("10.3.0.0/16").is_empty());
        assert_eq!(this.requests, 1, "adopted without a request");
    });
}

#[test]
fn changes_in_quick_succession_cost_one_request_each() {
    with_loop(|mut this| async move {
        for gateway in 2..42 {
            this.want("10.1.0.0/16", Some(gateway));
            this.work().await;
        }
        let last = prefix("10.1.0.0/16");
        this.until("the last", |this| {
            this.exporter.installed(last) == Installed::Yes
        })
        .await;
        // Every echo has been heard, and nothing was done twice for it.
        this.until("rest", |this| {
            this.start.elapsed() > Duration::from_millis(300)
        })
        .await;
        assert_eq!(this.requests, 40);
        assert!(shown("10.1.0.0/16").contains("192.0.2.41"));
    });
}

#[test]
fn ours_survive_a_storm_of_others_changes() {
    with_loop(|mut this| async move {
        for n in 0..200 {
            this.want(&format!("10.{n}.0.0/16"), Some(9));
        }
        this.until("our routes", |_| count() == 200).await;
        for round in 0..5 {
            let lines = |verb: &str| -> String {
                let line = |n: u32| format!("route {verb} 10.{n}.0.0/16 via 192.0.2.10{round}\n");
                (0..200).map(line).collect()
            };
            ip_batch(&lines("add"));
            run("ip route flush proto 210");
            ip_batch(&lines("del"));
        }
        this.until("our routes again", |this| {
            count() == 200 && this.exporter.is_settled()
        })
        .await;
    });
}
