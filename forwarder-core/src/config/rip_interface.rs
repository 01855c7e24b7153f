//! `[[rip.interface]]` and `[[ripng.interface]]`: how RIP runs on an interface.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::error::{Fault, wrong};
use super::glob::Glob;
use super::rip::{max_routes, one};
use super::rip_auth::{self, RawAuth, RipAuth};
use super::value::{self, Host};
use crate::rip::{MAX_NEIGHBORS, PACE, ReceiveVersion, SendVersion};

/// `[[rip.interface]]`: how RIP runs on one interface, or on those that match.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RipInterface {
    /// Which.
    pub name: Glob,
    /// Listens, and sends nothing by multicast.
    pub passive: bool,
    /// What is sent.
    pub send_version: SendVersion,
    /// What is accepted.
    pub receive_version: ReceiveVersion,
    /// How routes are announced to where they came from.
    pub split_horizon: SplitHorizon,
    /// Added to the metric of what is learnt here, 1..=15.
    pub cost: u8,
    /// Routers that get updates by unicast.
    pub neighbors: Vec<IpAddr>,
    /// How packets are authenticated; `None` = not.
    pub auth: Option<RipAuth>,
    /// Believe only what has passed no router (RFC 5082).
    pub ttl_security: bool,
    /// Neighbours kept.
    pub max_neighbors: usize,
    /// Destinations that each of them may offer.
    pub max_neighbor_routes: usize,
    /// Datagrams sent in 20 ms.
    pub pace: usize,
}

impl RipInterface {
    pub(super) fn new(name: Glob, send_version: SendVersion) -> Self {
        RipInterface {
            name,
            passive: false,
            send_version,
            receive_version: received(send_version, false),
            split_horizon: SplitHorizon::default(),
            cost: 1,
            neighbors: Vec::new(),
            auth: None,
            ttl_security: false,
            max_neighbors: max_neighbors(),
            max_neighbor_routes: max_routes(),
            pace: pace(),
        }
    }
}

/// RFC 2453 §3.4.3.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SplitHorizon {
    /// Routes are left out where they came from.
    Simple,
    /// They are announced there as unreachable.
    #[default]
    Poison,
    /// They are announced like everywhere else.
    Off,
}

impl SplitHorizon {
    /// As it is written in the file.
    pub const fn name(self) -> &'static str {
        match self {
            SplitHorizon::Simple => "simple",
            SplitHorizon::Poison => "poison",
            SplitHorizon::Off => "off",
        }
    }
}

const fn max_neighbors() -> usize {
    MAX_NEIGHBORS
}

const fn pace() -> usize {
    PACE
}

/// What is accepted where nothing is said about it: what the others send by the
/// same choice (RFC 2453 §4.1). RIPv1 has no authentication.
const fn received(send: SendVersion, auth: bool) -> ReceiveVersion {
    match send {
        SendVersion::V1 => ReceiveVersion::V1,
        SendVersion::Compatible if !auth => ReceiveVersion::Both,
        SendVersion::Compatible | SendVersion::V2 => ReceiveVersion::V2,
    }
}

/// What is sent, as typed.
pub(super) fn send_version<'de, D>(deserializer: D) -> Result<SendVersion, D::Error>
where
    D: Deserializer<'de>,
{
    value::string(deserializer, "a version of RIP, as a string", |text| {
        let all = [SendVersion::V1, SendVersion::Compatible, SendVersion::V2];
        let help = "it can be \"1\", \"2\" or \"compat\", RIPv2 by broadcast";
        let known = all.into_iter().find(|version| version.name() == text);
        known.ok_or_else(|| wrong(format!("RIP version {text:?} is not known"), help))
    })
}

/// What is accepted, as typed.
#[derive(Clone, Copy)]
struct Receive(ReceiveVersion);

impl<'de> Deserialize<'de> for Receive {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        value::string(deserializer, "a version of RIP, as a string", |text| {
            let all = [ReceiveVersion::V1, ReceiveVersion::V2, ReceiveVersion::Both];
            let known = all.into_iter().find(|version| version.name() == text);
            let help = "it can be \"1\", \"2\" or \"both\"";
            known
                .map(Receive)
                .ok_or_else(|| wrong(format!("RIP version {text:?} is not known"), help))
        })
    }
}

#[derive(Clone, Copy)]
struct Send(SendVersion);

