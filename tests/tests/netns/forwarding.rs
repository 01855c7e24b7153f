//! Ordinary traffic through the router: what hosts notice, and that it is the
//! fast path that carries it.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use forwarder_tests::lab::traffic::{Stream, UdpEcho, exchange, transfer};
use forwarder_tests::lab::{self, Router, SHORT, Star, StarOptions, wait_for};

use crate::NATIVE;

const B: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 2), 7);
const AUTO: &str = "[dataplane]\nattach = \"auto\"\n";

/// A static route to a network behind b, beside what is connected.
const STATIC: &str = "[[static]]\nprefix = \"203.0.113.0/24\"\nvia = [\"10.0.2.2\"]\n";

fn tcp_and_udp(star: &Star, router: &Router) -> anyhow::Result<()> {
    star.warm_up(router)?;
    let forwarded = router.counted("forwarded", || {
        transfer(&star.a, &star.b, B, 10_000_000)?;
        let _echo = UdpEcho::start(&star.b, B)?;
        let good = exchange(&star.a, B, 100, 1_400)?;
        ensure!(good == 100, "{good} of 100 datagrams came back");
        Ok(())
    })?;
    // The datagrams alone are 200 packets, and TCP cannot do with fewer than
    // one for every 64 KiB.
    ensure!(
        forwarded > 350,
        "only {forwarded} packets took the fast path"
    );
    Ok(())
}

fn mode(router: &Router, port: &str) -> anyhow::Result<String> {
    let interfaces = router.show("interfaces")?;
    let list = interfaces
        .as_array()
        .context("`show interfaces --json` is no list")?;
    let found = list.iter().find(|interface| interface["name"] == port);
    let mode = found.and_then(|interface| interface["mode"].as_str());
    mode.map(str::to_owned)
        .with_context(|| format!("no mode of {port} in {interfaces}"))
}

#[test]
fn tcp_and_udp_pass_in_native_mode() {
    lab::test("forward-native", |lab| {
        let star = Star::new(lab)?;
        let router = lab.start_router(&star.r1, NATIVE)?;
        tcp_and_udp(&star, &router)?;
        let mode = mode(&router, "eth0")?;
        ensure!(mode == "native", "eth0 is attached in {mode} mode");
        Ok(())
    });
}

/// Hosts hand veth unfinished checksums; the generic hook completes them.
#[test]
fn auto_chooses_generic_mode_on_veth_and_unfinished_checksums_arrive_complete() {
    lab::test("forward-auto", |lab| {
        let star = Star::with(
            lab,
            StarOptions {
                offload: true,
                ..StarOptions::default()
            },
        )?;
        let router = lab.start_router(&star.r1, AUTO)?;
        tcp_and_udp(&star, &router)?;
        let mode = mode(&router, "eth0")?;
        ensure!(mode == "generic", "eth0 is attached in {mode} mode");
        Ok(())
    });
}

#[test]
fn ping_and_traceroute_see_one_router() {
    lab::test("forward-traceroute", |lab| {
        let star = Star::new(lab)?;
        let router = lab.start_router(&star.r1, NATIVE)?;
        star.warm_up(&router)?;
        let ping = star.a.run("ping -c 3 -i 0.2 -W 3 10.0.2.2")?;
        ensure!(ping.contains(" 0% packet loss"), "{ping}");
        ensure!(
            ping.contains("ttl=63"),
            "one hop takes one off the TTL: {ping}"
        );
        let trace = star.a.run("traceroute -n -q 1 -w 3 -m 4 10.0.2.2")?;
        let hops: Vec<_> = trace.lines().skip(1).collect();
        ensure!(hops.len() == 2, "{trace}");
        ensure!(
            hops[0].contains("10.0.1.1") && hops[1].contains("10.0.2.2"),
            "{trace}"
        );
        Ok(())
    });
}

/// RFC 1191: too large and not to be fragmented is answered with the MTU.
#[test]
fn path_mtu_is_discovered_through_a_smaller_egress() {
    lab::test("forward-pmtu", |lab| {
        let star = Star::with(
            lab,
            StarOptions {
                mtu_to_b: Some(1_300),
                ..Default::default()
            },
        )?;
        let router = lab.start_router(&star.r1, NATIVE)?;
        star.warm_up(&router)?;
        let exceeded = router.counted("mtu-exceeded", || {
            let ping = star.a.output("ping -M do -c 1 -W 2 -s 1400 10.0.2.2")?;
            let text = String::from_utf8_lossy(&ping.stdout).into_owned();
            ensure!(
                text.contains("mtu = 1300") || text.contains("mtu=1300"),
                "{text}"
            );
            Ok(())
        })?;
        ensure!(exceeded >= 1, "the packet was not handed up as too large");
        let route = star.a.run("ip route get 10.0.2.2")?;
        ensure!(
            route.contains("mtu 1300"),
            "a did not learn the path MTU: {route}"
        );
        transfer(&star.a, &star.b, B, 1_000_000)?;
        Ok(())
    });
}

#[test]
fn packets_that_may_be_fragmented_are() {
    lab::test("forward-fragment", |lab| {
        let star = Star::with(
            lab,
            StarOptions {
                mtu_to_b: Some(1_300),
                ..Default::default()
            },
        )?;
        let router = lab.start_router(&star.r1, NATIVE)?;
        star.warm_up(&router)?;
        let ping = star
            .a
            .run("ping -M dont -c 2 -i 0.2 -W 3 -s 1400 10.0.2.2")?;
        ensure!(ping.contains(" 0% packet loss"), "{ping}");
        Ok(())
    });
}

