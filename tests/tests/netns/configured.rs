//! What the operator configured, in the kernel or in the file, is not bypassed.

use std::net::{Ipv4Addr, SocketAddrV4};

use anyhow::ensure;
use forwarder_tests::lab::traffic::{UdpEcho, exchange};
use forwarder_tests::lab::{self, Lab, Router, SHORT, Star, wait_for};

use crate::NATIVE;

const B: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 2), 7);

fn ready(lab: &Lab, config: &str) -> anyhow::Result<(Star, Router)> {
    let star = Star::new(lab)?;
    let router = lab.start_router(&star.r1, config)?;
    star.warm_up(&router)?;
    Ok((star, router))
}

fn ping(star: &Star, to: &str) -> anyhow::Result<bool> {
    Ok(star
        .a
        .output(&format!("ping -c 1 -W 1 {to}"))?
        .status
        .success())
}

const DROP_UDP: &str = "table ip filter {
    chain forward { type filter hook forward priority 0; udp dport 7 drop; }
}
";

const DROP_LOCAL_TCP: &str = "table ip local {
    chain input { type filter hook input priority 0; tcp dport 1 drop; }
}
";

#[test]
fn a_netfilter_rule_is_obeyed_as_soon_as_it_is_there() {
    lab::test("configured-netfilter", |lab| {
        let (star, router) = ready(lab, NATIVE)?;
        let _echo = UdpEcho::start(&star.b, B)?;
        ensure!(
            exchange(&star.a, B, 5, 100)? == 5,
            "no traffic before the rule"
        );
        star.r1.run_with_input("nft -f -", DROP_UDP)?;
        router.wait_degraded("netfilter", true)?;
        let handed_up = router.counted("netfilter", || {
            ensure!(exchange(&star.a, B, 1, 100)? == 0, "the rule was bypassed");
            ensure!(
                ping(&star, "10.0.2.2")?,
                "what the rule allows does not pass"
            );
            Ok(())
        })?;
        ensure!(
            handed_up >= 3,
            "{handed_up} packets were counted as netfilter"
        );
        star.r1.run("nft delete table ip filter")?;
        router.wait_degraded("netfilter", false)?;
        let forwarded = router.counted("forwarded", || {
            ensure!(
                exchange(&star.a, B, 10, 100)? == 10,
                "no traffic after the rule"
            );
            Ok(())
        })?;
        ensure!(
            forwarded >= 20,
            "only {forwarded} of 20 packets took the fast path again"
        );
        Ok(())
    });
}

#[test]
fn a_netfilter_rule_that_is_there_before_the_daemon_is_obeyed() {
    lab::test("configured-netfilter-before", |lab| {
        let star = Star::new(lab)?;
        star.r1.run_with_input("nft -f -", DROP_UDP)?;
        let router = lab.start_router(&star.r1, NATIVE)?;
        router.wait_degraded("netfilter", true)?;
        let _echo = UdpEcho::start(&star.b, B)?;
        ensure!(
            ping(&star, "10.0.2.2")?,
            "what the rule allows does not pass"
        );
        ensure!(exchange(&star.a, B, 1, 100)? == 0, "the rule was bypassed");
        Ok(())
    });
}

#[test]
fn netfilter_is_bypassed_when_the_operator_says_so() {
    lab::test("configured-bypass", |lab| {
        let (star, router) = ready(lab, &format!("{NATIVE}bypass = [\"netfilter\"]\n"))?;
        star.r1.run_with_input("nft -f -", DROP_UDP)?;
        let _echo = UdpEcho::start(&star.b, B)?;
        ensure!(
            exchange(&star.a, B, 10, 100)? == 10,
            "the rule was not bypassed"
        );
        router.wait_degraded("netfilter", false)
    });
}

/// An empty table, or a rule for the router's own traffic, concerns nobody else.
#[test]
fn netfilter_rules_for_local_traffic_do_not_slow_forwarding() {
    lab::test("configured-netfilter-local", |lab| {
        let (star, router) = ready(lab, NATIVE)?;
        star.r1.run_with_input("nft -f -", DROP_LOCAL_TCP)?;
        // Something that is followed in the same order of events.
        star.r1.run("ip route add 198.51.100.0/24 via 10.0.2.2")?;
        router.wait_forward("198.51.100.1", "eth1")?;
        router.wait_degraded("netfilter", false)
    });
}

#[test]
fn a_policy_rule_sends_everything_through_the_kernel() {
    lab::test("configured-rules", |lab| {
        let (star, router) = ready(lab, NATIVE)?;
        star.r1
            .run("ip route add 10.0.2.0/24 via 10.0.3.2 table 100")?;
        star.r1
            .run("ip rule add from 10.0.1.2 to 10.0.2.99 table 100")?;
        router.wait_degraded("rules", true)?;
        let handed_up = router.counted("rules", || {
            ensure!(ping(&star, "10.0.2.2")?, "the kernel does not forward");
            Ok(())
        })?;
        ensure!(handed_up >= 2, "{handed_up} packets were counted as rules");
        star.r1
            .run("ip rule del from 10.0.1.2 to 10.0.2.99 table 100")?;
        router.wait_degraded("rules", false)?;
        router.wait_forward("10.0.2.2", "eth1")
    });
}

