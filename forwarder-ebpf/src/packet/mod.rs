//! Reads the headers of a frame and checks them: what the families have in
//! common, and each by itself in [`ipv4`] and [`ipv6`].
//!
//! Called by `forward` only.

use aya_ebpf::bindings::bpf_fib_lookup;
use aya_ebpf::helpers::generated::bpf_xdp_get_buff_len;
use aya_ebpf::programs::XdpContext;
use forwarder_common::abi::Port;
use forwarder_common::check::Check;
use forwarder_common::flow::FlowHash;
use forwarder_common::reason::{PuntClass, Reason};
use network_types::eth::{EthHdr, EtherType};

use crate::checks;
use crate::fib::Found;
use crate::opaque::opaque;

mod ipv4;
mod ipv6;
pub mod vlan;

pub use ipv4::Ipv4Packet;
pub use ipv6::Ipv6Packet;

/// An IP packet. Everything the later steps need is read once, so that each
/// bounds check is paid for once.
pub trait Packet: Sized {
    /// 4 or 6.
    const FAMILY: u32;
    /// What the link layer calls it.
    const ETHER_TYPE: EtherType;
    /// Bytes before it: the Ethernet header, and the VLAN tags that the frame
    /// was received with.
    const LINK: usize;
    /// Length of the fixed header.
    const HEADER_LEN: usize;
    /// The port's flag for a strict reverse-path check.
    const RP_STRICT: u16;
    /// That for a loose one.
    const RP_LOOSE: u16;

    /// Reads the header; `None` where the frame ends within it.
    fn read<const FRAGS: bool>(ctx: &XdpContext) -> Option<Self>;

    /// Checks it; what fails is dropped for the reason.
    fn check(&self, ctx: &XdpContext) -> Result<(), Reason>;

    /// Length of the whole frame, all buffers of it.
    fn frame_len(&self) -> u32;

    /// Length of the IP packet by its own account, header included.
    fn ip_len(&self) -> u32;

    /// TTL or hop limit.
    fn ttl(&self) -> u8;

    /// The source is one that no host may use.
    fn is_martian(&self) -> bool;

    /// The source is an address of this router.
    fn is_own_source(&self) -> bool;

    /// Something that only the kernel does.
    fn kernel_only(&self) -> Option<(Reason, PuntClass)>;

    /// The destination's longest match.
    fn route(&self) -> Found;

    /// The source's.
    fn route_back(&self) -> Found;

    /// What tells its flow from others.
    fn flow(&self, ctx: &XdpContext, seed: u32) -> FlowHash;

    /// A destination that is never forwarded to, for the engine that has no
    /// entries for them.
    fn special_destination(&self) -> Option<(Reason, PuntClass)>;

    /// The question to the kernel's tables, as received by this interface.
    fn question(&self, ifindex: u32) -> bpf_fib_lookup;

    /// The question for the way back to the source.
    fn question_back(&self, ifindex: u32) -> bpf_fib_lookup;

    /// Source and destination as maps and events have them.
    fn addresses(&self) -> ([u32; 4], [u32; 4]);

    /// Whether the port sends ICMP redirects of this family.
    fn redirects(port: &Port) -> bool;

    /// One hop less to live.
    ///
    /// # Safety
    /// `ip` must point at a header of which [`Self::HEADER_LEN`] bytes are
    /// within the frame.
    unsafe fn decrement(ip: *mut u8);
}

/// Protocols whose first four bytes are a source and a destination port.
#[inline(always)]
fn is_ported(protocol: u8) -> bool {
    const TCP: u8 = 6;
    const UDP: u8 = 17;
    const DCCP: u8 = 33;
    const SCTP: u8 = 132;
    const UDP_LITE: u8 = 136;
    matches!(protocol, TCP | UDP | DCCP | SCTP | UDP_LITE)
}

/// Both ports, which begin at `offset`; none where the frame ends before them.
#[inline(always)]
fn ports(ctx: &XdpContext, offset: usize) -> u32 {
    match header::<u32>(ctx, offset) {
        // SAFETY: `header` has checked the bounds.
        Some(ports) => unsafe { word(ports) },
        None => 0,
    }
}

/// Length of the frame. The multi-buffer program must ask: `data_end` is only
/// the end of the first buffer.
#[inline(always)]
pub fn frame_len<const FRAGS: bool>(ctx: &XdpContext) -> u32 {
    if FRAGS {
        // SAFETY: the context is the one this program was called with.
        unsafe { bpf_xdp_get_buff_len(ctx.ctx) as u32 }
    } else {
        (ctx.data_end() - ctx.data()) as u32
    }
}

/// That of a frame whose packet, padding included, should end after `said`
/// bytes. Where the first buffer ends there, so does the frame, and the call is
/// spared; were there more, what is behind the packet would be sent along.
#[inline(always)]
fn frame_len_of<const FRAGS: bool>(ctx: &XdpContext, said: u32) -> u32 {
    let first = (ctx.data_end() - ctx.data()) as u32;
    if first == said {
        return first;
    }
    frame_len::<FRAGS>(ctx)
}

