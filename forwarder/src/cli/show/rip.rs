//! `show rip`.

use std::fmt::Write as _;

use super::super::args::ShowRipPart;
use super::super::table::{Table, age, bytes, grouped, or_dash, yes_no};
use super::{Ask, output};
use crate::api::model::{RipError, RipInterface, RipNeighbor, RipRoute};

pub(super) async fn run(part: Option<ShowRipPart>, ask: Ask<'_>) -> anyhow::Result<()> {
    match part {
        None => overview(ask).await,
        Some(ShowRipPart::Interfaces) => {
            ask.show("/v1/rip/interfaces", |answer: Vec<_>| interfaces(&answer))
                .await
        }
        Some(ShowRipPart::Neighbors) => {
            ask.show("/v1/rip/neighbors", |answer: Vec<_>| neighbors(&answer))
                .await
        }
        Some(ShowRipPart::Routes) => {
            ask.show("/v1/rip/routes", |answer: Vec<_>| routes(&answer))
                .await
        }
        Some(ShowRipPart::Errors { all }) => {
            ask.show("/v1/rip/errors", |answer: Vec<_>| errors(&answer, all))
                .await
        }
    }
}

/// Interfaces and neighbours; in JSON an object with both.
async fn overview(ask: Ask<'_>) -> anyhow::Result<()> {
    let interface_rows: Vec<RipInterface> = ask.client.get("/v1/rip/interfaces").await?;
    let neighbor_rows: Vec<RipNeighbor> = ask.client.get("/v1/rip/neighbors").await?;
    if ask.json {
        let both = serde_json::json!({ "interfaces": interface_rows, "neighbors": neighbor_rows });
        return output::print(both.to_string());
    }
    output::print(format!(
        "{}\n{}",
        interfaces(&interface_rows),
        neighbors(&neighbor_rows)
    ))
}

pub(super) fn interfaces(rows: &[RipInterface]) -> String {
    let mut table = Table::new([
        "INTERFACE",
        "PROTOCOL",
        "SENDS",
        "ACCEPTS",
        ">COST",
        "HORIZON",
        "AUTH",
        "PASSIVE",
        ">UPDATE IN",
        ">TAKES",
        ">NEIGHBORS",
        ">RECEIVED",
        ">SENT",
        ">LOST",
        ">BUFFER",
    ]);
    for row in rows {
        table.row([
            row.name.clone(),
            row.protocol.clone(),
            sent(row),
            accepted(row),
            row.cost.to_string(),
            row.split_horizon.clone(),
            or_dash(row.auth.as_deref()),
            yes_no(row.passive),
            or_dash(row.next_update.map(age)),
            format!("{} ms", grouped(row.full_update_ms)),
            row.neighbors.to_string(),
            grouped(row.received),
            grouped(row.sent),
            grouped(row.socket_drops),
            bytes(row.receive_buffer),
        ]);
    }
    let mut text = table.render("RIP runs on no interface that is up");
    for row in rows.iter().filter(|row| row.overcommitted) {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{} ({}) is overcommitted: an update takes more than half of the time to the next; \
             raise its pace, make update longer, or announce less",
            row.name, row.protocol
        );
    }
    text
}

/// RIPng has one version, 1.
fn sent(row: &RipInterface) -> String {
    match row.protocol.as_str() {
        "rip" => row.send_version.clone(),
        _ => row.version.to_string(),
    }
}

fn accepted(row: &RipInterface) -> String {
    match row.protocol.as_str() {
        "rip" => row.receive_version.clone(),
        _ => row.version.to_string(),
    }
}

pub(in crate::cli) fn neighbors(rows: &[RipNeighbor]) -> String {
    let mut table = Table::new([
        "NEIGHBOR",
        "INTERFACE",
        ">VERSION",
        ">HEARD",
        ">ROUTES",
        ">BAD PACKETS",
        ">BAD ROUTES",
        "AUTH",
        "REFUSED",
    ]);
    for row in rows {
        let refused = row
            .refused
            .iter()
            .map(|(reason, count)| format!("{reason} {count}"));
        let refused = refused.collect::<Vec<_>>().join(", ");
        table.row([
            row.address.to_string(),
            row.interface.clone(),
            row.version.to_string(),
            age(row.last_seen),
            grouped(row.routes),
            grouped(row.bad_packets),
            grouped(row.bad_routes),
            or_dash(row.auth.as_deref()),
            or_dash(Some(refused).filter(|text| !text.is_empty())),
        ]);
    }
    table.render("no neighbors heard")
}

pub(in crate::cli) fn routes(rows: &[RipRoute]) -> String {
    let mut table = Table::new([
        "",
        "PREFIX",
        "ORIGIN",
        ">METRIC",
        ">TAG",
        "VIA",
        "NEIGHBOR",
        "INTERFACE",
        ">EXPIRES",
        ">SETTLES",
    ]);
    for row in rows {
        table.row([
            if row.selected { "*" } else { "" }.to_owned(),
            row.prefix.to_string(),
            row.origin.clone(),
            row.metric.to_string(),
            row.tag.to_string(),
            or_dash(row.via),
            or_dash(row.neighbor),
            or_dash(row.interface.as_deref()),
            or_dash(row.expires.map(age)),
            or_dash(row.settles.map(age)),
        ]);
    }
    table.render("no routes")
}

pub(super) fn errors(rows: &[RipError], all: bool) -> String {
    let mut table = Table::new(["REASON", "PROTOCOL", "LOST", ">COUNT", ">LAST", "FROM"]);
    for row in rows.iter().filter(|row| row.count > 0 || all) {
        let last = row.last.as_ref();
        table.row([
            row.reason.clone(),
            row.protocol.clone(),
            row.scope.clone(),
            grouped(row.count),
            or_dash(last.map(|last| age(last.age))),
            or_dash(last.map(|last| format!("{} on {}", last.address, last.interface))),
        ]);
    }
    table.render("nothing was refused")
}
