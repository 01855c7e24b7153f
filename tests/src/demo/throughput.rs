//! Frames from hostA to hostB: through XDP, through the kernel, and through
//! the least that any forwarder could do.
//!
//! Each frame is carried by one CPU from the generator through both routers to
//! the sink (see `forwarder::bench`), so the rate is frames counted at the sink
//! by the time for which the kernel says the run had that CPU: what else this
//! machine does meanwhile is left out, and shown beside it as the wall clock's
//! rate. The ways take turns, and medians are compared.
//!
//! The kernel's routers are a twin of the routers under test: same links, same
//! routes, no daemon; every port carries a two-instruction XDP_PASS program,
//! since a veth port whose far end has none takes no redirected frames.

use anyhow::ensure;
use aya::programs::XdpMode;
use forwarder::bench::{DEFAULT_BATCH, Flow, Generator, Pass, Relay, Report, Sink};

use super::Options;
use super::results::{Results, Throughput, median};
use super::topology::{HOST_A, HOST_B, HOST_PORT, Routers, Topology};
use crate::console::Console;
use crate::lab::{Lab, Namespace, Router, end};

/// discard (RFC 863).
const PORT: u16 = 9;
const TTL: u8 = 64;
/// Shortest frames: the cost is per frame, not per byte.
const FRAME: usize = 60;
const ROUNDS: u32 = 10;
/// Frames that fill caches before the first round.
const WARM_UP: u32 = 20_000;

/// Measures all ways and puts them into the results.
pub(super) fn measure(
    topology: &Topology,
    routers: &Routers,
    options: &Options,
    console: &Console,
    results: &mut Results,
) -> anyhow::Result<()> {
    let twin = Lab::new("demo-kernel")?;
    let mut ways = [
        Way::new("XDP", &topology.path()?, 2)?,
        kernel(&twin)?,
        limit(&twin)?,
        hosts_only(&twin)?,
    ];
    let before = forwarded(&routers.r1)?;
    for round in 1..=ROUNDS {
        for way in &mut ways {
            way.run(options.frames / ROUNDS)?;
        }
        console.detail(&progress(round, &ways));
    }
    let by_xdp = forwarded(&routers.r1)?.saturating_sub(before);
    let [xdp, kernel, limit, hosts] = ways.map(Way::finish);
    for way in [&xdp, &kernel] {
        if let Some(problem) = way.problem() {
            results.problem(console, problem);
        }
    }
    if by_xdp < xdp.delivered {
        let text = format!("only {by_xdp} of {} frames went through XDP", xdp.delivered);
        results.problem(console, text);
    }
    results.xdp = Some(xdp);
    results.kernel = Some(kernel);
    results.limits = vec![hosts, limit];
    Ok(())
}

fn progress(round: u32, ways: &[Way]) -> String {
    let rates: Vec<_> = ways
        .iter()
        .take(2)
        .filter_map(|way| Some((way.name, pps(way.runs.last()?))))
        .map(|(name, pps)| format!("{name} {:.2} Mpps", pps / 1e6))
        .collect();
    format!("round {round} of {ROUNDS}: {}", rates.join(", "))
}

/// Frames that arrived in a second of CPU time.
fn pps(run: &Report) -> f64 {
    run.delivered.frames as f64 / run.kernel.as_secs_f64().max(f64::EPSILON)
}

/// Frames that a router says its XDP program has forwarded.
fn forwarded(router: &Router) -> anyhow::Result<u64> {
    let counters = router.show("counters")?;
    Ok(counters["reasons"]["forwarded"].as_u64().unwrap_or(0))
}

/// The twin without daemons: the kernel forwards by static routes.
fn kernel(lab: &Lab) -> anyhow::Result<Way> {
    let topology = Topology::build(lab)?;
    topology.add_static_routes()?;
    let mut ports = Vec::new();
    for (namespace, interfaces) in topology.router_ports() {
        for interface in interfaces {
            let pass = namespace.enter(|| Ok(Pass::attach(interface, XdpMode::Driver)?))?;
            ports.push(Port::Pass(pass));
        }
    }
    let mut way = Way::new("kernel", &topology.path()?, 2)?;
    way.ports = ports;
    Ok(way)
}

