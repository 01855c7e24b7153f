//! The topology most tests need: one router, three hosts.
//!
//! ```text
//! a 10.0.1.2 ── eth0 10.0.1.1 ┐
//! b 10.0.2.2 ── eth1 10.0.2.1 ┼ r1      each host's own end is eth0
//! c 10.0.3.2 ── eth2 10.0.3.1 ┘
//! ```

use super::{Lab, Namespace, Router, SHORT, end, wait_for};

/// See the module's head.
pub struct Star {
    /// 10.0.1.2
    pub a: Namespace,
    /// 10.0.2.2
    pub b: Namespace,
    /// 10.0.3.2
    pub c: Namespace,
    /// 10.0.1.1, 10.0.2.1, 10.0.3.1
    pub r1: Namespace,
}

/// How a [`Star`] differs from the plain one.
#[derive(Clone, Copy, Default, Debug)]
pub struct StarOptions {
    /// Hosts send with unfinished checksums, as veth does by default.
    pub offload: bool,
    /// MTU of the link to b, both ends.
    pub mtu_to_b: Option<u32>,
}

/// The hosts' names and the third octet of their networks.
const HOSTS: [(&str, u8); 3] = [("a", 1), ("b", 2), ("c", 3)];

impl Star {
    /// The plain one, without a daemon.
    ///
    /// # Errors
    /// A namespace or a link cannot be made.
    pub fn new(lab: &Lab) -> anyhow::Result<Star> {
        Self::with(lab, StarOptions::default())
    }

    /// With options.
    ///
    /// # Errors
    /// As for [`Star::new`].
    pub fn with(lab: &Lab, options: StarOptions) -> anyhow::Result<Star> {
        let r1 = lab.router_namespace("r1")?;
        let host = |index: usize| {
            let (name, net) = HOSTS[index];
            let host = lab.namespace(name)?;
            let mut near = end(&host, "eth0").address(&format!("10.0.{net}.2/24"));
            let mut far = end(&r1, &format!("eth{index}")).address(&format!("10.0.{net}.1/24"));
            if options.offload {
                near = near.offload();
            }
            if let (Some(mtu), "b") = (options.mtu_to_b, name) {
                (near, far) = (near.mtu(mtu), far.mtu(mtu));
            }
            lab.link(near, far)?;
            host.run(&format!("ip route add default via 10.0.{net}.1"))?;
            anyhow::Ok(host)
        };
        let (a, b, c) = (host(0)?, host(1)?, host(2)?);
        Ok(Star { a, b, c, r1 })
    }

    /// Gives every network an IPv6 one besides: `2001:db8:N::1` on the router and
    /// `2001:db8:N::2` on the host of `10.0.N.0/24`; the router forwards IPv6.
    ///
    /// # Errors
    /// `ip` or a sysctl refuses.
    pub fn add_ipv6(&self) -> anyhow::Result<()> {
        for namespace in [&self.a, &self.b, &self.c, &self.r1] {
            for scope in ["all", "default"] {
                namespace.sysctl(&format!("net/ipv6/conf/{scope}/disable_ipv6"), "0")?;
                namespace.sysctl(&format!("net/ipv6/conf/{scope}/accept_dad"), "0")?;
            }
        }
        self.r1.sysctl("net/ipv6/conf/all/forwarding", "1")?;
        for (index, (host, (_, net))) in [&self.a, &self.b, &self.c]
            .into_iter()
            .zip(HOSTS)
            .enumerate()
        {
            let add = |namespace: &Namespace, last: u8, dev: &str| {
                namespace.run(&format!(
                    "ip -6 addr add 2001:db8:{net}::{last}/64 dev {dev} nodad"
                ))
            };
            add(&self.r1, 1, &format!("eth{index}"))?;
            add(host, 2, "eth0")?;
            host.run(&format!("ip -6 route add default via 2001:db8:{net}::1"))?;
        }
        Ok(())
    }

    /// Makes every host known to the router and waits until it forwards to all
    /// of them in XDP.
    ///
    /// # Errors
    /// It does not in time.
    pub fn warm_up(&self, router: &Router) -> anyhow::Result<()> {
        let hosts = [
            (&self.a, "10.0.1"),
            (&self.b, "10.0.2"),
            (&self.c, "10.0.3"),
        ];
        for ((host, net), dev) in hosts.into_iter().zip(["eth0", "eth1", "eth2"]) {
            wait_for(SHORT, "a ping of the router", || {
                host.run(&format!("ping -c 1 -W 1 {net}.1"))
            })?;
            router.wait_forward(&format!("{net}.2"), dev)?;
        }
        Ok(())
    }
}
