use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use forwarder_common::reason::PuntClass;

use super::good;
use crate::config::{
    Attach, Bypass, Config, Engine, Group, KeySource, Redirects, Redistribute, RedistributeSource,
    RouteSocket, SplitHorizon, StaticNexthop, StaticTarget,
};
use crate::interface::ReversePath;
use crate::rip::{AuthLength, AuthType, ReceiveVersion, Secret, SendVersion, UnixTime};
use crate::route::{Distance, Source};

#[test]
fn an_empty_file_is_the_default() {
    assert_eq!(good(""), Config::default());
}

#[test]
fn dataplane_keys_are_read() {
    let config = good(
        r#"
        [dataplane]
        engine = "lpm-trie"
        ipv4-rows = 4096
        attach = "native"
        interfaces = ["eth*", "r1-?"]
        bypass = ["netfilter", "tc"]
        neighbour-idle = "2m 30s"
        [dataplane.punt]
        no-route = 7
        own = 0
        "#,
    );
    let dataplane = config.dataplane;
    assert_eq!(dataplane.engine, Engine::LpmTrie);
    assert_eq!(dataplane.ipv4_rows, 4096);
    assert_eq!(dataplane.attach, Attach::Native);
    assert_eq!(dataplane.chooses("r1-a"), Some(true));
    assert_eq!(dataplane.chooses("lo"), Some(false));
    assert_eq!(
        Vec::from_iter(dataplane.bypass),
        [Bypass::Netfilter, Bypass::Tc]
    );
    assert_eq!(dataplane.neighbour_idle, Duration::from_secs(150));
    assert_eq!(dataplane.punt.limit(PuntClass::NoRoute), 7);
    assert_eq!(dataplane.punt.limit(PuntClass::Own), 0);
    assert_eq!(dataplane.punt.limit(PuntClass::Link), 20_000);
}

#[test]
fn the_first_table_that_matches_a_port_counts() {
    let config = good(
        r#"
        [[dataplane.interface]]
        name = "eth1"
        reverse-path = "strict"
        [[dataplane.interface]]
        name = "eth2"
        [[dataplane.interface]]
        name = "eth*"
        reverse-path = "loose"
        "#,
    );
    let check = |name| config.dataplane.reverse_path(name);
    assert_eq!(check("eth1"), Some(ReversePath::Strict));
    assert_eq!(check("eth2"), None);
    assert_eq!(check("eth3"), Some(ReversePath::Loose));
    assert_eq!(check("wan0"), None);
}

#[test]
fn routes_are_counted_by_either_table() {
    let config = good(
        r#"
        [dataplane]
        count = ["198.51.100.0/24", "::/0"]
        [[static]]
        prefix = "203.0.113.0/24"
        type = "blackhole"
        count = true
        [[static]]
        prefix = "192.0.2.0/24"
        type = "blackhole"
        "#,
    );
    let counted: Vec<String> = config.counted().iter().map(ToString::to_string).collect();
    assert_eq!(counted, ["198.51.100.0/24", "203.0.113.0/24", "::/0"]);
}

#[test]
fn without_globs_the_built_in_choice_of_ports_applies() {
    assert_eq!(Config::default().dataplane.chooses("eth0"), None);
}

#[test]
fn each_punt_class_has_the_key_that_the_program_names() {
    for (class, key) in PuntClass::ALL {
        let config = good(&format!("[dataplane.punt]\n{key} = 4242\n"));
        assert_eq!(config.dataplane.punt.limit(*class), 4242, "{key}");
    }
}

#[test]
fn distances_go_by_the_kernel_protocol_number() {
    let distances = good("[distances]\nbgp = 30\nother = 160\n").distances;
    for (source, distance) in [
        (Source::Connected, 0),
        (Source::Static, 1),
        (Source::Rip, 120),
        (Source::Kernel(2), 0),
        (Source::Kernel(3), 1),
        (Source::Kernel(4), 1),
        (Source::Kernel(9), 200),
        (Source::Kernel(11), 160),
        (Source::Kernel(12), 160),
        (Source::Kernel(16), 200),
        (Source::Kernel(42), 100),
        (Source::Kernel(186), 30),
        (Source::Kernel(187), 115),
        (Source::Kernel(188), 110),
        (Source::Kernel(189), 120),
        (Source::Kernel(192), 90),
        (Source::Kernel(250), 160),
    ] {
        assert_eq!(distances.of(source), Distance(distance), "{source}");
    }
}

fn via(address: [u8; 4]) -> StaticNexthop {
    StaticNexthop {
        via: Some(Ipv4Addr::from(address).into()),
        dev: None,
        weight: 1,
        onlink: false,
    }
}

