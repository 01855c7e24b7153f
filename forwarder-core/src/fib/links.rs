//! The ports and usable neighbours: what decides how a target is reached now.

use std::collections::BTreeMap;

use forwarder_common::abi::{Adjacency, NexthopKind, Tags, nexthop_word};
use forwarder_common::reason::{Reason, Verdict};

use super::FibFamily;
use super::Target;
use crate::net::Ifindex;

/// An interface that the fast path can send through, as far as the FIB cares.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PortState {
    /// Dense number, below [`abi::MAX_PORTS`](forwarder_common::abi::MAX_PORTS).
    pub number: u32,
    /// Number of the port whose DEVMAP entry frames leave by: its own, or that
    /// of the port below a VLAN sub-interface.
    pub tx: u32,
    /// Tags that frames leave with.
    pub tags: Tags,
    /// Source of the frames that leave here.
    pub mac: [u8; 6],
    /// Largest IP packet the device takes.
    pub mtu: u32,
    /// Attached, running, and its driver takes redirected frames.
    pub can_transmit: bool,
    /// A traffic-control egress program or shaper would be bypassed.
    pub tc: bool,
}

/// Everything an adjacency is made of. Equal ones share a slot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Rewrite<F: FibFamily> {
    pub(super) ifindex: Ifindex,
    pub(super) neighbour: F::Addr,
    pub(super) mtu: u32,
    pub(super) tx: u32,
    pub(super) tags: Tags,
    pub(super) destination: [u8; 6],
    pub(super) source: [u8; 6],
}

impl<F: FibFamily> Rewrite<F> {
    /// As the map holds it.
    pub(super) fn adjacency(&self) -> Adjacency {
        Adjacency {
            destination: self.destination,
            source: self.source,
            port: self.tx,
            tags: self.tags.0,
            mtu: self.mtu,
            ifindex: self.ifindex.0,
            ..Adjacency::default()
        }
    }
}

/// What a target's next-hop word should say.
pub(super) enum Want<F: FibFamily> {
    /// This word.
    Word(u32),
    /// The slot of this adjacency.
    Adjacency(Rewrite<F>),
}

/// The word that counts under a reason, up or dropped as the reason says.
pub(super) const fn reason_word(reason: Reason) -> u32 {
    let kind = match reason.verdict() {
        Verdict::Dropped => NexthopKind::Drop,
        Verdict::Up | Verdict::Forwarded | Verdict::Transmit => NexthopKind::Up,
    };
    nexthop_word(kind, reason as u32)
}

/// Ports and neighbours.
pub(super) struct Links<F: FibFamily> {
    ports: BTreeMap<Ifindex, PortState>,
    /// By address first: those under a prefix are a range. One address can be
    /// a neighbour on several links.
    neighbours: BTreeMap<(F::Addr, Ifindex), [u8; 6]>,
}

impl<F: FibFamily> Links<F> {
    pub(super) fn new() -> Self {
        Links {
            ports: BTreeMap::new(),
            neighbours: BTreeMap::new(),
        }
    }

    /// Sets or removes; the state before.
    pub(super) fn set_port(
        &mut self,
        ifindex: Ifindex,
        new: Option<PortState>,
    ) -> Option<PortState> {
        match new {
            Some(port) => self.ports.insert(ifindex, port),
            None => self.ports.remove(&ifindex),
        }
    }

    /// Sets or removes; the link address before.
    pub(super) fn set_neighbour(
        &mut self,
        ifindex: Ifindex,
        address: F::Addr,
        mac: Option<[u8; 6]>,
    ) -> Option<[u8; 6]> {
        match mac {
            Some(mac) => self.neighbours.insert((address, ifindex), mac),
            None => self.neighbours.remove(&(address, ifindex)),
        }
    }

    /// Whether this neighbour has a usable link address.
    pub(super) fn knows(&self, ifindex: Ifindex, address: F::Addr) -> bool {
        self.neighbours.contains_key(&(address, ifindex))
    }

    /// Addresses in a prefix that are a neighbour on some link, each once, in order.
    pub(super) fn addresses_in(&self, prefix: F::Prefix) -> impl Iterator<Item = F::Addr> + '_ {
        let first = (F::network(&prefix), Ifindex(u32::MIN));
        let last = (F::last(&prefix), Ifindex(u32::MAX));
        let mut previous = None;
        self.neighbours
            .range(first..=last)
            .filter_map(move |(&(address, _), _)| {
                (previous.replace(address) != Some(address)).then_some(address)
            })
    }

    /// How a target is reached with the links as they are.
    pub(super) fn want(&self, target: &Target<F>) -> Want<F> {
        let (ifindex, mtu, gateway) = match *target {
            Target::Fixed(reason) => return Want::Word(reason_word(reason)),
            // Made of its members, by `nexthops`.
            Target::Group(_) => return Want::Word(reason_word(Reason::Multipath)),
            Target::Glean { ifindex, mtu } => (ifindex, mtu, None),
            Target::Via {
                ifindex,
                gateway,
                mtu,
            } => (ifindex, mtu, Some(gateway)),
        };
        // Also for a subnet: resolving hosts that the port cannot be used to
        // reach would be work for nothing.
        let port = match self.ports.get(&ifindex) {
            Some(port) if port.can_transmit => port,
            _ => return Want::Word(reason_word(Reason::EgressCannotRedirect)),
        };
        if port.tc {
            return Want::Word(reason_word(Reason::Tc));
        }
        let known = gateway.and_then(|gateway| {
            self.neighbours
                .get(&(gateway, ifindex))
                .map(|&mac| (gateway, mac))
        });
        let Some((neighbour, destination)) = known else {
            return Want::Word(nexthop_word(NexthopKind::Resolve, port.number));
        };
        Want::Adjacency(Rewrite {
            ifindex,
            neighbour,
            mtu: mtu.map_or(port.mtu, |mtu| mtu.min(port.mtu)),
            tx: port.tx,
            tags: port.tags,
            destination,
            source: port.mac,
        })
    }

    pub(super) fn ports(&self) -> usize {
        self.ports.len()
    }

    pub(super) fn neighbours(&self) -> usize {
        self.neighbours.len()
    }
}
