//! `forwarder bench forward`: what a packet costs, from one host to another
//! through a router, by each of several ways to forward it.
//!
//! All ways get the same frames, as if received by a port, and send them over a
//! link of the same kind (see [`super::router`]); they take turns, so that what
//! else the machine does meets all alike. The way to the port is left out: there
//! a NIC would be. Time is the kernel's own for the run of the generator, which
//! carries each frame through to the sink ([`super::Generator::run_to`]). The sink checks every
//! frame: checksum, and that it came by the next hop that is right for its
//! destination.

use std::str::FromStr;

use aya::programs::XdpMode;
use forwarder_common::bench::tag;
use forwarder_core::config::Engine;
use serde::Serialize;

use super::family::BenchFamily;
use super::namespace::Namespace;
use super::progress::Progress;
use super::router::{Forwarder, Router, hop_mac, lookup_for};
use super::samples::Summary;
use super::setup::{Input, Setup};
use super::table::Table;
use super::traffic::Traffic;
use super::{Flow, FrameAddress, Generator, Receiver, Report, Sink, alone};
use crate::dataplane::object::Lookup;

/// discard (RFC 863).
const PORT: u16 = 9;
const TTL: u8 = 64;

/// A way to get a frame from one host to the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// One link, no router: what generator and sink cost, which is in every
    /// other way's time too.
    Direct,
    /// The bare redirect: MACs, TTL, checksum, one constant target.
    Relay,
    /// Our whole program, a constant in place of the lookup.
    Constant,
    /// Our whole program, engine `multibit`.
    Multibit,
    /// Our whole program, engine `lpm-trie`.
    LpmTrie,
    /// Our whole program, engine `kernel`.
    Kernel,
    /// The kernel's own forwarding.
    IpForward,
}

impl Way {
    /// All, in the order in which they are shown.
    pub const ALL: [Way; 7] = [
        Way::Direct,
        Way::Relay,
        Way::Constant,
        Way::Multibit,
        Way::LpmTrie,
        Way::Kernel,
        Way::IpForward,
    ];

    /// As on the command line and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Way::Direct => "direct",
            Way::Relay => "relay",
            Way::Constant => "constant",
            Way::Multibit => "multibit",
            Way::LpmTrie => "lpm-trie",
            Way::Kernel => "kernel",
            Way::IpForward => "ip-forward",
        }
    }

    /// Whether all frames leave by the first next hop.
    const fn is_constant(self) -> bool {
        matches!(self, Way::Direct | Way::Relay | Way::Constant)
    }
}

impl FromStr for Way {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Way::ALL.into_iter().find(|way| way.name() == text);
        found.ok_or_else(|| format!("expected one of {}", Way::ALL.map(Way::name).join(", ")))
    }
}

/// What is measured.
#[derive(Clone, Debug)]
pub struct Options {
    /// Routes and destinations.
    pub input: Input,
    /// Which ways.
    pub ways: Vec<Way>,
    /// How often each.
    pub samples: usize,
    /// Frames a sample.
    pub frames: u32,
    /// Frames that the generator makes at a time.
    pub batch: u32,
}

/// One way's share.
#[derive(Clone, Debug, Serialize)]
pub struct WayReport {
    /// Which.
    pub way: Way,
    /// Nanoseconds a frame: of the whole path, generator and sink included.
    pub ns: Summary,
    /// Those of the router alone: what is left without [`Way::Direct`].
    pub router_ns: Option<f64>,
    /// Those of our program alone, run without live frames; every packet of a
    /// call goes to one destination.
    pub program_ns: Option<Summary>,
    /// Frames sent in all samples.
    pub sent: u64,
    /// Of these, frames that arrived whole at the right next hop.
    pub delivered: u64,
    /// Every sample.
    pub samples: Vec<Sample>,
}

/// One run.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Sample {
    /// Nanoseconds a frame, by the kernel's time for the run.
    pub ns: f64,
    /// Likewise by the wall clock.
    pub wall_ns: f64,
    /// Of our program alone.
    pub program_ns: Option<f64>,
    /// Frames sent.
    pub sent: u64,
    /// Frames that arrived with an intact header.
    pub arrived: u64,
    /// Of these, frames that came by a wrong next hop.
    pub misrouted: u64,
    /// Frames that arrived with a wrong checksum.
    pub damaged: u64,
    /// TTL of the last frame that arrived.
    pub ttl: u8,
}

impl Sample {
    fn of(report: &Report, program_ns: Option<f64>) -> Sample {
        let frames = report.delivered.arrived().max(1) as f64;
        Sample {
            ns: report.kernel.as_nanos() as f64 / frames,
            wall_ns: report.wall.as_nanos() as f64 / frames,
            program_ns,
            sent: report.sent,
            arrived: report.delivered.frames,
            misrouted: report.delivered.misrouted,
            damaged: report.delivered.damaged,
            ttl: report.delivered.ttl,
        }
    }
}

