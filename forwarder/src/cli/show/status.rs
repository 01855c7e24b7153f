//! `show status`.

use std::fmt::Write as _;

use super::super::table::{age, bytes, grouped};
use crate::api::model::{Generation, RecordingSummary, RipSummary, RouteSummary, Status};

pub(super) fn render(status: Status) -> String {
    let mut text = String::new();
    let mut line = |key: &str, value: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{:<12}{value}", format!("{key}:"));
    };
    line("forwarder", status.version);
    line(
        "instance",
        format!(
            "{}, pid {}, up {}",
            status.instance,
            status.pid,
            age(status.uptime)
        ),
    );
    line("config", status.config);
    line("engine", status.engine);
    let ports = &status.ports;
    line(
        "ports",
        format!(
            "{} native, {} generic, {} without the program",
            ports.native, ports.generic, ports.none
        ),
    );
    line("routes", routes(&status.routes));
    line(
        "rip",
        status.rip.as_ref().map_or_else(|| "off".to_owned(), rip),
    );
    if let Some(file) = &status.recording {
        line("recording", recording(file));
    }
    line("generation", generation(&status.generation));
    if status.netlink.overruns + status.netlink.undecodable > 0 {
        let netlink = &status.netlink;
        line(
            "netlink",
            format!(
                "{} overruns, {} messages not understood",
                netlink.overruns, netlink.undecodable
            ),
        );
    }
    for degraded in &status.degraded {
        line(
            "degraded",
            format!("{}: {}", degraded.reason, degraded.detail),
        );
    }
    text
}

fn routes(routes: &RouteSummary) -> String {
    let by_source: Vec<String> = routes
        .selected
        .iter()
        .map(|(source, count)| format!("{} {source}", grouped(*count)))
        .collect();
    let missing = match routes.kernel_missing {
        0 => String::new(),
        missing => format!(", {} refused by the kernel", grouped(missing)),
    };
    let by_source = if by_source.is_empty() {
        "none".to_owned()
    } else {
        by_source.join(", ")
    };
    format!(
        "{by_source}; ours in the kernel {}{missing}; in the fast path {}",
        grouped(routes.kernel),
        grouped(routes.xdp)
    )
}

fn rip(rip: &RipSummary) -> String {
    let interfaces = count(u64::from(rip.interfaces), "interface");
    let neighbors = count(u64::from(rip.neighbors), "neighbor");
    let drops = match rip.socket_drops {
        0 => String::new(),
        drops => format!(", {} lost in full buffers", count(drops, "datagram")),
    };
    format!(
        "{interfaces}, {neighbors}, {}{drops}",
        count(rip.routes, "route")
    )
}

fn recording(recording: &RecordingSummary) -> String {
    let size = bytes(recording.bytes);
    let stopped = recording.stopped.as_ref();
    let ended = stopped.map_or_else(String::new, |why| format!(", has ended: {why}"));
    format!("{}, {size}{ended}", recording.file)
}

fn count(number: u64, noun: &str) -> String {
    format!(
        "{} {noun}{}",
        grouped(number),
        if number == 1 { "" } else { "s" }
    )
}

fn generation(generation: &Generation) -> String {
    let sinks = [
        ("kernel", generation.kernel),
        ("xdp", generation.xdp),
        ("rip", generation.rip),
    ];
    let behind: Vec<String> = sinks
        .iter()
        .filter(|(_, number)| *number != generation.rib)
        .map(|(sink, number)| format!("{sink} at {number}"))
        .collect();
    match behind.as_slice() {
        [] => format!("{}, everywhere", generation.rib),
        behind => format!("{}; {}", generation.rib, behind.join(", ")),
    }
}
