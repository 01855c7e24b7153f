//! What a table costs: memory for each route, CPU time for each update.

use std::time::Duration;

use serde::Serialize;

use super::device::{Bed, Device, Kind, milliseconds, neighbour_address};
use super::speaker::{Speaker, responses};
use super::usage::{self, Memory};
use super::{Options, grouped};
use crate::console::Console;
use crate::lab::{LONG, Lab, in_lab};

/// One device.
#[derive(Clone, Debug, Serialize)]
pub struct Cost {
    /// Whose.
    pub device: Kind,
    /// Routes at the smaller and at the larger table.
    pub few: usize,
    /// See `few`.
    pub many: usize,
    /// Memory without a route.
    pub base: Memory,
    /// Memory with `few`.
    pub at_few: Memory,
    /// Memory with `many`.
    pub at_many: Memory,
    /// CPU time from nothing to `many` in the kernel's table, and in the fast
    /// path's.
    pub load_ms: f64,
    /// CPU time for an update of `many` routes that changes none of them.
    pub updates_ms: Vec<f64>,
}

impl Cost {
    /// Bytes that each route between the two tables has added.
    pub(super) fn bytes_a_route(&self) -> f64 {
        let bytes = self.at_many.anonymous as f64 - self.at_few.anonymous as f64;
        bytes / (self.many - self.few).max(1) as f64
    }
}

/// The same for everybody, fed as fast as each reads.
pub(super) fn measure(options: &Options, console: &Console) -> anyhow::Result<Vec<Cost>> {
    in_lab("rip-bench-cost", |lab| run(lab, options, console))
}

fn run(lab: &Lab, options: &Options, console: &Console) -> anyhow::Result<Vec<Cost>> {
    let (few, many) = (options.table() / 10, options.table());
    let mut devices = Vec::new();
    let mut results = Vec::new();
    for kind in Kind::ALL {
        console.step(&format!(
            "cost: {} learns {}, then {} routes; waiting for its kernel's table",
            kind.name(),
            grouped(few as u64),
            grouped(many as u64)
        ));
        let bed = Bed::new(lab, kind, 1)?;
        let mut device = Device::start(lab, kind, &bed.router)?;
        let speaker = Speaker::start(&bed.neighbours[0], neighbour_address(0))?;
        results.push(load(&mut device, &speaker, few, many)?);
        devices.push((device, speaker));
    }
    let table = responses(0..many, 1);
    for sample in 1..=options.samples {
        console.step(&format!(
            "cost: update {sample} of {}, {} routes to each, nothing new; waiting for them to \
             be idle again",
            options.samples,
            grouped(many as u64)
        ));
        for ((device, speaker), result) in devices.iter_mut().zip(&mut results) {
            result.updates_ms.push(update(device, speaker, &table)?);
        }
    }
    Ok(results)
}

fn load(
    device: &mut Device<'_>,
    speaker: &Speaker,
    few: usize,
    many: usize,
) -> anyhow::Result<Cost> {
    let pids = device.pids();
    let mut used = Duration::ZERO;
    let mut before = usage::wait_until_idle(&pids)?;
    let base = usage::memory(&pids)?;
    let mut memory = [Memory::default(); 2];
    for (range, memory) in [0..few, few..many].into_iter().zip(&mut memory) {
        let all = range.end;
        speaker.feed(&responses(range, 1), &mut device.counters)?;
        super::wait_learnt(device, all, LONG)?;
        let after = usage::wait_until_idle(&pids)?;
        used += after.saturating_sub(before);
        *memory = usage::memory(&pids)?;
        before = usage::cpu(&pids)?;
    }
    let [at_few, at_many] = memory;
    Ok(Cost {
        device: device.kind,
        few,
        many,
        base,
        at_few,
        at_many,
        load_ms: milliseconds(used),
        updates_ms: Vec::new(),
    })
}

fn update(device: &mut Device<'_>, speaker: &Speaker, table: &[Vec<u8>]) -> anyhow::Result<f64> {
    let pids = device.pids();
    let before = usage::cpu(&pids)?;
    speaker.feed(table, &mut device.counters)?;
    let after = usage::wait_until_idle(&pids)?;
    Ok(milliseconds(after.saturating_sub(before)))
}
