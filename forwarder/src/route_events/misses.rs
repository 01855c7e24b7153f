//! `RTM_MISS` from the kernel's own lookups: the hook is attached when the first
//! listener comes, and detached when the last has gone.
//!
//! While it is, the kernel is the only one who tells of misses: what misses in the
//! fast path goes up and misses there again, and one packet makes one message. A
//! kernel that cannot be heard says so once in the log, and the fast path tells.

use std::io;
use std::time::Duration;

use forwarder_core::route_msg::number::RTM_MISS;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::Events;
use super::packets::about;
use crate::dataplane::miss_hook::MissHook;

/// How long somebody listens before the hook is attached: whoever connects for one
/// request, or is about to greet without listening, is not worth it.
const SETTLE: Duration = Duration::from_millis(100);

/// How long nobody listens before it is detached, so that coming and going does not
/// have the kernel patch itself all the time.
const LINGER: Duration = Duration::from_secs(1);

/// Wait after a batch, as with the fast path's events.
const COALESCE: Duration = Duration::from_millis(20);

/// A listener that hears of misses, until it is dropped.
#[derive(Debug)]
pub struct MissListener(watch::Sender<usize>);

impl MissListener {
    pub(super) fn new(listeners: watch::Sender<usize>) -> MissListener {
        listeners.send_modify(|count| *count += 1);
        MissListener(listeners)
    }
}

impl Drop for MissListener {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// The task that listens to the kernel.
#[derive(Debug)]
pub struct KernelMisses {
    rate: watch::Sender<u32>,
    attached: watch::Receiver<bool>,
}

impl KernelMisses {
    /// Starts it; of each CPU it hears so many misses a second.
    pub fn start(events: Events, rate: u32, cancel: CancellationToken) -> KernelMisses {
        let (rate, rates) = watch::channel(rate);
        let (attached, receiver) = watch::channel(false);
        let task = Task {
            listeners: events.miss_listeners(),
            events,
            rates,
            attached,
            refused: None,
        };
        tokio::spawn(async move {
            tokio::select! {
                // An error is the end of those who listen, and of the daemon.
                _ = task.run() => {}
                () = cancel.cancelled() => {}
            }
        });
        KernelMisses {
            rate,
            attached: receiver,
        }
    }

    /// Whether the kernel is heard.
    pub fn attached(&self) -> watch::Receiver<bool> {
        self.attached.clone()
    }

    /// Exchanges the limit.
    pub fn set_rate(&self, rate: u32) {
        self.rate.send_replace(rate);
    }
}

struct Task {
    events: Events,
    listeners: watch::Receiver<usize>,
    rates: watch::Receiver<u32>,
    attached: watch::Sender<bool>,
    /// Why the kernel was not heard the last time.
    refused: Option<String>,
}

impl Task {
    async fn run(mut self) -> Result<(), watch::error::RecvError> {
        loop {
            steadily(&mut self.listeners, true, SETTLE).await?;
            let rate = *self.rates.borrow_and_update();
            // The kernel's types are megabytes to read, and its code is patched.
            match blocking(move || MissHook::attach(rate)).await {
                Ok(hook) => self.hear(hook).await,
                Err(error) => {
                    self.refuse(format!("{error:#}"));
                    steadily(&mut self.listeners, false, LINGER).await?;
                }
            }
        }
    }

    /// Tells what the hook tells, until nobody listens.
    async fn hear(&mut self, mut hook: MissHook) {
        self.attached.send_replace(true);
        if let Err(error) = self.tell(&mut hook).await {
            warn!("the kernel's misses are not told any more: {error}");
        }
        self.attached.send_replace(false);
        let detached = blocking(move || {
            drop(hook);
            Ok(())
        });
        if let Err(error) = detached.await {
            warn!("detaching from the kernel's lookups: {error}");
        }
    }

    async fn tell(&mut self, hook: &mut MissHook) -> io::Result<()> {
        let mut over_limit = OverLimit::default();
        let gone = steadily(&mut self.listeners, false, LINGER);
        tokio::pin!(gone);
        loop {
            tokio::select! {
                _ = &mut gone => break,
                Ok(()) = self.rates.changed() => {
                    let rate = *self.rates.borrow_and_update();
                    if let Err(error) = hook.set_rate(rate) {
                        warn!("the limit of misses could not be set: {error}");
                    }
                }
                () = over_limit.due() => over_limit.count(hook, &self.events),
                ready = hook.ready() => {
                    ready?;
                    while let Some(destination) = hook.next_miss() {
                        self.events.publish(about(RTM_MISS, destination));
                    }
                    over_limit.count(hook, &self.events);
                    over_limit.look_after(*self.rates.borrow());
                    tokio::time::sleep(COALESCE).await;
                }
            }
        }
        over_limit.count(hook, &self.events);
        Ok(())
    }

    fn refuse(&mut self, why: String) {
        if self.refused.as_ref() != Some(&why) {
            warn!("RTM_MISS is told of the fast path's misses alone, not of the kernel's: {why}");
            self.refused = Some(why);
        }
    }
}

/// Counts what a hook holds back. That follows, within what one message costs, on a
/// message; so it is looked for then, and not all the time.
#[derive(Default)]
struct OverLimit {
    counted: u64,
    look: Option<Instant>,
}

impl OverLimit {
    async fn due(&self) {
        match self.look {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    fn look_after(&mut self, rate: u32) {
        let cost = Duration::from_secs(1) / rate.max(1);
        self.look = Some(Instant::now() + COALESCE + cost);
    }

    fn count(&mut self, hook: &MissHook, events: &Events) {
        let now = hook.over_limit();
        let more = now.saturating_sub(self.counted);
        events.counts.misses_held_back(more);
        (self.counted, self.look) = (now, None);
    }
}

/// Waits until there have been listeners, or none, for a while.
async fn steadily(
    listeners: &mut watch::Receiver<usize>,
    there: bool,
    period: Duration,
) -> Result<(), watch::error::RecvError> {
    loop {
        listeners.wait_for(|count| (*count > 0) == there).await?;
        let otherwise = listeners.wait_for(|count| (*count > 0) != there);
        if tokio::time::timeout(period, otherwise).await.is_err() {
            return Ok(());
        }
    }
}

/// On a thread that may wait.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work).await?
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_millis(30);

    #[tokio::test]
    async fn who_comes_for_a_moment_is_no_listener() {
        let events = Events::new();
        let mut listeners = events.miss_listeners();
        let mut waiting =
            tokio::spawn(async move { steadily(&mut listeners, true, PERIOD).await.unwrap() });
        let short = events.listen_for_misses();
        // Seen, and gone again.
        tokio::task::yield_now().await;
        drop(short);
        let settled = tokio::time::timeout(PERIOD * 3, &mut waiting).await;
        assert!(settled.is_err(), "nobody listens");
        let long = events.listen_for_misses();
        waiting.await.unwrap();
        assert!(events.misses_are_heard());
        drop(long);
        assert!(!events.misses_are_heard());
    }

    #[tokio::test]
    async fn one_of_two_who_goes_leaves_a_listener() {
        let events = Events::new();
        let mut listeners = events.miss_listeners();
        let (first, second) = (events.listen_for_misses(), events.listen_for_misses());
        drop(first);
        let gone = steadily(&mut listeners, false, PERIOD);
        let waited = tokio::time::timeout(PERIOD * 3, gone).await;
        assert!(waited.is_err(), "the second is still there");
        drop(second);
        steadily(&mut listeners, false, PERIOD).await.unwrap();
    }
}
