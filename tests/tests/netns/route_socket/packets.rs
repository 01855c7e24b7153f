//! What happens to packets, told.

use std::net::{Ipv4Addr, UdpSocket};

use anyhow::{Context as _, ensure};
use forwarder::route_client::blocking::Client;
use forwarder::route_client::{DumpKind, Options, Route};
use forwarder_core::route_msg::RequestKind;
use forwarder_tests::bsd::number::*;
use forwarder_tests::bsd::{Message, Request, link};
use forwarder_tests::lab::{self, SHORT, wait_for};
use ipnet::IpNet;

use super::redirects::{ACCEPT, redirect};
use super::{Bed, EINVAL, ESRCH, GATEWAY, case, configured};

const NOWHERE: &str = "203.0.113.9";
const NET: &str = "203.0.113.0/24";
const EHOSTUNREACH: i32 = 113;

/// The errno of `connect(2)` on the router, or 0.
fn connect(bed: &Bed, address: &str) -> anyhow::Result<i32> {
    bed.r1.enter(|| {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        let connected = socket.connect((address, 9));
        Ok(connected.map_or_else(|error| error.raw_os_error().unwrap_or(-1), |()| 0))
    })
}

/// And nothing is cloned by it: a route stays one, whoever is sent to.
#[test]
fn route4_case_48_reject_answers_and_blackhole_does_not() {
    const SWALLOWED: &str = "198.18.0.9";
    case("48", |bed, client| {
        bed.h0.run("ip route add default via 192.0.2.1")?;
        for (prefix, flag) in [(NET, RTF_REJECT), ("198.18.0.0/15", RTF_BLACKHOLE)] {
            client.done(Request::add(prefix, GATEWAY)?.flags(flag | RTF_STATIC))?;
        }
        bed.router.wait_verdict(NOWHERE, "up", "unreachable")?;
        bed.router.wait_verdict(SWALLOWED, "drop", "blackhole")?;
        bed.r1.wait_route(NET, "unreachable")?;
        let mut reader = Client::connect(&bed.socket(), &Options::default())?;
        let before = reader.dump(DumpKind::Table, AF_INET)?;
        // Said again until it is: the kernel answers a host once a second.
        wait_for(SHORT, "an answer from the router", || {
            let ping = bed.h0.output(&format!("ping -c 1 -W 1 {NOWHERE}"))?;
            let text = String::from_utf8_lossy(&ping.stdout);
            ensure!(text.contains("From 192.0.2.1"), "{text}");
            ensure!(text.contains("Unreachable"), "{text}");
            Ok(())
        })?;
        let dropped = bed.router.counted("blackhole", || {
            let ping = bed
                .h0
                .output(&format!("ping -c 2 -i 0.2 -W 1 {SWALLOWED}"))?;
            let text = String::from_utf8_lossy(&ping.stdout);
            ensure!(text.contains("100% packet loss"), "{text}");
            ensure!(!text.contains("Unreachable"), "{text}");
            Ok(())
        })?;
        ensure!(dropped == 2, "{dropped} of 2");
        ensure!(connect(bed, NOWHERE)? == EHOSTUNREACH);
        ensure!(connect(bed, SWALLOWED)? == EINVAL, "Linux's errno for it");
        let after = reader.dump(DumpKind::Table, AF_INET)?;
        ensure!(before == after, "{before:#?}\n{after:#?}");
        Ok(())
    });
}

/// Its link-layer address is the packet's own, not a router's.
#[test]
fn route4_a_direct_route_sends_to_the_host_itself() {
    case("direct", |bed, client| {
        bed.h0.run("ip route add default via 192.0.2.1")?;
        bed.h1.run(&format!("ip addr add {NOWHERE}/32 dev eth0"))?;
        bed.h1.run("ip route add default via 198.51.100.1")?;
        let direct = Request::new(RTM_ADD)
            .prefix(NET)?
            .raw(RTA_GATEWAY, &link(bed.eth1, "", &[]))
            .flags(RTF_STATIC);
        let reply = client.done(direct)?;
        ensure!(reply.flags() & RTF_GATEWAY == 0, "{reply:?}");
        wait_for(SHORT, "an answer of the host", || {
            bed.h0.run(&format!("ping -c 1 -W 1 {NOWHERE}"))
        })?;
        let neighbours = bed.r1.ip_json(&format!("neigh show {NOWHERE} dev eth1"))?;
        let mac = neighbours[0]["lladdr"].as_str();
        ensure!(mac == Some(&bed.h1.mac("eth0")?), "{neighbours}");
        bed.router.wait_forward(NOWHERE, "eth1")?;
        let forwarded = bed.router.counted("forwarded", || {
            bed.h0
                .run(&format!("ping -c 3 -i 0.2 -W 3 {NOWHERE}"))
                .map(drop)
        })?;
        ensure!(forwarded >= 6, "{forwarded} of 6 took the fast path");
        Ok(())
    });
}

