//! One client: reads its requests, answers them, and tells it what has changed.
//!
//! What it is told is in the order of the journal, its own changes included: the
//! reply to a change comes after the copies of what was changed before it. So a
//! client that keeps a table by what it hears has the daemon's. One that does not
//! read is not told anything until it has read what it was sent; then it is told
//! what it missed, or that it missed something (`RTM_DESYNC`), once.

mod missed;
mod requests;
mod session;
mod telling;

use std::collections::VecDeque;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use forwarder_core::config::RouteSocket;
use forwarder_core::interface::Interfaces;
use forwarder_core::net::{Family, Ipv4, Ipv6};
use forwarder_core::rib::Generation;
use forwarder_core::rib::socket::ClientId;
use forwarder_core::route_event::Announced;
use forwarder_core::route_msg::extension::{Ack, NO_LISTEN, WAIT_XDP};
use forwarder_core::route_msg::number::RTM_MISS;
use forwarder_core::route_msg::request::{self, Unreadable};
use forwarder_core::route_msg::{ClientMessage, Errno, Greeting, RouteRequest};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};

use self::missed::Missed;
use super::batch::Pending;
use super::dump::Dumping;
use super::outbox::Outbox;
use super::roster::Entry;
use super::side::Side;
use super::socket::{self, Connection, Received};
use super::users::{Place, Sender};
use super::{Parts, lldata};
use crate::dataplane::programmer::Reached;
use crate::route_events::{Events, MissListener};

/// Requests that a client may have unanswered: their acknowledgements fit in the
/// channel's buffer.
const WINDOW: u32 = 1024;
/// Acknowledgements that wait for a client which does not read them; then it is
/// hung up on, since it could not be told any more what has become of what.
const ACKS: usize = 16 << 20;
/// How often a client that has shut its writing down is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// The task's state.
pub(super) struct Client {
    id: ClientId,
    /// What others see of it.
    entry: Arc<Entry>,
    connection: Connection,
    place: Place,
    config: Arc<RouteSocket>,
    interfaces: watch::Receiver<Arc<Interfaces>>,
    ipv4: Side<Ipv4>,
    ipv6: Side<Ipv6>,
    /// `None` = it does not listen.
    events: Option<broadcast::Receiver<Arc<Announced>>>,
    /// What others are answered; `None` = it does not want to know.
    answers: Option<broadcast::Receiver<Arc<Announced>>>,
    /// Its routes that the kernel refused, whether or not it listens.
    failures: broadcast::Receiver<Arc<Announced>>,
    /// While it hears of misses.
    misses: Option<MissListener>,
    published: Events,
    reached: watch::Receiver<[Reached; 2]>,
    /// Events that wait for the routes which belong before them.
    waiting: VecDeque<Arc<Announced>>,
    /// By default that of a client that knows of none.
    greeting: Greeting,
    greeted: bool,
    out: Outbox,
    acks: Option<(OwnedFd, Outbox)>,
    /// Requests of a batch that is not complete.
    batch: Option<Pending>,
    dumping: Option<Dumping>,
    /// It did not read as fast as it was told.
    stalled: bool,
    /// What it was not told.
    missed: Missed,
}

/// The side of a family.
trait SideOf: Family {
    fn of(client: &mut Client) -> &mut Side<Self>;
    fn missed(missed: &mut Missed) -> &mut Option<Generation>;
}

impl SideOf for Ipv4 {
    fn of(client: &mut Client) -> &mut Side<Ipv4> {
        &mut client.ipv4
    }

    fn missed(missed: &mut Missed) -> &mut Option<Generation> {
        &mut missed.ipv4
    }
}

impl SideOf for Ipv6 {
    fn of(client: &mut Client) -> &mut Side<Ipv6> {
        &mut client.ipv6
    }

    fn missed(missed: &mut Missed) -> &mut Option<Generation> {
        &mut missed.ipv6
    }
}

/// A packet with its requests.
struct Packet {
    bytes: Vec<u8>,
    sender: Sender,
    /// Acknowledgements of its requests, in one packet.
    acks: Vec<u8>,
    /// The newest states with its changes in them: IPv4, IPv6.
    done: [Generation; 2],
}

/// A request and where it lies in the packet.
type Asked = (RouteRequest, Range<usize>);

