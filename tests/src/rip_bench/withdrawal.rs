//! A withdrawal that is passed on: from the packet in which one neighbour takes a
//! route back to the packet in which the next hears of it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde::Serialize;

use super::Options;
use super::device::{Bed, Device, Kind, milliseconds, neighbour_address};
use super::speaker::{INFINITY, Speaker, is_destination, prefix, responses};
use crate::console::Console;
use crate::lab::{LONG, Lab, in_lab};

/// RFC 2453 §3.10.1: a triggered update may hold back the next one for up to 5 s.
/// So long nothing happens before each withdrawal: else the hold is measured.
const QUIET: Duration = Duration::from_millis(5_300);
/// Longer than any hold.
const PATIENCE: Duration = Duration::from_secs(10);

/// All withdrawals through one device.
#[derive(Clone, Debug, Serialize)]
pub struct PassedOn {
    /// Whose.
    pub device: Kind,
    /// One a destination; `null` = not within ten seconds.
    pub samples_ms: Vec<Option<f64>>,
}

struct Case<'lab> {
    _device: Device<'lab>,
    speaker: Speaker,
    listener: Speaker,
}

/// Every destination once, the devices in turns.
pub(super) fn measure(options: &Options, console: &Console) -> anyhow::Result<Vec<PassedOn>> {
    in_lab("rip-bench-withdrawal", |lab| run(lab, options, console))
}

fn run(lab: &Lab, options: &Options, console: &Console) -> anyhow::Result<Vec<PassedOn>> {
    console.step("withdrawal: waiting until each router has passed on what is to be withdrawn");
    let mut cases = Vec::new();
    let mut results = Vec::new();
    for kind in Kind::ALL {
        cases.push(Case::start(lab, kind, options.samples)?);
        results.push(PassedOn {
            device: kind,
            samples_ms: Vec::new(),
        });
    }
    for destination in 0..options.samples {
        console.step(&format!(
            "withdrawal {} of {}: through each router, after {QUIET:?} of silence",
            destination + 1,
            options.samples
        ));
        for case in &cases {
            // Nothing new, but lest they time out before it is their turn.
            let left = responses(destination..options.samples, 1);
            case.speaker.burst(&left)?;
        }
        std::thread::sleep(QUIET);
        for (case, result) in cases.iter_mut().zip(&mut results) {
            result.samples_ms.push(case.withdraw(destination)?);
        }
    }
    Ok(results)
}

impl<'lab> Case<'lab> {
    /// Up, and the listener has heard of all destinations.
    fn start(lab: &'lab Lab, kind: Kind, destinations: usize) -> anyhow::Result<Case<'lab>> {
        let bed = Bed::new(lab, kind, 2)?;
        let case = Case {
            _device: Device::start(lab, kind, &bed.router)?,
            speaker: Speaker::start(&bed.neighbours[0], neighbour_address(0))?,
            listener: Speaker::start(&bed.neighbours[1], neighbour_address(1))?,
        };
        case.speaker.burst(&responses(0..destinations, 1))?;
        let (start, mut heard) = (Instant::now(), BTreeSet::new());
        while heard.len() < destinations {
            let datagram = case.listener.hear(start + LONG)?;
            ensure!(
                start.elapsed() < LONG,
                "{} has passed on {} of {destinations} routes within {LONG:?}",
                kind.name(),
                heard.len()
            );
            let routes = datagram.into_iter().flat_map(|datagram| datagram.routes);
            let ours = routes.filter(|(prefix, metric)| {
                *metric < INFINITY && is_destination(&prefix.to_string())
            });
            heard.extend(ours.map(|(prefix, _)| prefix));
        }
        Ok(case)
    }

    fn withdraw(&mut self, destination: usize) -> anyhow::Result<Option<f64>> {
        let withdrawal = responses(destination..destination + 1, INFINITY).concat();
        self.listener.forget()?;
        let start = Instant::now();
        self.speaker.send(&withdrawal)?;
        let heard = self
            .listener
            .hears(prefix(destination), INFINITY, start + PATIENCE)?;
        Ok(heard.map(|at| milliseconds(at - start)))
    }
}
