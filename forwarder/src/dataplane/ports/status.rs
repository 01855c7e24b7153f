//! What is shown of ports, those with a program and sub-interfaces alike.

use forwarder_common::reason::Reason;
use forwarder_core::interface::ReversePath;
use forwarder_core::net::Ifindex;

use super::{AttachedPort, Ports, SubPort};
use crate::dataplane::attach::Attachment;

/// A port as shown: one with a program, or a VLAN sub-interface with its
/// parent's.
pub struct PortStatus<'a> {
    /// Its name when last seen.
    pub name: &'a str,
    /// Dense number: counters.
    pub number: u32,
    /// The program that receives its frames.
    pub attachment: &'a Attachment,
    /// The reason for which all IPv4 received is handed up, if any.
    pub up_reason: Option<Reason>,
    /// Likewise for IPv6.
    pub up_reason6: Option<Reason>,
    /// How the sources of IPv4 packets received here are checked.
    pub reverse_path: ReversePath,
    /// Likewise for IPv6.
    pub reverse_path6: ReversePath,
    /// Whether frames can be redirected to it, and why not.
    pub egress: Result<(), &'static str>,
}

impl<'a> PortStatus<'a> {
    fn of(port: &'a AttachedPort) -> Self {
        PortStatus {
            name: &port.name,
            number: port.number,
            attachment: &port.attachment,
            up_reason: port.up_reason,
            up_reason6: port.up_reason6,
            reverse_path: port.reverse_path,
            reverse_path6: port.reverse_path6,
            egress: port.egress,
        }
    }
}

impl Ports {
    /// The port or sub-interface with this ifindex.
    pub fn status(&self, ifindex: Ifindex) -> Option<PortStatus<'_>> {
        match self.attached.get(&ifindex) {
            Some(port) => Some(PortStatus::of(port)),
            None => self.sub_status(self.subs.get(&ifindex)?),
        }
    }

    /// All of them, those attached first.
    pub fn statuses(&self) -> impl Iterator<Item = (Ifindex, PortStatus<'_>)> {
        let attached = self.attached().map(|(i, port)| (i, PortStatus::of(port)));
        let subs = self.subs.iter();
        attached.chain(subs.filter_map(|(i, sub)| Some((*i, self.sub_status(sub)?))))
    }

    fn sub_status<'a>(&'a self, sub: &'a SubPort) -> Option<PortStatus<'a>> {
        let parent = self.attached.get(&sub.parent)?;
        Some(PortStatus {
            name: &sub.name,
            number: sub.number,
            up_reason: sub.up_reason,
            up_reason6: sub.up_reason6,
            reverse_path: sub.reverse_path,
            reverse_path6: sub.reverse_path6,
            egress: sub.egress,
            ..PortStatus::of(parent)
        })
    }
}
