//! Requests as bytes, made before anything is timed.

use forwarder_core::kernel::export::{ExportOp, ExportRoute};
use forwarder_core::net::Ifindex;
use forwarder_core::route::{Nexthop, RouteType};
use forwarder_core::route_msg::number::*;
use forwarder_core::route_msg::{Gateway, RouteMessage};
use std::sync::Arc;

use super::super::family::BenchFamily;

/// A route of the table with the number of its next hop.
pub(super) type Entry<F> = (<F as forwarder_core::net::Family>::Prefix, u8);

/// Requests back to back, all of one length.
pub(super) struct Messages {
    pub(super) bytes: Vec<u8>,
    pub(super) length: usize,
}

impl Messages {
    /// A request for each of these. Host routes have no mask and are left out:
    /// their messages are shorter.
    pub(super) fn of<F: BenchFamily>(kind: u8, entries: &[Entry<F>]) -> Messages {
        let mut messages = Messages {
            bytes: Vec::new(),
            length: 0,
        };
        let nets = entries.iter().filter(|(prefix, _)| is_net::<F>(prefix));
        for (seq, (prefix, hop)) in (1..).zip(nets) {
            let before = messages.bytes.len();
            let mut message = RouteMessage::new(kind);
            message.seq = seq;
            message.flags = RTF_UP | RTF_GATEWAY | RTF_STATIC;
            message.destination = Some((*prefix).into());
            message.gateway = Some(Gateway::Ip(F::hop(*hop).into()));
            message.encode(&mut messages.bytes);
            messages.length = messages.bytes.len() - before;
        }
        messages
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.bytes.len() / self.length.max(1)
    }
}

/// The next hop that a route has after so many turns.
pub(super) fn hop_after(hop: u8, turn: usize, hops: u8) -> u8 {
    ((usize::from(hop) + turn) % usize::from(hops)) as u8
}

/// Routes with the next hops of that turn.
pub(super) fn moved<F: BenchFamily>(entries: &[Entry<F>], turn: usize, hops: u8) -> Vec<Entry<F>> {
    let after = |(prefix, hop): &Entry<F>| (*prefix, hop_after(*hop, turn, hops));
    entries.iter().map(after).collect()
}

/// Whether it is no host's.
pub(super) fn is_net<F: BenchFamily>(prefix: &F::Prefix) -> bool {
    F::len(prefix) < F::BITS
}

/// The same additions for the kernel.
pub(super) fn exports<F: BenchFamily>(entries: &[Entry<F>], port: u32) -> Vec<ExportOp<F>> {
    let nets = entries.iter().filter(|(prefix, _)| is_net::<F>(prefix));
    nets.map(|(prefix, hop)| {
        ExportOp::Add(Arc::new(ExportRoute {
            prefix: *prefix,
            kind: RouteType::Unicast,
            nexthops: vec![Nexthop::via(F::hop(*hop), Ifindex(port))],
            mtu: None,
        }))
    })
    .collect()
}
