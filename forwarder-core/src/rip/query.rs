//! What a tool asks a RIP router, and what it reads in the answers: rtquery(8)'s
//! side of RFC 2453 §3.9.1 and RFC 2080 §2.4.1. A table that is looked at and not
//! used, so nothing depends on who sent it. `forwarder query` has the socket.

use super::packet::{self, Command, Packet, Rte};
use super::reject::Reject;
use super::wire::{Dialect, Wire};

/// What an answer says, entry by entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer<F: Wire> {
    /// The version of the packet.
    pub version: u8,
    /// Its routes, and why an entry is none.
    pub routes: Vec<Result<Rte<F>, Reject>>,
}

/// Asks for the whole table.
pub fn request<F: Wire>(dialect: Dialect) -> Vec<u8> {
    let entries = [F::table_request()];
    packet::build(
        Command::Request,
        dialect.version::<F>(),
        entries.into_iter(),
    )
}

/// Reads an answer. In version 1 an address has no mask: it is taken for a network
/// of class A, B or C, or else for a host.
///
/// # Errors
/// It is no response, or none that can be read; see [`Reject`].
pub fn read<F: Wire>(from: F::Addr, payload: &[u8]) -> Result<Answer<F>, Reject> {
    let packet = Packet::parse(payload, usize::MAX)?;
    if packet.command != Command::Response {
        return Err(Reject::UnknownCommand);
    }
    let dialect = F::dialect(packet.version)?;
    let mut via = None;
    let mut routes = Vec::with_capacity(packet.entries().len());
    for entry in packet.entries() {
        if dialect == Dialect::Classful {
            routes.push(F::decode_v1(entry, &F::host(from)));
        } else if let Some(next_hop) = F::next_hop(entry) {
            via = next_hop;
        } else {
            routes.push(F::decode(entry).map(|rte| Rte {
                next_hop: rte.next_hop.or(via),
                ..rte
            }));
        }
    }
    Ok(Answer {
        version: packet.version,
        routes,
    })
}
