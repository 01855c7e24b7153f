//! `[rip]` and `[ripng]`: where they run, what they announce, and their timers.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::error::{Fault, wrong};
use super::glob::Glob;
use super::rip_interface::{self, RawInterface, RawNgInterface, RipInterface};
use super::value::{self, FromShort, OrShort, Span};
use crate::rip::{MAX_ROUTES, PATHS, SendVersion};

/// `[rip]`, and `[ripng]`, which has no version and no authentication.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rip {
    /// What interfaces send that do not say otherwise.
    pub version: SendVersion,
    /// Interfaces that RIP runs on, beside those named in `interface`.
    pub interfaces: Vec<Glob>,
    /// Other sources that are announced. The networks of RIP's own interfaces go
    /// out anyway.
    pub redistribute: Vec<Redistribute>,
    /// Announce 0.0.0.0/0.
    pub default_originate: bool,
    /// Between periodic updates, before jitter.
    pub update: Duration,
    /// After this long without an update a route is no longer used.
    pub timeout: Duration,
    /// For this long a lost route is announced as unreachable.
    pub garbage: Duration,
    /// Destinations kept.
    pub max_routes: usize,
    /// Next hops of a destination.
    pub ecmp: usize,
    /// How long new and better routes wait before they are used.
    pub settle: Duration,
    /// `[[rip.interface]]`: settings that differ from the defaults. The first
    /// whose name matches counts.
    pub interface: Vec<RipInterface>,
}

impl Rip {
    /// How RIP runs on an interface; `None` where it doesn't.
    pub fn settings(&self, name: &str) -> Option<RipInterface> {
        if let Some(settings) = self.interface.iter().find(|entry| entry.name.matches(name)) {
            return Some(settings.clone());
        }
        let glob = self.interfaces.iter().find(|glob| glob.matches(name))?;
        Some(RipInterface::new(glob.clone(), self.version))
    }
}

/// A source of routes that RIP announces.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Redistribute {
    /// Whose routes.
    pub source: RedistributeSource,
    /// The metric they are announced with, 1..=15.
    pub metric: u8,
    /// The tag they get; `None` = they keep their own.
    pub tag: Option<u16>,
}

/// Whose routes are announced.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RedistributeSource {
    /// Networks of the router's interfaces.
    Connected,
    /// `[[static]]`.
    Static,
    /// Clients of the routing socket.
    Socket,
    /// What other daemons and `ip route` put into the kernel's table.
    Kernel,
}

/// `[rip]` as typed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawRip {
    #[serde(default, deserialize_with = "rip_interface::send_version")]
    version: SendVersion,
    #[serde(default)]
    interfaces: Vec<Glob>,
    #[serde(default)]
    redistribute: Vec<Spanned<OrShort<RawRedistribute>>>,
    #[serde(default)]
    default_originate: bool,
    update: Option<Spanned<Span>>,
    timeout: Option<Spanned<Span>>,
    garbage: Option<Span>,
    #[serde(default = "max_routes", deserialize_with = "value::routes")]
    max_routes: usize,
    #[serde(default = "ecmp", deserialize_with = "value::ecmp")]
    ecmp: usize,
    #[serde(default, deserialize_with = "value::settle")]
    settle: Duration,
    #[serde(default)]
    interface: Vec<RawInterface>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawRedistribute {
    source: RedistributeSource,
    #[serde(default = "one", deserialize_with = "value::rip_metric")]
    metric: u8,
    #[serde(default, deserialize_with = "some_tag")]
    tag: Option<u16>,
}

pub(super) const fn one() -> u8 {
    1
}

pub(super) const fn max_routes() -> usize {
    MAX_ROUTES
}

const fn ecmp() -> usize {
    PATHS
}

fn some_tag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u16>, D::Error> {
    value::tag(deserializer).map(Some)
}

impl FromShort for RawRedistribute {
    const EXPECTING: &'static str = "a source of routes or { source = …, metric = …, tag = … }";

    fn from_short(text: &str) -> Result<Self, String> {
        let source = match text {
            "connected" => RedistributeSource::Connected,
            "static" => RedistributeSource::Static,
            "socket" => RedistributeSource::Socket,
            "kernel" => RedistributeSource::Kernel,
            _ => {
                let help = "it can be \"connected\", \"static\", \"socket\" or \"kernel\"";
                return Err(wrong(format!("{text:?} is no source of routes"), help));
            }
        };
        Ok(RawRedistribute {
            source,
            metric: 1,
            tag: None,
        })
    }
}

