//! Writes our routes into the kernel's main table.
//!
//! Owned by the dataplane task, which hands it what the exporter of
//! `forwarder-core` wants done. It has a socket of its own: a socket isn't
//! told of its own changes, and the monitor is to hear of ours too.
//!
//! Messages are sent in chunks, of which only the last is acknowledged: the
//! kernel works through a datagram in order and answers every failure anyway
//! (`netlink_rcv_skb`). Sending is synchronous in the kernel, so a chunk also
//! bounds how long the daemon's thread is away, to about a millisecond.

use std::io;
use std::time::Duration;

use forwarder_core::kernel::export::{ExportOp, ExportRoute, Refusal};
use forwarder_core::net::{Ipv4, Ipv6, TableId};
use forwarder_core::route::Nexthop;
use forwarder_core::route_msg::Errno;

use super::family::NetlinkFamily;
use super::message::{
    HOP_LEN, ROUTE_LEN, RTAX_MTU, RTNH_F_ONLINK, family, route::decode as decode_route,
    route_type_number,
};
use super::monitor::Table;
use super::request::{RequestError, Requester};
use super::requests::dump;
use super::socket::{NetlinkSocket, OpenError, Protocol, READ_BUFFER, ReceiveError};
use super::wire::{Messages, Request, outcome};

/// Messages in one datagram.
const CHUNK: usize = 256;
/// Bytes in one datagram; the default send buffer takes three times as many.
const CHUNK_BYTES: usize = 64 * 1024;
/// The answers to a chunk come within this or never.
const ANSWER: Duration = Duration::from_secs(5);
/// Room for the answers to a chunk that fails altogether.
const RECEIVE_BUFFER: usize = 1024 * 1024;

/// What makes a route ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    /// `rtm_protocol`: `[kernel] protocol`.
    pub protocol: u8,
    /// `RTA_PRIORITY`: `[kernel] metric`.
    pub metric: u32,
}

/// Carries out export operations.
#[derive(Debug)]
pub struct KernelWriter {
    socket: NetlinkSocket,
    identity: Identity,
}

impl KernelWriter {
    /// Opens a socket in the network namespace of the calling thread, within a
    /// tokio runtime.
    pub fn open(identity: Identity) -> Result<Self, OpenError> {
        let socket = NetlinkSocket::open(Protocol::ROUTE, &[], RECEIVE_BUFFER)?;
        Ok(KernelWriter { socket, identity })
    }

    /// Carries out these operations in this order: one result for each.
    pub async fn apply<F: NetlinkFamily>(
        &mut self,
        ops: &[ExportOp<F>],
    ) -> Vec<Result<(), Refusal>> {
        let mut results = Vec::with_capacity(ops.len());
        let mut rest = ops;
        while !rest.is_empty() {
            let chunk = self.chunk(rest);
            results.extend(self.exchange(&chunk).await);
            rest = rest.get(chunk.sequences.len()..).unwrap_or_default();
        }
        results
    }

    /// Removes every route with our protocol and metric from table main, as
    /// after a crash: how many there were.
    pub async fn remove_all(&mut self) -> Result<usize, RequestError> {
        Ok(self.remove_family::<Ipv4>().await? + self.remove_family::<Ipv6>().await?)
    }

    async fn remove_family<F: NetlinkFamily>(&mut self) -> Result<usize, RequestError> {
        let prefixes = self.find_ours::<F>().await?;
        let ops: Vec<ExportOp<F>> = prefixes.into_iter().map(ExportOp::Delete).collect();
        let results = self.apply(&ops).await;
        let failed = |result: Result<(), Refusal>| match result {
            Err(Refusal::Failed(_, words)) => Some(io::Error::other(words)),
            _ => None,
        };
        let removed = results.iter().filter(|result| result.is_ok()).count();
        results
            .into_iter()
            .find_map(failed)
            .map_or(Ok(removed), |error| Err(error.into()))
    }

