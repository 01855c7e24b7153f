//! `GET /metrics` in the OpenMetrics text format.
//!
//! Written by hand: the format is a few lines, and the counters live in BPF
//! maps, not in a metrics library's registry.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use forwarder_common::reason::Reason;

use super::counters::PortCounters;
use super::model::{Clients, Fib, RipError, RouteCounter, Status};

/// The media type of the answer.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Everything that one scrape shows.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The daemon.
    pub status: Status,
    /// The ports.
    pub counters: Vec<PortCounters>,
    /// The routes that are counted each by itself.
    pub routes: Vec<RouteCounter>,
    /// The tables.
    pub fib: Fib,
    /// The routing socket.
    pub clients: Clients,
    /// RIP's refusals, where it is on.
    pub rip_errors: Vec<RipError>,
}

/// The text of one scrape.
pub fn encode(sample: &Sample) -> String {
    let mut text = Encoder(String::new());
    daemon(&mut text, &sample.status);
    ports(&mut text, &sample.counters);
    routes(&mut text, &sample.routes);
    tables(&mut text, sample);
    rip(&mut text, sample);
    routing_socket(&mut text, &sample.clients);
    text.0.push_str("# EOF\n");
    text.0
}

fn daemon(text: &mut Encoder, status: &Status) {
    text.family("forwarder_build", "info", "The daemon's version.");
    text.sample("forwarder_build_info", &[("version", &status.version)], 1);
    text.family(
        "forwarder_uptime_seconds",
        "gauge",
        "Seconds since the daemon started.",
    );
    text.sample("forwarder_uptime_seconds", &[], status.uptime);

    text.family(
        "forwarder_generation",
        "gauge",
        "How far the RIB and its sinks are.",
    );
    let generation = &status.generation;
    for (sink, number) in [
        ("rib", generation.rib),
        ("kernel", generation.kernel),
        ("xdp", generation.xdp),
        ("rip", generation.rip),
    ] {
        text.sample("forwarder_generation", &[("sink", sink)], number);
    }

    text.family(
        "forwarder_degraded",
        "gauge",
        "Why packets take the slow path.",
    );
    for degraded in &status.degraded {
        let labels = [
            ("reason", degraded.reason.as_str()),
            ("detail", &degraded.detail),
        ];
        text.sample("forwarder_degraded", &labels, 1);
    }

    text.family(
        "forwarder_netlink_overruns",
        "counter",
        "Times that notifications were lost.",
    );
    text.sample(
        "forwarder_netlink_overruns_total",
        &[],
        status.netlink.overruns,
    );
}

fn ports(text: &mut Encoder, ports: &[PortCounters]) {
    text.family(
        "forwarder_packets",
        "counter",
        "Packets by port and by what became of them.",
    );
    for (port, reason) in each(ports) {
        let labels = [("interface", port.name.as_str()), ("reason", reason.name())];
        text.sample("forwarder_packets_total", &labels, port.get(reason).packets);
    }
    text.family(
        "forwarder_bytes",
        "counter",
        "Their bytes, link-layer header included.",
    );
    for (port, reason) in each(ports) {
        let labels = [("interface", port.name.as_str()), ("reason", reason.name())];
        text.sample("forwarder_bytes_total", &labels, port.get(reason).bytes);
    }
    text.family("forwarder_port", "info", "How the program is attached.");
    for port in ports {
        let labels = [
            ("interface", port.name.as_str()),
            ("mode", port.mode.name()),
        ];
        text.sample("forwarder_port_info", &labels, 1);
    }
}

fn routes(text: &mut Encoder, routes: &[RouteCounter]) {
    text.family(
        "forwarder_route_packets",
        "counter",
        "Packets by route, where it is counted.",
    );
    let labelled = |route: &RouteCounter| route.prefix.to_string();
    for route in routes {
        let labels = [("prefix", &*labelled(route))];
        text.sample("forwarder_route_packets_total", &labels, route.packets);
    }
    text.family(
        "forwarder_route_bytes",
        "counter",
        "Their bytes, link-layer header included.",
    );
    for route in routes {
        let labels = [("prefix", &*labelled(route))];
        text.sample("forwarder_route_bytes_total", &labels, route.bytes);
    }
}

fn each(ports: &[PortCounters]) -> impl Iterator<Item = (&PortCounters, Reason)> {
    ports
        .iter()
        .flat_map(|port| Reason::ALL.iter().map(move |reason| (port, *reason)))
}

