//! A destination that two neighbours offer: the better one withdraws it, and packets
//! have to go to the other.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::Serialize;

use super::Options;
use super::device::{Bed, Device, Kind, milliseconds, neighbour_address};
use super::monitor::RouteMonitor;
use super::speaker::{INFINITY, Speaker, prefix, responses};
use crate::console::Console;
use crate::lab::{Lab, SHORT, in_lab, wait_for};

/// How long a repair is waited for. A daemon that has forgotten the other offer
/// has to wait for the next periodic update, 0 to 30 s.
const PATIENCE: Duration = Duration::from_secs(1);
/// The metrics that the two neighbours offer.
const BETTER: u8 = 1;
const OTHER: u8 = 3;

/// All repairs of one device.
#[derive(Clone, Debug, Serialize)]
pub struct Repaired {
    /// Whose.
    pub device: Kind,
    /// How long each was waited for.
    pub waited_ms: f64,
    /// One a destination.
    pub samples: Vec<RepairSample>,
}

/// One destination.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct RepairSample {
    /// From the withdrawal until the kernel's route led to the other neighbour;
    /// `null` = it did not while it was waited for.
    pub kernel_ms: Option<f64>,
    /// Likewise the fast path's.
    pub xdp_ms: Option<f64>,
    /// Where it did not: from the other neighbour's next update.
    pub next_update_ms: Option<f64>,
}

struct Case<'lab> {
    device: Device<'lab>,
    monitor: RouteMonitor,
    better: Speaker,
    other: Speaker,
}

/// Every destination once, the devices in turns.
pub(super) fn measure(options: &Options, console: &Console) -> anyhow::Result<Vec<Repaired>> {
    in_lab("rip-bench-repair", |lab| run(lab, options, console))
}

fn run(lab: &Lab, options: &Options, console: &Console) -> anyhow::Result<Vec<Repaired>> {
    console.step("repair: each router hears the same destinations from two neighbours");
    let mut cases = Vec::new();
    let mut results = Vec::new();
    for kind in Kind::ALL {
        cases.push(Case::start(lab, kind, options.samples)?);
        results.push(Repaired {
            device: kind,
            waited_ms: milliseconds(PATIENCE),
            samples: Vec::new(),
        });
    }
    console.step(&format!(
        "repair: the better neighbour withdraws {} of them, one by one; waiting for kernels \
         and XDP to follow, at most {PATIENCE:?} each",
        options.samples
    ));
    for destination in 0..options.samples {
        for (case, result) in cases.iter_mut().zip(&mut results) {
            result.samples.push(case.withdraw(destination)?);
        }
    }
    Ok(results)
}

impl<'lab> Case<'lab> {
    /// Up, and all destinations go to the better neighbour.
    fn start(lab: &'lab Lab, kind: Kind, destinations: usize) -> anyhow::Result<Case<'lab>> {
        let bed = Bed::new(lab, kind, 2)?;
        let mut case = Case {
            device: Device::start(lab, kind, &bed.router)?,
            monitor: RouteMonitor::start(&bed.router)?,
            better: Speaker::start(&bed.neighbours[0], neighbour_address(0))?,
            other: Speaker::start(&bed.neighbours[1], neighbour_address(1))?,
        };
        bed.ping()?;
        // Whoever forgets worse offers must have the chance to.
        case.better.burst(&responses(0..destinations, BETTER))?;
        super::wait_learnt(&mut case.device, destinations, SHORT)?;
        case.other.burst(&responses(0..destinations, OTHER))?;
        // Read, that is: the last one is told from its predecessor by nothing
        // that can be seen from outside of FRR.
        super::usage::wait_until_idle(&case.device.pids())?;
        if let Some(fast_path) = &mut case.device.fast_path {
            for destination in 0..destinations {
                let address = prefix(destination).addr();
                wait_for(SHORT, "the fast path to forward by eth0", || {
                    let port = fast_path.port(address)?;
                    anyhow::ensure!(port.as_deref() == Some("eth0"), "it uses {port:?}");
                    Ok(())
                })?;
            }
        }
        Ok(case)
    }

    fn withdraw(&mut self, destination: usize) -> anyhow::Result<RepairSample> {
        let (prefix, gateway) = (prefix(destination), neighbour_address(1));
        let one = destination..destination + 1;
        let (withdrawal, offer) = (
            responses(one.clone(), INFINITY).concat(),
            responses(one, OTHER).concat(),
        );
        self.monitor.forget()?;
        let start = Instant::now();
        self.better.send(&withdrawal)?;
        let kernel = self.monitor.hears(prefix, gateway, start + PATIENCE)?;
        let xdp = match &mut self.device.fast_path {
            Some(fast_path) => forwarded(fast_path, prefix.addr(), start)?,
            None => None,
        };
        let mut next_update = None;
        if kernel.is_none() {
            let start = Instant::now();
            self.other.send(&offer)?;
            let repaired = self.monitor.hears(prefix, gateway, start + SHORT)?;
            let repaired = repaired.with_context(|| {
                format!(
                    "{} has not gone over to {gateway} for {prefix} though it was offered again",
                    self.device.kind.name()
                )
            })?;
            next_update = Some(milliseconds(repaired - start));
        }
        Ok(RepairSample {
            kernel_ms: kernel.map(|at| milliseconds(at - start)),
            xdp_ms: xdp.map(milliseconds),
            next_update_ms: next_update,
        })
    }
}

/// Asks the fast path, without a pause, until it forwards by the other port.
fn forwarded(
    fast_path: &mut super::device::FastPath,
    address: std::net::Ipv4Addr,
    start: Instant,
) -> anyhow::Result<Option<Duration>> {
    while start.elapsed() < PATIENCE {
        if fast_path.port(address)?.as_deref() == Some("eth1") {
            return Ok(Some(start.elapsed()));
        }
    }
    Ok(None)
}