#[test]
fn a_neighbours_new_mac_address_is_followed() {
    lab::test("forward-new-mac", |lab| {
        let star = Star::new(lab)?;
        let router = lab.start_router(&star.r1, NATIVE)?;
        star.warm_up(&router)?;
        let _echo = UdpEcho::start(&star.b, B)?;
        ensure!(
            exchange(&star.a, B, 5, 100)? == 5,
            "no traffic before the change"
        );
        let mac = "02:00:00:00:0b:0b";
        star.b.run(&format!("ip link set eth0 address {mac}"))?;
        // What b's own gratuitous ARP, or its next packet, would do.
        star.r1.run(&format!(
            "ip neigh replace 10.0.2.2 lladdr {mac} dev eth1 nud reachable"
        ))?;
        wait_for(SHORT, "the adjacency with the new address", || {
            let nexthops = router.show("nexthops")?;
            ensure!(nexthops.to_string().contains(mac), "{nexthops}");
            Ok(())
        })?;
        let forwarded = router.counted("forwarded", || {
            let good = exchange(&star.a, B, 20, 100)?;
            ensure!(good == 20, "{good} of 20 datagrams came back");
            Ok(())
        })?;
        ensure!(
            forwarded >= 40,
            "only {forwarded} of 40 packets took the fast path"
        );
        Ok(())
    });
}

/// The kernel forgets routes through a link that goes down, without a word.
#[test]
fn routes_come_back_after_a_link_flap() {
    lab::test("forward-flap", |lab| {
        let star = Star::new(lab)?;
        let router = lab.start_router(&star.r1, &format!("{NATIVE}{STATIC}"))?;
        star.warm_up(&router)?;
        star.r1.wait_route("203.0.113.0/24", "proto forwarder")?;
        router.wait_forward("203.0.113.9", "eth1")?;
        star.r1.run("ip link set eth1 down")?;
        router.wait_verdict("203.0.113.9", "up", "no-route")?;
        star.r1.wait_no_route("203.0.113.0/24", "via")?;
        star.r1.run("ip link set eth1 up")?;
        star.r1.wait_route("203.0.113.0/24", "proto forwarder")?;
        star.warm_up(&router)?;
        router.wait_forward("203.0.113.9", "eth1")?;
        let _echo = UdpEcho::start(&star.b, B)?;
        let good = exchange(&star.a, B, 20, 100)?;
        ensure!(
            good == 20,
            "{good} of 20 datagrams came back after the flap"
        );
        Ok(())
    });
}

#[test]
fn traffic_does_not_notice_that_routes_are_flushed_by_hand() {
    lab::test("forward-flush", |lab| {
        let star = Star::new(lab)?;
        star.b.run("ip address add 203.0.113.1/24 dev lo")?;
        let router = lab.start_router(&star.r1, &format!("{NATIVE}{STATIC}"))?;
        star.warm_up(&router)?;
        star.r1.wait_route("203.0.113.0/24", "proto forwarder")?;
        let to = SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 1), 9);
        let stream = Stream::start(&star.a, &star.b, to, Duration::from_millis(1))?;
        let flushed = Instant::now();
        star.r1.run("ip route flush proto 210")?;
        star.r1.wait_route("203.0.113.0/24", "proto forwarder")?;
        let away = flushed.elapsed();
        stream.wait_for_more(100, SHORT)?;
        let gaps = stream.stop()?;
        let most = Duration::from_secs(1) * lab::patience();
        ensure!(away < most, "the route was away for {away:?}");
        ensure!(gaps.outage < most, "{gaps:?}");
        Ok(())
    });
}

/// What the program has seen is what it says that it did with it.
#[test]
fn every_packet_counts_under_exactly_one_reason() {
    lab::test("forward-counters", |lab| {
        let star = Star::new(lab)?;
        let router = lab.start_router(&star.r1, NATIVE)?;
        star.warm_up(&router)?;
        let _echo = UdpEcho::start(&star.b, B)?;
        exchange(&star.a, B, 50, 500)?;
        // Something for every column: no route, expired, for us.
        let _ = star.a.output("ping -c 1 -W 1 192.0.2.77")?;
        let _ = star.a.output("ping -c 1 -W 1 -t 1 10.0.2.2")?;
        let _ = star.a.output("ping -c 1 -W 1 10.0.1.1")?;
        wait_for(SHORT, "sums that agree", || {
            let counters = router.show("counters")?;
            let ports = counters["interfaces"].as_array().context("no interfaces")?;
            let number = |value: &serde_json::Value| value.as_u64().unwrap_or(u64::MAX / 8);
            for port in ports {
                let seen = number(&port["rx_packets"]);
                let done = ["forwarded_packets", "passed", "dropped"].map(|key| number(&port[key]));
                ensure!(done.iter().sum::<u64>() == seen, "{port}");
            }
            let reasons = &counters["reasons"];
            for reason in ["forwarded", "no-route", "ttl-expired", "for-us"] {
                ensure!(
                    number(&reasons[reason]) > 0,
                    "none under {reason}: {reasons}"
                );
            }
            Ok(())
        })
    });
}
