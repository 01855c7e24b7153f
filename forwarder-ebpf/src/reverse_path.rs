//! The reverse-path check (RFC 3704), as `fib_validate_source` does it.
//!
//! Called by `forward` for packets that are about to be sent: what goes up is
//! checked by the kernel itself. Off, it costs one test of the port's flags.

use forwarder_common::abi::{KIND_COUNTED, NexthopKind, Port, nexthop_kind, nexthop_slot};
use forwarder_common::reason::Reason;

use crate::fib;
use crate::packet::Packet;

/// What it says of a packet.
pub enum ReversePath {
    /// The source may be where the packet came from.
    Right,
    /// It may not.
    Wrong,
    /// The fast path cannot tell: up, counted under this reason.
    KernelsToSay(u32),
}

/// Whether the way back to the source exists (loose), and leaves by the port
/// that the packet came in by (strict).
#[inline(always)]
pub fn check<P: Packet>(port: &Port, packet: &P) -> ReversePath {
    if port.flags & (P::RP_STRICT | P::RP_LOOSE) == 0 {
        return ReversePath::Right;
    }
    let strict = port.flags & P::RP_STRICT != 0;
    by_word(port, strict, packet.route_back().word)
}

#[inline(never)]
fn by_word(port: &Port, strict: bool, word: u32) -> ReversePath {
    const ADJACENCY: u32 = NexthopKind::Adjacency as u32;
    const RESOLVE: u32 = NexthopKind::Resolve as u32;
    const GROUP: u32 = NexthopKind::Group as u32;
    const UP: u32 = NexthopKind::Up as u32;
    const UNREACHABLE: u32 = Reason::Unreachable as u32;
    const NO_ROUTE: u32 = Reason::NoRoute as u32;

    let (kind, slot) = (nexthop_kind(word) & !KIND_COUNTED, nexthop_slot(word));
    let by_this_port = match kind {
        ADJACENCY => match fib::adjacency(slot) {
            Some(adjacency) => adjacency.ifindex == port.ifindex,
            None => return ReversePath::KernelsToSay(Reason::Unresolved as u32),
        },
        RESOLVE => slot == port.number,
        GROUP if strict => match fib::group_leaves_by(slot, port.ifindex) {
            Some(leaves) => leaves,
            None => return ReversePath::KernelsToSay(Reason::Multipath as u32),
        },
        GROUP => true,
        UP if slot != UNREACHABLE && slot != NO_ROUTE => {
            return ReversePath::KernelsToSay(slot);
        }
        // None, unreachable, prohibit, blackhole: no way back.
        _ => return ReversePath::Wrong,
    };
    if by_this_port || !strict {
        ReversePath::Right
    } else {
        ReversePath::Wrong
    }
}
