//! What the program does for a packet besides looking it up: the rows of the
//! decision table that every forwarded packet passes.
//!
//! `forwarder bench` measures what each costs by loading the program without
//! it (`forwarder-checks-xdp`). A router's program always does all of them.

/// Something that can be left out, and how much of it.
#[repr(u8)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Check {
    /// The frame is for the port's own MAC address.
    DestinationMac,
    /// Version and lengths of the IP header.
    Header,
    /// The IPv4 header's checksum.
    Checksum,
    /// A source that no host may have.
    MartianSource,
    /// A source that is one of our own addresses.
    OwnSource,
    /// IPv4 options or IPv6 hop-by-hop options, and link-local sources.
    OptionsAndLinkLocal,
    /// TTL or hop limit.
    Ttl,
    /// Whether the port wants the reverse path checked: that it is off.
    ReversePath,
    /// The adjacency's mark that it is in use.
    Used,
    /// The egress MTU.
    Mtu,
    /// Whether the packet leaves by the port it came by.
    SamePort,
    /// What follows the IP packet.
    Trailer,
    /// The port's counters: their stores, not where the row is.
    Counters,
}

impl Check {
    /// All, in the order of a packet's way.
    pub const ALL: [Check; 13] = [
        Check::DestinationMac,
        Check::Header,
        Check::Checksum,
        Check::MartianSource,
        Check::OwnSource,
        Check::OptionsAndLinkLocal,
        Check::Ttl,
        Check::ReversePath,
        Check::Used,
        Check::Mtu,
        Check::SamePort,
        Check::Trailer,
        Check::Counters,
    ];

    /// As in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Check::DestinationMac => "destination-mac",
            Check::Header => "header",
            Check::Checksum => "checksum",
            Check::MartianSource => "martian-source",
            Check::OwnSource => "own-source",
            Check::OptionsAndLinkLocal => "options-and-link-local",
            Check::Ttl => "ttl",
            Check::ReversePath => "reverse-path",
            Check::Used => "used",
            Check::Mtu => "mtu",
            Check::SamePort => "same-port",
            Check::Trailer => "trailer",
            Check::Counters => "counters",
        }
    }
}

/// The value of [`crate::bench::global::SKIPPED`]: not 0 = left out, by the
/// number of the check.
pub type Skipped = [u8; Check::ALL.len()];
