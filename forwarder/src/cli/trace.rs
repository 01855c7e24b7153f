//! `forwarder trace`: events as they come.
//!
//! Asks ten times a second for what is newer than the last it has shown. A
//! stream would hold one of the daemon's few connections for as long as
//! somebody watches, and shows nothing earlier than an eye would notice.

use std::time::Duration;

use super::args::TraceCommand;
use super::output;
use super::show::events::line;
use crate::api::client::Client;
use crate::api::model::{Event, Events};

/// Between two questions.
const PERIOD: Duration = Duration::from_millis(100);

pub(super) async fn run(command: &TraceCommand, client: &Client, json: bool) -> anyhow::Result<()> {
    let now: Events = client.get("/v1/events?limit=0").await?;
    let mut last = now.newest;
    let mut left = command.count.unwrap_or(u64::MAX);
    while left > 0 {
        let path = format!("/v1/events?after={last}");
        let answer: Events = client.get(&path).await?;
        for event in answer.events.iter().take(usize::try_from(left)?) {
            if event.sequence > last + 1 {
                let missed = event.sequence - last - 1;
                output::note(&format!("{missed} events came too fast to be shown"));
            }
            if !show(event, json)? {
                return Ok(());
            }
            last = event.sequence;
            left -= 1;
        }
        tokio::time::sleep(PERIOD).await;
    }
    Ok(())
}

/// `false` when nobody reads any more.
fn show(event: &Event, json: bool) -> anyhow::Result<bool> {
    let text = if json {
        serde_json::to_string(event)?
    } else {
        line(event)
    };
    output::print_line(&text)
}
