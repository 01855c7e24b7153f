//! `[kernel]`, how the kernel's own tables are shared, and `[distances]`, whose
//! routes win.

use serde::{Deserialize, Deserializer};

use super::error::wrong;
use super::value::{self, integer};
use crate::route::{Distance, Source, protocol_name};

/// `[kernel]`.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Kernel {
    /// Put our routes into the main table.
    pub export: bool,
    /// Follow other daemons' routes.
    pub import: bool,
    /// `rtm_protocol` of our routes.
    #[serde(deserialize_with = "protocol")]
    pub protocol: u8,
    /// `RTA_PRIORITY` of our routes.
    #[serde(deserialize_with = "metric")]
    pub metric: u32,
    /// Set `net.ipv4.ip_forward` and `forwarding` of our ports.
    pub forwarding: bool,
}

impl Default for Kernel {
    fn default() -> Self {
        Kernel {
            export: true,
            import: true,
            protocol: 210,
            metric: 15,
            forwarding: false,
        }
    }
}

/// A protocol number that nobody else uses: the owner of a number deletes every
/// route that carries it (FRR's zebra does, with 189 and its neighbours).
fn protocol<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let number = integer(deserializer, 1..=255, "a kernel protocol number has 8 bits")?;
    let Some(owner) = protocol_owner(number) else {
        return Ok(number);
    };
    let message = format!("protocol {number} belongs to {owner}");
    let help = "routes with that number would be taken for its own; 210 is free by default";
    Err(serde::de::Error::custom(wrong(message, help)))
}

/// Who uses a protocol number already: `include/uapi/linux/rtnetlink.h`, and
/// the numbers of FRR's daemons.
fn protocol_owner(number: u8) -> Option<&'static str> {
    Some(match number {
        0..=4 => "the kernel and ip-route(8)",
        9 => "router advertisements",
        10 => "mrtd",
        13 => "DECnet",
        14 => "XORP",
        15 => "Netsukuku",
        17 | 18 => "multicast routing and keepalived",
        84 => "OVN",
        99 => "Open/R",
        190..=199 => "FRR",
        number => protocol_name(number)?,
    })
}

fn metric<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let rule = "0 is the operator's own routes; ours come after them and before other daemons' (20 and up)";
    integer(deserializer, 1..=i64::from(u32::MAX), rule)
}

/// `[distances]`: of two sources that offer a prefix the one with the lower
/// distance wins. Connected networks have 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Distances {
    /// `[[static]]` without a distance of their own, and kernel routes that
    /// `ip route` put there (protocols boot and static).
    #[serde(rename = "static", deserialize_with = "value::distance")]
    pub static_: Distance,
    /// Clients of the routing socket that name no distance.
    #[serde(deserialize_with = "value::distance")]
    pub socket: Distance,
    /// BGP.
    #[serde(deserialize_with = "value::distance")]
    pub bgp: Distance,
    /// EIGRP.
    #[serde(deserialize_with = "value::distance")]
    pub eigrp: Distance,
    /// Babel.
    #[serde(deserialize_with = "value::distance")]
    pub babel: Distance,
    /// OSPF.
    #[serde(deserialize_with = "value::distance")]
    pub ospf: Distance,
    /// IS-IS.
    #[serde(deserialize_with = "value::distance")]
    pub isis: Distance,
    /// RIP: ours, and another daemon's.
    #[serde(deserialize_with = "value::distance")]
    pub rip: Distance,
    /// Every protocol not named here, BIRD and zebra among them.
    #[serde(deserialize_with = "value::distance")]
    pub other: Distance,
    /// Router advertisements.
    #[serde(deserialize_with = "value::distance")]
    pub ra: Distance,
    /// DHCP.
    #[serde(deserialize_with = "value::distance")]
    pub dhcp: Distance,
}

impl Default for Distances {
    fn default() -> Self {
        Distances {
            static_: Distance(1),
            socket: Distance(1),
            bgp: Distance(20),
            eigrp: Distance(90),
            babel: Distance(100),
            ospf: Distance(110),
            isis: Distance(115),
            rip: Distance(120),
            other: Distance(150),
            ra: Distance(200),
            dhcp: Distance(200),
        }
    }
}

impl Distances {
    /// The distance of a source.
    pub const fn of(&self, source: Source) -> Distance {
        match source {
            Source::Connected => Distance(0),
            Source::Static => self.static_,
            Source::Socket => self.socket,
            Source::Rip => self.rip,
            // After all else: what a routing protocol says is better known.
            Source::Redirect => Distance(254),
            Source::Kernel(protocol) => self.of_protocol(protocol),
        }
    }

    /// The distance of a kernel route of another daemon, by its `rtm_protocol`.
    pub const fn of_protocol(&self, protocol: u8) -> Distance {
        match protocol {
            2 => Distance(0),
            3 | 4 => self.static_,
            9 => self.ra,
            16 => self.dhcp,
            42 => self.babel,
            186 => self.bgp,
            187 => self.isis,
            188 => self.ospf,
            189 => self.rip,
            192 => self.eigrp,
            _ => self.other,
        }
    }
}
