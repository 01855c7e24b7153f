//! What one client is told: changes and events, in their order, while it reads.

use std::sync::Arc;

use forwarder_core::net::{Ipv4, Ipv6};
use forwarder_core::rib::Generation;
use forwarder_core::rib::socket::ClientId;
use forwarder_core::route_event::Announced;
use forwarder_core::route_msg::extension::{Desync, Generations, NO_OWN_COPIES};
use forwarder_core::route_msg::number::*;
use forwarder_core::route_msg::{Errno, Greeting, Mode, RouteMessage};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::super::outbox::Outbox;
use super::super::side::Told;
use super::{Client, SideOf};

/// A message of the journal: what the queue's bytes are counted in.
const MESSAGE: u64 = 200;

impl Client {
    /// Tells what has changed since; true when there is more. Events come before
    /// the routes that they have caused, and after those that they wait for.
    pub(super) async fn tell(&mut self) -> anyhow::Result<bool> {
        // Looked up before the events: what caused a route is published before
        // the route is in the RIB, so that no route up to here can overtake it.
        let heads = (self.ipv4.head(), self.ipv6.head());
        self.take_events();
        self.tell_events();
        let more = self.tell_routes(heads).await?;
        self.tell_events();
        Ok(more)
    }

    pub(super) fn take(&mut self, event: Result<Arc<Announced>, RecvError>) {
        match event {
            Ok(event) => self.waiting.push_back(event),
            Err(_) => self.missed.others = true,
        }
    }

    /// One of its routes is not in the kernel's table. One that does not listen is
    /// told like an answer: it is a late one to its request.
    pub(super) fn failed(&mut self, failure: Result<Arc<Announced>, RecvError>) {
        match failure {
            Ok(failure) if !self.listens() => {
                self.answer(|out| failure.event.encode(out));
            }
            failure => self.take(failure),
        }
    }

    fn take_events(&mut self) {
        let heard = [&mut self.events, &mut self.answers];
        let heard = heard.into_iter().flatten();
        for events in heard.chain([&mut self.failures]) {
            loop {
                match events.try_recv() {
                    Ok(event) => self.waiting.push_back(event),
                    Err(TryRecvError::Lagged(_)) => self.missed.others = true,
                    Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                }
            }
        }
    }

    /// Tells the events whose time has come.
    pub(super) fn tell_events(&mut self) {
        let (ipv4, ipv6) = (self.ipv4.cursor.number, self.ipv6.cursor.number);
        let (own, greeting, out) = (self.id, &self.greeting, &mut self.out);
        self.waiting.retain(|announced| {
            let ripe = announced.after.ipv4 <= ipv4 && announced.after.ipv6 <= ipv6;
            let event = &announced.event;
            if ripe
                && announced.asked_by != Some(own)
                && wants(greeting, event.family(), event.kind())
            {
                out.push(|out| event.encode(out));
            }
            !ripe
        });
    }

    /// Tells what has become of routes up to these generations; true when there
    /// is more.
    async fn tell_routes(&mut self, heads: (Generation, Generation)) -> anyhow::Result<bool> {
        let stalled = std::mem::take(&mut self.stalled);
        if stalled && self.greeting.mode != Mode::Reliable {
            let most = u64::try_from(self.config.queue).unwrap_or(u64::MAX) / MESSAGE;
            if self.ipv4.lag() > most {
                self.skip::<Ipv4>();
            }
            if self.ipv6.lag() > most {
                self.skip::<Ipv6>();
            }
        }
        self.mark();
        let except = self.not_copied();
        let (greeting, out) = (&self.greeting, &mut self.out);
        let copy = |message| copy(greeting, out, &message);
        let ipv4 = self.ipv4.tell(Some(heads.0.number), except, copy).await?;
        let (greeting, out) = (&self.greeting, &mut self.out);
        let copy = |message| self::copy(greeting, out, &message);
        let ipv6 = self.ipv6.tell(Some(heads.1.number), except, copy).await?;
        let mut more = false;
        for (told, missed) in [(ipv4, &mut self.missed.ipv4), (ipv6, &mut self.missed.ipv6)] {
            match told {
                Told::Lost(at) => {
                    missed.get_or_insert(at);
                }
                Told::More => more = true,
                Told::All => {}
            }
        }
        self.mark();
        Ok(more)
    }

    /// Goes to the end of a family's journal without telling what is in it.
    fn skip<F: SideOf>(&mut self) {
        let told = F::of(self).skip();
        F::missed(&mut self.missed).get_or_insert(told);
    }

    /// The marker, if anything was missed, whatever the client's filters say.
    fn mark(&mut self) {
        if !self.missed.is_any() {
            return;
        }
        let missed = std::mem::take(&mut self.missed);
        let from = self.generations();
        let marker = Desync {
            errno: (self.greeting.mode == Mode::Error).then_some(Errno::Enobufs),
            told: Generations {
                epoch: from.epoch,
                ipv4: missed.ipv4.map_or(from.ipv4, |told| told.number),
                ipv6: missed.ipv6.map_or(from.ipv6, |told| told.number),
            },
            from,
        };
        self.entry.count_marker();
        self.out.push(|out| marker.encode(out));
    }

    /// Whose changes it is not told of: its own, if it has said so.
    pub(super) fn not_copied(&self) -> Option<ClientId> {
        (self.greeting.flags & NO_OWN_COPIES != 0).then_some(self.id)
    }

    pub(super) fn generations(&self) -> Generations {
        Generations {
            epoch: self.ipv4.cursor.epoch,
            ipv4: self.ipv4.cursor.number,
            ipv6: self.ipv6.cursor.number,
        }
    }

    /// Tells of one family's changes up to a generation that the RIB has reached,
    /// but for what `except` has caused, and of the events before them.
    pub(super) async fn tell_up_to<F: SideOf>(
        &mut self,
        number: u64,
        except: Option<ClientId>,
    ) -> anyhow::Result<()> {
        self.take_events();
        self.tell_events();
        let mut messages = Vec::new();
        let lost = loop {
            let side = F::of(self);
            match side
                .tell(Some(number), except, |message| messages.push(message))
                .await?
            {
                Told::More => {}
                Told::All => break None,
                Told::Lost(told) => break Some(told),
            }
        };
        if let Some(told) = lost {
            F::missed(&mut self.missed).get_or_insert(told);
        }
        for message in &messages {
            copy(&self.greeting, &mut self.out, message);
        }
        Ok(())
    }
}

/// Whether the client wants to hear of such. Our own messages are not filtered.
fn wants(greeting: &Greeting, family: u8, kind: u8) -> bool {
    if kind >= RTM_EXTENSION {
        return true;
    }
    let of_family =
        greeting.family == AF_UNSPEC || family == AF_UNSPEC || family == greeting.family;
    of_family && wants_type(greeting, kind)
}

/// Likewise, of some family.
pub(super) fn wants_type(greeting: &Greeting, kind: u8) -> bool {
    greeting.types == 0
        || 1_u64
            .checked_shl(u32::from(kind))
            .is_none_or(|bit| greeting.types & bit != 0)
}

/// Adds a copy, if the client wants such.
fn copy(greeting: &Greeting, out: &mut Outbox, message: &RouteMessage) {
    if wants(greeting, message.family(), message.kind) {
        out.route(message);
    }
}
