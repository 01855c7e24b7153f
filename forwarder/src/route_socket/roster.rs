//! Who is connected, for `show clients`. Each client counts for itself, and into
//! the totals, which outlive it; the task that accepts them knows them all.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use forwarder_core::rib::socket::ClientId;
use forwarder_core::route_msg::Greeting;
use forwarder_core::time::Instant;
use tokio::sync::{mpsc, oneshot};

use crate::clock;

/// Questions that wait for the task.
const QUESTIONS: usize = 8;

/// What clients have asked, and what they were not told.
#[derive(Debug, Default)]
pub struct Counts {
    requests: AtomicU64,
    refused: AtomicU64,
    lost: AtomicU64,
}

impl Counts {
    fn count(&self, refused: bool) {
        add_one(&self.requests);
        if refused {
            add_one(&self.refused);
        }
    }

    /// Messages that were sent.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Of these, refused.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// How often a client was told that it had missed something.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

/// What has happened on the socket since the daemon started.
#[derive(Debug, Default)]
pub struct Totals {
    connections: AtomicU64,
    turned_away: AtomicU64,
    /// Of all clients.
    pub counts: Counts,
}

impl Totals {
    pub(super) fn count_turned_away(&self) {
        add_one(&self.turned_away);
    }

    /// Clients that were accepted.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Clients that were not: their user had too many connections.
    pub fn turned_away(&self) -> u64 {
        self.turned_away.load(Ordering::Relaxed)
    }
}

fn add_one(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// One connection.
#[derive(Debug)]
pub struct Entry {
    /// Its number in this life of the daemon.
    pub id: ClientId,
    /// The user who has connected.
    pub uid: u32,
    /// When.
    pub since: Instant,
    greeting: OnceLock<Greeting>,
    /// Of this client.
    pub counts: Counts,
    waiting: AtomicU64,
    totals: Arc<Totals>,
}

impl Entry {
    pub(super) fn new(id: ClientId, uid: u32, totals: &Arc<Totals>) -> Entry {
        add_one(&totals.connections);
        Entry {
            id,
            uid,
            since: clock::now(),
            greeting: OnceLock::new(),
            counts: Counts::default(),
            waiting: AtomicU64::new(0),
            totals: Arc::clone(totals),
        }
    }

    pub(super) fn greeted(&self, greeting: &Greeting) {
        // Once: a second greeting is refused.
        let _ = self.greeting.set(greeting.clone());
    }

    /// Counts a message that was answered.
    pub(super) fn count(&self, refused: bool) {
        self.counts.count(refused);
        self.totals.counts.count(refused);
    }

    pub(super) fn count_marker(&self) {
        add_one(&self.counts.lost);
        add_one(&self.totals.counts.lost);
    }

    pub(super) fn set_waiting(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.waiting.store(bytes, Ordering::Relaxed);
    }

    /// What it has said of itself; `None` = a client that greets nobody.
    pub fn greeting(&self) -> Option<&Greeting> {
        self.greeting.get()
    }

    /// Bytes that wait for it to read.
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }
}

type Answer = oneshot::Sender<Vec<Arc<Entry>>>;

/// Asks who is connected.
#[derive(Clone, Debug)]
pub struct Roster {
    asking: mpsc::Sender<Answer>,
    totals: Arc<Totals>,
}

/// The task's side of it.
#[derive(Debug)]
pub struct Questions {
    receiver: mpsc::Receiver<Answer>,
    /// Connections go without a word: a place that nobody holds is free.
    known: BTreeMap<ClientId, Weak<Entry>>,
    pub(super) totals: Arc<Totals>,
}

/// The way to ask, and where the questions come out.
pub fn roster() -> (Roster, Questions) {
    let (asking, receiver) = mpsc::channel(QUESTIONS);
    let totals = Arc::<Totals>::default();
    let questions = Questions {
        receiver,
        known: BTreeMap::new(),
        totals: Arc::clone(&totals),
    };
    (Roster { asking, totals }, questions)
}

impl Roster {
    /// Over all connections.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// All connections; none where there is no routing socket.
    pub async fn ask(&self) -> Vec<Arc<Entry>> {
        let (reply, answer) = oneshot::channel();
        if self.asking.send(reply).await.is_err() {
            return Vec::new();
        }
        answer.await.unwrap_or_default()
    }
}

impl Questions {
    pub(super) fn add(&mut self, entry: &Arc<Entry>) {
        self.known.retain(|_, entry| entry.strong_count() > 0);
        self.known.insert(entry.id, Arc::downgrade(entry));
    }

    /// Answers the next question.
    pub(super) async fn answer(&mut self) {
        let Some(reply) = self.receiver.recv().await else {
            return std::future::pending().await;
        };
        let entries = self.known.values().filter_map(Weak::upgrade);
        // Whoever has gone away is not told.
        let _ = reply.send(entries.collect());
    }
}