/// RFC 2453 §3.8 names these three.
const UPDATE: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(180);
const GARBAGE: Duration = Duration::from_secs(120);

/// Turns the table as typed into settings.
pub(super) fn check(table: Spanned<RawRip>) -> Result<Rip, Fault> {
    let span = table.span();
    check_table(span, table.into_inner())
}

fn check_table(span: Range<usize>, raw: RawRip) -> Result<Rip, Fault> {
    if raw.interfaces.is_empty() && raw.interface.is_empty() {
        let help = "name its interfaces: interfaces = [\"eth*\"]";
        return Err(Fault::new(span, "RIP is on but runs on no interface", help));
    }
    let (update, timeout) = timers(raw.update.as_ref(), raw.timeout.as_ref())?;
    Ok(Rip {
        version: raw.version,
        interfaces: raw.interfaces,
        redistribute: redistribute(raw.redistribute)?,
        default_originate: raw.default_originate,
        update,
        timeout,
        garbage: raw.garbage.map_or(GARBAGE, |garbage| garbage.0),
        max_routes: raw.max_routes,
        ecmp: raw.ecmp,
        settle: raw.settle,
        interface: rip_interface::check(raw.interface, raw.version)?,
    })
}

/// A route must outlive the wait for its next update.
fn timers(
    update: Option<&Spanned<Span>>,
    timeout: Option<&Spanned<Span>>,
) -> Result<(Duration, Duration), Fault> {
    let value = |key: Option<&Spanned<Span>>, default| key.map_or(default, |key| key.get_ref().0);
    let (update_value, timeout_value) = (value(update, UPDATE), value(timeout, TIMEOUT));
    if timeout_value > update_value {
        return Ok((update_value, timeout_value));
    }
    let span = timeout.or(update).map_or(0..0, Spanned::span);
    let message = format!(
        "routes would time out after {} although updates come every {}",
        humantime::format_duration(timeout_value),
        humantime::format_duration(update_value),
    );
    Err(Fault::new(
        span,
        message,
        "make timeout longer than update; six times is usual",
    ))
}

fn redistribute(
    elements: Vec<Spanned<OrShort<RawRedistribute>>>,
) -> Result<Vec<Redistribute>, Fault> {
    let mut seen = BTreeSet::new();
    let mut result = Vec::with_capacity(elements.len());
    for element in elements {
        let span = element.span();
        let RawRedistribute {
            source,
            metric,
            tag,
        } = element.into_inner().0;
        if !seen.insert(source) {
            let help = "name each source once";
            return Err(Fault::new(span, "this source is in the list already", help));
        }
        result.push(Redistribute {
            source,
            metric,
            tag,
        });
    }
    Ok(result)
}

/// `[ripng]` as typed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawRipng {
    #[serde(default)]
    interfaces: Vec<Glob>,
    #[serde(default)]
    redistribute: Vec<Spanned<OrShort<RawRedistribute>>>,
    #[serde(default)]
    default_originate: bool,
    update: Option<Spanned<Span>>,
    timeout: Option<Spanned<Span>>,
    garbage: Option<Span>,
    #[serde(default = "max_routes", deserialize_with = "value::routes")]
    max_routes: usize,
    #[serde(default = "ecmp", deserialize_with = "value::ecmp")]
    ecmp: usize,
    #[serde(default, deserialize_with = "value::settle")]
    settle: Duration,
    #[serde(default)]
    interface: Vec<RawNgInterface>,
}

/// The same for `[ripng]`.
pub(super) fn check_ng(table: Spanned<RawRipng>) -> Result<Rip, Fault> {
    let span = table.span();
    let raw = table.into_inner();
    let typed = RawRip {
        version: SendVersion::default(),
        interfaces: raw.interfaces,
        redistribute: raw.redistribute,
        default_originate: raw.default_originate,
        update: raw.update,
        timeout: raw.timeout,
        garbage: raw.garbage,
        max_routes: raw.max_routes,
        ecmp: raw.ecmp,
        settle: raw.settle,
        interface: raw.interface.into_iter().map(Into::into).collect(),
    };
    check_table(span, typed)
}
