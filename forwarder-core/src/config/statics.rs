//! `[[static]]`: routes that the operator writes down.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;

use ipnet::IpNet;
use serde::Deserialize;
use toml::Spanned;

use super::error::Fault;
use super::value::{self, DeviceName, FromShort, OrShort, Prefix, Router, integer};
use crate::route::Distance;

/// A static route. A next hop that cannot be reached waits; it is no error.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StaticRoute {
    /// The destination.
    pub prefix: IpNet,
    /// What to do with it.
    pub target: StaticTarget,
    /// Its administrative distance.
    pub distance: Distance,
    /// Its metric, compared among sources of the same distance.
    pub metric: u32,
    /// Its tag.
    pub tag: u16,
    /// Its prefix is counted by itself.
    pub count: bool,
}

/// What a static route does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StaticTarget {
    /// Leads by these; at least one, distinct.
    Nexthops(Vec<StaticNexthop>),
    /// Drops in silence.
    Blackhole,
    /// Drops, the kernel answers Host Unreachable.
    Unreachable,
    /// Drops, the kernel answers Communication Prohibited.
    Prohibit,
}

/// One way out of a static route; `via` or `dev` is set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StaticNexthop {
    /// The router to send to; `None` = the destination is on the link.
    pub via: Option<IpAddr>,
    /// The interface; `None` = the connected network that `via` lies in tells.
    pub dev: Option<String>,
    /// Share of the traffic, 1..=256.
    pub weight: u16,
    /// `via` is on the link of `dev` although no connected network says so.
    pub onlink: bool,
}

/// `[[static]]` as typed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawStatic {
    prefix: Spanned<Prefix>,
    #[serde(default)]
    via: Vec<Spanned<OrShort<RawNexthop>>>,
    dev: Option<Spanned<DeviceName>>,
    #[serde(rename = "type")]
    kind: Option<Spanned<RawKind>>,
    #[serde(default)]
    onlink: Option<Spanned<bool>>,
    #[serde(default, deserialize_with = "value::some_distance")]
    distance: Option<Distance>,
    #[serde(default)]
    metric: u32,
    #[serde(default, deserialize_with = "value::tag")]
    tag: u16,
    #[serde(default)]
    count: bool,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawKind {
    Unicast,
    Blackhole,
    Unreachable,
    Prohibit,
}

/// An element of `via`: `"192.0.2.1"` or `{ via, dev, weight }`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawNexthop {
    via: Option<Router>,
    dev: Option<DeviceName>,
    #[serde(default = "one", deserialize_with = "weight")]
    weight: u16,
}

const fn one() -> u16 {
    1
}

fn weight<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    integer(
        deserializer,
        1..=256,
        "a next hop's share of the traffic, as in ip-route(8)",
    )
}

impl FromShort for RawNexthop {
    const EXPECTING: &'static str = "a router's address or { via = …, dev = …, weight = … }";

    fn from_short(text: &str) -> Result<Self, String> {
        let via = value::parse_router(text)?;
        Ok(RawNexthop {
            via: Some(Router(via)),
            dev: None,
            weight: 1,
        })
    }
}

/// Turns the tables as typed into routes.
pub(super) fn check(
    tables: Vec<Spanned<RawStatic>>,
    default_distance: Distance,
) -> Result<Vec<StaticRoute>, Fault> {
    let mut seen = BTreeMap::new();
    let mut routes = Vec::with_capacity(tables.len());
    for table in tables {
        let raw = table.into_inner();
        let (prefix, span) = (raw.prefix.get_ref().0, raw.prefix.span());
        if let Some(first) = seen.insert(prefix, span.start) {
            let message = format!("a second static route to {prefix}");
            let help = "put all of its next hops into one via = […]";
            return Err(Fault::new(span, message, help).repeats(first));
        }
        routes.push(StaticRoute {
            prefix,
            distance: raw.distance.unwrap_or(default_distance),
            metric: raw.metric,
            tag: raw.tag,
            count: raw.count,
            target: target(raw)?,
        });
    }
    Ok(routes)
}

