//! `forwarder bench program`: what it costs to put routes into the maps.
//!
//! * load: all prefixes into empty maps, the compiler ([`Fib`](forwarder_core::fib::Fib))
//!   and the writes timed apart; then a million destinations are sent through
//!   the whole program, and each must leave by the right next hop;
//! * change: while the table churns at a given rate, a route is moved to another
//!   next hop, and timed until the program sends a packet there;
//! * memory: what the maps take in the kernel, what FIB and builder take here.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use aya::programs::{TestRun as _, TestRunOptions};
use forwarder_core::config::Engine;
use forwarder_core::fib::FibOp;
use forwarder_core::net::TableId;
use forwarder_core::route::Candidate;
use serde::Serialize;

use super::family::BenchFamily;
use super::fib::context;
use super::namespace::Namespace;
use super::progress::Progress;
use super::random::Random;
use super::router::{Ours, PROGRAM, Router, hop_mac, lookup_for};
use super::samples::quantile;
use super::setup::{Input, Setup};
use super::socket::{self, SocketReport};
use super::table::Table;
use super::traffic::{Destinations, Traffic};
use super::{Flow, FrameAddress, memory};
use crate::dataplane::memlock;

/// `XDP_REDIRECT`.
const REDIRECT: u32 = 4;

/// What is measured.
#[derive(Clone, Debug)]
pub struct Options {
    /// Routes; its destinations are what is checked.
    pub input: Input,
    /// `multibit` or `lpm-trie`.
    pub engine: Engine,
    /// Changes to time, each with another one beside it.
    pub changes: usize,
    /// Changes a second, timed ones and others.
    pub rate: u32,
    /// Likewise for the routing socket; `None` = it is not measured.
    pub socket: Option<socket::Options>,
}

/// The whole measurement.
#[derive(Clone, Debug, Serialize)]
pub struct ProgramReport {
    /// Conditions.
    pub setup: Setup,
    /// Which engine.
    pub engine: &'static str,
    /// Into empty maps.
    pub load: Load,
    /// One at a time.
    pub change: Change,
    /// What it all takes.
    pub memory: Memory,
    /// The routing socket of a daemon; `None` = it was not wanted.
    pub socket: Option<SocketReport>,
}

/// A full table into empty maps.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Load {
    /// Prefixes.
    pub routes: usize,
    /// Writes that they came to.
    pub writes: usize,
    /// Seconds that the compiler took.
    pub compile: f64,
    /// Seconds that the writes took.
    pub write: f64,
    /// Destinations that were sent through the program afterwards, all by the
    /// right next hop.
    pub checked: usize,
}

/// Single changes.
#[derive(Clone, Debug, Serialize)]
pub struct Change {
    /// Changes a second that were made, timed ones and others.
    pub rate: f64,
    /// Microseconds from the change to the first packet by the new next hop.
    pub convergence: Spread,
    /// Microseconds of the writes to the maps alone.
    pub store: Spread,
    /// Destinations that were sent through the program after all changes, all by
    /// the right next hop.
    pub checked: usize,
}

/// What a single time came to, over all.
#[derive(Clone, Debug, Serialize)]
pub struct Spread {
    /// The median.
    pub p50: f64,
    /// 99 of 100 are below.
    pub p99: f64,
    /// The longest.
    pub max: f64,
    /// Every one, in order.
    pub samples: Vec<f64>,
}

/// Bytes.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Memory {
    /// All maps of the router, by what the kernel charges for them.
    pub maps: u64,
    /// Growth of this process by the FIB and the builder of the rows.
    pub fib: u64,
}

impl Spread {
    pub(super) fn of(samples: Vec<f64>) -> Spread {
        let mut sorted = samples.clone();
        sorted.sort_by(f64::total_cmp);
        Spread {
            p50: quantile(&sorted, 0.5),
            p99: quantile(&sorted, 0.99),
            max: quantile(&sorted, 1.0),
            samples,
        }
    }
}

