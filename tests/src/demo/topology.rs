//! The demo's network, and the daemons in it.
//!
//! ```text
//! hostA ── r1 ─────── r3 ── hostB
//!           └── r2 ──┘
//! ```
//!
//! Built once with the daemon in every router, and once more without it, for
//! the kernel to forward over the same routes.

use std::net::Ipv4Addr;
use std::time::Instant;

use crate::lab::{Lab, Namespace, Router, RouterOptions, end};

/// hostA's address.
pub(super) const HOST_A: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 2);
/// hostB's address.
pub(super) const HOST_B: Ipv4Addr = Ipv4Addr::new(10, 3, 0, 2);
/// hostA's network.
pub(super) const NET_A: &str = "10.1.0.0/24";
/// hostB's network.
pub(super) const NET_B: &str = "10.3.0.0/24";
/// r1 and r3 on the link between them, the short path.
pub(super) const R1_TO_R3: Ipv4Addr = Ipv4Addr::new(10, 13, 0, 1);
pub(super) const R3_TO_R1: Ipv4Addr = Ipv4Addr::new(10, 13, 0, 3);
/// r2's two addresses, the long path.
pub(super) const R2_TO_R1: Ipv4Addr = Ipv4Addr::new(10, 12, 0, 2);
pub(super) const R2_TO_R3: Ipv4Addr = Ipv4Addr::new(10, 23, 0, 2);

/// The hosts' interface, and the routers' interfaces to them.
pub(super) const HOST_PORT: &str = "eth0";

/// Every router's configuration: all defaults but for veth's sake `native`.
const CONFIG: &str = r#"[dataplane]
attach = "native"

[rip]
interfaces = ["to-r*"]
redistribute = ["connected"]
"#;

/// The namespaces and the links between them.
pub(super) struct Topology {
    pub(super) host_a: Namespace,
    pub(super) r1: Namespace,
    pub(super) r2: Namespace,
    pub(super) r3: Namespace,
    pub(super) host_b: Namespace,
}

impl Topology {
    pub(super) fn build(lab: &Lab) -> anyhow::Result<Topology> {
        let topology = Topology {
            host_a: lab.namespace("hostA")?,
            r1: router(lab, "r1")?,
            r2: router(lab, "r2")?,
            r3: router(lab, "r3")?,
            host_b: lab.namespace("hostB")?,
        };
        topology.link(lab)?;
        Ok(topology)
    }

    fn link(&self, lab: &Lab) -> anyhow::Result<()> {
        let Topology {
            host_a,
            r1,
            r2,
            r3,
            host_b,
        } = self;
        let links = [
            (host_a, HOST_PORT, "10.1.0.2", r1, "to-a", "10.1.0.1"),
            (r1, "to-r3", "10.13.0.1", r3, "to-r1", "10.13.0.3"),
            (r1, "to-r2", "10.12.0.1", r2, "to-r1", "10.12.0.2"),
            (r2, "to-r3", "10.23.0.2", r3, "to-r2", "10.23.0.3"),
            (r3, "to-b", "10.3.0.1", host_b, HOST_PORT, "10.3.0.2"),
        ];
        for (a, a_port, a_address, b, b_port, b_address) in links {
            lab.link(
                end(a, a_port).address(&format!("{a_address}/24")),
                end(b, b_port).address(&format!("{b_address}/24")),
            )?;
        }
        host_a.run("ip route add default via 10.1.0.1")?;
        host_b.run("ip route add default via 10.3.0.1").map(drop)
    }

    /// The routes that RIP would find, by hand: for the kernel alone.
    pub(super) fn add_static_routes(&self) -> anyhow::Result<()> {
        self.r1
            .run(&format!("ip route add {NET_B} via {R3_TO_R1}"))?;
        self.r3
            .run(&format!("ip route add {NET_A} via {R1_TO_R3}"))
            .map(drop)
    }

    /// Every router with every port of it.
    pub(super) fn router_ports(&self) -> [(&Namespace, &'static [&'static str]); 3] {
        [
            (&self.r1, &["to-a", "to-r3", "to-r2"]),
            (&self.r2, &["to-r1", "to-r3"]),
            (&self.r3, &["to-b", "to-r1", "to-r2"]),
        ]
    }
}

/// A router's namespace: no reverse-path filter, whatever this machine's
/// default is, since it would cost the kernel a second lookup.
fn router(lab: &Lab, name: &str) -> anyhow::Result<Namespace> {
    let namespace = lab.router_namespace(name)?;
    for scope in ["all", "default"] {
        namespace.sysctl(&format!("net/ipv4/conf/{scope}/rp_filter"), "0")?;
    }
    Ok(namespace)
}

/// The three daemons.
pub(super) struct Routers {
    pub(super) r1: Router,
    pub(super) r2: Router,
    pub(super) r3: Router,
    /// When the first was started.
    pub(super) started: Instant,
}

impl Routers {
    /// Starts all three at once and waits until they answer.
    pub(super) fn start(lab: &Lab, topology: &Topology) -> anyhow::Result<Routers> {
        let options = RouterOptions {
            log: "info",
            ..RouterOptions::default()
        };
        let spawn = |namespace: &Namespace| Router::spawn(lab, namespace, CONFIG, &options);
        let routers = Routers {
            started: Instant::now(),
            r1: spawn(&topology.r1)?,
            r2: spawn(&topology.r2)?,
            r3: spawn(&topology.r3)?,
        };
        for router in routers.all() {
            router.wait_until_ready()?;
        }
        Ok(routers)
    }

    pub(super) fn all(&self) -> [&Router; 3] {
        [&self.r1, &self.r2, &self.r3]
    }
}
