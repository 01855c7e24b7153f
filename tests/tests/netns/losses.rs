//! What is lost behind the redirect is counted at the port where it was lost,
//! by the router that lost it, and every frame ends in exactly one count.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};

use anyhow::{Context as _, ensure};
use aya::programs::xdp::XdpMode;
use forwarder::bench::{Flow, Relay};
use forwarder_tests::lab::{
    self, LONG, Lab, Namespace, Router, SHORT, Star, StarOptions, end, wait_for,
};
use nix::sys::signal::Signal;

use crate::NATIVE;
use crate::accounts::{
    Account, B, BATCH, Flood, balance, from_a, from_c, generator, injected, mac, sink,
    wait_can_redirect,
};

const A: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 2);
const BLACKHOLE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const NOWHERE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
const OWN: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 1);

/// With a rule that lets the kernel forward nothing: what a sink counts has
/// then come through the fast path.
const FAST_PATH_ONLY: &str = "[dataplane]\nattach = \"native\"\nbypass = [\"netfilter\"]\n";
const GENERIC: &str = "[dataplane]\nattach = \"generic\"\n";
const NO_FORWARDING: &str = "
table ip t {
    chain f { type filter hook forward priority 0; policy drop; }
}
";

/// Larger than [`SMALL_MTU`] allows, smaller than the router's port does.
const LARGE_FRAME: usize = 1_000;
/// A far end that is set up wrongly loses large frames in its driver, whatever
/// it says of its abilities.
const SMALL_MTU: u32 = 600;

fn ready(lab: &Lab, config: &str) -> anyhow::Result<(Star, Router)> {
    let star = Star::new(lab)?;
    let router = lab.start_router(&star.r1, config)?;
    star.warm_up(&router)?;
    Ok((star, router))
}

fn large(flow: Flow) -> Flow {
    Flow {
        frame_len: LARGE_FRAME,
        ..flow
    }
}

/// Every kind of ending at full rate: forwarded, dropped, and up for four
/// reasons, most of that over the limits.
#[test]
fn losses_of_a_million_frames_of_every_kind_are_accounted_for() {
    lab::test("losses-every-kind", |lab| {
        let options = StarOptions {
            mtu_to_b: Some(1_300),
            ..StarOptions::default()
        };
        let star = Star::with(lab, options)?;
        let blackhole = "[[static]]\nprefix = \"198.51.100.0/24\"\ntype = \"blackhole\"\n";
        let router = lab.start_router(&star.r1, &format!("{NATIVE}{blackhole}"))?;
        star.warm_up(&router)?;
        never_answers(&star.b)?;
        let sink = sink(&star.b)?;
        // To another port: the sink does not count what the kernel forwards.
        let uncounted = Flow {
            destination_port: 10,
            ..from_a(&star, &[B])?
        };
        let flows = [
            from_a(&star, &[B, B, NOWHERE, B, BLACKHOLE, B, OWN, B])?,
            Flow {
                ttl: 1,
                ..uncounted.clone()
            },
            Flow {
                frame_len: 1_514,
                ..uncounted
            },
        ];
        let mut generators = Vec::new();
        for flow in &flows {
            generators.push(generator(&star.a, flow)?);
        }
        let before = Account::of(&router, &[&star.a])?;
        let mut sent = 0;
        for _ in 0..10 {
            for (generator, frames) in generators.iter_mut().zip([80_000, 10_000, 10_000]) {
                sent += injected(&generator.flood(frames, BATCH)?);
            }
        }
        let delivered = || Ok(sink.count()?.arrived());
        let account = balance(&router, &[&star.a], before, sent, delivered)?;
        crate::show(&format!("{sent} frames of every kind: {account:?}"));
        ensure!(account.forwarded > sent / 4, "{account:?}");
        for reason in [
            "blackhole",
            "no-route",
            "for-us",
            "ttl-expired",
            "mtu-exceeded",
            "punt-limited",
        ] {
            ensure!(
                router.counter(reason)? > 0,
                "nothing was counted as {reason}"
            );
        }
        ensure!(sink.count()?.damaged == 0, "{:?}", sink.count()?);
        Ok(())
    });
}

