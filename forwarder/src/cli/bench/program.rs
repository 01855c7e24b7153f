//! `bench program` for people.

use super::super::table::{Table, bytes};
use super::conditions;
use crate::bench::program::{ProgramReport, Spread};

/// What a load took, what a change takes, what memory it needs.
pub(super) fn table(report: &ProgramReport) -> String {
    let (load, change, memory) = (report.load, &report.change, report.memory);
    let mut table = Table::new(["SINGLE CHANGE", ">P50 US", ">P99 US", ">MAX US"]);
    table.row(row("until a packet takes it", &change.convergence));
    table.row(row("writes to the maps alone", &change.store));
    format!(
        "{}engine {}\n\n\
         load of {} routes: {:.0} ms in all, {:.0} ms compiling, {:.0} ms for {} writes\n\
         {} destinations right after it, {} after the changes\n\
         memory: {} in maps, {} for FIB and builder\n\n\
         {:.0} changes a second\n{}",
        conditions(&report.setup),
        report.engine,
        load.routes,
        (load.compile + load.write) * 1e3,
        load.compile * 1e3,
        load.write * 1e3,
        load.writes,
        load.checked,
        change.checked,
        bytes(memory.maps),
        bytes(memory.fib),
        change.rate,
        table.render(""),
    )
}

fn row(what: &str, spread: &Spread) -> [String; 4] {
    let us = |value: f64| format!("{value:.1}");
    [
        what.to_owned(),
        us(spread.p50),
        us(spread.p99),
        us(spread.max),
    ]
}
