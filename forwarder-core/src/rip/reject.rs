//! Why a packet or an entry was not used. One variant a reason: it is the
//! counter, the log field and the row of `show rip errors`.

use std::fmt;

use crate::net::{Family, Ifindex};
use crate::time::Instant;

macro_rules! rejects {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal, $scope:ident;)*) => {
        /// The reason a packet or one of its entries was refused.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Reject { $($(#[doc = $doc])* $variant,)* }

        impl Reject {
            /// Every reason, in the order they are shown.
            pub const ALL: &'static [Reject] = &[$(Reject::$variant,)*];

            /// The name shown to people and in JSON, kebab-case.
            pub const fn name(self) -> &'static str {
                match self { $(Reject::$variant => $name,)* }
            }

            /// Whether it costs the whole packet or one entry.
            pub const fn scope(self) -> Scope {
                match self { $(Reject::$variant => Scope::$scope,)* }
            }
        }
    };
}

/// What a [`Reject`] costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// The packet is dropped.
    Packet,
    /// The entry is skipped, the others in the packet are used.
    Entry,
}

rejects! {
    /// Shorter than a RIP header.
    Truncated = "truncated", Packet;
    /// Not a header and a whole number of 20-byte entries.
    BadLength = "bad-length", Packet;
    /// More entries than a packet may carry.
    TooManyEntries = "too-many-entries", Packet;
    /// A header and no entry.
    NoEntries = "no-entries", Packet;
    /// Bits of RIPv1's header that must be zero are not (RFC 1058 §3.4).
    ReservedHeader = "reserved-header", Packet;
    /// Version 0, which never was one.
    VersionZero = "version-zero", Packet;
    /// A version this interface is not configured to accept.
    VersionRefused = "version-refused", Packet;
    /// Neither request nor response: trace, poll, demand circuit and the like.
    UnknownCommand = "unknown-command", Packet;
    /// RIP does not run on the interface.
    NoInterface = "no-interface", Packet;
    /// A response that does not come from the RIP port.
    BadSourcePort = "bad-source-port", Packet;
    /// From no subnet of the interface it arrived on.
    NotOnLink = "not-on-link", Packet;
    /// A response from an address that is not link-local (RIPng).
    NotLinkLocal = "not-link-local", Packet;
    /// It has passed a router: a TTL other than 255 under `ttl-security`, or a
    /// multicast packet of RIPng with such a hop limit.
    HopLimit = "hop-limit", Packet;
    /// From one of our own addresses.
    OwnPacket = "own-packet", Packet;
    /// Authenticated, on an interface without authentication (RFC 2453 §5.2).
    UnexpectedAuth = "unexpected-auth", Packet;
    /// Not authenticated, on an interface with authentication.
    AuthMissing = "auth-missing", Packet;
    /// Authenticated in another way than the interface is.
    AuthType = "auth-type", Packet;
    /// Lengths of an authenticated packet that contradict each other.
    AuthMalformed = "auth-malformed", Packet;
    /// Signed with a key of a number that is not configured.
    AuthUnknownKey = "auth-unknown-key", Packet;
    /// Signed with a key whose time is not now.
    AuthKeyTime = "auth-key-time", Packet;
    /// A wrong password or digest.
    AuthFailed = "auth-failed", Packet;
    /// An old packet: its sequence number is lower than the neighbour's last.
    AuthReplay = "auth-replay", Packet;
    /// More neighbours on the interface than are kept.
    TooManyNeighbors = "too-many-neighbors", Packet;
    /// A request on an interface that is to stay silent.
    PassiveInterface = "passive-interface", Packet;
    /// A request that asks neither for the table nor for destinations.
    BadRequest = "bad-request", Packet;
    /// More requests from this source than are answered.
    RequestLimit = "request-limit", Packet;

    /// An address family that is not this protocol's.
    BadFamily = "bad-family", Entry;
    /// Bits of RIPv1's entry that must be zero are not (RFC 1058 §3.4).
    ReservedField = "reserved-field", Entry;
    /// Metric 0.
    MetricZero = "metric-zero", Entry;
    /// Metric above 16.
    MetricTooLarge = "metric-too-large", Entry;
    /// A mask with holes.
    BadMask = "bad-mask", Entry;
    /// A prefix length beyond the address's (RIPng).
    BadPrefixLength = "bad-prefix-length", Entry;
    /// No mask, and not the address of a classful network.
    NoMask = "no-mask", Entry;
    /// Address bits beyond the mask.
    HostBits = "host-bits", Entry;
    /// A destination nobody may route: 0/8, 127/8, multicast, class E.
    Martian = "martian", Entry;
    /// The next hop is this router itself.
    NextHopIsUs = "next-hop-is-us", Entry;
    /// More offers for the destination than are kept.
    TooManyOffers = "too-many-offers", Entry;
    /// The neighbour offers as many destinations as it may.
    TooManyRoutes = "too-many-routes", Entry;
    /// The table is full.
    TableFull = "table-full", Entry;
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How often each [`Reject`] happened, and where last.
#[derive(Clone, Debug)]
pub(super) struct Rejects<F: Family> {
    tallies: Vec<Tally<F>>,
}

/// The row of one [`Reject`].
#[derive(Clone, Copy, Debug)]
struct Tally<F: Family> {
    count: u64,
    last: Option<Occurrence<F>>,
}

/// Where and when something happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Occurrence<F: Family> {
    /// When.
    pub at: Instant,
    /// On which interface.
    pub ifindex: Ifindex,
    /// Whose packet it was.
    pub source: F::Addr,
}

impl<F: Family> Default for Rejects<F> {
    fn default() -> Self {
        Rejects {
            tallies: vec![
                Tally {
                    count: 0,
                    last: None
                };
                Reject::ALL.len()
            ],
        }
    }
}

impl<F: Family> Rejects<F> {
    /// Counts one; answers when the same thing last happened.
    pub(super) fn count(&mut self, reject: Reject, occurrence: Occurrence<F>) -> Option<Instant> {
        let tally = &mut self.tallies[reject as usize];
        tally.count += 1;
        tally.last.replace(occurrence).map(|last| last.at)
    }

    /// Every reason with its count, zeros included, in the order of [`Reject::ALL`].
    pub(super) fn iter(&self) -> impl Iterator<Item = (Reject, u64, Option<Occurrence<F>>)> + '_ {
        Reject::ALL
            .iter()
            .zip(&self.tallies)
            .map(|(reject, tally)| (*reject, tally.count, tally.last))
    }
}
