//! The router that is measured, whichever of the three it is, and the links around
//! it.
//!
//! ```text
//! neighbour 0: 10.0.1.2 ── eth0 10.0.1.1 ┐
//! neighbour 1: 10.0.2.2 ── eth1 10.0.2.1 ┼ the router      each neighbour's own end is eth0
//! neighbour 2: 10.0.3.2 ── eth2 10.0.3.1 ┘
//! ```

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use anyhow::Context as _;
use forwarder::bench::samples::Summary;
use serde::Serialize;

use super::counters::Counters;
use crate::lab::{
    Api, Bird, Frr, Lab, Namespace, Process, Router, RouterOptions, SHORT, end, wait_for,
};

/// Whose daemon it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Ours.
    Forwarder,
    /// FRR's ripd on its zebra.
    Frr,
    /// BIRD.
    Bird,
}

impl Kind {
    /// In the order of the columns.
    pub(super) const ALL: [Kind; 3] = [Kind::Forwarder, Kind::Frr, Kind::Bird];

    /// As its users write it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Forwarder => "forwarder",
            Kind::Frr => "FRR",
            Kind::Bird => "BIRD",
        }
    }

    /// Names a namespace of a lab.
    fn label(self) -> &'static str {
        match self {
            Kind::Forwarder => "fw",
            Kind::Frr => "frr",
            Kind::Bird => "bird",
        }
    }
}

/// RIP on all links, otherwise all defaults but for veth's sake `native`.
const FORWARDER: &str = "[dataplane]\nattach = \"native\"\n[rip]\ninterfaces = [\"eth*\"]\n";
const FRR: &str = "router rip\n version 2\n network eth0\n network eth1\n network eth2\n";

/// BIRD with what RIP learns in the kernel's table, and these routes of its own.
pub(super) fn bird_config(routes: usize) -> String {
    let mut text = String::from(
        "router id 10.0.0.1;
protocol device {}
protocol kernel { ipv4 { export where source = RTS_RIP; }; }
protocol rip { ipv4 { import all; export all; }; interface \"eth*\" {}; }
protocol static st1 { ipv4;
",
    );
    for n in 0..routes {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "route {} blackhole;", super::speaker::prefix(n));
    }
    text.push_str("}\n");
    text
}

/// A router's namespace and those of its neighbours.
pub(super) struct Bed {
    pub(super) router: Namespace,
    pub(super) neighbours: Vec<Namespace>,
}

impl Bed {
    /// With so many neighbours, at most three.
    pub(super) fn new(lab: &Lab, kind: Kind, neighbours: u8) -> anyhow::Result<Bed> {
        let label = kind.label();
        let router = lab.router_namespace(&format!("{label}-r"))?;
        let mut bed = Bed {
            router,
            neighbours: Vec::new(),
        };
        for n in 0..neighbours {
            let neighbour = lab.router_namespace(&format!("{label}-n{n}"))?;
            let near = end(&neighbour, "eth0").address(&format!("{}/24", neighbour_address(n)));
            let far = end(&bed.router, &format!("eth{n}")).address(&format!("10.0.{}.1/24", n + 1));
            lab.link(near, far)?;
            bed.neighbours.push(neighbour);
        }
        Ok(bed)
    }

    /// Makes all neighbours known to the router, which forwards to nobody else
    /// in the fast path.
    pub(super) fn ping(&self) -> anyhow::Result<()> {
        for (n, neighbour) in (1..).zip(&self.neighbours) {
            wait_for(SHORT, "an answer to ping", || {
                neighbour.run(&format!("ping -c 1 -W 1 10.0.{n}.1"))
            })?;
        }
        Ok(())
    }
}

/// The address of the `n`th neighbour, from 0.
pub(super) fn neighbour_address(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, n + 1, 2)
}

enum Daemon<'lab> {
    Forwarder(Router),
    Frr(Frr<'lab>),
    Bird(Bird),
}

/// A router that runs. It ends with its lab.
pub(super) struct Device<'lab> {
    pub(super) kind: Kind,
    pub(super) counters: Counters,
    /// Ours alone has one.
    pub(super) fast_path: Option<FastPath>,
    daemon: Daemon<'lab>,
}

