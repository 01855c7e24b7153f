//! The command line: one file a verb.
//!
//! Every verb but `run`, `detach`, `doctor`, `bench`, `query` and `rip-replay` is a question or a
//! command to a running daemon, over its API. Exit status: 0 done, 1 failed, 2 not
//! understood. What was asked for goes to stdout, everything else to stderr.

pub mod args;
mod bench;
mod detach;
mod doctor;
mod logging;
mod output;
mod query;
mod reload;
mod rip;
mod rip_replay;
mod route;
mod run;
mod show;
mod stop;
pub mod table;
mod trace;

use std::process::ExitCode;

use clap::Parser as _;

use crate::api::client::Client;
use args::{Arguments, Command};

/// The whole program: reads the arguments, does what they say, reports.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    logging::start(&arguments);
    let result = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(dispatch(arguments)));
    match result {
        Ok(status) => status,
        Err(error) => {
            output::error(&error);
            ExitCode::FAILURE
        }
    }
}

async fn dispatch(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let paths = arguments.paths();
    let client = Client::new(paths.clone());
    match arguments.command {
        Command::Run(command) => run::run(command, paths.clone()).await,
        Command::Show(command) => show::run(command, &client, arguments.json).await,
        Command::Reload => reload::run(&client, arguments.json).await,
        Command::Stop => stop::run(&client, &paths, arguments.json).await,
        Command::Detach(command) => detach::run(&command, &paths, arguments.json).await,
        Command::Trace(command) => trace::run(&command, &client, arguments.json).await,
        Command::Rip(command) => rip::run(&command, &client, arguments.json).await,
        Command::RipReplay(command) => rip_replay::run(&command, arguments.json),
        Command::Query(command) => query::run(&command, arguments.json).await,
        Command::Bench(command) => bench::run(command, arguments.json).await,
        // Their exit status is part of their answer.
        Command::Route(command) => {
            return route::run(&command.words, &client, &paths, arguments.json).await;
        }
        Command::Doctor(command) => {
            return doctor::run(&command, &paths, arguments.json).await;
        }
    }?;
    Ok(ExitCode::SUCCESS)
}
