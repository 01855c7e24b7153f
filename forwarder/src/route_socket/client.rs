//! One client: reads its requests, answers them, and tells it what has changed.
//!
//! What it is told is in the order of the journal, its own changes included: the
//! reply to a change comes after the copies of what was changed before it. So a
//! client that keeps a table by what it hears has the daemon's. One that does not
//! read is not told anything until it has read what it was sent; then it is told
//! what it missed, or that it missed something ([`Desync`]), once.

use std::collections::VecDeque;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use forwarder_core::config::RouteSocket;
use forwarder_core::interface::Interfaces;
use forwarder_core::net::{Family, Ipv4, Ipv6};
use forwarder_core::rib::Generation;
use forwarder_core::rib::socket::{ClientId, Outcome, Refused, Request};
use forwarder_core::route_event::Announced;
use forwarder_core::route_msg::extension::{
    self, Ack, Desync, Generations, NO_LISTEN, NO_OWN_COPIES, PACKED, WAIT_XDP,
};
use forwarder_core::route_msg::number::*;
use forwarder_core::route_msg::request::{self, Unreadable};
use forwarder_core::route_msg::{
    ClientMessage, Dump, DumpKind, Errno, Greeting, GreetingReply, Mode, RouteMessage, RouteRequest,
};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, watch};

use super::batch::Pending;
use super::dump::{self, Dumping};
use super::outbox::Outbox;
use super::side::{Side, Told};
use super::socket::{self, Connection, MAX_PACKET, Received, Sent};
use super::users::{Place, Sender};
use super::{Parts, lldata, translate};
use crate::dataplane::programmer::Reached;
use crate::rib_task::Pulled;

/// Requests that a client may have unanswered: their acknowledgements fit in the
/// channel's buffer.
const WINDOW: u32 = 1024;
/// Acknowledgements that wait for a client which does not read them; then it is
/// hung up on, since it could not be told any more what has become of what.
const ACKS: usize = 16 << 20;
/// A message of the journal: what the queue's bytes are counted in.
const MESSAGE: u64 = 200;
/// How often a client that has shut its writing down is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// The task's state.
pub(super) struct Client {
    id: ClientId,
    connection: Connection,
    place: Place,
    config: Arc<RouteSocket>,
    interfaces: watch::Receiver<Arc<Interfaces>>,
    ipv4: Side<Ipv4>,
    ipv6: Side<Ipv6>,
    /// `None` = it does not listen.
    events: Option<broadcast::Receiver<Arc<Announced>>>,
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
    /// Something was not told.
    lost: bool,
}

/// The side of a family.
trait SideOf: Family {
    fn of(client: &mut Client) -> &mut Side<Self>;
}

impl SideOf for Ipv4 {
    fn of(client: &mut Client) -> &mut Side<Ipv4> {
        &mut client.ipv4
    }
}

impl SideOf for Ipv6 {
    fn of(client: &mut Client) -> &mut Side<Ipv6> {
        &mut client.ipv6
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
    pub(super) fn new(id: ClientId, connection: Connection, place: Place, parts: &Parts) -> Client {
        Client {
            id,
            connection,
            place,
            config: Arc::clone(&parts.config),
            interfaces: parts.interfaces.clone(),
            ipv4: Side::new(parts.rib4.clone()),
            ipv6: Side::new(parts.rib6.clone()),
            events: Some(parts.events.listen()),
            reached: parts.reached.clone(),
            waiting: VecDeque::new(),
            greeting: Greeting::default(),
            greeted: false,
            out: Outbox::default(),
            acks: None,
            batch: None,
            dumping: None,
            stalled: false,
            lost: false,
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
                writable = self.connection.writable(), if waits => writable?,
                () = tokio::time::sleep(LOOK), if !reads => {
                    if self.connection.is_gone() {
                        return Ok(());
                    }
                }
            }
            self.flush_acks()?;
        }
    }

