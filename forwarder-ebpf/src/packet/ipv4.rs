//! IPv4: what is read, checked and rewritten (RFC 791, RFC 1812 §5.2.2, §5.3).

use aya_ebpf::bindings::bpf_fib_lookup;
use aya_ebpf::programs::XdpContext;
use forwarder_common::abi::{PORT_RP4_LOOSE, PORT_RP4_STRICT, PORT_SEND_REDIRECTS, Port};
use forwarder_common::check::Check;
use forwarder_common::checksum;
use forwarder_common::flow::FlowHash;
use forwarder_common::reason::{PuntClass, Reason};
use network_types::eth::EtherType;
use network_types::ip::Ipv4Hdr;

use super::{Packet, frame_len_of, header, is_ported, ports, word};
use crate::checks;
use crate::fib::{self, Found};
use crate::rewrite::padded;

const AF_INET: u8 = 2;

/// More fragments, and the offset: a packet that is one of several.
const FRAGMENT: u16 = 0x3fffu16.to_be();

/// What was read of an IPv4 frame that passed the checks; `LINK` bytes of
/// link-layer header are before it.
pub struct Ipv4Packet<const LINK: usize> {
    frame_len: u32,
    total_len: u32,
    /// The header without options.
    words: [u32; 5],
}

impl<const LINK: usize> Ipv4Packet<LINK> {
    #[inline(always)]
    fn header_len(&self) -> u32 {
        (self.words[0] & 15) * 4
    }

    #[inline(always)]
    fn source_be(&self) -> u32 {
        self.words[3]
    }

    #[inline(always)]
    fn destination_be(&self) -> u32 {
        self.words[4]
    }

    #[inline(always)]
    fn protocol(&self) -> u8 {
        (self.words[2] >> 8) as u8
    }

    #[inline(always)]
    fn is_fragment(&self) -> bool {
        (self.words[1] >> 16) as u16 & FRAGMENT != 0
    }

    #[inline(always)]
    fn check_lengths(&self) -> Result<(), Reason> {
        let vihl = self.words[0] as u8;
        if vihl >> 4 != 4 {
            return Err(Reason::BadVersion);
        }
        let header_len = self.header_len();
        if header_len < Ipv4Hdr::LEN as u32 {
            return Err(Reason::BadHeaderLength);
        }
        if self.total_len < header_len || self.total_len + LINK as u32 > self.frame_len {
            return Err(Reason::BadTotalLength);
        }
        Ok(())
    }

    #[inline(always)]
    fn check_sum(&self, ctx: &XdpContext) -> Result<(), Reason> {
        let [a, b, c, d, e] = self.words;
        let mut sum = u64::from(a) + u64::from(b) + u64::from(c) + u64::from(d) + u64::from(e);
        let header_len = self.header_len();
        if header_len > Ipv4Hdr::LEN as u32 {
            sum += options_sum::<LINK>(ctx, header_len)?;
        }
        // A sum of 32-bit words folds to that of their halves (2^16 = 1 modulo
        // 2^16 - 1); at most 15 of them leave no carry beyond 36 bits.
        let sum = (sum >> 32) + (sum & 0xffff_ffff);
        let sum = (sum >> 16) as u32 + (sum & 0xffff) as u32;
        if checksum::fold(sum) != 0xffff {
            return Err(Reason::BadChecksum);
        }
        Ok(())
    }
}

impl<const LINK: usize> Packet for Ipv4Packet<LINK> {
    const FAMILY: u32 = 4;
    const ETHER_TYPE: EtherType = EtherType::Ipv4;
    const LINK: usize = LINK;
    const HEADER_LEN: usize = Ipv4Hdr::LEN;
    const RP_STRICT: u16 = PORT_RP4_STRICT;
    const RP_LOOSE: u16 = PORT_RP4_LOOSE;

    #[inline(always)]
    fn read<const FRAGS: bool>(ctx: &XdpContext) -> Option<Self> {
        let words = header::<Ipv4Hdr>(ctx, LINK)? as *const u32;
        // SAFETY: `header` has checked all 20 bytes; see `word` for the alignment.
        let words: [u32; 5] = unsafe {
            [
                word(words),
                word(words.add(1)),
                word(words.add(2)),
                word(words.add(3)),
                word(words.add(4)),
            ]
        };
        let total_len = u32::from(((words[0] >> 16) as u16).swap_bytes());
        Some(Ipv4Packet {
            frame_len: frame_len_of::<FRAGS>(ctx, LINK as u32 + padded(total_len)),
            total_len,
            words,
        })
    }

    /// RFC 1812 §5.2.2.
    #[inline(always)]
    fn check(&self, ctx: &XdpContext) -> Result<(), Reason> {
        if checks::on(Check::Header) {
            self.check_lengths()?;
        }
        if checks::on(Check::Checksum) {
            self.check_sum(ctx)?;
        }
        Ok(())
    }

    #[inline(always)]
    fn frame_len(&self) -> u32 {
        self.frame_len
    }

    #[inline(always)]
    fn ip_len(&self) -> u32 {
        self.total_len
    }

