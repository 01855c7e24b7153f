//! What must hold whatever a client of the routing socket sends, and in [`rip`]
//! whatever a neighbour does. Called by the fuzz targets with what the fuzzer comes
//! up with, and by an ordinary test of `forwarder-core` (`tests/fuzz_corpus.rs`) with
//! the corpus.

pub mod rip;

use std::collections::BTreeMap;
use std::net::IpAddr;

use forwarder_core::net::{Family, Ifindex, Ipv4, Ipv6, TableId};
use forwarder_core::rib::socket::{
    ClientId, Op, Request, Settings, Way, is_told, tell_change, tell_route,
};
use forwarder_core::rib::{Rib, RibConfig, Since};
use forwarder_core::route::{Candidate, Distance, Nexthop, RouteType, Source};
use forwarder_core::route_msg::number::*;
use forwarder_core::route_msg::request::{self, refuse, refuse_unreadable, split};
use forwarder_core::route_msg::{
    ClientMessage, Errno, Gateway, Message, RequestKind, RouteMessage, RouteRequest, read,
};
use forwarder_core::time::Instant;
use ipnet::IpNet;

const PID: i32 = 4711;

/// A packet is taken apart without a panic, every byte belongs to one message,
/// whatever is said of it can be read, and what others hear of it is no more
/// than what was understood.
pub fn packet(packet: &[u8]) {
    let mut length = 0;
    for message in split(packet) {
        length += message.len();
        let mut reply = Vec::new();
        match request::read(message) {
            Ok(ClientMessage::Route(request)) => {
                assert_eq!(request.destination, request.destination.trunc());
                refuse(message, PID, Errno::Einval, &mut reply);
                assert_eq!(reply.len(), message.len());
                told_of(&request);
            }
            Ok(_) => {}
            Err(unreadable) => {
                refuse_unreadable(unreadable, PID, &mut reply);
                let (_, length) = read(&reply).expect("a refusal can be read");
                assert_eq!(length, reply.len());
            }
        }
    }
    assert_eq!(length, packet.len());
    received(packet);
}

fn told_of(request: &RouteRequest) {
    let told = request.refusal(PID, Errno::Einval);
    let bytes = encoded(&told);
    let Ok((Message::Route(copy), length)) = read(&bytes) else {
        panic!("what others hear of {request:?} cannot be read");
    };
    assert_eq!(length, bytes.len());
    assert_eq!(copy.destination, Some(request.destination));
    assert_eq!(
        (copy.pid, copy.errno, copy.flags & RTF_DONE),
        (PID, Some(Errno::Einval), 0)
    );
}

/// A client reads to the end of what it was sent, or finds it garbled.
fn received(mut packet: &[u8]) {
    while let Ok((message, length)) = read(packet) {
        assert!((4..=packet.len()).contains(&length));
        if let Message::Route(message) = message {
            let again = encoded(&message);
            assert!(read(&again).is_ok(), "{message:?}");
        }
        packet = &packet[length..];
    }
}

fn encoded(message: &RouteMessage) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    bytes
}

/// Requests are carried out one after the other. A listener that keeps a table by
/// what it is told has the daemon's after each; one that was refused changes
/// nothing. Tells how many were
/// done.
pub fn sequence(packet: &[u8]) -> usize {
    let mut ipv4 = Table::<Ipv4>::new([192, 0, 2, 0].into(), 24);
    let mut ipv6 = Table::<Ipv6>::new([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0].into(), 64);
    let mut done = 0;
    for message in split(packet) {
        let Ok(ClientMessage::Route(request)) = request::read(message) else {
            continue;
        };
        if request.refused.is_some() || request.flags & RTF_LLDATA != 0 {
            continue;
        }
        let is_done = match request.address {
            IpAddr::V4(_) => ipv4.take(&request),
            IpAddr::V6(_) => ipv6.take(&request),
        };
        done += usize::from(is_done);
    }
    done
}

/// What a listener knows of a prefix: a message for each way.
type Mirror = BTreeMap<IpNet, Vec<Vec<u8>>>;

/// A table, and a listener's.
struct Table<F: Family> {
    rib: Rib<F>,
    mirror: Mirror,
}

