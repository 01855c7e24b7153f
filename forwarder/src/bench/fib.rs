//! `forwarder bench fib`: what a lookup costs, by engine.
//!
//! The programs of `forwarder-lookup-xdp` do many lookups a run by the router's
//! own code, in the router's own maps, filled by the daemon's own compiler. First
//! every key is checked against the table; then the same keys are only read
//! (what the loop costs), looked up one after the other has its answer
//! (latency), and looked up as fast as the CPU can (throughput), in turns.

use anyhow::{Context as _, ensure};
use aya::maps::{Array, MapData};
use aya::programs::{TestRun as _, TestRunOptions};
use forwarder_common::bench::{LOOKUPS_A_RUN, Lookups, map, mode};
use forwarder_core::config::Engine;
use serde::Serialize;

use super::family::BenchFamily;
use super::namespace::Namespace;
use super::progress::Progress;
use super::router::{Ours, Router, hop_mac, lookup_for};
use super::samples::Summary;
use super::setup::{Input, Setup};
use super::table::Table;
use super::traffic::Traffic;
use crate::dataplane::object::Object;

/// The object built by build.rs.
static LOOKUP_OBJECT: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/forwarder-lookup-xdp"));

/// What is measured.
#[derive(Clone, Debug)]
pub struct Options {
    /// Routes and destinations.
    pub input: Input,
    /// Which engines.
    pub engines: Vec<Engine>,
    /// How often each.
    pub samples: usize,
}

/// The whole measurement.
#[derive(Clone, Debug, Serialize)]
pub struct FibReport {
    /// Conditions.
    pub setup: Setup,
    /// Lookups in one sample.
    pub lookups: u64,
    /// One an engine.
    pub engines: Vec<EngineReport>,
}

/// One engine's share; nanoseconds a lookup, the loop's own subtracted.
#[derive(Clone, Debug, Serialize)]
pub struct EngineReport {
    /// Which.
    pub engine: &'static str,
    /// Each lookup waits for the one before: latency.
    pub dependent: Summary,
    /// None does: throughput.
    pub independent: Summary,
    /// Keys that were checked, all of them right.
    pub checked: u64,
    /// Every sample, the loop's own time not subtracted.
    pub samples: Vec<Sample>,
}

/// Nanoseconds a key.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Sample {
    /// Only read.
    pub empty: f64,
    /// Looked up, one after the other.
    pub dependent: f64,
    /// Looked up.
    pub independent: f64,
}

/// Measures.
pub async fn run<F: BenchFamily>(
    options: &Options,
    progress: &Progress,
) -> anyhow::Result<FibReport> {
    let input = &options.input;
    progress.step("table and destinations");
    let table = input.table::<F>()?;
    let traffic = Traffic::draw(&table, input.destinations, input.seed)?;
    let hosts = Namespace::new()?;
    let mut benches = Vec::new();
    for (number, &engine) in options.engines.iter().enumerate() {
        progress.step(&format!("filling {}", engine.name()));
        let router = Router::new::<F>(&hosts, number, input.hops)?;
        benches.push(EngineBench::new(engine, router, &table, &traffic, input.hops).await?);
    }
    for bench in &mut benches {
        progress.step(&format!("checking {}", bench.engine.name()));
        bench.check()?;
    }
    for round in 1..=options.samples {
        progress.step(&format!("round {round} of {}", options.samples));
        for bench in &mut benches {
            let sample = bench.sample()?;
            bench.samples.push(sample);
        }
    }
    Ok(FibReport {
        setup: input.describe(&table),
        lookups: benches.first().map_or(0, EngineBench::lookups),
        engines: benches
            .into_iter()
            .filter_map(EngineBench::finish)
            .collect(),
    })
}

/// One engine with a table and keys.
struct EngineBench<F: BenchFamily> {
    engine: Engine,
    router: Router,
    ours: Ours<F>,
    state: Array<MapData, Lookups>,
    samples: Vec<Sample>,
    keys: u32,
    checked: u64,
}