/// Measures.
pub fn run<F: BenchFamily>(
    options: &Options,
    progress: &Progress,
) -> anyhow::Result<ProgramReport> {
    let input = &options.input;
    ensure!(input.hops > 1, "a change needs two next hops at least");
    progress.step("table and destinations");
    let mut table = input.table::<F>()?;
    let hosts = Namespace::new()?;
    let router = Router::new::<F>(&hosts, 0, input.hops)?;
    let maps_before = memlock::of_this_process()?;
    let ours = router.ours::<F>(lookup_for(options.engine, &table), input.hops)?;
    let mut bench = Bench {
        candidates: router.candidates(input.hops),
        frame: frame::<F>(&hosts, &router)?,
        ingress: router.ingress(),
        ours,
        seed: input.seed,
        ops: Vec::new(),
    };
    // All of it inside: entering takes longer than a packet.
    let (load, change, memory) = router.enter(|| {
        progress.step("loading the table");
        let own_before = memory::own()?;
        let mut load = bench.load(&table);
        let memory = Memory {
            maps: memlock::of_this_process()?.saturating_sub(maps_before),
            fib: memory::own()?.saturating_sub(own_before),
        };
        progress.step("checking every destination");
        load.checked = bench.check(&table, input.destinations)?;
        progress.step("changing single routes");
        let mut change = bench.churn(&mut table, options)?;
        progress.step("checking every destination again");
        change.checked = bench.check(&table, input.destinations)?;
        Ok((load, change, memory))
    })?;
    drop((bench, router));
    let measure = |wanted: &socket::Options| {
        socket::run::<F>(wanted, &table, input.hops, options.engine, progress)
    };
    let socket = options.socket.as_ref().map(measure).transpose()?;
    Ok(ProgramReport {
        setup: input.describe(&table),
        engine: options.engine.name(),
        load,
        change,
        memory,
        socket,
    })
}

/// A packet to nowhere, as it arrives at the router.
fn frame<F: BenchFamily>(hosts: &Namespace, router: &Router) -> anyhow::Result<Vec<u8>> {
    let flow = Flow {
        source_mac: hosts.mac(&router.before)?,
        destination_mac: router.mac,
        source: F::sender(),
        destinations: Vec::new(),
        source_port: 9,
        destination_port: 9,
        ttl: 64,
        frame_len: F::Addr::MIN_FRAME,
    };
    let mut bytes = F::Addr::headers(&flow);
    bytes.resize(F::Addr::MIN_FRAME, 0);
    Ok(bytes)
}

/// Works in the router's namespace.
struct Bench<F: BenchFamily> {
    ingress: u32,
    ours: Ours<F>,
    candidates: Vec<Candidate<F>>,
    frame: Vec<u8>,
    seed: u64,
    ops: Vec<FibOp<F>>,
}

impl<F: BenchFamily> Bench<F> {
    fn load(&mut self, table: &Table<F>) -> Load {
        let mut ops = Vec::new();
        let start = Instant::now();
        for (prefix, hop) in &table.routes {
            let route = Some(&self.candidates[usize::from(*hop)]);
            let fib = &mut self.ours.side.fib;
            fib.set_route(TableId::MAIN, *prefix, route, &mut ops);
        }
        let compiled = start.elapsed();
        let start = Instant::now();
        for op in &ops {
            self.ours.carry_out(op);
        }
        Load {
            routes: table.routes.len(),
            writes: ops.len(),
            compile: compiled.as_secs_f64(),
            write: start.elapsed().as_secs_f64(),
            checked: 0,
        }
    }

    /// Sends a packet to each of many destinations through the whole program.
    fn check(&mut self, table: &Table<F>, which: Destinations) -> anyhow::Result<usize> {
        let traffic = Traffic::draw(table, which, self.seed)?;
        for (&address, &hop) in traffic.addresses.iter().zip(&traffic.hops) {
            let found = self.send(address)?;
            ensure!(
                found == Some(hop_mac(hop)),
                "a packet to {address} should leave for {:02x?}, and does for {found:02x?}",
                hop_mac(hop)
            );
        }
        Ok(traffic.addresses.len())
    }

