//! What the doctor has found, before anything is concluded from it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use forwarder_core::config::Config;
use forwarder_core::kernel::event::Constraints;

use crate::dataplane::ethtool::{Channels, Offload};
use crate::kernel::NeighbourTable;

/// What was found, or why it could not be looked at.
pub type Look<T> = Result<T, String>;

/// All that was found.
#[derive(Clone, Debug)]
pub struct Facts {
    /// What the daemon would be told.
    pub config: Config,
    /// Where the network namespace that the machine started with can be entered;
    /// `None` = it is this one. Only there some sysctls are seen and set.
    pub initial_namespace: Option<&'static str>,
    /// CPUs online.
    pub cpus: usize,
    /// Of the kernel.
    pub kernel: Kernel,
    /// Of memory and tables.
    pub limits: Limits,
    /// Of the kernel's forwarding.
    pub forwarding: Forwarding,
    /// Those to be judged.
    pub interfaces: Vec<Interface>,
    /// Interfaces that would be no ports, and why; `None` where the interfaces
    /// to be judged were named.
    pub left_out: Option<Vec<(String, String)>>,
}

/// Of the kernel.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// `uname -r`.
    pub release: String,
    /// Its first two numbers.
    pub version: Option<(u32, u32)>,
    /// It describes its types.
    pub btf: bool,
    /// `net.core.bpf_jit_enable`.
    pub jit: Look<u32>,
    /// `net.core.bpf_jit_harden`.
    pub jit_harden: Look<u32>,
    /// `--bpf-dir`.
    pub bpf_dir: PathBuf,
    /// It is, or would be, on a BPF file system.
    pub bpffs: Look<bool>,
    /// Capabilities that the daemon needs and the caller lacks.
    pub missing_capabilities: Vec<&'static str>,
    /// `membarrier(MEMBARRIER_CMD_GLOBAL)` is there.
    pub membarrier: bool,
}

/// Of memory and tables.
#[derive(Clone, Debug)]
pub struct Limits {
    /// `MemAvailable`, bytes.
    pub available: Look<u64>,
    /// `RLIMIT_MEMLOCK`; `None` = unlimited.
    pub memlock: Option<u64>,
    /// The kernel's neighbour tables.
    pub neighbours: Look<Vec<NeighbourTable>>,
}

/// Of the kernel's forwarding.
#[derive(Clone, Debug)]
pub struct Forwarding {
    /// `net.ipv4.ip_forward`.
    pub ipv4: Look<u32>,
    /// `net.ipv6.conf.all.forwarding`; an error where there is no IPv6.
    pub ipv6: Look<u32>,
    /// `net.ipv4.fib_multipath_hash_policy`.
    pub hash_policy: Look<u32>,
    /// `net.ipv6.fib_multipath_hash_policy`.
    pub hash_policy6: Look<u32>,
    /// What the operator configured that must not be bypassed.
    pub constraints: Look<Constraints>,
    /// Names in `[dataplane] interfaces` that do not exist, in the daemon's words.
    pub missing: Option<String>,
}

/// An interface.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Whether it would be a port, and why not.
    pub port: Result<(), String>,
    /// An Ethernet device.
    pub ethernet: bool,
    /// It is set up.
    pub up: bool,
    /// It has carrier.
    pub carrier: bool,
    /// MTU, link-layer header not included.
    pub mtu: u32,
    /// A veth or a tap.
    pub software: bool,
    /// It has an IPv6 address besides the link-local one.
    pub ipv6: bool,
    /// `net.ipv4.conf.NAME.forwarding`.
    pub forwarding: bool,
    /// The higher of `rp_filter` of `all` and of its own.
    pub rp_filter: Look<u32>,
    /// `send_redirects` of `all` or of its own.
    pub send_redirects: bool,
    /// The driver's name.
    pub driver: Look<String>,
    /// `NETDEV_XDP_ACT_*`; `None` where the kernel does not tell (before 6.3).
    pub abilities: Option<u64>,
    /// Its queues; `None` where the driver has no such setting.
    pub channels: Look<Option<Channels>>,
    /// Its offloads by the kernel's names.
    pub offloads: Look<BTreeMap<String, Offload>>,
    /// Its VLAN sub-interfaces.
    pub vlans: Vec<String>,
    /// The XDP programs on it.
    pub programs: Vec<Program>,
    /// Traffic control on the way out.
    pub tc: Option<String>,
    /// The other end, of a veth.
    pub peer: Option<Peer>,
}

/// An XDP program on an interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Program {
    /// The kernel's number for it.
    pub id: u32,
    /// Its name; an error where we may not ask.
    pub name: Look<String>,
}

/// The other end of a veth.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Where it is.
    pub place: Place,
    /// Its name there; an error where we may not look.
    pub name: Look<String>,
    /// Frames that its stack builds leave it without a finished L4 checksum.
    pub unfinished: Look<bool>,
}

/// Where a veth's peer lives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// In this namespace.
    Here,
    /// In one that `ip netns` knows by this name.
    Named(String),
    /// In the one that the machine started with, which can be entered here.
    Initial(&'static str),
    /// In another.
    Elsewhere,
}
