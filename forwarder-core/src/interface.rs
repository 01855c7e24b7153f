//! What is known of the interfaces: published by the netlink monitor as a
//! snapshot, read by RIP, the dataplane and the API.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::net::Ifindex;

/// An address of an interface.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct InterfaceAddress {
    /// The local address with its prefix length (host bits kept).
    pub local: IpNet,
    /// The other end of a point-to-point link, where `IFA_ADDRESS` differs.
    pub peer: Option<IpAddr>,
    /// The subnet's broadcast address, if it has one.
    pub broadcast: Option<IpAddr>,
    /// `IFA_F_SECONDARY`.
    pub secondary: bool,
    /// Nothing can be sent from it: another host may have it (RFC 4862 §5.4),
    /// which is being asked or has been found.
    pub tentative: bool,
}

/// The check of a packet's source by the way back to it (RFC 3704).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum ReversePath {
    /// Any source is accepted.
    #[default]
    Off,
    /// There is a way back.
    Loose,
    /// The way back leaves by the interface that the packet came in by.
    Strict,
}

impl ReversePath {
    /// What a value of `rp_filter` means: the kernel asks for 0 and 1 only
    /// (`__fib_validate_source`).
    pub const fn from_sysctl(value: u32) -> ReversePath {
        match value {
            0 => ReversePath::Off,
            1 => ReversePath::Strict,
            _ => ReversePath::Loose,
        }
    }

    /// As it is written in the file and shown.
    pub const fn name(self) -> &'static str {
        match self {
            ReversePath::Off => "off",
            ReversePath::Loose => "loose",
            ReversePath::Strict => "strict",
        }
    }
}

/// What makes an interface the sub-interface of another (`IFLA_VLAN_*`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Vlan {
    /// VLAN id.
    pub id: u16,
    /// The tag is 802.1ad (the service tag of QinQ) rather than 802.1Q.
    pub ad: bool,
    /// An `egress-qos-map` gives its tags priorities.
    pub prioritised: bool,
}

/// An interface as the kernel tells of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interface {
    /// Its number.
    pub ifindex: Ifindex,
    /// Its name now; names change.
    pub name: String,
    /// Link-layer address, for Ethernet devices.
    pub mac: Option<[u8; 6]>,
    /// MTU in bytes, link-layer header not included.
    pub mtu: u32,
    /// `IFF_UP`: set up by the operator.
    pub up: bool,
    /// `IFF_LOWER_UP`: has carrier.
    pub carrier: bool,
    /// `IFF_LOOPBACK`.
    pub loopback: bool,
    /// `IFF_POINTOPOINT`.
    pub point_to_point: bool,
    /// `IFF_MULTICAST`.
    pub multicast: bool,
    /// `IFF_BROADCAST`.
    pub broadcast: bool,
    /// `ARPHRD_ETHER`.
    pub ethernet: bool,
    /// `IFLA_INFO_KIND`: "veth", "bridge", "vlan"; empty for hardware.
    pub kind: String,
    /// Of a VLAN sub-interface.
    pub vlan: Option<Vlan>,
    /// `IFLA_MASTER`: the bridge, bond or VRF it belongs to.
    pub master: Option<Ifindex>,
    /// `IFLA_LINK`: the device below (a VLAN's parent, a veth's peer).
    pub link: Option<Ifindex>,
    /// The device below lives in another network namespace.
    pub link_elsewhere: bool,
    /// `net.ipv4.conf.NAME.forwarding`.
    pub forwarding4: bool,
    /// IPv6 is forwarded: `net.ipv6.conf.all.forwarding`, which is one switch for
    /// all interfaces (`ip6_forward`).
    pub forwarding6: bool,
    /// `net.ipv4.conf.NAME.send_redirects`, `all` included.
    pub send_redirects: bool,
    /// `net.ipv4.conf.NAME.rp_filter`, `all` included: the larger counts.
    pub rp_filter: ReversePath,
    /// Its addresses, sorted.
    pub addresses: Vec<InterfaceAddress>,
}

impl Interface {
    /// Up and with carrier: frames can leave.
    pub fn is_running(&self) -> bool {
        self.up && self.carrier
    }
}

/// All interfaces of the namespace.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Interfaces {
    /// By number.
    pub by_index: BTreeMap<Ifindex, Interface>,
}

impl Interfaces {
    /// The interface with this number.
    pub fn get(&self, ifindex: Ifindex) -> Option<&Interface> {
        self.by_index.get(&ifindex)
    }

    /// The interface that has this name now.
    pub fn by_name(&self, name: &str) -> Option<&Interface> {
        self.by_index
            .values()
            .find(|interface| interface.name == name)
    }

    /// The name of an interface, or its number where it is unknown.
    pub fn name(&self, ifindex: Ifindex) -> String {
        self.get(ifindex).map_or_else(
            || format!("if{ifindex}"),
            |interface| interface.name.clone(),
        )
    }
}
