//! `forwarder run`: the daemon, or only a look at its configuration.

use forwarder_core::config::{Attach, Config, Glob};

use super::args::RunCommand;
use super::output;
use crate::config_file;
use crate::daemon::{self, RecordOptions, RunOptions};
use crate::paths::Paths;
use crate::rip_keys;

pub(super) async fn run(command: RunCommand, paths: Paths) -> anyhow::Result<()> {
    if command.check {
        let config = config_file::load(&command.config)?;
        if let Some(rip) = &config.rip {
            rip_keys::load(rip)?;
        }
        return output::print(summary(&config));
    }
    daemon::run(RunOptions {
        config_path: command.config,
        paths,
        record: command.record.map(|file| RecordOptions {
            file,
            limit: command.record_limit << 20,
        }),
    })
    .await
}

/// What the configuration comes to, in a few lines.
fn summary(config: &Config) -> String {
    let mut lines = vec![
        "configuration ok".to_owned(),
        dataplane(config),
        kernel(config),
    ];
    lines.push(format!("  static routes: {}", config.statics.len()));
    lines.push(rip(config));
    lines.join("\n")
}

fn dataplane(config: &Config) -> String {
    let dataplane = &config.dataplane;
    let ports = match dataplane.interfaces.as_slice() {
        [] => "every Ethernet device that is up and has an address".to_owned(),
        globs => list(globs),
    };
    let attach = match dataplane.attach {
        Attach::Auto => "auto",
        Attach::Native => "native",
        Attach::Generic => "generic",
    };
    format!(
        "  ports: {ports}; attach {attach}, engine {}",
        dataplane.engine.name()
    )
}

fn kernel(config: &Config) -> String {
    let kernel = &config.kernel;
    let export = match kernel.export {
        true => format!(
            "routes exported as protocol {} metric {}",
            kernel.protocol, kernel.metric
        ),
        false => "no routes exported".to_owned(),
    };
    let import = if kernel.import { "followed" } else { "ignored" };
    format!("  kernel: {export}; other daemons' routes {import}")
}

fn rip(config: &Config) -> String {
    let Some(rip) = &config.rip else {
        return "  rip: off".to_owned();
    };
    let mut globs = rip.interfaces.clone();
    globs.extend(rip.interface.iter().map(|interface| interface.name.clone()));
    globs.sort();
    globs.dedup();
    format!("  rip: version 2 on {}", list(&globs))
}

fn list(globs: &[Glob]) -> String {
    globs
        .iter()
        .map(Glob::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}
