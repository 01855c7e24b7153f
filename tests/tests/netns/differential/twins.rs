//! Two routers that differ in one thing: ours has the daemon with its program,
//! the other has the kernel alone.

use std::fmt::Write as _;

use forwarder_tests::lab::{Lab, Namespace, Router, end};

use super::wire::Wire;

pub(super) const PORTS: usize = 3;
/// Of the link of port 2.
pub(super) const SMALL_MTU: u32 = 1_300;

/// Nothing is limited: the kernel alone has no such limits.
const CONFIG: &str = "attach = \"native\"\n[dataplane.punt]\nown = 0\nlink = 0\n\
    ttl = 0\nno-route = 0\nunreachable = 0\nunresolved = 0\nmtu = 0\noptions = 0\nredirect = 0\n\
    link-local = 0\n";

/// Nested, of every kind, by gateways of both kinds, and with an MTU.
const ROUTES: &str = "
route add 198.51.100.0/24 via 10.0.2.2
route add 198.51.100.128/25 via 10.0.3.2
route add 198.51.100.200/32 via 10.0.1.2
route add blackhole 198.51.101.0/24
route add unreachable 198.51.102.0/24
route add prohibit 198.51.103.0/24
route add throw 198.51.104.0/24
route add 203.0.113.0/24 via 10.0.2.3 mtu lock 1000
route add 2001:db8:100::/48 via 2001:db8:2::2
route add 2001:db8:100:8000::/49 via 2001:db8:3::2
route add 2001:db8:100:8000::200/128 via fe80::2 dev eth0
route add blackhole 2001:db8:101::/48
route add unreachable 2001:db8:102::/48
route add prohibit 2001:db8:103::/48
route add 2001:db8:110::/48 via 2001:db8:2::3 mtu lock 1290
";

/// The MAC address of a router's port: both have the same.
pub(super) fn port_mac(port: usize) -> [u8; 6] {
    [2, 0, 0, 0, port as u8 + 1, 1]
}

/// That of the far end, which is host .2 of the port's network.
pub(super) fn far_mac(port: usize) -> [u8; 6] {
    [2, 0, 0, 0, port as u8 + 1, 2]
}

/// See the module's head.
pub(super) struct Twins {
    pub(super) router: Router,
    pub(super) ours: Wire,
    pub(super) kernels: Wire,
}

impl Twins {
    /// Ours looks routes up by this engine.
    pub(super) fn start(lab: &Lab, engine: &str) -> anyhow::Result<Twins> {
        let (ours, r1) = topology(lab, "r1", "w1")?;
        let (kernels, _) = topology(lab, "k1", "w2")?;
        let config = format!("[dataplane]\nengine = \"{engine}\"\n{CONFIG}");
        let router = lab.start_router(&r1, &config)?;
        for (address, port) in [
            ("10.0.1.3", "eth0"),
            ("203.0.113.7", "eth1"),
            ("198.51.100.200", "eth0"),
            ("2001:db8:3::3", "eth2"),
            ("2001:db8:110::7", "eth1"),
            ("2001:db8:100:8000::200", "eth0"),
        ] {
            router.wait_forward(address, port)?;
        }
        router.wait_until_settled()?;
        Ok(Twins {
            router,
            ours,
            kernels,
        })
    }
}

fn topology(lab: &Lab, router: &str, wire: &str) -> anyhow::Result<(Wire, Namespace)> {
    let r = lab.router_namespace(router)?;
    let w = lab.namespace(wire)?;
    for (key, value) in [
        ("ipv6/conf/all/disable_ipv6", "0"),
        ("ipv6/conf/default/disable_ipv6", "0"),
        ("ipv6/conf/default/accept_dad", "0"),
        ("ipv6/conf/all/forwarding", "1"),
        // The kernel's answers: each time, and always the same.
        ("ipv4/icmp_ratelimit", "0"),
        ("ipv4/icmp_msgs_per_sec", "1000000"),
        ("ipv4/icmp_msgs_burst", "1000000"),
        ("ipv6/icmp/ratelimit", "0"),
        ("ipv6/auto_flowlabels", "0"),
        ("ipv4/conf/all/rp_filter", "0"),
        ("ipv4/conf/default/rp_filter", "0"),
    ] {
        r.sysctl(&format!("net/{key}"), value)?;
    }
    let mut batch = String::new();
    for port in 0..PORTS {
        let (net, dev) = (port + 1, format!("eth{port}"));
        let mac = |host: u8| format!("02:00:00:00:{net:02x}:{host:02x}");
        let near = end(&r, &dev)
            .mac(&mac(1))
            .address(&format!("10.0.{net}.1/24"));
        let (mut near, mut far) = (near, end(&w, &dev).mac(&mac(2)));
        if port == 2 {
            (near, far) = (near.mtu(SMALL_MTU), far.mtu(SMALL_MTU));
        }
        // The far end first: a port is told whether it takes redirected frames
        // when it comes up.
        lab.link(far, near)?;
        let _ = writeln!(batch, "address add 2001:db8:{net}::1/64 dev {dev} nodad");
        for host in [2, 3] {
            for address in [
                format!("10.0.{net}"),
                format!("2001:db8:{net}:"),
                "fe80:".into(),
            ] {
                let dot = if address.contains(':') { ':' } else { '.' };
                let _ = writeln!(
                    batch,
                    "neighbour add {address}{dot}{host} lladdr {} dev {dev} nud permanent",
                    mac(host)
                );
            }
        }
    }
    r.run_with_input("ip -batch -", &(batch + ROUTES.trim_start()))?;
    Ok((Wire::open(&w)?, r))
}
