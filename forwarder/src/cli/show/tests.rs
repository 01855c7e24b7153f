//! What people see, literally.

use std::net::IpAddr;

use super::super::table::{age, bytes, grouped};
use super::{clients, counters, events, fib, interfaces, neighbors, nexthops, rip, routes, status};
use crate::api::counters::summarize;
use crate::api::model::{Installed, Mode, RecordingSummary, RouteNexthop};
use crate::api::tests::fixtures;

#[track_caller]
fn check(actual: &str, expected: &str) {
    let expected: String = expected[1..]
        .lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect();
    assert_eq!(
        actual, expected,
        "\n--- actual\n{actual}--- expected\n{expected}"
    );
}

#[test]
fn status_at_a_glance() {
    check(
        &status::render(fixtures::status()),
        "
forwarder:  0.1.0
instance:   default, pid 4711, up 01:02:03
config:     /etc/forwarder/forwarder.toml
engine:     multibit
ports:      2 native, 1 generic, 0 without the program
routes:     3 connected, 10,000 rip; ours in the kernel 10,000; in the fast path 10,003
rip:        2 interfaces, 1 neighbor, 10,000 routes
recording:  /tmp/rip.jsonl, 8.0 MiB
generation: 42; xdp at 41
degraded:   netfilter: table inet filter, chain forward",
    );
}

#[test]
fn status_in_good_health() {
    let mut value = fixtures::status();
    value.degraded.clear();
    value.generation.xdp = 42;
    value.rip = None;
    let recording = value.recording.take().unwrap();
    let text = status::render(value.clone());
    assert!(!text.contains("recording"), "{text}");
    value.recording = Some(RecordingSummary {
        stopped: Some("cannot write: No space left on device".into()),
        ..recording
    });
    let text = status::render(value);
    assert!(
        text.contains("recording:  /tmp/rip.jsonl, 8.0 MiB, has ended: cannot write: No space"),
        "{text}"
    );
    assert!(text.contains("generation: 42, everywhere\n"), "{text}");
    assert!(text.contains("rip:        off\n"), "{text}");
    assert!(
        !text.contains("degraded") && !text.contains("netlink"),
        "{text}"
    );
}

#[test]
fn routes_of_every_kind() {
    let learnt = fixtures::route();
    let mut multipath = fixtures::route();
    multipath.prefix = "0.0.0.0/0".parse().unwrap();
    multipath.source = "static".into();
    (multipath.distance, multipath.metric) = (1, 0);
    multipath.nexthops.push(RouteNexthop {
        via: Some(IpAddr::from([203, 0, 113, 1])),
        dev: None,
        weight: 2,
        resolved: false,
    });
    let mut shadowed = fixtures::route();
    shadowed.selected = false;
    shadowed.reason = "shadowed".into();
    shadowed.installed = Installed {
        kernel: false,
        xdp: false,
    };
    shadowed.age = 300_000;
    let mut blackhole = fixtures::route();
    blackhole.prefix = "10.0.0.0/8".parse().unwrap();
    blackhole.nexthops.clear();
    blackhole.flags = vec!["blackhole".into()];
    let mut connected = fixtures::route();
    connected.source = "connected".into();
    connected.nexthops[0].via = None;
    connected.flags = vec!["linkdown".into()];
    check(
        &routes::render(&[multipath, learnt, shadowed, blackhole, connected], false),
        "
   PREFIX           SOURCE     DIST  METRIC  VIA                              DEV        AGE  KERNEL  XDP  REASON
*  0.0.0.0/0        static        1       0  192.0.2.1                        eth1  00:01:02  yes     yes  selected
                                             203.0.113.1 weight 2 (unusable)  -
*  198.51.100.0/24  rip         120       2  192.0.2.1                        eth1  00:01:02  yes     yes  selected
   198.51.100.0/24  rip         120       2  192.0.2.1                        eth1  3d11h20m  no      no   shadowed
*  10.0.0.0/8       rip         120       2  blackhole                        -     00:01:02  yes     yes  selected
*  198.51.100.0/24  connected   120       2  on link                          eth1  00:01:02  yes     yes  selected; linkdown",
    );
    assert_eq!(routes::render(&[], false), "no routes\n");
}

