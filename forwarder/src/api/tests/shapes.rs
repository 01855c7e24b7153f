//! Every key of every shape. Who changes one changes a contract: say so in
//! CHANGELOG.md.

use serde::Serialize;
use serde_json::{Value, json};

use super::fixtures;
use crate::api::counters::summarize;
use crate::api::model::{Failure, RipClear, RipRequest};

fn value(shape: &impl Serialize) -> Value {
    serde_json::to_value(shape).unwrap()
}

#[test]
fn status() {
    let expected = json!({
        "version": "0.1.0",
        "instance": "default",
        "pid": 4711,
        "uptime": 3723,
        "config": "/etc/forwarder/forwarder.toml",
        "engine": "multibit",
        "generation": { "epoch": 7, "rib": 42, "kernel": 42, "xdp": 41, "rip": 42,
                        "ipv6": { "rib": 7, "kernel": 7, "xdp": 6, "rip": 7 } },
        "degraded": [{ "reason": "netfilter", "detail": "table inet filter, chain forward" }],
        "ports": { "native": 2, "generic": 1, "none": 0 },
        "routes": {
            "prefixes": 10005,
            "selected": { "connected": 3, "rip": 10000 },
            "kernel": 10000,
            "kernel_missing": 0,
            "xdp": 10003,
        },
        "rip": { "interfaces": 2, "neighbors": 1, "routes": 10000, "socket_drops": 0 },
        "recording": { "file": "/tmp/rip.jsonl", "bytes": 8388608, "stopped": null },
        "netlink": { "overruns": 0, "undecodable": 0 },
    });
    assert_eq!(value(&fixtures::status()), expected);
}

fn route_json() -> Value {
    json!({
        "table": "main",
        "prefix": "198.51.100.0/24",
        "selected": true,
        "source": "rip",
        "owner": "forwarder",
        "distance": 120,
        "metric": 2,
        "kernel_metric": null,
        "tag": 0,
        "age": 62,
        "flags": [],
        "reason": "selected",
        "nexthops": [{ "via": "192.0.2.1", "dev": "eth1", "weight": 1, "resolved": true }],
        "installed": { "kernel": true, "xdp": true },
    })
}

#[test]
fn route() {
    assert_eq!(value(&fixtures::route()), route_json());
}

#[test]
fn lookup() {
    let expected = json!({
        "address": "198.51.100.7",
        "rib": route_json(),
        "kernel": { "kind": "unicast", "via": "192.0.2.1", "dev": "eth1" },
        "xdp": {
            "verdict": "forward",
            "reason": "forwarded",
            "prefix": "198.51.100.0/24",
            "via": "192.0.2.1",
            "dev": "eth1",
            "ways": [],
        },
        "agree": true,
        "difference": null,
    });
    assert_eq!(value(&fixtures::lookup()), expected);
}

#[test]
fn interface() {
    let expected = json!({
        "name": "eth1",
        "ifindex": 3,
        "mode": "native",
        "reason": null,
        "program": "frags",
        "mac": "02:00:00:00:00:01",
        "mtu": 1500,
        "up": true,
        "carrier": true,
        "can_redirect": true,
        "hands_up": null,
        "hands_up_ipv6": "forwarding-off",
        "forwarding": true,
        "forwarding_ipv6": false,
        "reverse_path": "loose",
        "reverse_path_ipv6": "off",
        "kind": "",
        "addresses": ["192.0.2.2/24"],
    });
    assert_eq!(value(&fixtures::interface()), expected);
}

#[test]
fn neighbor() {
    let expected = json!({
        "address": "192.0.2.1",
        "interface": "eth1",
        "mac": "02:00:00:00:00:02",
        "state": "usable",
        "managed": true,
        "adjacency": 0,
        "idle": 3,
    });
    assert_eq!(value(&fixtures::neighbor()), expected);
}

#[test]
fn nexthop() {
    let expected = json!({
        "id": 12,
        "kind": "forward",
        "reason": null,
        "via": "192.0.2.1",
        "dev": "eth1",
        "mac": "02:00:00:00:00:02",
        "mtu": 1500,
        "adjacency": 0,
        "group": null,
        "prefixes": 10000,
        "groups": 0,
    });
    assert_eq!(value(&fixtures::nexthop()), expected);
}

