//! `forwarder stop`: returns when the daemon has put everything back.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::reload::report;
use crate::api::client::Client;
use crate::api::model::Done;
use crate::paths::Paths;

/// How long stopping may take: RIP says goodbye to its neighbours, and a full
/// table is taken out of the kernel.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the pid file may outlive the socket of a daemon that ends well.
const LAST_STEPS: Duration = Duration::from_secs(2);
/// How often to look.
const INTERVAL: Duration = Duration::from_millis(20);

pub(super) async fn run(client: &Client, paths: &Paths, json: bool) -> anyhow::Result<()> {
    client.post::<Done>("/v1/stop", &()).await?;
    let told = Instant::now();
    while client.is_listening().await {
        anyhow::ensure!(
            told.elapsed() < PATIENCE,
            "the daemon was told to stop and is still there after {} s: see its log",
            PATIENCE.as_secs()
        );
        sleep(INTERVAL).await;
    }
    // The run directory is given back last of all.
    let closed = Instant::now();
    while paths.pid_file().exists() {
        anyhow::ensure!(
            closed.elapsed() < LAST_STEPS,
            "the daemon has ended without putting everything back: see its log, \
             then clean up with `forwarder detach`"
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
