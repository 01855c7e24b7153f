//! Millions of frames: none of them disappears without being counted, and a
//! flood of one kind leaves the others alone.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use aya::programs::xdp::XdpMode;
use forwarder::bench::{Flow, Generator, Sink};
use forwarder_tests::lab::traffic::Stream;
use forwarder_tests::lab::{self, LONG, Namespace, Router, SHORT, Star, wait_for};

use crate::NATIVE;

/// Discard; what the sink counts.
const PORT: u16 = 9;
const BATCH: u32 = 64;

const B: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
const BLACKHOLE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const NOWHERE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);

const CONFIG: &str = "
[dataplane]
attach = \"native\"
[rip]
interfaces = [\"eth*\"]
[[static]]
prefix = \"198.51.100.0/24\"
type = \"blackhole\"
";

fn mac(namespace: &Namespace, interface: &str) -> anyhow::Result<[u8; 6]> {
    let text = namespace.mac(interface)?;
    let mut mac = [0; 6];
    for (byte, digits) in mac.iter_mut().zip(text.split(':')) {
        *byte =
            u8::from_str_radix(digits, 16).with_context(|| format!("the MAC address {text}"))?;
    }
    Ok(mac)
}

/// From a host, through the port of the router's that it is connected to.
fn flow(
    star: &Star,
    from: &Namespace,
    port: &str,
    destinations: &[Ipv4Addr],
) -> anyhow::Result<Flow> {
    let source = if port == "eth0" {
        [10, 0, 1, 2]
    } else {
        [10, 0, 3, 2]
    };
    Ok(Flow {
        source_mac: mac(from, "eth0")?,
        destination_mac: mac(&star.r1, port)?,
        source: source.into(),
        destinations: destinations.to_vec(),
        source_port: 1_000,
        destination_port: PORT,
        ttl: 64,
        frame_len: 60,
    })
}

/// What the router says of the port eth0 and of transmission, as differences.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Tally {
    seen: u64,
    forwarded: u64,
    up: u64,
    dropped: u64,
    lost_after: u64,
}

impl Tally {
    fn of(router: &Router) -> anyhow::Result<Tally> {
        let counters = router.show("counters")?;
        let ports = counters["interfaces"].as_array().context("no interfaces")?;
        let port = ports
            .iter()
            .find(|port| port["name"] == "eth0")
            .context("no eth0")?;
        let number = |value: &serde_json::Value| value.as_u64().context("not a number");
        let reasons = &counters["reasons"];
        Ok(Tally {
            seen: number(&port["rx_packets"])?,
            forwarded: number(&port["forwarded_packets"])?,
            up: number(&port["passed"])?,
            dropped: number(&port["dropped"])?,
            lost_after: number(&reasons["tx-error"])? + number(&reasons["tx-drop"])?,
        })
    }

    fn since(self, earlier: Tally) -> Tally {
        Tally {
            seen: self.seen - earlier.seen,
            forwarded: self.forwarded - earlier.forwarded,
            up: self.up - earlier.up,
            dropped: self.dropped - earlier.dropped,
            lost_after: self.lost_after - earlier.lost_after,
        }
    }
}

/// As fast as the links bear: everything is delivered, and said to be.
#[test]
fn load_that_the_links_bear_is_delivered_to_the_last_frame() {
    lab::test("load-delivered", |lab| {
        let star = Star::new(lab)?;
        let router = lab.start_router(&star.r1, NATIVE)?;
        star.warm_up(&router)?;
        let sink = star
            .b
            .enter(|| Ok(Sink::attach("eth0", PORT, XdpMode::Driver)?))?;
        let flow = flow(&star, &star.a, "eth0", &[B])?;
        let before = Tally::of(&router)?;
        let report = star.a.enter(|| {
            let mut generator = Generator::new("eth0", &flow)?;
            Ok(generator.run_to(&sink, 300_000, BATCH)?)
        })?;
        let count = sink.count()?;
        ensure!(
            report.sent == 300_000 && count.frames == 300_000,
            "{report:?} {count:?}"
        );
        ensure!(count.damaged == 0 && count.ttl == 63, "{count:?}");
        let tally = Tally::of(&router)?.since(before);
        ensure!(tally.lost_after == 0, "{tally:?}");
        // The router's own few packets (ARP) come on top.
        ensure!((300_000..300_100).contains(&tally.forwarded), "{tally:?}");
        Ok(())
    });
}

