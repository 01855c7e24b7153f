//! Reads the headers of a frame and checks them (RFC 1812 §5.2.2).
//!
//! Called by `forward` only. Everything the later steps need is read once into
//! [`Packet`], so that each bounds check is paid for once.

use core::hint::black_box;

use aya_ebpf::helpers::generated::bpf_xdp_get_buff_len;
use aya_ebpf::programs::XdpContext;
use forwarder_common::abi::Port;
use forwarder_common::checksum;
use forwarder_common::reason::Reason;
use network_types::eth::{EthHdr, EtherType};
use network_types::ip::Ipv4Hdr;

/// What was read of an IPv4 frame that passed the checks.
pub struct Packet {
    /// Length of the whole frame, all buffers of it.
    pub frame_len: u32,
    /// IPv4 total length.
    pub total_len: u32,
    /// Source and destination as they stand in the frame.
    pub source_be: u32,
    pub destination_be: u32,
    pub ttl: u8,
    /// Header longer than 20 bytes.
    pub options: bool,
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

/// A pointer to a header at `offset`, if the first buffer holds all of it.
///
/// `black_box` keeps LLVM from folding the offset into an addition on the
/// packet's end, which the verifier does not follow.
#[inline(always)]
pub fn header<T>(ctx: &XdpContext, offset: usize) -> Option<*mut T> {
    let start = black_box(ctx.data() + offset);
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

/// First row of the table: only IPv4 frames to the port's own MAC are ours to
/// look at. Anything else goes up.
#[inline(always)]
pub fn link_layer(ctx: &XdpContext, port: &Port) -> Result<(), Reason> {
    let Some(eth) = header::<EthHdr>(ctx, 0) else {
        return Err(Reason::Truncated);
    };
    // SAFETY: `header` has checked the bounds.
    let (ether_type, destination_hi, destination_lo) = unsafe {
        let eth16 = eth as *const u16;
        (
            word(eth16.add(6)),
            word(eth as *const u32),
            word(eth16.add(2)),
        )
    };
    if ether_type != EtherType::Ipv4 as u16 {
        return Err(other_protocol(ether_type));
    }
    let mac = port.mac.as_ptr();
    // SAFETY: six bytes, four-byte aligned within `Port`.
    let (mac_hi, mac_lo) = unsafe { (*(mac as *const u32), *(mac.add(4) as *const u16)) };
    if destination_hi != mac_hi || destination_lo != mac_lo {
        return Err(Reason::NotOurMac);
    }
    Ok(())
}

#[inline(always)]
fn other_protocol(ether_type: u16) -> Reason {
    const ARP: u16 = EtherType::Arp as u16;
    const IPV6: u16 = EtherType::Ipv6 as u16;
    const DOT1Q: u16 = EtherType::Ieee8021q as u16;
    const DOT1AD: u16 = EtherType::Ieee8021ad as u16;
    match ether_type {
        ARP => Reason::Arp,
        IPV6 => Reason::Ipv6,
        DOT1Q | DOT1AD => Reason::Vlan,
        _ => Reason::NotIp,
    }
}

/// The IPv4 header's own checks: what fails them is dropped (RFC 1812 §5.2.2).
#[inline(always)]
pub fn ipv4<const FRAGS: bool>(ctx: &XdpContext) -> Result<Packet, Reason> {
    let Some(ip) = header::<Ipv4Hdr>(ctx, EthHdr::LEN) else {
        return Err(Reason::Truncated);
    };
    // SAFETY: `header` has checked all 20 bytes; see `word` for the alignment.
    let (w0, w1, w2, source_be, destination_be) = unsafe {
        let words = ip as *const u32;
        (
            word(words),
            word(words.add(1)),
            word(words.add(2)),
            word(words.add(3)),
            word(words.add(4)),
        )
    };
    let vihl = w0 as u8;
    if vihl >> 4 != 4 {
        return Err(Reason::BadVersion);
    }
    let header_len = u32::from(vihl & 15) * 4;
    if header_len < Ipv4Hdr::LEN as u32 {
        return Err(Reason::BadHeaderLength);
    }
    let total_len = u32::from(((w0 >> 16) as u16).swap_bytes());
    let frame_len = frame_len::<FRAGS>(ctx);
    if total_len < header_len || total_len + EthHdr::LEN as u32 > frame_len {
        return Err(Reason::BadTotalLength);
    }
    let mut sum = u64::from(w0) + u64::from(w1) + u64::from(w2);
    sum += u64::from(source_be) + u64::from(destination_be);
    let options = header_len > Ipv4Hdr::LEN as u32;
    if options {
        sum += options_sum(ctx, header_len)?;
    }
    // A sum of 32-bit words folds to that of their halves (2^16 = 1 modulo
    // 2^16 - 1); at most 15 of them leave no carry beyond 36 bits.
    let sum = (sum >> 32) + (sum & 0xffff_ffff);
    let sum = (sum >> 16) as u32 + (sum & 0xffff) as u32;
    if checksum::fold(sum) != 0xffff {
        return Err(Reason::BadChecksum);
    }
    Ok(Packet {
        frame_len,
        total_len,
        source_be,
        destination_be,
        ttl: w2 as u8,
        options,
    })
}

/// Sum of the option words; a header that reaches beyond the first buffer is
/// no header that any driver delivers.
#[inline(never)]
fn options_sum(ctx: &XdpContext, header_len: u32) -> Result<u64, Reason> {
    let mut sum = 0u64;
    let mut offset = Ipv4Hdr::LEN;
    while offset < 60 {
        if offset as u32 >= header_len {
            break;
        }
        let Some(pointer) = header::<u32>(ctx, EthHdr::LEN + offset) else {
            return Err(Reason::BadHeaderLength);
        };
        // SAFETY: `header` has checked the bounds.
        sum += u64::from(unsafe { word(pointer) });
        offset += 4;
    }
    Ok(sum)
}

/// A source no host may use (RFC 1812 §5.3.7): 0/8, 127/8, 224/4 and above.
#[inline(always)]
pub fn is_martian(source_be: u32) -> bool {
    let first = source_be as u8;
    first == 0 || first == 127 || first >= 224
}

/// 169.254/16 (RFC 3927).
#[inline(always)]
pub fn is_link_local(address_be: u32) -> bool {
    address_be as u16 == u16::from_ne_bytes([169, 254])
}
