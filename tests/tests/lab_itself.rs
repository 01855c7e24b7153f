//! The lab proves itself with what the kernel and other daemons do, so that a
//! failure of the tests of the forwarder is the forwarder's.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use forwarder_tests::lab::traffic::{Stream, UdpEcho, exchange, transfer};
use forwarder_tests::lab::{self, LONG, Lab, Namespace, end, need, wait_for};

/// hostA 10.0.1.2 -- 10.0.1.1 r1 10.0.2.1 -- 10.0.2.2 hostB, by the kernel.
fn line(lab: &Lab) -> anyhow::Result<(Namespace, Namespace, Namespace)> {
    let (a, r1, b) = (
        lab.namespace("a")?,
        lab.router_namespace("r1")?,
        lab.namespace("b")?,
    );
    lab.link(
        end(&a, "eth0").address("10.0.1.2/24"),
        end(&r1, "eth0").address("10.0.1.1/24"),
    )?;
    lab.link(
        end(&r1, "eth1").address("10.0.2.1/24"),
        end(&b, "eth0").address("10.0.2.2/24"),
    )?;
    a.run("ip route add default via 10.0.1.1")?;
    b.run("ip route add default via 10.0.2.1")?;
    Ok((a, r1, b))
}

const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 2), 7);

#[test]
fn tcp_udp_and_ping_pass_a_kernel_router() {
    lab::test("lab-kernel-router", |lab| {
        let (a, _, b) = line(lab)?;
        a.run("ping -c 1 -W 3 10.0.2.2")?;
        transfer(&a, &b, SERVER, 1_000_000)?;
        let _echo = UdpEcho::start(&b, SERVER)?;
        let good = exchange(&a, SERVER, 20, 1_000)?;
        ensure!(good == 20, "{good} of 20 datagrams came back");
        Ok(())
    });
}

#[test]
fn a_stream_measures_an_outage() {
    lab::test("lab-stream", |lab| {
        let (a, r1, b) = line(lab)?;
        let stream = Stream::start(&a, &b, SERVER, Duration::from_millis(1))?;
        stream.wait_for_more(50, LONG)?;
        r1.sysctl("net/ipv4/ip_forward", "0")?;
        std::thread::sleep(Duration::from_millis(100));
        r1.sysctl("net/ipv4/ip_forward", "1")?;
        stream.wait_for_more(50, LONG)?;
        let gaps = stream.stop()?;
        let range = Duration::from_millis(95)..Duration::from_secs(2);
        ensure!(
            range.contains(&gaps.outage),
            "an outage of 100 ms was measured as {gaps:?}"
        );
        ensure!(
            gaps.sent == gaps.received + gaps.lost && gaps.lost > 20,
            "{gaps:?}"
        );
        Ok(())
    });
}

#[test]
fn nothing_is_left_of_a_lab() {
    lab::test("lab-leaves-nothing", |lab| {
        let (_, r1, _) = line(lab)?;
        let inner = Lab::new("lab-inner")?;
        let ns = inner.namespace("x")?;
        let (name, directory) = (ns.unique_name().to_owned(), inner.directory().to_owned());
        let sleeper = inner.spawn("sleeper", {
            let mut sleep = ns.command("sleep");
            sleep.arg("1000");
            sleep
        })?;
        ensure!(
            r1.run("ip netns list")?.contains(&name),
            "{name} was not made"
        );
        drop(inner);
        ensure!(!r1.run("ip netns list")?.contains(&name), "{name} is left");
        ensure!(sleeper.status()?.is_some(), "a process is left");
        ensure!(!directory.exists(), "{} is left", directory.display());
        Ok(())
    });
}

#[test]
fn a_capture_holds_what_passed() {
    if !need("lab-capture", &["/usr/bin/tshark"]) {
        return;
    }
    lab::test("lab-capture", |lab| {
        let (a, r1, _) = line(lab)?;
        lab.capture(&r1, "eth0")?;
        a.run("ping -c 3 -i 0.2 -W 3 10.0.1.1")?;
        let file = lab.directory().join("r1-eth0.pcapng");
        wait_for(LONG, "the ping in the capture", || {
            let output = a.output(&format!("tshark -n -r {} -Y icmp", file.display()))?;
            let text = String::from_utf8(output.stdout)?;
            ensure!(text.contains("10.0.1.2"), "{text}");
            Ok(())
        })
    });
}

/// The recipe the interoperation tests build on: FRR and BIRD exchange routes.
#[test]
fn frr_and_bird_exchange_rip_routes() {
    if !need("lab-frr-bird", &["/usr/lib/frr/ripd", "/usr/sbin/bird"]) {
        return;
    }
    lab::test("lab-frr-bird", |lab| {
        let (f, b) = (lab.router_namespace("f")?, lab.router_namespace("b")?);
        lab.link(
            end(&f, "eth0").address("10.0.12.1/24"),
            end(&b, "eth0").address("10.0.12.2/24"),
        )?;
        f.run("ip address add 192.168.1.1/24 dev lo")?;
        b.run("ip address add 192.168.2.1/24 dev lo")?;
        let ripd = "router rip\n version 2\n timers basic 5 30 20\n network eth0\n redistribute connected\n";
        let mut frr = lab.start_frr(&f, &[("ripd", ripd)])?;
        let bird = lab.start_bird(&b, BIRD)?;
        let learnt = |ns: &Namespace, prefix: &str| {
            let (ns, prefix) = (ns.clone(), prefix.to_owned());
            wait_for(LONG, &format!("{prefix} on {}", ns.name()), move || {
                let routes = ns.run("ip route")?;
                ensure!(routes.contains(&prefix), "{routes}");
                Ok(())
            })
        };
        learnt(&f, "192.168.2.0/24")?;
        learnt(&b, "192.168.1.0/24")?;
        ensure!(
            frr.vtysh("show ip rip")?.contains("192.168.2.0/24"),
            "vtysh does not know it"
        );
        ensure!(
            bird.birdc("show route")?.contains("192.168.1.0/24"),
            "birdc does not know it"
        );
        frr.stop("zebra")?;
        frr.start_daemon("zebra")?;
        bird.stop().context("stopping bird")?;
        Ok(())
    });
}

const BIRD: &str = r#"
router id 10.0.12.2;
protocol device { scan time 1; }
protocol direct { ipv4; interface "lo"; }
protocol kernel { ipv4 { export all; }; }
protocol rip { ipv4 { import all; export all; }; interface "eth0" { update time 5; timeout time 30; garbage time 20; }; }
"#;