impl<F: BenchFamily> EngineBench<F> {
    async fn new(
        engine: Engine,
        router: Router,
        table: &Table<F>,
        traffic: &Traffic<F::Addr>,
        hops: u8,
    ) -> anyhow::Result<Self> {
        let (program, map_of_keys) = F::LOOKUPS;
        let keys = traffic.addresses.len().next_power_of_two() as u32;
        let mut ours = router.enter(|| {
            let prepare = |loader: &mut aya::EbpfLoader<'_>| {
                loader.map_max_entries(map_of_keys, keys);
            };
            let lookup = lookup_for(engine, table);
            let mut object = Object::with_maps(LOOKUP_OBJECT, lookup, prepare)?;
            object.xdp(program)?.load()?;
            router.install(object, hops)
        })?;
        if engine == Engine::Kernel {
            router.enable_forwarding()?;
            router.kernel_routes(table).await?;
        } else {
            router.route_all(&mut ours, table, hops);
        }
        let answers = answers(engine, &ours, table, hops);
        let mut map: Array<_, F::LookupKey> = ours.object.take_map(map_of_keys)?.try_into()?;
        let known = traffic.addresses.iter().zip(&traffic.hops);
        for (index, (&address, &hop)) in (0..keys).zip(known.cycle()) {
            let key = F::lookup_key(address, answers[usize::from(hop)]);
            map.set(index, key, 0)?;
        }
        Ok(EngineBench {
            engine,
            state: ours.object.take_map(map::LOOKUPS)?.try_into()?,
            router,
            ours,
            samples: Vec::new(),
            keys,
            checked: 0,
        })
    }

    /// A million, or once around.
    fn lookups(&self) -> u64 {
        u64::from(self.keys.max(1 << 20))
    }

    fn check(&mut self) -> anyhow::Result<()> {
        self.time(mode::CHECK)?;
        let state = self.state.get(&0, 0)?;
        ensure!(
            state.wrong == 0,
            "{} answers {} of {} keys wrong",
            self.engine.name(),
            state.wrong,
            state.done
        );
        self.checked = state.done;
        Ok(())
    }

    fn sample(&mut self) -> anyhow::Result<Sample> {
        Ok(Sample {
            empty: self.time(mode::EMPTY)?,
            dependent: self.time(mode::DEPENDENT)?,
            independent: self.time(mode::INDEPENDENT)?,
        })
    }

    /// Nanoseconds a key.
    fn time(&mut self, mode: u32) -> anyhow::Result<f64> {
        let start = Lookups {
            mask: self.keys - 1,
            ingress: self.router.ingress(),
            mode,
            ..Lookups::default()
        };
        self.state.set(0, start, 0)?;
        let repeat = self.lookups() as u32 / LOOKUPS_A_RUN;
        let (frame, context) = ([0; 64], context(64, self.router.ingress()));
        let program = self.ours.object.xdp(F::LOOKUPS.0)?;
        let result = self.router.enter(|| {
            let run = program.test_run(TestRunOptions {
                data_in: Some(&frame),
                ctx_in: Some(&context),
                repeat,
                ..TestRunOptions::default()
            });
            run.context("running the lookups")
        })?;
        let done = self.state.get(&0, 0)?.done;
        ensure!(done == self.lookups(), "only {done} lookups were done");
        // The kernel reports the average of all runs.
        Ok(result.duration.as_nanos() as f64 / f64::from(LOOKUPS_A_RUN))
    }

    fn finish(self) -> Option<EngineReport> {
        let of = |time: fn(&Sample) -> f64| {
            let times: Vec<f64> = self.samples.iter().map(|s| time(s) - s.empty).collect();
            Summary::of(&times)
        };
        Some(EngineReport {
            engine: self.engine.name(),
            dependent: of(|sample| sample.dependent)?,
            independent: of(|sample| sample.independent)?,
            checked: self.checked,
            samples: self.samples,
        })
    }
}

/// What the program finds for a destination, by next hop.
fn answers<F: BenchFamily>(engine: Engine, ours: &Ours<F>, table: &Table<F>, hops: u8) -> Vec<u32> {
    let mut answers: Vec<u32> = (0..hops).map(|hop| u32::from(hop_mac(hop)[5])).collect();
    if engine == Engine::Kernel {
        return answers;
    }
    for (prefix, hop) in &table.routes {
        if let Some(entry) = ours.side.fib.exact(*prefix) {
            answers[usize::from(*hop)] = entry.id;
        }
    }
    answers
}

/// `struct xdp_md` of a frame that has come in by a port.
pub fn context(len: u32, ingress: u32) -> Vec<u8> {
    let words = [0, len, 0, ingress, 0, 0];
    words
        .iter()
        .flat_map(|word: &u32| word.to_ne_bytes())
        .collect()
}
