//! 10,000 routes at once: FRR and BIRD send a table as one burst of 400
//! datagrams, which receivers with small buffers lose most of.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use forwarder_tests::lab::{self, LONG, Namespace, Router, wait_for};

use crate::peers::{CONFIG, Net, assert_no_drops, installed, prefixes, wait_kernel};

const ROUTES: usize = 10_000;

/// Below the period of 30 s: what is there by then came with the first burst.
const FIRST_BURST: Duration = Duration::from_secs(25);

/// In the RIB, in the kernel, in the fast path: all of them, from one burst.
fn wait_all(router: &Router) -> anyhow::Result<()> {
    let start = Instant::now();
    wait_kernel(router.namespace(), "210", ROUTES)?;
    let kernel = start.elapsed();
    wait_for(LONG, "every route in the fast path", || {
        let fib = router.show("fib")?;
        let there = fib["prefixes"]
            .as_u64()
            .context("no `prefixes` in show fib")?;
        ensure!(there >= ROUTES as u64, "{there} prefixes");
        Ok(())
    })?;
    ensure!(
        kernel < FIRST_BURST,
        "it took {kernel:?}: not with the first burst"
    );
    router.wait_until_settled()?;
    assert_no_drops(router)
}

#[test]
fn learns_10_000_routes_from_bird() {
    if !installed("interop-10k-bird") {
        return;
    }
    lab::test("interop-10k-bird", |lab| {
        let net = Net::new(lab)?;
        let router = lab.start_router(&net.r1, CONFIG)?;
        let bird = net.start_bird(lab, &prefixes(20, ROUTES))?;
        wait_all(&router)?;
        router.wait_route("20.39.15.0/24", "rip")?;
        // Withdrawn at once, too.
        bird.configure(&crate::peers::bird_config(&[]))?;
        wait_kernel(&net.r1, "210", 0)
    });
}

#[test]
fn learns_10_000_routes_from_frr() {
    if !installed("interop-10k-frr") {
        return;
    }
    lab::test("interop-10k-frr", |lab| {
        let net = Net::new(lab)?;
        let mut batch = String::new();
        for prefix in prefixes(30, ROUTES) {
            let _ = writeln!(batch, "route add blackhole {prefix}");
        }
        net.frr.run_with_input("ip -batch -", &batch)?;
        // FRR first, so that it has its whole table when we ask for it.
        let frr = net.start_frr(lab, " redistribute kernel\n")?;
        wait_for(LONG, "FRR's own table", || {
            let status = frr.vtysh("show ip rip")?;
            let there = status.lines().filter(|line| line.contains(" 30.")).count();
            ensure!(there >= ROUTES, "{there} routes");
            Ok(())
        })?;
        let router = lab.start_router(&net.r1, CONFIG)?;
        wait_all(&router)?;
        router.wait_route("30.39.15.0/24", "rip").map(drop)
    });
}

#[test]
fn learns_10_000_routes_from_a_raw_burst() {
    if !installed("interop-10k-burst") {
        return;
    }
    lab::test("interop-10k-burst", |lab| {
        let net = Net::new(lab)?;
        let router = lab.start_router(&net.r1, CONFIG)?;
        let took = burst(&net.frr)?;
        // Or it was no burst: at the rate of an idle machine it is 2 ms.
        ensure!(
            took < Duration::from_millis(500),
            "sending 400 datagrams took {took:?}"
        );
        wait_all(&router)?;
        let errors = router.show("rip errors")?;
        let bad = errors
            .as_array()
            .into_iter()
            .flatten()
            .filter(|error| error["count"] != 0);
        ensure!(bad.count() == 0, "{errors}");
        Ok(())
    });
}

/// 400 datagrams of 25 entries, back to back.
fn burst(from: &Namespace) -> anyhow::Result<Duration> {
    let datagrams: Vec<Vec<u8>> = (0..ROUTES / 25).map(datagram).collect();
    from.enter(|| {
        let socket = UdpSocket::bind("10.0.1.2:520")?;
        socket2::SockRef::from(&socket).set_multicast_if_v4(&Ipv4Addr::new(10, 0, 1, 2))?;
        // Room for all of them on this side.
        socket2::SockRef::from(&socket).set_send_buffer_size(4 << 20)?;
        let start = Instant::now();
        for datagram in &datagrams {
            socket.send_to(datagram, "224.0.0.9:520")?;
        }
        Ok(start.elapsed())
    })
}

fn datagram(number: usize) -> Vec<u8> {
    let mut datagram = vec![2, 2, 0, 0];
    for entry in number * 25..number * 25 + 25 {
        // RFC 2453 §4: family 2, tag 0, prefix, mask, next hop = sender, metric.
        let [high, low] = u16::try_from(entry).unwrap_or(u16::MAX).to_be_bytes();
        datagram.extend([
            0, 2, 0, 0, 40, high, low, 0, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 1,
        ]);
    }
    datagram
}
