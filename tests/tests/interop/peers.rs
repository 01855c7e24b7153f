//! The topology and the peers' configurations.
//!
//! ```text
//! frr 10.0.1.2 ── eth0 10.0.1.1 ┐
//!                               r1      each peer's own end is eth0
//! bird 10.0.2.2 ─ eth1 10.0.2.1 ┘
//! ```

use std::fmt::Write as _;

use anyhow::ensure;
use forwarder_tests::lab::{Bird, Frr, LONG, Lab, Namespace, Router, end, need, wait_for};

/// What every test here needs.
pub(crate) fn installed(name: &str) -> bool {
    need(
        name,
        &[
            "/usr/lib/frr/zebra",
            "/usr/lib/frr/ripd",
            "/usr/lib/frr/bgpd",
            "/usr/sbin/bird",
        ],
    )
}

/// RIP on both links, the fast path in native mode.
pub(crate) const CONFIG: &str = "
[dataplane]
attach = \"native\"
[rip]
interfaces = [\"eth*\"]
";

/// The three namespaces.
pub(crate) struct Net {
    pub(crate) frr: Namespace,
    pub(crate) bird: Namespace,
    pub(crate) r1: Namespace,
}

impl Net {
    pub(crate) fn new(lab: &Lab) -> anyhow::Result<Net> {
        let r1 = lab.router_namespace("r1")?;
        let (frr, bird) = (lab.router_namespace("frr")?, lab.router_namespace("bird")?);
        for (index, peer) in [&frr, &bird].into_iter().enumerate() {
            let net = index + 1;
            let near = end(peer, "eth0").address(&format!("10.0.{net}.2/24"));
            let far = end(&r1, &format!("eth{index}")).address(&format!("10.0.{net}.1/24"));
            lab.link(near, far)?;
        }
        Ok(Net { frr, bird, r1 })
    }

    /// FRR with these lines in `router rip`.
    pub(crate) fn start_frr<'lab>(&self, lab: &'lab Lab, lines: &str) -> anyhow::Result<Frr<'lab>> {
        let ripd = format!("router rip\n version 2\n network eth0\n{lines}");
        lab.start_frr(&self.frr, &[("ripd", &ripd)])
    }

    /// BIRD that announces these static blackhole routes.
    pub(crate) fn start_bird(&self, lab: &Lab, routes: &[String]) -> anyhow::Result<Bird> {
        lab.start_bird(&self.bird, &bird_config(routes))
    }
}

/// Timers of BIRD's and FRR's own: a large table has to arrive in the first
/// update, or half a minute later.
pub(crate) fn bird_config(routes: &[String]) -> String {
    let mut text = String::from(
        "router id 10.0.2.2;
protocol device { scan time 1; }
protocol direct { ipv4; interface \"lo\"; }
protocol kernel { ipv4 { export where source = RTS_RIP; }; }
protocol rip { ipv4 { import all; export all; }; interface \"eth0\" {}; }
protocol static st1 { ipv4;
",
    );
    for route in routes {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "route {route} blackhole;");
    }
    text.push_str("}\n");
    text
}

/// `count` different /24 prefixes of a network: 10,000 need three of the
/// address's octets.
pub(crate) fn prefixes(first_octet: u8, count: usize) -> Vec<String> {
    (0..count)
        .map(|n| format!("{first_octet}.{}.{}.0/24", n / 256, n % 256))
        .collect()
}

/// Waits until `count` routes of protocol `proto` are in the kernel's table.
pub(crate) fn wait_kernel(namespace: &Namespace, proto: &str, count: usize) -> anyhow::Result<()> {
    wait_for(
        LONG,
        &format!("{count} routes proto {proto} on {}", namespace.name()),
        || {
            let there = namespace
                .run(&format!("ip route show proto {proto}"))?
                .lines()
                .count();
            ensure!(there == count, "{there} are there");
            Ok(())
        },
    )
}

/// No packet was lost for want of room, in sockets or on links.
pub(crate) fn assert_no_drops(router: &Router) -> anyhow::Result<()> {
    let interfaces = router.show("rip interfaces")?;
    for interface in interfaces.as_array().into_iter().flatten() {
        ensure!(
            interface["socket_drops"] == 0,
            "lost in the socket: {interface}"
        );
    }
    for link in router
        .namespace()
        .ip_json("-statistics link show")?
        .as_array()
        .into_iter()
        .flatten()
    {
        let received = &link["stats64"]["rx"];
        ensure!(
            received["dropped"] == 0 && received["missed"] != 1,
            "lost on the link: {link}"
        );
    }
    let udp = router
        .namespace()
        .run("nstat -asz UdpRcvbufErrors UdpInErrors")?;
    let lost = udp.lines().filter(|line| line.starts_with("Udp"));
    for line in lost {
        ensure!(
            line.split_whitespace().nth(1) == Some("0"),
            "lost in a socket: {line}"
        );
    }
    Ok(())
}