/// The kernel refuses redirects to a veth whose far end has neither program nor
/// GRO. Until the daemon has been told, that is tx-error; then the port's
/// frames go up, and the kernel forwards them.
#[test]
fn losses_at_an_egress_that_refuses_redirects_end_when_the_kernel_tells() {
    lab::test("losses-refused", |lab| {
        let (star, router) = ready(lab, NATIVE)?;
        let first = sink(&star.b)?;
        star.b.run("ethtool -K eth0 gro off")?;
        let mut generator = generator(&star.a, &from_a(&star, &[B])?)?;
        let report = generator.run_to(&first, 10_000, BATCH)?;
        ensure!(report.delivered.frames == 10_000, "{report:?}");
        // A daemon that cannot hear it: the window as wide as it ever gets.
        router.signal(Signal::SIGSTOP)?;
        drop(first);
        let before_errors = generator.flood(10_000, BATCH)?;
        router.signal(Signal::SIGCONT)?;
        let reason = wait_can_redirect(&router, "eth1", false)?["reason"].to_string();
        ensure!(reason.contains("GRO"), "{reason}");
        let errors = router.counter("tx-error")?;
        ensure!(
            errors == injected(&before_errors),
            "{errors} counted of {before_errors:?}"
        );
        router.wait_verdict("10.0.2.2", "up", "egress-cannot-redirect")?;
        let handed_up = router.counted("egress-cannot-redirect", || {
            let ping = star.a.run("ping -q -c 50 -i 0.01 -W 3 10.0.2.2")?;
            ensure!(ping.contains(" 0% packet loss"), "{ping}");
            Ok(())
        })?;
        ensure!(handed_up == 50, "{handed_up} of 50 were handed up");
        let second = sink(&star.b)?;
        router.wait_forward("10.0.2.2", "eth1")?;
        let report = generator.run_to(&second, 10_000, BATCH)?;
        ensure!(report.delivered.frames == 10_000, "{report:?}");
        ensure!(router.counter("tx-error")? == errors, "more was lost");
        Ok(())
    });
}

/// Frames that a veth's ring holds (`VETH_RING_SIZE`), and those that are on
/// their way from it to the sink.
const RING: u64 = 256 + 64;

/// The far end loses its program under a flood, and gets another one. What its
/// ring held then is lost there, beyond this router, and counted by nobody.
#[test]
fn losses_while_the_far_end_changes_under_a_flood_are_accounted_for() {
    lab::test("losses-change", |lab| {
        let (star, router) = ready(lab, FAST_PATH_ONLY)?;
        star.r1.run_with_input("nft -f -", NO_FORWARDING)?;
        star.b.run("ethtool -K eth0 gro off")?;
        let before = Account::of(&router, &[&star.a])?;
        let flood = Flood::start(&star.a, &from_a(&star, &[B])?)?;
        let mut arrived = 0;
        for _ in 0..5 {
            arrived += some_arrive_until_the_sink_goes(&star, &router)?;
        }
        let sent = flood.stop()?;
        let account = wait_for(SHORT, "books that balance", || {
            let account = Account::of(&router, &[&star.a])? - before;
            let left = account.forwarded - account.tx_error - account.tx_drop;
            ensure!(sent == account.injected(), "{sent} injected: {account:?}");
            ensure!(
                left >= arrived && left - arrived <= 5 * RING,
                "{arrived} arrived of {account:?}"
            );
            Ok(account)
        })?;
        crate::show(&format!(
            "{sent} frames over five changes, {arrived} counted: {account:?}"
        ));
        ensure!(account.tx_error + account.tx_drop > 0, "{account:?}");
        ensure!(account.up > 0, "{account:?}");
        Ok(())
    });
}

