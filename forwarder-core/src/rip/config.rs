//! How the engine is set up, checked already: the configuration file's words
//! become these, and the daemon fills in what only the kernel knows.

use std::time::Duration;

use super::auth::Auth;
use super::metric::Metric;
use super::wire::{Dialect, Wire};
use crate::net::{Family, Ifindex};

/// What holds for the whole engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {
    /// What a reload may change.
    pub tuning: Tuning,
    /// Seeds the jitter; routers must not share it.
    pub seed: u64,
    /// The last sequence number of authenticated packets in an earlier life; 0
    /// where none is known.
    pub sequence: u32,
}

/// Destinations kept where nothing else is said, about 350 bytes each: more than the
/// Internet has, and still no way to make the daemon eat all memory.
pub const MAX_ROUTES: usize = 1 << 20;

/// Next hops of a destination where nothing else is said.
pub const PATHS: usize = 8;

/// What a reload may change of [`Config`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tuning {
    /// Timers.
    pub timers: Timers,
    /// Destinations kept.
    pub max_routes: usize,
    /// Next hops of a destination: so many equally good offers are used.
    pub paths: usize,
    /// New and better routes are announced at once and used after this long; what
    /// is lost is lost at once.
    pub settle: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Tuning {
            timers: Timers::default(),
            max_routes: MAX_ROUTES,
            paths: PATHS,
            settle: Duration::ZERO,
        }
    }
}

/// The timers of RFC 2453 §3.8.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timers {
    /// Between two periodic updates, ±15 %.
    pub update: Duration,
    /// Silence after which a neighbour's offer is given up.
    pub timeout: Duration,
    /// How long a lost route is still advertised as unreachable.
    pub garbage: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Timers {
            update: Duration::from_secs(30),
            timeout: Duration::from_secs(180),
            garbage: Duration::from_secs(120),
        }
    }
}

/// What is told on an interface about routes learnt there (RFC 2453 §3.4.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SplitHorizon {
    /// Everything, as anywhere else.
    Off,
    /// Nothing.
    Simple,
    /// That they are unreachable.
    #[default]
    Poison,
}

impl SplitHorizon {
    /// As in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            SplitHorizon::Off => "off",
            SplitHorizon::Simple => "simple",
            SplitHorizon::Poison => "poison",
        }
    }
}

/// What is sent on an interface: the compatibility switch of RFC 2453 §4.1, whose
/// "none" is [`InterfaceConfig::passive`]. RIPng knows only the last.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SendVersion {
    /// RIPv1 (RFC 1058), broadcast.
    V1,
    /// RIPv2, broadcast, and nothing that routers of RIPv1 would take for
    /// something else (RFC 2453 §4.3).
    Compatible,
    /// RIPv2, multicast.
    #[default]
    V2,
}

impl SendVersion {
    /// As in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            SendVersion::V1 => "1",
            SendVersion::Compatible => "compat",
            SendVersion::V2 => "2",
        }
    }

    pub(super) const fn dialect(self) -> Dialect {
        match self {
            SendVersion::V1 => Dialect::Classful,
            SendVersion::Compatible | SendVersion::V2 => Dialect::Prefixes,
        }
    }

    /// Whether routers of RIPv1 listen.
    pub const fn is_broadcast(self) -> bool {
        matches!(self, SendVersion::V1 | SendVersion::Compatible)
    }
}

/// What is accepted on an interface (RFC 2453 §4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ReceiveVersion {
    /// RIPv1.
    V1,
    /// RIPv2, and RIPng.
    #[default]
    V2,
    /// Both.
    Both,
}

impl ReceiveVersion {
    /// As in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            ReceiveVersion::V1 => "1",
            ReceiveVersion::V2 => "2",
            ReceiveVersion::Both => "both",
        }
    }

    pub(super) const fn accepts(self, dialect: Dialect) -> bool {
        match dialect {
            Dialect::Classful => matches!(self, ReceiveVersion::V1 | ReceiveVersion::Both),
            Dialect::Prefixes => matches!(self, ReceiveVersion::V2 | ReceiveVersion::Both),
        }
    }
}

/// Datagrams sent in 20 ms on an interface where nothing else is said: 500 entries,
/// 10,000 routes in 0.4 s. Twenty full datagrams fit into the smallest receive buffer
/// in use among other RIP daemons (41,600 bytes asked, some 65 datagrams got).
pub const PACE: usize = 20;

/// Neighbours kept on an interface where nothing else is said.
pub const MAX_NEIGHBORS: usize = 256;

/// How RIP behaves on an interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InterfaceConfig<F: Family> {
    /// Nothing is multicast; `neighbors` are still served, and what is heard is
    /// used.
    pub passive: bool,
    /// What is sent.
    pub send_version: SendVersion,
    /// What is accepted.
    pub receive_version: ReceiveVersion,
    /// What is told about routes learnt here.
    pub split_horizon: SplitHorizon,
    /// Added to the metric of what is heard, and the metric of the interface's
    /// own networks (RFC 2453 §3.4.1); below infinity.
    pub cost: Metric,
    /// Routers that are sent updates by unicast.
    pub neighbors: Vec<F::Addr>,
    /// How packets are authenticated; `None` = not. RIPng leaves it to IPsec
    /// (RFC 2080 §3).
    pub auth: Option<Auth>,
    /// Believe only what has passed no router (RFC 5082): everything is sent with
    /// a TTL of 255, and nothing accepted with less.
    pub ttl_security: bool,
    /// Neighbours kept. Whoever can send on the link can make up as many as its
    /// subnet has addresses.
    pub max_neighbors: usize,
    /// Destinations that each of them may offer.
    pub max_neighbor_routes: usize,
    /// Datagrams sent in 20 ms; see [`PACE`].
    pub pace: usize,
}

impl<F: Family> Default for InterfaceConfig<F> {
    fn default() -> Self {
        InterfaceConfig {
            passive: false,
            send_version: SendVersion::default(),
            receive_version: ReceiveVersion::default(),
            split_horizon: SplitHorizon::default(),
            cost: Metric::ONE,
            neighbors: Vec::new(),
            auth: None,
            ttl_security: false,
            max_neighbors: MAX_NEIGHBORS,
            max_neighbor_routes: MAX_ROUTES,
            pace: PACE,
        }
    }
}

/// An interface that RIP is to run on, as it is now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InterfaceSetup<F: Family> {
    /// Its number.
    pub ifindex: Ifindex,
    /// Its name, for display.
    pub name: String,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// Its addresses, primary ones first.
    pub addresses: Vec<Address<F>>,
    /// How RIP behaves on it.
    pub config: InterfaceConfig<F>,
}

/// An address of an interface.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Address<F: Family> {
    /// Ours.
    pub local: F::Addr,
    /// Who is reached directly: the subnet, or the other end of a
    /// point-to-point link.
    pub subnet: F::Prefix,
}

impl<F: Wire> InterfaceSetup<F> {
    /// The TTL or hop limit that packets are sent with.
    pub(super) fn hop_limit(&self) -> u8 {
        if self.config.ttl_security {
            u8::MAX
        } else {
            F::HOP_LIMIT
        }
    }

    /// Whether the address is one of the interface's own.
    pub(super) fn is_ours(&self, addr: F::Addr) -> bool {
        self.addresses.iter().any(|address| address.local == addr)
    }

    /// Our address on the subnet that `addr` can be a router of.
    pub(super) fn facing(&self, addr: F::Addr) -> Option<&Address<F>> {
        let on_link = |address: &&Address<F>| F::is_host_of(&address.subnet, addr);
        self.addresses.iter().find(on_link)
    }
}
