//! Words in, requests and lines out.

use forwarder_core::route_msg::number::*;
use forwarder_core::route_msg::{Errno, Gateway, LinkAddr, Message, RequestKind, RouteMessage};

use super::address::{self, Kind};
use super::list::{Format, Listing};
use super::names::Names;
use super::parse::{Request, Verb, parse};
use super::print::{self, Namer};
use crate::api::model::{FibRoute, FibWay};

const NUMERIC: Namer<'static> = Namer { names: None };

fn names() -> Names {
    let hosts = "127.0.0.1 localhost\n192.0.2.254 gate gate.example # the way out\n";
    let networks = "# comment\nloopback 127.0.0.0\nlab 198.51.100\n";
    Names::parse(hosts, networks)
}

fn request(line: &str) -> Result<Request, String> {
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    match parse(&words, &names())?.verb {
        Verb::Request(request) => Ok(*request),
        other => panic!("{other:?}"),
    }
}

fn parsed(line: &str) -> Request {
    request(line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn destination(line: &str) -> (String, bool) {
    let request = parsed(line);
    (request.message.destination.to_string(), request.is_net)
}

#[test]
fn destinations_are_read_as_bsd_reads_them() {
    for (line, net, is_net) in [
        ("add 10 192.0.2.254", "0.0.0.10/32", false),
        ("add 128.32 192.0.2.254", "128.0.0.32/32", false),
        ("add -net 128.32 192.0.2.254", "128.32.0.0/16", true),
        ("add -net 10 192.0.2.254", "10.0.0.0/8", true),
        ("add 192.168.64/20 192.0.2.254", "192.168.64.0/20", true),
        ("add -net 192.0.3/24 192.0.2.254", "192.0.3.0/24", true),
        (
            "add -net 192.0.3 192.0.2.254 -netmask 255.255.255.0",
            "192.0.3.0/24",
            true,
        ),
        (
            "add 192.0.3.0 192.0.2.254 255.255.255.0",
            "192.0.3.0/24",
            true,
        ),
        ("add default gate", "0.0.0.0/0", true),
        ("-6 add default 2001:db8::1", "::/0", true),
        ("add 2001:db8:1::/48 2001:db8::1", "2001:db8:1::/48", true),
        ("add -host 203.0.113.7 gate", "203.0.113.7/32", false),
        ("add lab gate", "198.51.100.0/24", true),
        ("delete 10.0.0.0 -prefixlen 8", "10.0.0.0/8", true),
        ("add 10.0.0.0 192.0.2.254", "10.0.0.0/8", true),
        ("add -host 10.0.0.0 192.0.2.254", "10.0.0.0/32", false),
        ("add 10.5.0.0 gw 192.0.2.254", "10.5.0.0/32", false),
    ] {
        assert_eq!(destination(line), (net.to_owned(), is_net), "{line}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_with_its_reason() {
    for (line, reason) in [
        (
            "add 10.1/8 gate",
            "malformed address, bits set after mask; 10.1/8 means 10.0.0.0/8",
        ),
        (
            "add -net 10 gate -netmask 255.0.255.0",
            "bad mask: 255.0.255.0 has holes",
        ),
        ("add", "destination parameter required"),
        ("add 10/8 nowhere", "bad address: nowhere"),
        ("add 10/8 gate -mtu", "-mtu wants a value"),
        ("add 10/8 gate -mtu big", "mtu: \"big\" is no number"),
        ("add 10/8 gate -fancy 1", "bad keyword: -fancy"),
        ("add 10/8 gate -fib 3", "-fib 3: there is one table"),
        ("frobnicate", "unknown command: frobnicate"),
        ("-z add 10/8 gate", "unknown option: -z"),
        (
            "add 10/33 gate",
            "10/33: a prefix of this family has no length 33",
        ),
    ] {
        let error = request(line).expect_err(line);
        assert!(error.contains(reason), "{line}: {error}");
    }
}

#[test]
fn flags_and_metrics() {
    let request = parsed("add 10/8 gate -reject -proto1 -lock -mtu 1400 -hopcount 3");
    let flags = RTF_STATIC | RTF_GATEWAY | RTF_REJECT | RTF_PROTO1;
    assert_eq!(request.message.flags, flags);
    assert_eq!(request.message.inits, RTV_MTU | RTV_HOPCOUNT);
    assert_eq!(request.message.metrics.locks, RTV_MTU);
    assert_eq!(request.message.metrics.mtu, 1400);
    let request = parsed("change default gate -nostatic");
    assert_eq!(request.message.flags, RTF_GATEWAY);
    let request = parsed("add 10/8 -interface eth0");
    let link = LinkAddr {
        name: "eth0".into(),
        ..LinkAddr::default()
    };
    assert_eq!(request.message.gateway, Some(Gateway::Link(link)));
    assert_eq!(request.message.flags, RTF_STATIC);
}

#[test]
fn net_tools_words() {
    let request = parsed("add -net 10.0.0.0 netmask 255.0.0.0 gw 192.0.2.254 metric 20 dev eth0");
    assert!(request.net_tools);
    assert_eq!(request.message.destination.to_string(), "10.0.0.0/8");
    assert_eq!(request.message.metrics.metric, 20);
    let interface = request.message.ifp.map(|link| link.name);
    assert_eq!(interface.as_deref(), Some("eth0"));
    let request = parsed("add -host 203.0.113.7 dev eth0");
    assert!(matches!(request.message.gateway, Some(Gateway::Link(_))));
    let request = parsed("del default gw 192.0.2.254");
    assert_eq!(request.message.kind, RequestKind::Delete);
    let request = parsed("add -host 203.0.113.7 reject");
    assert_eq!(request.message.flags & RTF_REJECT, RTF_REJECT);
}

#[test]
fn lines_of_results() {
    let line = print::result("add", "10.0.0.0", true, Some("192.0.2.254"), None);
    assert_eq!(line, "add net 10.0.0.0: gateway 192.0.2.254");
    let line = print::result("delete", "10.0.0.1", false, None, Some(Errno::Esrch));
    assert_eq!(line, "delete host 10.0.0.1: not in table");
    let line = print::result("add", "default", true, Some("gate"), Some(Errno::Eexist));
    assert_eq!(
        line,
        "add net default: gateway gate: route already in table"
    );
    assert_eq!(print::words(Errno::Enetunreach), "Network is unreachable");
    assert_eq!(
        print::flushed("default", "192.0.2.254"),
        "default              192.0.2.254          done"
    );
}

fn route() -> RouteMessage {
    let mut route = RouteMessage::new(RTM_ADD);
    route.destination = Some("192.0.2.0/25".parse().expect("a prefix"));
    route.gateway = Some(Gateway::Ip([192, 0, 2, 254].into()));
    route.flags = RTF_UP | RTF_GATEWAY | RTF_DONE | RTF_STATIC;
    (route.pid, route.seq) = (46068, 42);
    route
}

#[test]
fn what_monitor_prints() {
    let told = print::told(
        &Message::Route(route()),
        200,
        "Tue Nov 18 12:00:00 2025\n",
        &NUMERIC,
    );
    let expected = "\n\
        got message of size 200 on Tue Nov 18 12:00:00 2025\n\
        \n\
        RTM_ADD: Add Route: len 200, pid: 46068, seq 42, errno 0, flags:<UP,GATEWAY,DONE,STATIC>\n\
        locks:  inits: \n\
        sockaddrs: <DST,GATEWAY,NETMASK>\n \
        192.0.2.0 192.0.2.254 255.255.255.128\n";
    assert_eq!(told, expected);
}

#[test]
fn what_get_prints() {
    let mut route = route();
    route.ifp = Some(LinkAddr {
        name: "em0".into(),
        ..LinkAddr::default()
    });
    route.metrics.mtu = 1500;
    route.metrics.locks = RTV_MTU;
    route.metrics.weight = 1;
    let shown = print::answer("192.0.2.55", &route, &NUMERIC, 0);
    let expected = concat!(
        "   route to: 192.0.2.55\n",
        "destination: 192.0.2.0\n",
        "       mask: 255.255.255.128\n",
        "    gateway: 192.0.2.254\n",
        "        fib: 0\n",
        "  interface: em0\n",
        "      flags: <UP,GATEWAY,DONE,STATIC>\n",
        " recvpipe  sendpipe  ssthresh  rtt,msec    mtu        weight    expire\n",
        "       0         0         0         0      1500L        1         0 \n",
    );
    assert_eq!(shown, expected);
}

#[test]
fn names_are_used_unless_they_are_not_wanted() {
    let names = names();
    let namer = Namer {
        names: Some(&names),
    };
    assert_eq!(namer.host([192, 0, 2, 254].into()), "gate");
    assert_eq!(NUMERIC.host([192, 0, 2, 254].into()), "192.0.2.254");
    let lab = "198.51.100.0/24".parse().expect("a prefix");
    assert_eq!(namer.destination(lab, true), "lab");
    assert_eq!(NUMERIC.destination(lab, true), "198.51.100.0");
    let kind = Kind::Host;
    let found = address::destination("gate", kind, false, None, &names);
    assert_eq!(
        found.map(|found| found.net.to_string()),
        Ok("192.0.2.254/32".into())
    );
}

fn listing(format: Format, names: Option<&Names>) -> Listing<'_> {
    Listing { format, names }
}

fn listed_names() -> Names {
    Names::parse("192.0.2.254 border\n", "link-local 169.254.0.0\n")
}

fn row(destination: &str, kind: &str, via: &[&str], dev: &str, metric: u32) -> FibRoute {
    let way = |via: &&str| FibWay {
        via: via.parse().ok(),
        dev: Some(dev.to_owned()),
    };
    FibRoute {
        destination: destination.parse().expect("a prefix"),
        kind: kind.to_owned(),
        ways: via.iter().map(way).collect(),
        metric,
    }
}

fn ipv4_rows() -> Vec<FibRoute> {
    vec![
        row("0.0.0.0/0", "unicast", &["192.0.2.254"], "d0", 0),
        row("10.0.0.0/8", "unicast", &["192.0.2.2"], "d0", 15),
        row("10.0.0.0/16", "unreachable", &[], "", 0),
        row("10.3.0.0/16", "blackhole", &[], "", 0),
        row(
            "10.4.0.0/16",
            "unicast",
            &["192.0.2.5", "192.0.2.6"],
            "d0",
            0,
        ),
        row("169.254.0.0/16", "unicast", &[""], "longinterface", 70_000),
        row("172.19.0.1/32", "unreachable", &[], "", 20),
        row("192.0.2.0/24", "unicast", &[""], "d0", 0),
        row("192.0.2.1/32", "local", &[""], "d0", 0),
        row("203.0.113.7/32", "unicast", &["192.0.2.3"], "d0", 0),
    ]
}

#[test]
fn the_listing_is_net_tools() {
    let expected = "\
Kernel IP routing table
Destination     Gateway         Genmask         Flags Metric Ref    Use Iface
0.0.0.0         192.0.2.254     0.0.0.0         UG    0      0        0 d0
10.0.0.0        -               255.255.0.0     !     0      -        0 -
10.0.0.0        192.0.2.2       255.0.0.0       UG    15     0        0 d0
10.3.0.0        0.0.0.0         255.255.0.0     U     0      0        0 *
10.4.0.0        192.0.2.5       255.255.0.0     UG    0      0        0 d0
169.254.0.0     0.0.0.0         255.255.0.0     U     70000  0        0 longinterface
172.19.0.1      -               255.255.255.255 !H    20     -        0 -
192.0.2.0       0.0.0.0         255.255.255.0   U     0      0        0 d0
203.0.113.7     192.0.2.3       255.255.255.255 UGH   0      0        0 d0
";
    assert_eq!(listing(Format::Plain, None).ipv4(&ipv4_rows()), expected);
}

#[test]
fn the_listing_has_other_columns() {
    let rows = [
        ipv4_rows()[0].clone(),
        ipv4_rows()[2].clone(),
        ipv4_rows()[5].clone(),
    ];
    let expected = "\
Kernel IP routing table
Destination     Gateway         Genmask         Flags   MSS Window  irtt Iface
0.0.0.0         192.0.2.254     0.0.0.0         UG        0 0          0 d0
10.0.0.0        -               255.255.0.0     !         - -          - -
169.254.0.0     0.0.0.0         255.255.0.0     U         0 0          0 longinterface
";
    assert_eq!(listing(Format::Extended, None).ipv4(&rows), expected);
    let expected = "\
Kernel IP routing table
Destination     Gateway         Genmask         Flags Metric Ref    Use Iface    MSS   Window irtt
0.0.0.0         192.0.2.254     0.0.0.0         UG    0      0        0 d0       0     0      0
10.0.0.0        -               255.255.0.0     !     0      -        0 -        -     -      -
169.254.0.0     0.0.0.0         255.255.0.0     U     70000  0        0 longin   0     0      0
";
    assert_eq!(listing(Format::Both, None).ipv4(&rows), expected);
}

#[test]
fn the_listing_has_names() {
    let rows = [ipv4_rows()[0].clone(), ipv4_rows()[5].clone()];
    let expected = "\
Kernel IP routing table
Destination     Gateway         Genmask         Flags Metric Ref    Use Iface
default         border          0.0.0.0         UG    0      0        0 d0
link-local      0.0.0.0         255.255.0.0     U     70000  0        0 longinterface
";
    assert_eq!(
        listing(Format::Plain, Some(&listed_names())).ipv4(&rows),
        expected
    );
}

#[test]
fn the_listing_of_ipv6_goes_from_the_leaves() {
    let rows = [
        row("::/0", "unicast", &["2001:db8::ff"], "d0", 1024),
        row("2001:db8::/32", "unicast", &["2001:db8::2"], "d0", 15),
        row("2001:db8::/64", "unicast", &[""], "d0", 256),
        row("2001:db8::1/128", "local", &[""], "d0", 0),
        row(
            "2001:db8:5::/48",
            "unicast",
            &["2001:db8::7", "2001:db8::6"],
            "d0",
            1024,
        ),
        row("2001:db8:7::/48", "blackhole", &[], "", u32::MAX),
    ];
    let expected = "\
Kernel IPv6 routing table
Destination                    Next Hop                   Flag Met Ref  Use If
2001:db8::/64                  ::                         U    256 1      0 d0
2001:db8:5::/48                2001:db8::7                UG   1024 1      0 d0
2001:db8:5::/48                2001:db8::6                UG   1024 1      0 d0
2001:db8:7::/48                ::                         !n   -1  1      0 lo
2001:db8::/32                  2001:db8::2                UG   15  1      0 d0
::/0                           2001:db8::ff               UG   1024 1      0 d0
2001:db8::1/128                ::                         Un   0   1      0 d0
";
    assert_eq!(listing(Format::Plain, None).ipv6(&rows), expected);
    let named = listing(Format::Plain, Some(&names())).ipv6(&rows[..1]);
    assert!(named.ends_with(
        "[::]/0                         2001:db8::ff               UG   1024 1      0 d0\n"
    ));
}
