//! Decides what happens to one packet: the rows of the decision table, in
//! their order. Called by both XDP programs.

use aya_ebpf::bindings::xdp_action::XDP_PASS;
use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::helpers::generated::bpf_jiffies64;
use aya_ebpf::maps::DevMap;
use aya_ebpf::programs::XdpContext;
use forwarder_common::abi::{
    Adjacency, CounterRow, FlowKey, NexthopKind, PORT_SEND_REDIRECTS, PORT_SLOTS, Port,
    nexthop_kind, nexthop_slot,
};
use forwarder_common::reason::{PuntClass, Reason};
use network_types::eth::EthHdr;

use crate::parse::{self, Packet};
use crate::{fib, maps, rewrite, verdict};

/// A packet's whole way. `FRAGS` says which program this is; `tx` is its DEVMAP.
#[inline(always)]
pub fn packet<const FRAGS: bool>(ctx: &XdpContext, tx: &DevMap) -> u32 {
    let action = decide::<FRAGS>(ctx, tx);
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
    let Some(port) = maps::PORTS.get(ifindex & (PORT_SLOTS - 1)) else {
        return XDP_PASS;
    };
    let known = port.ifindex == ifindex;
    let Some(row) = verdict::row(if known { port.number } else { 0 }) else {
        return XDP_PASS;
    };
    if !known {
        return verdict::up(
            row,
            Reason::UnknownPort as u32,
            parse::frame_len::<FRAGS>(ctx),
        );
    }
    if let Err(reason) = parse::link_layer(ctx, port) {
        return not_ours::<FRAGS>(ctx, row, reason);
    }
    if port.up_reason4 != 0 {
        return verdict::up(
            row,
            u32::from(port.up_reason4),
            parse::frame_len::<FRAGS>(ctx),
        );
    }
    let packet = match parse::ipv4::<FRAGS>(ctx) {
        Ok(packet) => packet,
        Err(reason) => {
            return verdict::dropped(row, reason as u32, parse::frame_len::<FRAGS>(ctx));
        }
    };
    if parse::is_martian(packet.source_be) {
        return verdict::dropped(row, Reason::MartianSource as u32, packet.frame_len);
    }
    if fib::is_own(packet.source_be) {
        return verdict::dropped(row, Reason::OwnSource as u32, packet.frame_len);
    }
    if packet.options {
        let (reason, class) = (Reason::IpOptions, PuntClass::Options);
        return verdict::up_limited(row, reason, class, packet.frame_len);
    }
    if parse::is_link_local(packet.source_be) {
        let (reason, class) = (Reason::LinkLocal, PuntClass::LinkLocal);
        return verdict::up_limited(row, reason, class, packet.frame_len);
    }
    route(ctx, tx, port, row, &packet)
}

/// ARP, other protocols and other MACs go up, runts are dropped.
#[inline(always)]
fn not_ours<const FRAGS: bool>(ctx: &XdpContext, row: &mut CounterRow, reason: Reason) -> u32 {
    let bytes = parse::frame_len::<FRAGS>(ctx);
    match reason {
        Reason::Truncated => verdict::dropped(row, reason as u32, bytes),
        Reason::Arp | Reason::NotOurMac => verdict::up_limited(row, reason, PuntClass::Link, bytes),
        _ => verdict::up(row, reason as u32, bytes),
    }
}

/// By what the route says, the TTL in its place: a packet for ourselves may
/// have any.
#[inline(always)]
fn route(ctx: &XdpContext, tx: &DevMap, port: &Port, row: &mut CounterRow, packet: &Packet) -> u32 {
    const ADJACENCY: u32 = NexthopKind::Adjacency as u32;
    const DROP: u32 = NexthopKind::Drop as u32;
    const FOR_US: u32 = Reason::ForUs as u32;
    const NOT_UNICAST: u32 = Reason::NotUnicast as u32;
    const LINK_LOCAL: u32 = Reason::LinkLocal as u32;

    let Some(word) = fib::lookup(packet.destination_be) else {
        return missed(port, row, packet);
    };
    let (kind, slot) = (nexthop_kind(word), nexthop_slot(word));
    if kind == ADJACENCY {
        if packet.ttl <= 1 {
            return verdict::up_limited(row, Reason::TtlExpired, PuntClass::Ttl, packet.frame_len);
        }
        if let Some(adjacency) = fib::adjacency(slot) {
            return transmit(ctx, tx, port, row, packet, adjacency);
        }
        return unresolved(port, row, packet);
    }
    if kind == NexthopKind::Up as u32 {
        let (reason, class) = match slot {
            FOR_US => (Reason::ForUs, PuntClass::Own),
            NOT_UNICAST => (Reason::NotUnicast, PuntClass::Link),
            LINK_LOCAL => (Reason::LinkLocal, PuntClass::LinkLocal),
            _ if packet.ttl <= 1 => (Reason::TtlExpired, PuntClass::Ttl),
            slot if slot == Reason::Unreachable as u32 => {
                (Reason::Unreachable, PuntClass::Unreachable)
            }
            // The kernel forwards these in our stead: no limit.
            slot => return verdict::up(row, slot, packet.frame_len),
        };
        return verdict::up_limited(row, reason, class, packet.frame_len);
    }
    if packet.ttl <= 1 {
        return verdict::up_limited(row, Reason::TtlExpired, PuntClass::Ttl, packet.frame_len);
    }
    if kind == DROP {
        return verdict::dropped(row, slot, packet.frame_len);
    }
    unresolved(port, row, packet)
}

