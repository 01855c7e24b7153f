//! The fast path's thread, with a runtime of its own: a table that is filled
//! holds up neither the route database nor its clients.

use anyhow::Context as _;
use tokio::runtime::{Builder, EnterGuard, Runtime};
use tokio::sync::oneshot;

/// The thread before it runs.
pub(super) struct PlaneThread {
    runtime: Option<Runtime>,
}

impl PlaneThread {
    pub(super) fn new() -> anyhow::Result<PlaneThread> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("starting the runtime of the dataplane")?;
        Ok(PlaneThread {
            runtime: Some(runtime),
        })
    }

    /// Sockets and timers that are made while this lives are watched by it.
    pub(super) fn enter(&self) -> Option<EnterGuard<'_>> {
        self.runtime.as_ref().map(Runtime::enter)
    }

    /// Runs a task there; tells when it has ended.
    pub(super) fn run(
        mut self,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> anyhow::Result<oneshot::Receiver<()>> {
        let (ended, end) = oneshot::channel();
        let runtime = self.runtime.take();
        std::thread::Builder::new()
            .name("dataplane".into())
            .spawn(move || {
                if let Some(runtime) = runtime {
                    runtime.block_on(task);
                }
                // Nobody waits where the daemon could not start.
                let _ = ended.send(());
            })
            .context("starting the thread of the dataplane")?;
        Ok(end)
    }
}

impl Drop for PlaneThread {
    /// A start that fails drops it within another runtime, where one must not
    /// wait for its own.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
