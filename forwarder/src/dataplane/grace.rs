//! Grace periods: after one, no running XDP program still holds what it read
//! before, so next-hop ids and adjacency slots may be used again.
//!
//! `membarrier(MEMBARRIER_CMD_GLOBAL)` waits for every CPU to pass through the
//! scheduler (`kernel/sched/membarrier.c` calls `synchronize_rcu`), which
//! softirqs and with them XDP programs have then left. It takes 8–20 ms, so it
//! runs on a thread of its own and one call serves all that was freed by then.

use std::io;

use tokio::sync::mpsc;

/// `MEMBARRIER_CMD_QUERY` and `MEMBARRIER_CMD_GLOBAL` of `linux/membarrier.h`.
const QUERY: libc::c_int = 0;
const GLOBAL: libc::c_int = 1;

/// How long to wait where the kernel offers no barrier: longer than any
/// softirq runs (the soft lockup detector speaks up at 20 s, packets are in
/// flight for microseconds).
const FALLBACK: std::time::Duration = std::time::Duration::from_secs(2);

/// Asks for grace periods and hears of their end.
pub struct Grace {
    requests: mpsc::Sender<()>,
    completed: mpsc::Receiver<()>,
    pending: bool,
}

impl Grace {
    /// Starts the thread.
    pub fn start() -> io::Result<Grace> {
        // Depth 1: there is never more than one request on its way.
        let (requests, mut incoming) = mpsc::channel::<()>(1);
        let (done, completed) = mpsc::channel::<()>(1);
        std::thread::Builder::new()
            .name("grace".into())
            .spawn(move || {
                while incoming.blocking_recv().is_some() {
                    wait_for_readers();
                    if done.blocking_send(()).is_err() {
                        return;
                    }
                }
            })?;
        Ok(Grace {
            requests,
            completed,
            pending: false,
        })
    }

    /// Starts a grace period unless one runs. True if this call started it:
    /// what was freed before may be used again when [`Grace::ended`] returns.
    pub fn begin(&mut self) -> bool {
        if self.pending || self.requests.try_send(()).is_err() {
            return false;
        }
        self.pending = true;
        true
    }

    /// Waits for the running grace period's end; for ever where none runs.
    /// Cancel-safe.
    pub async fn ended(&mut self) {
        if !self.pending || self.completed.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
        self.pending = false;
    }
}

fn wait_for_readers() {
    if !barrier() {
        std::thread::sleep(FALLBACK);
    }
}

/// False where the kernel has no such barrier, or makes it a no-op because
/// only one CPU is online.
fn barrier() -> bool {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    cpus > 1 && has_barrier() && membarrier(GLOBAL) == 0
}

/// Whether the kernel has the barrier; asks only.
pub fn has_barrier() -> bool {
    membarrier(QUERY) & libc::c_long::from(GLOBAL) != 0
}

fn membarrier(command: libc::c_int) -> libc::c_long {
    #[expect(unsafe_code, reason = "membarrier has no wrapper in libc or nix")]
    // SAFETY: takes three integers and touches no memory of ours.
    unsafe {
        libc::syscall(libc::SYS_membarrier, command, 0, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::Grace;

    #[tokio::test]
    async fn one_grace_period_runs_at_a_time() {
        let mut grace = Grace::start().expect("thread");
        assert!(grace.begin());
        assert!(!grace.begin(), "the first has not ended");
        grace.ended().await;
        assert!(grace.begin());
        grace.ended().await;
    }
}
