//! What the routing socket tells besides changes of routes: interfaces and
//! addresses that come, change and go, and what happens to packets.
//!
//! Whoever learns of an event publishes it; the socket's clients read it. An
//! event may have to wait for the routes that belong to it: BSD tells of an
//! address before its routes, and of its end after theirs.

use std::collections::BTreeSet;

use crate::interface::{Interface, InterfaceAddress, Interfaces};
use crate::rib::socket::ClientId;
use crate::route_msg::extension::Generations;
use crate::route_msg::number::*;
use crate::route_msg::{IfAddr, IfAnnounce, IfInfo, LinkAddr, RouteMessage};

/// Something that happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RouteEvent {
    /// `RTM_LOSING`, `RTM_REDIRECT`, `RTM_MISS`, `RTM_RESOLVE`; the answer to a
    /// question, or a refusal.
    Route(Box<RouteMessage>),
    /// `RTM_NEWADDR`, `RTM_DELADDR`.
    IfAddr(IfAddr),
    /// `RTM_IFINFO`.
    IfInfo(IfInfo),
    /// `RTM_IFANNOUNCE`.
    IfAnnounce(IfAnnounce),
}

impl RouteEvent {
    /// The family it is about (`AF_*`); [`AF_UNSPEC`] = none, which everybody
    /// hears.
    pub fn family(&self) -> u8 {
        match self {
            RouteEvent::Route(message) => message.family(),
            RouteEvent::IfAddr(message) => message.family(),
            RouteEvent::IfInfo(_) | RouteEvent::IfAnnounce(_) => AF_UNSPEC,
        }
    }

    /// `rtm_type`.
    pub fn kind(&self) -> u8 {
        match self {
            RouteEvent::Route(message) => message.kind,
            RouteEvent::IfAddr(message) if message.added => RTM_NEWADDR,
            RouteEvent::IfAddr(_) => RTM_DELADDR,
            RouteEvent::IfInfo(_) => RTM_IFINFO,
            RouteEvent::IfAnnounce(_) => RTM_IFANNOUNCE,
        }
    }

    /// Appends its bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            RouteEvent::Route(message) => message.encode(out),
            RouteEvent::IfAddr(message) => message.encode(out),
            RouteEvent::IfInfo(message) => message.encode(out),
            RouteEvent::IfAnnounce(message) => message.encode(out),
        }
    }
}

/// An event as it is published.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Announced {
    /// What.
    pub event: RouteEvent,
    /// Who hears of it has to know the routes of this state first.
    pub after: Generations,
    /// Whose question or refused request it answers: told to those who want to hear
    /// of others' (`CLASSIC_COPIES`), and not to the one who asked.
    pub asked_by: Option<ClientId>,
}

/// What lies between two states of the interfaces, in the order that BSD tells
/// it in: departures, arrivals, states, new addresses, and last the addresses
/// that have gone.
pub fn interface_events(old: &Interfaces, new: &Interfaces) -> Vec<RouteEvent> {
    let mut events = Vec::new();
    let renamed = |was: &Interface, is: Option<&Interface>| is.is_none_or(|is| is.name != was.name);
    for was in old.by_index.values() {
        if renamed(was, new.get(was.ifindex)) {
            events.push(announce(was, false));
        }
    }
    for is in new.by_index.values() {
        let was = old.get(is.ifindex);
        if was.is_none_or(|was| was.name != is.name) {
            events.push(announce(is, true));
        }
        if was.map(info) != Some(info(is)) {
            events.push(RouteEvent::IfInfo(info(is)));
        }
    }
    let addresses = |interfaces: &Interfaces| -> BTreeSet<(u16, InterfaceAddress)> {
        let all = interfaces.by_index.values();
        all.flat_map(|interface| {
            let own = interface.addresses.iter();
            own.map(|address| (index(interface), *address))
        })
        .collect()
    };
    let (before, after) = (addresses(old), addresses(new));
    let of = |interfaces: &Interfaces, &(index, address): &(u16, InterfaceAddress), added| {
        let mut all = interfaces.by_index.values();
        let interface = all.find(|interface| self::index(interface) == index)?;
        Some(RouteEvent::IfAddr(if_addr(interface, &address, added)))
    };
    events.extend(
        after
            .difference(&before)
            .filter_map(|key| of(new, key, true)),
    );
    events.extend(
        before
            .difference(&after)
            .filter_map(|key| of(old, key, false)),
    );
    events
}

fn announce(interface: &Interface, arrival: bool) -> RouteEvent {
    RouteEvent::IfAnnounce(IfAnnounce {
        index: index(interface),
        name: interface.name.clone(),
        arrival,
    })
}

fn index(interface: &Interface) -> u16 {
    u16::try_from(interface.ifindex.0).unwrap_or(0)
}

/// An interface as `RTA_IFP` names it.
pub fn link(interface: &Interface) -> LinkAddr {
    LinkAddr {
        ifindex: index(interface),
        kind: if interface.ethernet { IFT_ETHER } else { 0 },
        name: interface.name.clone(),
        address: interface.mac.map(|mac| mac.to_vec()).unwrap_or_default(),
    }
}

/// An address of an interface.
pub fn if_addr(interface: &Interface, address: &InterfaceAddress, added: bool) -> IfAddr {
    IfAddr {
        added,
        interface: link(interface),
        address: address.local,
        broadcast: address.broadcast.or(address.peer),
    }
}

/// An interface's state.
pub fn info(interface: &Interface) -> IfInfo {
    const IFF_UP: u32 = 0x1;
    const IFF_BROADCAST: u32 = 0x2;
    const IFF_LOOPBACK: u32 = 0x8;
    const IFF_POINTOPOINT: u32 = 0x10;
    const IFF_RUNNING: u32 = 0x40;
    const IFF_MULTICAST: u32 = 0x8000;

    let flags = [
        (interface.up, IFF_UP),
        (interface.broadcast, IFF_BROADCAST),
        (interface.loopback, IFF_LOOPBACK),
        (interface.point_to_point, IFF_POINTOPOINT),
        (interface.is_running(), IFF_RUNNING),
        (interface.multicast, IFF_MULTICAST),
    ];
    let set = flags.iter().filter(|(set, _)| *set);
    IfInfo {
        index: index(interface),
        flags: set.map(|(_, flag)| flag).sum(),
        link_state: if interface.carrier { 2 } else { 1 },
        mtu: interface.mtu,
        kind: if interface.ethernet { IFT_ETHER } else { 0 },
        address_length: if interface.mac.is_some() { 6 } else { 0 },
    }
}
