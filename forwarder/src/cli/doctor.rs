//! `forwarder doctor`: asks no daemon and changes nothing.

use std::process::ExitCode;

use anyhow::Context as _;
use forwarder_core::config::Config;

use super::args::{CONFIG_PATH, DoctorCommand};
use super::output;
use crate::config_file;
use crate::doctor::finding::{Finding, Level};
use crate::doctor::gather::gather;
use crate::doctor::{judge, render};
use crate::paths::Paths;

/// Nothing could be examined: as for arguments that are not understood, since 1
/// says that something is to be mended.
const NOT_EXAMINED: u8 = 2;

/// Exit status: 0 no problem, 1 a problem was found, 2 nothing was examined.
pub(super) async fn run(
    command: &DoctorCommand,
    paths: &Paths,
    json: bool,
) -> anyhow::Result<ExitCode> {
    match examine(command, paths).await {
        Ok(findings) => report(&findings, command.all, json),
        Err(error) => {
            output::error(&error);
            Ok(ExitCode::from(NOT_EXAMINED))
        }
    }
}

async fn examine(command: &DoctorCommand, paths: &Paths) -> anyhow::Result<Vec<Finding>> {
    let facts = gather(config(command)?, &paths.bpf_dir, &command.interfaces).await?;
    Ok(judge(&facts))
}

/// A file that was named has to be there; else a machine without one is looked
/// at with the defaults.
fn config(command: &DoctorCommand) -> anyhow::Result<Config> {
    match &command.config {
        Some(path) => config_file::load(path),
        None => config_file::load_or_default(CONFIG_PATH.as_ref()),
    }
}

fn report(findings: &[Finding], all: bool, json: bool) -> anyhow::Result<ExitCode> {
    let text = if json {
        serde_json::to_string(findings).context("writing the findings as JSON")?
    } else {
        render::render(findings, all)
    };
    output::print(text)?;
    let sick = findings.iter().any(|one| one.level == Level::Problem);
    Ok(ExitCode::from(u8::from(sick)))
}