/// A sink comes, gets frames, and goes; returns what it had counted.
fn some_arrive_until_the_sink_goes(star: &Star, router: &Router) -> anyhow::Result<u64> {
    let sink = sink(&star.b)?;
    router.wait_forward("10.0.2.2", "eth1")?;
    wait_for(SHORT, "frames at the sink", || {
        let count = sink.count()?.arrived();
        ensure!(count >= 20_000, "{count} have arrived");
        Ok(())
    })?;
    let count = sink.finish()?.arrived();
    wait_can_redirect(router, "eth1", false)?;
    router.wait_verdict("10.0.2.2", "up", "egress-cannot-redirect")?;
    Ok(count)
}

/// The host has no way back to the senders: its ICMP errors would be counted
/// by the router, too.
fn never_answers(host: &Namespace) -> anyhow::Result<()> {
    host.run("ip route replace blackhole default").map(drop)
}

/// IPv4 packets that a host's stack has got.
fn received(host: &Namespace) -> anyhow::Result<u64> {
    let snmp = host.read_proc("/proc/net/snmp")?;
    let mut lines = snmp.lines().filter(|line| line.starts_with("Ip:"));
    let (names, values) = (lines.next(), lines.next());
    let (names, values) = names.zip(values).context("no Ip: in /proc/net/snmp")?;
    let mut pairs = names.split(' ').zip(values.split(' '));
    let found = pairs.find(|(name, _)| *name == "InReceives");
    let (_, value) = found.with_context(|| format!("no InReceives in {names}"))?;
    Ok(value.parse()?)
}

/// Two ports at full rate into one, with an ordinary host behind it: its stack
/// takes longer over a packet than the router does, and its ring overflows.
#[test]
fn losses_of_an_overloaded_egress_are_accounted_for() {
    lab::test("losses-overload", |lab| {
        let (star, router) = ready(lab, NATIVE)?;
        never_answers(&star.b)?;
        let senders = [&star.a, &star.c];
        let (before, at_b) = (Account::of(&router, &senders)?, received(&star.b)?);
        let (a, c) = (from_a(&star, &[B])?, from_c(&star, &[B])?);
        let floods = [Flood::start(&star.a, &a)?, Flood::start(&star.c, &c)?];
        let lost = wait_for(LONG, "a full ring behind the egress", || {
            let account = Account::of(&router, &senders)? - before;
            ensure!(
                account.tx_drop > 0 && account.forwarded > 500_000,
                "{account:?}"
            );
            Ok(())
        });
        let mut sent = 0;
        for flood in floods {
            sent += flood.stop()?;
        }
        lost?;
        let delivered = || Ok(received(&star.b)? - at_b);
        let account = balance(&router, &senders, before, sent, delivered)?;
        crate::show(&format!(
            "{sent} frames from two ports into one: {account:?}"
        ));
        ensure!(account.tx_error == 0, "{account:?}");
        Ok(())
    });
}

/// A far end with a smaller MTU refuses every large frame, and a bulk from the
/// first large one on: small ones behind it are lost with it.
#[test]
fn losses_in_the_middle_of_a_bulk_are_accounted_for() {
    lab::test("losses-bulk", |lab| {
        let (star, router) = ready(lab, NATIVE)?;
        let sink = sink(&star.b)?;
        star.b.run(&format!("ip link set eth0 mtu {SMALL_MTU}"))?;
        let small = from_a(&star, &[B])?;
        let large = large(small.clone());
        let before = Account::of(&router, &[&star.a])?;
        // Side by side, so that the router finds both kinds in one poll.
        let floods = [
            Flood::start(&star.a, &small)?,
            Flood::start(&star.a, &large)?,
        ];
        let mixed = wait_for(LONG, "frames of both kinds", || {
            let account = Account::of(&router, &[&star.a])? - before;
            ensure!(
                account.tx_drop > 100_000 && account.tx_sent > 100_000,
                "{account:?}"
            );
            Ok(())
        });
        let [small, large] = floods.map(Flood::stop);
        let (small, large) = (small?, large?);
        mixed?;
        let account = wait_for(SHORT, "books that balance", || {
            let account = Account::of(&router, &[&star.a])? - before;
            // Two CPUs that send by one veth race for its own count of what it
            // loses, so only what has reached the router is certain.
            account.check(account.injected(), sink.count()?.arrived())?;
            ensure!(account.injected() <= small + large, "{account:?}");
            Ok(account)
        })?;
        crate::show(&format!(
            "{small} small and {large} large frames: {account:?}"
        ));
        Ok(())
    });
}

