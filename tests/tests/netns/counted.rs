//! Routes that are counted each by itself, with real traffic.

use anyhow::{Context as _, ensure};
use forwarder_tests::lab::{self, LONG, Lab, Router, SHORT, Star, wait_for};

use crate::NATIVE;

const V4: &str = "10.9.0.0/16";
const V6: &str = "2001:db8:aa::/48";

/// Static routes to both, by these routers.
fn config(count: &str, via4: &str, via6: &str) -> String {
    format!(
        "{NATIVE}count = [{count}]\n\
         [[static]]\nprefix = \"{V4}\"\nvia = [{via4}]\n\
         [[static]]\nprefix = \"{V6}\"\nvia = [{via6}]\n"
    )
}

const BOTH: &str = "\"10.9.0.0/16\", \"2001:db8:aa::/48\"";
const BY_B: (&str, &str) = ("\"10.0.2.2\"", "\"2001:db8:2::2\"");
const BY_C: (&str, &str) = ("\"10.0.3.2\"", "\"2001:db8:3::2\"");

fn start(lab: &Lab, config: &str) -> anyhow::Result<(Star, Router)> {
    let star = Star::new(lab)?;
    star.add_ipv6()?;
    for host in [&star.b, &star.c] {
        host.run("ip addr add 10.9.0.1/32 dev lo")?;
        host.run("ip -6 addr add 2001:db8:aa::1/128 dev lo nodad")?;
    }
    let router = lab.start_router(&star.r1, config)?;
    star.warm_up(&router)?;
    for (host, net) in [(&star.a, 1), (&star.b, 2), (&star.c, 3)] {
        host.run(&format!("ping -6 -c 1 -W 3 2001:db8:{net}::1"))?;
        router.wait_forward(&format!("2001:db8:{net}::2"), &format!("eth{}", net - 1))?;
    }
    Ok((star, router))
}

/// Packets and bytes of a route; `None` = it is not counted.
fn counter(router: &Router, prefix: &str) -> anyhow::Result<Option<(u64, u64)>> {
    let counters = router.show("counters")?;
    let routes = counters["routes"].as_array().context("no routes")?;
    let Some(route) = routes.iter().find(|route| route["prefix"] == prefix) else {
        return Ok(None);
    };
    Ok(route["packets"].as_u64().zip(route["bytes"].as_u64()))
}

/// Five packets to each; a ping of 56 bytes is 98 of Ethernet, 118 with IPv6.
fn send(star: &Star) -> anyhow::Result<()> {
    for to in ["10.9.0.1", "2001:db8:aa::1"] {
        let text = star.a.run(&format!("ping -c 5 -i 0.05 -W 3 {to}"))?;
        ensure!(text.contains(" 0% packet loss"), "{text}");
    }
    Ok(())
}

#[test]
fn a_route_is_counted_through_every_change_of_its_way() {
    lab::test("counted-changes", |lab| {
        let (star, router) = start(lab, &config(BOTH, BY_B.0, BY_B.1))?;
        router.wait_forward("10.9.0.1", "eth1")?;
        router.wait_forward("2001:db8:aa::1", "eth1")?;
        send(&star)?;
        ensure!(counter(&router, V4)? == Some((5, 490)), "IPv4 by b");
        ensure!(counter(&router, V6)? == Some((5, 590)), "IPv6 by b");

        router.reload(&config(BOTH, BY_C.0, BY_C.1))?;
        router.wait_forward("10.9.0.1", "eth2")?;
        router.wait_forward("2001:db8:aa::1", "eth2")?;
        send(&star)?;
        ensure!(counter(&router, V4)? == Some((10, 980)), "IPv4 by c");

        let (via4, via6) = (
            format!("{}, {}", BY_B.0, BY_C.0),
            format!("{}, {}", BY_B.1, BY_C.1),
        );
        router.reload(&config(BOTH, &via4, &via6))?;
        router.wait_until_settled()?;
        let forwarded = router.counted("forwarded", || send(&star))?;
        ensure!(forwarded >= 20, "{forwarded} of 20 took the fast path");
        ensure!(counter(&router, V4)? == Some((15, 1470)), "IPv4 by both");
        ensure!(counter(&router, V6)? == Some((15, 1770)), "IPv6 by both");
        Ok(())
    });
}