/// Far more than the links bear, to everywhere: injected = delivered + up +
/// dropped + tx-error + tx-drop, delivered counted at the far end.
#[test]
fn load_beyond_what_the_links_bear_is_accounted_for() {
    lab::test("load-accounted", |lab| {
        let star = Star::new(lab)?;
        let router = lab.start_router(&star.r1, CONFIG)?;
        star.warm_up(&router)?;
        let sink = star
            .b
            .enter(|| Ok(Sink::attach("eth0", PORT, XdpMode::Driver)?))?;
        let flow = flow(&star, &star.a, "eth0", &[B, BLACKHOLE, B, NOWHERE])?;
        let before = Tally::of(&router)?;
        star.a
            .enter(|| Ok(Generator::new("eth0", &flow)?.flood(1_000_000, BATCH)?))?;
        wait_for(SHORT, "sums that agree", || {
            let tally = Tally::of(&router)?.since(before);
            let delivered = sink.count()?.frames;
            ensure!(
                tally.seen > 100_000 && tally.dropped > 0 && tally.up > 0,
                "{tally:?}"
            );
            ensure!(
                tally.seen == tally.forwarded + tally.up + tally.dropped,
                "{tally:?}"
            );
            ensure!(
                tally.forwarded == delivered + tally.lost_after,
                "delivered {delivered}, {tally:?}"
            );
            Ok(())
        })
    });
}

/// What nobody has a route for must not take the CPU, or the way up, from those
/// who have one: punts are limited.
#[test]
fn load_without_a_route_disturbs_neither_traffic_nor_rip() {
    lab::test("load-flood", |lab| {
        let star = Star::new(lab)?;
        let config = format!("{CONFIG}[[rip.interface]]\nname = \"eth1\"\n");
        let router = lab.start_router(&star.r1, &config)?;
        star.warm_up(&router)?;
        let _neighbour = lab.start_bird(&star.b, BIRD)?;
        router.wait_route("192.168.2.0/24", "rip")?;
        let nowhere = flow(&star, &star.c, "eth2", &[NOWHERE])?;
        let to = std::net::SocketAddrV4::new(B, 5_000);
        let stream = Stream::start(&star.a, &star.b, to, Duration::from_millis(1))?;
        let limited = router.counted("punt-limited", || {
            flood_during(&star.c, &nowhere, || {
                // Three of the neighbour's updates.
                std::thread::sleep(Duration::from_secs(7));
                Ok(())
            })
        })?;
        stream.wait_for_more(10, LONG)?;
        let gaps = stream.stop()?;
        ensure!(
            limited > 100_000,
            "{limited} packets were limited: no flood"
        );
        ensure!(gaps.lost * 100 <= gaps.sent, "{gaps:?}");
        let route = router
            .route("192.168.2.0/24")?
            .context("the RIP route is gone")?;
        ensure!(route["source"] == "rip", "{route}");
        let neighbors = router.show("rip neighbors")?;
        let seen = neighbors[0]["last_seen"].as_u64().context("no neighbour")?;
        ensure!(
            seen <= 4,
            "the neighbour was last heard {seen} s ago: {neighbors}"
        );
        Ok(())
    });
}

const BIRD: &str = "
router id 10.0.2.2;
protocol device { scan time 1; }
protocol rip { ipv4 { import all; export all; };
  interface \"eth0\" { update time 2; timeout time 6; garbage time 6; }; }
protocol static st1 { ipv4; route 192.168.2.0/24 blackhole; }
";

/// Floods from a thread of its own until `body` returns.
fn flood_during(
    from: &Namespace,
    flow: &Flow,
    body: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let flooder = scope.spawn(|| {
            from.join()?;
            let mut generator = Generator::new("eth0", flow)?;
            while !stop.load(Ordering::Relaxed) {
                generator.flood(20_000, BATCH)?;
            }
            anyhow::Ok(())
        });
        let result = body();
        stop.store(true, Ordering::Relaxed);
        let flooded = flooder
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        result.and(flooded)
    })
}

/// The same flood, once to where the fast path forwards it and once to nowhere,
/// beside the same traffic: what is left to the traffic is compared, so that
/// the CPU the generators take is the same in both.
#[test]
fn load_without_a_route_leaves_forwarding_its_rate() {
    lab::test("load-rate", |lab| {
        let star = Star::new(lab)?;
        let router = lab.start_router(&star.r1, NATIVE)?;
        star.warm_up(&router)?;
        let sink = star
            .b
            .enter(|| Ok(Sink::attach("eth0", PORT, XdpMode::Driver)?))?;
        let plain = flow(&star, &star.a, "eth0", &[B])?;
        let rate = || {
            star.a.enter(|| {
                let mut generator = Generator::new("eth0", &plain)?;
                Ok(generator.run_to(&sink, 1_000_000, BATCH)?.delivered_pps())
            })
        };
        let beside = |destination: Ipv4Addr| {
            let flood = flow(&star, &star.c, "eth2", &[destination])?;
            let mut measured = 0.0;
            flood_during(&star.c, &flood, || {
                measured = rate()?;
                Ok(())
            })?;
            anyhow::Ok(measured)
        };
        let mut ratios = Vec::new();
        for _ in 0..5 {
            // Back to a: forwarded, and not to the sink.
            let forwarded = beside(Ipv4Addr::new(10, 0, 1, 2))?;
            ratios.push(beside(NOWHERE)? / forwarded);
        }
        ratios.sort_by(f64::total_cmp);
        crate::show(&format!(
            "rate under a flood without route: {ratios:.2?} of the plain one"
        ));
        ensure!(
            ratios[2] >= 0.8,
            "plain forwarding kept {ratios:?} of its rate"
        );
        Ok(())
    });
}
