//! `show counters`: by port, by reason, then by route where that is wanted.

use forwarder_common::reason::{Reason, Verdict};

use super::super::table::{Table, grouped};
use crate::api::model::{Counters, InterfaceCounters, RouteCounter};

pub(super) fn render(counters: &Counters, all: bool) -> String {
    let mut text = format!(
        "{}\n{}",
        interfaces(&counters.interfaces),
        reasons(counters, all)
    );
    if !counters.routes.is_empty() {
        text.push('\n');
        text.push_str(&routes(&counters.routes));
    }
    text
}

fn routes(routes: &[RouteCounter]) -> String {
    let mut table = Table::new(["ROUTE", ">PACKETS", ">BYTES"]);
    for route in routes {
        table.row([
            route.prefix.to_string(),
            grouped(route.packets),
            grouped(route.bytes),
        ]);
    }
    table.render("none")
}

fn interfaces(ports: &[InterfaceCounters]) -> String {
    let mut table = Table::new([
        "INTERFACE",
        "MODE",
        ">RECEIVED",
        ">BYTES",
        ">FORWARDED",
        ">BYTES",
        ">UP",
        ">DROPPED",
    ]);
    for port in ports {
        table.row([
            port.name.clone(),
            port.mode.name().to_owned(),
            grouped(port.rx_packets),
            grouped(port.rx_bytes),
            grouped(port.forwarded_packets),
            grouped(port.forwarded_bytes),
            grouped(port.passed),
            grouped(port.dropped),
        ]);
    }
    table.render("no ports")
}

/// In the order that the program decides in, not by name.
fn reasons(counters: &Counters, all: bool) -> String {
    let mut table = Table::new(["REASON", "VERDICT", ">PACKETS"]);
    for reason in Reason::ALL {
        let packets = counters
            .reasons
            .get(reason.name())
            .copied()
            .unwrap_or_default();
        if packets > 0 || all {
            let verdict = match reason.verdict() {
                Verdict::Forwarded => "forwarded",
                Verdict::Up => "up",
                Verdict::Dropped => "dropped",
                Verdict::Transmit => "transmit",
            };
            table.row([
                reason.name().to_owned(),
                verdict.to_owned(),
                grouped(packets),
            ]);
        }
    }
    table.render("no packets yet")
}