/// The whole measurement.
#[derive(Clone, Debug, Serialize)]
pub struct ForwardReport {
    /// Conditions.
    pub setup: Setup,
    /// Frames a sample.
    pub frames: u32,
    /// Frames that the generator makes at a time.
    pub batch: u32,
    /// Bytes of a frame.
    pub frame_bytes: usize,
    /// In the order of [`Way::ALL`].
    pub ways: Vec<WayReport>,
    /// What makes the figures worthless: frames lost, damaged, misrouted.
    pub problems: Vec<String>,
}

impl ForwardReport {
    /// One way's.
    pub fn way(&self, way: Way) -> Option<&WayReport> {
        self.ways.iter().find(|report| report.way == way)
    }

    /// How many times as long one way takes as another, by the medians.
    pub fn ratio(&self, slow: Way, fast: Way) -> Option<f64> {
        Some(self.way(slow)?.ns.median / self.way(fast)?.ns.median)
    }
}

/// Measures.
pub async fn run<F: BenchFamily>(
    options: &Options,
    progress: &Progress,
) -> anyhow::Result<ForwardReport> {
    let input = &options.input;
    progress.step("table and destinations");
    let table = input.table::<F>()?;
    let traffic = Traffic::draw(&table, input.destinations, input.seed)?;
    let hosts = Namespace::new()?;
    let mut paths = Vec::new();
    for (number, way) in Way::ALL.into_iter().enumerate() {
        if options.ways.contains(&way) {
            progress.step(&format!("setting up {}", way.name()));
            let lab = Lab {
                hosts: &hosts,
                table: &table,
                traffic: &traffic,
                hops: input.hops,
            };
            let mut path = lab.path(way, number).await?;
            path.watch_transmit(false);
            paths.push(path);
        }
    }
    for path in &mut paths {
        path.run(options.frames / 10 + 1, options.batch)?;
    }
    for round in 1..=options.samples {
        progress.step(&format!("round {round} of {}", options.samples));
        for path in &mut paths {
            let report = path.run(options.frames, options.batch)?;
            let alone = path.alone(&traffic.addresses, input.hops)?;
            path.samples.push(Sample::of(&report, alone));
        }
    }
    progress.step("taking it down");
    Ok(report::<F>(options, input.describe(&table), paths))
}

fn report<F: BenchFamily>(options: &Options, setup: Setup, paths: Vec<Path<F>>) -> ForwardReport {
    let problems = paths.iter().flat_map(Path::problems).collect();
    let mut ways: Vec<WayReport> = paths.into_iter().filter_map(Path::finish).collect();
    let direct = ways.iter().find(|report| report.way == Way::Direct);
    if let Some(base) = direct.map(|report| report.ns.median) {
        for report in ways.iter_mut().filter(|report| report.way != Way::Direct) {
            report.router_ns = Some(report.ns.median - base);
        }
    }
    ForwardReport {
        setup,
        frames: options.frames,
        batch: options.batch,
        frame_bytes: F::Addr::MIN_FRAME,
        ways,
        problems,
    }
}

/// What paths are made of.
struct Lab<'a, F: BenchFamily> {
    hosts: &'a Namespace,
    table: &'a Table<F>,
    traffic: &'a Traffic<F::Addr>,
    hops: u8,
}

/// From a generator to a sink.
struct Path<F: BenchFamily> {
    way: Way,
    generator: Generator,
    sink: Sink,
    samples: Vec<Sample>,
    /// What is between the two.
    router: Option<(Router, Forwarder<F>)>,
}