#[test]
fn one_address_looked_up() {
    let mut lookup = fixtures::lookup();
    check(
        &routes::render_lookup(&lookup),
        "
198.51.100.7
  rib:       198.51.100.0/24: rip via 192.0.2.1 dev eth1
  kernel:    unicast via 192.0.2.1 dev eth1
  fast path: 198.51.100.0/24: forward via 192.0.2.1 dev eth1",
    );
    lookup.rib = None;
    lookup.kernel.kind = "none".into();
    (lookup.kernel.via, lookup.kernel.dev) = (None, None);
    let lookup = crate::api::lookup::compare(lookup.address, lookup.rib, lookup.kernel, lookup.xdp);
    check(
        &routes::render_lookup(&lookup),
        "
198.51.100.7
  rib:       no route
  kernel:    no route
  fast path: 198.51.100.0/24: forward via 192.0.2.1 dev eth1
  they differ: the fast path would forward via 192.0.2.1 dev eth1, the kernel: no route",
    );
}

#[test]
fn interfaces_and_why_they_are_slow() {
    let native = fixtures::interface();
    let mut generic = fixtures::interface();
    generic.name = "veth0".into();
    generic.mode = Mode::Generic;
    generic.program = Some("plain".into());
    generic.reason = Some("veth leaves checksums unfinished".into());
    generic.hands_up = Some("netfilter".into());
    generic.carrier = false;
    let mut none = fixtures::interface();
    none.name = "lo".into();
    none.mode = Mode::None;
    none.mac = None;
    none.can_redirect = false;
    none.addresses = vec!["127.0.0.1/8".into(), "192.0.2.9/32".into()];
    check(
        &interfaces::render(&[native, generic, none]),
        "
NAME   IFINDEX  MODE           STATE        MTU  MAC                ADDRESSES                 REDIRECT  REMARK
eth1         3  native frags   up          1500  02:00:00:00:00:01  192.0.2.2/24              yes
veth0        3  generic plain  no carrier  1500  02:00:00:00:00:01  192.0.2.2/24              yes       everything goes up: netfilter; veth leaves checksums unfinished
lo           3  -              up          1500  -                  127.0.0.1/8 192.0.2.9/32  no",
    );
}

#[test]
fn clients_of_the_routing_socket() {
    check(
        &clients::render(&fixtures::clients()),
        "
ID  UID  NAME  FAMILY  MODE            UP  REQUESTS  REFUSED  LOST  WAITING
 3    0  bgp   ipv4    reliable  00:01:02     1,234        5     1  2.0 KiB
IPv4: 12 of at most 4,000,000 routes, 7 of bgp; 2 holds, 1 of routes that are gone
IPv6: 12 of at most 4,000,000 routes, 7 of bgp; 2 holds, 1 of routes that are gone
since the start: 40 connections, 2 turned away, 2,000 requests, 9 refused, 4 times something missed
events: 70 miss, 1,500 misses over the limit, 6 not looked into
ICMP redirects: 1 followed, 8 not-followed",
    );
}

#[test]
fn neighbors_and_nexthops() {
    check(
        &neighbors::render(&[fixtures::neighbor()]),
        "
ADDRESS    INTERFACE  MAC                STATE   KEPT  ADJACENCY      IDLE
192.0.2.1  eth1       02:00:00:00:00:02  usable  yes           0  00:00:03",
    );
    let mut up = fixtures::nexthop();
    up.id = 3;
    up.kind = "up".into();
    up.reason = Some("for-us".into());
    (up.via, up.dev, up.mac, up.mtu, up.adjacency) = (None, None, None, None, None);
    check(
        &nexthops::render(&[up, fixtures::nexthop()]),
        "
ID  DOES         VIA        DEV   MAC                 MTU  ADJACENCY  PREFIXES
 3  up (for-us)  -          -     -                     -          -    10,000
12  forward      192.0.2.1  eth1  02:00:00:00:00:02  1500          0    10,000",
    );
}

