//! Records in words, for `rip-replay --trace` and where two of them differ.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use super::lines::{HopRecord, InterfaceRecord, Output, What};
use crate::net::{Family, Ifindex};
use crate::rip::packet::{Command, ENTRY, Packet, Rte};
use crate::rip::wire::{Dialect, Wire};

/// Entries of a packet that are told.
const ENTRIES: usize = 4;

/// Tells records with the names of interfaces.
pub struct Words<'a> {
    names: &'a BTreeMap<Ifindex, String>,
}

impl<'a> Words<'a> {
    /// With these names.
    pub fn new(names: &'a BTreeMap<Ifindex, String>) -> Self {
        Words { names }
    }

    /// An input.
    pub fn input<F: Wire>(&self, what: &What) -> String {
        match what {
            What::Datagram {
                ifindex,
                source,
                port,
                multicast,
                payload,
                ..
            } => {
                let how = if *multicast { "multicast, " } else { "" };
                let port = match *port == F::PORT {
                    true => String::new(),
                    false => format!(" port {port}"),
                };
                let name = self.name(*ifindex);
                let packet = packet::<F>(*source, &payload.0);
                format!("heard {source}{port} on {name}: {how}{packet}")
            }
            What::Deadline => "a deadline".to_owned(),
            What::InterfaceUp(record) => up(record),
            What::InterfaceDown(ifindex) => format!("{} is down", self.name(*ifindex)),
            What::InterfaceRemove(ifindex) => {
                format!("RIP leaves {}", self.name(*ifindex))
            }
            What::Redistribute {
                prefix,
                metric,
                tag,
                next_hop,
            } => {
                let hop = next_hop.map_or_else(String::new, |hop| format!(" via {hop}"));
                format!("to advertise: {prefix} metric {metric} tag {tag}{hop}")
            }
            What::RedistributeNoMore { prefix } => format!("no longer to advertise: {prefix}"),
            What::Request(ifindex) => {
                format!(
                    "the operator asks the neighbours on {}",
                    self.name(*ifindex)
                )
            }
            What::ClearNeighbor(address) => format!("the operator clears neighbour {address}"),
            What::ClearRoutes => "the operator clears the routes".to_owned(),
            What::ClearCounters => "the operator clears the counters".to_owned(),
            What::Reconfigure(_) => "timers and limits configured".to_owned(),
            What::WallClock(time) => format!("the time of day is {time} s since 1970"),
            What::Shutdown => "shutdown".to_owned(),
        }
    }

    /// An output.
    pub fn output<F: Wire>(&self, output: &Output) -> String {
        match output {
            Output::Send {
                ifindex,
                source,
                destination,
                port,
                payload,
                ..
            } => {
                let to = match *port == F::PORT {
                    true => destination.to_string(),
                    false => format!("{destination} port {port}"),
                };
                let name = self.name(*ifindex);
                format!("sends {to} on {name}: {}", packet::<F>(*source, &payload.0))
            }
            Output::Route {
                prefix,
                metric,
                tag,
                nexthops,
            } => {
                let hops: Vec<_> = nexthops.iter().map(|hop| self.hop(hop)).collect();
                let tag = match tag {
                    0 => String::new(),
                    tag => format!(" tag {tag}"),
                };
                format!("uses {prefix} {} metric {metric}{tag}", hops.join(", "))
            }
            Output::RouteGone { prefix } => format!("has no route to {prefix} any more"),
            Output::NeighborUp { ifindex, address } => {
                format!("says: neighbour {address} heard on {}", self.name(*ifindex))
            }
            Output::NeighborLost { ifindex, address } => {
                format!(
                    "says: neighbour {address} silent on {}",
                    self.name(*ifindex)
                )
            }
            Output::OutOfKeys { ifindex } => {
                format!("says: no key's time is now on {}", self.name(*ifindex))
            }
            Output::Rejected {
                reason,
                ifindex,
                address,
            } => {
                let name = self.name(*ifindex);
                format!("says: refused from {address} on {name}: {reason}")
            }
        }
    }

