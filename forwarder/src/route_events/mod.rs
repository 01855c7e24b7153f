//! Publishes what the routing socket tells besides changes of routes.
//!
//! [`Events`] is where they are published; a listener that falls behind is told
//! that it missed something, as with the journal. [`interfaces`] follows the
//! interfaces, [`packets`] what happens to packets, [`misses`] the kernel's own
//! lookups, [`redirects`] hears ICMP. The socket's clients publish what they were
//! answered, for those who ask for it. What concerns one client alone goes into its
//! mailbox: [`failures`].

mod counts;
mod failures;
mod interfaces;
mod misses;
mod packets;
mod redirects;

use std::sync::Arc;

use forwarder_core::rib::socket::ClientId;
use forwarder_core::route_event::{Announced, RouteEvent};
use forwarder_core::route_msg::RouteMessage;
use forwarder_core::route_msg::extension::Generations;
use tokio::sync::{broadcast, watch};

pub use counts::Counts;
use counts::Verdict;
pub use failures::Failures;
pub use interfaces::follow as follow_interfaces;
pub use misses::{KernelMisses, MissListener};
pub use packets::Packets;
pub use redirects::listen as listen_for_redirects;

/// Events that a listener may be behind by: a burst of some hundred interfaces
/// that come up at once fits.
const DEPTH: usize = 4096;

/// Where events are published.
#[derive(Clone, Debug)]
pub struct Events {
    sender: broadcast::Sender<Arc<Announced>>,
    /// What clients were answered. A channel of its own: whoever asks much pushes
    /// nothing out that others need for their tables.
    answers: broadcast::Sender<Arc<Announced>>,
    failures: Failures,
    /// How many listeners hear of misses.
    miss_listeners: watch::Sender<usize>,
    counts: Arc<Counts>,
}

impl Events {
    /// A channel that nobody listens to yet.
    pub fn new() -> Events {
        let counts = Arc::default();
        Events {
            sender: broadcast::channel(DEPTH).0,
            answers: broadcast::channel(DEPTH).0,
            failures: Failures::new(&counts),
            miss_listeners: watch::Sender::new(0),
            counts,
        }
    }

    /// Whether anybody would hear: what is dear to find out is not found out
    /// for nobody.
    pub fn are_heard(&self) -> bool {
        self.sender.receiver_count() > 0
    }

    /// Routes that the kernel refused.
    pub fn failures(&self) -> &Failures {
        &self.failures
    }

    /// Whether anybody would hear of a miss.
    pub fn misses_are_heard(&self) -> bool {
        *self.miss_listeners.borrow() > 0
    }

    /// How many would.
    pub fn miss_listeners(&self) -> watch::Receiver<usize> {
        self.miss_listeners.subscribe()
    }

    /// What has been published, and what has not.
    pub fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }

    /// Publishes an event.
    pub fn publish(&self, event: RouteEvent) {
        self.publish_after(event, Generations::default());
    }

    /// Publishes an event that comes after routes.
    pub fn publish_after(&self, event: RouteEvent, after: Generations) {
        self.counts.event(event.kind());
        let asked_by = None;
        // Without listeners it is lost, as on BSD.
        let _ = self.sender.send(Arc::new(Announced {
            event,
            after,
            asked_by,
        }));
    }

    /// Publishes what a client was answered. It is put together only if somebody
    /// listens for such.
    pub fn publish_answer(
        &self,
        asked_by: ClientId,
        after: Generations,
        answer: impl FnOnce() -> RouteMessage,
    ) {
        if self.answers.receiver_count() == 0 {
            return;
        }
        let _ = self.answers.send(Arc::new(Announced {
            event: RouteEvent::Route(Box::new(answer())),
            after,
            asked_by: Some(asked_by),
        }));
    }

    /// Listens from now on.
    pub fn listen(&self) -> broadcast::Receiver<Arc<Announced>> {
        self.sender.subscribe()
    }

    /// Has misses found out, while the answer is kept; they come with the others.
    pub fn listen_for_misses(&self) -> MissListener {
        MissListener::new(self.miss_listeners.clone())
    }

    /// Listens to what clients are answered.
    pub fn listen_to_answers(&self) -> broadcast::Receiver<Arc<Announced>> {
        self.answers.subscribe()
    }
}

impl Default for Events {
    fn default() -> Self {
        Events::new()
    }
}