fn tables(text: &mut Encoder, sample: &Sample) {
    text.family(
        "forwarder_routes",
        "gauge",
        "Selected routes of the main table by source.",
    );
    for (source, count) in &sample.status.routes.selected {
        text.sample("forwarder_routes", &[("source", source)], *count);
    }
    let routes = &sample.status.routes;
    text.family(
        "forwarder_routes_missing",
        "gauge",
        "Our routes that the kernel did not take.",
    );
    text.sample("forwarder_routes_missing", &[], routes.kernel_missing);

    text.family(
        "forwarder_fib_entries",
        "gauge",
        "Entries of the fast path's tables.",
    );
    let fib = &sample.fib;
    for (kind, count) in [
        ("prefix", fib.prefixes),
        ("prefix-ipv6", fib.ipv6.prefixes),
        ("host-route", fib.host_routes),
        ("host-route-ipv6", fib.ipv6.host_routes),
        ("nexthop", fib.nexthops),
        ("adjacency", fib.adjacencies),
        ("own-address", fib.own_addresses),
        ("overflow", fib.overflow),
        ("row", fib.rows_used),
        ("row-ipv6", fib.ipv6.rows_used),
    ] {
        text.sample("forwarder_fib_entries", &[("kind", kind)], count);
    }
    text.family(
        "forwarder_fib_bytes",
        "gauge",
        "Memory of the fast path's tables.",
    );
    text.sample("forwarder_fib_bytes", &[], fib.bytes);
}

fn rip(text: &mut Encoder, sample: &Sample) {
    let Some(rip) = &sample.status.rip else {
        return;
    };
    text.family("forwarder_rip_neighbors", "gauge", "RIP neighbours heard.");
    text.sample("forwarder_rip_neighbors", &[], u64::from(rip.neighbors));
    text.family(
        "forwarder_rip_routes",
        "gauge",
        "Destinations learnt by RIP.",
    );
    text.sample("forwarder_rip_routes", &[], rip.routes);
    text.family(
        "forwarder_rip_socket_drops",
        "counter",
        "RIP datagrams lost in full buffers.",
    );
    text.sample("forwarder_rip_socket_drops_total", &[], rip.socket_drops);
    text.family(
        "forwarder_rip_refused",
        "counter",
        "RIP packets and entries not used.",
    );
    for error in &sample.rip_errors {
        let labels = [("reason", error.reason.as_str()), ("scope", &error.scope)];
        text.sample("forwarder_rip_refused_total", &labels, error.count);
    }
}

/// Each family by type, name, help, its label if it has one, and the samples by
/// the label's value.
fn routing_socket(text: &mut Encoder, clients: &Clients) {
    let totals = &clients.totals;
    let connected = u64::try_from(clients.clients.len()).unwrap_or(u64::MAX);
    let families = [
        (
            "gauge",
            "forwarder_route_socket_clients",
            "Clients of the routing socket.",
            None,
            vec![("", connected)],
        ),
        (
            "gauge",
            "forwarder_route_socket_routes",
            "Routes that clients have added.",
            Some("family"),
            vec![("ipv4", clients.ipv4.routes), ("ipv6", clients.ipv6.routes)],
        ),
        (
            "counter",
            "forwarder_route_socket_connections",
            "Clients that have come.",
            Some("result"),
            vec![
                ("accepted", totals.connections),
                ("turned-away", totals.turned_away),
            ],
        ),
        (
            "counter",
            "forwarder_route_socket_requests",
            "Messages of clients.",
            Some("result"),
            vec![
                ("done", totals.requests.saturating_sub(totals.refused)),
                ("refused", totals.refused),
            ],
        ),
        (
            "counter",
            "forwarder_route_socket_lost",
            "Times that a client was told that it had missed something.",
            None,
            vec![("", totals.lost)],
        ),
        (
            "counter",
            "forwarder_route_misses_over_limit",
            "Misses of the kernel's lookups that no event tells of: over the limit.",
            None,
            vec![("", totals.misses_over_limit)],
        ),
        (
            "counter",
            "forwarder_route_events_not_looked_into",
            "Packets that no event tells of, since too many came at once.",
            None,
            vec![("", totals.not_looked_into)],
        ),
        (
            "counter",
            "forwarder_route_events",
            "Events published on the routing socket.",
            Some("type"),
            by_name(&totals.events),
        ),
        (
            "counter",
            "forwarder_redirects",
            "ICMP redirects heard.",
            Some("verdict"),
            by_name(&totals.redirects),
        ),
    ];
    for (kind, name, help, label, samples) in families {
        text.family(name, kind, help);
        let suffix = if kind == "counter" { "_total" } else { "" };
        for (value, count) in samples {
            let label = label.map(|label| (label, value));
            text.sample(&format!("{name}{suffix}"), label.as_slice(), count);
        }
    }
}

fn by_name(counts: &BTreeMap<String, u64>) -> Vec<(&str, u64)> {
    let named = counts.iter();
    named.map(|(name, count)| (name.as_str(), *count)).collect()
}

struct Encoder(String);

impl Encoder {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "# TYPE {name} {kind}\n# HELP {name} {help}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        self.0.push_str(name);
        for (i, (label, text)) in labels.iter().enumerate() {
            let open = if i == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{open}{label}=\"{}\"", escape(text));
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{close} {value}");
    }
}

/// A label's value: an interface name may hold a quote or a backslash.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}
