//! A client's own messages: the greeting, dumps, batches.

use std::time::Duration;

use forwarder_core::net::{Family, Ipv4, Ipv6};
use forwarder_core::rib::Generation;
use forwarder_core::rib::socket::Refused;
use forwarder_core::route_msg::extension::{self, Ack, NO_LISTEN, PACKED};
use forwarder_core::route_msg::number::*;
use forwarder_core::route_msg::{Dump, DumpKind, Errno, Greeting, GreetingReply, RouteRequest};

use super::super::dump::{self, Dumping};
use super::super::outbox::Outbox;
use super::super::side::Side;
use super::super::socket::{self, MAX_PACKET, Sent};
use super::{Client, Packet, SideOf, WINDOW};
use crate::rib_task::Pulled;

impl Client {
    /// # Errors
    /// A client that is owed a descriptor and does not read: it is hung up on.
    pub(super) async fn greet(
        &mut self,
        packet: &Packet,
        greeting: Greeting,
    ) -> anyhow::Result<()> {
        let mut refused = if self.greeted {
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
                // Out of descriptors: better refused than waited for in vain.
                match socket::ack_channel() {
                    Ok(made) => channel = Some(made),
                    Err(_) => refused = Some(Errno::Enobufs),
                }
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
            self.answer(|out| out.extend_from_slice(&bytes));
            return Ok(());
        }
        if !greeting.name.is_empty() {
            let stale = Duration::from_secs(u64::from(greeting.stale_time));
            self.ipv4.rib.register(self.id, &greeting.name, stale).await;
            self.ipv6.rib.register(self.id, &greeting.name, stale).await;
            let failures = self.published.failures();
            failures.register(self.id, &greeting.name);
        }
        match channel {
            // The descriptor goes with the packet, which must find room: a client
            // greets before it is told anything.
            Some((ours, theirs)) => {
                self.out.flush(&self.connection);
                let sent = self.connection.send_with(&bytes, &theirs);
                anyhow::ensure!(sent == Sent::Whole, "no room for the reply to a greeting");
                let mut out = Outbox::default();
                out.packed = true;
                self.acks = Some((ours, out));
            }
            None => self.out.push(|out| out.extend_from_slice(&bytes)),
        }
        if greeting.flags & NO_LISTEN != 0 {
            self.events = None;
            self.answers = None;
        } else if greeting.flags & extension::CLASSIC_COPIES != 0 && self.answers.is_none() {
            self.answers = Some(self.published.listen_to_answers());
        }
        self.out.packed = greeting.flags & PACKED != 0;
        self.greeted = true;
        self.entry.greeted(&greeting);
        self.greeting = greeting;
        Ok(())
    }

    /// Asks for what a dump needs, as of one state of each family.
    pub(super) async fn dump(&mut self, request: Dump) -> anyhow::Result<()> {
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
                self.missed.ipv4 = None;
            }
            if let Some(snapshot) = &ipv6 {
                self.ipv6.cursor = snapshot.generation;
                self.missed.ipv6 = None;
            }
        }
        self.dumping = Some(Dumping::new(request, ipv4, ipv6, at));
        Ok(())
    }

    pub(super) async fn commit(&mut self, packet: &mut Packet, seq: i32) -> anyhow::Result<()> {
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

    pub(super) async fn commit_of<F: SideOf>(
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

    pub(super) fn commit_refused(
        &mut self,
        packet: &mut Packet,
        seq: i32,
        index: usize,
        errno: Errno,
    ) {
        self.committed(packet, seq, index, Err(errno));
    }

    pub(super) fn committed(
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
