//! Requests, their acknowledgements, and what the daemon tells.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::path::Path;

use forwarder_core::route_msg::extension::{self, Ack, DumpEnd, Generations};
use forwarder_core::route_msg::number::*;
use forwarder_core::route_msg::{
    Dump, DumpKind, Errno, Message, RequestKind, RouteMessage, RouteRequest,
};
use ipnet::IpNet;

use super::transport::Transport;
use super::{Error, Options, Route};

/// A connection.
pub struct Client {
    transport: Transport,
    seq: i32,
    /// Told while an answer was waited for.
    told: VecDeque<Message>,
    acks: VecDeque<Ack>,
}

/// A change that was done: the state of the table with it in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Done {
    /// Of this life of the daemon.
    pub epoch: u64,
    /// Of the change's family.
    pub generation: u64,
}

impl Client {
    /// Connects to a daemon.
    ///
    /// # Errors
    /// Nobody listens there, or the daemon refuses the options.
    pub async fn connect(path: &Path, options: &Options) -> Result<Client, Error> {
        Ok(Client {
            transport: Transport::connect(path, &options.greeting()).await?,
            seq: 0,
            told: VecDeque::new(),
            acks: VecDeque::new(),
        })
    }

    /// Ends what the daemon tells, as shutdown(2) for reading does: changes are
    /// still made, and acknowledged. Questions have no answer any more.
    ///
    /// # Errors
    /// The socket's.
    pub fn shutdown_read(&self) -> Result<(), Error> {
        self.transport.shutdown_read()
    }

    /// The state that it is told from.
    pub fn connected_at(&self) -> Generations {
        self.transport.greeted.at
    }

    /// Adds a route.
    ///
    /// # Errors
    /// [`Error::Refused`] with `EEXIST` where there is one of that priority.
    pub async fn add(&mut self, route: &Route) -> Result<Done, Error> {
        self.change_by(route.request(RequestKind::Add)).await
    }

    /// Sets what the route says of one that is there.
    ///
    /// # Errors
    /// [`Error::Refused`]: `ESRCH` where there is none, `EBUSY` where it is
    /// another source's.
    pub async fn change(&mut self, route: &Route) -> Result<Done, Error> {
        self.change_by(route.request(RequestKind::Change)).await
    }

    /// Deletes a route, or of several ways the one that the route names.
    ///
    /// # Errors
    /// As for [`Client::change`].
    pub async fn delete(&mut self, route: &Route) -> Result<Done, Error> {
        self.change_by(route.request(RequestKind::Delete)).await
    }

    /// A request that changes something.
    ///
    /// # Errors
    /// [`Error::Refused`]; nothing has changed then.
    pub async fn change_by(&mut self, request: RouteRequest) -> Result<Done, Error> {
        let mut done = self.pipeline(std::slice::from_ref(&request)).await?;
        let result = done.pop().unwrap_or(Err(Errno::Eio));
        result.map_err(|errno| Error::Refused { errno, index: 0 })
    }

    /// Many requests without waiting for each: in packets, as many under way as
    /// the daemon allows. What came of each, in order.
    ///
    /// # Errors
    /// The socket's; a request that is refused is none.
    pub async fn pipeline(
        &mut self,
        requests: &[RouteRequest],
    ) -> Result<Vec<Result<Done, Errno>>, Error> {
        let window = (self.transport.greeted.window as usize).max(1);
        let mut results = Vec::with_capacity(requests.len());
        for requests in requests.chunks(window) {
            let first = self.seq;
            let mut packet = Vec::new();
            for request in requests {
                self.seq = self.seq.wrapping_add(1);
                let mut request = request.clone();
                request.seq = self.seq;
                request.encode(&mut packet);
                if packet.len() + 1024 > self.transport.greeted.max_packet as usize {
                    self.transport.send(&packet).await?;
                    packet.clear();
                }
            }
            if !packet.is_empty() {
                self.transport.send(&packet).await?;
            }
            for index in 0..requests.len() {
                let offset = i32::try_from(index).unwrap_or(0).wrapping_add(1);
                let ack = self.ack(first.wrapping_add(offset)).await?;
                results.push(done(ack));
            }
        }
        Ok(results)
    }

    /// All of these or nothing, as one state of the table; of one family.
    ///
    /// # Errors
    /// [`Error::Refused`] names the first that was refused.
    pub async fn batch(&mut self, requests: &[RouteRequest]) -> Result<Done, Error> {
        self.seq = self.seq.wrapping_add(1);
        let seq = self.seq;
        let mut packet = Vec::new();
        extension::batch_begin(seq, &mut packet);
        for request in requests {
            request.encode(&mut packet);
            if packet.len() + 1024 > self.transport.greeted.max_packet as usize {
                self.transport.send(&packet).await?;
                packet.clear();
            }
        }
        extension::batch_commit(seq, &mut packet);
        self.transport.send(&packet).await?;
        let ack = self.ack(seq).await?;
        done(ack).map_err(|errno| Error::Refused {
            errno,
            index: ack.index as usize,
        })
    }

    /// The route of exactly this prefix.
    ///
    /// # Errors
    /// [`Error::Refused`] with `ESRCH` where there is none.
    pub async fn get(&mut self, prefix: IpNet) -> Result<RouteMessage, Error> {
        self.question(RouteRequest::new(RequestKind::Get, prefix))
            .await
    }

    /// The route that packets to this address take.
    ///
    /// # Errors
    /// As for [`Client::get`].
    pub async fn lookup(&mut self, address: IpAddr) -> Result<RouteMessage, Error> {
        let mut request = RouteRequest::new(RequestKind::Get, address.into());
        request.exact = false;
        self.question(request).await
    }

