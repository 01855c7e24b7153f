//! What goes out: replies and copies of route(4)'s messages, and those about
//! interfaces and addresses.

use std::net::IpAddr;

use ipnet::IpNet;

use super::bytes::{self, put_i32, put_u16, put_u32, put_u64};
use super::number::*;
use super::sockaddr::{self, Gateway, LinkAddr};
use super::{Errno, Metrics};

/// A message with a `struct rt_msghdr`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RouteMessage {
    /// `RTM_*`.
    pub kind: u8,
    /// The interface that the route leaves by; 0 = none.
    pub index: u16,
    /// `RTF_*`.
    pub flags: u32,
    /// Whose request it answers; 0 = nobody's.
    pub pid: i32,
    /// That request's number.
    pub seq: i32,
    /// Why it failed; `None` = it did not.
    pub errno: Option<Errno>,
    /// References to the route, saturating (`rtm_use`).
    pub uses: u32,
    /// Which metrics the route has of its own (`RTV_*`).
    pub inits: u64,
    /// The metrics.
    pub metrics: Metrics,
    /// The destination. Without a mask where it is a host's.
    pub destination: Option<IpNet>,
    /// Where it leads.
    pub gateway: Option<Gateway>,
    /// Mask of what is cloned from it.
    pub genmask: Option<u8>,
    /// The interface, where it was asked for.
    pub ifp: Option<LinkAddr>,
    /// The interface's address, where it was asked for.
    pub ifa: Option<IpAddr>,
    /// Who sent the redirect.
    pub author: Option<IpAddr>,
    /// The other end of a point-to-point link.
    pub peer: Option<IpAddr>,
}

impl RouteMessage {
    /// A message of a type about nothing.
    pub fn new(kind: u8) -> RouteMessage {
        RouteMessage {
            kind,
            index: 0,
            flags: 0,
            pid: 0,
            seq: 0,
            errno: None,
            uses: 0,
            inits: 0,
            metrics: Metrics::default(),
            destination: None,
            gateway: None,
            genmask: None,
            ifp: None,
            ifa: None,
            author: None,
            peer: None,
        }
    }

    /// The family it is about (`AF_*`); [`AF_UNSPEC`] = none.
    pub fn family(&self) -> u8 {
        match self.destination {
            None => AF_UNSPEC,
            Some(IpNet::V4(_)) => AF_INET,
            Some(IpNet::V6(_)) => AF_INET6,
        }
    }

    /// Appends its bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + RT_MSGHDR, 0);
        let bits = self.addresses(out);
        let length = out.len() - start;
        let header = &mut out[start..start + RT_MSGHDR];
        put_u16(
            header,
            offset::MSGLEN,
            u16::try_from(length).unwrap_or(u16::MAX),
        );
        header[offset::VERSION] = RTM_VERSION;
        header[offset::TYPE] = self.kind;
        put_u16(header, offset::INDEX, self.index);
        put_u32(header, offset::FLAGS, self.flags);
        put_u32(header, offset::ADDRS, bits);
        put_i32(header, offset::PID, self.pid);
        put_i32(header, offset::SEQ, self.seq);
        put_i32(header, offset::ERRNO, self.errno.map_or(0, Errno::number));
        put_u32(header, offset::FMASK, self.uses);
        put_u64(header, offset::INITS, self.inits);
        self.metrics.write(header);
    }

    /// Appends the sockaddrs in the order of their bits, which it returns.
    fn addresses(&self, out: &mut Vec<u8>) -> u32 {
        let mut bits = 0;
        if let Some(destination) = self.destination {
            bits |= RTA_DST;
            sockaddr::put_ip(out, destination.addr());
        }
        if let Some(gateway) = &self.gateway {
            bits |= RTA_GATEWAY;
            match gateway {
                Gateway::Ip(address) => sockaddr::put_gateway(out, *address, self.index),
                Gateway::Link(link) => sockaddr::put_link(out, link),
            }
        }
        if let Some(destination) = self.destination {
            let family = destination.addr();
            if destination.prefix_len() < destination.max_prefix_len() {
                bits |= RTA_NETMASK;
                sockaddr::put_mask(out, family, destination.prefix_len());
            }
            if let Some(genmask) = self.genmask {
                bits |= RTA_GENMASK;
                sockaddr::put_mask(out, family, genmask);
            }
        }
        if let Some(interface) = &self.ifp {
            bits |= RTA_IFP;
            sockaddr::put_link(out, interface);
        }
        for (bit, address) in [
            (RTA_IFA, self.ifa),
            (RTA_AUTHOR, self.author),
            (RTA_BRD, self.peer),
        ] {
            if let Some(address) = address {
                bits |= bit;
                sockaddr::put_ip(out, address);
            }
        }
        bits
    }
}

