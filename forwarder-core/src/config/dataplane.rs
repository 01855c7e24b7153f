//! `[dataplane]`: which ports get the XDP program, and what may reach the
//! kernel through it.

use std::collections::BTreeSet;
use std::time::Duration;

use forwarder_common::reason::PuntClass;
use ipnet::IpNet;
use serde::{Deserialize, Deserializer};

use super::error::wrong;
use super::glob::Glob;
use super::value::{self, Prefix, integer};
use crate::interface::ReversePath;

/// `[dataplane]`.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Dataplane {
    /// How the program finds routes.
    pub engine: Engine,
    /// Rows of the engine `multibit` for IPv4 at the start, 1 KiB each.
    #[serde(deserialize_with = "rows")]
    pub ipv4_rows: u32,
    /// Likewise for IPv6.
    #[serde(deserialize_with = "rows")]
    pub ipv6_rows: u32,
    /// How the program is attached.
    pub attach: Attach,
    /// Which interfaces become ports; empty = Ethernet devices that are up, have
    /// an address and no master.
    pub interfaces: Vec<Glob>,
    /// Kernel features that the fast path may go round.
    pub bypass: BTreeSet<Bypass>,
    /// How many packets a second are handed up.
    pub punt: PuntLimits,
    /// How long a neighbour that no packet used is still kept resolved.
    #[serde(deserialize_with = "value::duration")]
    pub neighbour_idle: Duration,
    /// Routes that are counted each by itself, by their exact prefixes.
    #[serde(deserialize_with = "prefixes")]
    pub count: BTreeSet<IpNet>,
    /// `[[dataplane.interface]]`, in the file's order.
    #[serde(rename = "interface", deserialize_with = "ports")]
    pub ports: Vec<PortSettings>,
}

/// `[[dataplane.interface]]`: settings of one port, or of those that match.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PortSettings {
    /// Which.
    pub name: Glob,
    /// How the sources of packets are checked, for both families; `None` = as
    /// the kernel does: by `rp_filter`, and not at all for IPv6.
    #[serde(default, deserialize_with = "reverse_path")]
    pub reverse_path: Option<ReversePath>,
}

impl Default for Dataplane {
    fn default() -> Self {
        Dataplane {
            engine: Engine::default(),
            ipv4_rows: 32_768,
            ipv6_rows: 16_384,
            attach: Attach::default(),
            interfaces: Vec::new(),
            bypass: BTreeSet::new(),
            punt: PuntLimits::default(),
            neighbour_idle: Duration::from_secs(60),
            count: BTreeSet::new(),
            ports: Vec::new(),
        }
    }
}

impl Dataplane {
    /// Whether `interfaces` chooses this one; `None` where it is empty and the
    /// built-in choice applies.
    pub fn chooses(&self, name: &str) -> Option<bool> {
        let globs = &self.interfaces;
        (!globs.is_empty()).then(|| globs.iter().any(|glob| glob.matches(name)))
    }

    /// How the sources of packets are checked that come in by this interface;
    /// `None` = as the kernel does. The first table that matches counts.
    pub fn reverse_path(&self, name: &str) -> Option<ReversePath> {
        let ours = self.ports.iter().find(|port| port.name.matches(name));
        ours.and_then(|port| port.reverse_path)
    }
}

/// How the XDP program finds the route of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Engine {
    /// A trie of our own in an array: [`crate::fib::trie`].
    #[default]
    Multibit,
    /// A `BPF_MAP_TYPE_LPM_TRIE`.
    LpmTrie,
    /// The kernel's own tables, by the helper `bpf_fib_lookup`.
    Kernel,
}

impl Engine {
    const ALL: [Engine; 3] = [Engine::Multibit, Engine::LpmTrie, Engine::Kernel];

    /// As it is written in the file.
    pub const fn name(self) -> &'static str {
        match self {
            Engine::Multibit => "multibit",
            Engine::LpmTrie => "lpm-trie",
            Engine::Kernel => "kernel",
        }
    }
}

impl<'de> Deserialize<'de> for Engine {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        value::string(deserializer, "the name of an engine", |text| {
            let known = Engine::ALL.iter().find(|engine| engine.name() == text);
            known.copied().ok_or_else(|| {
                let help = "there are \"multibit\", \"lpm-trie\" and \"kernel\"";
                wrong(format!("engine {text:?} is not known"), help)
            })
        })
    }
}

/// How the XDP program is attached to a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attach {
    /// By the driver where that is right, else generic.
    #[default]
    Auto,
    /// By the driver, or not at all.
    Native,
    /// In the kernel's generic hook.
    Generic,
}