/// Received is what the program saw: forwarded, up and dropped. What was lost at
/// the way out came in elsewhere.
#[test]
fn counters() {
    let counters = value(&summarize(
        &[fixtures::port_counters()],
        vec![fixtures::route_counter()],
    ));
    let expected = json!([{
        "name": "eth1",
        "ifindex": 3,
        "mode": "native",
        "rx_packets": 1_000_030,
        "rx_bytes": 64_001_800,
        "forwarded_packets": 1_000_000,
        "forwarded_bytes": 64_000_000,
        "passed": 23,
        "dropped": 7,
    }]);
    assert_eq!(counters["interfaces"], expected);
    let reasons = counters["reasons"].as_object().unwrap();
    assert_eq!(
        reasons.len(),
        forwarder_common::reason::Reason::ALL.len(),
        "zeros are shown too"
    );
    assert_eq!(reasons["forwarded"], 1_000_000);
    assert_eq!(reasons["no-route"], 20);
    assert_eq!(reasons["tx-drop"], 9);
    assert_eq!(reasons["ttl-expired"], 0);
    let route = json!({"prefix": "198.51.100.0/24", "packets": 4000, "bytes": 392_000});
    assert_eq!(counters["routes"], json!([route]));
    assert_eq!(counters.as_object().unwrap().len(), 3);
}

#[test]
fn events() {
    let expected = json!({
        "newest": 7,
        "lost": 1200,
        "events": [{
            "sequence": 7,
            "age": 1.25,
            "verdict": "up",
            "reason": "no-route",
            "interface": "eth1",
            "source": "198.51.100.1",
            "destination": "192.0.2.9",
            "length": 98,
        }],
    });
    assert_eq!(value(&fixtures::events()), expected);
}

#[test]
fn counters_of_several_ports_add_up() {
    let port = fixtures::port_counters();
    let counters = summarize(&[port.clone(), port], Vec::new());
    assert_eq!(counters.reasons["forwarded"], 2_000_000);
    assert_eq!(counters.interfaces.len(), 2);
}

#[test]
fn fib_route() {
    let expected = json!({
        "destination": "198.51.100.0/24",
        "kind": "unicast",
        "ways": [{"via": "192.0.2.254", "dev": "eth0"}],
        "metric": 15,
    });
    assert_eq!(value(&fixtures::fib_route()), expected);
}

#[test]
fn fib() {
    let expected = json!({
        "engine": "multibit",
        "prefixes": 10003,
        "host_routes": 4,
        "nexthops": 9,
        "adjacencies": 2,
        "own_addresses": 3,
        "overflow": 0,
        "rows_used": 412,
        "rows": 32768,
        "bytes": 12345678,
        "ipv6": {
            "prefixes": 17,
            "host_routes": 2,
            "own_addresses": 5,
            "rows_used": 261,
            "rows": 16384,
        },
    });
    assert_eq!(value(&fixtures::fib()), expected);
}

#[test]
fn rip() {
    let expected = json!({
        "protocol": "rip",
        "name": "eth1",
        "ifindex": 3,
        "passive": false,
        "version": 2,
        "send_version": "2",
        "receive_version": "2",
        "cost": 1,
        "split_horizon": "poison",
        "auth": "md5",
        "next_update": 17,
        "full_update_ms": 400,
        "overcommitted": false,
        "neighbors": 1,
        "received": 412,
        "sent": 98,
        "socket_drops": 0,
        "receive_buffer": 8388608,
    });
    assert_eq!(value(&fixtures::rip_interface()), expected);
    let expected = json!({
        "address": "192.0.2.1",
        "interface": "eth1",
        "version": 2,
        "last_seen": 12,
        "routes": 10000,
        "bad_packets": 1,
        "bad_routes": 0,
        "refused": { "auth-failed": 1 },
        "auth": "md5 key 1",
    });
    assert_eq!(value(&fixtures::rip_neighbor()), expected);
    let expected = json!({
        "prefix": "198.51.100.0/24",
        "origin": "learnt",
        "selected": true,
        "metric": 2,
        "tag": 0,
        "via": "192.0.2.1",
        "neighbor": "192.0.2.1",
        "interface": "eth1",
        "expires": 170,
        "settles": null,
    });
    assert_eq!(value(&fixtures::rip_route()), expected);
    let expected = json!({
        "protocol": "rip",
        "reason": "metric-too-large",
        "scope": "entry",
        "count": 3,
        "last": { "age": 5, "interface": "eth1", "address": "192.0.2.1" },
    });
    assert_eq!(value(&fixtures::rip_error()), expected);
}

