//! A request's message as what the RIB is asked, and the RIB's answer as a
//! message. Interfaces have names and numbers only here.

use std::net::IpAddr;

use forwarder_core::interface::{InterfaceAddress, Interfaces};
use forwarder_core::net::{Family, Ifindex};
use forwarder_core::rib::socket::{ClientId, Op, Outcome, Request, Settings, Way, route_message};
use forwarder_core::route_event::link;
use forwarder_core::route_msg::number::*;
use forwarder_core::route_msg::{
    Errno, Gateway, LinkAddr, RequestKind, RouteMessage, RouteRequest,
};

/// The request as the RIB of its family knows it.
pub(super) fn request<F: Family>(
    client: ClientId,
    pid: i32,
    message: &RouteRequest,
    interfaces: &Interfaces,
) -> Result<Request<F>, Errno> {
    let prefix = F::from_net(message.destination).ok_or(Errno::Eafnosupport)?;
    let address = F::from_ip(message.address).ok_or(Errno::Eafnosupport)?;
    let hold = message.metrics.nhidx;
    let op = match message.kind {
        RequestKind::Add => Op::Add(settings(message, interfaces)?),
        RequestKind::Change => Op::Change(settings(message, interfaces)?),
        RequestKind::Lock => Op::Lock(settings(message, interfaces)?),
        RequestKind::Delete => Op::Delete(way::<F>(message, interfaces)?),
        RequestKind::Get if message.exact => Op::Get(way::<F>(message, interfaces)?),
        RequestKind::Get => Op::Lookup(address, way::<F>(message, interfaces)?),
        RequestKind::Hold if hold == 0 => Op::Hold(address),
        RequestKind::Hold => Op::Held(hold),
        RequestKind::Release => Op::Release(hold),
        RequestKind::Other(_) => return Err(Errno::Eopnotsupp),
    };
    let priority = match message.inits & RTV_METRIC {
        0 => None,
        _ => match u8::try_from(message.metrics.metric) {
            Ok(0) | Err(_) => return Err(Errno::Einval),
            Ok(priority) => Some(priority),
        },
    };
    Ok(Request {
        client,
        pid,
        seq: message.seq,
        prefix,
        priority,
        op,
    })
}

fn settings<F: Family>(
    message: &RouteRequest,
    interfaces: &Interfaces,
) -> Result<Settings<F>, Errno> {
    let ifp = match &message.ifp {
        Some(link) => Some(interface(link, interfaces)?),
        // Such a gateway is on the interface of its scope, and on none without.
        None if is_link_local(message) => {
            Some(interface(&LinkAddr::interface(message.index), interfaces)?)
        }
        None => None,
    };
    let ifa = match message.ifa {
        Some(address) => Some(F::from_ip(address).ok_or(Errno::Einval)?),
        None => None,
    };
    // A source address must be one of ours (`ifa_ifwithaddr`).
    if let Some(address) = ifa
        && !is_ours(address.into(), interfaces)
    {
        return Err(Errno::Enetunreach);
    }
    Ok(Settings {
        way: way::<F>(message, interfaces)?,
        flags: message.flags,
        fmask: message.fmask,
        inits: message.inits,
        metrics: message.metrics,
        ifp,
        ifa,
        genmask: message.genmask,
    })
}

fn is_link_local(message: &RouteRequest) -> bool {
    matches!(&message.gateway, Some(Gateway::Ip(IpAddr::V6(gateway))) if gateway.is_unicast_link_local())
}

fn way<F: Family>(
    message: &RouteRequest,
    interfaces: &Interfaces,
) -> Result<Option<Way<F>>, Errno> {
    let drops = message.flags & (RTF_REJECT | RTF_BLACKHOLE) != 0;
    match &message.gateway {
        // Where packets are dropped, whatever it says.
        _ if drops && message.kind == RequestKind::Add => Ok(None),
        None => Ok(None),
        Some(Gateway::Link(link)) => Ok(Some(Way::Link(interface(link, interfaces)?))),
        Some(Gateway::Ip(address)) => match F::from_ip(*address) {
            Some(address) => Ok(Some(Way::Gateway(address))),
            None if drops => Ok(None),
            None => Err(Errno::Einval),
        },
    }
}

/// By number, else by name.
fn interface(link: &LinkAddr, interfaces: &Interfaces) -> Result<Ifindex, Errno> {
    let by_number = interfaces.get(Ifindex(u32::from(link.ifindex)));
    let found = by_number.or_else(|| interfaces.by_name(&link.name));
    found
        .map(|interface| interface.ifindex)
        .ok_or(Errno::Enetunreach)
}

fn is_ours(address: IpAddr, interfaces: &Interfaces) -> bool {
    let mut all = interfaces.by_index.values();
    all.any(|interface| {
        let mut addresses = interface.addresses.iter();
        addresses.any(|own| own.local.addr() == address)
    })
}

/// The reply to a request that was done.
pub(super) fn reply<F: Family>(
    message: &RouteRequest,
    pid: i32,
    outcome: &Outcome<F>,
    interfaces: &Interfaces,
) -> RouteMessage {
    let kind = message.kind.number();
    let (prefix, route) = (&outcome.prefix, &outcome.route);
    let mut reply = route_message::<F>(kind, prefix, route, outcome.way, outcome.up);
    reply.pid = pid;
    reply.seq = message.seq;
    reply.uses = outcome.uses;
    if let Some(hold) = outcome.hold {
        reply.metrics.nhidx = hold;
    }
    if message.wants_ifp || message.wants_ifa {
        name_interface(&mut reply, message, outcome, interfaces);
    }
    reply
}

/// `RTA_IFP`, `RTA_IFA` and on a point-to-point link `RTA_BRD`.
fn name_interface<F: Family>(
    reply: &mut RouteMessage,
    message: &RouteRequest,
    outcome: &Outcome<F>,
    interfaces: &Interfaces,
) {
    let hop = outcome.route.nexthops.get(outcome.way);
    let ifindex = hop.and_then(|hop| hop.ifindex);
    let Some(interface) = ifindex.and_then(|ifindex| interfaces.get(ifindex)) else {
        return;
    };
    if message.wants_ifp {
        reply.ifp = Some(link(interface));
    }
    let gateway = hop.and_then(|hop| hop.gateway);
    let target: IpAddr = gateway.unwrap_or(F::network(&outcome.prefix)).into();
    let preferred: Option<IpAddr> = outcome.route.preferred_source.map(Into::into);
    let of_family = interface
        .addresses
        .iter()
        .filter(|own| F::from_ip(own.local.addr()).is_some());
    let reaches = |own: &InterfaceAddress| own.local.contains(&target) || own.peer == Some(target);
    // Where there are several: the one that the route prefers, else that of the
    // gateway's own subnet or link.
    let own = of_family.min_by_key(|own| (preferred != Some(own.local.addr()), !reaches(own)));
    if message.wants_ifa {
        reply.ifa = preferred.or_else(|| own.map(|own| own.local.addr()));
    }
    reply.peer = own.and_then(|own| own.peer);
}
