//! A dump under way: what `sysctl(2)` answers on BSD, in pieces that the client
//! has room for.

use forwarder_core::interface::Interfaces;
use forwarder_core::net::{Family, Ipv4, Ipv6};
use forwarder_core::rib::Snapshot;
use forwarder_core::rib::socket::{is_told, tell_route};
use forwarder_core::route_event::{if_addr, info};
use forwarder_core::route_msg::extension::{DumpEnd, Generations};
use forwarder_core::route_msg::number::*;
use forwarder_core::route_msg::{Dump, DumpKind};

use super::outbox::Outbox;

/// Bytes that are encoded before the client is looked at again.
const PIECE: usize = 256 << 10;

/// The rest of a dump.
pub(super) struct Dumping {
    request: Dump,
    ipv4: Rest<Ipv4>,
    ipv6: Rest<Ipv6>,
    at: Generations,
}

struct Rest<F: Family> {
    snapshot: Option<Snapshot<F>>,
    next: usize,
}

impl Dumping {
    /// A dump of these, of which those that are not asked for are missing.
    pub(super) fn new(
        request: Dump,
        ipv4: Option<Snapshot<Ipv4>>,
        ipv6: Option<Snapshot<Ipv6>>,
        at: Generations,
    ) -> Dumping {
        Dumping {
            request,
            ipv4: Rest {
                snapshot: ipv4,
                next: 0,
            },
            ipv6: Rest {
                snapshot: ipv6,
                next: 0,
            },
            at,
        }
    }

    /// The next piece; true when it was the last.
    pub(super) fn go_on(&mut self, out: &mut Outbox) -> bool {
        let flags = match self.request.kind {
            DumpKind::Flags(flags) => Some(flags),
            _ => None,
        };
        let seq = self.request.seq;
        let done = self.ipv4.go_on(flags, out) && self.ipv6.go_on(flags, out);
        if done {
            let end = DumpEnd {
                seq,
                errno: None,
                at: self.at,
            };
            out.push(|out| end.encode(out));
        }
        done
    }
}

impl<F: Family> Rest<F> {
    fn go_on(&mut self, flags: Option<u32>, out: &mut Outbox) -> bool {
        let Some(snapshot) = &self.snapshot else {
            return true;
        };
        let start = out.bytes();
        for (table, prefix, route) in &snapshot.routes[self.next..] {
            if out.bytes() > start + PIECE {
                return false;
            }
            self.next += 1;
            if !is_told(*table, route) {
                continue;
            }
            tell_route::<F>(RTM_GET, prefix, route, |mut message| {
                // Every message of a dump is one of its answers.
                message.kind = RTM_GET;
                if flags.is_none_or(|flags| message.flags & flags != 0) {
                    out.route(&message);
                }
            });
        }
        self.snapshot = None;
        true
    }
}

/// `NET_RT_IFLIST`: each interface, and after it its addresses.
pub(super) fn interfaces(all: &Interfaces, family: u8, out: &mut Outbox) {
    for interface in all.by_index.values() {
        let info = info(interface);
        out.push(|out| info.encode(out));
        for own in &interface.addresses {
            let address = if_addr(interface, own, true);
            if family == AF_UNSPEC || family == address.family() {
                out.push(|out| address.encode(out));
            }
        }
    }
}