#[test]
fn route4_case_76_a_miss_is_told_while_somebody_listens() {
    case("76", |bed, client| {
        bed.h0.run("ip route add default via 192.0.2.1")?;
        client.drain()?;
        // The first may be lost to the neighbour that is not resolved yet.
        let miss = wait_for(SHORT, "a packet without a route", || {
            drop(bed.h0.output(&format!("ping -c 1 -W 1 {NOWHERE}"))?);
            client.wait("a miss", |message| message.kind() == RTM_MISS)
        })?;
        ensure!(miss.ip(RTA_DST) == Some(NOWHERE.parse()?), "{miss:?}");
        ensure!(miss.addrs() == RTA_DST, "{miss:?}");
        ensure!(miss.flags() == RTF_DONE, "{miss:?}");
        ensure!((miss.pid(), miss.errno()) == (0, 0), "{miss:?}");
        Ok(())
    });
}

#[test]
fn route4_case_77_a_lookup_of_an_xresolve_route_asks() {
    case("77", |bed, client| {
        bed.h0.run("ip route add default via 192.0.2.1")?;
        let add = Request::new(RTM_ADD)
            .prefix(NET)?
            .raw(RTA_GATEWAY, &link(bed.eth1, "", &[]))
            .flags(RTF_STATIC | RTF_XRESOLVE);
        let reply = client.done(add)?;
        ensure!(reply.flags() & RTF_XRESOLVE != 0, "{reply:?}");
        let asked = wait_for(SHORT, "a packet by the route", || {
            drop(bed.h0.output(&format!("ping -c 1 -W 1 {NOWHERE}"))?);
            client.wait("the question", |message| message.kind() == RTM_RESOLVE)
        })?;
        ensure!(asked.ip(RTA_DST) == Some(NOWHERE.parse()?), "{asked:?}");
        // Answered by whoever knows: h1 takes it.
        let mac = bed.h1.mac_bytes("eth0")?;
        let answer = Request::new(RTM_ADD)
            .destination(NOWHERE)?
            .raw(RTA_GATEWAY, &link(bed.eth1, "", &mac))
            .flags(RTF_LLDATA | RTF_HOST | RTF_STATIC);
        client.done(answer)?;
        bed.router.wait_forward(NOWHERE, "eth1")
    });
}

#[test]
fn route4_case_78_losing_is_told_of_each_route_through_the_gateway() {
    case("78", |bed, client| {
        bed.h0.run("ip route add default via 192.0.2.1")?;
        let gone = "198.51.100.99";
        for prefix in [NET, "198.18.0.0/15"] {
            client.done(Request::add(prefix, gone)?)?;
        }
        client.done(Request::add("10.0.0.0/8", GATEWAY)?)?;
        bed.router.wait_until_settled()?;
        drop(bed.h0.output(&format!("ping -c 1 -W 1 {NOWHERE}"))?);
        let mut told = Vec::new();
        while told.len() < 2 {
            let losing = client.wait("a route that is lost", |message| {
                message.kind() == RTM_LOSING
            })?;
            ensure!(
                losing.flags() == RTF_UP | RTF_GATEWAY | RTF_STATIC | RTF_DONE,
                "{losing:?}"
            );
            ensure!(losing.gateway().as_deref() == Some(gone), "{losing:?}");
            ensure!((losing.pid(), losing.errno()) == (0, 0), "{losing:?}");
            told.push(losing.prefix().context("a destination")?);
        }
        told.sort();
        ensure!(told == ["198.18.0.0/15", NET], "{told:?}");
        // Static ones stay.
        client.done(Request::get(NET)?).map(drop)
    });
}

