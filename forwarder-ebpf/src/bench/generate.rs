//! `generate`: a packet generator for `BPF_PROG_TEST_RUN` live frames.
//!
//! The kernel hands the program one page after the other, recycles them, and
//! does not restore what routers and receivers have written into them, so
//! every header is written anew for every frame (`net/bpf/test_run.c`).

use aya_ebpf::bindings::xdp_action::{XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_REDIRECT};
use aya_ebpf::btf_maps;
use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::macros::{btf_map, map, xdp};
use aya_ebpf::maps::{Array, DevMap, ProgramArray};
use aya_ebpf::programs::XdpContext;
use forwarder_common::bench::{
    Destination, Destination6, GENERATED as BYTES, GENERATED6 as BYTES6, Generated, Generator,
    IP_CHECKSUM, IP_DESTINATION, IP6_DESTINATION, MAX_CPUS, NUMBER, NUMBER6, TAG, TAG6,
    TEMPLATE_WORDS, TEMPLATE_WORDS6,
};
use forwarder_common::checksum::fold;

use crate::sink::Rows;

#[map]
static GENERATOR: Array<Generator> = Array::with_max_entries(1, 0);
/// The loader sets the size to the number of destinations.
#[map]
static DESTINATIONS: Array<Destination> = Array::with_max_entries(1, 0);
#[map]
static DESTINATIONS6: Array<Destination6> = Array::with_max_entries(1, 0);
#[map]
static GENERATED: Array<Generated> = Array::with_max_entries(1, 0);
#[btf_map]
static WATCHED: btf_maps::ArrayOfMaps<Rows, 1> = btf_maps::ArrayOfMaps::new();
#[map]
pub(crate) static OUT: DevMap = DevMap::with_max_entries(1, 0);
/// What receives the frames, where they are not sent; nothing = the kernel.
#[map]
static RECEIVER: ProgramArray = ProgramArray::with_max_entries(1, 0);

/// Set at load: frames are not sent, but received by the port that the run's
/// context names.
#[unsafe(no_mangle)]
static RECEIVED: u32 = 0;

/// Writes one IPv4 frame and sends it out of the interface in [`OUT`], or has it
/// received; or gives the page back unused while the window is full. A program
/// for multi-buffer frames, like the one that it may go on with.
#[xdp(frags)]
pub(crate) fn generate(ctx: XdpContext) -> u32 {
    next_frame(&ctx, |config, state| {
        let destination = DESTINATIONS.get(state.next)?;
        write4(&ctx, config, destination, state.frames)
    })
    .unwrap_or(XDP_ABORTED)
}

/// Likewise, an IPv6 frame.
#[xdp(frags)]
pub(crate) fn generate6(ctx: XdpContext) -> u32 {
    next_frame(&ctx, |config, state| {
        let destination = DESTINATIONS6.get(state.next)?;
        write6(&ctx, config, destination, state.frames)
    })
    .unwrap_or(XDP_ABORTED)
}

#[inline(always)]
fn next_frame(
    ctx: &XdpContext,
    write: impl FnOnce(&Generator, &Generated) -> Option<()>,
) -> Option<u32> {
    let config = GENERATOR.get(0)?;
    let state = GENERATED.get_ptr_mut(0)?;
    // SAFETY: the map's value; one thread runs a generator, and runs do not nest.
    let state = unsafe { &mut *state };
    if !may_send(config, state) {
        return Some(XDP_DROP);
    }
    write(config, state)?;
    count(config, state);
    let next = state.next + 1;
    state.next = if next < config.destinations { next } else { 0 };
    // SAFETY: a constant; volatile because the loader sets another value than the
    // one that LLVM sees.
    if unsafe { core::ptr::read_volatile(&raw const RECEIVED) } != 0 {
        // SAFETY: the context is the one this program was called with. Returns
        // only where there is no such program.
        unsafe { RECEIVER.tail_call(ctx, 0) };
        return Some(XDP_PASS);
    }
    let verdict = OUT.redirect(0, 0).unwrap_or(XDP_ABORTED);
    if verdict != XDP_REDIRECT {
        state.refused += 1;
    }
    Some(verdict)
}

/// The clock is read at the ends of a run only: it would be a third of what a
/// frame costs.
#[inline(always)]
fn count(config: &Generator, state: &mut Generated) {
    if state.frames == config.first {
        // SAFETY: the helper has no precondition.
        state.started_ns = unsafe { bpf_ktime_get_ns() };
    }
    state.frames += 1;
    if state.frames == config.end {
        // SAFETY: as above.
        state.finished_ns = unsafe { bpf_ktime_get_ns() };
    }
}

/// Whether fewer frames than the window are under way. The sink's counts are
/// read only when the last look at them does not settle it.
#[inline(always)]
fn may_send(config: &Generator, state: &mut Generated) -> bool {
    if config.window == 0 || under_way(state) < i64::from(config.window) {
        return true;
    }
    state.arrived = config.forgiven.wrapping_add(arrived(config.cpus));
    under_way(state) < i64::from(config.window)
}

/// Signed: a sink that also counts another generator's frames is ahead.
#[inline(always)]
fn under_way(state: &Generated) -> i64 {
    state.frames.wrapping_sub(state.arrived) as i64
}

/// Frames that the watched sink has counted, on all CPUs.
#[inline(always)]
fn arrived(cpus: u32) -> u64 {
    let mut total = 0;
    let Some(rows) = WATCHED.get(0) else {
        return 0;
    };
    let mut cpu = 0;
    while cpu < MAX_CPUS as u32 && cpu < cpus {
        if let Some(row) = rows.get_ptr(cpu) {
            // SAFETY: a row of the map, written by another CPU at any time;
            // each counter is one aligned word, and a late one does no harm.
            total += unsafe { read(&raw const (*row).frames) + read(&raw const (*row).damaged) };
        }
        cpu += 1;
    }
    total
}

/// # Safety
/// `word` points into a map value.
#[inline(always)]
unsafe fn read(word: *const u64) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { word.read_volatile() }
}

/// `None` where the frame is too short for the headers.
#[inline(always)]
fn write4(
    ctx: &XdpContext,
    config: &Generator,
    destination: &Destination,
    number: u64,
) -> Option<()> {
    let start = ctx.data();
    if start + BYTES > ctx.data_end() {
        return None;
    }
    let words = start as *mut u64;
    let halves = start as *mut u16;
    let address = destination.address;
    let (high, low) = ((address >> 16) as u16, address as u16);
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
        halves.add(TAG / 2).write(destination.tag);
        words.add(NUMBER / 8).write(number);
    }
    Some(())
}

/// Likewise. The UDP checksum stays zero, which no router looks at.
#[inline(always)]
fn write6(
    ctx: &XdpContext,
    config: &Generator,
    destination: &Destination6,
    number: u64,
) -> Option<()> {
    let start = ctx.data();
    if start + BYTES6 > ctx.data_end() {
        return None;
    }
    let words = start as *mut u64;
    let halves = start as *mut u16;
    // SAFETY: as in `write4`, with BYTES6.
    unsafe {
        let mut i = 0;
        while i < TEMPLATE_WORDS6 {
            words.add(i).write(config.template[i]);
            i += 1;
        }
        let mut i = 0;
        while i < 4 {
            let word = destination.address[i];
            let at = halves.add(IP6_DESTINATION / 2 + 2 * i);
            at.write(word as u16);
            at.add(1).write((word >> 16) as u16);
            i += 1;
        }
        halves.add(TAG6 / 2).write(destination.tag);
        words.add(NUMBER6 / 8).write(number);
    }
    Some(())
}
