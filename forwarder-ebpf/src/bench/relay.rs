//! `relay`: a hop that does what every router has to do, and looks nothing up.
//!
//! The limit for any forwarder on the same ports: new MACs, TTL, checksum,
//! redirect. What a router costs above it is its checks and its lookup.

use aya_ebpf::bindings::xdp_action::{XDP_ABORTED, XDP_PASS};
use aya_ebpf::macros::{map, xdp};
use aya_ebpf::maps::Array;
use aya_ebpf::programs::XdpContext;
use forwarder_common::bench::{IP, IP_CHECKSUM, Relay};
use forwarder_common::checksum;

use crate::generate::OUT;

const ETHERTYPE: usize = 12;
const ETHERTYPE_IPV4_BE: u16 = 0x0800_u16.to_be();
const ETHERTYPE_IPV6_BE: u16 = 0x86dd_u16.to_be();
/// The word that holds IPv6's next header and hop limit.
const HOP_LIMIT: usize = IP + 6;
/// The word that holds TTL and protocol.
const TTL: usize = IP + 8;

#[map]
static RELAY: Array<Relay> = Array::with_max_entries(1, 0);

/// Sends IP out of the interface in [`OUT`], hands all else up. For multi-buffer
/// frames, like what it is compared with.
#[xdp(frags)]
pub(crate) fn relay(ctx: XdpContext) -> u32 {
    forward(&ctx).unwrap_or(XDP_PASS)
}

#[inline(always)]
fn forward(ctx: &XdpContext) -> Option<u32> {
    let config = RELAY.get(0)?;
    let start = ctx.data();
    if start + IP + 20 > ctx.data_end() {
        return None;
    }
    let halves = start as *mut u16;
    // SAFETY: offsets below IP + 20, checked above; frames start on an even
    // address.
    unsafe {
        match halves.add(ETHERTYPE / 2).read() {
            ETHERTYPE_IPV4_BE => {
                let old = halves.add(TTL / 2).read();
                let new = old.wrapping_sub(1_u16.to_le());
                let sum = halves.add(IP_CHECKSUM / 2);
                sum.write(checksum::update(sum.read(), old, new));
                halves.add(TTL / 2).write(new);
            }
            ETHERTYPE_IPV6_BE => {
                let word = halves.add(HOP_LIMIT / 2);
                word.write(word.read().wrapping_sub(1_u16.to_be()));
            }
            _ => return None,
        }
        let mut i = 0;
        while i < config.macs.len() {
            halves.add(i).write(config.macs[i]);
            i += 1;
        }
    }
    Some(OUT.redirect(0, 0).unwrap_or(XDP_ABORTED))
}
