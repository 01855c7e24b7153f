//! `forwarder show`: asks, and renders the answer as a table; with `--json` the
//! daemon's own words are passed on untouched.

mod clients;
mod counters;
pub(super) mod events;
mod fib;
mod interfaces;
mod neighbors;
mod nexthops;
mod rip;
mod routes;
mod status;

#[cfg(test)]
mod tests;

pub(super) use rip::{neighbors as rip_neighbors, routes as rip_routes};
use serde::de::DeserializeOwned;

use super::args::ShowCommand;
use super::output;
use crate::api::client::Client;

pub(super) async fn run(command: ShowCommand, client: &Client, json: bool) -> anyhow::Result<()> {
    let ask = Ask { client, json };
    match command {
        ShowCommand::Status => ask.show("/v1/status", status::render).await,
        ShowCommand::Routes(command) => routes::run(&command, ask).await,
        ShowCommand::Interfaces => {
            ask.show("/v1/interfaces", |answer: Vec<_>| {
                interfaces::render(&answer)
            })
            .await
        }
        ShowCommand::Neighbors => {
            ask.show("/v1/neighbors", |answer: Vec<_>| neighbors::render(&answer))
                .await
        }
        ShowCommand::Clients => {
            ask.show("/v1/clients", |answer| clients::render(&answer))
                .await
        }
        ShowCommand::Nexthops => {
            ask.show("/v1/nexthops", |answer: Vec<_>| nexthops::render(&answer))
                .await
        }
        ShowCommand::Counters(command) => {
            ask.show("/v1/counters", |answer| {
                counters::render(&answer, command.all)
            })
            .await
        }
        ShowCommand::Events(command) => {
            let path = format!("/v1/events?limit={}", command.number);
            ask.show(&path, |answer| events::render(&answer)).await
        }
        ShowCommand::Fib => ask.show("/v1/fib", |answer| fib::render(&answer)).await,
        ShowCommand::Rip(command) => rip::run(command.part, ask).await,
    }
}

/// A question to the daemon and the form of its answer.
#[derive(Clone, Copy)]
struct Ask<'a> {
    client: &'a Client,
    json: bool,
}

impl Ask<'_> {
    async fn show<T: DeserializeOwned>(
        self,
        path: &str,
        render: impl FnOnce(T) -> String,
    ) -> anyhow::Result<()> {
        if self.json {
            return output::print(self.client.get_text(path).await?);
        }
        output::print(render(self.client.get(path).await?))
    }
}