impl<'de> Deserialize<'de> for Send {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        send_version(deserializer).map(Send)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawInterface {
    name: Spanned<Glob>,
    #[serde(default)]
    passive: bool,
    send_version: Option<Spanned<Send>>,
    receive_version: Option<Spanned<Receive>>,
    #[serde(default)]
    split_horizon: SplitHorizon,
    #[serde(default = "one", deserialize_with = "value::rip_metric")]
    cost: u8,
    #[serde(default)]
    neighbors: Vec<Spanned<Host>>,
    auth: Option<Spanned<RawAuth>>,
    #[serde(default)]
    ttl_security: bool,
    #[serde(default = "max_neighbors", deserialize_with = "value::neighbors")]
    max_neighbors: usize,
    #[serde(default = "max_routes", deserialize_with = "value::routes")]
    max_neighbor_routes: usize,
    #[serde(default = "pace", deserialize_with = "value::pace")]
    pace: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawNgInterface {
    name: Spanned<Glob>,
    #[serde(default)]
    passive: bool,
    #[serde(default)]
    split_horizon: SplitHorizon,
    #[serde(default = "one", deserialize_with = "value::rip_metric")]
    cost: u8,
    #[serde(default)]
    ttl_security: bool,
    #[serde(default = "max_neighbors", deserialize_with = "value::neighbors")]
    max_neighbors: usize,
    #[serde(default = "max_routes", deserialize_with = "value::routes")]
    max_neighbor_routes: usize,
    #[serde(default = "pace", deserialize_with = "value::pace")]
    pace: usize,
}

impl From<RawNgInterface> for RawInterface {
    fn from(raw: RawNgInterface) -> Self {
        RawInterface {
            name: raw.name,
            passive: raw.passive,
            send_version: None,
            receive_version: None,
            split_horizon: raw.split_horizon,
            cost: raw.cost,
            neighbors: Vec::new(),
            auth: None,
            ttl_security: raw.ttl_security,
            max_neighbors: raw.max_neighbors,
            max_neighbor_routes: raw.max_neighbor_routes,
            pace: raw.pace,
        }
    }
}

/// Turns the tables as typed into settings; `version` is that of `[rip]`.
pub(super) fn check(
    tables: Vec<RawInterface>,
    version: SendVersion,
) -> Result<Vec<RipInterface>, Fault> {
    let mut seen = BTreeMap::new();
    let mut result = Vec::with_capacity(tables.len());
    for raw in tables {
        let span = raw.name.span();
        let name = raw.name.get_ref().clone();
        if let Some(first) = seen.insert(name.clone(), span.start) {
            let message = format!("a second [[rip.interface]] for {name}");
            let fault = Fault::new(span, message, "put its settings into one table");
            return Err(fault.repeats(first));
        }
        let (send_version, receive_version) = versions(&raw, version)?;
        result.push(RipInterface {
            name,
            passive: raw.passive,
            send_version,
            receive_version,
            split_horizon: raw.split_horizon,
            cost: raw.cost,
            neighbors: neighbors(raw.neighbors)?,
            auth: raw.auth.map(rip_auth::check).transpose()?,
            ttl_security: raw.ttl_security,
            max_neighbors: raw.max_neighbors,
            max_neighbor_routes: raw.max_neighbor_routes,
            pace: raw.pace,
        });
    }
    Ok(result)
}

/// What is sent and accepted. A router of RIPv1 cannot authenticate itself, and is
/// not told anything where others have to.
fn versions(
    raw: &RawInterface,
    version: SendVersion,
) -> Result<(SendVersion, ReceiveVersion), Fault> {
    let auth = raw.auth.is_some();
    let send = raw.send_version.as_ref().map(Spanned::get_ref);
    let send = send.map_or(version, |send| send.0);
    let receive = raw.receive_version.as_ref();
    let without = if send == SendVersion::V1 {
        let span = raw.send_version.as_ref().map(Spanned::span);
        Some(span.unwrap_or_else(|| raw.name.span()))
    } else {
        receive
            .filter(|receive| receive.get_ref().0 != ReceiveVersion::V2)
            .map(Spanned::span)
    };
    if let Some(span) = without.filter(|_| auth) {
        let help = "take auth away here, or version 1";
        return Err(Fault::new(span, "RIPv1 has no authentication", help));
    }
    let receive = receive.map_or(received(send, auth), |receive| receive.get_ref().0);
    Ok((send, receive))
}

fn neighbors(elements: Vec<Spanned<Host>>) -> Result<Vec<IpAddr>, Fault> {
    let mut seen = BTreeSet::new();
    for element in &elements {
        if !seen.insert(element.get_ref().0) {
            let help = "name each neighbour once";
            return Err(Fault::new(
                element.span(),
                "this neighbour is in the list already",
                help,
            ));
        }
    }
    Ok(elements
        .into_iter()
        .map(|element| element.into_inner().0.into())
        .collect())
}
