//! One value of each shape, with something in every field.

use std::collections::BTreeMap;
use std::net::IpAddr;

use forwarder_common::abi::{Counter, CounterRow};
use forwarder_common::reason::Reason;

use crate::api::counters::PortCounters;
use crate::api::model::*;

pub(crate) fn status() -> Status {
    Status {
        version: "0.1.0".into(),
        instance: "default".into(),
        pid: 4711,
        uptime: 3723,
        config: "/etc/forwarder/forwarder.toml".into(),
        engine: "multibit".into(),
        generation: Generation {
            epoch: 7,
            rib: 42,
            kernel: 42,
            xdp: 41,
            rip: 42,
            ipv6: FamilyGeneration {
                rib: 7,
                kernel: 7,
                xdp: 6,
                rip: 7,
            },
        },
        degraded: vec![Degraded {
            reason: "netfilter".into(),
            detail: "table inet filter, chain forward".into(),
        }],
        ports: PortSummary {
            native: 2,
            generic: 1,
            none: 0,
        },
        routes: RouteSummary {
            prefixes: 10_005,
            selected: BTreeMap::from([("connected".into(), 3), ("rip".into(), 10_000)]),
            kernel: 10_000,
            kernel_missing: 0,
            xdp: 10_003,
        },
        rip: Some(RipSummary {
            interfaces: 2,
            neighbors: 1,
            routes: 10_000,
            socket_drops: 0,
        }),
        recording: Some(RecordingSummary {
            file: "/tmp/rip.jsonl".into(),
            bytes: 8 << 20,
            stopped: None,
        }),
        netlink: NetlinkSummary {
            overruns: 0,
            undecodable: 0,
        },
    }
}

pub(crate) fn route() -> Route {
    Route {
        table: "main".into(),
        prefix: "198.51.100.0/24".parse().unwrap(),
        selected: true,
        source: "rip".into(),
        owner: "forwarder".into(),
        distance: 120,
        metric: 2,
        kernel_metric: None,
        tag: 0,
        age: 62,
        flags: vec![],
        reason: "selected".into(),
        nexthops: vec![RouteNexthop {
            via: Some(IpAddr::from([192, 0, 2, 1])),
            dev: Some("eth1".into()),
            weight: 1,
            resolved: true,
        }],
        installed: Installed {
            kernel: true,
            xdp: true,
        },
    }
}

pub(crate) fn lookup() -> Lookup {
    let (via, dev) = (Some(IpAddr::from([192, 0, 2, 1])), Some("eth1".to_owned()));
    crate::api::lookup::compare(
        IpAddr::from([198, 51, 100, 7]),
        Some(route()),
        KernelAnswer {
            kind: "unicast".into(),
            via,
            dev: dev.clone(),
        },
        XdpAnswer {
            verdict: "forward".into(),
            reason: "forwarded".into(),
            prefix: Some("198.51.100.0/24".parse().unwrap()),
            via,
            dev,
            ways: Vec::new(),
        },
    )
}

pub(crate) fn interface() -> Interface {
    Interface {
        name: "eth1".into(),
        ifindex: 3,
        mode: Mode::Native,
        reason: None,
        program: Some("frags".into()),
        mac: Some("02:00:00:00:00:01".into()),
        mtu: 1500,
        up: true,
        carrier: true,
        can_redirect: true,
        hands_up: None,
        hands_up_ipv6: Some("forwarding-off".into()),
        forwarding: true,
        forwarding_ipv6: false,
        reverse_path: Some("loose".into()),
        reverse_path_ipv6: Some("off".into()),
        kind: String::new(),
        addresses: vec!["192.0.2.2/24".into()],
    }
}

pub(crate) fn neighbor() -> Neighbor {
    Neighbor {
        address: IpAddr::from([192, 0, 2, 1]),
        interface: "eth1".into(),
        mac: Some("02:00:00:00:00:02".into()),
        state: "usable".into(),
        managed: true,
        adjacency: Some(0),
        idle: Some(3),
    }
}

pub(crate) fn clients() -> Clients {
    let routes = || ClientRoutes {
        routes: 12,
        max_routes: 4_000_000,
        holds: 2,
        trash: 1,
        owners: [("bgp".to_owned(), 7)].into(),
    };
    Clients {
        clients: vec![RouteClient {
            id: 3,
            uid: 0,
            name: Some("bgp".into()),
            family: "ipv4".into(),
            mode: "reliable".into(),
            seconds: 62,
            requests: 1234,
            refused: 5,
            lost: 1,
            waiting: 2048,
        }],
        ipv4: routes(),
        ipv6: routes(),
        totals: ClientTotals {
            connections: 40,
            turned_away: 2,
            requests: 2000,
            refused: 9,
            lost: 4,
            events: [("miss".to_owned(), 70)].into(),
            redirects: [("followed".to_owned(), 1), ("not-followed".to_owned(), 8)].into(),
            misses_over_limit: 1500,
            not_looked_into: 6,
        },
    }
}

