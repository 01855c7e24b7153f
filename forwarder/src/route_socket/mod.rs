//! The routing socket: route(4)'s `PF_ROUTE`, as a Unix socket of packets.
//!
//! One task accepts ([`serve`]), one task serves each connection ([`client`]):
//! it reads requests, asks the RIB's tasks, and follows their journals for the
//! copies that its client is to hear. Nothing is pushed to it, so a client that
//! does not read costs nobody but itself. Who may change routes is asked of each
//! message's own credentials, not of the connection ([`users`]).
//!
//! `docs/route-socket.md` is the protocol, `forwarder_core::route_msg` its
//! messages, `forwarder_core::rib::socket` what requests do.

mod batch;
mod client;
mod dump;
mod lldata;
mod outbox;
mod peer_groups;
pub mod roster;
mod side;
mod socket;
mod translate;
mod users;

use std::sync::Arc;

use forwarder_core::config::RouteSocket;
use forwarder_core::interface::Interfaces;
use forwarder_core::net::{Ipv4, Ipv6};
use forwarder_core::rib::socket::ClientId;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;

pub use socket::Listener;

use crate::dataplane::programmer::Reached;
use crate::rib_task::RibHandle;
use crate::route_events::Events;
use roster::{Entry, Questions};
use users::Users;

/// What the tasks work with.
#[derive(Clone)]
pub struct Parts {
    /// Limits and who may write.
    pub config: Arc<RouteSocket>,
    /// The routes.
    pub rib4: RibHandle<Ipv4>,
    /// Likewise.
    pub rib6: RibHandle<Ipv6>,
    /// How far the fast path has followed the RIBs: IPv4, IPv6.
    pub reached: watch::Receiver<[Reached; 2]>,
    /// What is told besides routes.
    pub events: Events,
    /// Names, numbers and addresses of interfaces.
    pub interfaces: watch::Receiver<Arc<Interfaces>>,
}

/// Accepts clients until cancelled.
pub async fn serve(
    listener: Listener,
    parts: Parts,
    mut questions: Questions,
    cancel: CancellationToken,
) {
    let mut users = Users::new(&parts.config);
    let mut last = ClientId::default();
    loop {
        let connection = tokio::select! {
            () = cancel.cancelled() => return,
            () = questions.answer() => continue,
            connection = listener.accept() => connection,
        };
        let connection = match connection {
            Ok(connection) => connection,
            Err(error) => {
                // Out of descriptors, most likely: others' connections end, too.
                warn!("a client of the routing socket was not accepted: {error}");
                tokio::time::sleep(socket::RETRY).await;
                continue;
            }
        };
        // Refused by hanging up, as a kernel without room refuses socket(2).
        let Some(user) = users.enter(connection.peer()) else {
            questions.totals.count_turned_away();
            continue;
        };
        last.0 += 1;
        let entry = Arc::new(Entry::new(last, connection.peer().uid, &questions.totals));
        questions.add(&entry);
        let client = client::Client::new(entry, connection, user, &parts);
        let cancel = cancel.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = client.run() => {}
                () = cancel.cancelled() => {}
            }
        });
    }
}