#[test]
fn route4_case_78_losing_takes_dynamic_routes_and_leaves_static_ones() {
    configured("78-dynamic", ACCEPT, |bed, client| {
        // Nobody has this address.
        let gone = "192.0.2.99";
        client.done(Request::add("0.0.0.0/0", GATEWAY)?)?;
        client.done(Request::add("10.0.0.0/8", gone)?)?;
        redirect(bed, GATEWAY, NOWHERE, gone)?;
        client.wait("the redirect", |message| message.kind() == RTM_REDIRECT)?;
        bed.router.wait_until_settled()?;
        client.drain()?;
        drop(bed.r1.output(&format!("ping -c 1 -W 5 {NOWHERE}"))?);
        let of_interest = |message: &Message| {
            let dynamic = message.flags() & RTF_DYNAMIC != 0;
            dynamic && matches!(message.kind(), RTM_LOSING | RTM_DELETE)
        };
        let losing = client.wait("the message", of_interest)?;
        ensure!(losing.kind() == RTM_LOSING, "{losing:?}");
        ensure!(losing.ip(RTA_DST) == Some(NOWHERE.parse()?), "{losing:?}");
        let deleted = client.wait("the end of the route", of_interest)?;
        ensure!(deleted.kind() == RTM_DELETE, "{deleted:?}");
        ensure!((deleted.pid(), deleted.errno()) == (0, 0), "{deleted:?}");
        client.refused(Request::get(&format!("{NOWHERE}/32"))?, ESRCH)?;
        client.done(Request::get("10.0.0.0/8")?).map(drop)
    });
}

/// The route goes although nobody listens.
#[test]
fn route4_a_dynamic_route_does_not_outlive_its_gateway() {
    lab::test("route4-dynamic-unheard", |lab| {
        let bed = Bed::new(lab, ACCEPT)?;
        bed.r1.run(&format!("ip route add default via {GATEWAY}"))?;
        bed.router.wait_until_settled()?;
        redirect(&bed, GATEWAY, NOWHERE, "192.0.2.99")?;
        let shown = || bed.router.show(&format!("routes {NOWHERE}/32"));
        wait_for(SHORT, "the redirect's route", || {
            ensure!(shown()?[0]["source"] == "redirect");
            Ok(())
        })?;
        bed.router.wait_until_settled()?;
        drop(bed.r1.output(&format!("ping -c 1 -W 5 {NOWHERE}"))?);
        wait_for(SHORT, "the route's end", || {
            let shown = shown()?;
            ensure!(shown.as_array().is_some_and(Vec::is_empty), "{shown}");
            Ok(())
        })
    });
}

#[test]
fn route4_an_acknowledgement_can_wait_for_the_fast_path() {
    case("wait-xdp", |bed, _| {
        let options = Options {
            wait_xdp: true,
            ..Options::default()
        };
        let mut client = Client::connect(&bed.socket(), &options)?;
        for number in 0..50 {
            let prefix = format!("10.{number}.0.0/16");
            client.add(&Route::to(prefix.parse()?).via(GATEWAY.parse()?))?;
            // At once, and not in a while.
            let shown = bed.router.show(&format!("routes {prefix}"))?;
            ensure!(shown[0]["installed"]["xdp"] == true, "{shown}");
        }
        // More than the kernel is given at a time: ours follow it into the maps.
        let many: Vec<_> = (0..2000_u32)
            .map(|number| {
                let prefix = IpNet::new(Ipv4Addr::from(0x0b00_0000 + number).into(), 32)?;
                let route = Route::to(prefix).via(GATEWAY.parse()?);
                Ok(route.request(RequestKind::Add))
            })
            .collect::<anyhow::Result<_>>()?;
        for result in client.pipeline(&many)? {
            ensure!(result.is_ok(), "{result:?}");
        }
        let fib = bed.router.show("fib")?;
        let prefixes = fib["prefixes"].as_u64().unwrap_or_default();
        ensure!(prefixes >= 2050, "{fib}");
        Ok(())
    });
}
