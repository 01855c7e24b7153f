//! The XDP program of the forwarder.
//!
//! A packet's way, top to bottom: [`packet`] reads the headers and checks them,
//! [`fib`] (or [`kernel`]) looks the destination up, [`forward`] decides,
//! [`reverse_path`] where the port wants it, [`rewrite`] changes the frame once
//! the redirect has been accepted, and [`verdict`] counts it
//! under exactly one reason. [`transmit`] counts what the egress device loses
//! after that. The rows of the decision table are in `docs/packet-path.md`.
//!
//! Loaded and attached by `forwarder::dataplane`; the maps are filled by it.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]
// `opaque`: the architecture's assembler is not stable yet.
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]

#[cfg(target_arch = "bpf")]
mod checks;
#[cfg(target_arch = "bpf")]
mod credit;
#[cfg(target_arch = "bpf")]
mod fib;
#[cfg(target_arch = "bpf")]
mod forward;
#[cfg(target_arch = "bpf")]
mod kernel;
#[cfg(target_arch = "bpf")]
mod maps;
#[cfg(target_arch = "bpf")]
mod opaque;
#[cfg(target_arch = "bpf")]
mod packet;
#[cfg(target_arch = "bpf")]
mod reverse_path;
#[cfg(target_arch = "bpf")]
mod rewrite;
#[cfg(target_arch = "bpf")]
mod transmit;
#[cfg(target_arch = "bpf")]
mod verdict;

#[cfg(target_arch = "bpf")]
mod runtime;

#[cfg(target_arch = "bpf")]
mod programs {
    use aya_ebpf::macros::{btf_tracepoint, xdp};
    use aya_ebpf::programs::{BtfTracePointContext, XdpContext};

    use crate::{forward, maps, transmit};

    /// For drivers that keep a frame in one buffer, and for generic mode.
    #[xdp]
    #[inline(always)]
    fn forward(ctx: XdpContext) -> u32 {
        forward::packet::<false>(&ctx, &maps::TX_PORTS)
    }

    /// For drivers with multi-buffer frames (jumbo MTU).
    #[xdp(frags)]
    #[inline(always)]
    fn forward_frags(ctx: XdpContext) -> u32 {
        forward::packet::<true>(&ctx, &maps::TX_PORTS_FRAGS)
    }

    #[btf_tracepoint(function = "xdp_redirect_err")]
    fn xdp_redirect_err(ctx: BtfTracePointContext) -> i32 {
        transmit::redirect_refused(&ctx);
        0
    }

    #[btf_tracepoint(function = "xdp_devmap_xmit")]
    fn xdp_devmap_xmit(ctx: BtfTracePointContext) -> i32 {
        transmit::device_transmitted(&ctx);
        0
    }
}

#[cfg(not(target_arch = "bpf"))]
fn main() {}
