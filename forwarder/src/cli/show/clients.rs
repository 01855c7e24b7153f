//! `show clients`.

use std::collections::BTreeMap;

use super::super::table::{Table, age, bytes, grouped, or_dash};
use crate::api::model::{ClientRoutes, ClientTotals, Clients};

pub(super) fn render(clients: &Clients) -> String {
    let mut table = Table::new([
        ">ID",
        ">UID",
        "NAME",
        "FAMILY",
        "MODE",
        ">UP",
        ">REQUESTS",
        ">REFUSED",
        ">LOST",
        ">WAITING",
    ]);
    for client in &clients.clients {
        table.row([
            client.id.to_string(),
            client.uid.to_string(),
            or_dash(client.name.as_deref()),
            client.family.clone(),
            client.mode.clone(),
            age(client.seconds),
            grouped(client.requests),
            grouped(client.refused),
            grouped(client.lost),
            bytes(client.waiting),
        ]);
    }
    let mut text = table.render("no clients");
    for (family, routes) in [("IPv4", &clients.ipv4), ("IPv6", &clients.ipv6)] {
        text = format!("{}\n{}\n", text.trim_end(), summary(family, routes));
    }
    text + &since_start(&clients.totals)
}

/// What has happened, zeros left out: of most there are none.
fn since_start(totals: &ClientTotals) -> String {
    let some = |count: u64, what: &str| (count > 0).then(|| format!("{} {what}", grouped(count)));
    let named = |counts: &BTreeMap<String, u64>| {
        let each = counts.iter().map(|(name, count)| some(*count, name));
        let text: Vec<String> = each.flatten().collect();
        text.join(", ")
    };
    let connections: Vec<String> = [
        some(totals.connections, "connections"),
        some(totals.turned_away, "turned away"),
        some(totals.requests, "requests"),
        some(totals.refused, "refused"),
        some(totals.lost, "times something missed"),
    ]
    .into_iter()
    .flatten()
    .collect();
    let events = [
        named(&totals.events),
        some(totals.misses_over_limit, "misses over the limit").unwrap_or_default(),
        some(totals.not_looked_into, "not looked into").unwrap_or_default(),
    ];
    let events: Vec<&str> = events
        .iter()
        .map(String::as_str)
        .filter(|text| !text.is_empty())
        .collect();
    [
        ("since the start", connections.join(", ")),
        ("events", events.join(", ")),
        ("ICMP redirects", named(&totals.redirects)),
    ]
    .into_iter()
    .filter(|(_, text)| !text.is_empty())
    .map(|(head, text)| format!("{head}: {text}\n"))
    .collect()
}

fn summary(family: &str, routes: &ClientRoutes) -> String {
    let owners: Vec<String> = routes
        .owners
        .iter()
        .map(|(name, count)| format!(", {} of {name}", grouped(*count)))
        .collect();
    format!(
        "{family}: {} of at most {} routes{}; {} holds, {} of routes that are gone",
        grouped(routes.routes),
        grouped(routes.max_routes),
        owners.concat(),
        grouped(routes.holds),
        grouped(routes.trash),
    )
}