impl Client {
    pub(super) fn new(
        entry: Arc<Entry>,
        connection: Connection,
        place: Place,
        parts: &Parts,
    ) -> Client {
        let failures = parts.events.failures().receive(entry.id);
        Client {
            id: entry.id,
            entry,
            connection,
            place,
            config: Arc::clone(&parts.config),
            interfaces: parts.interfaces.clone(),
            ipv4: Side::new(parts.rib4.clone()),
            ipv6: Side::new(parts.rib6.clone()),
            events: Some(parts.events.listen()),
            answers: (parts.config.classic_copies).then(|| parts.events.listen_to_answers()),
            failures,
            misses: None,
            published: parts.events.clone(),
            reached: parts.reached.clone(),
            waiting: VecDeque::new(),
            greeting: Greeting::default(),
            greeted: false,
            out: Outbox::default(),
            acks: None,
            batch: None,
            dumping: None,
            stalled: false,
            missed: Missed::default(),
        }
    }

    /// Serves it until it is gone.
    pub(super) async fn run(mut self) {
        // An error here is the RIB's end, which is the daemon's.
        let _ = self.serve().await;
        self.ipv4.rib.client_gone(self.id).await;
        self.ipv6.rib.client_gone(self.id).await;
    }

    async fn serve(&mut self) -> anyhow::Result<()> {
        let mut reads = true;
        loop {
            self.fill().await?;
            self.mind_misses();
            let listens = self.listens() && self.out.is_empty();
            let waits = !self.out.is_empty();
            tokio::select! {
                received = self.connection.receive(), if reads => match received {
                    Ok(Received::Packet(bytes, sender)) => self.packet(bytes, sender).await?,
                    // It may have shut down its writing alone.
                    Ok(Received::End) if !self.connection.is_gone() => reads = false,
                    Ok(Received::End) | Err(_) => return Ok(()),
                },
                changed = self.ipv4.rib.generation.changed(), if listens => changed?,
                changed = self.ipv6.rib.generation.changed(), if listens => changed?,
                event = next_event(&mut self.events), if listens => self.take(event),
                event = next_event(&mut self.answers), if listens => self.take(event),
                event = self.failures.recv(), if !waits => self.failed(event),
                writable = self.connection.writable(), if waits => writable?,
                () = tokio::time::sleep(LOOK), if !reads => {
                    if self.connection.is_gone() {
                        return Ok(());
                    }
                }
            }
            self.entry.set_waiting(self.out.bytes());
            self.flush_acks()?;
        }
    }

    fn listens(&self) -> bool {
        self.greeting.flags & NO_LISTEN == 0 && !self.out.deaf
    }

    /// Has misses found out while it hears of them.
    fn mind_misses(&mut self) {
        let hears = self.listens() && telling::wants_type(&self.greeting, RTM_MISS);
        if hears != self.misses.is_some() {
            self.misses = hears.then(|| self.published.listen_for_misses());
        }
    }

    /// Tells what there is to tell, while the client takes it.
    async fn fill(&mut self) -> anyhow::Result<()> {
        loop {
            if !self.flush() {
                return Ok(());
            }
            if let Some(mut dumping) = self.dumping.take() {
                if !dumping.go_on(&mut self.out) {
                    self.dumping = Some(dumping);
                }
                continue;
            }
            if !self.listens() || !self.tell().await? {
                self.flush();
                return Ok(());
            }
        }
    }

    /// Sends what there is room for; whether that is all.
    fn flush(&mut self) -> bool {
        self.out.flush(&self.connection);
        self.stalled |= !self.out.is_empty();
        self.out.is_empty()
    }

