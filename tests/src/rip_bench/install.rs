//! A burst of routes, from its first packet to the kernel's table and to the fast
//! path's.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::arrival;
use super::device::{Bed, Device, Kind, milliseconds, neighbour_address};
use super::speaker::{INFINITY, Speaker, responses};
use super::{Options, grouped};
use crate::console::Console;
use crate::lab::{LONG, Lab, in_lab};

/// Whoever has not installed a burst by then has lost a part of it.
const DEADLINE: Duration = Duration::from_secs(3);
/// Each takes two bursts, there and back.
const MOST_SAMPLES: usize = 5;

/// All bursts to one device.
#[derive(Clone, Debug, Serialize)]
pub struct Installed {
    /// Whose.
    pub device: Kind,
    /// In each burst.
    pub routes: usize,
    /// One a burst.
    pub samples: Vec<InstallSample>,
}

/// One burst.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct InstallSample {
    /// How many routes were in the kernel's table in the end.
    pub kernel: u64,
    /// From the first packet until all were there; `null` = they never were.
    pub kernel_ms: Option<f64>,
    /// Likewise in the fast path's table.
    pub xdp_ms: Option<f64>,
}

/// The same bursts for everybody, in turns.
pub(super) fn measure(options: &Options, console: &Console) -> anyhow::Result<Vec<Installed>> {
    in_lab("rip-bench-install", |lab| run(lab, options, console))
}

fn run(lab: &Lab, options: &Options, console: &Console) -> anyhow::Result<Vec<Installed>> {
    let routes = options.burst();
    let mut devices = Vec::new();
    let mut results = Vec::new();
    for kind in Kind::ALL {
        let bed = Bed::new(lab, kind, 1)?;
        let device = Device::start(lab, kind, &bed.router)?;
        let speaker = Speaker::start(&bed.neighbours[0], neighbour_address(0))?;
        devices.push((device, speaker));
        results.push(Installed {
            device: kind,
            routes,
            samples: Vec::new(),
        });
    }
    let samples = options.samples.min(MOST_SAMPLES);
    for sample in 1..=samples {
        console.step(&format!(
            "install: burst {sample} of {samples}, {} routes, to each; waiting for their kernels",
            grouped(routes as u64)
        ));
        for ((device, speaker), result) in devices.iter_mut().zip(&mut results) {
            result.samples.push(burst(device, speaker, routes)?);
            withdraw(device, speaker, routes)?;
        }
    }
    Ok(results)
}

fn burst(
    device: &mut Device<'_>,
    speaker: &Speaker,
    routes: usize,
) -> anyhow::Result<InstallSample> {
    let datagrams = responses(0..routes, 1);
    let start = Instant::now();
    speaker.burst(&datagrams)?;
    let fast_path = device.fast_path.as_mut();
    let arrival = arrival::within(DEADLINE, start, &mut device.counters, fast_path, routes)?;
    Ok(InstallSample {
        kernel: arrival.kernel,
        kernel_ms: arrival.kernel_after.map(milliseconds),
        xdp_ms: arrival.fast_path_after.map(milliseconds),
    })
}

/// Slowly, so that nobody misses any.
fn withdraw(device: &mut Device<'_>, speaker: &Speaker, routes: usize) -> anyhow::Result<()> {
    speaker.feed(&responses(0..routes, INFINITY), &mut device.counters)?;
    super::wait_learnt(device, 0, LONG)
}
