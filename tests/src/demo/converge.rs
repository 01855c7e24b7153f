//! Routes and reachability: RIP's answer, and ping's.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::results::Ping;
use super::topology::{
    HOST_B, NET_A, NET_B, R1_TO_R3, R2_TO_R1, R2_TO_R3, R3_TO_R1, Routers, Topology,
};
use crate::console::Console;
use crate::lab::{LONG, Router, wait_for};

const PINGS: u32 = 20;

/// What each router must have learnt: (router, prefix, next hop).
fn wanted(routers: &Routers) -> [(&Router, &'static str, Ipv4Addr); 4] {
    [
        (&routers.r1, NET_B, R3_TO_R1),
        (&routers.r3, NET_A, R1_TO_R3),
        (&routers.r2, NET_A, Ipv4Addr::new(10, 12, 0, 1)),
        (&routers.r2, NET_B, Ipv4Addr::new(10, 23, 0, 3)),
    ]
}

/// Waits until every router forwards by RIP's routes, in the kernel's table
/// and in the fast path's. Returns the time since the first daemon's start.
pub(super) fn wait(routers: &Routers, console: &Console) -> anyhow::Result<Duration> {
    for (router, prefix, via) in wanted(routers) {
        wait_for_route(router, prefix, via)?;
    }
    let converged = routers.started.elapsed();
    for router in routers.all() {
        console.detail(&table(router)?);
    }
    Ok(converged)
}

/// Waits until RIP's route to `prefix` leads to `via` and is in both tables.
pub(super) fn wait_for_route(router: &Router, prefix: &str, via: Ipv4Addr) -> anyhow::Result<()> {
    let name = router.namespace().name();
    let what = format!("{name} to forward {prefix} to {via} by RIP");
    wait_for(LONG, &what, || {
        let route = selected(router, prefix)?;
        let is = |key: &str, value: &str| route[key].as_str() == Some(value);
        ensure!(
            is("source", "rip")
                && route["nexthops"][0]["via"].as_str() == Some(&via.to_string())
                && route["installed"]["kernel"] == true
                && route["installed"]["xdp"] == true,
            "{route}"
        );
        Ok(())
    })
}

/// Both ends use the short path.
pub(super) fn wait_for_short_path(routers: &Routers) -> anyhow::Result<()> {
    wait_for_route(&routers.r1, NET_B, R3_TO_R1)?;
    wait_for_route(&routers.r3, NET_A, R1_TO_R3)
}

/// Both ends use the long path.
pub(super) fn wait_for_long_path(routers: &Routers) -> anyhow::Result<()> {
    wait_for_route(&routers.r1, NET_B, R2_TO_R1)?;
    wait_for_route(&routers.r3, NET_A, R2_TO_R3)
}

fn selected(router: &Router, prefix: &str) -> anyhow::Result<Value> {
    let routes = router.show("routes")?;
    let routes = routes
        .as_array()
        .context("show routes --json is no array")?;
    routes
        .iter()
        .find(|route| route["prefix"] == prefix && route["selected"] == true)
        .cloned()
        .with_context(|| format!("no route to {prefix} among {}", routes.len()))
}

/// A router's table as one would draw it.
fn table(router: &Router) -> anyhow::Result<String> {
    let routes = router.show("routes")?;
    let mut text = format!("{}:", router.namespace().name());
    for route in routes.as_array().into_iter().flatten() {
        if route["selected"] == true && route["table"] == "main" {
            text.push_str(&format!("\n  {}", line(route)));
        }
    }
    Ok(text)
}

/// `10.3.0.0/24    rip        via 10.13.0.3 dev to-r3  metric 2`.
pub(super) fn line(route: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let hop = &route["nexthops"][0];
    let via = match hop["via"].as_str() {
        Some(via) => format!("via {via} dev {}", text(&hop["dev"])),
        None => format!("dev {}", text(&hop["dev"])),
    };
    format!(
        "{:<15} {:<10} {:<26} metric {}",
        text(&route["prefix"]),
        text(&route["source"]),
        via,
        route["metric"]
    )
}

/// Pings hostB from hostA.
pub(super) fn ping(topology: &Topology, console: &Console) -> anyhow::Result<Ping> {
    let line = format!("ping -q -c {PINGS} -i 0.05 -W 1 {HOST_B}");
    let started = Instant::now();
    // Its status says "some were lost", which is for the caller to judge.
    let output = topology.host_a.output(&line)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let ping = parse_ping(&text).with_context(|| format!("`{line}` printed {text}"))?;
    console.detail(&format!(
        "{} of {} answered in {:.1} s",
        ping.sent - ping.lost,
        ping.sent,
        started.elapsed().as_secs_f64()
    ));
    Ok(ping)
}

/// `20 packets transmitted, 20 received, …`.
pub(super) fn parse_ping(text: &str) -> Option<Ping> {
    let line = text
        .lines()
        .find(|line| line.contains("packets transmitted"))?;
    let mut numbers = line
        .split_whitespace()
        .filter_map(|word| word.parse::<u64>().ok());
    let (sent, received) = (numbers.next()?, numbers.next()?);
    Some(Ping {
        sent,
        lost: sent.checked_sub(received)?,
    })
}