    fn hop(&self, hop: &HopRecord) -> String {
        let via = hop
            .via
            .map_or_else(String::new, |via| format!("via {via} "));
        let dev = hop.ifindex.map_or_else(String::new, |dev| self.name(dev));
        format!("{via}dev {dev}")
    }

    fn name(&self, ifindex: u32) -> String {
        let known = self.names.get(&Ifindex(ifindex)).cloned();
        known.unwrap_or_else(|| format!("interface {ifindex}"))
    }
}

fn up(record: &InterfaceRecord) -> String {
    let addresses = record.addresses.iter();
    let addresses: Vec<_> = addresses
        .map(|address| format!("{}/{}", address.local, address.subnet.prefix_len()))
        .collect();
    let auth = record.auth.as_ref();
    let auth = auth.map_or_else(String::new, |auth| format!(", auth {}", auth.kind));
    let passive = if record.passive { ", passive" } else { "" };
    format!(
        "{} is up: {}, cost {}, horizon {}, sends {}, accepts {}{auth}{passive}",
        record.name,
        addresses.join(" "),
        record.cost,
        record.split_horizon,
        record.send_version,
        record.receive_version,
    )
}

/// A packet: what it is, and its first entries.
fn packet<F: Wire>(source: IpAddr, payload: &[u8]) -> String {
    let (signed, payload) = unsigned::<F>(payload);
    let packet = match Packet::parse(payload, usize::MAX) {
        Ok(packet) => packet,
        Err(reject) => return format!("{} bytes, {reject}{signed}", payload.len()),
    };
    let version = packet.version;
    let entries = packet.entries();
    let skipped = usize::from(!signed.is_empty());
    let entries = entries.get(skipped..).unwrap_or_default();
    let command = match packet.command {
        Command::Request => "request",
        Command::Response => "response",
    };
    if let [entry] = entries
        && packet.command == Command::Request
        && F::asks_for_table(entry)
    {
        return format!("request {version} for the whole table{signed}");
    }
    let count = match entries.len() {
        1 => "1 entry".to_owned(),
        count => format!("{count} entries"),
    };
    let mut text = format!("{command} {version} with {count}{signed}:");
    for entry in entries.iter().take(ENTRIES) {
        text.push(' ');
        text.push_str(&told::<F>(version, source, entry));
        text.push(',');
    }
    text.pop();
    if entries.len() > ENTRIES {
        text.push_str(", …");
    }
    text
}

/// How the packet is authenticated, and it without what follows its entries.
fn unsigned<F: Wire>(payload: &[u8]) -> (String, &[u8]) {
    let first = payload.get(4..4 + ENTRY).and_then(<[u8]>::first_chunk);
    let Some(first) = first.filter(|first| F::is_authentication(first)) else {
        return (String::new(), payload);
    };
    if first[3] != 3 {
        return (", password".to_owned(), payload);
    }
    let end = usize::from(u16::from_be_bytes([first[4], first[5]]));
    let sequence = u32::from_be_bytes([first[8], first[9], first[10], first[11]]);
    let how = format!(", digest by key {} number {sequence}", first[6]);
    (how, payload.get(..end).unwrap_or(payload))
}

fn told<F: Wire>(version: u8, source: IpAddr, entry: &[u8; ENTRY]) -> String {
    if let Some(hop) = F::next_hop(entry) {
        let hop = hop.map_or(source, Into::into);
        return format!("via {hop}");
    }
    let classful = F::dialect(version) == Ok(Dialect::Classful);
    let read = match (classful, F::from_ip(source)) {
        (true, Some(source)) => F::decode_v1(entry, &F::host(source)),
        _ => F::decode(entry),
    };
    match read {
        Ok(rte) => route(&rte).to_string(),
        Err(reject) => format!("({reject})"),
    }
}

fn route<F: Family>(rte: &Rte<F>) -> impl fmt::Display + use<F> {
    let hop = rte
        .next_hop
        .map_or_else(String::new, |hop| format!(" via {hop}"));
    let tag = match rte.tag {
        0 => String::new(),
        tag => format!(" tag {tag}"),
    };
    format!("{} metric {}{tag}{hop}", rte.prefix, rte.metric)
}
