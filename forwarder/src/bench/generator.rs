//! The packet generator: `generate` under `BPF_PROG_TEST_RUN` live frames.

use std::time::Duration;
use std::{iter, thread};

use aya::maps::{Array, ArrayOfMaps, Map, MapData, MapError, ProgramArray};
use aya::programs::{ProgramFd, Xdp};
use aya::{Ebpf, EbpfLoader, TestRun as _, TestRunAttrs, TestRunOptions};
use forwarder_common::bench as abi;

use super::attach::{load, set_egress};
use super::fib::context;
use super::pace::Pace;
use super::sink::cpus;
use super::{BenchError, Count, Flow, FrameAddress, OBJECT, Sink};

/// Frames a batch: large enough to spread the cost of waking each port on the
/// way (measured: 64 costs 4 % more), small enough for a veth ring of 256.
pub const DEFAULT_BATCH: u32 = 128;
/// Frames under way at most: what a veth ring holds, less one batch.
const WINDOW: u32 = 192;
/// How often the sink is asked for the last frames of a run.
const POLL: Duration = Duration::from_micros(20);

/// Sends the frames of one [`Flow`] out of one interface.
#[derive(Debug)]
pub struct Generator {
    ebpf: Ebpf,
    program: &'static str,
    config: abi::Generator,
    /// What the kernel fills a fresh page with; the program writes the headers.
    frame: Vec<u8>,
    /// The port that receives the frames, where they are not sent.
    ingress: Option<u32>,
}

/// A port that frames are received by.
#[derive(Clone, Copy, Debug)]
pub struct Receiver<'a> {
    /// The port.
    pub ifindex: u32,
    /// The program that gets them there; `None` = they go up to the kernel.
    pub program: Option<&'a ProgramFd>,
}

/// What one run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Frames handed to the redirect.
    pub sent: u64,
    /// Of these, frames that the redirect refused.
    pub refused: u64,
    /// What the sink has counted meanwhile; zero without a sink.
    pub delivered: Count,
    /// The time that the kernel measured inside the runs: setting them up left
    /// out, and what this thread had to leave to others on its CPU.
    pub kernel: Duration,
    /// From the making of the first frame to that of the last, by the kernel's
    /// monotonic clock, whatever else the CPU did meanwhile; at that moment at
    /// most a window of frames is still under way. Zero when a run stopped early.
    pub wall: Duration,
}

impl Report {
    /// Frames a second that arrived, by the wall clock; 0 for an empty run.
    pub fn delivered_pps(&self) -> f64 {
        let seconds = self.wall.as_secs_f64();
        if seconds > 0.0 {
            self.delivered.frames as f64 / seconds
        } else {
            0.0
        }
    }
}

impl Generator {
    /// Prepares to send `flow` out of an interface of the calling thread's
    /// network namespace. The far end of a veth interface must run an XDP
    /// program or have GRO on, else the kernel drops every frame.
    pub fn new<A: FrameAddress>(interface: &str, flow: &Flow<A>) -> Result<Self, BenchError> {
        Self::tagged(interface, flow, &[])
    }

    /// Likewise; `tags` says of each destination what a frame to it shall say
    /// of its way ([`abi::tag`]). Nothing, where it is shorter.
    pub fn tagged<A: FrameAddress>(
        interface: &str,
        flow: &Flow<A>,
        tags: &[u16],
    ) -> Result<Self, BenchError> {
        let mut generator = Self::build(flow, tags, false)?;
        set_egress(&mut generator.ebpf, interface)?;
        Ok(generator)
    }

    /// Prepares to have `flow` received by a port, as if it had come in by its
    /// wire. [`Generator::run_to`] must be called in the port's network namespace.
    pub fn received<A: FrameAddress>(
        by: &Receiver<'_>,
        flow: &Flow<A>,
        tags: &[u16],
    ) -> Result<Self, BenchError> {
        let mut generator = Self::build(flow, tags, true)?;
        generator.ingress = Some(by.ifindex);
        if let Some(program) = by.program {
            with_map(&mut generator.ebpf, abi::map::RECEIVER, |map| {
                ProgramArray::try_from(map)?.set(0, program, 0)
            })?;
        }
        Ok(generator)
    }

    fn build<A: FrameAddress>(
        flow: &Flow<A>,
        tags: &[u16],
        received: bool,
    ) -> Result<Self, BenchError> {
        let mut config = flow.template()?;
        config.cpus = cpus()?;
        let received = u32::from(received);
        let mut ebpf = EbpfLoader::new()
            .map_max_entries(A::MAP, config.destinations)
            .override_global(abi::global::RECEIVED, &received, true)
            .load(OBJECT)?;
        with_map(&mut ebpf, A::MAP, |map| {
            let tags = tags.iter().copied().chain(iter::repeat(0));
            (0..)
                .zip(flow.destinations.iter().zip(tags))
                .try_for_each(|(i, (address, tag))| address.store(map, i, tag))
        })?;
        load(&mut ebpf, A::PROGRAM)?;
        let mut generator = Self {
            ebpf,
            program: A::PROGRAM,
            config,
            frame: vec![0; flow.frame_len],
            ingress: None,
        };
        generator.configure()?;
        Ok(generator)
    }