    #[inline(always)]
    fn ttl(&self) -> u8 {
        self.words[2] as u8
    }

    /// A source no host may use (RFC 1812 §5.3.7): 0/8, 127/8, 224/4 and above.
    #[inline(always)]
    fn is_martian(&self) -> bool {
        let first = self.source_be() as u8;
        first == 0 || first == 127 || first >= 224
    }

    #[inline(always)]
    fn is_own_source(&self) -> bool {
        fib::is_own4(self.source_be())
    }

    /// Options; a source in 169.254/16 (RFC 3927).
    #[inline(always)]
    fn kernel_only(&self) -> Option<(Reason, PuntClass)> {
        if self.header_len() > Ipv4Hdr::LEN as u32 {
            return Some((Reason::IpOptions, PuntClass::Options));
        }
        if self.source_be() as u16 == u16::from_ne_bytes([169, 254]) {
            return Some((Reason::LinkLocal, PuntClass::LinkLocal));
        }
        None
    }

    #[inline(always)]
    fn route(&self) -> Found {
        fib::lookup4(self.destination_be())
    }

    #[inline(always)]
    fn route_back(&self) -> Found {
        fib::lookup4(self.source_be())
    }

    #[inline(always)]
    fn flow(&self, ctx: &XdpContext, seed: u32) -> FlowHash {
        let hash = FlowHash::new(seed).add(self.source_be(), self.destination_be());
        if self.is_fragment() || !is_ported(self.protocol()) {
            // One protocol or another: fragments do not tell by a port.
            return hash.add(u32::from(self.protocol()), 0);
        }
        hash.add(u32::from(self.protocol()), ports(ctx, LINK + Ipv4Hdr::LEN))
    }

    /// What the FIB of the other engines has entries for.
    #[inline(always)]
    fn special_destination(&self) -> Option<(Reason, PuntClass)> {
        let first = self.destination_be() as u8;
        if first == 0 || first == 127 || first >= 224 {
            return Some((Reason::NotUnicast, PuntClass::Link));
        }
        if self.destination_be() as u16 == u16::from_ne_bytes([169, 254]) {
            return Some((Reason::LinkLocal, PuntClass::LinkLocal));
        }
        None
    }

    #[inline(always)]
    fn question(&self, ifindex: u32) -> bpf_fib_lookup {
        // SAFETY: plain numbers, of which zero is a value.
        let mut question: bpf_fib_lookup = unsafe { core::mem::zeroed() };
        question.family = AF_INET;
        question.l4_protocol = self.protocol();
        question.ifindex = ifindex;
        question.__bindgen_anon_1.tot_len = self.total_len as u16;
        question.__bindgen_anon_2.tos = (self.words[0] >> 8) as u8;
        question.__bindgen_anon_3.ipv4_src = self.source_be();
        question.__bindgen_anon_4.ipv4_dst = self.destination_be();
        question
    }

    #[inline(always)]
    fn question_back(&self, ifindex: u32) -> bpf_fib_lookup {
        let mut question = self.question(ifindex);
        // Whatever the packet's length: it does not go that way.
        question.__bindgen_anon_1.tot_len = 0;
        question.__bindgen_anon_3.ipv4_src = self.destination_be();
        question.__bindgen_anon_4.ipv4_dst = self.source_be();
        question
    }

    #[inline(always)]
    fn addresses(&self) -> ([u32; 4], [u32; 4]) {
        (
            [self.source_be(), 0, 0, 0],
            [self.destination_be(), 0, 0, 0],
        )
    }

    #[inline(always)]
    fn redirects(port: &Port) -> bool {
        port.flags & PORT_SEND_REDIRECTS != 0
    }

    /// TTL − 1 and the checksum with it (RFC 1624).
    #[inline(always)]
    unsafe fn decrement(ip: *mut u8) {
        let ttl_protocol = ip.wrapping_add(8) as *mut u16;
        let check = ip.wrapping_add(10) as *mut u16;
        // SAFETY: within the header, by the caller; see `word`.
        unsafe {
            let old = word(ttl_protocol);
            // TTL is the first byte of the word: the low one on little endian.
            let new = if cfg!(target_endian = "little") {
                old - 1
            } else {
                old - 0x100
            };
            core::ptr::write_volatile(check, checksum::update(word(check), old, new));
            core::ptr::write_volatile(ttl_protocol, new);
        }
    }
}

/// Sum of the option words; a header that reaches beyond the first buffer is
/// no header that any driver delivers.
#[inline(never)]
fn options_sum<const LINK: usize>(ctx: &XdpContext, header_len: u32) -> Result<u64, Reason> {
    let mut sum = 0u64;
    let mut offset = Ipv4Hdr::LEN;
    while offset < 60 {
        if offset as u32 >= header_len {
            break;
        }
        let Some(pointer) = header::<u32>(ctx, LINK + offset) else {
            return Err(Reason::BadHeaderLength);
        };
        // SAFETY: `header` has checked the bounds.
        sum += u64::from(unsafe { word(pointer) });
        offset += 4;
    }
    Ok(sum)
}
