//! `forwarder stop`: returns when the daemon has put everything back.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::reload::report;
use crate::api::client::Client;
use crate::api::model::Done;

/// How long stopping may take: RIP says goodbye to its neighbours, and a full
/// table is taken out of the kernel.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often to look.
const INTERVAL: Duration = Duration::from_millis(20);

pub(super) async fn run(client: &Client, json: bool) -> anyhow::Result<()> {
    client.post::<Done>("/v1/stop", &()).await?;
    let deadline = Instant::now() + PATIENCE;
    while client.is_listening().await {
        anyhow::ensure!(
            Instant::now() < deadline,
            "the daemon was told to stop and is still there after {} s: see its log",
            PATIENCE.as_secs()
        );
        sleep(INTERVAL).await;
    }
    report(
        &Done {
            message: "stopped".to_owned(),
        },
        json,
    )
}
