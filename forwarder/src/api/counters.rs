//! From the program's counters to the shapes that are shown.

use forwarder_common::abi::{Counter, CounterRow};
use forwarder_common::reason::{Reason, Verdict};

use super::model::{Counters, InterfaceCounters, Mode, RouteCounter};

/// A port's counters, all CPUs together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PortCounters {
    /// Its name.
    pub name: String,
    /// Its number.
    pub ifindex: u32,
    /// How the program is attached.
    pub mode: Mode,
    /// As in the map.
    pub row: CounterRow,
}

impl PortCounters {
    /// The counter of a reason.
    pub fn get(&self, reason: Reason) -> Counter {
        self.row.reasons[reason as usize]
    }

    /// Packets and bytes of all reasons with this verdict.
    fn total(&self, verdict: Verdict) -> Counter {
        let of_verdict = Reason::ALL
            .iter()
            .filter(|reason| reason.verdict() == verdict);
        of_verdict
            .map(|reason| self.get(*reason))
            .fold(Counter::default(), add)
    }

    /// What is shown of the port.
    fn summary(&self) -> InterfaceCounters {
        let forwarded = self.total(Verdict::Forwarded);
        let (up, dropped) = (self.total(Verdict::Up), self.total(Verdict::Dropped));
        // What the tracepoints count left by this port; it came in by another.
        let received = add(forwarded, add(up, dropped));
        InterfaceCounters {
            name: self.name.clone(),
            ifindex: self.ifindex,
            mode: self.mode,
            rx_packets: received.packets,
            rx_bytes: received.bytes,
            forwarded_packets: forwarded.packets,
            forwarded_bytes: forwarded.bytes,
            passed: up.packets,
            dropped: dropped.packets,
        }
    }
}

fn add(a: Counter, b: Counter) -> Counter {
    // Wrapping as the program's own additions do.
    Counter {
        packets: a.packets.wrapping_add(b.packets),
        bytes: a.bytes.wrapping_add(b.bytes),
    }
}

/// The answer to `GET /v1/counters`.
pub fn summarize(ports: &[PortCounters], routes: Vec<RouteCounter>) -> Counters {
    let total = |reason: Reason| {
        ports
            .iter()
            .fold(0u64, |sum, port| sum.wrapping_add(port.get(reason).packets))
    };
    Counters {
        interfaces: ports.iter().map(PortCounters::summary).collect(),
        reasons: Reason::ALL
            .iter()
            .map(|reason| (reason.name().to_owned(), total(*reason)))
            .collect(),
        routes,
    }
}
