//! `show clients`: connections and clients' routes as the API tells them.

use forwarder_core::rib::socket::{ClientRoutes, OwnerRoutes};
use forwarder_core::route_msg::Mode;
use forwarder_core::route_msg::extension::NO_LISTEN;
use forwarder_core::route_msg::number::{AF_INET, AF_INET6};

use crate::api::model;
use crate::clock;
use crate::route_events::Counts;
use crate::route_socket::roster::{Entry, Totals};

/// A connection.
pub(super) fn row(entry: &Entry) -> model::RouteClient {
    let greeting = entry.greeting();
    let name = greeting.map(|greeting| greeting.name.clone());
    let family = match greeting {
        Some(greeting) if greeting.flags & NO_LISTEN != 0 => "none",
        Some(greeting) if greeting.family == AF_INET => "ipv4",
        Some(greeting) if greeting.family == AF_INET6 => "ipv6",
        _ => "all",
    };
    let mode = match greeting.map(|greeting| greeting.mode) {
        None => "no-greeting",
        Some(Mode::Classic) => "classic",
        Some(Mode::Error) => "error",
        Some(Mode::Reliable) => "reliable",
    };
    model::RouteClient {
        id: entry.id.0,
        uid: entry.uid,
        name: name.filter(|name| !name.is_empty()),
        family: family.into(),
        mode: mode.into(),
        seconds: clock::now().since(entry.since).as_secs(),
        requests: entry.counts.requests(),
        refused: entry.counts.refused(),
        lost: entry.counts.lost(),
        waiting: entry.waiting(),
    }
}

/// Since the daemon started.
pub(super) fn totals(totals: &Totals, counts: &Counts) -> model::ClientTotals {
    model::ClientTotals {
        connections: totals.connections(),
        turned_away: totals.turned_away(),
        requests: totals.counts.requests(),
        refused: totals.counts.refused(),
        lost: totals.counts.lost(),
        events: counts.events(),
        redirects: counts.redirects(),
        misses_over_limit: counts.misses_over_limit(),
        not_looked_into: counts.not_looked_into(),
    }
}

/// What clients have put into a family's database.
pub(super) fn routes((counts, owners): (ClientRoutes, OwnerRoutes)) -> model::ClientRoutes {
    let number = |count| u64::try_from(count).unwrap_or(u64::MAX);
    model::ClientRoutes {
        routes: number(counts.routes),
        max_routes: number(counts.max_routes),
        holds: number(counts.holds),
        trash: number(counts.trash),
        owners: owners
            .into_iter()
            .map(|(name, count)| (name.to_string(), number(count)))
            .collect(),
    }
}