#[test]
fn static_next_hops_are_addresses_or_tables() {
    let config = good(
        r#"
        [[static]]
        prefix = "198.51.100.0/24"
        via = ["192.0.2.1", { via = "192.0.2.2", dev = "eth1", weight = 3 }, { dev = "ppp0" }]
        distance = 200
        metric = 4
        tag = 7
        "#,
    );
    let [route] = &config.statics[..] else {
        panic!("{config:?}")
    };
    assert_eq!(route.prefix, "198.51.100.0/24".parse().unwrap());
    assert_eq!(
        (route.distance, route.metric, route.tag),
        (Distance(200), 4, 7)
    );
    let second = StaticNexthop {
        dev: Some("eth1".into()),
        weight: 3,
        ..via([192, 0, 2, 2])
    };
    let third = StaticNexthop {
        via: None,
        dev: Some("ppp0".into()),
        weight: 1,
        onlink: false,
    };
    let expected = vec![via([192, 0, 2, 1]), second, third];
    assert_eq!(route.target, StaticTarget::Nexthops(expected));
}

#[test]
fn the_route_s_dev_is_that_of_each_next_hop_without_one() {
    let config = good(
        r#"
        [distances]
        static = 5
        [[static]]
        prefix = "0.0.0.0/0"
        via = ["203.0.113.1", { via = "203.0.113.2", dev = "eth2" }]
        dev = "eth1"
        onlink = true
        "#,
    );
    assert_eq!(
        config.statics[0].distance,
        Distance(5),
        "the default of [distances]"
    );
    let StaticTarget::Nexthops(nexthops) = &config.statics[0].target else {
        panic!()
    };
    let devs: Vec<_> = nexthops
        .iter()
        .map(|hop| hop.dev.as_deref().unwrap())
        .collect();
    assert_eq!(devs, ["eth1", "eth2"]);
    assert!(nexthops.iter().all(|hop| hop.onlink));
}

#[test]
fn a_static_route_can_end_here_or_be_on_a_link() {
    let config = good(
        r#"
        static = [
          { prefix = "10.0.0.0/8", type = "blackhole" },
          { prefix = "10.1.0.0/16", type = "unreachable" },
          { prefix = "10.2.0.0/16", type = "prohibit" },
          { prefix = "10.3.0.0/16", dev = "eth1" },
          { prefix = "10.4.0.0/16", type = "unicast", via = ["192.0.2.1"] },
        ]
        "#,
    );
    let targets: Vec<_> = config
        .statics
        .iter()
        .map(|route| route.target.clone())
        .collect();
    let link = StaticNexthop {
        via: None,
        dev: Some("eth1".into()),
        weight: 1,
        onlink: false,
    };
    assert_eq!(
        targets,
        [
            StaticTarget::Blackhole,
            StaticTarget::Unreachable,
            StaticTarget::Prohibit,
            StaticTarget::Nexthops(vec![link]),
            StaticTarget::Nexthops(vec![via([192, 0, 2, 1])]),
        ]
    );
}

#[test]
fn rip_keys_are_read() {
    let config = good(
        r#"
        [rip]
        version = "2"
        interfaces = ["eth*"]
        redistribute = ["connected", { source = "static", metric = 2, tag = 7 }]
        default-originate = true
        update = "5s"
        timeout = "30s"
        garbage = "20s"
        max-routes = 1000
        ecmp = 4
        settle = "10s"
        [[rip.interface]]
        name = "eth1"
        ttl-security = true
        max-neighbors = 3
        max-neighbor-routes = 100
        pace = 5
        passive = true
        split-horizon = "off"
        cost = 3
        neighbors = ["192.0.2.9"]
        [[rip.interface]]
        name = "tun0"
        "#,
    );
    let rip = config.rip.unwrap();
    assert_eq!(
        rip.redistribute,
        [
            Redistribute {
                source: RedistributeSource::Connected,
                metric: 1,
                tag: None
            },
            Redistribute {
                source: RedistributeSource::Static,
                metric: 2,
                tag: Some(7)
            },
        ]
    );
    assert!(rip.default_originate);
    let timers = [rip.update, rip.timeout, rip.garbage].map(|timer| timer.as_secs());
    assert_eq!(timers, [5, 30, 20]);

    assert_eq!((rip.max_routes, rip.ecmp), (1000, 4));
    assert_eq!(rip.settle.as_secs(), 10);
    let eth1 = rip.settings("eth1").unwrap();
    assert!(eth1.passive && eth1.ttl_security);
    assert_eq!(eth1.pace, 5);
    assert_eq!((eth1.max_neighbors, eth1.max_neighbor_routes), (3, 100));
    assert_eq!((eth1.split_horizon, eth1.cost), (SplitHorizon::Off, 3));
    assert_eq!(eth1.neighbors, [IpAddr::from([192, 0, 2, 9])]);
    let eth2 = rip.settings("eth2").unwrap();
    assert_eq!(
        (eth2.passive, eth2.split_horizon, eth2.cost),
        (false, SplitHorizon::Poison, 1)
    );
    assert!(
        rip.settings("tun0").is_some(),
        "a table of its own puts an interface into RIP"
    );
    assert!(rip.settings("lo").is_none());
}