    /// Where the program sends a packet: the MAC address of the next hop.
    fn send(&mut self, address: F::Addr) -> anyhow::Result<Option<[u8; 6]>> {
        address.complete(&mut self.frame);
        let context = context(self.frame.len() as u32, self.ingress);
        let mut out = [0; 128];
        let program = self.ours.object.xdp(PROGRAM)?;
        let result = program
            .test_run(TestRunOptions {
                data_in: Some(&self.frame),
                data_out: Some(&mut out),
                ctx_in: Some(&context),
                ..TestRunOptions::default()
            })
            .context("running the forwarding program")?;
        let mac = out.first_chunk::<6>().copied();
        Ok(mac.filter(|_| result.return_value == REDIRECT))
    }

    /// Moves routes to other next hops, one by one, and times each; between them
    /// withdraws another route, or announces it again.
    fn churn(&mut self, table: &mut Table<F>, options: &Options) -> anyhow::Result<Change> {
        let mut random = Random::new(self.seed ^ 0x6368_6e67);
        let (mut convergence, mut store) = (Vec::new(), Vec::new());
        let mut withdrawn: Option<(F::Prefix, u8)> = None;
        let pause = Duration::from_secs_f64(2.0 / f64::from(options.rate.max(1)));
        let start = Instant::now();
        for turn in 1..=options.changes {
            let (prefix, address, hop) = pick(table, &mut random)?;
            let new = (hop + 1) % options.input.hops;
            let (whole, writes) = self.change(prefix, address, new)?;
            table.set(prefix, Some(new));
            convergence.push(whole.as_secs_f64() * 1e6);
            store.push(writes.as_secs_f64() * 1e6);
            withdrawn = match withdrawn.take() {
                Some((prefix, hop)) => {
                    self.set(prefix, Some(hop));
                    table.set(prefix, Some(hop));
                    None
                }
                None => {
                    let (prefix, hop) = table.routes[random.below(table.routes.len())];
                    self.set(prefix, None);
                    table.set(prefix, None);
                    Some((prefix, hop))
                }
            };
            self.release();
            while start.elapsed() < pause * turn as u32 {
                std::hint::spin_loop();
            }
        }
        let made = 2 * options.changes;
        Ok(Change {
            rate: made as f64 / start.elapsed().as_secs_f64(),
            convergence: Spread::of(convergence),
            store: Spread::of(store),
            checked: 0,
        })
    }

    /// One change, until a packet takes it: how long in all, and in the maps.
    fn change(
        &mut self,
        prefix: F::Prefix,
        address: F::Addr,
        hop: u8,
    ) -> anyhow::Result<(Duration, Duration)> {
        let start = Instant::now();
        let writes = self.set(prefix, Some(hop));
        let found = self.send(address)?;
        let whole = start.elapsed();
        ensure!(
            found == Some(hop_mac(hop)),
            "after the change of {prefix} a packet to {address} leaves for {found:02x?}"
        );
        Ok((whole, writes))
    }

    /// A route by a next hop, or none: how long the maps took.
    fn set(&mut self, prefix: F::Prefix, hop: Option<u8>) -> Duration {
        let route = hop.map(|hop| &self.candidates[usize::from(hop)]);
        let mut ops = std::mem::take(&mut self.ops);
        let fib = &mut self.ours.side.fib;
        fib.set_route(TableId::MAIN, prefix, route, &mut ops);
        let start = Instant::now();
        for op in ops.drain(..) {
            self.ours.carry_out(&op);
        }
        let writes = start.elapsed();
        self.ops = ops;
        writes
    }

    /// What was freed may be used again: this thread is the only one that sends
    /// packets through the program, and it is here.
    fn release(&mut self) {
        let resting = self.ours.side.take_freed(&mut self.ours.tables);
        self.ours.side.release(&mut self.ours.tables, resting);
    }
}

/// A route, a destination that takes it, and the next hop it has.
fn pick<F: BenchFamily>(
    table: &Table<F>,
    random: &mut Random,
) -> anyhow::Result<(F::Prefix, F::Addr, u8)> {
    for _ in 0..10_000 {
        let (prefix, _) = table.routes[random.below(table.routes.len())];
        let address = F::host_in(&prefix, random.wide());
        if let Some((found, hop)) = table.longest(address)
            && found == prefix
            && !super::table::is_reserved_address::<F>(address)
        {
            return Ok((prefix, address, hop));
        }
    }
    anyhow::bail!("hardly a route of the table has an address of its own")
}