    async fn find_ours<F: NetlinkFamily>(&self) -> Result<Vec<F::Prefix>, RequestError> {
        let Identity { protocol, metric } = self.identity;
        let request = dump(Table::Routes(F::AF, TableId::MAIN));
        let mut requester = Requester::open(Protocol::ROUTE).map_err(io::Error::other)?;
        let collect = |found: &mut Vec<F::Prefix>, _: u16, payload: &[u8]| {
            if let Some(route) = decode_route::<F>(payload)?
                && (route.protocol, route.metric, route.tos) == (protocol, metric, 0)
            {
                found.push(route.prefix);
            }
            Ok(())
        };
        match requester.dump(&request, collect).await {
            // No route has ever been in the table.
            Err(error) if error.errno() == Some(libc::ENOENT) => Ok(Vec::new()),
            found => found,
        }
    }

    /// As many of the operations as make one datagram.
    fn chunk<F: NetlinkFamily>(&mut self, ops: &[ExportOp<F>]) -> Chunk {
        let mut chunk = Chunk {
            bytes: Vec::new(),
            sequences: Vec::new(),
        };
        let mut ops = ops.iter().take(CHUNK).peekable();
        while let Some(op) = ops.next() {
            let request = request(op, self.identity);
            let sequence = self.socket.next_sequence();
            let full = chunk.bytes.len() + request.body().len() > CHUNK_BYTES;
            let is_last = full || ops.peek().is_none();
            let ack = if is_last { libc::NLM_F_ACK } else { 0 };
            request.append(sequence, ack, &mut chunk.bytes);
            chunk.sequences.push(sequence);
            if full {
                break;
            }
        }
        chunk
    }

    async fn exchange(&mut self, chunk: &Chunk) -> Vec<Result<(), Refusal>> {
        let count = chunk.sequences.len();
        let answers = async {
            self.socket.send(&chunk.bytes).await?;
            self.answers(&chunk.sequences).await
        };
        let failure = match tokio::time::timeout(ANSWER, answers).await {
            Ok(Ok(results)) => return results,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("the kernel did not answer within {} s", ANSWER.as_secs()),
        };
        // Which of them were done is not known; the monitor will tell.
        vec![Err(Refusal::Failed(Errno::Eio, failure)); count]
    }

    /// Collects failures until the last message is answered.
    async fn answers(
        &mut self,
        sequences: &[u32],
    ) -> Result<Vec<Result<(), Refusal>>, ReceiveError> {
        let mut results = vec![Ok(()); sequences.len()];
        let mut buffer = vec![0; READ_BUFFER];
        loop {
            let datagram = self.socket.receive(&mut buffer).await?;
            for (header, payload) in Messages::new(datagram).flatten() {
                // Anything else answers a chunk that had been given up.
                let mine = |sequence: &u32| *sequence == header.sequence;
                let Some(index) = sequences.iter().position(mine) else {
                    continue;
                };
                if let Some(slot) = results.get_mut(index) {
                    *slot = result(outcome(header, payload));
                }
                if index + 1 == sequences.len() {
                    return Ok(results);
                }
            }
        }
    }
}

/// One datagram of requests.
#[derive(Debug)]
struct Chunk {
    bytes: Vec<u8>,
    sequences: Vec<u32>,
}

fn result((number, words): (i32, Option<String>)) -> Result<(), Refusal> {
    let text = || {
        let error = io::Error::from_raw_os_error(number);
        words.map_or_else(|| error.to_string(), |words| format!("{words} ({error})"))
    };
    let errno = Errno::from_number(number).unwrap_or(Errno::Eio);
    match number {
        0 => Ok(()),
        libc::EEXIST => Err(Refusal::Occupied),
        libc::ESRCH => Err(Refusal::Absent),
        libc::ENOBUFS | libc::ENOMEM | libc::EAGAIN | libc::EINTR | libc::EBUSY | libc::EPERM => {
            Err(Refusal::Failed(errno, text()))
        }
        _ => Err(Refusal::Invalid(errno, text())),
    }
}

/// An operation as a netlink message; with `ack` the kernel answers in any case.
pub(crate) fn encode_export<F: NetlinkFamily>(
    op: &ExportOp<F>,
    identity: Identity,
    sequence: u32,
    ack: bool,
    out: &mut Vec<u8>,
) {
    let flags = if ack { libc::NLM_F_ACK } else { 0 };
    request(op, identity).append(sequence, flags, out);
}

