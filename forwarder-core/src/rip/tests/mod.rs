//! The engine's tests. `Router` here is one engine with a clock; `simulator`
//! puts several on links.

mod auth;
mod codec;
mod lifecycle;
mod limits;
mod ng;
mod output;
mod paths;
mod property;
mod query;
mod receive;
mod record;
mod requests;
mod routes;
mod seed;
mod settle;
mod simulator;
mod v1;

use std::net::Ipv4Addr;
use std::time::Duration;

use ipnet::Ipv4Net;

use super::packet::{self, ENTRY, Packet};
use super::*;
use crate::net::Ipv4;

/// The interface most tests happen on: 10.0.12.1/24.
const A: Ifindex = Ifindex(1);
/// Another one: 10.0.13.1/24.
const B: Ifindex = Ifindex(2);
/// Neighbours on [`A`] and [`B`].
const A2: &str = "10.0.12.2";
const A3: &str = "10.0.12.3";
const B2: &str = "10.0.13.2";

fn addr(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

fn net(text: &str) -> Ipv4Net {
    text.parse().unwrap()
}

fn metric(value: u32) -> Metric {
    Metric::new(value).unwrap()
}

fn rte(prefix: &str, value: u32) -> Rte<Ipv4> {
    Rte {
        prefix: net(prefix),
        metric: metric(value),
        tag: 0,
        next_hop: None,
    }
}

fn response(rtes: &[Rte<Ipv4>]) -> Vec<u8> {
    packet::build(Command::Response, 2, rtes.iter().map(Ipv4::encode))
}

fn raw(command: u8, version: u8, entries: &[[u8; ENTRY]]) -> Vec<u8> {
    let mut bytes = vec![command, version, 0, 0];
    bytes.extend(entries.iter().flatten());
    bytes
}

/// An entry word by word: family, tag, address, mask, next hop, metric.
fn entry(afi: u16, address: &str, mask: &str, next_hop: &str, metric: u32) -> [u8; ENTRY] {
    let mut entry = [0; ENTRY];
    entry[0..2].copy_from_slice(&afi.to_be_bytes());
    entry[4..8].copy_from_slice(&addr(address).octets());
    entry[8..12].copy_from_slice(&addr(mask).octets());
    entry[12..16].copy_from_slice(&addr(next_hop).octets());
    entry[16..20].copy_from_slice(&metric.to_be_bytes());
    entry
}

fn setup(ifindex: Ifindex, local: &str, config: InterfaceConfig<Ipv4>) -> InterfaceSetup<Ipv4> {
    let net = net(local);
    InterfaceSetup {
        ifindex,
        name: format!("eth{ifindex}"),
        mtu: 1500,
        addresses: vec![Address {
            local: net.addr(),
            subnet: net.trunc(),
        }],
        config,
    }
}

fn config() -> Config {
    Config {
        // Most tests follow one next hop; [`paths`] has several.
        tuning: Tuning {
            paths: 1,
            ..Default::default()
        },
        seed: 1,
        sequence: 0,
    }
}

/// A datagram that was sent, taken apart.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Sent {
    at: Instant,
    ifindex: Ifindex,
    source: Ipv4Addr,
    destination: Ipv4Addr,
    port: u16,
    hop_limit: u8,
    command: Command,
    version: u8,
    rtes: Vec<Rte<Ipv4>>,
    payload: Vec<u8>,
}

/// An engine, its clock, and all it did.
struct Router {
    rip: Rip<Ipv4>,
    /// What packets on [`A`] are signed with.
    auth: Option<Auth>,
    now: Instant,
    sent: Vec<Sent>,
    routes: Vec<RouteChange<Ipv4>>,
    events: Vec<Event<Ipv4>>,
    /// Where all is recorded, if it is.
    tape: Option<record::Tape>,
}

impl Router {
    fn bare() -> Self {
        let now = Instant::from_secs(1000);
        let rip = Rip::new(config());
        Router {
            rip,
            auth: None,
            now,
            sent: Vec::new(),
            routes: Vec::new(),
            events: Vec::new(),
            tape: None,
        }
    }

    /// On [`A`] and [`B`], past everything that happens at start.
    fn settled() -> Self {
        Self::with(InterfaceConfig::default())
    }