/// A kernel feature that the operator allows the fast path to go round.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bypass {
    /// nftables and iptables rules of forwarded packets.
    Netfilter,
    /// Policy routing rules.
    Rules,
    /// IPsec policies.
    Xfrm,
    /// Traffic control on the way out.
    Tc,
}

impl Bypass {
    /// As it is written in the file and shown as `degraded`.
    pub const fn name(self) -> &'static str {
        match self {
            Bypass::Netfilter => "netfilter",
            Bypass::Rules => "rules",
            Bypass::Xfrm => "xfrm",
            Bypass::Tc => "tc",
        }
    }
}

macro_rules! punt_limits {
    ($($(#[doc = $doc:literal])* $field:ident: $class:ident = $default:literal;)*) => {
        /// `[dataplane.punt]`: packets per second and CPU that are handed up to
        /// the kernel; 0 = no limit.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
        #[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
        pub struct PuntLimits {
            $($(#[doc = $doc])* #[serde(deserialize_with = "rate")] pub $field: u32,)*
            /// Events about single packets that the program tells the daemon.
            #[serde(deserialize_with = "rate")]
            pub events: u32,
        }

        impl Default for PuntLimits {
            fn default() -> Self {
                PuntLimits { $($field: $default,)* events: 200 }
            }
        }

        impl PuntLimits {
            /// The limit of a class, packets per second and CPU; 0 = none.
            pub const fn limit(&self, class: PuntClass) -> u32 {
                match class { $(PuntClass::$class => self.$field,)* }
            }
        }
    };
}

// The large ones carry the router's own sessions and the links' protocols; the
// small ones are what the kernel answers with an ICMP message, which it limits
// to about a thousand a second itself (net.ipv4.icmp_msgs_per_sec).
punt_limits! {
    /// To the router's own addresses.
    own: Own = 100_000;
    /// ARP, broadcast, multicast and frames to other MAC addresses.
    link: Link = 20_000;
    /// TTL expired.
    ttl: Ttl = 1_000;
    /// No route.
    no_route: NoRoute = 1_000;
    /// Unreachable and prohibit routes.
    unreachable: Unreachable = 1_000;
    /// Next hop without a known link address.
    unresolved: Unresolved = 5_000;
    /// Larger than the way out allows.
    mtu: Mtu = 5_000;
    /// IP options.
    options: Options = 1_000;
    /// An ICMP redirect is due.
    redirect: Redirect = 1_000;
    /// Link-local source.
    link_local: LinkLocal = 1_000;
}

/// The root alone takes 256 rows; the array is allocated whole.
fn rows<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    integer(
        deserializer,
        512..=1_048_576,
        "rows of 1 KiB, 512 to 1048576; a full Internet table needs 7000 to 15000",
    )
}

/// Packets per second. The program counts nanoseconds per packet.
fn rate<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    integer(
        deserializer,
        0..=1_000_000_000,
        "packets per second and CPU; 0 = no limit",
    )
}

fn prefixes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<IpNet>, D::Error> {
    let prefixes = Vec::<Prefix>::deserialize(deserializer)?;
    Ok(prefixes.into_iter().map(|prefix| prefix.0).collect())
}

/// The second table of one name would never count.
fn ports<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<PortSettings>, D::Error> {
    let ports = Vec::<PortSettings>::deserialize(deserializer)?;
    let mut seen = BTreeSet::new();
    match ports.iter().find(|port| !seen.insert(&port.name)) {
        None => Ok(ports),
        Some(PortSettings { name, .. }) => {
            let message = format!("a second [[dataplane.interface]] for {name}");
            let help = "put its settings into one table";
            Err(serde::de::Error::custom(wrong(message, help)))
        }
    }
}

fn reverse_path<'de, D>(deserializer: D) -> Result<Option<ReversePath>, D::Error>
where
    D: Deserializer<'de>,
{
    value::string(deserializer, "how sources are checked", |text| {
        const CHECKS: [ReversePath; 3] =
            [ReversePath::Off, ReversePath::Loose, ReversePath::Strict];
        if text == "kernel" {
            return Ok(None);
        }
        let known = CHECKS.into_iter().find(|check| check.name() == text);
        known.map(Some).ok_or_else(|| {
            let help = "there are \"kernel\", \"off\", \"loose\" and \"strict\"";
            wrong(format!("reverse-path {text:?} is not known"), help)
        })
    })
}