    /// Sends `frames` frames as fast as this CPU can, in batches of at most
    /// 256, whatever becomes of them.
    pub fn flood(&mut self, frames: u32, batch: u32) -> Result<Report, BenchError> {
        let before = self.begin(frames, 0, 0)?;
        let kernel = self.test_run(frames, batch)?;
        self.report(before, kernel)
    }

    /// Sends `frames` frames to `sink`, never more under way than a veth ring
    /// holds, and waits for the last. Stops early when nothing arrives at all.
    ///
    /// The sink must count this generator's frames alone.
    pub fn run_to(&mut self, sink: &Sink, frames: u32, batch: u32) -> Result<Report, BenchError> {
        let rows = sink.rows()?;
        with_map(&mut self.ebpf, abi::map::WATCHED, |map| {
            ArrayOfMaps::<_, MapData>::try_from(map)?.set(0, rows, 0)
        })?;
        let counted = sink.count()?;
        let before = self.begin(frames, WINDOW, counted.arrived())?;
        let mut pace = Pace::new(before.frames, counted);
        let kernel = self.run_until(self.config.end, batch, sink, &mut pace)?;
        while pace.is_under_way() {
            // Asleep, so that ksoftirqd gets this CPU if the rest is with it.
            thread::sleep(POLL);
            pace.note(pace.sent(), sink.count()?);
        }
        Ok(Report {
            delivered: pace.counted() - counted,
            ..self.report(before, kernel)?
        })
    }

    /// A run that meets a full window ends short of its frames, hence the loop.
    fn run_until(
        &mut self,
        end: u64,
        batch: u32,
        sink: &Sink,
        pace: &mut Pace,
    ) -> Result<Duration, BenchError> {
        let mut kernel = Duration::ZERO;
        while pace.goes_on_to(end) {
            let left = u32::try_from(end - pace.sent()).unwrap_or(u32::MAX);
            kernel += self.test_run(left, batch)?;
            pace.note(self.state()?.frames, sink.count()?);
            if pace.has_lost_a_window() {
                self.forgive(pace.sent(), pace.counted().arrived())?;
            }
        }
        Ok(kernel)
    }

    /// Sets up a run; returns where the generator is.
    fn begin(
        &mut self,
        frames: u32,
        window: u32,
        arrived: u64,
    ) -> Result<abi::Generated, BenchError> {
        let before = self.state()?;
        self.config.window = window;
        self.config.first = before.frames;
        self.config.end = before.frames + u64::from(frames);
        self.forgive(before.frames, arrived)?;
        Ok(before)
    }

    fn report(&self, before: abi::Generated, kernel: Duration) -> Result<Report, BenchError> {
        let now = self.state()?;
        // A run that stopped early has no end.
        let wall = now.finished_ns.saturating_sub(now.started_ns);
        Ok(Report {
            sent: now.frames - before.frames,
            refused: now.refused - before.refused,
            delivered: Count::default(),
            kernel,
            wall: Duration::from_nanos(wall),
        })
    }

    /// Runs the program `repeat` times; returns the kernel's time for it.
    fn test_run(&self, repeat: u32, batch: u32) -> Result<Duration, BenchError> {
        let context = self
            .ingress
            .map(|ingress| context(self.frame.len() as u32, ingress));
        let options = TestRunOptions {
            data_in: Some(&self.frame),
            ctx_in: context.as_deref(),
            repeat,
            attrs: TestRunAttrs::new().xdp_live_frames(batch),
            ..TestRunOptions::new()
        };
        // The kernel reports the average of all repeats.
        let result = self.program()?.test_run(options).map_err(BenchError::run)?;
        Ok(result.duration * repeat)
    }

    /// Makes `sent` and `arrived` frames mean that nothing is under way.
    fn forgive(&mut self, sent: u64, arrived: u64) -> Result<(), BenchError> {
        self.config.forgiven = sent.wrapping_sub(arrived);
        self.configure()
    }

    fn configure(&mut self) -> Result<(), BenchError> {
        let config = self.config;
        with_map(&mut self.ebpf, abi::map::GENERATOR, |map| {
            Array::<_, abi::Generator>::try_from(map)?.set(0, config, 0)
        })
    }

    /// The loaded program, for tests of what it writes.
    pub(super) fn program(&self) -> Result<&Xdp, BenchError> {
        let name = self.program;
        let program = self.ebpf.program(name).ok_or(BenchError::Missing(name))?;
        program
            .try_into()
            .map_err(|source| BenchError::Program { name, source })
    }

    fn state(&self) -> Result<abi::Generated, BenchError> {
        let name = abi::map::GENERATED;
        let map = self.ebpf.map(name).ok_or(BenchError::Missing(name))?;
        Array::<_, abi::Generated>::try_from(map)
            .and_then(|map| map.get(&0, 0))
            .map_err(|source| BenchError::Map { name, source })
    }
}

fn with_map(
    ebpf: &mut Ebpf,
    name: &'static str,
    write: impl FnOnce(&mut Map) -> Result<(), MapError>,
) -> Result<(), BenchError> {
    let map = ebpf.map_mut(name).ok_or(BenchError::Missing(name))?;
    write(map).map_err(|source| BenchError::Map { name, source })
}
