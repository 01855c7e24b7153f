//! Turns a frame received into the frame to send, in place.
//!
//! Called once the redirect has been accepted: a frame that is handed up after
//! all must be the one that was received, bit for bit.

use aya_ebpf::bindings::xdp_md;
use aya_ebpf::helpers::generated::bpf_xdp_adjust_tail;
use aya_ebpf::programs::XdpContext;
use forwarder_common::abi::Adjacency;
use network_types::eth::EthHdr;

use crate::packet::{Packet, header};

/// Bytes an Ethernet frame is padded to, without its check sequence.
pub const MINIMUM_FRAME: u32 = 60;

/// Cuts what follows the IP packet. False where the driver cannot; the frame
/// is then unchanged.
#[inline(always)]
pub fn trim(ctx: &XdpContext, excess: u32) -> bool {
    let ctx: *mut xdp_md = ctx.ctx;
    // SAFETY: the context is the one this program was called with. All packet
    // pointers are void after this; `forward_to` derives its own.
    unsafe { bpf_xdp_adjust_tail(ctx, -(excess as i32)) == 0 }
}

/// One hop less to live, MAC addresses. False only where the headers are not
/// within the first buffer, which `packet` has ruled out.
#[inline(always)]
pub fn forward_to<P: Packet>(ctx: &XdpContext, adjacency: &Adjacency) -> bool {
    let Some(eth) = header::<EthHdr>(ctx, 0) else {
        return false;
    };
    let base = eth as *mut u8;
    if base as usize + EthHdr::LEN + P::HEADER_LEN > ctx.data_end() {
        return false;
    }
    // SAFETY: checked just now. Words are written unaligned where the frame is,
    // see `packet::word`.
    unsafe {
        P::decrement(base.add(EthHdr::LEN));
        let to = base as *mut u32;
        let from = adjacency as *const Adjacency as *const u32;
        core::ptr::write_volatile(to, *from);
        core::ptr::write_volatile(to.add(1), *from.add(1));
        core::ptr::write_volatile(to.add(2), *from.add(2));
    }
    true
}