/// Two hops that do what every router must, and look nothing up.
fn limit(lab: &Lab) -> anyhow::Result<Way> {
    let nodes = ["limit-a", "limit-1", "limit-2", "limit-b"].map(|name| lab.namespace(name));
    let [a, one, two, b] = nodes;
    let (a, one, two, b) = (a?, one?, two?, b?);
    for (left, right) in [(&a, &one), (&one, &two), (&two, &b)] {
        lab.link(end(left, "right"), end(right, "left"))?;
    }
    let mut ports = Vec::new();
    for (node, next) in [(&one, &two), (&two, &b)] {
        let (source, destination) = (node.mac_bytes("right")?, next.mac_bytes("left")?);
        let relay = || Relay::attach("left", "right", source, destination, XdpMode::Driver);
        ports.push(Port::Relay(node.enter(|| Ok(relay()?))?));
    }
    let path = Path {
        from: (&a, "right"),
        first_hop: one.mac_bytes("left")?,
        to: (&b, "left"),
    };
    let mut way = Way::new("two hops that look nothing up", &path, 2)?;
    way.ports = ports;
    Ok(way)
}

/// The hosts' share of everything: generator, one veth, sink.
fn hosts_only(lab: &Lab) -> anyhow::Result<Way> {
    let (a, b) = (lab.namespace("direct-a")?, lab.namespace("direct-b")?);
    lab.link(end(&a, "right"), end(&b, "left"))?;
    let path = Path {
        from: (&a, "right"),
        first_hop: b.mac_bytes("left")?,
        to: (&b, "left"),
    };
    Way::new("generator and sink, no hop", &path, 0)
}

/// Where frames start and end.
struct Path<'a> {
    from: (&'a Namespace, &'a str),
    first_hop: [u8; 6],
    to: (&'a Namespace, &'a str),
}

impl Topology {
    /// From host to host, neighbours resolved.
    fn path(&self) -> anyhow::Result<Path<'_>> {
        let ping = format!("ping -q -c 3 -i 0.05 -W 3 {HOST_B}");
        self.host_a.run(&ping)?;
        Ok(Path {
            from: (&self.host_a, HOST_PORT),
            first_hop: self.r1.mac_bytes("to-a")?,
            to: (&self.host_b, HOST_PORT),
        })
    }
}

#[expect(dead_code, reason = "held for their Drop, which detaches them")]
enum Port {
    Pass(Pass),
    Relay(Relay),
}

/// One way from a generator to a sink.
struct Way {
    name: &'static str,
    hops: u8,
    generator: Generator,
    sink: Sink,
    runs: Vec<Report>,
    /// What makes the ports between them do their part.
    ports: Vec<Port>,
}

impl Way {
    fn new(name: &'static str, path: &Path<'_>, hops: u8) -> anyhow::Result<Way> {
        let flow = Flow {
            source_mac: path.from.0.mac_bytes(path.from.1)?,
            destination_mac: path.first_hop,
            source: HOST_A,
            destinations: vec![HOST_B],
            source_port: PORT,
            destination_port: PORT,
            ttl: TTL,
            frame_len: FRAME,
        };
        let (from, to) = (path.from, path.to);
        let sink =
            to.0.enter(|| Ok(Sink::attach(to.1, PORT, XdpMode::Driver)?))?;
        let generator = from.0.enter(|| Ok(Generator::new(from.1, &flow)?))?;
        Ok(Way {
            name,
            hops,
            generator,
            sink,
            runs: Vec::new(),
            ports: Vec::new(),
        })
    }

    fn run(&mut self, frames: u32) -> anyhow::Result<()> {
        if self.runs.is_empty() {
            self.generator.run_to(&self.sink, WARM_UP, DEFAULT_BATCH)?;
        }
        let report = self.generator.run_to(&self.sink, frames, DEFAULT_BATCH)?;
        let name = self.name;
        ensure!(report.delivered.frames > 0, "{name}: nothing has arrived");
        self.runs.push(report);
        Ok(())
    }

    fn finish(self) -> Throughput {
        // Attached until now.
        drop(self.ports);
        let sum = |of: fn(&Report) -> u64| self.runs.iter().map(of).sum();
        let expected = TTL - self.hops;
        Throughput {
            name: self.name,
            hops: self.hops,
            sent: sum(|run| run.sent),
            delivered: sum(|run| run.delivered.frames),
            damaged: sum(|run| run.delivered.damaged),
            right_ttl: self.runs.iter().all(|run| run.delivered.ttl == expected),
            pps: median(self.runs.iter().map(pps)),
            wall_pps: median(self.runs.iter().map(Report::delivered_pps)),
        }
    }
}
