//! `generate`: a packet generator for `BPF_PROG_TEST_RUN` live frames.
//!
//! The kernel hands the program one page after the other, recycles them, and
//! does not restore what routers and receivers have written into them, so
//! every header is written anew for every frame (`net/bpf/test_run.c`).

use aya_ebpf::bindings::xdp_action::{XDP_ABORTED, XDP_REDIRECT};
use aya_ebpf::macros::{map, xdp};
use aya_ebpf::maps::{Array, DevMap, PerCpuArray};
use aya_ebpf::programs::XdpContext;
use forwarder_common::bench::{
    GENERATED as BYTES, Generated, Generator, IP_CHECKSUM, IP_DESTINATION, NUMBER, TEMPLATE_WORDS,
};
use forwarder_common::checksum::fold;

#[map]
static GENERATOR: Array<Generator> = Array::with_max_entries(1, 0);
/// The loader sets the size to the number of destinations.
#[map]
static DESTINATIONS: Array<u32> = Array::with_max_entries(1, 0);
#[map]
static GENERATED: PerCpuArray<Generated> = PerCpuArray::with_max_entries(1, 0);
#[map]
static OUT: DevMap = DevMap::with_max_entries(1, 0);

/// Writes one frame and sends it out of the interface in [`OUT`].
#[xdp]
pub(crate) fn generate(ctx: XdpContext) -> u32 {
    next_frame(&ctx).unwrap_or(XDP_ABORTED)
}

#[inline(always)]
fn next_frame(ctx: &XdpContext) -> Option<u32> {
    let config = GENERATOR.get(0)?;
    let state = GENERATED.get_ptr_mut(0)?;
    // SAFETY: the map's value, of this CPU alone; test runs do not nest.
    let state = unsafe { &mut *state };
    let destination = *DESTINATIONS.get(state.next)?;
    write(ctx, config, destination, state.frames)?;
    state.frames += 1;
    let next = state.next + 1;
    state.next = if next < config.destinations { next } else { 0 };
    let verdict = OUT.redirect(0, 0).unwrap_or(XDP_ABORTED);
    if verdict != XDP_REDIRECT {
        state.refused += 1;
    }
    Some(verdict)
}

/// `None` where the frame is too short for the headers.
#[inline(always)]
fn write(ctx: &XdpContext, config: &Generator, destination: u32, number: u64) -> Option<()> {
    let start = ctx.data();
    if start + BYTES > ctx.data_end() {
        return None;
    }
    let words = start as *mut u64;
    let halves = start as *mut u16;
    let (high, low) = ((destination >> 16) as u16, destination as u16);
    let checksum = !fold(config.header_sum + u32::from(high) + u32::from(low));
    // SAFETY: offsets below BYTES, checked above against the frame's end. The
    // frame starts on a 256-byte boundary of its page, so these are aligned.
    unsafe {
        let mut i = 0;
        while i < TEMPLATE_WORDS {
            words.add(i).write(config.template[i]);
            i += 1;
        }
        halves.add(IP_CHECKSUM / 2).write(checksum);
        // A destination lies in memory as in the frame: first word first.
        halves.add(IP_DESTINATION / 2).write(low);
        halves.add(IP_DESTINATION / 2 + 1).write(high);
        words.add(NUMBER / 8).write(number);
    }
    Some(())
}
