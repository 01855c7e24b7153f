//! What has come out of it: every sample as JSON, or a table with what is wanted
//! beside each figure.

use std::fmt::Write as _;

use clap::ValueEnum as _;
use forwarder::bench::setup::{cpu, uname};
use forwarder::cli::table::Table;
use serde::Serialize;

use super::device::{Kind, median};
use super::{
    Announced, Cost, Installed, Options, Part, PassedOn, Received, Repaired, grouped, version,
};
use crate::console::Console;
use crate::lab::forwarder_binary;

/// What is wanted: from the first packet to kernel and fast path.
const INSTALL_MS: f64 = 1000.0;
/// A repair, likewise.
const REPAIR_MS: f64 = 10.0;
/// A withdrawal that is passed on.
const WITHDRAWAL_MS: f64 = 3.0;
/// Resident memory without a route.
const BASE: u64 = 32 << 20;

/// All figures. A part that was not asked for, or failed, is empty.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Under what conditions they hold.
    pub setup: Setup,
    /// What is said of them: the table's rows.
    pub figures: Vec<Figure>,
    /// Bursts from BIRD.
    pub receive: Vec<Received>,
    /// Our first updates.
    pub announce: Vec<Announced>,
    /// Bursts into the kernel.
    pub install: Vec<Installed>,
    /// Repairs.
    pub repair: Vec<Repaired>,
    /// Withdrawals passed on.
    pub withdrawal: Vec<PassedOn>,
    /// Memory and CPU time.
    pub cost: Vec<Cost>,
    /// What could not be measured, in words; empty is good.
    pub problems: Vec<String>,
}

/// The machine and the programs.
#[derive(Clone, Debug, Serialize)]
pub struct Setup {
    /// Release of the kernel.
    pub kernel: String,
    /// Model of the CPU.
    pub cpu: String,
    /// CPUs that this process may use.
    pub cores: usize,
    /// The binary that was measured, as a path.
    pub binary: String,
    /// Whether the bench itself, built with it, is a release build.
    pub optimized: bool,
    /// Versions as the programs write them.
    pub forwarder: String,
    /// See `forwarder`.
    pub frr: String,
    /// See `forwarder`.
    pub bird: String,
    /// Sizes of BIRD's tables.
    pub routes: Vec<usize>,
    /// Samples that were asked for.
    pub samples: usize,
}

/// A row of the table.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Figure {
    /// Of which part: `receive`, …
    pub part: String,
    /// What it is.
    pub what: String,
    /// Ours, in words.
    pub forwarder: String,
    /// FRR's.
    pub frr: String,
    /// BIRD's.
    pub bird: String,
    /// What is wanted of ours; `null` = it is shown for comparison.
    pub wanted: Option<String>,
    /// Whether ours is as wanted.
    pub met: Option<bool>,
}