/// No route: up, for the kernel's Destination Unreachable, and a miss event.
#[inline(always)]
fn missed(port: &Port, row: &mut CounterRow, packet: &Packet) -> u32 {
    let (reason, class) = if packet.ttl <= 1 {
        (Reason::TtlExpired, PuntClass::Ttl)
    } else {
        verdict::event(
            Reason::NoRoute as u32,
            port.ifindex,
            packet.source_be,
            packet.destination_be,
        );
        (Reason::NoRoute, PuntClass::NoRoute)
    };
    verdict::up_limited(row, reason, class, packet.frame_len)
}

/// The kernel resolves the neighbour; the daemon then fills the adjacency.
#[inline(always)]
fn unresolved(port: &Port, row: &mut CounterRow, packet: &Packet) -> u32 {
    let reason = Reason::Unresolved;
    verdict::event(
        reason as u32,
        port.ifindex,
        packet.source_be,
        packet.destination_be,
    );
    verdict::up_limited(row, reason, PuntClass::Unresolved, packet.frame_len)
}

/// To a resolved next hop.
#[inline(always)]
fn transmit(
    ctx: &XdpContext,
    tx: &DevMap,
    port: &Port,
    row: &mut CounterRow,
    packet: &Packet,
    adjacency: &mut Adjacency,
) -> u32 {
    // Both counts: a frame coalesced by the receiver (GRO, in generic mode) is
    // longer than what its header says, and must be segmented by the kernel.
    let payload = packet.frame_len - EthHdr::LEN as u32;
    if packet.total_len > adjacency.mtu || payload > adjacency.mtu {
        return verdict::up_limited(row, Reason::MtuExceeded, PuntClass::Mtu, packet.frame_len);
    }
    if adjacency.ifindex == port.ifindex && redirect_due(port, packet) {
        let (reason, class) = (Reason::RedirectDue, PuntClass::Redirect);
        return verdict::up_limited(row, reason, class, packet.frame_len);
    }
    // Asked first: nothing is written before the redirect has been accepted.
    let Ok(action) = tx.redirect(adjacency.port, u64::from(XDP_PASS)) else {
        return verdict::up(row, Reason::EgressCannotRedirect as u32, packet.frame_len);
    };
    if payload > packet.total_len && packet.frame_len > rewrite::MINIMUM_FRAME {
        let wanted = packet.total_len + EthHdr::LEN as u32;
        let wanted = if wanted < rewrite::MINIMUM_FRAME {
            rewrite::MINIMUM_FRAME
        } else {
            wanted
        };
        if !rewrite::trim(ctx, packet.frame_len - wanted) {
            return verdict::up(row, Reason::Trailer as u32, packet.frame_len);
        }
    }
    if !rewrite::forward_to(ctx, adjacency) {
        return verdict::dropped(row, Reason::Truncated as u32, packet.frame_len);
    }
    mark_used(adjacency);
    verdict::forwarded(row, packet.frame_len);
    action
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

/// Once a second and flow a packet that leaves by the port it came in on goes
/// up, so that the kernel may send its ICMP redirect (RFC 1812 §5.2.7.2). The
/// source must be on that link: then it is the one that can act on it.
#[inline(never)]
fn redirect_due(port: &Port, packet: &Packet) -> bool {
    if port.flags & PORT_SEND_REDIRECTS == 0 || !is_on_link(port, packet.source_be) {
        return false;
    }
    let key = FlowKey {
        source_be: [packet.source_be, 0, 0, 0],
        destination_be: [packet.destination_be, 0, 0, 0],
    };
    // SAFETY: no preconditions.
    let now = unsafe { bpf_ktime_get_ns() };
    // SAFETY: the value is copied at once; a torn read costs one more redirect.
    let last = unsafe { maps::REDIRECTED.get(key) };
    if last.is_some_and(|last| now - *last < 1_000_000_000) {
        return false;
    }
    // A map that takes no entry means redirects go out more often, no harm.
    let _ = maps::REDIRECTED.insert(key, now, 0);
    true
}

/// Whether the way back to the source leaves by this very port.
#[inline(always)]
fn is_on_link(port: &Port, source_be: u32) -> bool {
    let Some(word) = fib::lookup(source_be) else {
        return false;
    };
    let (kind, slot) = (nexthop_kind(word), nexthop_slot(word));
    if kind == NexthopKind::Resolve as u32 {
        return slot == port.number;
    }
    kind == NexthopKind::Adjacency as u32
        && fib::adjacency(slot).is_some_and(|adjacency| adjacency.ifindex == port.ifindex)
}
