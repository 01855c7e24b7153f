//! `sink`: counts the frames of one UDP flow and drops them.
//!
//! The cheapest honest receiver: what it counts came through whole, since it
//! checks the IPv4 header checksum that the routers on the way have updated,
//! and went to the right next hop, where the frames say which that is.

use aya_ebpf::bindings::xdp_action::{XDP_DROP, XDP_PASS};
use aya_ebpf::btf_maps;
use aya_ebpf::helpers::bpf_get_smp_processor_id;
use aya_ebpf::macros::{btf_map, map, xdp};
use aya_ebpf::maps::Array;
use aya_ebpf::programs::XdpContext;
use forwarder_common::bench::{
    Counts, IP, MAX_CPUS, Sink, TAG, TAG6, UDP_DESTINATION, UDP6_DESTINATION, tag,
};

/// Ethernet, IPv4 without options and UDP headers.
const HEADERS: usize = IP + 20 + 8;
/// Likewise with IPv6, without extension headers.
const HEADERS6: usize = IP + 40 + 8;
const ETHERTYPE: usize = 12;
const ETHERTYPE_IPV4_BE: u16 = 0x0800_u16.to_be();
const ETHERTYPE_IPV6_BE: u16 = 0x86dd_u16.to_be();
const TTL: usize = IP + 8;
const PROTOCOL: usize = IP + 9;
const NEXT_HEADER: usize = IP + 6;
const HOP_LIMIT: usize = IP + 7;
const PROTOCOL_UDP: u8 = 17;
/// Last byte of the destination MAC.
const MAC_END: usize = 5;

#[map]
static SINK: Array<Sink> = Array::with_max_entries(1, 0);
/// A row for each CPU. Not a per-CPU map, since the generator reads all rows
/// from its own CPU.
pub(crate) type Rows = btf_maps::Array<Counts, MAX_CPUS>;
#[btf_map]
static COUNTS: Rows = Rows::new();

/// Drops what it counts; all else (ARP, ping, other flows) goes up.
#[xdp]
pub(crate) fn sink(ctx: XdpContext) -> u32 {
    match take(&ctx) {
        Some(()) => XDP_DROP,
        None => XDP_PASS,
    }
}

/// What of a frame is looked at.
struct Seen {
    intact: bool,
    ttl: u8,
    /// Offset of the tag.
    tag: usize,
}

#[inline(always)]
fn take(ctx: &XdpContext) -> Option<()> {
    let (start, end) = (ctx.data(), ctx.data_end());
    let config = SINK.get(0)?;
    let seen = look(start, end, config.port_be)?;
    // SAFETY: the helper has no precondition.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    let counts = COUNTS.get_ptr_mut(cpu & (MAX_CPUS as u32 - 1))?;
    // SAFETY: a row that only this CPU writes; NAPI does not nest.
    let counts = unsafe { &mut *counts };
    if seen.intact {
        counts.frames += 1;
        counts.bytes += (end - start) as u64;
        counts.ttl = u64::from(seen.ttl);
        if config.tagged != 0 && is_misrouted(start, end, seen.tag) {
            counts.misrouted += 1;
        }
    } else {
        counts.damaged += 1;
    }
    Some(())
}

/// `None` for a frame of another flow.
#[inline(always)]
fn look(start: usize, end: usize, port_be: u16) -> Option<Seen> {
    if start + HEADERS > end {
        return None;
    }
    if half(start, ETHERTYPE) == ETHERTYPE_IPV4_BE {
        // IPv4 without options, UDP, to the port.
        let ours = byte(start, IP) == 0x45
            && byte(start, PROTOCOL) == PROTOCOL_UDP
            && half(start, UDP_DESTINATION) == port_be;
        return ours.then(|| Seen {
            intact: header_is_intact(start),
            ttl: byte(start, TTL),
            tag: TAG,
        });
    }
    if half(start, ETHERTYPE) != ETHERTYPE_IPV6_BE || start + HEADERS6 > end {
        return None;
    }
    let ours = byte(start, NEXT_HEADER) == PROTOCOL_UDP && half(start, UDP6_DESTINATION) == port_be;
    ours.then(|| Seen {
        intact: true,
        ttl: byte(start, HOP_LIMIT),
        tag: TAG6,
    })
}

/// Whether the frame was sent to another MAC address than its tag says. One
/// that is too short for a tag says nothing of its way: it is as good as wrong.
#[inline(always)]
fn is_misrouted(start: usize, end: usize, at: usize) -> bool {
    start + at + 2 > end || half(start, at) != tag(byte(start, MAC_END))
}

/// RFC 1071 over the ten words of the header.
#[inline(always)]
fn header_is_intact(start: usize) -> bool {
    let mut sum = 0;
    let mut offset = IP;
    while offset < IP + 20 {
        sum += u32::from(half(start, offset));
        offset += 2;
    }
    forwarder_common::checksum::fold(sum) == 0xffff
}

#[inline(always)]
fn byte(start: usize, offset: usize) -> u8 {
    // SAFETY: the callers have checked that the bytes are there.
    unsafe { *((start + offset) as *const u8) }
}

#[inline(always)]
fn half(start: usize, offset: usize) -> u16 {
    // SAFETY: as in `byte`; frames start on an even address.
    unsafe { *((start + offset) as *const u16) }
}
