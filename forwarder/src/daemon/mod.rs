//! The daemon: wires the tasks together and takes them down again.

use std::path::PathBuf;

use forwarder_core::config::Config;

use crate::paths::Paths;

/// What `forwarder run` was asked to do.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The configuration file; read again at each reload.
    pub config_path: PathBuf,
    /// Where the instance keeps its things.
    pub paths: Paths,
}

/// Runs the daemon until it is told to stop.
///
/// # Errors
/// What kept it from starting, for the person at the keyboard.
pub async fn run(_options: RunOptions) -> anyhow::Result<()> {
    anyhow::bail!("the daemon is not part of this build")
}

/// Removes what a daemon that crashed has left: XDP programs of ours that are
/// still attached, and kernel routes with our protocol and metric. The caller
/// has made sure that no daemon of this instance runs. Returns a line of text
/// for each thing removed.
///
/// # Errors
/// What could not be removed.
pub async fn cleanup(_paths: &Paths, _config: &Config) -> anyhow::Result<Vec<String>> {
    anyhow::bail!("the daemon is not part of this build")
}
