//! Why a packet ended the way it did: every packet counts under exactly one.
//!
//! The discriminant is the index into a port's counter row, so the order is
//! part of the ABI. The XDP program counts, the daemon sums and names them.

/// What the program returned for a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Handed to the egress device (`XDP_REDIRECT`).
    Forwarded,
    /// Handed to the Linux stack unchanged (`XDP_PASS`).
    Up,
    /// Dropped (`XDP_DROP`).
    Dropped,
    /// Counted beside the packet's own reason, by the transmit tracepoints.
    Transmit,
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])* $variant:ident = $value:literal, $name:literal, $verdict:ident;)*) => {
        /// The reason a packet was forwarded, handed up or dropped.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u32)]
        pub enum Reason { $($(#[doc = $doc])* $variant = $value,)* }

        impl Reason {
            /// Every reason, in ABI order.
            pub const ALL: &'static [Reason] = &[$(Reason::$variant,)*];

            /// The name shown to people and in JSON, kebab-case.
            pub const fn name(self) -> &'static str {
                match self { $(Reason::$variant => $name,)* }
            }

            /// What happens to a packet that counts under this reason.
            pub const fn verdict(self) -> Verdict {
                match self { $(Reason::$variant => Verdict::$verdict,)* }
            }
        }
    };
}

reasons! {
    /// Redirected to the egress port.
    Forwarded = 0, "forwarded", Forwarded;

    /// ARP.
    Arp = 1, "arp", Up;
    /// IPv6 hop-by-hop options, jumbograms among them: the kernel processes them.
    HopByHop = 2, "hop-by-hop", Up;
    /// A VLAN-tagged frame: its sub-interface is the kernel's.
    Vlan = 3, "vlan", Up;
    /// Any other protocol: LLDP, MPLS, PPPoE.
    NotIp = 4, "not-ip", Up;
    /// The destination MAC is not the port's own (other host, broadcast, multicast).
    NotOurMac = 5, "not-our-mac", Up;
    /// IPv4 header with options: the kernel processes them.
    IpOptions = 6, "ip-options", Up;
    /// Link-local address: never forwarded (RFC 3927 §2.7, RFC 4291 §2.5.6).
    LinkLocal = 7, "link-local", Up;
    /// For an address of this router.
    ForUs = 8, "for-us", Up;
    /// Multicast, broadcast, loopback or reserved destination.
    NotUnicast = 9, "not-unicast", Up;
    /// TTL 0 or 1: the kernel sends Time Exceeded.
    TtlExpired = 10, "ttl-expired", Up;
    /// No route: the kernel sends Destination Unreachable.
    NoRoute = 11, "no-route", Up;
    /// An unreachable or prohibit route.
    Unreachable = 12, "unreachable", Up;
    /// The next hop's link address is not known yet: the kernel resolves it.
    Unresolved = 13, "unresolved", Up;
    /// Larger than the egress MTU or the route's own: the kernel fragments or
    /// sends Fragmentation Needed.
    MtuExceeded = 14, "mtu-exceeded", Up;
    /// The egress port takes no redirected frames (or has no program of ours).
    EgressCannotRedirect = 15, "egress-cannot-redirect", Up;
    /// The kernel is due to send an ICMP redirect for this flow.
    RedirectDue = 16, "redirect-due", Up;
    /// Bytes behind the IP packet that could not be trimmed.
    Trailer = 17, "trailer", Up;
    /// Several links without a router, or too many next hops: the kernel chooses.
    Multipath = 18, "multipath", Up;
    /// The route needs the kernel: an encapsulation, a type or device of its own.
    KernelRoute = 19, "kernel-route", Up;
    /// Netfilter rules are in force and not named in `bypass`.
    Netfilter = 20, "netfilter", Up;
    /// Policy rules beyond the default three and not named in `bypass`.
    Rules = 21, "rules", Up;
    /// IPsec policies and not named in `bypass`.
    Xfrm = 22, "xfrm", Up;
    /// A traffic-control egress program or shaper on the egress port.
    Tc = 23, "tc", Up;
    /// The port has `forwarding = 0`.
    ForwardingOff = 24, "forwarding-off", Up;
    /// The port could mistake a stripped VLAN tag for an untagged frame.
    VlanOffload = 25, "vlan-offload", Up;
    /// The daemon has not yet filled the tables.
    Starting = 26, "starting", Up;
    /// The program runs on a port that the daemon does not know.
    UnknownPort = 27, "unknown-port", Up;

    /// Shorter than an Ethernet and an IP header.
    Truncated = 28, "truncated", Dropped;
    /// The IP version is not the one that the Ethernet header says.
    BadVersion = 29, "bad-version", Dropped;
    /// Header length below 5 words or beyond the packet.
    BadHeaderLength = 30, "bad-header-length", Dropped;
    /// The IP length is below the header's or beyond the frame.
    BadTotalLength = 31, "bad-total-length", Dropped;
    /// The header checksum is wrong.
    BadChecksum = 32, "bad-checksum", Dropped;
    /// Source address no host may use: 0/8, 127/8, multicast, broadcast, class E;
    /// ::, ::1, ff00::/8.
    MartianSource = 33, "martian-source", Dropped;
    /// Source address is one of this router's own.
    OwnSource = 34, "own-source", Dropped;
    /// A blackhole route.
    Blackhole = 35, "blackhole", Dropped;
    /// Over the punt limit of the reason it would have gone up for.
    PuntLimited = 36, "punt-limited", Dropped;

    /// The redirect was refused after the program had returned
    /// (`xdp_redirect_err`), counted at the egress port.
    TxError = 37, "tx-error", Transmit;
    /// The egress driver dropped the frame (`xdp_devmap_xmit`).
    TxDrop = 38, "tx-drop", Transmit;
    /// The egress driver took the frame (`xdp_devmap_xmit`). Counted only for
    /// half a minute after a loss, as evidence of whether the port loses all.
    TxSent = 39, "tx-sent", Transmit;

    /// The route table is full: the kernel, which has all routes, forwards.
    TableFull = 40, "table-full", Up;
    /// The reverse-path check: no way back to the source (loose), or not by the
    /// port it came in on (strict).
    ReversePath = 41, "reverse-path", Dropped;
    /// A VLAN tag could not be put on or taken off the frame.
    NoHeadroom = 42, "no-headroom", Up;
}

impl Reason {
    /// Length of a counter row. A power of two, so that a row index needs only
    /// a mask for the verifier; the rest is room for later reasons.
    pub const ROW: usize = 64;

    /// The reason with this ABI number, if there is one.
    pub fn from_u32(value: u32) -> Option<Reason> {
        Self::ALL.get(value as usize).copied()
    }

    /// The punt class whose token bucket limits packets handed up for this
    /// reason; `None` for what is not handed up.
    pub const fn punt_class(self) -> Option<PuntClass> {
        match self {
            Reason::ForUs => Some(PuntClass::Own),
            Reason::Arp | Reason::NotOurMac | Reason::NotUnicast => Some(PuntClass::Link),
            Reason::TtlExpired => Some(PuntClass::Ttl),
            Reason::NoRoute => Some(PuntClass::NoRoute),
            Reason::Unreachable => Some(PuntClass::Unreachable),
            Reason::Unresolved => Some(PuntClass::Unresolved),
            Reason::MtuExceeded => Some(PuntClass::Mtu),
            Reason::IpOptions | Reason::HopByHop => Some(PuntClass::Options),
            Reason::RedirectDue => Some(PuntClass::Redirect),
            Reason::LinkLocal => Some(PuntClass::LinkLocal),
            // What the kernel forwards in our stead is not protected against:
            // limiting it would lose packets that plain Linux would carry.
            _ => None,
        }
    }
}

/// A class of packets handed up that has a token bucket of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum PuntClass {
    /// To our own addresses: management, routing protocols' unicast.
    Own = 0,
    /// ARP, broadcast and multicast (RIP's updates).
    Link = 1,
    /// TTL expired.
    Ttl = 2,
    /// No route.
    NoRoute = 3,
    /// Unreachable and prohibit routes.
    Unreachable = 4,
    /// Next hop not resolved.
    Unresolved = 5,
    /// Too large for the egress.
    Mtu = 6,
    /// IP options.
    Options = 7,
    /// ICMP redirect due.
    Redirect = 8,
    /// Link-local source.
    LinkLocal = 9,
}

impl PuntClass {
    /// Every class with the key it has under `[dataplane.punt]`, in ABI order.
    pub const ALL: &'static [(PuntClass, &'static str)] = &[
        (PuntClass::Own, "own"),
        (PuntClass::Link, "link"),
        (PuntClass::Ttl, "ttl"),
        (PuntClass::NoRoute, "no-route"),
        (PuntClass::Unreachable, "unreachable"),
        (PuntClass::Unresolved, "unresolved"),
        (PuntClass::Mtu, "mtu"),
        (PuntClass::Options, "options"),
        (PuntClass::Redirect, "redirect"),
        (PuntClass::LinkLocal, "link-local"),
    ];

    /// Slots in the bucket maps; a power of two, see [`Reason::ROW`].
    pub const SLOTS: u32 = 16;

    /// The slot that limits events to the daemon rather than packets.
    pub const EVENT_SLOT: u32 = 15;
}
