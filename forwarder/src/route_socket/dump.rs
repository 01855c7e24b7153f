//! A dump under way: what `sysctl(2)` answers on BSD, in pieces that the client
//! has room for.

use forwarder_core::interface::{Interface, Interfaces};
use forwarder_core::net::{Family, Ipv4, Ipv6};
use forwarder_core::rib::Snapshot;
use forwarder_core::rib::socket::{is_told, tell_route};
use forwarder_core::route_msg::extension::{DumpEnd, Generations};
use forwarder_core::route_msg::number::*;
use forwarder_core::route_msg::{Dump, DumpKind, IfAddr, IfInfo, LinkAddr};

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
            let address = IfAddr {
                added: true,
                interface: link(interface),
                address: own.local,
                broadcast: own.broadcast.or(own.peer),
            };
            if family == AF_UNSPEC || family == address.family() {
                out.push(|out| address.encode(out));
            }
        }
    }
}

fn link(interface: &Interface) -> LinkAddr {
    LinkAddr {
        ifindex: u16::try_from(interface.ifindex.0).unwrap_or(0),
        kind: if interface.ethernet { IFT_ETHER } else { 0 },
        name: interface.name.clone(),
        address: interface.mac.map(|mac| mac.to_vec()).unwrap_or_default(),
    }
}

fn info(interface: &Interface) -> IfInfo {
    const IFF_UP: u32 = 0x1;
    const IFF_BROADCAST: u32 = 0x2;
    const IFF_LOOPBACK: u32 = 0x8;
    const IFF_POINTOPOINT: u32 = 0x10;
    const IFF_RUNNING: u32 = 0x40;
    const IFF_MULTICAST: u32 = 0x8000;

    let flags = [
        (interface.up, IFF_UP),
        (interface.broadcast, IFF_BROADCAST),
        (interface.loopback, IFF_LOOPBACK),
        (interface.point_to_point, IFF_POINTOPOINT),
        (interface.is_running(), IFF_RUNNING),
        (interface.multicast, IFF_MULTICAST),
    ];
    let set = flags.iter().filter(|(set, _)| *set);
    IfInfo {
        index: u16::try_from(interface.ifindex.0).unwrap_or(0),
        flags: set.map(|(_, flag)| flag).sum(),
        link_state: if interface.carrier { 2 } else { 1 },
        mtu: interface.mtu,
        kind: if interface.ethernet { IFT_ETHER } else { 0 },
        address_length: if interface.mac.is_some() { 6 } else { 0 },
    }
}
