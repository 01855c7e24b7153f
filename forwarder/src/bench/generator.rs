//! The packet generator: `generate` under `BPF_PROG_TEST_RUN` live frames.

use std::time::{Duration, Instant};

use aya::maps::{Array, DevMap, MapError, PerCpuArray};
use aya::programs::Xdp;
use aya::{Ebpf, EbpfLoader, TestRun as _, TestRunAttrs, TestRunOptions};
use forwarder_common::bench as abi;
use nix::net::if_::if_nametoindex;

use super::attach::load;
use super::{BenchError, Flow, OBJECT};

/// Frames a batch: large enough to spread the cost of waking the receiver,
/// small enough that a batch fits four times into a veth ring of 256.
pub const DEFAULT_BATCH: u32 = 64;

/// Sends the frames of one [`Flow`] out of one interface.
#[derive(Debug)]
pub struct Generator {
    ebpf: Ebpf,
    /// What the kernel fills a fresh page with; the program writes the headers.
    frame: Vec<u8>,
}

/// What one [`Generator::run`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Frames handed to the redirect.
    pub sent: u64,
    /// Of these, frames that the redirect refused.
    pub refused: u64,
    /// The kernel's own figure, averaged over the run, to the nanosecond:
    /// time per frame without setting up, and without the time in which this
    /// thread had to leave the CPU to others (ksoftirqd among them).
    pub per_frame: Duration,
    /// Wall-clock time of the call, all of that included.
    pub wall: Duration,
}

impl Generator {
    /// Prepares to send `flow` out of an interface of the calling thread's
    /// network namespace. The far end of a veth interface must run an XDP
    /// program or have GRO on, else the kernel drops every frame.
    pub fn new(interface: &str, flow: &Flow) -> Result<Self, BenchError> {
        let template = flow.template()?;
        let ifindex = if_nametoindex(interface)
            .map_err(|_missing| BenchError::NoInterface(interface.to_owned()))?;
        let mut ebpf = EbpfLoader::new()
            .map_max_entries(abi::map::DESTINATIONS, template.destinations)
            .load(OBJECT)?;
        fill(&mut ebpf, flow, template, ifindex)?;
        load(&mut ebpf, abi::program::GENERATE)?;
        Ok(Self {
            ebpf,
            frame: vec![0; flow.frame_len],
        })
    }

    /// Sends `frames` frames, in batches of at most 256, and returns when the
    /// kernel has handed the last one to the interface. What lies in the rings
    /// behind it may take a moment longer to reach a sink.
    pub fn run(&mut self, frames: u32, batch: u32) -> Result<Report, BenchError> {
        let before = self.progress()?;
        let started = Instant::now();
        let result = self.program()?.test_run(TestRunOptions {
            data_in: Some(&self.frame),
            repeat: frames,
            attrs: TestRunAttrs::new().xdp_live_frames(batch),
            ..TestRunOptions::new()
        });
        let wall = started.elapsed();
        let per_frame = result.map_err(BenchError::run)?.duration;
        let after = self.progress()?;
        Ok(Report {
            sent: after.frames - before.frames,
            refused: after.refused - before.refused,
            per_frame,
            wall,
        })
    }

    /// The loaded program, for tests of what it writes.
    pub(super) fn program(&self) -> Result<&Xdp, BenchError> {
        let name = abi::program::GENERATE;
        let program = self.ebpf.program(name).ok_or(BenchError::Missing(name))?;
        program
            .try_into()
            .map_err(|source| BenchError::Program { name, source })
    }

    /// Frames made since the start, all CPUs together.
    fn progress(&self) -> Result<abi::Generated, BenchError> {
        let name = abi::map::GENERATED;
        let map = self.ebpf.map(name).ok_or(BenchError::Missing(name))?;
        let cpus = PerCpuArray::<_, abi::Generated>::try_from(map)
            .and_then(|map| map.get(&0, 0))
            .map_err(|source| BenchError::Map { name, source })?;
        let mut total = abi::Generated::default();
        for cpu in cpus.iter() {
            total.frames += cpu.frames;
            total.refused += cpu.refused;
        }
        Ok(total)
    }
}

/// Writes the generator's maps.
fn fill(
    ebpf: &mut Ebpf,
    flow: &Flow,
    template: abi::Generator,
    ifindex: u32,
) -> Result<(), BenchError> {
    with_map(ebpf, abi::map::GENERATOR, |map| {
        Array::<_, abi::Generator>::try_from(map)?.set(0, template, 0)
    })?;
    with_map(ebpf, abi::map::DESTINATIONS, |map| {
        let mut map = Array::<_, u32>::try_from(map)?;
        (0..)
            .zip(flow.destination_words())
            .try_for_each(|(i, word)| map.set(i, word, 0))
    })?;
    let name = abi::map::OUT;
    let map = ebpf.map_mut(name).ok_or(BenchError::Missing(name))?;
    DevMap::try_from(map)
        .map_err(|source| BenchError::Map { name, source })?
        .set(0, ifindex, None, 0)
        .map_err(BenchError::Egress)
}

fn with_map(
    ebpf: &mut Ebpf,
    name: &'static str,
    write: impl FnOnce(&mut aya::maps::Map) -> Result<(), MapError>,
) -> Result<(), BenchError> {
    let map = ebpf.map_mut(name).ok_or(BenchError::Missing(name))?;
    write(map).map_err(|source| BenchError::Map { name, source })
}