fn request<F: NetlinkFamily>(op: &ExportOp<F>, identity: Identity) -> Request {
    match op {
        ExportOp::Add(route) => {
            let flags = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
            add_or_replace(route, flags, identity)
        }
        ExportOp::Replace(route) => {
            let flags = libc::NLM_F_CREATE | libc::NLM_F_REPLACE;
            add_or_replace(route, flags, identity)
        }
        // RT_SCOPE_NOWHERE and type 0 match any.
        ExportOp::Delete(prefix) => {
            let header = header::<F>(
                *prefix,
                identity,
                libc::RT_SCOPE_NOWHERE,
                libc::RTN_UNSPEC,
                0,
            );
            with_key::<F>(
                Request::new(libc::RTM_DELROUTE, 0, &header),
                *prefix,
                identity,
            )
        }
    }
}

fn add_or_replace<F: NetlinkFamily>(
    route: &ExportRoute<F>,
    flags: libc::c_int,
    identity: Identity,
) -> Request {
    // As iproute2 does: a route straight onto a link has link scope.
    let on_link = matches!(route.nexthops.as_slice(), [Nexthop { gateway: None, .. }]);
    let scope = if on_link {
        libc::RT_SCOPE_LINK
    } else {
        libc::RT_SCOPE_UNIVERSE
    };
    let hop_flags = match route.nexthops.as_slice() {
        [single] => hop_flags(single),
        _ => 0,
    };
    let kind = route_type_number(route.kind);
    let header = header::<F>(route.prefix, identity, scope, kind, hop_flags);
    let request = Request::new(libc::RTM_NEWROUTE, flags, &header);
    let mut request = with_key::<F>(request, route.prefix, identity);
    if let Some(mtu) = route.mtu {
        let metrics = Request::new(0, 0, &[]).u32(RTAX_MTU, mtu);
        request = request.attribute(libc::RTA_METRICS, metrics.body());
    }
    match route.nexthops.as_slice() {
        [] => request,
        [single] => with_hop(request, single),
        several => request.attribute(libc::RTA_MULTIPATH, &multipath(several)),
    }
}

/// `struct rtmsg`.
fn header<F: NetlinkFamily>(
    prefix: F::Prefix,
    identity: Identity,
    scope: u8,
    kind: u8,
    flags: u8,
) -> [u8; ROUTE_LEN] {
    let (family, table) = (family(F::AF), libc::RT_TABLE_MAIN);
    let len = F::len(&prefix);
    [
        family,
        len,
        0,
        0,
        table,
        identity.protocol,
        scope,
        kind,
        flags,
        0,
        0,
        0,
    ]
}

fn with_key<F: NetlinkFamily>(request: Request, prefix: F::Prefix, identity: Identity) -> Request {
    request
        .attribute(libc::RTA_DST, &F::bytes(F::network(&prefix)))
        .u32(libc::RTA_TABLE, TableId::MAIN.0)
        .u32(libc::RTA_PRIORITY, identity.metric)
}

fn hop_flags<F: NetlinkFamily>(hop: &Nexthop<F>) -> u8 {
    if hop.onlink { RTNH_F_ONLINK } else { 0 }
}

fn with_gateway<F: NetlinkFamily>(request: Request, hop: &Nexthop<F>) -> Request {
    match hop.gateway {
        Some(gateway) => request.attribute(libc::RTA_GATEWAY, &F::bytes(gateway)),
        None => request,
    }
}

fn with_hop<F: NetlinkFamily>(request: Request, hop: &Nexthop<F>) -> Request {
    let request = with_gateway(request, hop);
    match hop.ifindex {
        Some(ifindex) => request.u32(libc::RTA_OIF, ifindex.0),
        None => request,
    }
}

/// `struct rtnexthop`s, each with its gateway.
fn multipath<F: NetlinkFamily>(hops: &[Nexthop<F>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for hop in hops {
        let attributes = with_gateway(Request::new(0, 0, &[]), hop);
        // A header and at most one address: a few bytes.
        let len = u16::try_from(HOP_LEN + attributes.body().len()).unwrap_or(u16::MAX);
        let weight = u8::try_from(hop.weight.saturating_sub(1)).unwrap_or(u8::MAX);
        bytes.extend_from_slice(&len.to_ne_bytes());
        bytes.extend_from_slice(&[hop_flags(hop), weight]);
        bytes.extend_from_slice(&hop.ifindex.map_or(0, |ifindex| ifindex.0).to_ne_bytes());
        bytes.extend_from_slice(attributes.body());
    }
    bytes
}

#[cfg(test)]
mod tests;
