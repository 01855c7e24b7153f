//! Publishes what the routing socket tells besides changes of routes.
//!
//! [`Events`] is the one channel; a listener that falls behind it is told that
//! it missed something, as with the journal. [`interfaces`] follows the
//! interfaces, [`packets`] what happens to packets;
//! [`redirects`] hears ICMP.

mod interfaces;
mod packets;
mod redirects;

use std::sync::Arc;

use forwarder_core::route_event::{Announced, RouteEvent};
use forwarder_core::route_msg::extension::Generations;
use tokio::sync::broadcast;

pub use interfaces::follow as follow_interfaces;
pub use packets::Packets;
pub use redirects::listen as listen_for_redirects;

/// Events that a listener may be behind by: a burst of some hundred interfaces
/// that come up at once fits.
const DEPTH: usize = 4096;

/// Where events are published.
#[derive(Clone, Debug)]
pub struct Events {
    sender: broadcast::Sender<Arc<Announced>>,
}

impl Events {
    /// A channel that nobody listens to yet.
    pub fn new() -> Events {
        Events {
            sender: broadcast::channel(DEPTH).0,
        }
    }

    /// Whether anybody would hear: what is dear to find out is not found out
    /// for nobody.
    pub fn are_heard(&self) -> bool {
        self.sender.receiver_count() > 0
    }

    /// Publishes an event.
    pub fn publish(&self, event: RouteEvent) {
        self.publish_after(event, Generations::default());
    }

    /// Publishes an event that comes after routes.
    pub fn publish_after(&self, event: RouteEvent, after: Generations) {
        // Without listeners it is lost, as on BSD.
        let _ = self.sender.send(Arc::new(Announced { event, after }));
    }

    /// Listens from now on.
    pub fn listen(&self) -> broadcast::Receiver<Arc<Announced>> {
        self.sender.subscribe()
    }
}

impl Default for Events {
    fn default() -> Self {
        Events::new()
    }
}
