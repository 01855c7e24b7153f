//! `forwarder detach`: cleans up after a daemon that has crashed.

use super::args::DetachCommand;
use super::output;
use crate::paths::Paths;
use crate::run_dir::RunDir;
use crate::{config_file, daemon};

pub(super) async fn run(command: &DetachCommand, paths: &Paths, json: bool) -> anyhow::Result<()> {
    let config = config_file::load_or_default(&command.config)?;
    let stale = paths.run_dir.exists();
    // Refused while the daemon runs; holds off one that starts meanwhile; and
    // takes the stale socket and pid file along when dropped.
    let run_dir = RunDir::claim(paths)?;
    let mut removed = daemon::cleanup(paths, &config).await?;
    drop(run_dir);
    if stale {
        removed.push(format!("{} removed", paths.run_dir.display()));
    }
    if json {
        return output::print(serde_json::json!({ "removed": removed }).to_string());
    }
    if removed.is_empty() {
        removed.push("nothing to clean up".to_owned());
    }
    output::print(removed.join("\n"))
}
