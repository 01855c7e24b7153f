//! RIPng with FRR's ripngd and BIRD's `rip ng`, both ways.

use anyhow::{Context as _, ensure};
use forwarder_tests::lab::{self, Bird, Frr, Lab, Namespace, Router, need};

use crate::peers::Net;

const CONFIG: &str = "
[dataplane]
attach = \"native\"
[ripng]
interfaces = [\"eth*\"]
update = \"2s\"
timeout = \"10s\"
garbage = \"4s\"
redistribute = [{ source = \"static\", metric = 3, tag = 7 }]
[[static]]
prefix = \"2001:db8:9::/48\"
type = \"blackhole\"
";

const FRRS: &str = "2001:db8:1::/64";
const BIRDS: &str = "2001:db8:2::/64";
const OURS: &str = "2001:db8:9::/48";

fn start_frr<'lab>(lab: &'lab Lab, net: &Net) -> anyhow::Result<Frr<'lab>> {
    let ripngd = format!("router ripng\n network eth0\n timers basic 5 30 20\n route {FRRS}\n");
    lab.start_frr(&net.frr, &[("ripngd", &ripngd)])
}

fn bird_config(announce: bool) -> String {
    let route = match announce {
        true => "route 2001:db8:2::/64 blackhole;",
        false => "",
    };
    format!(
        "router id 10.0.2.2;
protocol device {{ scan time 1; }}
protocol kernel {{ ipv6 {{ export where source = RTS_RIP; }}; }}
protocol rip ng {{ ipv6 {{ import all; export all; }};
  interface \"eth0\" {{ update time 5; timeout time 30; garbage time 20; ttl security yes; }}; }}
protocol static st1 {{ ipv6; {route} }}
"
    )
}

fn start_bird(lab: &Lab, net: &Net) -> anyhow::Result<Bird> {
    lab.start_bird(&net.bird, &bird_config(true))
}

/// Waits for an IPv6 route in a kernel's table.
fn wait(namespace: &Namespace, prefix: &str, text: &str) -> anyhow::Result<()> {
    lab::wait_for(
        lab::LONG,
        &format!("{prefix} on {}", namespace.name()),
        || {
            let routes = namespace.run(&format!("ip -6 route show exact {prefix}"))?;
            ensure!(routes.contains(text), "{routes:?}");
            Ok(())
        },
    )
}

fn wait_gone(namespace: &Namespace, prefix: &str) -> anyhow::Result<()> {
    lab::wait_for(
        lab::LONG,
        &format!("{prefix} to go from {}", namespace.name()),
        || {
            let routes = namespace.run(&format!("ip -6 route show exact {prefix}"))?;
            ensure!(!routes.contains("via"), "{routes:?}");
            Ok(())
        },
    )
}

fn installed(name: &str) -> bool {
    need(
        name,
        &[
            "/usr/lib/frr/zebra",
            "/usr/lib/frr/ripngd",
            "/usr/sbin/bird",
        ],
    )
}

/// The three namespaces, with IPv6: new addresses are tried for a second before
/// they can be spoken from, as in life.
fn topology(lab: &Lab) -> anyhow::Result<Net> {
    let net = Net::new(lab)?;
    for namespace in [&net.r1, &net.frr, &net.bird] {
        for scope in ["all", "default", "lo"] {
            namespace.sysctl(&format!("net/ipv6/conf/{scope}/disable_ipv6"), "0")?;
        }
        namespace.sysctl("net/ipv6/conf/all/forwarding", "1")?;
    }
    Ok(net)
}

/// One router is heard, at its link-local address, and nothing is refused.
fn assert_one_neighbour(router: &Router) -> anyhow::Result<()> {
    let neighbors = router.show("rip neighbors")?;
    let rows: Vec<_> = neighbors.as_array().into_iter().flatten().collect();
    let [row] = rows[..] else {
        anyhow::bail!("{neighbors}")
    };
    let address = row["address"].as_str().unwrap_or_default();
    ensure!(
        address.starts_with("fe80:") && row["bad_packets"] == 0 && row["bad_routes"] == 0,
        "{neighbors}"
    );
    Ok(())
}

#[test]
fn ripng_both_ways_with_bird() {
    if !installed("interop-ripng-bird") {
        return;
    }
    lab::test("interop-ripng-bird", |lab| {
        let net = topology(lab)?;
        let router = lab.start_router(&net.r1, CONFIG)?;
        let bird = start_bird(lab, &net)?;
        wait(&net.r1, BIRDS, "proto forwarder")?;
        wait(&net.bird, OURS, "proto bird")?;
        assert_one_neighbour(&router)?;
        // Nothing was tried from an address that could not be spoken from yet.
        let log = router.process().log();
        ensure!(!log.contains("not sent"), "{log}");
        // With metric and tag as redistributed, one more for the link.
        let routes = bird.birdc(&format!("show route all {OURS}"))?;
        ensure!(
            routes.contains("RIP.metric: 4") && routes.contains("RIP.tag: 0007"),
            "{routes}"
        );
        bird.configure(&bird_config(false))?;
        wait_gone(&net.r1, BIRDS)?;
        router.stop()?;
        wait_gone(&net.bird, OURS)
    });
}

#[test]
fn ripng_both_ways_with_frr() {
    if !installed("interop-ripng-frr") {
        return;
    }
    lab::test("interop-ripng-frr", |lab| {
        let net = topology(lab)?;
        let router = lab.start_router(&net.r1, CONFIG)?;
        let frr = start_frr(lab, &net)?;
        wait(&net.frr, OURS, "proto ripng")?;
        wait(&net.r1, FRRS, "proto forwarder").with_context(|| {
            let said = ["show ipv6 ripng", "show ipv6 ripng status"].map(|line| frr.vtysh(line));
            format!("{said:?}")
        })?;
        assert_one_neighbour(&router)?;
        router.stop()?;
        wait_gone(&net.frr, OURS)
    });
}
