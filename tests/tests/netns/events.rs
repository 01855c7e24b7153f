//! `show events` and `trace`: what became of single packets.

use anyhow::{Context as _, ensure};
use forwarder_tests::lab::{self, Lab, Router, SHORT, Star, wait_for};
use serde_json::Value;

use crate::NATIVE;

fn start(lab: &Lab) -> anyhow::Result<(Star, Router)> {
    let star = Star::new(lab)?;
    let router = lab.start_router(&star.r1, NATIVE)?;
    star.warm_up(&router)?;
    star.r1.run("ip route add blackhole 203.0.113.0/24")?;
    router.wait_verdict("203.0.113.1", "drop", "blackhole")?;
    Ok((star, router))
}

/// One packet of 98 bytes that nobody answers.
fn send(star: &Star, to: &str) -> anyhow::Result<()> {
    star.a.output(&format!("ping -c 1 -W 1 {to}")).map(drop)
}

fn is(event: &Value, verdict: &str, reason: &str, to: &str) -> bool {
    event["verdict"] == verdict
        && event["reason"] == reason
        && event["interface"] == "eth0"
        && event["source"] == "10.0.1.2"
        && event["destination"] == to
        && event["length"] == 98
}

#[test]
fn misses_and_drops_are_listed_with_interface_and_addresses() {
    lab::test("events-show", |lab| {
        let (star, router) = start(lab)?;
        send(&star, "192.0.2.1")?;
        send(&star, "203.0.113.1")?;
        wait_for(SHORT, "both events", || {
            let answer = router.show("events")?;
            let events = answer["events"].as_array().context("no events")?;
            for (verdict, reason, to) in [
                ("up", "no-route", "192.0.2.1"),
                ("dropped", "blackhole", "203.0.113.1"),
            ] {
                let found = events.iter().any(|event| is(event, verdict, reason, to));
                ensure!(found, "no {reason} in {answer}");
            }
            Ok(())
        })
    });
}

#[test]
fn trace_follows_what_happens_from_now_on() {
    lab::test("events-trace", |lab| {
        let (star, router) = start(lab)?;
        send(&star, "203.0.113.1")?;
        let output = std::thread::scope(|scope| {
            let trace = scope.spawn(|| router.cli("--json trace --count 2"));
            // It shows what comes after it has begun: sent until it has.
            wait_for(SHORT, "trace to see two packets", || {
                send(&star, "203.0.113.77")?;
                ensure!(trace.is_finished(), "it still waits");
                Ok(())
            })?;
            trace
                .join()
                .map_err(|_| anyhow::anyhow!("trace panicked"))?
        })?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let lines: Vec<Value> = text
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()?;
        ensure!(lines.len() == 2, "{text}");
        let all = |event: &Value| is(event, "dropped", "blackhole", "203.0.113.77");
        ensure!(lines.iter().all(all), "{text}");
        Ok(())
    });
}

#[test]
fn what_is_over_the_limit_is_counted_as_lost() {
    lab::test("events-limit", |lab| {
        let (star, router) = start(lab)?;
        router.reload(&format!("{NATIVE}[dataplane.punt]\nevents = 1\n"))?;
        let dropped = router.counted("blackhole", || {
            let flood = "ping -c 50 -i 0.01 -W 1 203.0.113.1";
            star.a.output(flood).map(drop)
        })?;
        ensure!(dropped == 50, "{dropped} of 50 were dropped");
        let answer = router.show("events")?;
        let lost = answer["lost"].as_u64().context("no lost")?;
        ensure!(lost >= 40, "{lost} of some 48 were lost: {answer}");
        Ok(())
    });
}