impl<F: Family> Table<F> {
    /// With one interface, 1, in this network.
    fn new(network: F::Addr, length: u8) -> Self {
        let export_metric = Some(15);
        let mut rib = Rib::new(1, RibConfig { export_metric });
        rib.set_link(Ifindex(1), true, true);
        rib.limit_client_routes(8);
        let connected = Candidate {
            kind: RouteType::Unicast,
            nexthops: vec![Nexthop::link(Ifindex(1))],
            source: Source::Connected,
            distance: Distance(0),
            metric: 0,
            tag: 0,
            mtu: None,
            kernel_metric: Some(0),
            preferred_source: None,
            attributes: None,
        };
        let prefix = F::prefix(network, length).expect("a length in range");
        rib.update(Instant::ZERO, TableId::MAIN, prefix, connected);
        rib.commit();
        let mirror = dump(&rib);
        Table { rib, mirror }
    }

    fn take(&mut self, request: &RouteRequest) -> bool {
        let Some(asked) = asked::<F>(request) else {
            return false;
        };
        let before = self.rib.generation();
        let answer = self.rib.request(Instant::ZERO, Distance(1), &asked);
        if answer.is_err() {
            assert_eq!(self.rib.generation(), before, "{request:?} was refused");
        }
        self.follow(before);
        let expired = self.rib.generation();
        self.rib.expire(Instant::ZERO, 1_000_000);
        self.rib.commit();
        self.follow(expired);
        answer.is_ok()
    }

    /// Tells the listener, and compares.
    fn follow(&mut self, since: forwarder_core::rib::Generation) {
        match self.rib.journal().since(since) {
            Since::Deltas(batches) => {
                for change in batches.iter().flat_map(|batch| &batch.changes) {
                    tell_change(change, |message| hear(&mut self.mirror, &message));
                }
            }
            other => assert!(since == self.rib.generation(), "{other:?} after {since:?}"),
        }
        assert_eq!(self.mirror, dump(&self.rib));
    }
}

/// What a listener does with a message: the first of a prefix takes the place of
/// what was there.
fn hear(mirror: &mut Mirror, message: &RouteMessage) {
    let prefix = message.destination.expect("routes have a destination");
    if message.kind == RTM_DELETE {
        mirror.remove(&prefix);
        return;
    }
    let ways = mirror.entry(prefix).or_default();
    if message.flags & RTF_MPATH == 0 {
        ways.clear();
    }
    ways.push(body(message));
}

/// A message without whose it is.
fn body(message: &RouteMessage) -> Vec<u8> {
    encoded(&RouteMessage {
        kind: RTM_GET,
        pid: 0,
        seq: 0,
        ..message.clone()
    })
}

fn dump<F: Family>(rib: &Rib<F>) -> Mirror {
    let mut mirror = Mirror::new();
    for (table, prefix, route) in &rib.snapshot().routes {
        if is_told(*table, route) {
            tell_route::<F>(RTM_GET, prefix, route, |message| {
                hear(&mut mirror, &message);
            });
        }
    }
    mirror
}

/// The request as a server puts it to the table, interfaces by number alone.
fn asked<F: Family>(message: &RouteRequest) -> Option<Request<F>> {
    let address = F::from_ip(message.address)?;
    let way = match &message.gateway {
        Some(Gateway::Ip(address)) => F::from_ip(*address).map(Way::Gateway),
        Some(Gateway::Link(link)) => Some(Way::Link(Ifindex(link.ifindex.into()))),
        None => None,
    };
    let settings = Settings {
        way,
        flags: message.flags,
        fmask: message.fmask,
        inits: message.inits,
        metrics: message.metrics,
        ifp: message
            .ifp
            .as_ref()
            .map(|link| Ifindex(link.ifindex.into())),
        ifa: message.ifa.and_then(F::from_ip),
        genmask: message.genmask,
    };
    let hold = message.metrics.nhidx;
    let op = match message.kind {
        RequestKind::Add => Op::Add(settings),
        RequestKind::Change => Op::Change(settings),
        RequestKind::Lock => Op::Lock(settings),
        RequestKind::Delete => Op::Delete(way),
        RequestKind::Get if message.exact => Op::Get(way),
        RequestKind::Get => Op::Lookup(address, way),
        RequestKind::Hold if hold == 0 => Op::Hold(address),
        RequestKind::Hold => Op::Held(hold),
        RequestKind::Release => Op::Release(hold),
        RequestKind::Other(_) => return None,
    };
    Some(Request {
        client: ClientId(1),
        pid: PID,
        seq: message.seq,
        prefix: F::from_net(message.destination)?,
        priority: message.priority(),
        op,
    })
}
