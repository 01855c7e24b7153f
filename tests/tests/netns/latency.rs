//! A change in the kernel is in the maps within 20 ms (median) and 100 ms (99th
//! percentile) of its notification.
//!
//! The change is made by a running `ip -batch -`, so that no program's start is
//! measured, and seen over a kept connection to the API, which answers from
//! what has been written to the maps. What is measured is thus an upper bound:
//! `ip`'s own work and up to one request are in it.

use std::io::Write as _;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use forwarder_tests::lab::{self, Api, Namespace, Star};
use serde_json::Value;

use crate::NATIVE;

/// Enough that the 99th percentile is not the worst of all.
const ROUNDS: usize = 300;
const MEDIAN: Duration = Duration::from_millis(20);
const P99: Duration = Duration::from_millis(100);

/// A running `ip -batch -`.
struct Ip(Child);

impl Ip {
    fn start(namespace: &Namespace) -> anyhow::Result<Ip> {
        let mut command = namespace.command("ip");
        let child = command
            .args(["-batch", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null());
        Ok(Ip(child.spawn().context("starting `ip -batch -`")?))
    }

    /// Has it carry out a line at once.
    fn line(&mut self, line: &str) -> anyhow::Result<()> {
        let stdin = self
            .0
            .stdin
            .as_mut()
            .context("`ip -batch -` has no stdin")?;
        writeln!(stdin, "{line}").with_context(|| format!("`ip -batch -` has ended before {line}"))
    }
}

impl Drop for Ip {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // It ends at the end of its input.
        let _ = self.0.wait();
    }
}

/// Asks until the fast path's answer is as wanted, and returns how long after
/// `start` that was.
fn seen(
    api: &mut Api,
    address: &str,
    start: Instant,
    wanted: impl Fn(&Value) -> bool,
) -> anyhow::Result<Duration> {
    let mut answer = Value::Null;
    while start.elapsed() < Duration::from_secs(5) {
        answer = api.get(&format!("/v1/lookup?address={address}"))?;
        if wanted(&answer["xdp"]) {
            return Ok(start.elapsed());
        }
    }
    bail!("{address} is still {answer} after 5 s")
}

fn assert_fast(what: &str, mut times: Vec<Duration>) -> anyhow::Result<()> {
    times.sort_unstable();
    let median = times[times.len() / 2];
    let p99 = times[times.len() * 99 / 100];
    let worst = times[times.len() - 1];
    let figures = format!("{what}: median {median:?}, p99 {p99:?}, worst {worst:?}");
    crate::show(&figures);
    ensure!(median <= MEDIAN && p99 <= P99, "{figures}");
    Ok(())
}

#[test]
fn latency_of_a_route() {
    lab::test("latency-route", |lab| {
        let star = Star::new(lab)?;
        let router = lab.start_router(&star.r1, NATIVE)?;
        star.warm_up(&router)?;
        let (mut api, mut ip) = (router.api()?, Ip::start(&star.r1)?);
        let mut times = Vec::new();
        for round in 0..ROUNDS {
            let (via, dev) = [("10.0.2.2", "eth1"), ("10.0.3.2", "eth2")][round % 2];
            let start = Instant::now();
            ip.line(&format!("route replace 198.51.100.0/24 via {via}"))?;
            times.push(seen(&mut api, "198.51.100.1", start, |xdp| {
                xdp["dev"] == dev
            })?);
        }
        assert_fast("route", times)
    });
}

#[test]
fn latency_of_a_neighbour() {
    lab::test("latency-neighbour", |lab| {
        let star = Star::new(lab)?;
        let router = lab.start_router(&star.r1, NATIVE)?;
        star.warm_up(&router)?;
        let (mut api, mut ip) = (router.api()?, Ip::start(&star.r1)?);
        let mut times = Vec::new();
        for _ in 0..ROUNDS / 2 {
            let start = Instant::now();
            ip.line("neigh replace 10.0.2.9 lladdr 02:00:00:00:00:09 dev eth1 nud permanent")?;
            times.push(seen(&mut api, "10.0.2.9", start, |xdp| {
                xdp["verdict"] == "forward"
            })?);
            let start = Instant::now();
            ip.line("neigh del 10.0.2.9 dev eth1")?;
            times.push(seen(&mut api, "10.0.2.9", start, |xdp| {
                xdp["verdict"] == "up"
            })?);
        }
        assert_fast("neighbour", times)
    });
}

#[test]
fn latency_of_an_address() {
    lab::test("latency-address", |lab| {
        let star = Star::new(lab)?;
        let router = lab.start_router(&star.r1, NATIVE)?;
        star.warm_up(&router)?;
        let (mut api, mut ip) = (router.api()?, Ip::start(&star.r1)?);
        let mut times = Vec::new();
        for _ in 0..ROUNDS / 2 {
            let start = Instant::now();
            ip.line("address add 10.0.9.1/24 dev eth1")?;
            times.push(seen(&mut api, "10.0.9.1", start, |xdp| {
                xdp["reason"] == "for-us"
            })?);
            let start = Instant::now();
            ip.line("address del 10.0.9.1/24 dev eth1")?;
            times.push(seen(&mut api, "10.0.9.1", start, |xdp| {
                xdp["reason"] == "no-route"
            })?);
        }
        assert_fast("address", times)
    });
}

/// Of a link only the loss: what comes after it is up again waits for ARP.
#[test]
fn latency_of_a_link() {
    lab::test("latency-link", |lab| {
        let star = Star::new(lab)?;
        let router = lab.start_router(&star.r1, NATIVE)?;
        star.warm_up(&router)?;
        let (mut api, mut ip) = (router.api()?, Ip::start(&star.r1)?);
        let mut times = Vec::new();
        for _ in 0..ROUNDS / 15 {
            let start = Instant::now();
            ip.line("link set eth1 down")?;
            times.push(seen(&mut api, "10.0.2.2", start, |xdp| {
                xdp["verdict"] != "forward"
            })?);
            ip.line("link set eth1 up")?;
            star.warm_up(&router)?;
        }
        assert_fast("link", times)
    });
}