#[test]
fn rip_versions_follow_the_table_s_and_each_other() {
    let config = good(
        r#"
        [rip]
        version = "compat"
        interfaces = ["*"]
        [[rip.interface]]
        name = "old"
        send-version = "1"
        [[rip.interface]]
        name = "new"
        send-version = "2"
        [[rip.interface]]
        name = "mixed"
        receive-version = "2"
        [[rip.interface]]
        name = "signed"
        auth = { type = "md5", keys = [{ id = 1, key = "k" }] }
        "#,
    );
    let rip = config.rip.unwrap();
    let versions = |name: &str| {
        let settings = rip.settings(name).unwrap();
        (settings.send_version, settings.receive_version)
    };
    let compatible = SendVersion::Compatible;
    assert_eq!(versions("other"), (compatible, ReceiveVersion::Both));
    assert_eq!(versions("old"), (SendVersion::V1, ReceiveVersion::V1));
    assert_eq!(versions("new"), (SendVersion::V2, ReceiveVersion::V2));
    assert_eq!(versions("mixed"), (compatible, ReceiveVersion::V2));
    assert_eq!(versions("signed"), (compatible, ReceiveVersion::V2));
}

#[test]
fn without_the_table_rip_is_off() {
    assert_eq!(good("").rip, None);
}

#[test]
fn rfc2453_3_8_timers_are_the_defaults() {
    let rip = good("[rip]\ninterfaces = [\"*\"]\n").rip.unwrap();
    assert_eq!(
        [rip.update, rip.timeout, rip.garbage].map(|t| t.as_secs()),
        [30, 180, 120]
    );
}

#[test]
fn the_routing_socket_has_limits_and_a_group() {
    let config = good(
        r#"
        [route-socket]
        enabled = false
        group = "netdev"
        classic-copies = true
        redirects = "accept"
        max-connections = 3
        queue = 65536
        requests-per-second = 0
        max-routes = 7
        [distances]
        socket = 60
        [rip]
        interfaces = ["*"]
        redistribute = [{ source = "socket", metric = 4 }]
        "#,
    );
    let wanted = RouteSocket {
        enabled: false,
        group: Some(Group::Name("netdev".into())),
        classic_copies: true,
        redirects: Redirects::Accept,
        max_connections: 3,
        queue: 65_536,
        requests_per_second: 0,
        max_routes: 7,
    };
    assert_eq!(config.route_socket, wanted);
    assert_eq!(config.distances.of(Source::Socket), Distance(60));
    let rule = config.rip.unwrap().redistribute[0];
    assert_eq!((rule.source, rule.metric), (RedistributeSource::Socket, 4));
    let number = good("[route-socket]\ngroup = \"108\"\n").route_socket;
    assert_eq!(number.group, Some(Group::Id(108)));
}

#[test]
fn rip_authentication_as_typed() {
    let config = good(
        r#"
        [[rip.interface]]
        name = "eth1"
        auth = { type = "hmac-sha-256", auth-length = "old-ripd", keys = [
            { id = 1, key = "rosebud", send-until = "2030-01-01T00:00:00Z" },
            { id = 255, key-file = "/etc/key", send-from = "1970-01-01T00:01:00Z", accept-from = "1970-01-01T00:00:30Z" },
        ] }
        [[rip.interface]]
        name = "eth2"
        auth = { type = "text", keys = [{ key = "rosebud" }] }
        "#,
    );
    let rip = config.rip.unwrap();
    let auth = rip.settings("eth1").unwrap().auth.unwrap();
    assert_eq!(
        (auth.kind, auth.length),
        (AuthType::HmacSha256, AuthLength::OldRipd)
    );
    let [first, second] = &auth.keys[..] else {
        panic!("{auth:?}")
    };
    assert_eq!((first.id, second.id), (1, 255));
    assert_eq!(first.source, KeySource::Here(Secret::new("rosebud")));
    assert_eq!(second.source, KeySource::File("/etc/key".into()));
    assert_eq!(
        (first.send.from, first.send.until),
        (None, Some(UnixTime(1_893_456_000)))
    );
    assert_eq!(
        (second.send.from, second.accept.from),
        (Some(UnixTime(60)), Some(UnixTime(30)))
    );
    let text = rip.settings("eth2").unwrap().auth.unwrap();
    assert_eq!((text.kind, text.keys[0].id), (AuthType::Text, 1));
    assert_eq!(rip.settings("eth3"), None);
}

#[test]
fn ripng_has_its_own_table() {
    let config = good(
        r#"
        [ripng]
        interfaces = ["eth*"]
        redistribute = ["static"]
        update = "5s"
        timeout = "30s"
        [[ripng.interface]]
        name = "eth1"
        passive = true
        cost = 3
        "#,
    );
    assert_eq!(config.rip, None);
    let ripng = config.ripng.unwrap();
    assert_eq!((ripng.update.as_secs(), ripng.timeout.as_secs()), (5, 30));
    assert_eq!(ripng.redistribute[0].source, RedistributeSource::Static);
    let eth1 = ripng.settings("eth1").unwrap();
    assert_eq!((eth1.passive, eth1.cost, eth1.auth), (true, 3, None));
    assert!(!ripng.settings("eth2").unwrap().passive);
}
