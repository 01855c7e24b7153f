//! What each check of the packet's way costs: the program with all of them less
//! the one without it, by the plain loop of [`super::alone`].
//!
//! Called by [`super::forward`]. The lookup is left out, and a packet that goes
//! to one destination in a row meets warm caches: what is told is the checks'
//! instructions, not the cache misses that they may meet in a router. The costs
//! do not add up to that of all: the CPU does several things at a time.

use anyhow::Context as _;
use aya::programs::XdpMode;
use forwarder_common::bench::global;
use forwarder_common::check::{Check, Skipped};
use serde::Serialize;

use super::alone;
use super::family::BenchFamily;
use super::namespace::Namespace;
use super::router::{Ours, PROGRAM, Router};
use super::samples::{Summary, quantile};
use crate::dataplane::object::{Lookup, Object};

/// The router's program with switches.
static OBJECT: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/forwarder-checks-xdp"));

const CHECKS: usize = Check::ALL.len();

/// Fewer do not tell single nanoseconds from what else the machine does.
const LEAST_SAMPLES: usize = 21;

/// The loader wants what lives as long as the process.
static NOTHING_SKIPPED: Skipped = [0; CHECKS];

/// A row a check: all but that one.
static WITHOUT: [Skipped; CHECKS] = {
    let mut rows = [NOTHING_SKIPPED; CHECKS];
    let mut check = 0;
    while check < CHECKS {
        rows[check][check] = 1;
        check += 1;
    }
    rows
};

/// One check's share.
#[derive(Clone, Debug, Serialize)]
pub struct CheckReport {
    /// [`Check::name`].
    pub check: &'static str,
    /// Nanoseconds a packet: the median of the samples.
    pub ns: f64,
    /// How far off that may be: 1.57 of what the middle half of the samples
    /// spans, by the root of their number (McGill, Tukey and Larsen 1978). A
    /// cost below is none that was measured.
    pub spread: f64,
    /// Differences between the program with it and the one without, which were
    /// run one after the other.
    pub samples: Vec<f64>,
}

impl CheckReport {
    fn of(check: Check, samples: Vec<f64>) -> anyhow::Result<CheckReport> {
        let summary = Summary::of(&samples).context("no samples")?;
        let mut sorted = samples.clone();
        sorted.sort_by(f64::total_cmp);
        let middle_half = quantile(&sorted, 0.75) - quantile(&sorted, 0.25);
        Ok(CheckReport {
            check: check.name(),
            ns: summary.median,
            spread: 1.57 * middle_half / (samples.len() as f64).sqrt(),
            samples,
        })
    }
}

/// Measures all that the family has.
pub(super) fn measure<F: BenchFamily>(
    hosts: &Namespace,
    number: usize,
    addresses: &[F::Addr],
    samples: usize,
) -> anyhow::Result<Vec<CheckReport>> {
    let router = Router::new::<F>(hosts, number, 1)?;
    let mut full = program::<F>(&router, router.ingress(), &NOTHING_SKIPPED)?;
    // The IPv6 header has no checksum.
    let has = |check: &Check| F::BITS == 32 || *check != Check::Checksum;
    let mut reports = Vec::new();
    for check in Check::ALL.into_iter().filter(has) {
        let without = program::<F>(&router, router.egress(), &WITHOUT[check as usize]);
        let mut without = without.with_context(|| format!("without {}", check.name()))?;
        let mut differences = Vec::new();
        for _ in 0..samples.max(LEAST_SAMPLES) {
            let with = alone::time(&router, &mut full, addresses, 1)?;
            differences.push(with - alone::time(&router, &mut without, addresses, 1)?);
        }
        reports.push(CheckReport::of(check, differences)?);
    }
    Ok(reports)
}

/// The program without what is skipped. Attached to a port, of which nothing
/// comes: else the kernel would put it into its table of direct calls for every
/// run, and wait a grace period for that.
fn program<F: BenchFamily>(
    router: &Router,
    port: u32,
    skipped: &'static Skipped,
) -> anyhow::Result<Ours<F>> {
    router.enter(|| {
        let mut object = Object::with_maps(OBJECT, Lookup::Constant, |loader| {
            loader.override_global(global::SKIPPED, skipped, true);
        })?;
        let program = object.xdp(PROGRAM)?;
        program.load()?;
        program
            .attach_to_if_index(port, XdpMode::Driver)
            .context("attaching the measured program")?;
        router.install(object, 1)
    })
}
