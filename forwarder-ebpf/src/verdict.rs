//! Ends a packet: counts it under one reason, limits what goes up, and tells
//! the daemon of what it should look at.

use core::hint::black_box;

use aya_ebpf::bindings::xdp_action::{XDP_DROP, XDP_PASS, XDP_REDIRECT};
use aya_ebpf::programs::XdpContext;
use forwarder_common::abi::{Counter, CounterRow, Event};
use forwarder_common::check::Check;
use forwarder_common::reason::{PuntClass, Reason};

use crate::packet::{self, Packet};
use crate::{checks, credit, maps};

/// The counter row of a port on this CPU. `None` only for a number out of
/// range, which no table entry holds.
#[inline(always)]
pub fn row(number: u32) -> Option<&'static mut CounterRow> {
    let pointer = maps::COUNTERS.get_ptr_mut(number)?;
    // SAFETY: a per-CPU value; XDP programs do not preempt one another on it.
    Some(unsafe { &mut *pointer })
}

#[inline(always)]
pub fn count(row: &mut CounterRow, reason: u32, packets: u64, bytes: u64) {
    // Hidden from LLVM: it knows the range of `Reason` and would drop the mask
    // that the verifier wants to see.
    let index = black_box(reason) as usize & (Reason::ROW - 1);
    // SAFETY: masked to the row's length.
    let counter: &mut Counter = unsafe { row.reasons.get_unchecked_mut(index) };
    counter.packets += packets;
    counter.bytes += bytes;
}

/// The packet was accepted by the egress port.
#[inline(always)]
pub fn forwarded(row: &mut CounterRow, bytes: u32) -> u32 {
    if checks::on(Check::Counters) {
        let counter = &mut row.reasons[Reason::Forwarded as usize];
        counter.packets += 1;
        counter.bytes += u64::from(bytes);
    }
    XDP_REDIRECT
}

/// The packet ends here. The reason goes along above the action, for
/// [`finish`]. Out of line, like all that is not forwarding: the code
/// and the stack of the packet's way stay small (512 bytes for all calls).
#[inline(never)]
pub fn dropped(row: &mut CounterRow, reason: u32, bytes: u32) -> u32 {
    count(row, reason, 1, u64::from(bytes));
    reason << REASON_SHIFT | XDP_DROP
}

/// Where [`dropped`] puts the reason in what a packet's way returns.
const REASON_SHIFT: u32 = 8;

/// The action for the kernel; of what was dropped the daemon gets a sample.
/// Every other way ends in a constant, so that LLVM leaves the test out of it.
#[inline(always)]
pub fn finish<const FRAGS: bool>(ctx: &XdpContext, action: u32) -> u32 {
    if action >> REASON_SHIFT == 0 {
        return action;
    }
    let bytes = packet::frame_len::<FRAGS>(ctx);
    drop_event(ctx, action >> REASON_SHIFT, bytes);
    XDP_DROP
}

/// Reads the addresses anew: some drops come before they were, and none of the
/// others should carry them along.
#[inline(never)]
fn drop_event(ctx: &XdpContext, reason: u32, length: u32) {
    if !take_credit(PuntClass::EVENT_SLOT) {
        return;
    }
    let (family, source_be, destination_be) = packet::addresses(ctx);
    send(&Event {
        reason,
        ifindex: ctx.ingress_ifindex() as u32,
        family,
        length,
        destination_be,
        source_be,
    });
}

/// The packet goes up unchanged, for a reason without a limit.
#[inline(never)]
pub fn up(row: &mut CounterRow, reason: u32, bytes: u32) -> u32 {
    count(row, reason, 1, u64::from(bytes));
    XDP_PASS
}

/// The packet goes up unchanged if its class has credit left.
#[inline(never)]
pub fn up_limited(row: &mut CounterRow, reason: Reason, class: PuntClass, bytes: u32) -> u32 {
    if take_credit(class as u32) {
        up(row, reason as u32, bytes)
    } else {
        dropped(row, Reason::PuntLimited as u32, bytes)
    }
}

/// Whether a slot's limit lets one more through.
#[inline(never)]
pub fn take_credit(slot: u32) -> bool {
    let Some(limit) = maps::PUNT_LIMIT.get(slot) else {
        return true;
    };
    if limit.cost_ns == 0 {
        return true;
    }
    let Some(state) = maps::PUNT_STATE.get_ptr_mut(slot) else {
        return true;
    };
    // SAFETY: a per-CPU value.
    credit::take(limit, unsafe { &mut *state })
}

/// Tells the daemon of a miss or an unresolved next hop; rate-limited, and
/// lost without harm when the ring is full.
#[inline(never)]
pub fn event<P: Packet>(reason: Reason, ifindex: u32, packet: &P) {
    if !take_credit(PuntClass::EVENT_SLOT) {
        return;
    }
    let (source_be, destination_be) = packet.addresses();
    send(&Event {
        reason: reason as u32,
        ifindex,
        family: P::FAMILY,
        length: packet.frame_len(),
        destination_be,
        source_be,
    });
}

/// A full ring means that the daemon is behind.
#[inline(always)]
fn send(event: &Event) {
    if maps::EVENTS.output::<Event>(event, 0).is_ok() {
        return;
    }
    if let Some(state) = maps::PUNT_STATE.get_ptr_mut(PuntClass::EVENT_SLOT) {
        // SAFETY: a per-CPU value.
        unsafe { (*state).refused += 1 };
    }
}