#[test]
fn a_reload_switches_counting_on_and_off_and_starts_from_zero() {
    lab::test("counted-reload", |lab| {
        let (star, router) = start(lab, &config("", BY_B.0, BY_B.1))?;
        router.wait_forward("10.9.0.1", "eth1")?;
        router.wait_forward("2001:db8:aa::1", "eth1")?;
        send(&star)?;
        ensure!(counter(&router, V4)?.is_none(), "it was not asked for");
        for _ in 0..2 {
            router.reload(&config(BOTH, BY_B.0, BY_B.1))?;
            ensure!(counter(&router, V4)? == Some((0, 0)), "not from zero");
            let forwarded = router.counted("forwarded", || send(&star))?;
            ensure!(forwarded >= 20, "{forwarded} of 20 took the fast path");
            ensure!(counter(&router, V4)? == Some((5, 490)), "IPv4");
            ensure!(counter(&router, V6)? == Some((5, 590)), "IPv6");
            router.reload(&config("", BY_B.0, BY_B.1))?;
            ensure!(counter(&router, V4)?.is_none(), "still counted");
            send(&star)?;
        }
        Ok(())
    });
}

#[test]
fn more_counted_routes_than_counters_are_said_once_and_forward() {
    lab::test("counted-many", |lab| {
        let many = |count: u32| {
            let prefixes = (0..count).map(|n| format!("\"10.{}.{}.0/24\"", 100 + n / 256, n % 256));
            prefixes.collect::<Vec<_>>().join(", ")
        };
        let all = format!("{}, \"{V4}\"", many(2047));
        let (star, router) = start(lab, &config(&all, BY_B.0, BY_B.1))?;
        router.wait_degraded("count-full", false)?;
        router.reload(&config(
            &format!("{}, \"{V4}\"", many(2048)),
            BY_B.0,
            BY_B.1,
        ))?;
        router.wait_degraded("count-full", true)?;
        router.wait_forward("10.9.0.1", "eth1")?;
        router.wait_forward("2001:db8:aa::1", "eth1")?;
        let forwarded = router.counted("forwarded", || send(&star))?;
        ensure!(forwarded >= 20, "{forwarded} of 20 took the fast path");
        router.reload(&config(BOTH, BY_B.0, BY_B.1))?;
        router.wait_degraded("count-full", false)
    });
}

/// A table that grows is made anew: what was counted and told goes on.
#[test]
fn counters_and_events_outlive_a_generation_of_maps() {
    lab::test("counted-growth", |lab| {
        let small = config(BOTH, BY_B.0, BY_B.1).replace("count =", "ipv4-rows = 512\ncount =");
        let (star, router) = start(lab, &small)?;
        router.wait_forward("10.9.0.1", "eth1")?;
        router.wait_forward("2001:db8:aa::1", "eth1")?;
        send(&star)?;
        star.a.output("ping -c 1 -W 1 192.0.2.1")?;
        let routes: String = (0..1_200)
            .map(|n| {
                format!(
                    "route add {}.{}.1.0/24 via 10.0.2.2\n",
                    20 + n / 256,
                    n % 256
                )
            })
            .collect();
        star.r1.run_with_input("ip -batch -", &routes)?;
        wait_for(LONG, "the table to have grown", || {
            let fib = router.show("fib")?;
            ensure!(fib["rows"].as_u64() > Some(512), "{fib}");
            Ok(())
        })?;
        ensure!(counter(&router, V4)? == Some((5, 490)), "IPv4 before");
        send(&star)?;
        ensure!(counter(&router, V4)? == Some((10, 980)), "IPv4 after");
        ensure!(counter(&router, V6)? == Some((10, 1180)), "IPv6 after");
        star.a.output("ping -c 1 -W 1 192.0.2.2")?;
        wait_for(SHORT, "events of both generations", || {
            let events = router.show("events")?.to_string();
            let both = events.contains("\"192.0.2.1\"") && events.contains("\"192.0.2.2\"");
            ensure!(both, "{events}");
            Ok(())
        })
    });
}