/// Family, source and destination of whatever frame, behind up to two VLAN
/// tags; family 0 where there are none. For events only.
#[inline(always)]
pub fn addresses(ctx: &XdpContext) -> (u32, [u32; 4], [u32; 4]) {
    const NONE: (u32, [u32; 4], [u32; 4]) = (0, [0; 4], [0; 4]);
    let mut start = EthHdr::LEN;
    let mut ether_type = ether_type_before(ctx, start);
    for _ in 0..2 {
        if is_tag(ether_type) {
            start += 4;
            ether_type = ether_type_before(ctx, start);
        }
    }
    if ether_type == EtherType::Ipv4 as u16 {
        let Some(pair) = header::<[u32; 2]>(ctx, start + 12) else {
            return NONE;
        };
        // SAFETY: `header` has checked the bounds.
        let [source, destination] = unsafe { word(pair) };
        return (4, [source, 0, 0, 0], [destination, 0, 0, 0]);
    }
    if ether_type == EtherType::Ipv6 as u16 {
        let Some(pair) = header::<[[u32; 4]; 2]>(ctx, start + 8) else {
            return NONE;
        };
        // SAFETY: `header` has checked the bounds.
        let [source, destination] = unsafe { word(pair) };
        return (6, source, destination);
    }
    NONE
}

/// The EtherType whose payload begins at `start`; 0 = the frame ends before.
#[inline(always)]
fn ether_type_before(ctx: &XdpContext, start: usize) -> u16 {
    match header::<u16>(ctx, start - 2) {
        // SAFETY: `header` has checked the bounds.
        Some(ether_type) => unsafe { word(ether_type) },
        None => 0,
    }
}

fn is_tag(ether_type: u16) -> bool {
    const DOT1Q: u16 = EtherType::Ieee8021q as u16;
    const DOT1AD: u16 = EtherType::Ieee8021ad as u16;
    matches!(ether_type, DOT1Q | DOT1AD)
}

/// A pointer to a header at `offset`, if the first buffer holds all of it.
///
/// [`opaque`] keeps LLVM from folding the offset into an addition on the
/// packet's end, which the verifier does not follow.
#[inline(always)]
pub fn header<T>(ctx: &XdpContext, offset: usize) -> Option<*mut T> {
    let start = opaque(ctx.data() + offset);
    if start + size_of::<T>() > ctx.data_end() {
        return None;
    }
    Some(start as *mut T)
}

/// Reads a word of a header in one instruction.
///
/// # Safety
/// `pointer` must come from [`header`]. It may be unaligned, which the
/// machines that run BPF without strict alignment load as one word; a plain
/// unaligned read would become four byte loads.
#[inline(always)]
pub unsafe fn word<T: Copy>(pointer: *const T) -> T {
    // SAFETY: in bounds by the caller.
    unsafe { core::ptr::read_volatile(pointer) }
}

/// Link-layer header of an untagged frame.
pub const UNTAGGED: usize = EthHdr::LEN;

/// What a frame to the port's own MAC carries.
pub enum Carries {
    Ipv4,
    Ipv6,
}

/// First row of the table: only IP frames to the port's own MAC are ours to
/// look at. Anything else goes up.
#[inline(always)]
pub fn link_layer<const LINK: usize>(ctx: &XdpContext, port: &Port) -> Result<Carries, Reason> {
    let Some(eth) = header::<[u8; LINK]>(ctx, 0) else {
        return Err(Reason::Truncated);
    };
    // SAFETY: `header` has checked the bounds.
    let ether_type = unsafe { word((eth as *const u16).add(LINK / 2 - 1)) };
    const IPV4: u16 = EtherType::Ipv4 as u16;
    const IPV6: u16 = EtherType::Ipv6 as u16;
    let carries = match ether_type {
        IPV4 => Carries::Ipv4,
        IPV6 => Carries::Ipv6,
        _ => return Err(other_protocol(ether_type)),
    };
    // SAFETY: likewise.
    if checks::on(Check::DestinationMac) && !unsafe { is_to(port, eth as *const u8) } {
        return Err(Reason::NotOurMac);
    }
    Ok(carries)
}

/// Whether the destination is the port's own MAC address.
///
/// # Safety
/// Six bytes at `destination` must be within the frame.
#[inline(always)]
unsafe fn is_to(port: &Port, destination: *const u8) -> bool {
    let own = port.mac.as_ptr();
    // SAFETY: by the caller, see `word`; six bytes, four-byte aligned within
    // `Port`.
    unsafe {
        word(destination as *const u32) == *(own as *const u32)
            && word(destination.add(4) as *const u16) == *(own.add(4) as *const u16)
    }
}

#[inline(always)]
fn other_protocol(ether_type: u16) -> Reason {
    const ARP: u16 = EtherType::Arp as u16;
    const DOT1Q: u16 = EtherType::Ieee8021q as u16;
    const DOT1AD: u16 = EtherType::Ieee8021ad as u16;
    match ether_type {
        ARP => Reason::Arp,
        DOT1Q | DOT1AD => Reason::Vlan,
        _ => Reason::NotIp,
    }
}
