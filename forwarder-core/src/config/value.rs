//! Single values that check themselves while they are read.
//!
//! Each is a type, or a function for `#[serde(deserialize_with)]`. The error is
//! made here and gets its position from the TOML reader, so list elements and
//! inline tables point at themselves.

use std::fmt;
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::time::Duration;

use ipnet::IpNet;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::error::wrong;
use super::glob::NAME_MAX;
use crate::route::Distance;

/// A string turned into a `T`. The error of `parse`, made by [`wrong`], is raised
/// inside the visitor: only there does the reader add the position of a list's
/// element.
pub(super) fn string<'de, D, T>(
    deserializer: D,
    expecting: &'static str,
    parse: fn(&str) -> Result<T, String>,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
{
    deserializer.deserialize_str(StringVisitor { expecting, parse })
}

struct StringVisitor<T> {
    expecting: &'static str,
    parse: fn(&str) -> Result<T, String>,
}

impl<T> Visitor<'_> for StringVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expecting)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.parse)(text).map_err(E::custom)
    }
}

/// An integer within `range`; `rule` says which numbers are right and why.
pub(super) fn integer<'de, D, T>(
    deserializer: D,
    range: RangeInclusive<i64>,
    rule: &str,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<i64>,
{
    let value = i64::deserialize(deserializer)?;
    let converted = T::try_from(value).ok().filter(|_| range.contains(&value));
    converted.ok_or_else(|| {
        let (low, high) = (range.start(), range.end());
        D::Error::custom(wrong(
            format!("{value} is not within {low} to {high}"),
            rule,
        ))
    })
}

/// An administrative distance, 1 to 254.
pub(super) fn distance<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Distance, D::Error> {
    let rule = "the lower distance wins; 0 belongs to connected networks, 255 means never";
    integer(deserializer, 1..=254, rule).map(Distance)
}

/// The same where the key may be absent.
pub(super) fn some_distance<'de, D>(deserializer: D) -> Result<Option<Distance>, D::Error>
where
    D: Deserializer<'de>,
{
    distance(deserializer).map(Some)
}

/// A metric of RIP, 1 to 15.
pub(super) fn rip_metric<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    integer(
        deserializer,
        1..=15,
        "RIP counts from 1 to 15; 16 means unreachable (RFC 2453 §3.6)",
    )
}

/// A number of routes to keep, 1 to 16777216.
pub(super) fn routes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    integer(deserializer, 1..=1 << 24, "each takes about 350 bytes")
}

/// A number of next hops, 1 to 16.
pub(super) fn ecmp<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    integer(
        deserializer,
        1..=16,
        "so many offers are kept for each destination",
    )
}

/// A length of time from none to 30 s.
pub(super) fn settle<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    string(deserializer, "a length of time such as \"5s\"", |text| {
        let parsed = humantime::parse_duration(text).ok();
        parsed
            .filter(|time| *time <= Duration::from_secs(30))
            .ok_or_else(|| wrong(format!("{text:?} is not within 0s to 30s"), DURATION_HELP))
    })
}

/// Datagrams in 20 ms, 1 to 1000.
pub(super) fn pace<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    integer(
        deserializer,
        1..=1000,
        "so many datagrams are sent in 20 ms",
    )
}

/// A number of neighbours to keep, 1 to 65536.
pub(super) fn neighbors<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let rule = "whoever can send on the link can make up as many as there is room for";
    integer(deserializer, 1..=1 << 16, rule)
}

/// A route tag, 16 bits as in RIP.
pub(super) fn tag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    integer(
        deserializer,
        0..=65535,
        "a route tag has 16 bits (RFC 2453 §4.2)",
    )
}

/// A length of time, "30s"; from one second to a day.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span(pub(super) Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        duration(deserializer).map(Span)
    }
}

/// [`Span`] for `deserialize_with`.
pub(super) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    deserializer.deserialize_any(DurationVisitor)
}

struct DurationVisitor;

const DURATION_HELP: &str = "write a number with its unit: \"30s\", \"500ms\" or \"2m 30s\"";
const DURATION_RANGE: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(24 * 60 * 60);

impl Visitor<'_> for DurationVisitor {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a length of time such as \"30s\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Duration, E> {
        let parsed = humantime::parse_duration(text).map_err(|_| {
            E::custom(wrong(
                format!("{text:?} is not a length of time"),
                DURATION_HELP,
            ))
        })?;
        if DURATION_RANGE.contains(&parsed) {
            return Ok(parsed);
        }
        Err(E::custom(wrong(
            format!("{text:?} is not within one second to one day"),
            DURATION_HELP,
        )))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Duration, E> {
        Err(E::custom(wrong(
            format!("{number} has no unit"),
            DURATION_HELP,
        )))
    }
}

/// A destination: an IPv4 prefix without host bits that can be routed to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prefix(pub(super) IpNet);

impl<'de> Deserialize<'de> for Prefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        string(
            deserializer,
            "a prefix such as \"198.51.100.0/24\"",
            parse_prefix,
        )
        .map(Prefix)
    }
}

