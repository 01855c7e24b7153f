//! `show events`, and the words for one event, which `trace` uses too.

use super::super::table::{Table, grouped, or_dash};
use crate::api::model::{Event, Events};

pub(super) fn render(answer: &Events) -> String {
    let mut table = Table::new([
        ">AGO",
        "INTERFACE",
        "VERDICT",
        "REASON",
        "SOURCE",
        "DESTINATION",
        ">BYTES",
    ]);
    for event in &answer.events {
        table.row([
            format!("{:.3}", event.age),
            event.interface.clone(),
            event.verdict.clone(),
            event.reason.clone(),
            or_dash(event.source),
            or_dash(event.destination),
            event.length.to_string(),
        ]);
    }
    let mut text = table.render("no events");
    if answer.lost > 0 {
        let lost = grouped(answer.lost);
        text.push_str(&format!("\n{lost} more were over the limit\n"));
    }
    text
}

/// One event in a line of its own.
pub(in crate::cli) fn line(event: &Event) -> String {
    format!(
        "{:<15} {:<7} {:<20} {} > {}  {} bytes",
        event.interface,
        event.verdict,
        event.reason,
        or_dash(event.source),
        or_dash(event.destination),
        event.length,
    )
}
