//! The VLAN tags of a frame (IEEE 802.1Q-2022 §9): which it was received with,
//! and those it leaves with.
//!
//! Called by `forward` for frames with a tag, and by `rewrite`. Tags inside
//! the frame are the only ones looked at: those that a NIC has stripped are
//! not seen by XDP programs, so the daemon has stripping switched off.

use aya_ebpf::programs::XdpContext;
use forwarder_common::abi::Tags;
use network_types::eth::EtherType;

use super::{UNTAGGED, header, word};

/// Bytes of one tag: TPID and TCI.
pub const TAG: usize = 4;
/// Link-layer header with one tag.
pub const TAGGED: usize = UNTAGGED + TAG;
/// With two.
pub const DOUBLE: usize = UNTAGGED + 2 * TAG;

const DOT1Q: u16 = EtherType::Ieee8021q as u16;
const DOT1AD: u16 = EtherType::Ieee8021ad as u16;

/// The VLAN id in a tag control information. The priority is one hop's affair
/// (the kernel sends 0 where no map says otherwise).
const VID: u16 = 0xfff;

/// The tags of a frame that has at least one. None where one of them is a
/// priority tag, which names no VLAN, or where the frame ends within them.
///
/// Plain words all the way: of an `Option` around them LLVM would merge the
/// branches and shift what one of them has left undefined, which the verifier
/// refuses.
#[inline(always)]
pub fn tags(ctx: &XdpContext) -> Tags {
    let (Some(outer), Some(follows)) = (
        header::<[u16; 2]>(ctx, UNTAGGED - 2),
        header::<u16>(ctx, TAGGED - 2),
    ) else {
        return Tags::NONE;
    };
    // SAFETY: `header` has checked the bounds.
    let (outer, follows) = unsafe { (tag(outer as *const u16), word(follows)) };
    if outer.0 == 0 {
        return Tags::NONE;
    }
    if follows != DOT1Q && follows != DOT1AD {
        return Tags::one(outer.0, outer.1);
    }
    let Some(inner) = header::<[u16; 2]>(ctx, TAGGED - 2) else {
        return Tags::NONE;
    };
    // SAFETY: as above.
    let inner = unsafe { tag(inner as *const u16) };
    if inner.0 == 0 {
        return Tags::NONE;
    }
    Tags::two(outer, inner)
}

/// VLAN id of a tag, and whether it is 802.1ad.
///
/// # Safety
/// Both words must be within what [`header`] has checked.
#[inline(always)]
unsafe fn tag(words: *const u16) -> (u16, bool) {
    // SAFETY: by the caller.
    let (tpid, tci) = unsafe { (word(words), word(words.add(1))) };
    (tci.swap_bytes() & VID, tpid == DOT1AD)
}

/// Bytes of link-layer header that a frame with these tags has.
#[inline(always)]
pub fn link_len(tags: Tags) -> u32 {
    UNTAGGED as u32 + TAG as u32 * tags.count()
}

/// One tag as the frame has it: TPID and TCI, each in network order.
#[inline(always)]
pub fn in_frame(tag: u32) -> (u16, u16) {
    let tpid = if tag & Tags::AD != 0 { DOT1AD } else { DOT1Q };
    (tpid, (tag as u16 & VID).swap_bytes())
}
