//! `show routes`: the table, or who does what with one address.

use std::fmt::Write as _;

use clap::ValueEnum as _;

use super::super::args::{RouteTarget, ShowRoutesCommand, TableChoice};
use super::super::table::{Table, age, or_dash, yes_no};
use super::Ask;
use crate::api::lookup::{kernel_words, xdp_words};
use crate::api::model::{Lookup, Route, RouteNexthop};

pub(super) async fn run(command: &ShowRoutesCommand, ask: Ask<'_>) -> anyhow::Result<()> {
    let table = command.table.to_possible_value();
    let table = table.as_ref().map_or("main", |value| value.get_name());
    let show_table = command.table == TableChoice::All;
    match command.target {
        Some(RouteTarget::Address(address)) => {
            ask.show(&format!("/v1/lookup?address={address}"), |answer| {
                render_lookup(&answer)
            })
            .await
        }
        Some(RouteTarget::Prefix(prefix)) => {
            let path = format!("/v1/routes?table={table}&prefix={prefix}");
            ask.show(&path, |answer: Vec<_>| render(&answer, show_table))
                .await
        }
        None => {
            let path = format!("/v1/routes?table={table}");
            ask.show(&path, |answer: Vec<_>| render(&answer, show_table))
                .await
        }
    }
}

/// One line a route, further next hops on lines of their own. `*` marks the one
/// that packets go by.
pub(super) fn render(routes: &[Route], show_table: bool) -> String {
    let mut table = Table::new([
        "", "PREFIX", "SOURCE", ">DIST", ">METRIC", "VIA", "DEV", ">AGE", "KERNEL", "XDP", "REASON",
    ]);
    for route in routes {
        let first = route.nexthops.first();
        let prefix = match show_table {
            true => format!("{} {}", route.table, route.prefix),
            false => route.prefix.to_string(),
        };
        table.row([
            if route.selected { "*" } else { "" }.to_owned(),
            prefix,
            route.source.clone(),
            route.distance.to_string(),
            route.metric.to_string(),
            first.map_or_else(|| kind(route), via),
            first.map_or_else(|| "-".to_owned(), |nexthop| or_dash(nexthop.dev.as_deref())),
            age(route.age),
            yes_no(route.installed.kernel),
            yes_no(route.installed.xdp),
            reason(route),
        ]);
        for nexthop in route.nexthops.iter().skip(1) {
            let mut cells = [const { String::new() }; 11];
            cells[5] = via(nexthop);
            cells[6] = or_dash(nexthop.dev.as_deref());
            table.row(cells);
        }
    }
    table.render("no routes")
}

/// What stands in place of a next hop: "blackhole" and the like.
fn kind(route: &Route) -> String {
    route
        .flags
        .first()
        .cloned()
        .unwrap_or_else(|| "-".to_owned())
}

fn via(nexthop: &RouteNexthop) -> String {
    let mut text = nexthop
        .via
        .map_or_else(|| "on link".to_owned(), |via| via.to_string());
    if nexthop.weight != 1 {
        let _ = write!(text, " weight {}", nexthop.weight);
    }
    if !nexthop.resolved {
        text.push_str(" (unusable)");
    }
    text
}

fn reason(route: &Route) -> String {
    let flags = match route.nexthops.is_empty() {
        true => route.flags.get(1..).unwrap_or_default(),
        false => &route.flags,
    };
    match flags {
        [] => route.reason.clone(),
        flags => format!("{}; {}", route.reason, flags.join(", ")),
    }
}

pub(super) fn render_lookup(lookup: &Lookup) -> String {
    let rib = match &lookup.rib {
        Some(route) => describe(route),
        None => "no route".to_owned(),
    };
    let matched = lookup
        .xdp
        .prefix
        .map(|prefix| format!("{prefix}: "))
        .unwrap_or_default();
    let mut text = format!(
        "{}\n  rib:       {rib}\n  kernel:    {}\n  fast path: {matched}{}\n",
        lookup.address,
        kernel_words(&lookup.kernel),
        xdp_words(&lookup.xdp),
    );
    if let Some(difference) = &lookup.difference {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  they differ: {difference}");
    }
    text
}

fn describe(route: &Route) -> String {
    let mut text = format!("{}: {}", route.prefix, route.source);
    if route.nexthops.is_empty() {
        let _ = write!(text, " {}", kind(route));
    }
    for nexthop in &route.nexthops {
        if let Some(via) = nexthop.via {
            let _ = write!(text, " via {via}");
        }
        if let Some(dev) = &nexthop.dev {
            let _ = write!(text, " dev {dev}");
        }
    }
    text
}
