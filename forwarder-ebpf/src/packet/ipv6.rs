//! IPv6: what is read, checked and rewritten (RFC 8200 §3, RFC 4291 §2.5).

use aya_ebpf::bindings::bpf_fib_lookup;
use aya_ebpf::programs::XdpContext;
use forwarder_common::abi::{PORT_RP6_LOOSE, PORT_RP6_STRICT, Port};
use forwarder_common::check::Check;
use forwarder_common::flow::FlowHash;
use forwarder_common::reason::{PuntClass, Reason};
use network_types::eth::EtherType;
use network_types::ip::Ipv6Hdr;

use super::{Packet, frame_len_of, header, is_ported, ports, word};
use crate::checks;
use crate::fib::{self, Found};
use crate::rewrite::padded;

const AF_INET6: u8 = 10;

/// fe80::/10.
const TEN_BITS: u16 = 0xffc0u16.to_be();
const LINK_LOCAL: u16 = 0xfe80u16.to_be();

/// Hop-by-hop options; a payload too long for the header's field has them.
const HOP_BY_HOP: u8 = 0;

/// What was read of an IPv6 frame that passed the checks; `LINK` bytes of
/// link-layer header are before it.
pub struct Ipv6Packet<const LINK: usize> {
    frame_len: u32,
    ip_len: u32,
    source_be: [u32; 4],
    destination_be: [u32; 4],
    hop_limit: u8,
    next_header: u8,
    /// Version, traffic class and flow label.
    first_be: u32,
}

impl<const LINK: usize> Packet for Ipv6Packet<LINK> {
    const FAMILY: u32 = 6;
    const ETHER_TYPE: EtherType = EtherType::Ipv6;
    const LINK: usize = LINK;
    const HEADER_LEN: usize = Ipv6Hdr::LEN;
    const RP_STRICT: u16 = PORT_RP6_STRICT;
    const RP_LOOSE: u16 = PORT_RP6_LOOSE;

    #[inline(always)]
    fn read<const FRAGS: bool>(ctx: &XdpContext) -> Option<Self> {
        let words = header::<Ipv6Hdr>(ctx, LINK)? as *const u32;
        // SAFETY: `header` has checked all 40 bytes; see `word` for the alignment.
        let (w0, w1, source_be, destination_be) = unsafe {
            (
                word(words),
                word(words.add(1)),
                address(words.add(2)),
                address(words.add(6)),
            )
        };
        let ip_len = u32::from((w1 as u16).swap_bytes()) + Ipv6Hdr::LEN as u32;
        Some(Ipv6Packet {
            frame_len: frame_len_of::<FRAGS>(ctx, LINK as u32 + padded(ip_len)),
            ip_len,
            source_be,
            destination_be,
            hop_limit: (w1 >> 24) as u8,
            next_header: (w1 >> 16) as u8,
            first_be: w0,
        })
    }

    #[inline(always)]
    fn check(&self, _: &XdpContext) -> Result<(), Reason> {
        if !checks::on(Check::Header) {
            return Ok(());
        }
        if self.first_be as u8 >> 4 != 6 {
            return Err(Reason::BadVersion);
        }
        if self.ip_len + LINK as u32 > self.frame_len {
            return Err(Reason::BadTotalLength);
        }
        Ok(())
    }

    #[inline(always)]
    fn frame_len(&self) -> u32 {
        self.frame_len
    }

    #[inline(always)]
    fn ip_len(&self) -> u32 {
        self.ip_len
    }

    #[inline(always)]
    fn ttl(&self) -> u8 {
        self.hop_limit
    }

    /// ::, ::1 and ff00::/8 (`ip6_rcv_core`, `ip6_forward`). Not ::ffff:0:0/96,
    /// which translators send from (RFC 7915): Linux has forwarded it again
    /// since 5.12.
    #[inline(always)]
    fn is_martian(&self) -> bool {
        const ONE: u32 = 1u32.to_be();
        let [a, b, c, d] = self.source_be;
        if a | b | c == 0 {
            return d == 0 || d == ONE;
        }
        a as u8 == 0xff
    }

