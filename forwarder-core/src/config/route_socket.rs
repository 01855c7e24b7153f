//! `[route-socket]`: who may change routes through the routing socket, and what
//! one user may cost the others.

use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use super::error::wrong;
use super::value::{self, integer};
use crate::rib::socket::MAX_ROUTES;

/// `[route-socket]`.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RouteSocket {
    /// Whether there is one.
    pub enabled: bool,
    /// Whose members may change routes, besides user 0; `None` = nobody.
    #[serde(deserialize_with = "group")]
    pub group: Option<Group>,
    /// Answers to GET and failures go to all listeners, as route(4) says.
    pub classic_copies: bool,
    /// What an ICMP redirect does to the routes.
    pub redirects: Redirects,
    /// Connections of one user.
    #[serde(deserialize_with = "connections")]
    pub max_connections: u32,
    /// Bytes of messages that wait for one connection. One that reads no faster
    /// loses what comes after, and is told so.
    #[serde(deserialize_with = "queue")]
    pub queue: usize,
    /// Requests a second of one user without the privilege; 0 = no limit.
    #[serde(deserialize_with = "requests")]
    pub requests_per_second: u32,
    /// Routes of all clients together, of each family.
    #[serde(deserialize_with = "routes")]
    pub max_routes: usize,
}

impl Default for RouteSocket {
    fn default() -> Self {
        RouteSocket {
            enabled: true,
            group: None,
            classic_copies: false,
            redirects: Redirects::default(),
            max_connections: 256,
            queue: 1 << 20,
            requests_per_second: 10_000,
            max_routes: MAX_ROUTES,
        }
    }
}

/// A group of the system. A name is looked up by who needs the number: the
/// groups of the machine that a file is written on may be others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Group {
    /// By number.
    Id(u32),
    /// By name, as in group(5).
    Name(String),
}

/// Longest name of a group that groupadd(8) accepts.
const GROUP_MAX: usize = 32;

impl FromStr for Group {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(id) = text.parse::<u32>() {
            return Ok(Group::Id(id));
        }
        let foreign = |c: char| c == ':' || c == ',' || c.is_whitespace() || c.is_control();
        let number = text.bytes().all(|byte| byte.is_ascii_digit());
        if (1..=GROUP_MAX).contains(&text.len()) && !number && !text.contains(foreign) {
            return Ok(Group::Name(text.to_owned()));
        }
        let help = "write the name of a group in /etc/group, or its number: \"netdev\", \"108\"";
        Err(wrong(format!("{text:?} cannot be a group"), help))
    }
}

/// The empty string is the default of the file: nobody.
fn group<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Group>, D::Error> {
    value::string(deserializer, "the name of a group", |text| {
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some)
    })
}

/// What an ICMP redirect does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Redirects {
    /// It is announced and counted; a router does not follow it (RFC 1812
    /// §5.2.7.2).
    #[default]
    Ignore,
    /// It is followed by the rules of a host.
    Accept,
}

impl<'de> Deserialize<'de> for Redirects {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        value::string(deserializer, "what redirects do", |text| match text {
            "ignore" => Ok(Redirects::Ignore),
            "accept" => Ok(Redirects::Accept),
            _ => {
                let help = "there are \"ignore\", right for a router, and \"accept\"";
                Err(wrong(format!("redirects {text:?} is not known"), help))
            }
        })
    }
}

fn connections<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let rule = "each connection is two file descriptors of the daemon; 256 is the default";
    integer(deserializer, 1..=65_536, rule)
}

fn queue<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let rule = "in bytes, from 64 KiB on: the longest message has to fit; 1048576 is the default";
    integer(deserializer, 65_536..=1 << 30, rule)
}

fn requests<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    integer(deserializer, 0..=10_000_000, "0 switches the limit off")
}

fn routes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    integer(deserializer, 0..=100_000_000, "0 refuses every addition")
}
