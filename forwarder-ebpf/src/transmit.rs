//! Counts what is lost after the program has said `XDP_REDIRECT`.
//!
//! The tracepoints fire for every network namespace and every XDP program of
//! the machine, and ifindexes repeat across namespaces. So a refused redirect
//! is ours only when it went through one of our DEVMAPs, and a device's drops
//! only when the device is in our namespace, which its `struct net` tells; the
//! field offsets come from this kernel's BTF (map `TX_FILTER`).

use aya_ebpf::helpers::bpf_probe_read_kernel;
use aya_ebpf::helpers::generated::bpf_jiffies64;
use aya_ebpf::programs::BtfTracePointContext;
use forwarder_common::abi::{MAX_PORTS, TxFilter};
use forwarder_common::reason::Reason;

use crate::{fib, maps, verdict};

/// `xdp_redirect_err(dev, xdp, tgt, err, map_type, map_id, index)`.
#[inline(always)]
pub fn redirect_refused(ctx: &BtfTracePointContext) {
    let Some(filter) = maps::TX_FILTER.get(0) else {
        return;
    };
    let map_id: u32 = ctx.arg(5);
    if map_id != filter.devmap_ids[0] && map_id != filter.devmap_ids[1] {
        return;
    }
    // The index into our DEVMAPs is the port's dense number.
    let number: u32 = ctx.arg(6);
    add(number, Reason::TxError, 1);
    lost();
}

/// How long after a loss, in units of 256 jiffies, what is sent is counted too:
/// longer than the longest wait between two attempts on a failing port.
const WATCHED: u32 = 128;

/// `xdp_devmap_xmit(from_dev, to_dev, sent, drops, err)`, once for up to 16
/// frames of any router on the machine, so it ends early when nothing was lost.
/// For a while after a loss what is sent is counted as well: a port that only
/// loses frames is one that cannot take them.
#[inline(always)]
pub fn device_transmitted(ctx: &BtfTracePointContext) {
    let Some(filter) = maps::TX_FILTER.get(0) else {
        return;
    };
    let (sent, drops): (i32, i32) = (ctx.arg(2), ctx.arg(3));
    if drops <= 0 && now().wrapping_sub(filter.last_loss) > WATCHED {
        return;
    }
    let Some(number) = port_of(ctx.arg(1), filter) else {
        return;
    };
    if sent > 0 {
        add(number, Reason::TxSent, sent as u64);
    }
    if drops > 0 {
        add(number, Reason::TxDrop, drops as u64);
        lost();
    }
}

/// Notes that one of our ports has lost a frame.
#[inline(always)]
fn lost() {
    if let Some(filter) = maps::TX_FILTER.get_ptr_mut(0) {
        // SAFETY: a map value; one aligned word that any CPU may store.
        unsafe { core::ptr::write_volatile(&raw mut (*filter).last_loss, now()) };
    }
}

/// A coarse clock that costs one load.
#[inline(always)]
fn now() -> u32 {
    // SAFETY: no preconditions.
    (unsafe { bpf_jiffies64() } >> 8) as u32
}

/// The dense number of a device, if it is a port of ours in our namespace.
#[inline(always)]
fn port_of(device: *const u8, filter: &TxFilter) -> Option<u32> {
    // SAFETY: probe reads of kernel memory fail rather than fault.
    let (net, ifindex) = unsafe {
        let net = device.wrapping_add(filter.dev_net as usize) as *const *const u8;
        let ifindex = device.wrapping_add(filter.dev_ifindex as usize) as *const u32;
        (
            bpf_probe_read_kernel(net).ok()?,
            bpf_probe_read_kernel(ifindex).ok()?,
        )
    };
    let inum = net.wrapping_add(filter.net_inum as usize) as *const u32;
    // SAFETY: as above.
    if unsafe { bpf_probe_read_kernel(inum) }.ok()? != filter.netns_inum {
        return None;
    }
    let port = fib::port(ifindex)?;
    (port.ifindex == ifindex).then_some(port.number)
}

#[inline(always)]
fn add(number: u32, reason: Reason, packets: u64) {
    if number >= MAX_PORTS {
        return;
    }
    if let Some(row) = verdict::row(number) {
        verdict::count(row, reason as u32, packets, 0);
    }
}
