//! A flood of packets that no route leads anywhere, at the full rate of a CPU,
//! beside traffic that is forwarded and a RIP neighbour that must stay.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, ensure};
use aya::programs::XdpMode;
use forwarder::bench::{DEFAULT_BATCH, Flow, Generator, Sink};
use forwarder_tests::lab::{self, Lab, Namespace, Router, SHORT, end, wait_for};

const PORT: u16 = 9;
const HOST_B: Ipv4Addr = Ipv4Addr::new(10, 3, 0, 2);
const ROUNDS: usize = 7;
const FRAMES: u32 = 400_000;

/// Timers so short that the flood lasts longer than a neighbour may be silent.
const CONFIG: &str = r#"
[dataplane]
attach = "native"

[rip]
interfaces = ["to-r*"]
redistribute = ["connected"]
update = "1s"
timeout = "3s"
garbage = "2s"
"#;

/// hostA and a flooder on r1, r1 ── r2 by RIP, hostB on r2.
struct Net {
    host_a: Namespace,
    flooder: Namespace,
    host_b: Namespace,
    r1: Router,
    _r2: Router,
}

impl Net {
    fn new(lab: &Lab) -> anyhow::Result<Net> {
        let (host_a, flooder) = (lab.namespace("hostA")?, lab.namespace("flooder")?);
        let (r1, r2) = (lab.router_namespace("r1")?, lab.router_namespace("r2")?);
        let host_b = lab.namespace("hostB")?;
        let links = [
            (&host_a, "eth0", "10.1.0.2", &r1, "to-a", "10.1.0.1"),
            (&flooder, "eth0", "10.2.0.2", &r1, "to-f", "10.2.0.1"),
            (&r1, "to-r2", "10.12.0.1", &r2, "to-r1", "10.12.0.2"),
            (&r2, "to-b", "10.3.0.1", &host_b, "eth0", "10.3.0.2"),
        ];
        for (a, a_port, a_address, b, b_port, b_address) in links {
            lab.link(
                end(a, a_port).address(&format!("{a_address}/24")),
                end(b, b_port).address(&format!("{b_address}/24")),
            )?;
        }
        host_a.run("ip route add default via 10.1.0.1")?;
        host_b.run("ip route add default via 10.3.0.1")?;
        Ok(Net {
            r1: lab.start_router(&r1, CONFIG)?,
            _r2: lab.start_router(&r2, CONFIG)?,
            host_a,
            flooder,
            host_b,
        })
    }

    /// From `host` through r1's port to `destinations`.
    fn generator(
        &self,
        host: &Namespace,
        port: &str,
        destinations: Vec<Ipv4Addr>,
    ) -> anyhow::Result<Generator> {
        let source = host.ip_json("address show dev eth0")?;
        let source = source[0]["addr_info"][0]["local"].as_str();
        let flow = Flow {
            source_mac: host.mac_bytes("eth0")?,
            destination_mac: self.r1.namespace().mac_bytes(port)?,
            source: source.context("no address")?.parse()?,
            destinations,
            source_port: PORT,
            destination_port: PORT,
            ttl: 64,
            frame_len: 60,
        };
        host.enter(|| Ok(Generator::new("eth0", &flow)?))
    }

    fn has_route(&self) -> anyhow::Result<()> {
        let routes = self.r1.show("routes")?;
        let routes = routes.as_array().context("no array")?;
        let found = routes.iter().any(|route| {
            route["prefix"] == "10.3.0.0/24"
                && route["source"] == "rip"
                && route["installed"]["xdp"] == true
        });
        ensure!(found, "{routes:?}");
        Ok(())
    }
}

/// Destinations without a route, more than the route cache holds.
fn nowhere() -> Vec<Ipv4Addr> {
    (0..20_000)
        .map(|n| Ipv4Addr::from(0xcb00_0000 + n * 97))
        .collect()
}

/// The median of the CPU time that a forwarded frame costs, in nanoseconds.
/// Not the wall clock's: where the flood and this thread have to share a CPU,
/// neither can keep its rate.
fn cost(generator: &mut Generator, sink: &Sink) -> anyhow::Result<u128> {
    let mut costs = Vec::new();
    for _ in 0..ROUNDS {
        let report = generator.run_to(sink, FRAMES, DEFAULT_BATCH)?;
        ensure!(report.delivered.frames == report.sent, "{report:?}");
        costs.push(report.kernel.as_nanos() / u128::from(report.sent));
    }
    costs.sort_unstable();
    Ok(costs[ROUNDS / 2])
}

#[test]
fn flood_without_a_route_leaves_forwarding_80_percent_and_every_neighbour() {
    lab::test("flood", |lab| {
        let net = Net::new(lab)?;
        wait_for(SHORT, "r1 to learn hostB's network", || net.has_route())?;
        net.host_a.run("ping -c 2 -W 5 10.3.0.2")?;
        let attach = || Ok(Sink::attach("eth0", PORT, XdpMode::Driver)?);
        let sink = net.host_b.enter(attach)?;
        let mut forwarded = net.generator(&net.host_a, "to-a", vec![HOST_B])?;
        let mut flood = net.generator(&net.flooder, "to-f", nowhere())?;
        let alone = cost(&mut forwarded, &sink)?;

        let stop = AtomicBool::new(false);
        let (beside, flooded) = std::thread::scope(|scope| {
            let flooding = scope.spawn(|| -> anyhow::Result<u64> {
                let mut sent = 0;
                while !stop.load(Ordering::Relaxed) {
                    sent += flood.flood(100_000, DEFAULT_BATCH)?.sent;
                }
                Ok(sent)
            });
            let beside = cost(&mut forwarded, &sink);
            // Longer than RIP's timeout, with the route there all the time.
            let end = std::time::Instant::now() + std::time::Duration::from_secs(5);
            let mut route = Ok(());
            while route.is_ok() && std::time::Instant::now() < end {
                route = net.has_route();
            }
            stop.store(true, Ordering::Relaxed);
            let flooded = flooding.join().expect("the flooding thread");
            (route.and(beside), flooded)
        });
        let (beside, flooded) = (beside?, flooded?);
        ensure!(flooded > 1_000_000, "the flood was only {flooded} frames");
        ensure!(
            alone * 10 >= beside * 8,
            "a frame cost {alone} ns alone and {beside} ns beside the flood"
        );
        eprintln!("{alone} ns a frame alone, {beside} ns beside a flood of {flooded} frames");
        let reasons = net.r1.show("counters")?["reasons"].clone();
        let count = |reason: &str| reasons[reason].as_u64().unwrap_or(0);
        // The rest is what a veth's ring lost before r1 saw it.
        let seen = count("no-route") + count("punt-limited");
        ensure!(seen > 1_000_000, "r1 saw {seen} of {flooded}: {reasons}");
        Ok(())
    });
}
