//! `forwarder reload`.

use super::output;
use crate::api::client::Client;
use crate::api::model::Done;

pub(super) async fn run(client: &Client, json: bool) -> anyhow::Result<()> {
    let done: Done = client.post("/v1/reload", &()).await?;
    report(&done, json)
}

/// Shows what a command has done.
pub(super) fn report(done: &Done, json: bool) -> anyhow::Result<()> {
    if json {
        return output::print(serde_json::to_string(done)?);
    }
    output::print(&done.message)
}