fn target(raw: RawStatic) -> Result<StaticTarget, Fault> {
    let span = raw.prefix.span();
    let Some(kind) = &raw.kind else {
        return nexthops(raw, span);
    };
    let target = match kind.get_ref() {
        RawKind::Unicast => return nexthops(raw, span),
        RawKind::Blackhole => StaticTarget::Blackhole,
        RawKind::Unreachable => StaticTarget::Unreachable,
        RawKind::Prohibit => StaticTarget::Prohibit,
    };
    if raw.via.is_empty() && raw.dev.is_none() && raw.onlink.is_none() {
        return Ok(target);
    }
    let message = "a route of this type leads nowhere, yet it has a via or dev";
    Err(Fault::new(
        kind.span(),
        message,
        "leave out either the type or via, dev and onlink",
    ))
}

fn nexthops(raw: RawStatic, prefix: Range<usize>) -> Result<StaticTarget, Fault> {
    let onlink = raw.onlink.as_ref().is_some_and(|onlink| *onlink.get_ref());
    let dev = raw.dev.map(|dev| dev.into_inner().0);
    let ipv6 = raw.prefix.get_ref().0.addr().is_ipv6();
    let mut nexthops: Vec<StaticNexthop> = Vec::with_capacity(raw.via.len().max(1));
    for element in raw.via {
        let span = element.span();
        let nexthop = nexthop(element.into_inner().0, dev.as_deref(), onlink, &span)?;
        check_family(&nexthop, ipv6, &span)?;
        if nexthops
            .iter()
            .any(|other| (other.via, &other.dev) == (nexthop.via, &nexthop.dev))
        {
            let help = "leave it out here, or give the first one a weight";
            return Err(Fault::new(
                span,
                "this next hop is in the list already",
                help,
            ));
        }
        nexthops.push(nexthop);
    }
    match (nexthops.is_empty(), dev) {
        (false, _) => {}
        (true, Some(dev)) => {
            nexthops.push(StaticNexthop {
                via: None,
                dev: Some(dev),
                weight: 1,
                onlink: false,
            });
        }
        (true, None) => {
            let help = "give it via = [\"192.0.2.1\"], dev = \"eth1\" or type = \"blackhole\"";
            return Err(Fault::new(prefix, "this route has no way out", help));
        }
    }
    Ok(StaticTarget::Nexthops(nexthops))
}

/// A router must be of the prefix's family, and one with a link-local address
/// needs its link named.
fn check_family(nexthop: &StaticNexthop, ipv6: bool, span: &Range<usize>) -> Result<(), Fault> {
    let Some(via) = nexthop.via else {
        return Ok(());
    };
    if via.is_ipv6() != ipv6 {
        let message = "the router's address and the prefix are of different families";
        let help = "give an IPv4 prefix an IPv4 router, an IPv6 prefix an IPv6 one";
        return Err(Fault::new(span.clone(), message, help));
    }
    let link_local = matches!(via, IpAddr::V6(via) if via.is_unicast_link_local());
    if link_local && nexthop.dev.is_none() {
        let message = "a link-local router can be on any link";
        let help = "say which: { via = \"fe80::1\", dev = \"eth1\" }";
        return Err(Fault::new(span.clone(), message, help));
    }
    Ok(())
}

fn nexthop(
    raw: RawNexthop,
    dev: Option<&str>,
    onlink: bool,
    span: &Range<usize>,
) -> Result<StaticNexthop, Fault> {
    let dev = raw.dev.map(|dev| dev.0).or_else(|| dev.map(str::to_owned));
    let via = raw.via.map(|via| via.0);
    if via.is_none() && dev.is_none() {
        let help = "give it a via, a dev or both";
        return Err(Fault::new(
            span.clone(),
            "this next hop leads nowhere",
            help,
        ));
    }
    if onlink && dev.is_none() {
        let help = "add dev = \"…\": without a connected network only the name tells the link";
        return Err(Fault::new(
            span.clone(),
            "onlink needs the interface of each next hop",
            help,
        ));
    }
    Ok(StaticNexthop {
        via,
        dev,
        weight: raw.weight,
        onlink: onlink && via.is_some(),
    })
}
