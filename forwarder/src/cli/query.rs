//! `forwarder query`: asks a RIP router for its table, as rtquery(8) does.
//!
//! It needs no daemon and no privilege: the question comes from a port of its own,
//! which RFC 2453 §3.9.1 has a router answer with all it knows.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, bail};
use forwarder_core::net::{Ipv4, Ipv6};
use forwarder_core::rip::{Dialect, Reject, Wire, query};
use ipnet::IpNet;
use serde::Serialize;
use tokio::net::{UdpSocket, lookup_host};
use tokio::time::{Instant, timeout_at};

use super::args::QueryCommand;
use super::output::{note, print};
use super::table::Table;

/// A router that has begun to answer and is silent for so long has ended.
const SILENCE: Duration = Duration::from_secs(1);
/// Routes that are shown at most: whoever answers can go on for ever.
const MOST: usize = 1 << 20;
/// No datagram is longer.
const DATAGRAM: usize = 1 << 16;

/// A route as the router tells it.
#[derive(Debug, Serialize)]
struct Told {
    prefix: IpNet,
    metric: u8,
    tag: u16,
    /// Who the packets go to; the router itself where it names nobody.
    next_hop: IpAddr,
    /// Who has said so.
    from: IpAddr,
}

/// What has come.
#[derive(Default)]
struct Heard {
    routes: Vec<Told>,
    packets: usize,
    version: u8,
    /// Packets and entries that could not be used.
    refused: BTreeMap<&'static str, u64>,
}

pub(super) async fn run(command: &QueryCommand, json: bool) -> anyhow::Result<()> {
    let heard = match resolve(command).await? {
        host @ SocketAddr::V4(_) => ask::<Ipv4>(command, host).await?,
        SocketAddr::V6(_) if command.version_1 => {
            bail!("RIPng has no version 1 of RIP: leave out -1, or name an IPv4 address")
        }
        host @ SocketAddr::V6(_) => ask::<Ipv6>(command, host).await?,
    };
    for (why, count) in &heard.refused {
        note(&format!("{count} left out: {why}"));
    }
    if heard.packets == 0 {
        bail!(
            "{} has not answered within {} s. Perhaps nobody speaks RIP there, wants requests \
             to be authenticated, or answers routers alone, as BIRD does; or a packet filter \
             stands between",
            command.host,
            command.seconds
        );
    }
    if json {
        return print(serde_json::to_string(&heard.routes)?);
    }
    print(heard.to_string())
}

/// The first address of the host, with the port of its family's protocol.
async fn resolve(command: &QueryCommand) -> anyhow::Result<SocketAddr> {
    let host = &command.host;
    let mut addresses = lookup_host((host.as_str(), Ipv4::PORT))
        .await
        .with_context(|| format!("looking up {host} (a link-local address needs %INTERFACE)"))?;
    let mut address = addresses
        .next()
        .with_context(|| format!("{host} has no address"))?;
    if address.is_ipv6() {
        address.set_port(Ipv6::PORT);
    }
    Ok(address)
}

async fn ask<F: Wire>(command: &QueryCommand, host: SocketAddr) -> anyhow::Result<Heard> {
    let any: IpAddr = match host {
        SocketAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))
        .await
        .context("opening a socket")?;
    let dialect = match command.version_1 {
        true => Dialect::Classful,
        false => Dialect::Prefixes,
    };
    let mut request = query::request::<F>(dialect);
    if command.poll {
        request[0] = POLL;
    }
    let sent = socket.send_to(&request, host).await;
    sent.with_context(|| format!("asking {host}"))?;
    hear::<F>(&socket, Duration::from_secs(command.seconds.into())).await
}

/// gated's command that routers answer which keep still on requests.
const POLL: u8 = 5;

/// Takes answers until there are no more.
async fn hear<F: Wire>(socket: &UdpSocket, patience: Duration) -> anyhow::Result<Heard> {
    let mut heard = Heard::default();
    let mut buffer = vec![0; DATAGRAM];
    let start = Instant::now();
    let mut until = start + patience;
    while heard.routes.len() < MOST {
        let Ok(received) = timeout_at(until, socket.recv_from(&mut buffer)).await else {
            break;
        };
        let (length, from) = received.context("waiting for an answer")?;
        if heard.take::<F>(from, &buffer[..length]) {
            until = Instant::now() + SILENCE.min(patience);
        }
    }
    Ok(heard)
}

impl Heard {
    /// A datagram; whether it is an answer. It may come from another address of the
    /// router than the one that was asked, but only from the port of RIP.
    fn take<F: Wire>(&mut self, from: SocketAddr, payload: &[u8]) -> bool {
        let Some(address) = F::from_ip(from.ip()) else {
            return false;
        };
        if from.port() != F::PORT {
            self.refuse(Reject::BadSourcePort);
            return false;
        }
        let answer = match query::read::<F>(address, payload) {
            Ok(answer) => answer,
            Err(reject) => {
                self.refuse(reject);
                return false;
            }
        };
        self.packets += 1;
        self.version = answer.version;
        for route in answer.routes {
            match route {
                Ok(rte) => self.routes.push(Told {
                    prefix: rte.prefix.into(),
                    metric: rte.metric.get(),
                    tag: rte.tag,
                    next_hop: rte.next_hop.map_or(from.ip(), Into::into),
                    from: from.ip(),
                }),
                Err(reject) => self.refuse(reject),
            }
        }
        true
    }

    fn refuse(&mut self, reject: Reject) {
        *self.refused.entry(reject.name()).or_default() += 1;
    }
}

impl fmt::Display for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(["DESTINATION", ">METRIC", "NEXT HOP", ">TAG"]);
        for route in &self.routes {
            let metric = match route.metric {
                16 => "unreachable".to_owned(),
                metric => metric.to_string(),
            };
            let (prefix, hop) = (route.prefix.to_string(), route.next_hop.to_string());
            table.row([prefix, metric, hop, route.tag.to_string()]);
        }
        f.write_str(&table.render("the router knows of no route"))?;
        let (routes, packets) = (self.routes.len(), self.packets);
        write!(
            f,
            "{routes} routes in {packets} packets of version {}",
            self.version
        )
    }
}
