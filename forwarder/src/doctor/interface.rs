//! One interface: whether it would be a port, and what stands in the way.

use forwarder_common::abi::program;
use forwarder_core::config::{Attach, Bypass};

use super::facts::{Facts, Interface};
use super::finding::{Check, Finding};
use super::forwarding::{bypass_meaning, conf};
use super::{nic, queues, veth};

/// Nothing arrives by native XDP, which alone needs `ndo_xdp_xmit`.
pub(super) const ONLY_NATIVE: &str = "takes none by native XDP, which is not used here";

pub(super) fn judge(interface: &Interface, facts: &Facts) -> Vec<Finding> {
    let one = On { interface, facts };
    let mut findings = vec![one.port(), one.link(), one.programs()];
    if !interface.ethernet {
        return findings;
    }
    findings.push(one.forwarding());
    findings.extend(nic::judge(&one));
    findings.extend([queues::judge(&one), one.tc()]);
    findings.extend(veth::judge(&one));
    findings
}

/// An interface among the other facts.
pub(super) struct On<'a> {
    pub(super) interface: &'a Interface,
    pub(super) facts: &'a Facts,
}

impl Interface {
    /// Native XDP is what the daemon will try (`dataplane::attach`).
    pub(super) fn wants_native(&self, facts: &Facts) -> bool {
        match facts.config.dataplane.attach {
            Attach::Native => true,
            Attach::Auto => !self.software,
            Attach::Generic => false,
        }
    }
}

impl<'a> On<'a> {
    pub(super) fn check(&self, name: &'static str) -> Check<'a> {
        Check::on(&self.interface.name, name)
    }

    pub(super) fn name(&self) -> &'a str {
        &self.interface.name
    }

    pub(super) fn wants_native(&self) -> bool {
        self.interface.wants_native(self.facts)
    }

    /// The driver's name; empty where it is not known.
    pub(super) fn driver_name(&self) -> &'a str {
        self.interface.driver.as_deref().unwrap_or_default()
    }

    fn port(&self) -> Finding {
        match &self.interface.port {
            Ok(()) => self.check("port").ok("would be one"),
            Err(why) => self
                .check("port")
                .note(why, "It is no port: what arrives here is the kernel's."),
        }
    }

    fn link(&self) -> Finding {
        let (check, name) = (self.check("link"), self.name());
        let peer = self.interface.peer.as_ref().filter(|_| self.interface.up);
        match (self.interface.up, self.interface.carrier) {
            (true, true) => check.ok("up"),
            (false, _) => check
                .warning("down", "Nothing arrives here or leaves.")
                .mend(format!("ip link set {name} up")),
            (true, false) => {
                let finding = check.warning("no carrier", "Nothing arrives here or leaves.");
                let mend =
                    peer.and_then(|peer| peer.command(|peer| format!("ip link set {peer} up")));
                mend.into_iter().fold(finding, Finding::mend)
            }
        }
    }

    /// Ours by its name: the daemon runs. Whoever was first keeps the port.
    fn programs(&self) -> Finding {
        let check = self.check("xdp-program");
        let ours = |name: &str| [program::FORWARD, program::FORWARD_FRAGS].contains(&name);
        let mut found = Vec::new();
        for program in &self.interface.programs {
            match &program.name {
                Ok(name) if ours(name) => {}
                Ok(name) => found.push(format!("{name} (id {})", program.id)),
                Err(why) => {
                    return check.note(
                        format!(
                            "one with id {}; its name could not be asked for: {why}",
                            program.id
                        ),
                        "Where it is not the daemon's own, the daemon does not replace it.",
                    );
                }
            }
        }
        if found.is_empty() {
            let running = !self.interface.programs.is_empty();
            return check.ok(if running { "the daemon's own" } else { "none" });
        }
        check
            .problem(
                format!("another one is attached: {}", found.join(", ")),
                "The daemon leaves it and the port alone. Stop its owner (`bpftool net` and `bpftool \
                 link` show it); a program that stays behind is removed by:",
            )
            .mend(format!("ip link set dev {} xdp off", self.name()))
    }

    /// Off while the switch for all is on: somebody's choice, or an accident.
    fn forwarding(&self) -> Finding {
        let check = self.check("forwarding");
        let by_daemon = self.facts.config.kernel.forwarding;
        let all = matches!(self.facts.forwarding.ipv4, Ok(value) if value != 0);
        match (self.interface.forwarding, all) {
            (true, _) => check.ok("on"),
            (false, _) if by_daemon => check.ok("off; the daemon switches it on"),
            (false, false) => check.ok("off, as everywhere"),
            (false, true) => check
                .problem(
                    format!("{} is 0", conf(self.name(), "forwarding")),
                    "The port hands all IPv4 up (`forwarding-off`), and the kernel drops it.",
                )
                .mend(format!("sysctl -w {}=1", conf(self.name(), "forwarding"))),
        }
    }

    fn tc(&self) -> Finding {
        let check = self.check("traffic-control");
        let bypassed = self.facts.config.dataplane.bypass.contains(&Bypass::Tc);
        match &self.interface.tc {
            None => check.ok("none"),
            Some(text) if bypassed => check.ok(format!("{text}; bypassed by the configuration")),
            Some(text) => check.warning(text, bypass_meaning(Bypass::Tc)),
        }
    }
}
