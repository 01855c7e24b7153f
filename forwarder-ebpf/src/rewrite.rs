//! Turns a frame received into the frame to send, in place.
//!
//! Called once the redirect has been accepted: a frame that is handed up after
//! all must be the one that was received, bit for bit. So what the driver may
//! refuse comes first, and the first byte is written when nothing can fail.

use aya_ebpf::helpers::generated::{bpf_xdp_adjust_head, bpf_xdp_adjust_tail};
use aya_ebpf::programs::XdpContext;
use forwarder_common::abi::{Adjacency, Tags};
use forwarder_common::check::Check;
use forwarder_common::reason::Reason;

use crate::checks;
use crate::packet::vlan::{self, TAG};
use crate::packet::{Packet, UNTAGGED, header};

/// Bytes that the payload of an Ethernet frame is padded to, tags or none: a
/// frame of 60 bytes without tag and check sequence.
pub const MINIMUM_PAYLOAD: u32 = 46;

/// Bytes that a packet takes in a frame.
#[inline(always)]
pub const fn padded(ip_len: u32) -> u32 {
    if ip_len < MINIMUM_PAYLOAD {
        MINIMUM_PAYLOAD
    } else {
        ip_len
    }
}

/// The frame is ready to be sent; any other value is the [`Reason`] why not. A
/// plain number, so that it is returned in a register.
pub const DONE: u32 = Reason::Forwarded as u32;

const NO_HEADROOM: u32 = Reason::NoHeadroom as u32;
const TRAILER: u32 = Reason::Trailer as u32;
/// Only where the headers are not within the first buffer, which `packet` has
/// ruled out.
const TRUNCATED: u32 = Reason::Truncated as u32;

/// No tag before, none after.
#[inline(always)]
pub fn untagged<P: Packet>(
    ctx: &XdpContext,
    adjacency: &Adjacency,
    payload: u32,
    ip_len: u32,
) -> u32 {
    if checks::on(Check::Trailer) && !trim(ctx, payload, ip_len) {
        return TRAILER;
    }
    let Some(base) = headers::<P>(ctx, UNTAGGED) else {
        return TRUNCATED;
    };
    // SAFETY: `headers` has checked the bounds.
    unsafe {
        P::decrement(base.add(UNTAGGED));
        write_macs(base, adjacency);
    }
    DONE
}

/// Tags before, or after, or both.
#[inline(never)]
pub fn tagged<P: Packet>(
    ctx: &XdpContext,
    adjacency: &Adjacency,
    payload: u32,
    ip_len: u32,
) -> u32 {
    let tags = Tags(adjacency.tags);
    let reason = resize(
        ctx,
        vlan::link_len(tags) as i32 - P::LINK as i32,
        payload,
        ip_len,
    );
    if reason != DONE {
        return reason;
    }
    match tags.count() {
        0 => write::<P, UNTAGGED>(ctx, adjacency),
        1 => write::<P, { vlan::TAGGED }>(ctx, adjacency),
        _ => write::<P, { vlan::DOUBLE }>(ctx, adjacency),
    }
}

/// Makes the link-layer header `growth` bytes longer, and cuts or pads the end.
#[inline(always)]
fn resize(ctx: &XdpContext, growth: i32, payload: u32, ip_len: u32) -> u32 {
    if growth > 0 && !move_head(ctx, -growth) {
        return NO_HEADROOM;
    }
    if !trim(ctx, payload, ip_len) {
        // Nothing has been written yet: back to the frame as received.
        if growth > 0 && !move_head(ctx, growth) {
            return TRUNCATED;
        }
        return TRAILER;
    }
    // Shorter it becomes after the last thing that may be refused: with
    // metadata in front of the frame it could not be taken back.
    if growth < 0 {
        if !move_head(ctx, -growth) {
            return TRUNCATED;
        }
        pad(ctx, payload);
    }
    DONE
}

/// Cuts what follows the IP packet. False where the driver cannot; the frame
/// is then unchanged. All packet pointers are void after this.
#[inline(always)]
fn trim(ctx: &XdpContext, payload: u32, ip_len: u32) -> bool {
    if payload <= ip_len || payload <= MINIMUM_PAYLOAD {
        return true;
    }
    let excess = payload - padded(ip_len);
    // SAFETY: the context is the one this program was called with.
    unsafe { bpf_xdp_adjust_tail(ctx.ctx, -(excess as i32)) == 0 }
}

/// A frame that was long enough with its tags may be too short without. Where
/// the driver has no room it is left to the NIC, which pads what the kernel
/// sends as well.
#[inline(always)]
fn pad(ctx: &XdpContext, payload: u32) {
    if payload < MINIMUM_PAYLOAD {
        // SAFETY: as in `trim`.
        let _ = unsafe { bpf_xdp_adjust_tail(ctx.ctx, (MINIMUM_PAYLOAD - payload) as i32) };
    }
}

/// Moves the beginning of the frame; false where there is no room. All packet
/// pointers are void after this.
#[inline(always)]
fn move_head(ctx: &XdpContext, by: i32) -> bool {
    // SAFETY: the context is the one this program was called with.
    unsafe { bpf_xdp_adjust_head(ctx.ctx, by) == 0 }
}

/// The beginning of a frame of which the IP header is after `link` bytes.
#[inline(always)]
fn headers<P: Packet>(ctx: &XdpContext, link: usize) -> Option<*mut u8> {
    let base = header::<[u8; UNTAGGED]>(ctx, 0)? as *mut u8;
    (base as usize + link + P::HEADER_LEN <= ctx.data_end()).then_some(base)
}

/// One hop less to live, MAC addresses, tags.
#[inline(always)]
fn write<P: Packet, const LINK: usize>(ctx: &XdpContext, adjacency: &Adjacency) -> u32 {
    let Some(base) = headers::<P>(ctx, LINK) else {
        return TRUNCATED;
    };
    let tags = Tags(adjacency.tags);
    // SAFETY: `headers` has checked the bounds.
    unsafe {
        P::decrement(base.add(LINK));
        write_macs(base, adjacency);
        if LINK > UNTAGGED {
            write_tag(base.add(UNTAGGED - 2), tags.outer());
        }
        if LINK > UNTAGGED + TAG {
            write_tag(base.add(UNTAGGED - 2 + TAG), tags.inner());
        }
        let ether_type = base.add(LINK - 2) as *mut u16;
        core::ptr::write_volatile(ether_type, P::ETHER_TYPE as u16);
    }
    DONE
}

/// # Safety
/// Twelve bytes at `base` must be within the frame. Words are written unaligned
/// where the frame is, see `packet::word`.
#[inline(always)]
unsafe fn write_macs(base: *mut u8, adjacency: &Adjacency) {
    let to = base as *mut u32;
    let from = adjacency as *const Adjacency as *const u32;
    // SAFETY: by the caller; the adjacency begins with both addresses.
    unsafe {
        core::ptr::write_volatile(to, *from);
        core::ptr::write_volatile(to.add(1), *from.add(1));
        core::ptr::write_volatile(to.add(2), *from.add(2));
    }
}

/// # Safety
/// Four bytes at `to` must be within the frame.
#[inline(always)]
unsafe fn write_tag(to: *mut u8, tag: u32) {
    let (tpid, tci) = vlan::in_frame(tag);
    let to = to as *mut u16;
    // SAFETY: by the caller.
    unsafe {
        core::ptr::write_volatile(to, tpid);
        core::ptr::write_volatile(to.add(1), tci);
    }
}
