//! Traffic programs: `pass`, `relay`, `sink` and `generate`.
//!
//! They make and measure traffic where there is no NIC and no traffic
//! generator: labs, the demo and `cargo xtask bench`. Loaded by
//! `forwarder::bench`; a router never loads them. Apart from the forwarding
//! program, so that its object holds only what a router runs.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]

#[cfg(not(target_arch = "bpf"))]
fn main() {}

#[cfg(target_arch = "bpf")]
#[path = "bench/generate.rs"]
mod generate;
#[cfg(target_arch = "bpf")]
#[path = "bench/relay.rs"]
mod relay;
#[cfg(target_arch = "bpf")]
#[path = "bench/sink.rs"]
mod sink;

#[cfg(target_arch = "bpf")]
mod runtime;

#[cfg(target_arch = "bpf")]
mod pass {
    use aya_ebpf::bindings::xdp_action::XDP_PASS;
    use aya_ebpf::macros::xdp;
    use aya_ebpf::programs::XdpContext;

    /// Two instructions. A veth port takes redirected frames only while its
    /// far end runs an XDP program, and a port of a router that is compared
    /// with ours has to pay for receiving frames in the same way as ours.
    #[xdp]
    pub(crate) fn pass(_ctx: XdpContext) -> u32 {
        XDP_PASS
    }
}
