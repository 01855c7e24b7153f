//! The engine `kernel`: the kernel's own tables, by the helper
//! `bpf_fib_lookup`, with the same checks before and after.
//!
//! Called by `forward` in the place of our own lookup. It is what users compare
//! with, and serves where only the kernel can tell.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::bindings::{
    BPF_FIB_LKUP_RET_BLACKHOLE, BPF_FIB_LKUP_RET_FRAG_NEEDED, BPF_FIB_LKUP_RET_FWD_DISABLED,
    BPF_FIB_LKUP_RET_NO_NEIGH, BPF_FIB_LKUP_RET_PROHIBIT, BPF_FIB_LKUP_RET_SUCCESS,
    BPF_FIB_LKUP_RET_UNREACHABLE, BPF_FIB_LKUP_RET_UNSUPP_LWT, bpf_fib_lookup as Params,
};
use aya_ebpf::helpers::generated::bpf_fib_lookup;
use aya_ebpf::maps::DevMap;
use aya_ebpf::programs::XdpContext;
use forwarder_common::abi::{Adjacency, CounterRow, Port};
use forwarder_common::reason::{PuntClass, Reason};

use crate::packet::Packet;
use crate::{fib, forward, rewrite, verdict};

/// Asks the kernel, and carries out what it says.
#[inline(always)]
pub fn route<P: Packet>(
    ctx: &XdpContext,
    tx: &DevMap,
    port: &Port,
    row: &mut CounterRow,
    packet: &P,
) -> u32 {
    // In the other engines these are entries of the table.
    if let Some((reason, class)) = packet.special_destination() {
        return verdict::up_limited(row, reason, class, packet.frame_len());
    }
    let mut adjacency = Adjacency::default();
    let answer = ask(ctx, packet, port.ifindex, &mut adjacency);
    if answer as u32 != BPF_FIB_LKUP_RET_SUCCESS {
        return refused(port, row, packet, answer);
    }
    if packet.ttl() <= 1 {
        let (reason, class) = (Reason::TtlExpired, PuntClass::Ttl);
        return verdict::up_limited(row, reason, class, packet.frame_len());
    }
    if port.flags & (P::RP_STRICT | P::RP_LOOSE) != 0 && !is_right_source(ctx, packet, port) {
        return verdict::dropped(row, Reason::ReversePath as u32, packet.frame_len());
    }
    let egress = fib::port(adjacency.ifindex);
    let Some(egress) = egress.filter(|egress| egress.ifindex == adjacency.ifindex) else {
        let reason = Reason::EgressCannotRedirect as u32;
        return verdict::up(row, reason, packet.frame_len());
    };
    adjacency.port = egress.tx;
    adjacency.tags = egress.tags;
    forward::transmit(ctx, tx, port, row, packet, &adjacency)
}

/// The helper's answer; the way out that goes with success. Out of line: what
/// it is asked with would lie on the stack of a frame's whole way.
#[inline(never)]
fn ask<P: Packet>(ctx: &XdpContext, packet: &P, ifindex: u32, way: &mut Adjacency) -> i64 {
    let mut params = packet.question(ifindex);
    // SAFETY: context and parameters are valid for the call.
    let answer =
        unsafe { bpf_fib_lookup(ctx.as_ptr(), &raw mut params, size_of::<Params>() as i32, 0) };
    // SAFETY: the helper has written it (kernel 5.12), or left the length.
    let mtu = u32::from(unsafe { params.__bindgen_anon_1.mtu_result });
    way.destination = params.dmac;
    way.source = params.smac;
    // A short frame is padded beyond what the kernel was asked about.
    way.mtu = mtu.max(rewrite::MINIMUM_PAYLOAD);
    way.ifindex = params.ifindex;
    answer
}

/// The reverse-path check: whether there is a way back to the source (loose), and
/// whether it is by this port (strict).
#[inline(never)]
fn is_right_source<P: Packet>(ctx: &XdpContext, packet: &P, port: &Port) -> bool {
    let mut params = packet.question_back(port.ifindex);
    // SAFETY: context and parameters are valid for the call.
    let answer =
        unsafe { bpf_fib_lookup(ctx.as_ptr(), &raw mut params, size_of::<Params>() as i32, 0) };
    // Without a neighbour entry there is a way, too.
    let there = matches!(
        answer as u32,
        BPF_FIB_LKUP_RET_SUCCESS | BPF_FIB_LKUP_RET_NO_NEIGH
    );
    there && (port.flags & P::RP_STRICT == 0 || params.ifindex == port.ifindex)
}

#[inline(always)]
fn refused<P: Packet>(port: &Port, row: &mut CounterRow, packet: &P, answer: i64) -> u32 {
    let bytes = packet.frame_len();
    if answer < 0 {
        return verdict::up(row, Reason::KernelRoute as u32, bytes);
    }
    if packet.ttl() <= 1 {
        return verdict::up_limited(row, Reason::TtlExpired, PuntClass::Ttl, bytes);
    }
    match answer as u32 {
        BPF_FIB_LKUP_RET_BLACKHOLE => verdict::dropped(row, Reason::Blackhole as u32, bytes),
        BPF_FIB_LKUP_RET_UNREACHABLE | BPF_FIB_LKUP_RET_PROHIBIT => {
            verdict::up_limited(row, Reason::Unreachable, PuntClass::Unreachable, bytes)
        }
        BPF_FIB_LKUP_RET_NO_NEIGH => forward::unresolved(port, row, packet),
        BPF_FIB_LKUP_RET_FRAG_NEEDED => {
            verdict::up_limited(row, Reason::MtuExceeded, PuntClass::Mtu, bytes)
        }
        BPF_FIB_LKUP_RET_FWD_DISABLED => verdict::up(row, Reason::ForwardingOff as u32, bytes),
        BPF_FIB_LKUP_RET_UNSUPP_LWT => verdict::up(row, Reason::KernelRoute as u32, bytes),
        // Ours, not unicast, or no route: it does not say which.
        _ => verdict::up_limited(row, Reason::ForUs, PuntClass::Own, bytes),
    }
}
