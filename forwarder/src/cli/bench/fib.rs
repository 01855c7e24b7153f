//! `bench fib` for people.

use super::super::table::Table;
use super::conditions;
use crate::bench::fib::{EngineReport, FibReport};
use crate::bench::samples::Summary;

/// A row an engine.
pub(super) fn table(report: &FibReport) -> String {
    let headings = [
        "ENGINE",
        ">DEPENDENT NS",
        ">MIN",
        ">MAX",
        ">INDEPENDENT NS",
        ">MIN",
        ">MAX",
        ">CHECKED",
    ];
    let mut table = Table::new(headings);
    for engine in &report.engines {
        table.row(row(engine));
    }
    let samples = report
        .engines
        .first()
        .map_or(0, |engine| engine.samples.len());
    format!(
        "{}{samples} samples of {} lookups each, the loop's own time subtracted\n\n{}",
        conditions(&report.setup),
        report.lookups,
        table.render("nothing was measured"),
    )
}

fn row(report: &EngineReport) -> [String; 8] {
    let [a, b, c] = cells(&report.dependent);
    let [d, e, f] = cells(&report.independent);
    let checked = report.checked.to_string();
    [report.engine.to_owned(), a, b, c, d, e, f, checked]
}

fn cells(summary: &Summary) -> [String; 3] {
    [summary.median, summary.min, summary.max].map(|ns| format!("{ns:.1}"))
}