    /// What one packet asks for.
    async fn packet(&mut self, bytes: Vec<u8>, sender: Option<Sender>) -> anyhow::Result<()> {
        let Some(sender) = sender else {
            // Descriptors, or more than a packet may hold (`rts_send` refuses
            // control data; what was cut off was not read).
            let refused = Unreadable {
                errno: Errno::Eopnotsupp,
                seq: 0,
                kind: 0,
            };
            self.answer(|out| request::refuse_unreadable(refused, 0, out));
            return Ok(());
        };
        let mut packet = Packet {
            bytes,
            sender,
            acks: Vec::new(),
            done: [Generation::default(); 2],
        };
        let mut asked: Vec<Asked> = Vec::new();
        let mut at = 0;
        let mut count = 0;
        while at < packet.bytes.len().max(1) {
            let rest = &packet.bytes[at..];
            let length = if self.greeted {
                request::split(rest).next().map_or(rest.len(), <[u8]>::len)
            } else {
                rest.len()
            };
            let range = at..at + length;
            at += length.max(1);
            count += 1;
            match request::read(&packet.bytes[range.clone()]) {
                Ok(ClientMessage::Route(request)) if lldata::is_about(&request) => {
                    self.ask(&mut packet, std::mem::take(&mut asked)).await?;
                    self.neighbour(&mut packet, &request, &range).await;
                }
                Ok(ClientMessage::Route(request)) => {
                    let family = |(other, _): &Asked| other.address.is_ipv4();
                    let joins = asked.last().map(family) == Some(request.address.is_ipv4());
                    if !joins {
                        self.ask(&mut packet, std::mem::take(&mut asked)).await?;
                    }
                    asked.push((request, range));
                }
                Ok(other) => {
                    self.ask(&mut packet, std::mem::take(&mut asked)).await?;
                    self.own_message(&mut packet, other).await?;
                }
                Err(unreadable) => {
                    self.ask(&mut packet, std::mem::take(&mut asked)).await?;
                    self.unreadable(&mut packet, unreadable);
                }
            }
        }
        self.ask(&mut packet, asked).await?;
        if self.greeting.flags & WAIT_XDP != 0 && !packet.acks.is_empty() {
            self.wait_for_fast_path(packet.done).await?;
        }
        if let (Some((_, out)), false) = (&mut self.acks, packet.acks.is_empty()) {
            out.push(|out| out.extend_from_slice(&packet.acks));
        }
        self.flush_acks()?;
        if let Some(wait) = self.place.pace(sender, count) {
            self.fill().await?;
            tokio::time::sleep(wait).await;
        }
        Ok(())
    }

    /// Refuses what could not be read, and with it the batch that it is in.
    fn unreadable(&mut self, packet: &mut Packet, what: Unreadable) {
        if let Some(batch) = &mut self.batch {
            return batch.refuse(what.errno);
        }
        let pid = packet.sender.pid;
        self.answer(|out| request::refuse_unreadable(what, pid, out));
        self.ack(packet, what.seq, Err(what.errno));
    }

    /// Waits until the fast path has these states: its maps hold them, or it has
    /// said why not.
    async fn wait_for_fast_path(&mut self, done: [Generation; 2]) -> anyhow::Result<()> {
        let there = |reached: &[Reached; 2]| {
            let mut families = reached.iter().zip(done);
            families.all(|(reached, done)| reached.xdp >= done)
        };
        self.reached.wait_for(there).await?;
        Ok(())
    }

    /// A greeting, a dump, a batch.
    async fn own_message(
        &mut self,
        packet: &mut Packet,
        message: ClientMessage,
    ) -> anyhow::Result<()> {
        match message {
            ClientMessage::Route(_) => {}
            ClientMessage::Greeting(greeting) => self.greet(packet, greeting).await?,
            ClientMessage::Dump(dump) => self.dump(dump).await?,
            ClientMessage::BatchBegin(seq) => {
                if self.batch.take().is_some() {
                    self.commit_refused(packet, seq, 0, Errno::Einval);
                } else {
                    self.batch = Some(Pending::default());
                }
            }
            ClientMessage::BatchCommit(seq) => self.commit(packet, seq).await?,
        }
        Ok(())
    }

    /// Adds a reply; one that finds no room is lost, as route(4) allows, and false
    /// is returned.
    fn answer(&mut self, encode: impl FnOnce(&mut Vec<u8>)) -> bool {
        if self.out.bytes() > self.config.queue && !self.flush() {
            let room = self.out.bytes() <= self.config.queue;
            self.missed.others |= !room;
            if !room {
                return false;
            }
        }
        self.out.push(encode);
        true
    }

    fn ack(&self, packet: &mut Packet, seq: i32, result: Result<Generation, Errno>) {
        self.entry.count(result.is_err());
        if self.acks.is_none() {
            return;
        }
        let generation = result.unwrap_or_default();
        let ack = Ack {
            seq,
            errno: result.err(),
            index: 0,
            epoch: generation.epoch,
            generation: generation.number,
        };
        ack.encode(&mut packet.acks);
    }

    fn flush_acks(&mut self) -> anyhow::Result<()> {
        if let Some((channel, out)) = &mut self.acks {
            out.flush_with(|packet| socket::send_ack(channel, packet));
            anyhow::ensure!(out.bytes() < ACKS, "acknowledgements that nobody reads");
        }
        Ok(())
    }
}

async fn next_event(
    events: &mut Option<broadcast::Receiver<Arc<Announced>>>,
) -> Result<Arc<Announced>, RecvError> {
    match events {
        Some(events) => events.recv().await,
        None => std::future::pending().await,
    }
}
