//! The shapes of the lines. `docs/rip.md` describes them; a change raises
//! [`super::FORMAT`].
//!
//! Times are microseconds: of the engine's clock, or how long something lasts.
//! Interfaces are numbers; their names are in the lines that bring them up.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::text::hex;

/// A line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Line {
    /// The first one.
    Recording(RecordingRecord),
    /// An engine has started.
    Engine(EngineRecord),
    /// An engine was given something.
    Input(InputRecord),
    /// What it did about the input above; as many lines as that says.
    Output(Output),
    /// The last one of a recording that was ended in order.
    End(Ending),
}

/// What a recording is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RecordingRecord {
    /// [`super::FORMAT`].
    pub format: u32,
    /// The version of the program that made it.
    pub forwarder: String,
    /// The daemon's instance.
    pub instance: String,
    /// When it began: seconds since 1970.
    pub unix_time: u64,
}

/// How a recording ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// With the daemon.
    Stopped,
    /// At the size that it may have.
    Limit,
    /// More was to be written than the disk took.
    Behind,
}

/// Which engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// RIPv2 and RIPv1.
    Rip,
    /// RIPng.
    Ripng,
}

impl Protocol {
    /// As in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Protocol::Rip => "rip",
            Protocol::Ripng => "ripng",
        }
    }
}

/// What an engine started with. RIP and RIPng have one each, and a reload can start
/// another.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct EngineRecord {
    /// Its number in this recording.
    pub engine: u32,
    /// When.
    pub at: u64,
    /// What it speaks.
    pub protocol: Protocol,
    /// [`crate::rip::Config::seed`].
    pub seed: u64,
    /// [`crate::rip::Config::sequence`].
    pub sequence: u32,
    /// [`crate::rip::Config::tuning`].
    pub tuning: TuningRecord,
}

/// [`crate::rip::Tuning`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are those of Tuning and Timers")]
pub struct TuningRecord {
    pub update: u64,
    pub timeout: u64,
    pub garbage: u64,
    pub max_routes: usize,
    pub paths: usize,
    pub settle: u64,
}

/// Something an engine was given.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct InputRecord {
    /// To which engine.
    pub engine: u32,
    /// When.
    pub at: u64,
    /// How many lines of outputs follow.
    pub outputs: u64,
    /// What.
    pub what: What,
}

/// [`crate::rip::Input`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case",
    deny_unknown_fields
)]
#[expect(missing_docs, reason = "the variants are those of Input and its parts")]
pub enum What {
    Datagram {
        ifindex: u32,
        source: IpAddr,
        port: u16,
        hop_limit: Option<u8>,
        multicast: bool,
        payload: Payload,
    },
    Deadline,
    InterfaceUp(InterfaceRecord),
    InterfaceDown(u32),
    InterfaceRemove(u32),
    Redistribute {
        prefix: IpNet,
        metric: u8,
        tag: u16,
        next_hop: Option<IpAddr>,
    },
    RedistributeNoMore {
        prefix: IpNet,
    },
    Request(u32),
    ClearNeighbor(IpAddr),
    ClearRoutes,
    ClearCounters,
    Reconfigure(TuningRecord),
    WallClock(u64),
    Shutdown,
}

/// [`crate::rip::InterfaceSetup`] and [`crate::rip::InterfaceConfig`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are those of the types above")]
pub struct InterfaceRecord {
    pub ifindex: u32,
    pub name: String,
    pub mtu: u32,
    pub addresses: Vec<SubnetRecord>,
    pub passive: bool,
    pub send_version: String,
    pub receive_version: String,
    pub split_horizon: String,
    pub cost: u8,
    pub neighbors: Vec<IpAddr>,
    pub auth: Option<AuthRecord>,
    pub ttl_security: bool,
    pub max_neighbors: usize,
    pub max_neighbor_routes: usize,
    pub pace: usize,
}

/// [`crate::rip::Address`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are those of Address")]
pub struct SubnetRecord {
    pub local: IpAddr,
    pub subnet: IpNet,
}

/// [`crate::rip::Auth`] without its secrets.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AuthRecord {
    /// [`crate::rip::AuthType::name`].
    #[serde(rename = "type")]
    pub kind: String,
    /// The length of the digest is written with four bytes more.
    pub long: bool,
    /// The keys.
    pub keys: Vec<KeyRecord>,
}

/// [`crate::rip::Key`]. There is no place for the secret itself, so that none can get
/// into a file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct KeyRecord {
    /// Its number in packets.
    pub id: u8,
    /// Keys with the same number here have the same secret.
    pub secret: u32,
    /// When it is sent.
    pub send: WindowRecord,
    /// When it is accepted.
    pub accept: WindowRecord,
}

/// [`crate::rip::Window`], in seconds since 1970.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are those of Window")]
pub struct WindowRecord {
    pub from: Option<u64>,
    pub until: Option<u64>,
}

/// One of [`crate::rip::Actions`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case",
    deny_unknown_fields
)]
#[expect(missing_docs, reason = "the variants are those of Actions' parts")]
pub enum Output {
    Send {
        ifindex: u32,
        source: IpAddr,
        destination: IpAddr,
        port: u16,
        hop_limit: u8,
        payload: Payload,
    },
    Route {
        prefix: IpNet,
        metric: u8,
        tag: u16,
        nexthops: Vec<HopRecord>,
    },
    RouteGone {
        prefix: IpNet,
    },
    NeighborUp {
        ifindex: u32,
        address: IpAddr,
    },
    NeighborLost {
        ifindex: u32,
        address: IpAddr,
    },
    OutOfKeys {
        ifindex: u32,
    },
    Rejected {
        reason: String,
        ifindex: u32,
        address: IpAddr,
    },
}

/// A next hop.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are those of Nexthop")]
pub struct HopRecord {
    pub via: Option<IpAddr>,
    pub ifindex: Option<u32>,
}

/// The bytes of a datagram; in a line, hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Payload(#[serde(with = "hex")] pub Vec<u8>);
