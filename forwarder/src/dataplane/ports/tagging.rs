//! Whether the VLAN tags of a port's frames are where the program looks for
//! them. Looked after only on ports with VLAN sub-interfaces, ours or not: a
//! tag beside the frame would put VLAN 10 into the untagged network.
//!
//! Part of `ports`, which calls it with each reconciliation.

use forwarder_core::interface::Interfaces;
use tracing::debug;

use super::{AttachedPort, Ports, vlan_children};
use crate::dataplane::attach::Mode;
use crate::dataplane::stripping::{self, SwitchedOff};

/// Where a port's VLAN tags are.
#[derive(Default, PartialEq, Eq)]
pub(super) enum Tagging {
    /// There are no sub-interfaces.
    #[default]
    Unwatched,
    /// Within the frame; what was switched off so that they are.
    InFrame(SwitchedOff),
    /// Beside the frame, for this reason.
    Hidden(String),
}

/// Whether a kind of device keeps tags within the frame; `None` for hardware,
/// which can be told to.
pub(super) fn keeps_tags(kind: &str, mode: Mode) -> Option<Result<(), String>> {
    match (kind, mode) {
        ("", _) => None,
        // Who asks for native mode on a veth vouches for the far end, as for
        // its checksums.
        ("tun", _) | ("veth", Mode::Native) => Some(Ok(())),
        ("veth", Mode::Generic) => Some(Err(
            "the far end of a veth may send its tags beside the frame (txvlan)".into(),
        )),
        (kind, _) => Some(Err(format!("a {kind} passes tags on beside the frame"))),
    }
}

impl AttachedPort {
    /// Why VLAN tags are not within the frames that the program sees, where
    /// there are VLAN sub-interfaces.
    pub fn hides_tags(&self) -> Option<&str> {
        match &self.tagging {
            Tagging::Hidden(why) => Some(why),
            Tagging::Unwatched | Tagging::InFrame(_) => None,
        }
    }

    /// Switches on again what was switched off for the sub-interfaces' sake.
    pub(super) fn restore_tagging(&mut self) {
        if let Tagging::InFrame(off) = std::mem::take(&mut self.tagging)
            && let Err(error) = stripping::restore(&self.name, &off)
        {
            debug!("port {}: tag stripping stays off: {error}", self.name);
        }
    }
}

impl Ports {
    /// Has tags within the frames of ports with sub-interfaces, where that can be.
    pub(super) fn update_tagging(&mut self, interfaces: &Interfaces) {
        for (ifindex, port) in &mut self.attached {
            let Some(interface) = interfaces.get(*ifindex) else {
                continue;
            };
            if vlan_children(*ifindex, interfaces).next().is_none() {
                port.restore_tagging();
                continue;
            }
            let mut off = match std::mem::take(&mut port.tagging) {
                Tagging::InFrame(off) => off,
                Tagging::Unwatched | Tagging::Hidden(_) => SwitchedOff::default(),
            };
            let result = match keeps_tags(&interface.kind, port.attachment.mode) {
                Some(kept) => kept,
                // Looked at each time: others may have switched it on again.
                None => stripping::switch_off(&interface.name)
                    .map(|more| off.add(more))
                    .map_err(|error| error.to_string()),
            };
            port.tagging = match result {
                Ok(()) => Tagging::InFrame(off),
                Err(why) => Tagging::Hidden(why),
            };
        }
    }
}
