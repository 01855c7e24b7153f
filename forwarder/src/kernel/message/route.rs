//! `RTM_NEWROUTE`, `RTM_DELROUTE`: `struct rtmsg` and `RTA_*`.

use forwarder_core::kernel::event::{KernelNexthops, KernelRoute};
use forwarder_core::net::{Ifindex, TableId};
use forwarder_core::route::{Nexthop, RouteType};

use super::super::family::NetlinkFamily;
use super::super::wire::{Attribute, Attributes, Malformed, after, u8_at, u16_at, u32_at};
use super::family;

/// Length of `struct rtmsg`.
pub(crate) const FIXED_LEN: usize = 12;
/// Length of `struct rtnexthop`.
pub(crate) const HOP_LEN: usize = 8;
/// `RTM_F_CLONED`: a cached exception, not a route.
const RTM_F_CLONED: u32 = 0x200;
/// `RTNH_F_DEAD`: the link is down, the kernel doesn't use this hop.
const RTNH_F_DEAD: u8 = 1;
/// `RTNH_F_ONLINK`.
pub(crate) const RTNH_F_ONLINK: u8 = 4;
/// `RTA_VIA`: a gateway of another family (RFC 8950).
const RTA_VIA: u16 = 18;
const RTA_NH_ID: u16 = 30;
/// `RTAX_MTU` within `RTA_METRICS`.
pub(crate) const RTAX_MTU: u16 = 2;

/// One way out, before it is known whether it is usable.
struct Hop<F: NetlinkFamily> {
    gateway: Option<F::Addr>,
    ifindex: Option<Ifindex>,
    /// `RTA_VIA` or an encapsulation: only the kernel can do that.
    kernel_only: bool,
}

struct Parts<F: NetlinkFamily> {
    destination: Option<F::Addr>,
    table: Option<u32>,
    metric: u32,
    single: Hop<F>,
    multipath: Vec<Nexthop<F>>,
    kernel_only: bool,
    object: Option<u32>,
    mtu: Option<u32>,
    preferred_source: Option<F::Addr>,
}

impl<F: NetlinkFamily> Hop<F> {
    const fn none() -> Self {
        Hop {
            gateway: None,
            ifindex: None,
            kernel_only: false,
        }
    }
}

/// `None` for other families, cached routes, and tables but main and local.
pub(crate) fn decode<F: NetlinkFamily>(
    payload: &[u8],
) -> Result<Option<KernelRoute<F>>, Malformed> {
    let flags = u32_at(payload, 8)?;
    if u8_at(payload, 0)? != family(F::AF) || flags & RTM_F_CLONED != 0 {
        return Ok(None);
    }
    let parts = read::<F>(after(payload, FIXED_LEN)?)?;
    let table = TableId(parts.table.unwrap_or(u32::from(u8_at(payload, 4)?)));
    if table != TableId::MAIN && table != TableId::LOCAL {
        return Ok(None);
    }
    let destination = parts.destination.unwrap_or(F::FIRST);
    let prefix = F::prefix(destination, u8_at(payload, 1)?).ok_or(Malformed::PrefixLength)?;
    let kernel_only = parts.object.is_none() && (parts.kernel_only || parts.single.kernel_only);
    Ok(Some(KernelRoute {
        table,
        prefix,
        metric: parts.metric,
        tos: u8_at(payload, 3)?,
        kind: if kernel_only {
            RouteType::KernelOnly
        } else {
            route_type(u8_at(payload, 7)?)
        },
        protocol: u8_at(payload, 5)?,
        mtu: parts.mtu,
        preferred_source: parts.preferred_source,
        nexthops: nexthops(parts, flags),
    }))
}

/// The answer to a lookup: a cached route of one hop, in whatever table.
pub(crate) fn decode_lookup<F: NetlinkFamily>(payload: &[u8]) -> Result<Found<F>, Malformed> {
    let parts = read::<F>(after(payload, FIXED_LEN)?)?;
    Ok(Found {
        kind: route_type(u8_at(payload, 7)?),
        gateway: parts.single.gateway,
        ifindex: parts.single.ifindex,
    })
}

/// What a lookup found.
pub(crate) struct Found<F: NetlinkFamily> {
    /// The route's type.
    pub(crate) kind: RouteType,
    /// The router.
    pub(crate) gateway: Option<F::Addr>,
    /// The interface.
    pub(crate) ifindex: Option<Ifindex>,
}

fn nexthops<F: NetlinkFamily>(parts: Parts<F>, flags: u32) -> KernelNexthops<F> {
    if let Some(id) = parts.object {
        return KernelNexthops::Object(id);
    }
    let mut hops = parts.multipath;
    // The low byte of rtm_flags is the only hop's RTNH_F_*.
    let [single_flags, ..] = flags.to_le_bytes();
    if parts.single.gateway.is_some() || parts.single.ifindex.is_some() {
        hops.extend(nexthop(&parts.single, 1, single_flags));
    }
    KernelNexthops::Inline(hops)
}