impl<F: BenchFamily> Lab<'_, F> {
    async fn path(&self, way: Way, number: usize) -> anyhow::Result<Path<F>> {
        if way == Way::Direct {
            let lines = "link add g type veth peer name s\nlink set g up\nlink set s up\n";
            self.hosts.ip(lines)?;
            return self.hosts.enter(|| {
                let flow = self.flow(self.hosts.mac("g")?, hop_mac(0));
                Ok(Path {
                    way,
                    sink: Sink::attach_tagged("s", PORT, XdpMode::Driver)?,
                    generator: Generator::tagged("g", &flow, &self.tags(way))?,
                    samples: Vec::new(),
                    router: None,
                })
            });
        }
        let router = Router::new::<F>(self.hosts, number, self.hops)?;
        let mut forwarder = self.forwarder(way, &router).await?;
        let attach = || Ok(Sink::attach_tagged(&router.behind, PORT, XdpMode::Driver)?);
        let sink = self.hosts.enter(attach)?;
        let flow = self.flow(self.hosts.mac(&router.before)?, router.mac);
        let receiver = Receiver {
            ifindex: router.ingress(),
            program: forwarder.program()?,
        };
        let generator = Generator::received(&receiver, &flow, &self.tags(way))?;
        Ok(Path {
            way,
            sink,
            generator,
            samples: Vec::new(),
            router: Some((router, forwarder)),
        })
    }

    async fn forwarder(&self, way: Way, router: &Router) -> anyhow::Result<Forwarder<F>> {
        let lookup = match way {
            Way::Direct | Way::Relay => return router.relay(),
            Way::IpForward => {
                router.enable_forwarding()?;
                router.kernel_routes(self.table).await?;
                return router.kernel();
            }
            Way::Constant => Lookup::Constant,
            Way::Multibit => lookup_for(Engine::Multibit, self.table),
            Way::LpmTrie => lookup_for(Engine::LpmTrie, self.table),
            Way::Kernel => {
                router.enable_forwarding()?;
                router.kernel_routes(self.table).await?;
                Lookup::Kernel
            }
        };
        let mut ours = router.ours(lookup, self.hops)?;
        if matches!(way, Way::Multibit | Way::LpmTrie) {
            router.route_all(&mut ours, self.table, self.hops);
        }
        Ok(Forwarder::Ours(Box::new(ours)))
    }

    fn flow(&self, source_mac: [u8; 6], destination_mac: [u8; 6]) -> Flow<F::Addr> {
        Flow {
            source_mac,
            destination_mac,
            source: F::sender(),
            destinations: self.traffic.addresses.clone(),
            source_port: PORT,
            destination_port: PORT,
            ttl: TTL,
            frame_len: F::Addr::MIN_FRAME,
        }
    }

    /// What each frame says of the next hop that is right for it.
    fn tags(&self, way: Way) -> Vec<u16> {
        let hop = |hop: &u8| if way.is_constant() { 0 } else { *hop };
        self.traffic.hops.iter().map(hop).map(tag).collect()
    }
}

impl<F: BenchFamily> Path<F> {
    /// The tracepoints of our program see all redirects of the machine, so they
    /// are on only while it is measured, whose part they are.
    fn run(&mut self, frames: u32, batch: u32) -> anyhow::Result<Report> {
        self.watch_transmit(true);
        let Path {
            generator, sink, ..
        } = self;
        let mut run = || Ok(generator.run_to(sink, frames, batch)?);
        let report = match &self.router {
            Some((router, _)) => router.enter(run),
            None => run(),
        };
        self.watch_transmit(false);
        report
    }

    fn watch_transmit(&mut self, on: bool) {
        match &mut self.router {
            Some((_, Forwarder::Ours(ours))) if on => ours.object.watch_transmit(),
            Some((_, Forwarder::Ours(ours))) => ours.object.unwatch_transmit(),
            _ => {}
        }
    }

    /// Nanoseconds a packet of our program alone, if it is ours.
    fn alone(&mut self, addresses: &[F::Addr], hops: u8) -> anyhow::Result<Option<f64>> {
        match &mut self.router {
            Some((router, Forwarder::Ours(ours))) => {
                alone::time(router, ours, addresses, hops).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// What is wrong with the samples.
    fn problems(&self) -> Vec<String> {
        let expected = if self.way == Way::Direct {
            TTL
        } else {
            TTL - 1
        };
        let (name, mut problems) = (self.way.name(), Vec::new());
        for (number, sample) in (1..).zip(&self.samples) {
            let Sample { sent, arrived, .. } = *sample;
            if arrived != sent {
                problems.push(format!(
                    "{name}, sample {number}: {arrived} of {sent} arrived"
                ));
            }
            for (count, what) in [
                (sample.misrouted, "came by a wrong next hop"),
                (sample.damaged, "were damaged"),
            ] {
                if count > 0 {
                    problems.push(format!("{name}, sample {number}: {count} {what}"));
                }
            }
            if sample.ttl != expected {
                let ttl = sample.ttl;
                problems.push(format!(
                    "{name}, sample {number}: TTL {ttl}, not {expected}"
                ));
            }
        }
        problems
    }

    fn finish(self) -> Option<WayReport> {
        let sum = |of: fn(&Sample) -> u64| self.samples.iter().map(of).sum();
        let times: Vec<f64> = self.samples.iter().map(|sample| sample.ns).collect();
        let alone: Vec<f64> = self.samples.iter().filter_map(|s| s.program_ns).collect();
        Some(WayReport {
            way: self.way,
            ns: Summary::of(&times)?,
            router_ns: None,
            program_ns: Summary::of(&alone),
            sent: sum(|sample| sample.sent),
            delivered: sum(|sample| sample.arrived - sample.misrouted),
            samples: self.samples,
        })
    }
}