fn keys(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                into.push(key.clone());
                keys(value, into);
            }
        }
        Value::Array(elements) => elements.iter().for_each(|element| keys(element, into)),
        _ => {}
    }
}

#[test]
fn clients() {
    let routes = json!({
        "routes": 12,
        "max_routes": 4_000_000,
        "holds": 2,
        "trash": 1,
        "owners": { "bgp": 7 },
    });
    let expected = json!({
        "clients": [{
            "id": 3,
            "uid": 0,
            "name": "bgp",
            "family": "ipv4",
            "mode": "reliable",
            "seconds": 62,
            "requests": 1234,
            "refused": 5,
            "lost": 1,
            "waiting": 2048,
        }],
        "ipv4": routes,
        "ipv6": routes,
        "totals": {
            "connections": 40,
            "turned_away": 2,
            "requests": 2000,
            "refused": 9,
            "lost": 4,
            "events": { "miss": 70 },
            "redirects": { "followed": 1, "not-followed": 8 },
            "misses_over_limit": 1500,
            "not_looked_into": 6,
        },
    });
    assert_eq!(value(&fixtures::clients()), expected);
}

#[test]
fn the_documentation_has_every_key() {
    let text = include_str!("../../../../docs/api.md");
    let (_, shapes) = text.split_once("## Shapes").unwrap();
    for (path, shape) in [
        ("status", value(&fixtures::status())),
        ("routes", value(&fixtures::route())),
        ("interfaces", value(&fixtures::interface())),
        ("neighbors", value(&fixtures::neighbor())),
        ("clients", value(&fixtures::clients())),
        ("nexthops", value(&fixtures::nexthop())),
        (
            "counters",
            value(
                &summarize(
                    &[fixtures::port_counters()],
                    vec![fixtures::route_counter()],
                )
                .interfaces,
            ),
        ),
        ("fib", value(&fixtures::fib())),
        ("fib/routes", value(&fixtures::fib_route())),
        ("rip/interfaces", value(&fixtures::rip_interface())),
        ("rip/neighbors", value(&fixtures::rip_neighbor())),
        ("rip/routes", value(&fixtures::rip_route())),
        ("rip/errors", value(&fixtures::rip_error())),
    ] {
        let (_, section) = shapes.split_once(&format!("\n`/v1/{path}`")).unwrap();
        let section = section.split("\n`/v1/").next().unwrap();
        let mut names = Vec::new();
        keys(&shape, &mut names);
        for name in names {
            assert!(section.contains(&format!("\"{name}\"")), "{name} of {path}");
        }
    }
}

#[test]
fn requests() {
    let address = std::net::IpAddr::from([192, 0, 2, 1]);
    let neighbor = RipClear::Neighbor { address };
    assert_eq!(
        value(&neighbor),
        json!({ "clear": "neighbor", "address": "192.0.2.1" })
    );
    assert_eq!(value(&RipClear::Routes), json!({ "clear": "routes" }));
    assert_eq!(value(&RipClear::Counters), json!({ "clear": "counters" }));
    let request = RipRequest {
        interface: "eth1".into(),
    };
    assert_eq!(value(&request), json!({ "interface": "eth1" }));
    let failure = Failure {
        error: "x".into(),
        hint: None,
    };
    assert_eq!(value(&failure), json!({ "error": "x", "hint": null }));
}