fn nexthop<F: NetlinkFamily>(hop: &Hop<F>, weight: u16, flags: u8) -> Option<Nexthop<F>> {
    (flags & RTNH_F_DEAD == 0).then_some(Nexthop {
        gateway: hop.gateway,
        ifindex: hop.ifindex,
        weight,
        onlink: flags & RTNH_F_ONLINK != 0,
    })
}

fn read<F: NetlinkFamily>(attributes: &[u8]) -> Result<Parts<F>, Malformed> {
    let mut parts = Parts {
        destination: None,
        table: None,
        metric: 0,
        single: Hop::none(),
        multipath: Vec::new(),
        kernel_only: false,
        object: None,
        mtu: None,
        preferred_source: None,
    };
    for attribute in Attributes::new(attributes) {
        let attribute = attribute?;
        match attribute.kind {
            libc::RTA_DST => parts.destination = Some(attribute.address::<F>()?),
            libc::RTA_TABLE => parts.table = Some(attribute.u32()?),
            libc::RTA_PRIORITY => parts.metric = attribute.u32()?,
            libc::RTA_PREFSRC => parts.preferred_source = Some(attribute.address::<F>()?),
            libc::RTA_METRICS => parts.mtu = mtu(&attribute)?,
            libc::RTA_MULTIPATH => multipath(&mut parts, attribute.value)?,
            RTA_NH_ID => parts.object = Some(attribute.u32()?).filter(|id| *id != 0),
            _ => hop_attribute(&mut parts.single, &attribute)?,
        }
    }
    Ok(parts)
}

fn hop_attribute<F: NetlinkFamily>(
    hop: &mut Hop<F>,
    attribute: &Attribute<'_>,
) -> Result<(), Malformed> {
    match attribute.kind {
        libc::RTA_GATEWAY => hop.gateway = Some(attribute.address::<F>()?),
        libc::RTA_OIF => hop.ifindex = Some(attribute.u32()?).filter(|n| *n != 0).map(Ifindex),
        RTA_VIA | libc::RTA_ENCAP => hop.kernel_only = true,
        _ => {}
    }
    Ok(())
}

/// `RTA_MULTIPATH`: `struct rtnexthop`s, each followed by its attributes.
fn multipath<F: NetlinkFamily>(parts: &mut Parts<F>, mut bytes: &[u8]) -> Result<(), Malformed> {
    while !bytes.is_empty() {
        let len = usize::from(u16_at(bytes, 0)?);
        let this = bytes.get(HOP_LEN..len).ok_or(Malformed::AttributeLength)?;
        let ifindex = Some(u32_at(bytes, 4)?).filter(|n| *n != 0).map(Ifindex);
        let mut hop = Hop {
            ifindex,
            ..Hop::none()
        };
        for attribute in Attributes::new(this) {
            hop_attribute(&mut hop, &attribute?)?;
        }
        parts.kernel_only |= hop.kernel_only;
        parts.multipath.extend(nexthop(
            &hop,
            u16::from(u8_at(bytes, 3)?) + 1,
            u8_at(bytes, 2)?,
        ));
        bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(())
}

fn mtu(metrics: &Attribute<'_>) -> Result<Option<u32>, Malformed> {
    for metric in metrics.nested() {
        let metric = metric?;
        if metric.kind == RTAX_MTU {
            return metric.u32().map(|mtu| Some(mtu).filter(|mtu| *mtu != 0));
        }
    }
    Ok(None)
}

fn route_type(number: u8) -> RouteType {
    match number {
        libc::RTN_UNICAST => RouteType::Unicast,
        libc::RTN_LOCAL => RouteType::Local,
        libc::RTN_BROADCAST => RouteType::Broadcast,
        libc::RTN_ANYCAST => RouteType::Anycast,
        libc::RTN_MULTICAST => RouteType::Multicast,
        libc::RTN_BLACKHOLE => RouteType::Blackhole,
        libc::RTN_UNREACHABLE => RouteType::Unreachable,
        libc::RTN_PROHIBIT => RouteType::Prohibit,
        libc::RTN_THROW => RouteType::Throw,
        _ => RouteType::KernelOnly,
    }
}

/// `RTN_*` of a type that can be put into the kernel's table.
pub(crate) const fn route_type_number(kind: RouteType) -> u8 {
    match kind {
        RouteType::Blackhole => libc::RTN_BLACKHOLE,
        RouteType::Unreachable => libc::RTN_UNREACHABLE,
        RouteType::Prohibit => libc::RTN_PROHIBIT,
        RouteType::Throw => libc::RTN_THROW,
        RouteType::Local => libc::RTN_LOCAL,
        RouteType::Broadcast => libc::RTN_BROADCAST,
        RouteType::Anycast => libc::RTN_ANYCAST,
        RouteType::Multicast => libc::RTN_MULTICAST,
        RouteType::Unicast | RouteType::KernelOnly => libc::RTN_UNICAST,
    }
}
