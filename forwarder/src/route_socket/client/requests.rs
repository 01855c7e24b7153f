//! A client's requests: admitted, asked of the RIB, answered in their place among
//! the copies.

use std::ops::Range;

use forwarder_core::interface::Interfaces;
use forwarder_core::net::{Family, Ipv4, Ipv6};
use forwarder_core::rib::Generation;
use forwarder_core::rib::socket::{Outcome, Request, state_of};
use forwarder_core::route_msg::extension::{Generations, NO_OWN_COPIES};
use forwarder_core::route_msg::{Errno, RequestKind, RouteRequest, request};

use super::super::users::Sender;
use super::super::{lldata, translate};
use super::{Asked, Client, Packet, SideOf};

impl Client {
    /// Requests of one family, one after the other.
    pub(super) async fn ask(
        &mut self,
        packet: &mut Packet,
        asked: Vec<Asked>,
    ) -> anyhow::Result<()> {
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

    pub(super) async fn ask_of<F: SideOf>(
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
                    let after = state_of::<F>(*F::of(self).rib.generation.borrow());
                    self.refuse(packet, request, range, errno, after);
                }
            }
        }
        Ok(())
    }

    /// Sends a request back with the reason, and lets those know who want to.
    fn refuse(
        &mut self,
        packet: &mut Packet,
        request: &RouteRequest,
        at: &Range<usize>,
        errno: Errno,
        after: Generations,
    ) {
        let pid = packet.sender.pid;
        let bytes = &packet.bytes[at.clone()];
        self.answer(|out| request::refuse(bytes, pid, errno, out));
        self.ack(packet, request.seq, Err(errno));
        self.published
            .publish_answer(self.id, after, || request.refusal(pid, errno));
    }

    /// The sender's rights, then what stands against the request itself.
    pub(super) fn admit<F: Family>(
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
    pub(super) async fn neighbour(
        &mut self,
        packet: &mut Packet,
        request: &RouteRequest,
        at: &Range<usize>,
    ) {
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
            Err(errno) => self.refuse(packet, request, at, errno, Generations::default()),
        }
    }

    /// Answers a request that was done, in its place among the copies.
    pub(super) async fn done<F: SideOf>(
        &mut self,
        packet: &mut Packet,
        request: &RouteRequest,
        outcome: &Outcome<F>,
        interfaces: &Interfaces,
    ) -> anyhow::Result<()> {
        let reply = || translate::reply(request, packet.sender.pid, outcome, interfaces);
        let silent = self.greeting.flags & NO_OWN_COPIES != 0 && !request.kind.is_open_to_all();
        // One that is behind gets its reply before its turn, and the copy again in
        // its turn.
        let follows = outcome.changed
            && self.listens()
            && self.dumping.is_none()
            && !self.missed.is_any()
            && self.out.bytes() < self.config.queue;
        let number = outcome.generation.number;
        if follows && F::of(self).cursor.number + 1 < number {
            self.tell_up_to::<F>(number - 1, self.not_copied()).await?;
        }
        if request.kind == RequestKind::Get {
            let after = state_of::<F>(outcome.generation);
            self.published.publish_answer(self.id, after, reply);
        }
        // Where the reply is lost the copy comes in its turn.
        let told = silent || self.answer(|out| reply().encode(out));
        if follows && told && F::of(self).cursor.number + 1 == number {
            if outcome.alone {
                F::of(self).cursor = outcome.generation;
            } else {
                self.tell_up_to::<F>(number, Some(self.id)).await?;
            }
        }
        if outcome.changed {
            packet.done[usize::from(F::BITS != 32)] = outcome.generation;
        }
        self.ack(packet, request.seq, Ok(outcome.generation));
        Ok(())
    }
}
