//! Routes that the kernel refused: each is told of to its owner alone, which is
//! the connections of the name it was added under, or else the connection that
//! asked for it.
//!
//! The fast path's thread finds out, so the mailboxes are shared with it. It never
//! waits: a client that leaves its mailbox unread loses the oldest, and is told
//! that it missed something.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use forwarder_core::rib::socket::ClientId;
use forwarder_core::route_event::{Announced, RouteEvent};
use forwarder_core::route_msg::RouteMessage;
use forwarder_core::route_msg::extension::Generations;
use tokio::sync::broadcast;

use super::Counts;

/// Failures that wait for one client: what two steps of the exporter can bring.
const DEPTH: usize = 512;

#[derive(Debug)]
struct Mailbox {
    name: Option<String>,
    sender: broadcast::Sender<Arc<Announced>>,
}

/// Every client's mailbox.
#[derive(Clone, Debug, Default)]
pub struct Failures {
    mailboxes: Arc<Mutex<BTreeMap<ClientId, Mailbox>>>,
    counts: Arc<Counts>,
}

impl Failures {
    pub(super) fn new(counts: &Arc<Counts>) -> Failures {
        Failures {
            mailboxes: Arc::default(),
            counts: Arc::clone(counts),
        }
    }

    /// A client's mailbox; it goes with the receiver.
    pub fn receive(&self, client: ClientId) -> broadcast::Receiver<Arc<Announced>> {
        let (sender, receiver) = broadcast::channel(DEPTH);
        let mut mailboxes = self.mailboxes();
        mailboxes.retain(|_, mailbox| mailbox.sender.receiver_count() > 0);
        mailboxes.insert(client, Mailbox { name: None, sender });
        receiver
    }

    /// The client has registered a name.
    pub fn register(&self, client: ClientId, name: &str) {
        if let Some(mailbox) = self.mailboxes().get_mut(&client) {
            mailbox.name = Some(name.to_owned());
        }
    }

    /// Tells the owner of a route, after the routes of a state.
    pub fn tell(
        &self,
        client: Option<ClientId>,
        name: Option<&str>,
        message: RouteMessage,
        after: Generations,
    ) {
        self.counts.event(message.kind);
        let announced = Arc::new(Announced {
            event: RouteEvent::Route(Box::new(message)),
            after,
            asked_by: None,
        });
        for (id, mailbox) in &*self.mailboxes() {
            let owns = match name {
                Some(name) => mailbox.name.as_deref() == Some(name),
                None => client == Some(*id),
            };
            if owns {
                // Whoever has gone meanwhile is not told.
                let _ = mailbox.sender.send(Arc::clone(&announced));
            }
        }
    }

    fn mailboxes(&self) -> MutexGuard<'_, BTreeMap<ClientId, Mailbox>> {
        let locked = self.mailboxes.lock();
        locked.unwrap_or_else(PoisonError::into_inner)
    }
}
