//! What a veth needs at its other end.
//!
//! A frame redirected into a veth is received by its peer's NAPI, which runs only
//! where the peer has an XDP program or GRO (`veth_xdp_xmit`); and what the
//! peer's own stack sends comes without an L4 checksum unless transmit checksum
//! offload is off there, which a native redirect keeps.

use forwarder_core::config::Attach;

use super::facts::{Peer, Place};
use super::finding::Finding;
use super::interface::{ONLY_NATIVE, On};
use crate::dataplane::features::NDO_XMIT;
use crate::dataplane::ports::unknown_veth;

pub(super) fn judge(on: &On<'_>) -> Vec<Finding> {
    let Some(peer) = &on.interface.peer else {
        return Vec::new();
    };
    vec![receives(on, peer), checksums(on, peer)]
}

fn receives(on: &On<'_>, peer: &Peer) -> Finding {
    let check = on.check("veth-peer");
    let abilities = on.interface.abilities;
    if abilities.is_some_and(|bits| bits & NDO_XMIT != 0) {
        return check.ok("the peer receives redirected frames");
    }
    if !on.facts.any_native() {
        return check.ok(ONLY_NATIVE);
    }
    if abilities.is_none() {
        return unknown(on, peer);
    }
    let finding = check.problem(
        format!("{} has neither an XDP program nor GRO", peer.describe()),
        format!("Frames redirected natively into this veth would be lost, so {SLOW}"),
    );
    mended(finding, peer, "gro on")
}

/// What happens to frames for a port that takes no redirects.
const SLOW: &str = "they take the slow path (`egress-cannot-redirect`).";

/// As the daemon takes it (`dataplane::ports`).
fn unknown(on: &On<'_>, peer: &Peer) -> Finding {
    let check = on.check("veth-peer");
    let kernel = on.facts.kernel.version;
    let refused = |attach| unknown_veth(kernel, attach).is_err();
    if refused(Attach::Native) {
        return check.problem(
            "before Linux 5.13 the peer receives redirected frames only with an XDP program of \
             its own",
            format!("This kernel does not tell of one, so {SLOW}"),
        );
    }
    let found = "this kernel does not tell whether the peer receives them";
    if refused(on.facts.config.dataplane.attach) {
        let meaning = format!(
            "Frames redirected natively into this veth would be lost unless it has an XDP program \
             or GRO, so {SLOW} `attach = \"native\"` says that all have."
        );
        return check.warning(found, meaning);
    }
    let meaning = "Frames redirected here are lost unless it has an XDP program or GRO.";
    mended(check.note(found, meaning), peer, "gro on")
}

fn checksums(on: &On<'_>, peer: &Peer) -> Finding {
    let check = on.check("veth-checksum");
    match &peer.unfinished {
        Err(why) => check.hidden(why),
        Ok(false) => check.ok("the peer finishes its checksums"),
        Ok(true) if !on.wants_native() => {
            check.ok("the peer leaves checksums to us; the generic hook finishes them")
        }
        Ok(true) => {
            let finding = check.warning(
                format!("{} has transmit checksum offload on", peer.describe()),
                "What is sent from there has unfinished TCP and UDP checksums, which a native \
                 redirect keeps: receivers drop it. `attach = \"auto\"` avoids that on a veth.",
            );
            mended(finding, peer, "tx off")
        }
    }
}

fn mended(finding: Finding, peer: &Peer, setting: &str) -> Finding {
    let command = peer.command(|name| format!("ethtool -K {name} {setting}"));
    command.into_iter().fold(finding, Finding::mend)
}

impl Peer {
    fn describe(&self) -> String {
        let name = self.name.as_deref();
        match (&self.place, name) {
            (Place::Here, Ok(name)) => format!("its peer {name}"),
            (Place::Named(place), Ok(name)) => format!("its peer {name} in namespace {place}"),
            (Place::Named(place), Err(_)) => format!("its peer in namespace {place}"),
            (Place::Initial(_), _) => "its peer in the initial namespace".to_owned(),
            (Place::Here | Place::Elsewhere, _) => "its peer in another namespace".to_owned(),
        }
    }

    /// A command about it, where it can be said.
    pub(super) fn command(&self, about: impl Fn(&str) -> String) -> Option<String> {
        let command = about(self.name.as_deref().ok()?);
        match &self.place {
            Place::Here => Some(command),
            Place::Named(namespace) => Some(format!("ip netns exec {namespace} {command}")),
            Place::Initial(path) => Some(format!("nsenter --net={path} {command}")),
            Place::Elsewhere => None,
        }
    }
}
