//! One interface: whether it can be a port, and a fast one.

use forwarder_common::abi::program;
use forwarder_core::config::{Attach, Bypass};

use super::drivers::{self, Ability};
use super::facts::{Facts, Interface};
use super::finding::{Check, Finding};
use super::forwarding::{bypass_meaning, conf};
use super::{queues, veth};
use crate::dataplane::features::{BASIC, NDO_XMIT, REDIRECT, RX_SG};

/// Nothing arrives by native XDP, which alone needs `ndo_xdp_xmit`.
pub(super) const ONLY_NATIVE: &str = "takes none by native XDP, which is not used here";

pub(super) fn judge(interface: &Interface, facts: &Facts) -> Vec<Finding> {
    let one = On { interface, facts };
    let mut findings = vec![one.port(), one.link(), one.programs()];
    if !interface.ethernet {
        return findings;
    }
    findings.push(one.forwarding());
    findings.extend([one.driver(), one.redirect(), one.mtu()]);
    findings.push(queues::judge(&one));
    findings.extend(one.offloads());
    findings.push(one.tc());
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

    /// Whether the kernel tells of all these abilities.
    fn has(&self, bits: u64) -> Option<bool> {
        let abilities = self.interface.abilities?;
        Some(abilities & bits == bits)
    }

    fn runs_programs(&self) -> Option<bool> {
        let by_name = match drivers::ability(self.driver_name()) {
            Ability::Full | Ability::ReceiveOnly => Some(true),
            Ability::Unknown => None,
        };
        self.has(BASIC | REDIRECT).or(by_name)
    }

    /// Many drivers take redirected frames, and say so, only while they have a
    /// program: before that their name has to tell.
    fn takes_redirects(&self) -> Option<bool> {
        let told = self.has(NDO_XMIT);
        let has_program = !self.interface.programs.is_empty();
        if told == Some(true) || (told.is_some() && has_program) {
            return told;
        }
        match drivers::ability(self.driver_name()) {
            Ability::Full => Some(true),
            Ability::ReceiveOnly => Some(false),
            Ability::Unknown => None,
        }
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

    fn driver(&self) -> Finding {
        let check = self.check("driver");
        let driver = match &self.interface.driver {
            Err(why) => return check.hidden(why),
            Ok(driver) => driver,
        };
        let forced = self.facts.config.dataplane.attach == Attach::Native;
        match self.runs_programs() {
            Some(true) => check.ok(format!("{driver}, with native XDP")),
            Some(false) if forced => check.problem(
                format!("{driver} has no native XDP"),
                "`attach = \"native\"` cannot be had: the port gets no program.",
            ),
            _ if !self.wants_native() => check.ok(format!("{driver}, in the generic hook")),
            Some(false) => check.warning(
                format!("{driver} has no native XDP"),
                "The program runs in the kernel's generic hook, and gains little.",
            ),
            None => check.note(
                format!("{driver}: whether it has native XDP is not known"),
                "`forwarder show interfaces` tells once the daemon has tried.",
            ),
        }
    }

    /// A veth's is its peer's, and told there.
    fn redirect(&self) -> Finding {
        let check = self.check("redirect");
        if self.interface.peer.is_some() {
            return check.ok("by its peer, see veth-peer");
        }
        match self.takes_redirects() {
            Some(true) => check.ok("takes redirected frames"),
            _ if !self.facts.any_native() => check.ok(ONLY_NATIVE),
            None => check.note(
                "whether it takes redirected frames is not known",
                "If it does not, frames are lost until the daemon has noticed.",
            ),
            Some(false) => check.problem(
                "takes no redirected frames",
                "What arrives by native XDP and leaves here takes the slow path \
                 (`egress-cannot-redirect`). With `attach = \"generic\"` the fast path reaches it.",
            ),
        }
    }

    /// A program of one buffer is refused by the driver above its limit.
    fn mtu(&self) -> Finding {
        let (check, mtu) = (self.check("mtu"), self.interface.mtu);
        let limit = drivers::single_buffer_mtu(self.driver_name());
        let new_enough = self
            .facts
            .kernel
            .version
            .is_none_or(|found| found >= (5, 18));
        let multi_buffer = new_enough && self.has(RX_SG) == Some(true);
        if multi_buffer || mtu <= limit || !self.wants_native() {
            return check.ok(mtu.to_string());
        }
        check
            .warning(
                format!(
                    "{mtu}, and {} takes about {limit} with native XDP",
                    self.driver_name()
                ),
                "The driver will refuse the program: the port gets the generic hook.",
            )
            .mend(format!("ip link set {} mtu {limit}", self.name()))
    }

    fn offloads(&self) -> Vec<Finding> {
        match &self.interface.offloads {
            Err(why) => vec![self.check("offloads").hidden(why)],
            Ok(_) => vec![self.vlan_offload(), self.receive_offload()],
        }
    }

    /// On, and whether it can be switched.
    pub(super) fn offload(&self, name: &str) -> Option<bool> {
        let offloads = self.interface.offloads.as_ref().ok()?;
        offloads
            .get(name)
            .filter(|offload| offload.on)
            .map(|offload| offload.changeable)
    }

    /// A stripped tag would put the frames of VLAN 10 into the parent's network.
    fn vlan_offload(&self) -> Finding {
        let check = self.check("vlan-offload");
        let vlans = &self.interface.vlans;
        let changeable = match self.offload("rx-vlan-hw-parse") {
            None => return check.ok("rxvlan off"),
            Some(_) if vlans.is_empty() => return check.ok("rxvlan on, no VLAN sub-interfaces"),
            Some(changeable) => changeable,
        };
        let finding = check.warning(
            format!(
                "rxvlan is on, with VLAN sub-interfaces {}",
                vlans.join(", ")
            ),
            "The driver takes the tag away before the program sees the frame, so the port hands \
             everything up (`vlan-offload`).",
        );
        self.switch_off(finding, changeable, "rxvlan")
    }

    /// Frames that the device has joined are larger than any way out.
    fn receive_offload(&self) -> Finding {
        let check = self.check("receive-offload");
        for (feature, option) in [("rx-lro", "lro"), ("rx-gro-hw", "rx-gro-hw")] {
            let Some(changeable) = self.offload(feature) else {
                continue;
            };
            if !self.wants_native() {
                return check.ok(format!("{option} is on; the generic hook switches it off"));
            }
            let finding = check.warning(
                format!("{option} is on"),
                "The device joins frames of a flow: drivers refuse native XDP with it, and what is \
                 joined exceeds every MTU.",
            );
            return self.switch_off(finding, changeable, option);
        }
        check.ok("lro and rx-gro-hw off")
    }

    fn switch_off(&self, finding: Finding, changeable: bool, option: &str) -> Finding {
        if changeable {
            return finding.mend(format!("ethtool -K {} {option} off", self.name()));
        }
        let mut finding = finding;
        finding
            .found
            .push_str(", fixed by the driver or the hypervisor");
        finding
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
