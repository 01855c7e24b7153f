//! The router's program, of which checks can be left out: what `forwarder bench
//! forward` tells the cost of each check by.
//!
//! An object of its own, with the router's modules but for [`checks`], so that
//! the program that routers run does not pay for being measured. Loaded by
//! `forwarder::bench`; a router never loads it.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]

#[cfg(not(target_arch = "bpf"))]
fn main() {}

#[cfg(target_arch = "bpf")]
#[path = "bench/checks.rs"]
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
mod verdict;

#[cfg(target_arch = "bpf")]
mod runtime;

#[cfg(target_arch = "bpf")]
mod programs {
    use aya_ebpf::macros::xdp;
    use aya_ebpf::programs::XdpContext;

    use crate::{forward, maps};

    #[xdp(frags)]
    #[inline(always)]
    fn forward_frags(ctx: XdpContext) -> u32 {
        forward::packet::<true>(&ctx, &maps::TX_PORTS_FRAGS)
    }
}