/// A port that loses everything is given to the kernel, named as degraded, and
/// tried again; the kernel says of its device that it takes redirects.
#[test]
fn losses_of_every_frame_give_the_port_to_the_kernel_for_a_while() {
    lab::test("losses-failing", |lab| {
        let (star, router) = ready(lab, NATIVE)?;
        let sink = sink(&star.b)?;
        star.b.run(&format!("ip link set eth0 mtu {SMALL_MTU}"))?;
        let frames = large(from_a(&star, &[B])?);
        let mut generator = generator(&star.a, &frames)?;
        wait_for(SHORT, "a verdict on eth1", || {
            generator.flood(64, BATCH)?;
            let status = router.show("status")?["degraded"].to_string();
            ensure!(status.contains("tx-error"), "{status}");
            Ok(())
        })?;
        router.wait_verdict("10.0.2.2", "up", "egress-cannot-redirect")?;
        wait_can_redirect(&router, "eth1", false)?;
        // Other ports are not concerned, and small packets pass by the kernel.
        wait_can_redirect(&router, "eth2", true)?;
        star.a.run("ping -q -c 3 -i 0.05 -W 3 10.0.2.2")?;
        star.b.run("ip link set eth0 mtu 1500")?;
        router.wait_degraded("tx-error", false)?;
        router.wait_forward("10.0.2.2", "eth1")?;
        let lost = router.counter("tx-drop")?;
        let report = generator.run_to(&sink, 10_000, BATCH)?;
        ensure!(report.delivered.frames == 10_000, "{report:?}");
        ensure!(router.counter("tx-drop")? == lost, "more was lost");
        Ok(())
    });
}

/// Transmit tracepoints fire for the whole machine and interface numbers repeat
/// in every namespace: each router counts its own losses only.
#[test]
fn losses_are_counted_by_the_router_that_lost_them() {
    lab::test("losses-whose", |lab| {
        let other_lab = Lab::new("losses-whose-other")?;
        let (losing, loser) = ready(lab, NATIVE)?;
        let (keeping, keeper) = ready(&other_lab, NATIVE)?;
        for port in ["eth0", "eth1", "eth2"] {
            let (one, other) = (ifindex(&losing.r1, port)?, ifindex(&keeping.r1, port)?);
            ensure!(one == other, "{port} is {one} and {other}");
        }
        let kept = sink(&keeping.b)?;
        let before = Account::of(&keeper, &[&keeping.a])?;
        let stranger = lose_as_a_stranger(&other_lab)?;
        let (refused, dropped) = lose_on_transmit(&losing, &loser)?;
        let mut generator = generator(&keeping.a, &from_a(&keeping, &[B])?)?;
        let report = generator.run_to(&kept, 20_000, BATCH)?;
        let arrived = || Ok(kept.count()?.arrived());
        let account = balance(&keeper, &[&keeping.a], before, report.sent, arrived)?;
        ensure!((account.tx_error, account.tx_drop) == (0, 0), "{account:?}");
        ensure!(
            loser.counter("tx-error")? == refused,
            "{refused} were refused"
        );
        ensure!(
            loser.counter("tx-drop")? == dropped,
            "{dropped} were dropped"
        );
        crate::show(&format!(
            "{refused} refused, {dropped} dropped by one router, {stranger} lost by a stranger"
        ));
        ensure!(stranger > 0, "the stranger has lost nothing");
        Ok(())
    });
}

fn ifindex(namespace: &Namespace, interface: &str) -> anyhow::Result<u64> {
    let links = namespace.ip_json(&format!("link show dev {interface}"))?;
    links[0]["ifindex"]
        .as_u64()
        .with_context(|| format!("no ifindex in {links}"))
}