impl Report {
    pub(super) fn new(options: &Options) -> anyhow::Result<Report> {
        let binary = forwarder_binary()?.display().to_string();
        let setup = Setup {
            kernel: uname(),
            cpu: cpu(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            forwarder: version(&binary)?,
            binary,
            optimized: !cfg!(debug_assertions),
            frr: version(super::PROGRAMS[1])?,
            bird: version(super::PROGRAMS[2])?,
            routes: options.routes.clone(),
            samples: options.samples,
        };
        Ok(Report {
            setup,
            figures: Vec::new(),
            receive: Vec::new(),
            announce: Vec::new(),
            install: Vec::new(),
            repair: Vec::new(),
            withdrawal: Vec::new(),
            cost: Vec::new(),
            problems: Vec::new(),
        })
    }

    /// Notes a part that could not be measured.
    pub(super) fn problem(&mut self, console: &Console, part: Part, error: &anyhow::Error) {
        let problem = format!("{}: {error:#}", name(part));
        console.problem(&problem);
        self.problems.push(problem);
    }

    /// Whether every part that was asked for could be measured, whatever came
    /// out of it.
    pub fn ok(&self) -> bool {
        self.problems.is_empty()
    }

    /// Every sample.
    ///
    /// # Errors
    /// None that is known: a number that JSON lacks would be one.
    pub fn json(mut self) -> anyhow::Result<String> {
        self.figures = self.figures();
        Ok(serde_json::to_string_pretty(&self)?)
    }

    /// A table for people.
    pub fn table(&self) -> String {
        let mut table = Table::new(["", ">FORWARDER", ">FRR", ">BIRD", "WANTED", ""]);
        for figure in self.figures() {
            let verdict = match figure.met {
                Some(true) => "met",
                Some(false) => "MISSED",
                None => "",
            };
            table.row([
                figure.what,
                figure.forwarder,
                figure.frr,
                figure.bird,
                figure.wanted.unwrap_or_default(),
                verdict.to_owned(),
            ]);
        }
        let mut text = self.conditions();
        text.push_str(&table.render("nothing was measured"));
        for problem in &self.problems {
            // Writing to a String does not fail.
            let _ = writeln!(text, "FAILED: {problem}");
        }
        text
    }

    fn conditions(&self) -> String {
        let setup = &self.setup;
        let build = if setup.optimized {
            ""
        } else {
            "\nnot a release build: forwarder's own figures may not count"
        };
        format!(
            "{}, {}, {}\nLinux {}, {} cores, {}; medians of {} samples{build}\n\n",
            setup.forwarder,
            setup.frr,
            setup.bird,
            setup.kernel,
            setup.cores,
            setup.cpu,
            setup.samples
        )
    }

    fn figures(&self) -> Vec<Figure> {
        let mut figures = Vec::new();
        self.received(&mut figures);
        self.announced(&mut figures);
        self.installed(&mut figures);
        self.repaired(&mut figures);
        self.passed_on(&mut figures);
        self.costs(&mut figures);
        figures
    }

    fn received(&self, figures: &mut Vec<Figure>) {
        for routes in &self.setup.routes {
            let find = |kind| {
                let mut all = self.receive.iter();
                all.find(|one| one.device == kind && one.routes == *routes)
            };
            let Some(ours) = find(Kind::Forwarder) else {
                continue;
            };
            let row =
                |show: &dyn Fn(&Received) -> String| Kind::ALL.map(|kind| find(kind).map(show));
            let count = grouped(*routes as u64);
            figures.push(figure(
                Part::Receive,
                format!("{count} routes from BIRD: held after its first full burst"),
                row(&|one| grouped(one.xdp.map_or(one.kernel, |xdp| xdp.min(one.kernel)))),
                Some(("all".to_owned(), ours.complete())),
            ));
            figures.push(figure(
                Part::Receive,
                "  dropped by socket, by link".to_owned(),
                row(&|one| format!("{}, {}", grouped(one.socket_drops), grouped(one.link_drops))),
                Some(("none".to_owned(), ours.socket_drops + ours.link_drops == 0)),
            ));
            figures.push(figure(
                Part::Receive,
                "  from first packet to all in the kernel".to_owned(),
                row(&|one| or_never(one.kernel_ms)),
                None,
            ));
            figures.push(figure(
                Part::Receive,
                "  and in XDP".to_owned(),
                [Some(or_never(ours.xdp_ms)), None, None],
                None,
            ));
        }
    }

    fn announced(&self, figures: &mut Vec<Figure>) {
        if self.announce.is_empty() {
            return;
        }
        let row = |show: &dyn Fn(&Announced) -> String| {
            Kind::ALL.map(|kind| {
                let mut all = self.announce.iter();
                all.find(|one| one.receiver == kind).map(show)
            })
        };
        let count = grouped(self.announce[0].routes as u64);
        figures.push(figure(
            Part::Announce,
            format!("{count} routes from forwarder: held after its first update"),
            row(&|one| grouped(one.kernel)),
            Some((
                "all".to_owned(),
                self.announce.iter().all(Announced::complete),
            )),
        ));
        figures.push(figure(
            Part::Announce,
            "  from first packet to all in the kernel".to_owned(),
            row(&|one| or_never(one.kernel_ms)),
            None,
        ));
        figures.push(figure(
            Part::Announce,
            "  whole tables sent until then".to_owned(),
            row(&|one| format!("{:.2}", one.updates)),
            None,
        ));
        figures.push(figure(
            Part::Announce,
            "  dropped by socket, by link".to_owned(),
            row(&|one| format!("{}, {}", grouped(one.socket_drops), grouped(one.link_drops))),
            None,
        ));
    }

    fn installed(&self, figures: &mut Vec<Figure>) {
        let Some(ours) = self.install.first() else {
            return;
        };
        let kernel = |one: &Installed| median(one.samples.iter().map(|sample| sample.kernel_ms));
        let xdp = |one: &Installed| median(one.samples.iter().map(|sample| sample.xdp_ms));
        let row = by_kind(
            &self.install,
            |one| one.device,
            |one| match kernel(one) {
                Some(median) => duration(median),
                None => {
                    let held = median_of(one.samples.iter().map(|sample| sample.kernel as f64));
                    format!("{} held", grouped(held as u64))
                }
            },
        );
        let count = grouped(ours.routes as u64);
        figures.push(figure(
            Part::Install,
            format!("{count} routes in a burst: from first packet to kernel"),
            row,
            Some(below(INSTALL_MS, kernel(ours))),
        ));
        figures.push(figure(
            Part::Install,
            "  to XDP".to_owned(),
            [Some(or_never(xdp(ours))), None, None],
            Some(below(INSTALL_MS, xdp(ours))),
        ));
    }

    fn repaired(&self, figures: &mut Vec<Figure>) {
        let Some(ours) = self.repair.first() else {
            return;
        };
        let kernel = |one: &Repaired| median(one.samples.iter().map(|sample| sample.kernel_ms));
        let xdp = median(ours.samples.iter().map(|sample| sample.xdp_ms));
        let row = by_kind(
            &self.repair,
            |one| one.device,
            |one| kernel(one).map_or_else(|| format!("> {}", duration(one.waited_ms)), duration),
        );
        figures.push(figure(
            Part::Repair,
            "withdrawn, another offer there: until the kernel uses it".to_owned(),
            row,
            Some(below(REPAIR_MS, kernel(ours))),
        ));
        figures.push(figure(
            Part::Repair,
            "  until XDP uses it".to_owned(),
            [
                Some(xdp.map_or_else(|| format!("> {}", duration(ours.waited_ms)), duration)),
                None,
                None,
            ],
            Some(below(REPAIR_MS, xdp)),
        ));
        let row = by_kind(
            &self.repair,
            |one| one.device,
            |one| {
                let waited = one
                    .samples
                    .iter()
                    .filter(|sample| sample.next_update_ms.is_some());
                format!("{} of {}", waited.count(), one.samples.len())
            },
        );
        figures.push(figure(
            Part::Repair,
            "  repaired only by the other neighbour's next update".to_owned(),
            row,
            None,
        ));
    }

    fn passed_on(&self, figures: &mut Vec<Figure>) {
        let Some(ours) = self.withdrawal.first() else {
            return;
        };
        let middle = |one: &PassedOn| median(one.samples_ms.iter().copied());
        let worst = |one: &PassedOn| {
            let samples = one
                .samples_ms
                .iter()
                .map(|sample| sample.unwrap_or(f64::INFINITY));
            Some(samples.fold(0.0, f64::max)).filter(|worst| worst.is_finite())
        };
        let row = |show: &dyn Fn(&PassedOn) -> Option<f64>| {
            by_kind(
                &self.withdrawal,
                |one| one.device,
                |one| or_never(show(one)),
            )
        };
        figures.push(figure(
            Part::Withdrawal,
            "withdrawal passed on".to_owned(),
            row(&middle),
            Some(below(WITHDRAWAL_MS, middle(ours))),
        ));
        figures.push(figure(
            Part::Withdrawal,
            "  the slowest".to_owned(),
            row(&worst),
            None,
        ));
    }

    fn costs(&self, figures: &mut Vec<Figure>) {
        let find = |kind| self.cost.iter().find(|one| one.device == kind);
        let (Some(ours), Some(frr)) = (find(Kind::Forwarder), find(Kind::Frr)) else {
            return;
        };
        let row = |show: &dyn Fn(&Cost) -> String| by_kind(&self.cost, |one| one.device, show);
        let (few, many) = (grouped(ours.few as u64), grouped(ours.many as u64));
        figures.push(figure(
            Part::Cost,
            format!("memory added by a route, between {few} and {many}"),
            row(&|one| format!("{:.0} B", one.bytes_a_route())),
            Some((
                "at most FRR's".to_owned(),
                ours.bytes_a_route() <= frr.bytes_a_route(),
            )),
        ));
        figures.push(figure(
            Part::Cost,
            "  without a route, resident".to_owned(),
            row(&|one| mebibytes(one.base.resident)),
            Some(("< 32 MiB".to_owned(), ours.base.resident < BASE)),
        ));
        figures.push(figure(
            Part::Cost,
            format!("  with {many}, resident; BPF maps apart"),
            row(&|one| mebibytes(one.at_many.resident)),
            None,
        ));
        let update = |one: &Cost| median_of(one.updates_ms.iter().copied());
        figures.push(figure(
            Part::Cost,
            format!("CPU time of an update of {many} that changes none"),
            row(&|one| duration(update(one))),
            Some(("at most FRR's".to_owned(), update(ours) <= update(frr))),
        ));
        figures.push(figure(
            Part::Cost,
            "  of the first, everything new".to_owned(),
            row(&|one| duration(one.load_ms)),
            None,
        ));
    }
}

/// A part as it is typed.
fn name(part: Part) -> String {
    let value = part.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

fn figure(
    part: Part,
    what: String,
    values: [Option<String>; 3],
    wanted: Option<(String, bool)>,
) -> Figure {
    let [forwarder, frr, bird] = values.map(|value| value.unwrap_or_else(|| "-".to_owned()));
    let (wanted, met) = wanted.unzip();
    Figure {
        part: name(part),
        what,
        forwarder,
        frr,
        bird,
        wanted,
        met,
    }
}

/// The columns of a list that has an item for each device.
fn by_kind<T>(
    all: &[T],
    kind: impl Fn(&T) -> Kind,
    show: impl Fn(&T) -> String,
) -> [Option<String>; 3] {
    Kind::ALL.map(|wanted| all.iter().find(|one| kind(one) == wanted).map(&show))
}

/// What is wanted, and whether it is so.
fn below(limit: f64, median: Option<f64>) -> (String, bool) {
    let met = median.is_some_and(|median| median < limit);
    (format!("< {}", duration(limit)), met)
}

/// The median of what is always there; 0 of nothing.
fn median_of(samples: impl Iterator<Item = f64>) -> f64 {
    median(samples.map(Some)).unwrap_or_default()
}

fn or_never(milliseconds: Option<f64>) -> String {
    milliseconds.map_or_else(|| "never".to_owned(), duration)
}

/// Milliseconds in a readable unit.
fn duration(milliseconds: f64) -> String {
    match milliseconds {
        ms if ms >= 1000.0 => format!("{} s", digits(ms / 1000.0)),
        ms => format!("{} ms", digits(ms)),
    }
}

/// Three digits that count, and no more than a measurement has.
fn digits(value: f64) -> String {
    match value {
        value if value >= 99.95 || value == value.trunc() => format!("{value:.0}"),
        value if value >= 9.995 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::{below, duration, mebibytes};

    #[test]
    fn durations_have_three_digits() {
        assert_eq!(duration(0.8412), "0.84 ms");
        assert_eq!(duration(12.345), "12.3 ms");
        assert_eq!(duration(412.6), "413 ms");
        assert_eq!(duration(4321.0), "4.32 s");
        assert_eq!(duration(1000.0), "1 s");
    }

    #[test]
    fn what_never_came_is_not_below_anything() {
        assert_eq!(below(10.0, None), ("< 10 ms".to_owned(), false));
        assert_eq!(below(10.0, Some(9.9)), ("< 10 ms".to_owned(), true));
        assert_eq!(below(10.0, Some(10.0)), ("< 10 ms".to_owned(), false));
    }

    #[test]
    fn memory_is_in_mebibytes() {
        assert_eq!(mebibytes(3 << 19), "1.5 MiB");
    }
}
