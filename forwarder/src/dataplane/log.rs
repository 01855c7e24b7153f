//! What the XDP programs say when they are built with the feature `ebpf-log`:
//! one line a packet, at level debug (`RUST_LOG=forwarder_xdp=debug`). For
//! debugging only; without the feature the programs hold no logging code.

use aya::Ebpf;
use aya_log::EbpfLogger;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tracing::warn;

/// Starts a task that passes the lines on. To be called before the programs
/// are loaded, within a tokio runtime.
pub(super) fn start(ebpf: &mut Ebpf) {
    let logger = match EbpfLogger::init(ebpf) {
        Ok(logger) => logger,
        Err(error) => return warn!("the programs' log cannot be read: {error}"),
    };
    match AsyncFd::with_interest(logger, Interest::READABLE) {
        Ok(logger) => drop(tokio::spawn(pass_on(logger))),
        Err(error) => warn!("the programs' log cannot be read: {error}"),
    }
}

async fn pass_on(mut logger: AsyncFd<EbpfLogger<&'static dyn ::log::Log>>) {
    while let Ok(mut guard) = logger.readable_mut().await {
        guard.get_inner_mut().flush();
        guard.clear_ready();
    }
}
