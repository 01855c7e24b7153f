//! `bench forward` for people.

use super::super::table::{Table, or_dash};
use super::conditions;
use crate::bench::forward::{ForwardReport, Way, WayReport};

/// A row a way; how many times as fast as others it is.
pub(super) fn table(report: &ForwardReport) -> String {
    let headings = [
        "WAY",
        ">NS/PACKET",
        ">MIN",
        ">MAX",
        ">ROUTER",
        ">PROGRAM",
        ">MPPS",
        ">X IP-FORWARD",
        ">X KERNEL",
        ">/CONSTANT",
        ">/RELAY",
        ">DELIVERED",
    ];
    let mut table = Table::new(headings);
    for way in &report.ways {
        table.row(row(report, way));
    }
    let samples = report.ways.first().map_or(0, |way| way.samples.len());
    format!(
        "{}{samples} samples of {} frames of {} bytes each, in batches of {}\n\n{}",
        conditions(&report.setup),
        report.frames,
        report.frame_bytes,
        report.batch,
        table.render("nothing was measured"),
    )
}

fn row(report: &ForwardReport, way: &WayReport) -> [String; 12] {
    let ratio = |slow, fast| or_dash(report.ratio(slow, fast).map(|x| format!("{x:.2}")));
    let name = way.way;
    [
        name.name().to_owned(),
        format!("{:.1}", way.ns.median),
        format!("{:.1}", way.ns.min),
        format!("{:.1}", way.ns.max),
        or_dash(way.router_ns.map(|ns| format!("{ns:.1}"))),
        or_dash(way.program_ns.map(|ns| format!("{:.1}", ns.median))),
        format!("{:.2}", 1000.0 / way.ns.median),
        ratio(Way::IpForward, name),
        ratio(Way::Kernel, name),
        ratio(name, Way::Constant),
        ratio(name, Way::Relay),
        format!("{}/{}", way.delivered, way.sent),
    ]
}
