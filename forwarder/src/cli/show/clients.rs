//! `show clients`.

use super::super::table::{Table, age, bytes, grouped, or_dash};
use crate::api::model::{ClientRoutes, Clients};

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
    text
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
