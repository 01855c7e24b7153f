//! A client's candidate as bytes, and back: what the daemon keeps so that
//! routes outlive it. The messages are route(4)'s own, one for each way.

use std::sync::Arc;

use super::{Key, route_message};
use crate::net::{Family, Ifindex, TableId};
use crate::route::{Attributes, Candidate, Distance, Nexthop, RouteType, Source};
use crate::route_msg::number::*;
use crate::route_msg::{Gateway, LinkAddr, Message, RouteMessage, read};

/// Appends a record's payload: `None` = the candidate is gone.
///
/// ```text
/// priority: u8, length of the owner's name: u8, the name, messages
/// ```
pub fn encode<F: Family>(key: &Key<F>, candidate: Option<&Candidate<F>>, out: &mut Vec<u8>) {
    let (_, prefix, priority) = key;
    let attributes = candidate.and_then(|candidate| candidate.attributes.as_deref());
    let owner = attributes.and_then(|attributes| attributes.owner.as_deref());
    let owner = owner.unwrap_or_default().as_bytes();
    out.push(*priority);
    out.push(u8::try_from(owner.len()).unwrap_or(0));
    out.extend_from_slice(owner);
    let Some(candidate) = candidate else {
        let mut gone = RouteMessage::new(RTM_DELETE);
        gone.destination = Some((*prefix).into());
        return gone.encode(out);
    };
    for way in 0..candidate.nexthops.len().max(1) {
        let mut message = route_message::<F>(RTM_ADD, prefix, candidate, way, false);
        if let Some(Nexthop {
            gateway: Some(_),
            ifindex: Some(ifindex),
            ..
        }) = candidate.nexthops.get(way)
        {
            let index = u16::try_from(ifindex.0).unwrap_or(0);
            message.ifp = Some(LinkAddr::interface(index));
        }
        message.ifa = candidate.preferred_source.map(Into::into);
        message.encode(out);
    }
}

/// Reads a record's payload; `None` = it makes no sense, or is of the other
/// family.
pub fn decode<F: Family>(payload: &[u8]) -> Option<(Key<F>, Option<Candidate<F>>)> {
    let (&[priority, length], rest) = payload.split_first_chunk()?;
    let (owner, mut rest) = rest.split_at_checked(usize::from(length))?;
    let owner = std::str::from_utf8(owner).ok()?;
    let mut candidate: Option<Candidate<F>> = None;
    let mut key = None;
    while !rest.is_empty() {
        let (Message::Route(message), length) = read(rest).ok()? else {
            return None;
        };
        rest = rest.get(length..)?;
        let prefix = F::from_net(message.destination?)?;
        key = Some((TableId::MAIN, prefix, priority));
        if message.kind == RTM_DELETE {
            return Some((key?, None));
        }
        match &mut candidate {
            None => candidate = Some(first::<F>(&message, priority, owner)?),
            Some(candidate) => candidate.nexthops.push(hop::<F>(&message)?),
        }
    }
    Some((key?, Some(candidate?)))
}

fn first<F: Family>(message: &RouteMessage, priority: u8, owner: &str) -> Option<Candidate<F>> {
    let kind = match message.flags & (RTF_REJECT | RTF_BLACKHOLE) {
        RTF_REJECT => RouteType::Unreachable,
        RTF_BLACKHOLE => RouteType::Blackhole,
        _ => RouteType::Unicast,
    };
    let mut metrics = message.metrics;
    (metrics.weight, metrics.metric) = (0, 0);
    let attributes = Attributes {
        flags: message.flags & super::apply::STORED,
        inits: message.inits,
        metrics,
        genmask: message.genmask,
        owner: (!owner.is_empty()).then(|| Arc::from(owner)),
    };
    let mtu = u32::try_from(metrics.mtu).unwrap_or(u32::MAX);
    Some(Candidate {
        kind,
        nexthops: match kind {
            RouteType::Unicast => vec![hop::<F>(message)?],
            _ => Vec::new(),
        },
        source: Source::Socket,
        distance: Distance(priority),
        metric: 0,
        tag: 0,
        mtu: (message.inits & RTV_MTU != 0 && mtu != 0).then_some(mtu),
        kernel_metric: None,
        preferred_source: match message.ifa {
            Some(address) => Some(F::from_ip(address)?),
            None => None,
        },
        attributes: (attributes != Attributes::default()).then(|| Arc::new(attributes)),
    })
}

fn hop<F: Family>(message: &RouteMessage) -> Option<Nexthop<F>> {
    let interface = |link: &LinkAddr| (link.ifindex != 0).then(|| Ifindex(link.ifindex.into()));
    let (gateway, ifindex) = match message.gateway.as_ref()? {
        Gateway::Ip(address) => {
            let named = message.ifp.as_ref().and_then(interface);
            (Some(F::from_ip(*address)?), named)
        }
        Gateway::Link(link) => (None, Some(interface(link)?)),
    };
    Some(Nexthop {
        gateway,
        ifindex,
        weight: u16::try_from(message.metrics.weight).ok()?,
        onlink: false,
    })
}