#[test]
fn counters_by_port_and_reason() {
    check(
        &counters::render(
            &summarize(
                &[fixtures::port_counters()],
                vec![fixtures::route_counter()],
            ),
            false,
        ),
        "
INTERFACE  MODE     RECEIVED       BYTES  FORWARDED       BYTES  UP  DROPPED
eth1       native  1,000,030  64,001,800  1,000,000  64,000,000  23        7

REASON        VERDICT      PACKETS
forwarded     forwarded  1,000,000
arp           up                 3
no-route      up                20
bad-checksum  dropped            5
punt-limited  dropped            2
tx-drop       transmit           9

ROUTE            PACKETS    BYTES
198.51.100.0/24    4,000  392,000",
    );
    let all = counters::render(&summarize(&[], Vec::new()), true);
    assert!(all.starts_with("no ports\n"), "{all}");
    assert!(all.contains("ttl-expired"), "{all}");
    assert!(counters::render(&summarize(&[], Vec::new()), false).ends_with("no packets yet\n"));
}

#[test]
fn events_with_what_was_not_told() {
    check(
        &events::render(&fixtures::events()),
        "
  AGO  INTERFACE  VERDICT  REASON    SOURCE        DESTINATION  BYTES
1.250  eth1       up       no-route  198.51.100.1  192.0.2.9       98

1,200 more were over the limit",
    );
    assert_eq!(
        events::line(&fixtures::events().events[0]),
        "eth1            up      no-route             198.51.100.1 > 192.0.2.9  98 bytes"
    );
}

#[test]
fn fib_in_numbers() {
    check(
        &fib::render(&fixtures::fib()),
        "
ENGINE               multibit
                     IPv4           IPv6
prefixes             10,003         17
host routes          4              2
own addresses        3              5
rows                 412 of 32,768  261 of 16,384
next hops            9
adjacencies          2
up for want of room  0
memory               11.7 MiB",
    );
}

#[test]
fn rip_in_its_parts() {
    check(
        &rip::interfaces(&[fixtures::rip_interface()]),
        "
INTERFACE  PROTOCOL  SENDS  ACCEPTS  COST  HORIZON  AUTH  PASSIVE  UPDATE IN   TAKES  NEIGHBORS  RECEIVED  SENT  LOST   BUFFER
eth1       rip       2      2           1  poison   md5   no        00:00:17  400 ms          1       412    98     0  8.0 MiB",
    );
    let mut slow = fixtures::rip_interface();
    slow.overcommitted = true;
    let text = rip::interfaces(&[slow]);
    assert!(text.contains("\neth1 (rip) is overcommitted: "), "{text}");
    check(
        &rip::neighbors(&[fixtures::rip_neighbor()]),
        "
NEIGHBOR   INTERFACE  VERSION     HEARD  ROUTES  BAD PACKETS  BAD ROUTES  AUTH       REFUSED
192.0.2.1  eth1             2  00:00:12  10,000            1           0  md5 key 1  auth-failed 1",
    );
    check(
        &rip::routes(&[fixtures::rip_route()]),
        "
   PREFIX           ORIGIN  METRIC  TAG  VIA        NEIGHBOR   INTERFACE   EXPIRES  SETTLES
*  198.51.100.0/24  learnt       2    0  192.0.2.1  192.0.2.1  eth1       00:02:50        -",
    );
    let mut quiet = fixtures::rip_error();
    (quiet.reason, quiet.count, quiet.last) = ("truncated".into(), 0, None);
    let rows = [quiet, fixtures::rip_error()];
    check(
        &rip::errors(&rows, false),
        "
REASON            PROTOCOL  LOST   COUNT      LAST  FROM
metric-too-large  rip       entry      3  00:00:05  192.0.2.1 on eth1",
    );
    assert!(rip::errors(&rows, true).contains("truncated"));
    assert_eq!(rip::errors(&rows[..1], false), "nothing was refused\n");
}

#[test]
fn values_are_written_for_people() {
    assert_eq!(
        [0, 59, 3600, 86_399].map(age),
        ["00:00:00", "00:00:59", "01:00:00", "23:59:59"]
    );
    assert_eq!([86_400, 400 * 86_400].map(age), ["1d00h00m", "400d00h00m"]);
    assert_eq!(
        [0, 999, 1000, 1_234_567].map(grouped),
        ["0", "999", "1,000", "1,234,567"]
    );
    assert_eq!(grouped(u64::MAX), "18,446,744,073,709,551,615");
    assert_eq!(
        [0, 1023, 1024, 1536].map(bytes),
        ["0 B", "1023 B", "1.0 KiB", "1.5 KiB"]
    );
    assert_eq!(bytes(u64::MAX), "16777215.9 TiB");
}