/// `RTM_NEWADDR` and `RTM_DELADDR` (`struct ifa_msghdr`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IfAddr {
    /// It is new, or gone.
    pub added: bool,
    /// The interface.
    pub interface: LinkAddr,
    /// The address with the length of its subnet, host bits kept.
    pub address: IpNet,
    /// The subnet's broadcast address, or the other end of the link.
    pub broadcast: Option<IpAddr>,
}

impl IfAddr {
    /// The address's family (`AF_*`).
    pub fn family(&self) -> u8 {
        match self.address {
            IpNet::V4(_) => AF_INET,
            IpNet::V6(_) => AF_INET6,
        }
    }

    /// Appends its bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let kind = if self.added { RTM_NEWADDR } else { RTM_DELADDR };
        let mut bits = RTA_NETMASK | RTA_IFP | RTA_IFA;
        if self.broadcast.is_some() {
            bits |= RTA_BRD;
        }
        bytes::message(
            out,
            kind,
            IFA_MSGHDR,
            |header| {
                put_u32(header, 4, bits);
                put_u32(header, 8, if self.added { RTF_UP } else { 0 });
                put_u16(header, 12, self.interface.ifindex);
            },
            |out| {
                sockaddr::put_mask(out, self.address.addr(), self.address.prefix_len());
                sockaddr::put_link(out, &self.interface);
                sockaddr::put_ip(out, self.address.addr());
                if let Some(broadcast) = self.broadcast {
                    sockaddr::put_ip(out, broadcast);
                }
            },
        );
    }
}

/// `RTM_IFINFO` (`struct if_msghdr`): an interface's state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IfInfo {
    /// Its number.
    pub index: u16,
    /// `IFF_*`, of which the low sixteen are the same everywhere but for
    /// `IFF_RUNNING` and the like: up 1, broadcast 2, loopback 8,
    /// point-to-point 0x10, running 0x40, multicast 0x8000.
    pub flags: u32,
    /// `ifi_link_state`: 0 unknown, 1 down, 2 up.
    pub link_state: u8,
    /// Bytes.
    pub mtu: u32,
    /// `ifi_type` (`IFT_*`).
    pub kind: u8,
    /// Bytes of a link-layer address.
    pub address_length: u8,
}

impl IfInfo {
    /// Appends its bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        /// Where `struct if_data` begins, and how long it is.
        const DATA: usize = 16;
        const DATA_LENGTH: u16 = 152;

        bytes::message(
            out,
            RTM_IFINFO,
            IF_MSGHDR,
            |header| {
                put_u32(header, 8, self.flags);
                put_u16(header, 12, self.index);
                header[DATA] = self.kind;
                header[DATA + 2] = self.address_length;
                header[DATA + 4] = self.link_state;
                put_u16(header, DATA + 6, DATA_LENGTH);
                put_u32(header, DATA + 8, self.mtu);
            },
            |_| {},
        );
    }
}

/// `RTM_IFANNOUNCE` (`struct if_announcemsghdr`): an interface comes or goes.
/// One that is renamed goes under its old name and comes under the new one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IfAnnounce {
    /// Its number.
    pub index: u16,
    /// Its name; fifteen bytes count.
    pub name: String,
    /// It comes (`IFAN_ARRIVAL`), or goes.
    pub arrival: bool,
}

impl IfAnnounce {
    /// Appends its bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        /// `if_name`, with its terminating zero.
        const NAME: std::ops::Range<usize> = 6..22;

        bytes::message(
            out,
            RTM_IFANNOUNCE,
            IF_ANNOUNCEMSGHDR,
            |header| {
                put_u16(header, 4, self.index);
                let name = self.name.as_bytes();
                let name = &name[..name.len().min(NAME.len() - 1)];
                header[NAME][..name.len()].copy_from_slice(name);
                put_u16(header, 22, u16::from(!self.arrival));
            },
            |_| {},
        );
    }
}
