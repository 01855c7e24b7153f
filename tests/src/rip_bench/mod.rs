//! `cargo xtask bench rip`: our RIP beside FRR's ripd and BIRD, in one run.
//!
//! Real daemons in network namespaces, with the timers and buffers that they come
//! with. Where a moment or a rate matters their neighbours are [`speaker`]s of our
//! own; where it matters what the others really send, they are the others.
//! [`run`] goes through the parts in their order and never panics: a part that
//! fails is a problem in the [`Report`], and the others are measured all the same.
//! Progress goes to stderr. Every part is a lab ([`crate::lab`]), so Ctrl-C and
//! failures leave nothing behind.
//!
//! * [`receive`]: a burst of BIRD's
//! * [`announce`]: our first update, to FRR and BIRD
//! * [`install`]: a burst, into kernel and fast path
//! * [`repair`]: a withdrawn route with another offer
//! * [`withdrawal`]: a withdrawal that is passed on
//! * [`cost`]: memory and CPU time
//! * [`device`], [`speaker`], [`counters`], [`monitor`], [`usage`], [`arrival`]: what
//!   these stand on
//! * [`report`]: the figures and what is wanted of them, as JSON and as a table
//!
//! It is here and not in `forwarder bench`, since it starts other people's daemons,
//! which only the labs know how to.

mod announce;
mod arrival;
mod cost;
mod counters;
mod device;
mod install;
mod monitor;
mod receive;
mod repair;
mod report;
mod speaker;
mod usage;
mod withdrawal;

use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::ValueEnum;

pub use announce::Announced;
pub use cost::Cost;
pub use device::Kind;
pub use install::{InstallSample, Installed};
pub use receive::Received;
pub use repair::{RepairSample, Repaired};
pub use report::{Figure, Report, Setup};
pub use usage::Memory;
pub use withdrawal::PassedOn;

use crate::console::Console;
use crate::lab::missing;
use device::Device;

/// What is started beside ours.
const PROGRAMS: [&str; 3] = ["/usr/lib/frr/zebra", "/usr/lib/frr/ripd", "/usr/sbin/bird"];

/// Routes of a burst whose way into the kernel is timed.
const BURST: usize = 10_000;

/// A part of the measurement.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Part {
    /// Tables from BIRD in one burst
    Receive,
    /// Our first update, to FRR and BIRD
    Announce,
    /// A burst of routes, to the kernel's table and XDP's
    Install,
    /// A withdrawn route that somebody else offers too
    Repair,
    /// A withdrawal that is passed on
    Withdrawal,
    /// Memory for each route, CPU time for each update
    Cost,
}

/// How much of everything.
#[derive(Clone, Debug)]
pub struct Options {
    /// Sizes of the tables that BIRD sends. The largest is the one that is
    /// announced, and whose cost is measured. Not empty, none is 0.
    pub routes: Vec<usize>,
    /// Samples of what is measured more than once.
    pub samples: usize,
    /// What is measured.
    pub parts: Vec<Part>,
}

impl Options {
    /// The large table.
    fn table(&self) -> usize {
        self.routes.iter().copied().max().unwrap_or(BURST)
    }

    /// The burst.
    fn burst(&self) -> usize {
        self.table().min(BURST)
    }

    fn has(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }
}

/// Measures all that `options` names.
///
/// # Errors
/// FRR or BIRD is not installed.
pub fn run(options: &Options) -> anyhow::Result<Report> {
    if let Some(reason) = missing(&PROGRAMS) {
        anyhow::bail!("measuring beside FRR and BIRD needs both: {reason}");
    }
    let console = Console::new();
    let mut report = Report::new(options)?;
    for part in Part::value_variants() {
        if options.has(*part)
            && let Err(error) = measure(*part, options, &console, &mut report)
        {
            report.problem(&console, *part, &error);
        }
    }
    console.done();
    Ok(report)
}

fn measure(
    part: Part,
    options: &Options,
    console: &Console,
    report: &mut Report,
) -> anyhow::Result<()> {
    match part {
        Part::Receive => report.receive = receive::measure(options, console)?,
        Part::Announce => report.announce = announce::measure(options, console)?,
        Part::Install => report.install = install::measure(options, console)?,
        Part::Repair => report.repair = repair::measure(options, console)?,
        Part::Withdrawal => report.withdrawal = withdrawal::measure(options, console)?,
        Part::Cost => report.cost = cost::measure(options, console)?,
    }
    Ok(())
}

/// Waits until exactly so many routes of RIP's are in the kernel's table, and in
/// the fast path's where there is one.
fn wait_learnt(device: &mut Device<'_>, routes: usize, deadline: Duration) -> anyhow::Result<()> {
    let end = Instant::now() + deadline * crate::lab::patience();
    let routes = routes as u64;
    loop {
        let last_look = Instant::now() > end;
        let kernel = device.counters.learnt()?;
        let fast_path = device.fast_path.as_mut();
        let fast_path = fast_path.map(device::FastPath::learnt).transpose()?;
        if kernel == routes && fast_path.is_none_or(|count| count == routes) {
            return Ok(());
        }
        anyhow::ensure!(
            !last_look,
            "waited {deadline:?} for {} to have {routes} routes; it has {kernel} in the kernel{}",
            device.kind.name(),
            fast_path.map_or_else(String::new, |count| format!(", {count} in XDP"))
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    forwarder::cli::table::grouped(number)
}

/// What a program says of its version in its first line.
fn version(program: &str) -> anyhow::Result<String> {
    let output = std::process::Command::new(program)
        .arg("--version")
        .output()
        .with_context(|| format!("starting {program}"))?;
    // BIRD says it on stderr.
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}
