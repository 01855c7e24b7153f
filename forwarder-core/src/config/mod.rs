//! The configuration file: TOML in, a checked [`Config`] out.
//!
//! Owns the words of the file, their defaults and the rules between them. The
//! daemon calls [`Config::parse`] at start and at every reload, `forwarder run
//! --check` calls it alone. A `Config` that exists is valid: whoever reads it
//! checks nothing again, and nothing of a bad file is ever applied.
//!
//! There are two levels. Values check themselves while they are read
//! ([`value`]), so that serde's own errors and ours carry the same position.
//! Rules between values (a timeout against the update interval, one prefix
//! configured twice) need the whole table: [`statics`] and [`rip`] first read
//! it as typed, positions kept, and then turn it into the public type.
//!
//! Every key is listed, with its default, in `packaging/forwarder.toml`.

mod dataplane;
mod error;
mod glob;
mod kernel;
mod rip;
mod rip_auth;
mod rip_interface;
mod route_socket;
mod statics;
mod value;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use ipnet::IpNet;
use serde::Deserialize;
use toml::Spanned;

pub use dataplane::{Attach, Bypass, Dataplane, Engine, PortSettings, PuntLimits};
pub use error::ConfigError;
pub use glob::{Glob, GlobError};
pub use kernel::{Distances, Kernel};
pub use rip::{Redistribute, RedistributeSource, Rip};
pub use rip_auth::{KeySource, RipAuth, RipKey};
pub use rip_interface::{RipInterface, SplitHorizon};
pub use route_socket::{Group, Redirects, RouteSocket};
pub use statics::{StaticNexthop, StaticRoute, StaticTarget};

use error::Fault;

/// A valid configuration. `Config::default()` is that of an empty file.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Config {
    /// `[dataplane]`: the XDP program and its ports.
    pub dataplane: Dataplane,
    /// `[kernel]`: how the kernel's own tables are shared.
    pub kernel: Kernel,
    /// `[distances]`: how far each source of routes is trusted.
    pub distances: Distances,
    /// `[route-socket]`: other processes' way to the routes.
    pub route_socket: RouteSocket,
    /// `[[static]]`, in the file's order; prefixes are distinct.
    pub statics: Vec<StaticRoute>,
    /// `[rip]`; `None` where the table is absent: RIP is off.
    pub rip: Option<Rip>,
    /// `[ripng]`; `None` where the table is absent.
    pub ripng: Option<Rip>,
}

/// The file as typed.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct RawConfig {
    dataplane: Dataplane,
    kernel: Kernel,
    distances: Distances,
    route_socket: RouteSocket,
    #[serde(rename = "static")]
    statics: Vec<Spanned<statics::RawStatic>>,
    rip: Option<Spanned<rip::RawRip>>,
    ripng: Option<Spanned<rip::RawRipng>>,
}

impl Config {
    /// Reads a configuration. `file` is the name that errors show.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line and column and what would
    /// be right.
    pub fn parse(file: &str, text: &str) -> Result<Config, ConfigError> {
        Self::check(text).map_err(|fault| ConfigError::new(file, text, fault))
    }

    /// The prefixes whose routes are counted each by itself: `count` of
    /// `[dataplane]` and of `[[static]]`.
    pub fn counted(&self) -> BTreeSet<IpNet> {
        let statics = self.statics.iter().filter(|route| route.count);
        let named = self.dataplane.count.iter().copied();
        named.chain(statics.map(|route| route.prefix)).collect()
    }

    fn check(text: &str) -> Result<Config, Fault> {
        let raw: RawConfig = toml::from_str(text)?;
        Ok(Config {
            dataplane: raw.dataplane,
            kernel: raw.kernel,
            statics: statics::check(raw.statics, raw.distances.static_)?,
            distances: raw.distances,
            route_socket: raw.route_socket,
            rip: raw.rip.map(rip::check).transpose()?,
            ripng: raw.ripng.map(rip::check_ng).transpose()?,
        })
    }
}
