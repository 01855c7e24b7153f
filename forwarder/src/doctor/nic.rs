//! What the device and its driver can do: native XDP, frames in several buffers,
//! offloads that get in the way.

use forwarder_core::config::Attach;

use super::drivers::{self, Ability};
use super::finding::Finding;
use super::interface::{ONLY_NATIVE, On};
use crate::dataplane::features::{BASIC, NDO_XMIT, REDIRECT, RX_SG};

pub(super) fn judge(on: &On<'_>) -> Vec<Finding> {
    let mut findings = vec![on.driver(), on.redirect(), on.mtu()];
    findings.extend(on.offloads());
    findings
}

impl On<'_> {
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
    fn offload(&self, name: &str) -> Option<bool> {
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
        match self.offload("rx-vlan-hw-parse") {
            None => return check.ok("rxvlan off"),
            Some(_) if vlans.is_empty() => return check.ok("rxvlan on, no VLAN sub-interfaces"),
            Some(true) => return check.ok("rxvlan on; the daemon switches it off"),
            Some(false) => {}
        }
        let finding = check.warning(
            format!(
                "rxvlan is on, with VLAN sub-interfaces {}",
                vlans.join(", ")
            ),
            "The driver takes the tag away before the program sees the frame, so the port hands \
             everything up (`vlan-offload`).",
        );
        self.switch_off(finding, false, "rxvlan")
    }

    /// Frames that the device has joined are larger than any way out.
    fn receive_offload(&self) -> Finding {
        let check = self.check("receive-offload");
        let options = [("rx-lro", "lro"), ("rx-gro-hw", "rx-gro-hw")];
        let on = options.into_iter();
        let on: Vec<(&str, bool)> = on
            .filter_map(|(feature, option)| Some((option, self.offload(feature)?)))
            .collect();
        let names: Vec<&str> = on.iter().map(|(option, _)| *option).collect();
        let found = format!("{} on", names.join(", "));
        if on.is_empty() {
            return check.ok("lro and rx-gro-hw off");
        }
        if !self.wants_native() {
            return check.ok(format!("{found}; the generic hook switches them off"));
        }
        let finding = check.warning(
            found,
            "The device joins frames of a flow: many drivers refuse native XDP with it, and what \
             is joined exceeds every MTU.",
        );
        on.into_iter()
            .fold(finding, |finding, (option, changeable)| {
                self.switch_off(finding, changeable, option)
            })
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
}
