//! A route table that is too small at first: it grows under the traffic.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use anyhow::ensure;
use forwarder_tests::lab::traffic::Stream;
use forwarder_tests::lab::{self, LONG, Router, SHORT, Star, wait_for};
use serde_json::Value;

use crate::NATIVE;

const SMALL: &str = "ipv4-rows = 512\nipv6-rows = 512\n";

/// Each in a /16 of its own, and so each a quarter of a row of its own.
const NETWORKS4: u32 = 6_000;
/// Each in a /32 of its own, and so each a row, and a quarter of another.
const NETWORKS6: u32 = 1_500;

fn batch(verb: &str) -> String {
    let mut text = String::new();
    for network in 0..NETWORKS4 {
        let (high, low) = (20 + network / 256, network % 256);
        let _ = writeln!(text, "route {verb} {high}.{low}.1.0/24 via 10.0.2.2");
    }
    for network in 0..NETWORKS6 {
        let _ = writeln!(
            text,
            "route {verb} 2a00:{network:x}:1::/48 via 2001:db8:2::2"
        );
    }
    text
}

fn rows(fib: &Value) -> (u64, u64) {
    let rows = |value: &Value| value["rows"].as_u64().unwrap_or(0);
    (rows(fib), rows(&fib["ipv6"]))
}

fn counted(router: &Router, reason: &str) -> anyhow::Result<u64> {
    let counters = router.show("counters")?;
    Ok(counters["reasons"][reason].as_u64().unwrap_or(0))
}

#[test]
fn a_full_route_table_grows_and_no_packet_notices() {
    lab::test("growth", |lab| {
        let star = Star::new(lab)?;
        star.add_ipv6()?;
        let router = lab.start_router(&star.r1, &format!("{NATIVE}{SMALL}"))?;
        star.warm_up(&router)?;
        ensure!(rows(&router.show("fib")?) == (512, 512));
        let to = SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 2), 9);
        let stream = Stream::start(&star.a, &star.b, to, Duration::from_millis(1))?;
        star.r1.run_with_input("ip -batch -", &batch("add"))?;
        wait_for(LONG, "the tables to have grown", || {
            let fib = router.show("fib")?;
            ensure!(rows(&fib) == (2_048, 4_096), "{fib}");
            ensure!(fib["prefixes"].as_u64() >= Some(NETWORKS4.into()), "{fib}");
            Ok(())
        })?;
        for address in ["20.0.1.7", "22.77.1.7", "43.111.1.7"] {
            router.wait_forward(address, "eth1")?;
        }
        router.wait_forward("2a00:5db:1::7", "eth1")?;
        router.wait_verdict("43.111.2.7", "up", "no-route")?;
        stream.wait_for_more(200, SHORT)?;
        let gaps = stream.stop()?;
        ensure!(gaps.lost == 0 && gaps.duplicated == 0, "{gaps:?}");
        let (forwarded, up) = (
            counted(&router, "forwarded")?,
            counted(&router, "table-full")?,
        );
        ensure!(
            forwarded >= gaps.received && up == 0,
            "{forwarded} forwarded and {up} handed up of {}: counters of a generation are \
             lost, or the table was full before it grew",
            gaps.received
        );
        let status = router.show("status")?;
        ensure!(status["degraded"] == serde_json::json!([]), "{status}");
        star.r1.run_with_input("ip -batch -", &batch("del"))?;
        router.wait_verdict("22.77.1.7", "up", "no-route")
    });
}