impl<'lab> Device<'lab> {
    /// Starts it and waits until it is up and, in our case, has all of the
    /// kernel's routes.
    pub(super) fn start(
        lab: &'lab Lab,
        kind: Kind,
        namespace: &Namespace,
    ) -> anyhow::Result<Device<'lab>> {
        let counters = Counters::open(namespace)?;
        let daemon = match kind {
            Kind::Forwarder => {
                let options = RouterOptions {
                    log: "warn",
                    ..RouterOptions::default()
                };
                let router = lab.start_router_with(namespace, FORWARDER, &options)?;
                router.wait_until_settled()?;
                Daemon::Forwarder(router)
            }
            Kind::Frr => Daemon::Frr(lab.start_frr(namespace, &[("ripd", FRR)])?),
            Kind::Bird => Daemon::Bird(lab.start_bird(namespace, &bird_config(0))?),
        };
        let fast_path = match &daemon {
            Daemon::Forwarder(router) => Some(FastPath::open(router)?),
            Daemon::Frr(_) | Daemon::Bird(_) => None,
        };
        let mut device = Device {
            kind,
            counters,
            fast_path,
            daemon,
        };
        let what = format!("{} to listen to RIP", kind.name());
        wait_for(SHORT, &what, || device.counters.listens())?;
        Ok(device)
    }

    /// Of all processes that it consists of.
    pub(super) fn pids(&self) -> Vec<u32> {
        match &self.daemon {
            Daemon::Forwarder(router) => vec![router.process().pid()],
            Daemon::Frr(frr) => frr.processes().map(Process::pid).collect(),
            Daemon::Bird(bird) => vec![bird.process().pid()],
        }
    }
}

/// What our daemon says of its XDP program's table, over one kept connection.
pub(super) struct FastPath {
    api: Api,
    before: u64,
}

impl FastPath {
    fn open(router: &Router) -> anyhow::Result<FastPath> {
        let mut fast_path = FastPath {
            api: router.api()?,
            before: 0,
        };
        fast_path.before = fast_path.prefixes()?;
        Ok(fast_path)
    }

    /// Prefixes beyond those that were there when RIP had learnt nothing.
    pub(super) fn learnt(&mut self) -> anyhow::Result<u64> {
        Ok(self.prefixes()?.saturating_sub(self.before))
    }

    fn prefixes(&mut self) -> anyhow::Result<u64> {
        let fib = self.api.get("/v1/fib")?;
        fib["prefixes"].as_u64().context("no `prefixes` in /v1/fib")
    }

    /// The port by which it forwards packets to this address; `None` = it does
    /// not.
    pub(super) fn port(&mut self, address: Ipv4Addr) -> anyhow::Result<Option<String>> {
        let answer = self.api.get(&format!("/v1/lookup?address={address}"))?;
        let xdp = &answer["xdp"];
        let forwards = xdp["verdict"] == "forward";
        Ok(forwards
            .then(|| xdp["dev"].as_str().map(str::to_owned))
            .flatten())
    }
}

/// The median, where `None` is longer than anything that was waited for; `None`
/// when it is that.
pub(super) fn median(samples: impl IntoIterator<Item = Option<f64>>) -> Option<f64> {
    let samples: Vec<f64> = samples
        .into_iter()
        .map(|sample| sample.unwrap_or(f64::INFINITY))
        .collect();
    let median = Summary::of(&samples)?.median;
    median.is_finite().then_some(median)
}

/// Milliseconds, to the microsecond.
pub(super) fn milliseconds(duration: std::time::Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::{bird_config, median};

    #[test]
    fn what_was_not_seen_is_longer_than_what_was() {
        assert_eq!(median([Some(3.0), None, Some(1.0)]), Some(3.0));
        assert_eq!(median([Some(3.0), None, None]), None);
        assert_eq!(median([Some(3.0), None]), None);
        assert_eq!(median([]), None);
    }

    #[test]
    fn bird_has_as_many_routes_as_it_is_told() {
        let config = bird_config(300);
        assert_eq!(config.matches("blackhole;").count(), 300);
        assert!(config.contains("route 20.1.43.0/24 blackhole;\n"));
    }
}
