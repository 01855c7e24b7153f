//! Decides what happens to one packet: the rows of the decision table, in
//! their order. Called by both XDP programs.

use aya_ebpf::bindings::xdp_action::XDP_PASS;
use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::helpers::generated::bpf_jiffies64;
use aya_ebpf::maps::DevMap;
use aya_ebpf::programs::XdpContext;
use forwarder_common::abi::{
    Adjacency, CounterRow, FlowKey, KIND_COUNTED, NexthopKind, PORT_VLANS, Port, VlanKey, engine,
    nexthop_kind, nexthop_slot,
};
use forwarder_common::reason::{PuntClass, Reason};

use crate::fib::{self, Found};
use crate::packet::vlan::{self, DOUBLE, TAGGED};
use crate::packet::{self, Carries, Ipv4Packet, Ipv6Packet, Packet, UNTAGGED};
use crate::reverse_path::{self, ReversePath};
use crate::{kernel, maps, rewrite, verdict};

/// A packet's whole way. `FRAGS` says which program this is; `tx` is its DEVMAP.
#[inline(always)]
pub fn packet<const FRAGS: bool>(ctx: &XdpContext, tx: &DevMap) -> u32 {
    let action = verdict::finish::<FRAGS>(ctx, decide::<FRAGS>(ctx, tx));
    // Costs instructions for every packet: never in what an operator runs.
    #[cfg(feature = "log")]
    aya_log_ebpf::debug!(
        ctx,
        "port {} action {}",
        ctx.ingress_ifindex() as u32,
        action
    );
    action
}

#[inline(always)]
fn decide<const FRAGS: bool>(ctx: &XdpContext, tx: &DevMap) -> u32 {
    let ifindex = ctx.ingress_ifindex() as u32;
    let Some(port) = fib::port(ifindex) else {
        return XDP_PASS;
    };
    let known = port.ifindex == ifindex;
    let Some(row) = verdict::row(if known { port.number } else { 0 }) else {
        return XDP_PASS;
    };
    if !known {
        let bytes = packet::frame_len::<FRAGS>(ctx);
        return verdict::up(row, Reason::UnknownPort as u32, bytes);
    }
    received::<UNTAGGED, FRAGS>(ctx, tx, port, row)
}

/// A frame of a port, with `LINK` bytes of link-layer header.
#[inline(always)]
fn received<const LINK: usize, const FRAGS: bool>(
    ctx: &XdpContext,
    tx: &DevMap,
    port: &Port,
    row: &mut CounterRow,
) -> u32 {
    match packet::link_layer::<LINK>(ctx, port) {
        Ok(Carries::Ipv4) => {
            ip::<Ipv4Packet<LINK>, FRAGS>(ctx, tx, port, row, u32::from(port.up_reason4))
        }
        Ok(Carries::Ipv6) => {
            ip::<Ipv6Packet<LINK>, FRAGS>(ctx, tx, port, row, u32::from(port.up_reason6))
        }
        Err(Reason::Vlan) if LINK == UNTAGGED && port.flags & PORT_VLANS != 0 => {
            tagged::<FRAGS>(ctx, tx, port, row)
        }
        Err(reason) => not_ours::<FRAGS>(ctx, row, reason),
    }
}

/// A tagged frame: the sub-interface it belongs to takes the port's place; one
/// without is the kernel's (no tags at all are nobody's key). Out of line, so
/// that untagged frames run through code that is as if there were no tags.
#[inline(never)]
fn tagged<const FRAGS: bool>(
    ctx: &XdpContext,
    tx: &DevMap,
    parent: &Port,
    parent_row: &mut CounterRow,
) -> u32 {
    let tags = vlan::tags(ctx);
    let key = VlanKey {
        parent: parent.ifindex,
        tags: tags.0,
    };
    // SAFETY: aya marks lookups unsafe because the daemon may replace the value
    // meanwhile: the frame then counts, at worst, as its successor's.
    let Some(port) = (unsafe { maps::VLAN_PORTS.get(key) }) else {
        return not_ours::<FRAGS>(ctx, parent_row, Reason::Vlan);
    };
    let Some(row) = verdict::row(port.number) else {
        return not_ours::<FRAGS>(ctx, parent_row, Reason::Vlan);
    };
    if tags.count() == 1 {
        received::<TAGGED, FRAGS>(ctx, tx, port, row)
    } else {
        received::<DOUBLE, FRAGS>(ctx, tx, port, row)
    }
}

