//! `forwarder rip`: what an operator has RIP do by hand.

use super::args::{RipClearCommand, RipCommand};
use super::reload::report;
use crate::api::client::Client;
use crate::api::model::{Done, RipClear, RipRequest};

pub(super) async fn run(command: &RipCommand, client: &Client, json: bool) -> anyhow::Result<()> {
    let done: Done = match command {
        RipCommand::Request { interface } => {
            let request = RipRequest {
                interface: interface.clone(),
            };
            client.post("/v1/rip/request", &request).await?
        }
        RipCommand::Clear(what) => client.post("/v1/rip/clear", &clear(what)).await?,
    };
    report(&done, json)
}

fn clear(command: &RipClearCommand) -> RipClear {
    match command {
        RipClearCommand::Neighbor { address } => RipClear::Neighbor { address: *address },
        RipClearCommand::Routes => RipClear::Routes,
        RipClearCommand::Counters => RipClear::Counters,
    }
}
