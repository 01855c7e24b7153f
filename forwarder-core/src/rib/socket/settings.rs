//! What a request sets, on its way into a candidate.

use super::{Settings, Way};
use crate::net::Family;
use crate::route::{Attributes, Candidate, Nexthop, RouteType};
use crate::route_msg::number::*;
use crate::route_msg::{Errno, Metrics};

/// What drops packets, by a request's flags.
pub(super) fn kind(flags: u32) -> Option<RouteType> {
    match flags & (RTF_REJECT | RTF_BLACKHOLE) {
        RTF_REJECT => Some(RouteType::Unreachable),
        RTF_BLACKHOLE => Some(RouteType::Blackhole),
        _ => None,
    }
}

pub(super) fn attributes<F: Family>(candidate: &Candidate<F>) -> Attributes {
    let attributes = candidate.attributes.as_deref();
    attributes.cloned().unwrap_or_default()
}

/// The way with this gateway; the first, where none is named.
pub(super) fn find<F: Family>(
    candidate: &Candidate<F>,
    way: Option<Way<F>>,
) -> Result<usize, Errno> {
    let Some(way) = way else {
        return Ok(0);
    };
    let is = |hop: &Nexthop<F>| match way {
        Way::Gateway(address) => hop.gateway == Some(address),
        Way::Link(ifindex) => hop.gateway.is_none() && hop.ifindex == Some(ifindex),
    };
    let at = candidate.nexthops.iter().position(is);
    // One that drops leads to the loopback address, whatever it is called by.
    match at {
        None if candidate.kind != RouteType::Unicast => Ok(0),
        at => at.ok_or(Errno::Esrch),
    }
}

/// The kernel's weights are 1..=256; 0 means none was given.
pub(super) fn weight<F: Family>(settings: &Settings<F>) -> u16 {
    if settings.inits & RTV_WEIGHT == 0 {
        return 1;
    }
    u16::try_from(settings.metrics.weight.clamp(1, 256)).unwrap_or(1)
}

pub(super) fn set_locks<F: Family>(attributes: &mut Attributes, settings: &Settings<F>) {
    let locks = &mut attributes.metrics.locks;
    *locks = *locks & !settings.inits | settings.inits & settings.metrics.locks;
}

pub(super) fn set_metrics<F: Family>(
    candidate: &mut Candidate<F>,
    attributes: &mut Attributes,
    settings: &Settings<F>,
) {
    type Field = fn(&mut Metrics) -> &mut u64;

    /// What is kept as it is given; weights belong to the ways, the distance to
    /// the key.
    const KEPT: [(u64, Field); 8] = [
        (RTV_MTU, |metrics| &mut metrics.mtu),
        (RTV_HOPCOUNT, |metrics| &mut metrics.hopcount),
        (RTV_EXPIRE, |metrics| &mut metrics.expire),
        (RTV_RPIPE, |metrics| &mut metrics.recvpipe),
        (RTV_SPIPE, |metrics| &mut metrics.sendpipe),
        (RTV_SSTHRESH, |metrics| &mut metrics.ssthresh),
        (RTV_RTT, |metrics| &mut metrics.rtt),
        (RTV_RTTVAR, |metrics| &mut metrics.rttvar),
    ];

    if settings.inits == 0 {
        return;
    }
    let mut given = settings.metrics;
    for (bit, field) in KEPT {
        if settings.inits & bit != 0 {
            attributes.inits |= bit;
            *field(&mut attributes.metrics) = *field(&mut given);
        }
    }
    if settings.inits & RTV_MTU != 0 {
        let mtu = u32::try_from(given.mtu).unwrap_or(u32::MAX);
        candidate.mtu = (mtu != 0).then_some(mtu);
    }
    set_locks(attributes, settings);
}
