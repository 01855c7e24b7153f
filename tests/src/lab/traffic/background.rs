//! A thread inside a namespace that runs until it is told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::lab::Namespace;

/// How long a thread may block before it looks whether it is to stop.
pub(super) const TICK: Duration = Duration::from_millis(20);

/// Stops its thread when it is dropped.
pub(super) struct Background<T> {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<anyhow::Result<T>>>,
}

impl<T: Send + 'static> Background<T> {
    /// `body` runs until the flag is set.
    pub(super) fn start(
        namespace: &Namespace,
        body: impl FnOnce(&AtomicBool) -> anyhow::Result<T> + Send + 'static,
    ) -> Background<T> {
        let stop = Arc::new(AtomicBool::new(false));
        let (flag, namespace) = (Arc::clone(&stop), namespace.clone());
        let thread = std::thread::spawn(move || {
            namespace.join()?;
            body(&flag)
        });
        Background {
            stop,
            thread: Some(thread),
        }
    }

    /// Stops it and returns what it has found.
    pub(super) fn finish(mut self) -> anyhow::Result<T> {
        self.stop.store(true, Ordering::Relaxed);
        let Some(thread) = self.thread.take() else {
            anyhow::bail!("already finished")
        };
        match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl<T> Drop for Background<T> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Its result is not wanted any more.
            let _ = thread.join();
        }
    }
}

/// Whether a socket only had nothing to read within its [`TICK`].
pub(super) fn is_timeout(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
    )
}