/// ARP, other protocols and other MACs go up, runts are dropped.
#[inline(always)]
fn not_ours<const FRAGS: bool>(ctx: &XdpContext, row: &mut CounterRow, reason: Reason) -> u32 {
    let bytes = packet::frame_len::<FRAGS>(ctx);
    match reason {
        Reason::Truncated => verdict::dropped(row, reason as u32, bytes),
        Reason::Arp | Reason::NotOurMac => verdict::up_limited(row, reason, PuntClass::Link, bytes),
        _ => verdict::up(row, reason as u32, bytes),
    }
}

/// A packet of one family, from its header on.
#[inline(always)]
fn ip<P: Packet, const FRAGS: bool>(
    ctx: &XdpContext,
    tx: &DevMap,
    port: &Port,
    row: &mut CounterRow,
    up_reason: u32,
) -> u32 {
    if up_reason != 0 {
        return verdict::up(row, up_reason, packet::frame_len::<FRAGS>(ctx));
    }
    let Some(packet) = P::read::<FRAGS>(ctx) else {
        let bytes = packet::frame_len::<FRAGS>(ctx);
        return verdict::dropped(row, Reason::Truncated as u32, bytes);
    };
    // Asked for before the checks, which run while its loads are under way: a
    // table of the whole Internet is not in the cache.
    let found = packet.route();
    if let Err(reason) = packet.check(ctx) {
        return verdict::dropped(row, reason as u32, packet.frame_len());
    }
    if packet.is_martian() {
        return verdict::dropped(row, Reason::MartianSource as u32, packet.frame_len());
    }
    if packet.is_own_source() {
        return verdict::dropped(row, Reason::OwnSource as u32, packet.frame_len());
    }
    if let Some((reason, class)) = packet.kernel_only() {
        return verdict::up_limited(row, reason, class, packet.frame_len());
    }
    if fib::engine() == engine::KERNEL {
        return kernel::route(ctx, tx, port, row, &packet);
    }
    route(ctx, tx, port, row, &packet, found)
}

/// By what the route says, the TTL in its place: a packet for ourselves may
/// have any.
#[inline(always)]
fn route<P: Packet>(
    ctx: &XdpContext,
    tx: &DevMap,
    port: &Port,
    row: &mut CounterRow,
    packet: &P,
    Found { id, mut word }: Found,
) -> u32 {
    const ADJACENCY: u32 = NexthopKind::Adjacency as u32;

    // The one kind that most packets meet is asked for first.
    if nexthop_kind(word) != ADJACENCY {
        word = follow(ctx, packet, id, word);
    }
    if nexthop_kind(word) != ADJACENCY {
        return not_forwarded(port, row, packet, word);
    }
    if packet.ttl() <= 1 {
        let (reason, class) = (Reason::TtlExpired, PuntClass::Ttl);
        return verdict::up_limited(row, reason, class, packet.frame_len());
    }
    match reverse_path::check(port, packet) {
        ReversePath::Right => {}
        ReversePath::Wrong => {
            return verdict::dropped(row, Reason::ReversePath as u32, packet.frame_len());
        }
        ReversePath::KernelsToSay(reason) => {
            return verdict::up(row, reason, packet.frame_len());
        }
    }
    match fib::adjacency(nexthop_slot(word)) {
        Some(adjacency) => {
            // Also where it goes up after all: it is the neighbour that is wanted.
            mark_used(adjacency);
            transmit(ctx, tx, port, row, packet, adjacency)
        }
        None => unresolved(port, row, packet),
    }
}