#[test]
fn a_port_with_forwarding_off_forwards_nothing() {
    lab::test("configured-forwarding-off", |lab| {
        let (star, router) = ready(lab, NATIVE)?;
        ensure!(ping(&star, "10.0.2.2")?, "no traffic before");
        star.r1.sysctl("net/ipv4/conf/eth0/forwarding", "0")?;
        wait_for(SHORT, "packets counted as forwarding-off", || {
            let counted = router.counted("forwarding-off", || ping(&star, "10.0.2.2").map(drop))?;
            ensure!(counted > 0, "none");
            Ok(())
        })?;
        ensure!(!ping(&star, "10.0.2.2")?, "forwarding = 0 was bypassed");
        star.r1.sysctl("net/ipv4/conf/eth0/forwarding", "1")?;
        wait_for(SHORT, "the ping to pass again", || {
            ensure!(ping(&star, "10.0.2.2")?, "it does not");
            Ok(())
        })
    });
}

#[test]
fn static_routes_of_each_type_do_what_they_say() {
    lab::test("configured-static-types", |lab| {
        let config = format!(
            "{NATIVE}
[[static]]
prefix = \"198.51.100.0/24\"
type = \"blackhole\"
[[static]]
prefix = \"203.0.113.0/24\"
type = \"unreachable\"
[[static]]
prefix = \"192.0.2.0/24\"
type = \"prohibit\"
"
        );
        let (star, router) = ready(lab, &config)?;
        router.wait_verdict("198.51.100.1", "drop", "blackhole")?;
        router.wait_verdict("203.0.113.1", "up", "unreachable")?;
        router.wait_verdict("192.0.2.1", "up", "unreachable")?;
        let kernel = star.r1.run("ip route show proto 210")?;
        for line in [
            "blackhole 198.51.100.0/24",
            "unreachable 203.0.113.0/24",
            "prohibit 192.0.2.0/24",
        ] {
            ensure!(kernel.contains(line), "{line} is missing in {kernel}");
        }
        let dropped = router.counted("blackhole", || {
            ensure!(!ping(&star, "198.51.100.1")?, "a blackhole answered");
            Ok(())
        })?;
        ensure!(dropped >= 1, "the blackhole counted nothing");
        let refused = star.a.output("ping -c 1 -W 2 203.0.113.1")?;
        let text = String::from_utf8_lossy(&refused.stdout).into_owned();
        ensure!(text.contains("Host Unreachable"), "{text}");
        let prohibited = star.a.output("ping -c 1 -W 2 192.0.2.1")?;
        let text = String::from_utf8_lossy(&prohibited.stdout).into_owned();
        ensure!(text.contains("Packet filtered"), "{text}");
        Ok(())
    });
}

#[test]
fn a_static_route_waits_for_its_next_hop() {
    lab::test("configured-static-waits", |lab| {
        let star = Star::new(lab)?;
        let config =
            format!("{NATIVE}[[static]]\nprefix = \"203.0.113.0/24\"\nvia = [\"10.0.9.2\"]\n");
        let router = lab.start_router(&star.r1, &config)?;
        router.wait_verdict("203.0.113.1", "up", "no-route")?;
        ensure!(
            star.r1.own_routes()? == 0,
            "a route without a next hop was exported"
        );
        star.r1.run("ip address add 10.0.9.1/24 dev eth1")?;
        star.r1.wait_route("203.0.113.0/24", "proto forwarder")?;
        star.b.run("ip address add 10.0.9.2/24 dev eth0")?;
        star.r1.run("ping -c 1 -W 3 10.0.9.2")?;
        router.wait_forward("203.0.113.1", "eth1")
    });
}

/// A static route of last resort gives way to any other source, in the kernel's
/// table too, and comes back.
#[test]
fn a_floating_static_stands_in_for_a_foreign_route() {
    lab::test("configured-floating", |lab| {
        let star = Star::new(lab)?;
        let floating =
            "[[static]]\nprefix = \"203.0.113.0/24\"\nvia = [\"10.0.2.2\"]\ndistance = 200\n";
        let router = lab.start_router(&star.r1, &format!("{NATIVE}{floating}"))?;
        star.warm_up(&router)?;
        router.wait_forward("203.0.113.1", "eth1")?;
        star.r1
            .run("ip route add 203.0.113.0/24 via 10.0.3.2 proto bird metric 32")?;
        router.wait_forward("203.0.113.1", "eth2")?;
        star.r1.wait_no_route("203.0.113.0/24", "proto forwarder")?;
        star.r1.run("ip route del 203.0.113.0/24 proto bird")?;
        router.wait_forward("203.0.113.1", "eth1")?;
        star.r1.wait_route("203.0.113.0/24", "proto forwarder")
    });
}
