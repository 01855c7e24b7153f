//! `bench program` for people.

use super::super::table::{Table, bytes};
use super::conditions;
use crate::bench::program::{ProgramReport, Spread};
use crate::bench::samples::Summary;
use crate::bench::socket::SocketReport;

/// What a load took, what a change takes, what memory it needs; and the same of
/// the routing socket.
pub(super) fn table(report: &ProgramReport) -> String {
    let (load, change, memory) = (report.load, &report.change, report.memory);
    let mut table = Table::new(["SINGLE CHANGE", ">P50 US", ">P99 US", ">MAX US"]);
    table.row(row("until a packet takes it", &change.convergence));
    table.row(row("writes to the maps alone", &change.store));
    if let Some(socket) = &report.socket {
        let visible = &socket.visible;
        table.row(row(
            "by the routing socket, until the fast path has it",
            &visible.microseconds,
        ));
    }
    format!(
        "{}engine {}\n\n\
         load of {} routes: {:.0} ms in all, {:.0} ms compiling, {:.0} ms for {} writes\n\
         {} destinations right after it, {} after the changes\n\
         memory: {} in maps, {} for FIB and builder\n\n\
         {:.0} changes a second\n{}{}",
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
        report.socket.as_ref().map(socket).unwrap_or_default(),
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

fn socket(report: &SocketReport) -> String {
    let SocketReport {
        requests,
        bulk,
        snapshot,
        visible,
        stalled,
    } = report;
    let mut table = Table::new(["ROUTING SOCKET", ">A SECOND", ">X BARE", ">X NETLINK"]);
    let rate = |summary: &Summary| format!("{:.0}", summary.median);
    let times = |summary: &Summary| format!("{:.2}", summary.median);
    let none = || "-".to_owned();
    table.row([
        "bare round trip".to_owned(),
        rate(&requests.bare),
        none(),
        none(),
    ]);
    table.row([
        "one addition outstanding".to_owned(),
        rate(&requests.single),
        times(&requests.by_bare),
        times(&requests.single_by_netlink),
    ]);
    table.row([
        "netlink, one outstanding".to_owned(),
        rate(&requests.netlink_single),
        none(),
        none(),
    ]);
    table.row([
        "64 additions outstanding".to_owned(),
        rate(&requests.window),
        none(),
        times(&requests.window_by_netlink),
    ]);
    table.row([
        "netlink, 64 a datagram".to_owned(),
        rate(&requests.netlink_window),
        none(),
        none(),
    ]);
    format!(
        "\n{}\
         table of {} routes, {} a packet: {:.0} a second into the database, {:.0} with the \
         fast path; {} and {} bytes a route in the daemon\n\
         read back: {} routes in {:.0} ms\n\
         {:.0} changes a second beside those that were timed\n\
         beside a listener that does not read: {:.0} changes a second, {:.0} without it, \
         ratio {:.3}; {} marker, {} routes after it has caught up\n",
        table.render(""),
        bulk.routes,
        bulk.packed,
        bulk.database,
        bulk.fast_path,
        bulk.memory,
        bulk.memory_fast_path,
        snapshot.routes,
        snapshot.seconds * 1e3,
        visible.rate,
        stalled.with.median,
        stalled.without.median,
        stalled.ratio.median,
        stalled.markers,
        stalled.mirrored,
    )
}