    fn listens(&self) -> bool {
        self.greeting.flags & NO_LISTEN == 0 && !self.out.deaf
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

    /// Tells what has changed since; true when there is more. Events come before
    /// the routes that they have caused, and after those that they wait for.
    async fn tell(&mut self) -> anyhow::Result<bool> {
        while let Some(events) = &mut self.events {
            match events.try_recv() {
                Ok(event) => self.waiting.push_back(event),
                Err(TryRecvError::Lagged(_)) => self.lost = true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        self.tell_events();
        let more = self.tell_routes().await?;
        self.tell_events();
        Ok(more)
    }

    fn take(&mut self, event: Result<Arc<Announced>, RecvError>) {
        match event {
            Ok(event) => self.waiting.push_back(event),
            Err(_) => self.lost = true,
        }
    }

    /// Tells the events whose time has come.
    fn tell_events(&mut self) {
        let (ipv4, ipv6) = (self.ipv4.cursor.number, self.ipv6.cursor.number);
        let (greeting, out) = (&self.greeting, &mut self.out);
        self.waiting.retain(|announced| {
            let ripe = announced.after.ipv4 <= ipv4 && announced.after.ipv6 <= ipv6;
            let event = &announced.event;
            if ripe && wants(greeting, event.family(), event.kind()) {
                out.push(|out| event.encode(out));
            }
            !ripe
        });
    }

    /// Tells what has become of routes; true when there is more.
    async fn tell_routes(&mut self) -> anyhow::Result<bool> {
        let stalled = std::mem::take(&mut self.stalled);
        if stalled && self.greeting.mode != Mode::Reliable {
            let most = u64::try_from(self.config.queue).unwrap_or(u64::MAX) / MESSAGE;
            self.lost |= self.ipv4.lag() > most || self.ipv6.lag() > most;
        }
        if std::mem::take(&mut self.lost) {
            let told = (self.ipv4.skip(), self.ipv6.skip());
            self.mark(told);
            return Ok(false);
        }
        let except = (self.greeting.flags & NO_OWN_COPIES != 0).then_some(self.id);
        let (greeting, out) = (&self.greeting, &mut self.out);
        let at = (self.ipv4.cursor, self.ipv6.cursor);
        let copy = |message| copy(greeting, out, &message);
        let ipv4 = self.ipv4.tell(None, except, copy).await?;
        let (greeting, out) = (&self.greeting, &mut self.out);
        let copy = |message| self::copy(greeting, out, &message);
        let ipv6 = self.ipv6.tell(None, except, copy).await?;
        match (ipv4, ipv6) {
            (Told::Lost(told), _) => {
                self.ipv6.skip();
                self.mark((told, at.1));
            }
            (_, Told::Lost(told)) => {
                self.ipv4.skip();
                self.mark((at.0, told));
            }
            (Told::More, _) | (_, Told::More) => return Ok(true),
            (Told::All, Told::All) => {}
        }
        Ok(false)
    }

    /// The marker, whatever the client's filters say.
    fn mark(&mut self, told: (Generation, Generation)) {
        let marker = Desync {
            errno: (self.greeting.mode == Mode::Error).then_some(Errno::Enobufs),
            told: Generations {
                epoch: told.0.epoch,
                ipv4: told.0.number,
                ipv6: told.1.number,
            },
            from: self.generations(),
        };
        self.out.push(|out| marker.encode(out));
    }

    fn generations(&self) -> Generations {
        Generations {
            epoch: self.ipv4.cursor.epoch,
            ipv4: self.ipv4.cursor.number,
            ipv6: self.ipv6.cursor.number,
        }
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
                    self.neighbour(&mut packet, &request, range).await;
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
            ClientMessage::Greeting(greeting) => self.greet(packet, greeting).await,
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

    async fn greet(&mut self, packet: &Packet, greeting: Greeting) {
        let refused = if self.greeted {
            Some(Errno::Eexist)
        } else if !greeting.name.is_empty() && !self.place.may_change(packet.sender) {
            Some(Errno::Eperm)
        } else {
            None
        };
        let mut channel = None;
        if refused.is_none() {
            // What was told to a client without a greeting ends here.
            self.ipv4.skip();
            self.ipv6.skip();
            if greeting.flags & extension::ACK_CHANNEL != 0 {
                channel = socket::ack_channel().ok();
            }
        }
        let reply = GreetingReply {
            seq: greeting.seq,
            errno: refused,
            revision: extension::REVISION,
            at: self.generations(),
            max_packet: u32::try_from(MAX_PACKET).unwrap_or(u32::MAX),
            window: WINDOW,
        };
        let mut bytes = Vec::new();
        reply.encode(&mut bytes);
        if refused.is_some() {
            return self.answer(|out| out.extend_from_slice(&bytes));
        }
        if !greeting.name.is_empty() {
            let stale = Duration::from_secs(u64::from(greeting.stale_time));
            self.ipv4.rib.register(self.id, &greeting.name, stale).await;
            self.ipv6.rib.register(self.id, &greeting.name, stale).await;
        }
        match channel {
            // The descriptor goes with the packet, which must find room: a client
            // greets before it is told anything.
            Some((ours, theirs)) => {
                self.out.flush(&self.connection);
                if self.connection.send_with(&bytes, &theirs) != Sent::Whole {
                    self.out.deaf = true;
                    return;
                }
                let mut out = Outbox::default();
                out.packed = true;
                self.acks = Some((ours, out));
            }
            None => self.out.push(|out| out.extend_from_slice(&bytes)),
        }
        if greeting.flags & NO_LISTEN != 0 {
            self.events = None;
        }
        self.out.packed = greeting.flags & PACKED != 0;
        self.greeted = true;
        self.greeting = greeting;
    }

    /// Asks for what a dump needs, as of one state of each family.
    async fn dump(&mut self, request: Dump) -> anyhow::Result<()> {
        if request.kind == DumpKind::Interfaces {
            let interfaces = self.interfaces.borrow().clone();
            dump::interfaces(&interfaces, request.family, &mut self.out);
            self.dumping = Some(Dumping::new(request, None, None, self.generations()));
            return Ok(());
        }
        let wants = |family| request.family == AF_UNSPEC || request.family == family;
        let ipv4 = snapshot(&self.ipv4, wants(AF_INET)).await?;
        let ipv6 = snapshot(&self.ipv6, wants(AF_INET6)).await?;
        let mut at = self.generations();
        if let Some(snapshot) = &ipv4 {
            at.ipv4 = snapshot.generation.number;
        }
        if let Some(snapshot) = &ipv6 {
            at.ipv6 = snapshot.generation.number;
        }
        if request.live_tail {
            if let Some(snapshot) = &ipv4 {
                self.ipv4.cursor = snapshot.generation;
            }
            if let Some(snapshot) = &ipv6 {
                self.ipv6.cursor = snapshot.generation;
            }
            // Whatever was missed before is in the dump.
            self.lost = false;
            self.stalled = false;
        }
        self.dumping = Some(Dumping::new(request, ipv4, ipv6, at));
        Ok(())
    }

    /// Requests of one family, one after the other.
    async fn ask(&mut self, packet: &mut Packet, asked: Vec<Asked>) -> anyhow::Result<()> {
        if asked.is_empty() {
            return Ok(());
        }
        if let Some(batch) = &mut self.batch {
            let may_change = self.place.may_change(packet.sender);
            for (request, _) in asked {
                batch.push(request, may_change);
            }
            return Ok(());
        }
        if asked[0].0.address.is_ipv4() {
            self.ask_of::<Ipv4>(packet, asked).await
        } else {
            self.ask_of::<Ipv6>(packet, asked).await
        }
    }

    async fn ask_of<F: SideOf>(
        &mut self,
        packet: &mut Packet,
        asked: Vec<Asked>,
    ) -> anyhow::Result<()> {
        let interfaces = self.interfaces.borrow().clone();
        let mut requests = Vec::with_capacity(asked.len());
        let mut refused = Vec::with_capacity(asked.len());
        for (request, _) in &asked {
            match self.admit::<F>(packet.sender, request, &interfaces) {
                Ok(request) => {
                    requests.push(request);
                    refused.push(None);
                }
                Err(errno) => refused.push(Some(errno)),
            }
        }
        let answers = if requests.is_empty() {
            Vec::new()
        } else {
            F::of(self).rib.requests(requests).await?
        };
        let mut answers = answers.into_iter();
        for ((request, range), refused) in asked.iter().zip(refused) {
            let answer = match refused {
                Some(errno) => Err(errno),
                None => answers.next().unwrap_or(Err(Errno::Eio)),
            };
            match answer {
                Ok(outcome) => {
                    self.done::<F>(packet, request, &outcome, &interfaces)
                        .await?;
                }
                Err(errno) => {
                    let pid = packet.sender.pid;
                    let bytes = &packet.bytes[range.clone()];
                    self.answer(|out| request::refuse(bytes, pid, errno, out));
                    self.ack(packet, request.seq, Err(errno));
                }
            }
        }
        Ok(())
    }

    /// The sender's rights, then what stands against the request itself.
    fn admit<F: Family>(
        &self,
        sender: Sender,
        request: &RouteRequest,
        interfaces: &Interfaces,
    ) -> Result<Request<F>, Errno> {
        if !request.kind.is_open_to_all() && !self.place.may_change(sender) {
            return Err(Errno::Eperm);
        }
        if let Some(errno) = request.refused {
            return Err(errno);
        }
        translate::request::<F>(self.id, sender.pid, request, interfaces)
    }

    /// A link-layer address: the kernel's business, and no part of a batch.
    async fn neighbour(&mut self, packet: &mut Packet, request: &RouteRequest, at: Range<usize>) {
        let sender = packet.sender;
        let result = if self.batch.is_some() {
            Err(Errno::Eopnotsupp)
        } else if !self.place.may_change(sender) {
            Err(Errno::Eperm)
        } else if let Some(errno) = request.refused {
            Err(errno)
        } else {
            lldata::carry_out(request, sender.pid).await
        };
        match result {
            Ok(reply) => {
                if self.greeting.flags & NO_OWN_COPIES == 0 {
                    self.answer(|out| reply.encode(out));
                }
                // Of no generation: the entry is not the RIB's.
                self.ack(packet, request.seq, Ok(Generation::default()));
            }
            Err(errno) => {
                let bytes = &packet.bytes[at];
                self.answer(|out| request::refuse(bytes, sender.pid, errno, out));
                self.ack(packet, request.seq, Err(errno));
            }
        }
    }

    /// Answers a request that was done, in its place among the copies.
    async fn done<F: SideOf>(
        &mut self,
        packet: &mut Packet,
        request: &RouteRequest,
        outcome: &Outcome<F>,
        interfaces: &Interfaces,
    ) -> anyhow::Result<()> {
        let reply = translate::reply(request, packet.sender.pid, outcome, interfaces);
        let silent = self.greeting.flags & NO_OWN_COPIES != 0 && !request.kind.is_open_to_all();
        // One that is behind gets its reply before its turn, and the copy again in
        // its turn.
        let follows = outcome.changed
            && self.listens()
            && self.dumping.is_none()
            && self.out.bytes() < self.config.queue;
        let number = outcome.generation.number;
        if follows && F::of(self).cursor.number + 1 < number {
            self.tell_up_to::<F>(number - 1).await?;
        }
        if !silent {
            self.answer(|out| reply.encode(out));
        }
        if follows && F::of(self).cursor.number + 1 == number {
            if outcome.alone {
                F::of(self).cursor = outcome.generation;
            } else {
                self.tell_up_to::<F>(number).await?;
            }
        }
        if outcome.changed {
            packet.done[usize::from(F::BITS != 32)] = outcome.generation;
        }
        self.ack(packet, request.seq, Ok(outcome.generation));
        Ok(())
    }

    /// Tells of one family's changes but our own, up to a generation.
    async fn tell_up_to<F: SideOf>(&mut self, number: u64) -> anyhow::Result<()> {
        let mut told = Vec::new();
        let id = self.id;
        let side = F::of(self);
        loop {
            match side
                .tell(Some(number), Some(id), |message| told.push(message))
                .await?
            {
                Told::More => {}
                Told::All => break,
                Told::Lost(_) => {
                    self.lost = true;
                    break;
                }
            }
        }
        for message in &told {
            copy(&self.greeting, &mut self.out, message);
        }
        Ok(())
    }

    /// Adds a reply; one that finds no room is lost, as route(4) allows.
    fn answer(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        if self.out.bytes() > self.config.queue {
            self.flush();
            if self.out.bytes() > self.config.queue {
                self.lost = true;
                return;
            }
        }
        self.out.push(encode);
    }

    fn ack(&self, packet: &mut Packet, seq: i32, result: Result<Generation, Errno>) {
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

    async fn commit(&mut self, packet: &mut Packet, seq: i32) -> anyhow::Result<()> {
        let Some(batch) = self.batch.take() else {
            self.commit_refused(packet, seq, 0, Errno::Einval);
            return Ok(());
        };
        let batch = match batch.complete() {
            Ok(batch) => batch,
            Err(Refused { index, errno }) => {
                self.commit_refused(packet, seq, index, errno);
                return Ok(());
            }
        };
        match batch.first() {
            None => {
                let generation = self.ipv4.cursor;
                self.committed(packet, seq, 0, Ok(generation));
                Ok(())
            }
            Some(first) if first.address.is_ipv4() => {
                self.commit_of::<Ipv4>(packet, seq, &batch).await
            }
            Some(_) => self.commit_of::<Ipv6>(packet, seq, &batch).await,
        }
    }

    async fn commit_of<F: SideOf>(
        &mut self,
        packet: &mut Packet,
        seq: i32,
        batch: &[RouteRequest],
    ) -> anyhow::Result<()> {
        let interfaces = self.interfaces.borrow().clone();
        let mut requests = Vec::with_capacity(batch.len());
        for (index, request) in batch.iter().enumerate() {
            match self.admit::<F>(packet.sender, request, &interfaces) {
                Ok(request) => requests.push(request),
                Err(errno) => {
                    self.commit_refused(packet, seq, index, errno);
                    return Ok(());
                }
            }
        }
        match F::of(self).rib.batch(requests).await? {
            Ok(outcomes) => {
                let last = outcomes.last().map(|outcome| outcome.generation);
                self.committed(packet, seq, 0, Ok(last.unwrap_or_default()));
            }
            Err(Refused { index, errno }) => self.commit_refused(packet, seq, index, errno),
        }
        Ok(())
    }

    fn commit_refused(&mut self, packet: &mut Packet, seq: i32, index: usize, errno: Errno) {
        self.committed(packet, seq, index, Err(errno));
    }

    fn committed(
        &mut self,
        packet: &mut Packet,
        seq: i32,
        index: usize,
        result: Result<Generation, Errno>,
    ) {
        let generation = result.unwrap_or_default();
        let reply = Ack {
            seq,
            errno: result.err(),
            index: u32::try_from(index).unwrap_or(u32::MAX),
            epoch: generation.epoch,
            generation: generation.number,
        };
        self.answer(|out| reply.encode_as(RTM_BATCH_COMMIT, out));
        if self.acks.is_some() {
            reply.encode(&mut packet.acks);
        }
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

/// A snapshot of a family, if it is wanted.
async fn snapshot<F: Family>(
    side: &Side<F>,
    wanted: bool,
) -> anyhow::Result<Option<forwarder_core::rib::Snapshot<F>>> {
    if !wanted {
        return Ok(None);
    }
    // Of no epoch: no deltas lead from there.
    match side.rib.since(Generation::default()).await? {
        Pulled::Snapshot(snapshot) => Ok(Some(snapshot)),
        Pulled::UpToDate | Pulled::Deltas(_) => Ok(None),
    }
}

/// Whether the client wants to hear of such.
fn wants(greeting: &Greeting, family: u8, kind: u8) -> bool {
    let of_family =
        greeting.family == AF_UNSPEC || family == AF_UNSPEC || family == greeting.family;
    let of_type = greeting.types == 0
        || 1_u64
            .checked_shl(u32::from(kind))
            .is_none_or(|bit| greeting.types & bit != 0);
    of_family && of_type
}

/// Adds a copy, if the client wants such.
fn copy(greeting: &Greeting, out: &mut Outbox, message: &RouteMessage) {
    if wants(greeting, message.family(), message.kind) {
        out.route(message);
    }
}