/// 5,000 frames that the driver drops, then 5,000 refused redirects while the
/// daemon cannot hear of it: (refused, dropped).
fn lose_on_transmit(star: &Star, router: &Router) -> anyhow::Result<(u64, u64)> {
    router.signal(Signal::SIGSTOP)?;
    star.b.run(&format!("ip link set eth0 mtu {SMALL_MTU}"))?;
    let frames = large(from_a(star, &[B])?);
    let mut generator = generator(&star.a, &frames)?;
    let dropped = injected(&generator.flood(5_000, BATCH)?);
    star.b.run("ethtool -K eth0 gro off")?;
    let refused = injected(&generator.flood(5_000, BATCH)?);
    router.signal(Signal::SIGCONT)?;
    router.wait_until_ready()?;
    Ok((refused, dropped))
}

/// Somebody else's XDP program with interfaces of the same numbers, which loses
/// 5,000 frames in the driver and has 5,000 refused; returns how many its far
/// end has not got.
fn lose_as_a_stranger(lab: &Lab) -> anyhow::Result<u64> {
    let names = ["stranger-a", "stranger-r", "stranger-b"].map(|name| lab.namespace(name));
    let [a, r, b] = names;
    let (a, r, b) = (a?, r?, b?);
    lab.link(end(&a, "eth0"), end(&r, "eth0"))?;
    lab.link(end(&r, "eth1"), end(&b, "eth0").mtu(SMALL_MTU))?;
    let (source, destination) = (mac(&r, "eth1")?, mac(&b, "eth0")?);
    let relay = || Relay::attach("eth0", "eth1", source, destination, XdpMode::Driver);
    let _relay = r.enter(|| Ok(relay()?))?;
    let frames = large(crate::accounts::flow(
        &a,
        (&r, "eth0"),
        [10, 0, 1, 2],
        &[B],
    )?);
    let mut generator = generator(&a, &frames)?;
    let received = || -> anyhow::Result<u64> {
        let links = b.ip_json("-statistics link show dev eth0")?;
        Ok(links[0]["stats64"]["rx"]["packets"].as_u64().unwrap_or(0))
    };
    let mut sent = injected(&generator.flood(5_000, BATCH)?);
    b.run("ethtool -K eth0 gro off")?;
    sent += injected(&generator.flood(5_000, BATCH)?);
    Ok(sent - received()?)
}

/// Generic mode, ordinary sockets: all arrive, and are counted once.
#[test]
fn losses_do_not_occur_in_generic_mode_at_a_pace_the_hosts_bear() {
    lab::test("losses-generic", |lab| {
        let (star, router) = ready(lab, GENERIC)?;
        let before = Account::of(&router, &[&star.a])?;
        let arrived = datagrams(&star, 20_000)?;
        ensure!(arrived == 20_000, "{arrived} of 20000 have arrived");
        let account = Account::of(&router, &[&star.a])? - before;
        crate::show(&format!("20000 datagrams in generic mode: {account:?}"));
        ensure!(account.forwarded == 20_000, "{account:?}");
        ensure!(account.up + account.dropped == 0, "{account:?}");
        ensure!(account.tx_error + account.tx_drop == 0, "{account:?}");
        Ok(())
    });
}

/// Sends from a to b by sockets, at most 64 under way; returns how many arrived.
fn datagrams(star: &Star, count: u32) -> anyhow::Result<u32> {
    let to = SocketAddrV4::new(B, 5_000);
    let receiver = star.b.enter(|| Ok(UdpSocket::bind(to)?))?;
    receiver.set_read_timeout(Some(SHORT))?;
    let sender = star
        .a
        .enter(|| Ok(UdpSocket::bind(SocketAddrV4::new(A, 0))?))?;
    let mut buffer = [0; 64];
    let mut next = 0;
    for number in 0..count {
        sender.send_to(&number.to_be_bytes(), to)?;
        while number + 1 - next >= 64 || (number + 1 == count && next < count) {
            let length = receiver.recv(&mut buffer)?;
            ensure!(buffer[..length] == next.to_be_bytes(), "not number {next}");
            next += 1;
        }
    }
    Ok(next)
}
