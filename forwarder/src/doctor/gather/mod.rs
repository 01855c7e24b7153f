//! Gathers the facts: `/proc`, netlink, ethtool. Changes nothing and decides
//! nothing. What may not be looked at is kept as the reason why.
//!
//! Everything is of the network namespace of the calling thread; what only
//! another namespace shows is read in a thread that enters it ([`namespace`]).

mod interface;
mod machine;
mod namespace;

use std::io;
use std::path::Path;
use std::sync::Arc;

use forwarder_core::config::Config;
use forwarder_core::interface::Interfaces;

use super::facts::{Facts, Forwarding, Limits};
use crate::daemon::check_interfaces;
use crate::dataplane::features::Features;
use crate::dataplane::ports;
use crate::kernel::{RequestError, Survey};
use interface::Gatherer;

/// Nothing can be said.
#[derive(Debug, thiserror::Error)]
pub enum GatherError {
    /// An interface was asked about that does not exist.
    #[error("there is no interface {name:?} (there are: {known})")]
    NoSuchInterface {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The kernel did not tell of its interfaces.
    #[error("asking the kernel for its interfaces: {0}")]
    Netlink(#[from] RequestError),
    /// Likewise.
    #[error("asking the kernel for its devices' abilities: {0}")]
    Features(#[from] io::Error),
}

/// Looks at the machine, and at these interfaces; at those that would be ports
/// where none are named. Within a tokio runtime.
pub async fn gather(
    config: Config,
    bpf_dir: &Path,
    names: &[String],
) -> Result<Facts, GatherError> {
    let mut survey = Survey::open()?;
    let interfaces = survey.interfaces().await?;
    check_names(names, &interfaces)?;
    let neighbours = survey.neighbour_tables().await;
    let capabilities = machine::Capabilities::of_this_thread();
    let constraints = machine::constraints(&capabilities).await;
    let features = Features::open().await?;
    let initial_namespace = namespace::initial();
    let left_out = names.is_empty().then(|| left_out(&config, &interfaces));
    let mut gatherer = Gatherer {
        extras: survey.extras().await?,
        survey,
        interfaces: Arc::clone(&interfaces),
        features,
        settings: &config.dataplane,
        tc: constraints
            .as_ref()
            .map(|all| all.tc.clone())
            .unwrap_or_default(),
    };
    Ok(Facts {
        interfaces: gatherer.gather(names).await,
        left_out,
        initial_namespace,
        cpus: machine::cpus(),
        kernel: machine::kernel(bpf_dir, &capabilities, initial_namespace),
        limits: Limits {
            available: machine::available(),
            memlock: machine::memlock(),
            neighbours: neighbours.map_err(|error| error.to_string()),
        },
        forwarding: Forwarding {
            ipv4: machine::sysctl("net/ipv4/ip_forward"),
            ipv6: machine::sysctl("net/ipv6/conf/all/forwarding"),
            hash_policy: machine::sysctl("net/ipv4/fib_multipath_hash_policy"),
            hash_policy6: machine::sysctl("net/ipv6/fib_multipath_hash_policy"),
            constraints,
            missing: missing(&config, &interfaces),
        },
        config,
    })
}

fn check_names(names: &[String], interfaces: &Interfaces) -> Result<(), GatherError> {
    let unknown = names.iter().find(|name| interfaces.by_name(name).is_none());
    let Some(name) = unknown else { return Ok(()) };
    let known = interfaces.by_index.values();
    let known: Vec<&str> = known.map(|interface| interface.name.as_str()).collect();
    Err(GatherError::NoSuchInterface {
        name: name.clone(),
        known: known.join(", "),
    })
}

fn missing(config: &Config, interfaces: &Interfaces) -> Option<String> {
    let error = check_interfaces(config, interfaces).err()?;
    Some(error.to_string())
}

fn left_out(config: &Config, interfaces: &Interfaces) -> Vec<(String, String)> {
    let each = interfaces.by_index.values();
    each.filter_map(|interface| {
        let why = ports::wants(&config.dataplane, interface, interfaces).err()?;
        Some((interface.name.clone(), why))
    })
    .collect()
}