    fn with(on_a: InterfaceConfig<Ipv4>) -> Self {
        let mut router = Router::bare();
        router.auth = on_a.auth.clone();
        router.up(setup(A, "10.0.12.1/24", on_a));
        router.up(setup(B, "10.0.13.1/24", InterfaceConfig::default()));
        router.advance(Duration::from_secs(6));
        router.forget();
        router
    }

    fn up(&mut self, setup: InterfaceSetup<Ipv4>) {
        self.input(Input::InterfaceUp(setup));
    }

    fn input(&mut self, input: Input<'_, Ipv4>) {
        let mut out = Actions::default();
        let what = self.tape.as_mut().map(|tape| tape.recorder.input(&input));
        self.rip.handle(self.now, input, &mut out);
        if let Some((tape, what)) = self.tape.as_mut().zip(what) {
            tape.add(self.now, what, &out);
        }
        self.take(out);
    }

    fn take(&mut self, out: Actions<Ipv4>) {
        self.routes.extend(out.routes);
        self.events.extend(out.events);
        let at = self.now;
        self.sent.extend(out.sends.into_iter().map(|send| {
            let auth = self.auth.as_ref().filter(|_| send.ifindex == A);
            let time = self.rip.clock.time(at);
            let (payload, proof) = super::auth::open(auth, time, &send.payload).unwrap();
            let mut packet = Packet::parse(payload, 25).unwrap();
            if proof.is_some() {
                packet = packet.without_authentication().unwrap();
            }
            let subnet = Ipv4Net::new(send.source, 24).unwrap().trunc();
            let decode = |bytes: &[u8; ENTRY]| match packet.version {
                1 => Ipv4::decode_v1(bytes, &subnet).unwrap(),
                version => {
                    assert_eq!(version, 2);
                    Ipv4::decode(bytes).unwrap()
                }
            };
            let rtes = packet.entries().iter();
            let rtes = rtes.filter(|_| packet.command == Command::Response);
            Sent {
                at,
                ifindex: send.ifindex,
                source: send.source,
                destination: send.destination,
                port: send.port,
                hop_limit: send.hop_limit,
                command: packet.command,
                version: packet.version,
                rtes: rtes.map(decode).collect(),
                payload: send.payload.clone(),
            }
        }));
    }

    fn datagram(&mut self, ifindex: Ifindex, source: &str, source_port: u16, payload: &[u8]) {
        let source = addr(source);
        self.input(Input::Datagram(Datagram {
            ifindex,
            source,
            source_port,
            hop_limit: Some(1),
            multicast: false,
            payload,
        }));
    }

    /// A response from one of the usual neighbours.
    fn hear(&mut self, source: &str, rtes: &[Rte<Ipv4>]) {
        let ifindex = if source.starts_with("10.0.12.") { A } else { B };
        self.datagram(ifindex, source, 520, &response(rtes));
    }

    /// Lets all deadlines of the next `time` come.
    fn advance(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.rip.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.input(Input::Deadline);
        }
        self.now = end;
    }

    /// Lets what is due now be sent.
    fn flush(&mut self) {
        self.advance(Duration::ZERO);
    }

    fn forget(&mut self) {
        self.sent.clear();
        self.routes.clear();
        self.events.clear();
    }

    /// How often something was refused for this reason.
    fn refused(&self, reason: Reject) -> u64 {
        self.rip
            .errors()
            .iter()
            .find(|row| row.reason == reason)
            .unwrap()
            .count
    }

    fn row(&self, prefix: &str) -> Option<RouteRow<Ipv4>> {
        self.rip
            .routes(self.now)
            .find(|row| row.prefix == net(prefix))
    }

    /// The route to `prefix`: next hop, interface and metric.
    fn route(&self, prefix: &str) -> Option<(Ipv4Addr, Ifindex, u8)> {
        let row = self.row(prefix)?;
        let best = row.offers.iter().find(|offer| offer.best)?.clone();
        Some((best.via, best.neighbor.ifindex, best.metric.get()))
    }

    /// What was told on an interface about a destination, in order.
    fn told(&self, ifindex: Ifindex, prefix: &str) -> Vec<u8> {
        let sent = self.sent.iter().filter(|sent| sent.ifindex == ifindex);
        let rtes = sent
            .flat_map(|sent| &sent.rtes)
            .filter(|rte| rte.prefix == net(prefix));
        rtes.map(|rte| rte.metric.get()).collect()
    }
}
