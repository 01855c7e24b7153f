//! What `forwarder detach` removes after a crash.

use forwarder_core::config::Config;

use crate::kernel::{ExporterLock, Identity, KernelWriter};
use crate::paths::Paths;

/// Removes what a daemon that crashed has left: kernel routes with our
/// protocol and metric. XDP programs go with the process, since nothing else
/// holds their links. The caller has made sure that no daemon of this instance
/// runs. Returns a line of text for each thing removed.
///
/// # Errors
/// Another daemon exports routes in this namespace, or the kernel refuses.
pub async fn cleanup(_paths: &Paths, config: &Config) -> anyhow::Result<Vec<String>> {
    let _lock = ExporterLock::take()?;
    let identity = Identity {
        protocol: config.kernel.protocol,
        metric: config.kernel.metric,
    };
    let removed = KernelWriter::open(identity)?.remove_all().await?;
    Ok(match removed {
        0 => Vec::new(),
        1 => vec!["1 route removed from the kernel's table".to_owned()],
        many => vec![format!("{many} routes removed from the kernel's table")],
    })
}