/// Counts what is counted by itself, and picks one of a group.
#[inline(always)]
fn follow<P: Packet>(ctx: &XdpContext, packet: &P, id: u32, mut word: u32) -> u32 {
    if nexthop_kind(word) & KIND_COUNTED != 0 {
        fib::count_route(id, packet.frame_len());
        word &= !(KIND_COUNTED << 28);
    }
    if nexthop_kind(word) == NexthopKind::Group as u32 {
        let flow = packet.flow(ctx, fib::seed());
        let chosen = fib::member(nexthop_slot(word), flow).and_then(fib::nexthop);
        // A group freed under a late reader: as an id that is freed.
        word = chosen.unwrap_or(0);
    }
    word
}

/// A word other than an adjacency: up or dropped as it says.
#[inline(always)]
fn not_forwarded<P: Packet>(port: &Port, row: &mut CounterRow, packet: &P, word: u32) -> u32 {
    const FOR_US: u32 = Reason::ForUs as u32;
    const NOT_UNICAST: u32 = Reason::NotUnicast as u32;
    const LINK_LOCAL: u32 = Reason::LinkLocal as u32;
    const NO_ROUTE: u32 = Reason::NoRoute as u32;

    let (kind, slot) = (nexthop_kind(word), nexthop_slot(word));
    if kind == NexthopKind::Up as u32 {
        let (reason, class) = match slot {
            FOR_US => (Reason::ForUs, PuntClass::Own),
            NOT_UNICAST => (Reason::NotUnicast, PuntClass::Link),
            NO_ROUTE => return missed(port, row, packet),
            LINK_LOCAL => (Reason::LinkLocal, PuntClass::LinkLocal),
            _ if packet.ttl() <= 1 => (Reason::TtlExpired, PuntClass::Ttl),
            slot if slot == Reason::Unreachable as u32 => {
                (Reason::Unreachable, PuntClass::Unreachable)
            }
            // The kernel forwards these in our stead: no limit.
            slot => return verdict::up(row, slot, packet.frame_len()),
        };
        return verdict::up_limited(row, reason, class, packet.frame_len());
    }
    if packet.ttl() <= 1 {
        let (reason, class) = (Reason::TtlExpired, PuntClass::Ttl);
        return verdict::up_limited(row, reason, class, packet.frame_len());
    }
    if kind == NexthopKind::Drop as u32 {
        return verdict::dropped(row, slot, packet.frame_len());
    }
    unresolved(port, row, packet)
}

/// No route: up, for the kernel's Destination Unreachable, and a miss event.
#[inline(always)]
pub fn missed<P: Packet>(port: &Port, row: &mut CounterRow, packet: &P) -> u32 {
    let (reason, class) = if packet.ttl() <= 1 {
        (Reason::TtlExpired, PuntClass::Ttl)
    } else {
        verdict::event(Reason::NoRoute, port.ifindex, packet);
        (Reason::NoRoute, PuntClass::NoRoute)
    };
    verdict::up_limited(row, reason, class, packet.frame_len())
}

/// The kernel resolves the neighbour; the daemon then fills the adjacency.
#[inline(always)]
pub fn unresolved<P: Packet>(port: &Port, row: &mut CounterRow, packet: &P) -> u32 {
    let reason = Reason::Unresolved;
    verdict::event(reason, port.ifindex, packet);
    verdict::up_limited(row, reason, PuntClass::Unresolved, packet.frame_len())
}