fn parse_prefix(text: &str) -> Result<IpNet, String> {
    let Ok(prefix) = text.parse::<IpNet>() else {
        return Err(wrong(
            format!("{text:?} is not a prefix"),
            prefix_help(text),
        ));
    };
    if prefix != prefix.trunc() {
        let right = format!(
            "write \"{}\", or \"{}/{}\" for the host",
            prefix.trunc(),
            prefix.addr(),
            prefix.max_prefix_len()
        );
        return Err(wrong(
            format!("{text:?} has bits set beyond its length"),
            right,
        ));
    }
    if let Some(help) = not_routed(prefix) {
        return Err(wrong(format!("{text:?} is no unicast destination"), help));
    }
    Ok(prefix)
}

/// What is not routed of the prefix's family, if that is what it is.
fn not_routed(prefix: IpNet) -> Option<&'static str> {
    let whole_octet = prefix.prefix_len() >= 8;
    match prefix.addr() {
        IpAddr::V4(address) => {
            let first = address.octets()[0];
            let never = first >= 224 || (whole_octet && matches!(first, 0 | 127));
            never
                .then_some("0.0.0.0/8, 127.0.0.0/8 and everything from 224.0.0.0 on are not routed")
        }
        IpAddr::V6(address) => {
            let link_local = address.is_unicast_link_local() && prefix.prefix_len() >= 10;
            let special = prefix.prefix_len() >= 127 && address.to_bits() <= 1;
            let never = link_local || special || (whole_octet && address.is_multicast());
            never.then_some("::, ::1, fe80::/10 and ff00::/8 are not routed")
        }
    }
}

fn prefix_help(text: &str) -> String {
    match text.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => return format!("add the length: \"{text}/32\" for the host alone"),
        Ok(IpAddr::V6(_)) => return format!("add the length: \"{text}/128\" for the host alone"),
        Err(_) => {}
    }
    if text.contains(':') {
        return "write an address and a length from 0 to 128: \"2001:db8::/32\"".to_owned();
    }
    if text == "default" {
        return "write \"0.0.0.0/0\" or \"::/0\"".to_owned();
    }
    "write an address and a length from 0 to 32: \"198.51.100.0/24\"".to_owned()
}

/// The address of another router: IPv4 unicast.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Host(pub(super) Ipv4Addr);

impl<'de> Deserialize<'de> for Host {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        string(deserializer, "an IPv4 address", parse_host).map(Host)
    }
}

/// The address of a router, as a text.
pub(super) fn parse_host(text: &str) -> Result<Ipv4Addr, String> {
    let help = "write the IPv4 address of a router on one of our links: \"192.0.2.1\"";
    let Ok(address) = text.parse::<Ipv4Addr>() else {
        return Err(wrong(format!("{text:?} is not an IPv4 address"), help));
    };
    if matches!(address.octets()[0], 0 | 127 | 224..) {
        return Err(wrong(format!("{text:?} is no unicast address"), help));
    }
    Ok(address)
}

/// The address of a router of either family.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Router(pub(super) IpAddr);

impl<'de> Deserialize<'de> for Router {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        string(deserializer, "an IP address", parse_router).map(Router)
    }
}

/// The address of a router, as a text.
pub(super) fn parse_router(text: &str) -> Result<IpAddr, String> {
    let help = "write the address of a router on one of our links: \"192.0.2.1\", \"fe80::1\"";
    let Ok(address) = text.parse::<IpAddr>() else {
        return Err(wrong(format!("{text:?} is not an IP address"), help));
    };
    let unicast = match address {
        IpAddr::V4(address) => !matches!(address.octets()[0], 0 | 127 | 224..),
        IpAddr::V6(address) => {
            !(address.is_unspecified() || address.is_loopback() || address.is_multicast())
        }
    };
    if !unicast {
        return Err(wrong(format!("{text:?} is no unicast address"), help));
    }
    Ok(address)
}

/// The name of one interface, as the kernel allows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct DeviceName(pub(super) String);

impl<'de> Deserialize<'de> for DeviceName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        string(deserializer, "the name of an interface", parse_name).map(DeviceName)
    }
}

fn parse_name(text: &str) -> Result<String, String> {
    let foreign = |c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control();
    let shaped = (1..=NAME_MAX).contains(&text.len()) && !text.contains(foreign);
    if shaped && text != "." && text != ".." {
        return Ok(text.to_owned());
    }
    let help = format!("a name has 1 to {NAME_MAX} characters, without blanks, '/' and ':'");
    Err(wrong(format!("{text:?} cannot be an interface"), help))
}

/// A table that may be written short, as a string with its most important value.
#[derive(Debug)]
pub(super) struct OrShort<T>(pub(super) T);

/// What the short form of a table means.
pub(super) trait FromShort: Sized {
    /// What is expected, for errors about the type.
    const EXPECTING: &'static str;

    /// The table that the string stands for, or an error made by [`wrong`].
    fn from_short(text: &str) -> Result<Self, String>;
}

impl<'de, T: FromShort + Deserialize<'de>> Deserialize<'de> for OrShort<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_any(ShortVisitor(PhantomData))
            .map(OrShort)
    }
}

struct ShortVisitor<T>(PhantomData<T>);

impl<'de, T: FromShort + Deserialize<'de>> Visitor<'de> for ShortVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTING)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::from_short(text).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}