pub(crate) fn nexthop() -> Nexthop {
    Nexthop {
        id: 12,
        kind: "forward".into(),
        reason: None,
        via: Some(IpAddr::from([192, 0, 2, 1])),
        dev: Some("eth1".into()),
        mac: Some("02:00:00:00:00:02".into()),
        mtu: Some(1500),
        adjacency: Some(0),
        group: None,
        prefixes: 10_000,
        groups: 0,
    }
}

pub(crate) fn port_counters() -> PortCounters {
    let mut row = CounterRow::default();
    let mut set = |reason: Reason, packets, bytes| {
        row.reasons[reason as usize] = Counter { packets, bytes };
    };
    set(Reason::Forwarded, 1_000_000, 64_000_000);
    set(Reason::NoRoute, 20, 1200);
    set(Reason::Arp, 3, 180);
    set(Reason::BadChecksum, 5, 300);
    set(Reason::PuntLimited, 2, 120);
    set(Reason::TxDrop, 9, 540);
    PortCounters {
        name: "eth1".into(),
        ifindex: 3,
        mode: Mode::Native,
        row,
    }
}

pub(crate) fn fib() -> Fib {
    Fib {
        engine: "multibit".into(),
        prefixes: 10_003,
        host_routes: 4,
        nexthops: 9,
        adjacencies: 2,
        own_addresses: 3,
        overflow: 0,
        rows_used: 412,
        rows: 32_768,
        bytes: 12_345_678,
        ipv6: FamilyFib {
            prefixes: 17,
            host_routes: 2,
            own_addresses: 5,
            rows_used: 261,
            rows: 16_384,
        },
    }
}

pub(crate) fn fib_route() -> FibRoute {
    FibRoute {
        destination: "198.51.100.0/24".parse().unwrap(),
        kind: "unicast".into(),
        ways: vec![FibWay {
            via: Some("192.0.2.254".parse().unwrap()),
            dev: Some("eth0".into()),
        }],
        metric: 15,
    }
}

pub(crate) fn rip_interface() -> RipInterface {
    RipInterface {
        protocol: "rip".into(),
        name: "eth1".into(),
        ifindex: 3,
        passive: false,
        version: 2,
        send_version: "2".into(),
        receive_version: "2".into(),
        cost: 1,
        split_horizon: "poison".into(),
        auth: Some("md5".into()),
        next_update: Some(17),
        full_update_ms: 400,
        overcommitted: false,
        neighbors: 1,
        received: 412,
        sent: 98,
        socket_drops: 0,
        receive_buffer: 8 << 20,
    }
}

pub(crate) fn rip_neighbor() -> RipNeighbor {
    RipNeighbor {
        address: IpAddr::from([192, 0, 2, 1]),
        interface: "eth1".into(),
        version: 2,
        last_seen: 12,
        routes: 10_000,
        bad_packets: 1,
        bad_routes: 0,
        refused: BTreeMap::from([("auth-failed".into(), 1)]),
        auth: Some("md5 key 1".into()),
    }
}

pub(crate) fn rip_route() -> RipRoute {
    RipRoute {
        prefix: "198.51.100.0/24".parse().unwrap(),
        origin: "learnt".into(),
        selected: true,
        metric: 2,
        tag: 0,
        via: Some(IpAddr::from([192, 0, 2, 1])),
        neighbor: Some(IpAddr::from([192, 0, 2, 1])),
        interface: Some("eth1".into()),
        expires: Some(170),
        settles: None,
    }
}

pub(crate) fn rip_error() -> RipError {
    RipError {
        protocol: "rip".into(),
        reason: "metric-too-large".into(),
        scope: "entry".into(),
        count: 3,
        last: Some(RipErrorOccurrence {
            age: 5,
            interface: "eth1".into(),
            address: IpAddr::from([192, 0, 2, 1]),
        }),
    }
}

pub(crate) fn route_counter() -> RouteCounter {
    RouteCounter {
        prefix: "198.51.100.0/24".parse().unwrap(),
        packets: 4_000,
        bytes: 392_000,
    }
}

pub(crate) fn events() -> Events {
    Events {
        newest: 7,
        lost: 1_200,
        events: vec![Event {
            sequence: 7,
            age: 1.25,
            verdict: "up".into(),
            reason: "no-route".into(),
            interface: "eth1".into(),
            source: Some(IpAddr::from([198, 51, 100, 1])),
            destination: Some(IpAddr::from([192, 0, 2, 9])),
            length: 98,
        }],
    }
}
