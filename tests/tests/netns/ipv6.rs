//! IPv6 through the whole daemon: the kernel's routes, ours, neighbours and
//! links, and that it is the fast path that carries the packets.

use anyhow::ensure;
use forwarder_tests::lab::{self, Router, SHORT, Star, StarOptions, wait_for};

use crate::NATIVE;

/// A static route to a network behind b.
const STATIC: &str = "[[static]]\nprefix = \"2001:db8:aa::/48\"\nvia = [\"2001:db8:2::2\"]\n";

fn start(lab: &lab::Lab, config: &str) -> anyhow::Result<(Star, Router)> {
    let star = Star::new(lab)?;
    star.add_ipv6()?;
    let router = lab.start_router(&star.r1, config)?;
    Ok((star, router))
}

/// Pings that answer; each is two packets for the router.
fn ping(star: &Star, to: &str, count: u32) -> anyhow::Result<String> {
    let text = star
        .a
        .run(&format!("ping -6 -c {count} -i 0.05 -W 3 {to}"))?;
    ensure!(text.contains(" 0% packet loss"), "{text}");
    Ok(text)
}

/// Makes a and b known to the router, and waits until it forwards to both.
fn warm_up(star: &Star, router: &Router) -> anyhow::Result<()> {
    ping(star, "2001:db8:2::2", 1)?;
    router.wait_forward("2001:db8:2::2", "eth1")?;
    router.wait_forward("2001:db8:1::2", "eth0")
}

#[test]
fn ipv6_between_connected_networks_takes_the_fast_path() {
    lab::test("ipv6-connected", |lab| {
        let (star, router) = start(lab, NATIVE)?;
        warm_up(&star, &router)?;
        let forwarded = router.counted("forwarded", || {
            let text = ping(&star, "2001:db8:2::2", 20)?;
            ensure!(text.contains("ttl=63"), "one hop less: {text}");
            Ok(())
        })?;
        ensure!(forwarded >= 40, "{forwarded} of 40 took the fast path");
        Ok(())
    });
}

#[test]
fn static_and_foreign_ipv6_routes_are_followed_and_ours_come_back() {
    lab::test("ipv6-routes", |lab| {
        let (star, router) = start(lab, &format!("{NATIVE}{STATIC}"))?;
        warm_up(&star, &router)?;
        star.r1.wait_route("2001:db8:aa::/48", "metric 15")?;
        router.wait_forward("2001:db8:aa::7", "eth1")?;

        // By a link-local router, as routing protocols of IPv6 have it.
        star.b.run("ip -6 addr add fe80::b/64 dev eth0 nodad")?;
        star.r1
            .run("ip -6 route add 2001:db8:bb::/48 via fe80::b dev eth1 metric 40")?;
        router.wait_forward("2001:db8:bb::7", "eth1")?;
        star.r1.run("ip -6 route del 2001:db8:bb::/48")?;
        router.wait_verdict("2001:db8:bb::7", "up", "no-route")?;

        star.r1.run("ip -6 route flush proto 210")?;
        star.r1.wait_route("2001:db8:aa::/48", "metric 15")?;
        router.wait_forward("2001:db8:aa::7", "eth1")?;

        star.r1.run("ip -6 route add blackhole 2001:db8:cc::/48")?;
        router.wait_verdict("2001:db8:cc::1", "drop", "blackhole")?;
        star.r1
            .run("ip -6 route add unreachable 2001:db8:dd::/48")?;
        router.wait_verdict("2001:db8:dd::1", "up", "unreachable")?;
        router.stop()?;
        star.r1.wait_no_route("2001:db8:aa::/48", "metric 15")
    });
}

#[test]
fn an_ipv6_link_that_goes_down_takes_its_routes_and_brings_them_back() {
    lab::test("ipv6-link", |lab| {
        let (star, router) = start(lab, &format!("{NATIVE}{STATIC}"))?;
        warm_up(&star, &router)?;
        router.wait_forward("2001:db8:aa::7", "eth1")?;
        star.r1
            .sysctl("net/ipv6/conf/eth1/keep_addr_on_down", "1")?;
        star.r1.run("ip link set eth1 down")?;
        router.wait_verdict("2001:db8:aa::7", "up", "no-route")?;
        star.r1.run("ip link set eth1 up")?;
        star.r1.wait_route("2001:db8:aa::/48", "metric 15")?;
        // b's end has carrier again a little later.
        wait_for(SHORT, "b to answer again", || {
            ping(&star, "2001:db8:2::2", 1)
        })?;
        router.wait_forward("2001:db8:aa::7", "eth1")
    });
}

#[test]
fn rfc8201_the_kernel_answers_packet_too_big() {
    lab::test("ipv6-pmtu", |lab| {
        let star = Star::with(
            lab,
            StarOptions {
                mtu_to_b: Some(1_300),
                ..StarOptions::default()
            },
        )?;
        star.add_ipv6()?;
        let router = lab.start_router(&star.r1, NATIVE)?;
        warm_up(&star, &router)?;
        let exceeded = router.counted("mtu-exceeded", || {
            let ping = star
                .a
                .output("ping -6 -M do -c 1 -W 2 -s 1400 2001:db8:2::2")?;
            let text = String::from_utf8_lossy(&ping.stdout).into_owned();
            ensure!(
                text.contains("mtu=1300") || text.contains("mtu = 1300"),
                "{text}"
            );
            Ok(())
        })?;
        ensure!(exceeded >= 1, "no packet went up for its length");
        Ok(())
    });
}

#[test]
fn ipv6_follows_its_forwarding_switch() {
    lab::test("ipv6-switch", |lab| {
        let (star, router) = start(lab, NATIVE)?;
        warm_up(&star, &router)?;
        let hands_up = |wanted: serde_json::Value| {
            wait_for(SHORT, "the switch to be seen", || {
                let interfaces = router.show("interfaces")?;
                let found = &interfaces[1]["hands_up_ipv6"];
                ensure!(*found == wanted, "{found}, not {wanted}");
                Ok(())
            })
        };
        hands_up(serde_json::Value::Null)?;
        star.r1.sysctl("net/ipv6/conf/all/forwarding", "0")?;
        hands_up("forwarding-off".into())?;
        star.r1.sysctl("net/ipv6/conf/all/forwarding", "1")?;
        hands_up(serde_json::Value::Null)
    });
}

/// The same router by the kernel's own tables: `engine = "kernel"`.
#[test]
fn the_engine_kernel_forwards_both_families() {
    lab::test("engine-kernel", |lab| {
        let config = format!("{NATIVE}engine = \"kernel\"\n");
        let (star, router) = start(lab, &config)?;
        ping(&star, "2001:db8:2::2", 1)?;
        star.a.run("ping -c 1 -W 3 10.0.2.2")?;
        let forwarded = router.counted("forwarded", || {
            let text = ping(&star, "2001:db8:2::2", 20)?;
            ensure!(text.contains("ttl=63"), "{text}");
            let text = star.a.run("ping -c 20 -i 0.05 -W 3 10.0.2.2")?;
            ensure!(
                text.contains(" 0% packet loss") && text.contains("ttl=63"),
                "{text}"
            );
            Ok(())
        })?;
        ensure!(forwarded >= 80, "{forwarded} of 80 took the fast path");
        let fib = router.show("fib")?;
        ensure!(fib["engine"] == "kernel", "{fib}");
        Ok(())
    });
}