    #[inline(always)]
    fn is_own_source(&self) -> bool {
        fib::is_own6(&self.source_be)
    }

    /// Hop-by-hop options; a source in fe80::/10, which goes no further than
    /// its link.
    #[inline(always)]
    fn kernel_only(&self) -> Option<(Reason, PuntClass)> {
        if self.next_header == HOP_BY_HOP {
            return Some((Reason::HopByHop, PuntClass::Options));
        }
        if self.source_be[0] as u16 & TEN_BITS == LINK_LOCAL {
            return Some((Reason::LinkLocal, PuntClass::LinkLocal));
        }
        None
    }

    #[inline(always)]
    fn route(&self) -> Found {
        fib::lookup6(&self.destination_be)
    }

    #[inline(always)]
    fn route_back(&self) -> Found {
        fib::lookup6(&self.source_be)
    }

    /// Fragments have an extension header, and so no ports here.
    #[inline(always)]
    fn flow(&self, ctx: &XdpContext, seed: u32) -> FlowHash {
        let ([a, b, c, d], [e, f, g, h]) = (self.source_be, self.destination_be);
        let hash = FlowHash::new(seed).add(a ^ e.rotate_left(16), b);
        let hash = hash.add(c, d).add(f, g);
        let hash = hash.add(h, u32::from(self.next_header));
        if !is_ported(self.next_header) {
            return hash;
        }
        hash.add(0, ports(ctx, LINK + Ipv6Hdr::LEN))
    }

    #[inline(always)]
    fn special_destination(&self) -> Option<(Reason, PuntClass)> {
        let [a, b, c, d] = self.destination_be;
        let unspecified_or_loopback = a | b | c == 0 && d & !1u32.to_be() == 0;
        if a as u8 == 0xff || unspecified_or_loopback {
            return Some((Reason::NotUnicast, PuntClass::Link));
        }
        if a as u16 & TEN_BITS == LINK_LOCAL {
            return Some((Reason::LinkLocal, PuntClass::LinkLocal));
        }
        None
    }

    #[inline(always)]
    fn question(&self, ifindex: u32) -> bpf_fib_lookup {
        // SAFETY: plain numbers, of which zero is a value.
        let mut question: bpf_fib_lookup = unsafe { core::mem::zeroed() };
        question.family = AF_INET6;
        question.l4_protocol = self.next_header;
        question.ifindex = ifindex;
        question.__bindgen_anon_1.tot_len = self.ip_len as u16;
        question.__bindgen_anon_2.flowinfo = self.first_be & 0x0fff_ffffu32.to_be();
        question.__bindgen_anon_3.ipv6_src = self.source_be;
        question.__bindgen_anon_4.ipv6_dst = self.destination_be;
        question
    }

    #[inline(always)]
    fn question_back(&self, ifindex: u32) -> bpf_fib_lookup {
        let mut question = self.question(ifindex);
        // Whatever the packet's length: it does not go that way.
        question.__bindgen_anon_1.tot_len = 0;
        question.__bindgen_anon_3.ipv6_src = self.destination_be;
        question.__bindgen_anon_4.ipv6_dst = self.source_be;
        question
    }

    #[inline(always)]
    fn addresses(&self) -> ([u32; 4], [u32; 4]) {
        (self.source_be, self.destination_be)
    }

    /// There is no switch for them (`ip6_forward`).
    #[inline(always)]
    fn redirects(_: &Port) -> bool {
        true
    }

    #[inline(always)]
    unsafe fn decrement(ip: *mut u8) {
        let hop_limit = ip.wrapping_add(7);
        // SAFETY: within the header, by the caller; see `word`.
        unsafe { core::ptr::write_volatile(hop_limit, word(hop_limit) - 1) };
    }
}

/// Four words.
///
/// # Safety
/// All of them must be within what [`header`] has checked.
#[inline(always)]
unsafe fn address(words: *const u32) -> [u32; 4] {
    // SAFETY: by the caller.
    unsafe {
        [
            word(words),
            word(words.add(1)),
            word(words.add(2)),
            word(words.add(3)),
        ]
    }
}