/// To a resolved next hop.
#[inline(always)]
pub fn transmit<P: Packet>(
    ctx: &XdpContext,
    tx: &DevMap,
    port: &Port,
    row: &mut CounterRow,
    packet: &P,
    adjacency: &Adjacency,
) -> u32 {
    const TRUNCATED: u32 = Reason::Truncated as u32;

    let (frame_len, ip_len) = (packet.frame_len(), packet.ip_len());
    // At least the packet's own length. A frame coalesced by the receiver (GRO,
    // in generic mode) is longer, and must be segmented by the kernel.
    let payload = frame_len - P::LINK as u32;
    if payload > adjacency.mtu {
        let (reason, class) = (Reason::MtuExceeded, PuntClass::Mtu);
        return verdict::up_limited(row, reason, class, frame_len);
    }
    if adjacency.ifindex == port.ifindex {
        match turned_back(port, packet) {
            FORWARD => {}
            REDIRECT_DUE => {
                let (reason, class) = (Reason::RedirectDue, PuntClass::Redirect);
                return verdict::up_limited(row, reason, class, frame_len);
            }
            _ => {
                let (reason, class) = (Reason::NotUnicast, PuntClass::Link);
                return verdict::up_limited(row, reason, class, frame_len);
            }
        }
    }
    // Asked first: nothing is written before the redirect has been accepted.
    if tx.redirect(adjacency.port, u64::from(XDP_PASS)).is_err() {
        let reason = Reason::EgressCannotRedirect as u32;
        return verdict::up(row, reason, frame_len);
    }
    let rewritten = if P::LINK == UNTAGGED && adjacency.tags == 0 {
        rewrite::untagged::<P>(ctx, adjacency, payload, ip_len)
    } else {
        rewrite::tagged::<P>(ctx, adjacency, payload, ip_len)
    };
    match rewritten {
        rewrite::DONE => {}
        TRUNCATED => return verdict::dropped(row, TRUNCATED, frame_len),
        reason => return verdict::up(row, reason, frame_len),
    }
    verdict::forwarded(row, frame_len)
}

/// Stores a coarse time (256 jiffies, about a second) only when it differs, so
/// that the line is not written for every packet.
#[inline(always)]
fn mark_used(adjacency: &mut Adjacency) {
    // SAFETY: no preconditions; the kernel inlines it as one load.
    let now = (unsafe { bpf_jiffies64() } >> 8) as u32;
    if adjacency.used != now {
        adjacency.used = now;
    }
}

/// What [`turned_back`] says: forward it; hand it up for the redirect; hand it
/// up for its source.
const FORWARD: u32 = 0;
const REDIRECT_DUE: u32 = 1;
const BROADCAST_SOURCE: u32 = 2;

/// What to do with a packet that leaves by the port it came in on.
///
/// Once a second and flow one goes up, so that the kernel may send its ICMP
/// redirect (RFC 1812 §5.2.7.2). The source must be on that link: then it is the
/// one that can act on it. From the broadcast address of a network all do: only
/// here does the kernel look for one (`__fib_validate_source`), and drops it.
#[inline(never)]
fn turned_back<P: Packet>(port: &Port, packet: &P) -> u32 {
    if !P::redirects(port) {
        return FORWARD;
    }
    // The kernel's engine has no words; it sends its redirects by itself.
    if fib::engine() == engine::KERNEL {
        return once_a_second(packet);
    }
    let word = packet.route_back().word;
    let (kind, slot) = (nexthop_kind(word) & !KIND_COUNTED, nexthop_slot(word));
    if kind == NexthopKind::Up as u32 && slot == Reason::NotUnicast as u32 {
        return BROADCAST_SOURCE;
    }
    let on_link = if kind == NexthopKind::Resolve as u32 {
        slot == port.number
    } else {
        kind == NexthopKind::Adjacency as u32
            && fib::adjacency(slot).is_some_and(|adjacency| adjacency.ifindex == port.ifindex)
    };
    if on_link {
        once_a_second(packet)
    } else {
        FORWARD
    }
}

/// [`REDIRECT_DUE`] once a second and flow.
#[inline(always)]
fn once_a_second<P: Packet>(packet: &P) -> u32 {
    let (source_be, destination_be) = packet.addresses();
    let key = FlowKey {
        source_be,
        destination_be,
    };
    // SAFETY: no preconditions.
    let now = unsafe { bpf_ktime_get_ns() };
    // SAFETY: the value is copied at once; a torn read costs one more redirect.
    let last = unsafe { maps::REDIRECTED.get(key) };
    if last.is_some_and(|last| now - *last < 1_000_000_000) {
        return FORWARD;
    }
    // A map that takes no entry means redirects go out more often, no harm.
    let _ = maps::REDIRECTED.insert(key, now, 0);
    REDIRECT_DUE
}
