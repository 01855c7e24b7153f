use std::collections::BTreeSet;

use super::fixtures;
use crate::api::metrics::{Sample, encode};

fn sample() -> Sample {
    Sample {
        status: fixtures::status(),
        counters: vec![fixtures::port_counters()],
        routes: vec![fixtures::route_counter()],
        fib: fixtures::fib(),
        clients: fixtures::clients(),
        rip_errors: vec![fixtures::rip_error()],
    }
}

#[test]
fn samples_have_the_values_of_the_counters() {
    let text = encode(&sample());
    for line in [
        "forwarder_build_info{version=\"0.1.0\"} 1",
        "forwarder_uptime_seconds 3723",
        "forwarder_generation{sink=\"xdp\"} 41",
        "forwarder_degraded{reason=\"netfilter\",detail=\"table inet filter, chain forward\"} 1",
        "forwarder_packets_total{interface=\"eth1\",reason=\"forwarded\"} 1000000",
        "forwarder_bytes_total{interface=\"eth1\",reason=\"no-route\"} 1200",
        "forwarder_packets_total{interface=\"eth1\",reason=\"ttl-expired\"} 0",
        "forwarder_route_packets_total{prefix=\"198.51.100.0/24\"} 4000",
        "forwarder_route_bytes_total{prefix=\"198.51.100.0/24\"} 392000",
        "forwarder_port_info{interface=\"eth1\",mode=\"native\"} 1",
        "forwarder_routes{source=\"rip\"} 10000",
        "forwarder_fib_entries{kind=\"prefix\"} 10003",
        "forwarder_rip_neighbors 1",
        "forwarder_route_socket_clients 1",
        "forwarder_route_socket_routes{family=\"ipv6\"} 12",
        "forwarder_route_socket_connections_total{result=\"turned-away\"} 2",
        "forwarder_route_socket_requests_total{result=\"done\"} 1991",
        "forwarder_route_socket_lost_total 4",
        "forwarder_route_events_total{type=\"miss\"} 70",
        "forwarder_route_misses_over_limit_total 1500",
        "forwarder_route_events_not_looked_into_total 6",
        "forwarder_redirects_total{verdict=\"not-followed\"} 8",
        "forwarder_rip_refused_total{reason=\"metric-too-large\",scope=\"entry\"} 3",
    ] {
        assert!(text.lines().any(|l| l == line), "no {line} in\n{text}");
    }
}

/// What the format demands: the families' heads before their samples, each
/// family in one piece, `_total` for counters, `_info` for infos, an end mark.
#[test]
fn the_text_is_openmetrics() {
    let text = encode(&sample());
    assert!(text.ends_with("\n# EOF\n"));
    let mut seen = BTreeSet::new();
    let (mut family, mut kind) = ("", "");
    for line in text.lines().filter(|line| *line != "# EOF") {
        if let Some(head) = line.strip_prefix("# TYPE ") {
            (family, kind) = head.split_once(' ').unwrap();
            assert!(seen.insert(family), "{family} appears twice");
            continue;
        }
        if let Some(help) = line.strip_prefix("# HELP ") {
            assert!(help.starts_with(&format!("{family} ")), "{line}");
            continue;
        }
        let name = line.split(['{', ' ']).next().unwrap();
        let expected = match kind {
            "counter" => format!("{family}_total"),
            "info" => format!("{family}_info"),
            _ => family.to_owned(),
        };
        assert_eq!(name, expected, "{line}");
        line.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
    }
}

#[test]
fn labels_are_escaped() {
    let mut sample = sample();
    sample.counters[0].name = "a\"b\\c\n".into();
    let text = encode(&sample);
    assert!(text.contains("interface=\"a\\\"b\\\\c\\n\""), "{text}");
}