    /// A request that is answered by a message.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub async fn question(&mut self, mut request: RouteRequest) -> Result<RouteMessage, Error> {
        self.seq = self.seq.wrapping_add(1);
        let seq = self.seq;
        request.seq = seq;
        let mut packet = Vec::new();
        request.encode(&mut packet);
        self.transport.send(&packet).await?;
        let ack = self.ack(seq).await?;
        done(ack).map_err(|errno| Error::Refused { errno, index: 0 })?;
        let pid = i32::try_from(std::process::id()).unwrap_or(0);
        loop {
            let told = &mut self.told;
            let mut answer = None;
            self.transport
                .receive(|message| match message {
                    Message::Route(route)
                        if route.pid == pid && route.seq == seq && answer.is_none() =>
                    {
                        answer = Some(route);
                    }
                    other => told.push_back(other),
                })
                .await?;
            if let Some(answer) = answer {
                return Ok(answer);
            }
        }
    }

    /// Keeps hold of the route that an address takes: its number is in the
    /// answer's `nhidx`.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub async fn hold(&mut self, address: IpAddr) -> Result<RouteMessage, Error> {
        let mut request = RouteRequest::new(RequestKind::Hold, address.into());
        request.exact = false;
        self.question(request).await
    }

    /// How the route of a hold fares: without `RTF_UP` it has left the table.
    ///
    /// # Errors
    /// [`Error::Refused`] with `ESRCH`: no such hold.
    pub async fn held(&mut self, hold: u64) -> Result<RouteMessage, Error> {
        self.of_hold(RequestKind::Hold, hold).await
    }

    /// Lets a route go.
    ///
    /// # Errors
    /// As for [`Client::held`].
    pub async fn release(&mut self, hold: u64) -> Result<RouteMessage, Error> {
        self.of_hold(RequestKind::Release, hold).await
    }

    async fn of_hold(&mut self, kind: RequestKind, hold: u64) -> Result<RouteMessage, Error> {
        let mut request = RouteRequest::new(kind, IpNet::default());
        request.metrics.nhidx = hold;
        self.question(request).await
    }

    /// All routes, or interfaces, as messages.
    ///
    /// # Errors
    /// The socket's.
    pub async fn dump(&mut self, kind: DumpKind, family: u8) -> Result<Vec<Message>, Error> {
        self.dump_by(kind, family, false)
            .await
            .map(|(messages, _)| messages)
    }

    /// The table, and from its state on every change by [`Client::next`]: with
    /// neither a gap nor a repetition. How a mirror is begun, and begun again
    /// after [`Message::Desync`].
    ///
    /// # Errors
    /// The socket's.
    pub async fn resync(&mut self) -> Result<(Vec<RouteMessage>, Generations), Error> {
        // What was told before is in the table.
        self.told.clear();
        let (messages, at) = self.dump_by(DumpKind::Table, AF_UNSPEC, true).await?;
        let routes = messages.into_iter().filter_map(|message| match message {
            Message::Route(route) => Some(route),
            _ => None,
        });
        Ok((routes.collect(), at))
    }

    async fn dump_by(
        &mut self,
        kind: DumpKind,
        family: u8,
        live_tail: bool,
    ) -> Result<(Vec<Message>, Generations), Error> {
        self.seq = self.seq.wrapping_add(1);
        let dump = Dump {
            seq: self.seq,
            kind,
            family,
            live_tail,
        };
        let mut packet = Vec::new();
        dump.encode(&mut packet);
        self.transport.send(&packet).await?;
        let mut messages = Vec::new();
        loop {
            let (told, seq) = (&mut self.told, self.seq);
            let mut end: Option<DumpEnd> = None;
            self.transport
                .receive(|message| match message {
                    Message::DumpEnd(of) if of.seq == seq => end = Some(of),
                    // What follows the end is the tail.
                    other if end.is_some() => told.push_back(other),
                    Message::Route(route) if route.kind == RTM_GET && route.pid == 0 => {
                        messages.push(Message::Route(route));
                    }
                    other if kind == DumpKind::Interfaces => messages.push(other),
                    // Told before the dump began: in it already.
                    other if !live_tail => told.push_back(other),
                    _ => {}
                })
                .await?;
            if let Some(end) = end {
                return match end.errno {
                    Some(errno) => Err(Error::Refused { errno, index: 0 }),
                    None => Ok((messages, end.at)),
                };
            }
        }
    }

    /// The next thing that the daemon tells.
    ///
    /// # Errors
    /// The socket's.
    pub async fn next(&mut self) -> Result<Message, Error> {
        loop {
            if let Some(message) = self.told.pop_front() {
                return Ok(message);
            }
            let told = &mut self.told;
            self.transport
                .receive(|message| told.push_back(message))
                .await?;
        }
    }

    async fn ack(&mut self, seq: i32) -> Result<Ack, Error> {
        loop {
            while let Some(ack) = self.acks.pop_front() {
                // An earlier one was given up on by who asked.
                if ack.seq == seq {
                    return Ok(ack);
                }
            }
            let acks = &mut self.acks;
            self.transport
                .receive_acks(|message| {
                    if let Message::Ack(ack) = message {
                        acks.push_back(ack);
                    }
                })
                .await?;
        }
    }
}

fn done(ack: Ack) -> Result<Done, Errno> {
    match ack.errno {
        Some(errno) => Err(errno),
        None => Ok(Done {
            epoch: ack.epoch,
            generation: ack.generation,
        }),
    }
}
