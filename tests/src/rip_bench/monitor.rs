//! The kernel's notifications about IPv4 routes: the moment at which a route is in
//! its table, for whoever puts it there.

use std::net::Ipv4Addr;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::time::Instant;

use anyhow::Context as _;
use ipnet::Ipv4Net;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
};

use crate::lab::Namespace;

/// `linux/rtnetlink.h`.
const RTMGRP_IPV4_ROUTE: u32 = 0x40;
const RTM_NEWROUTE: u16 = 24;
const RTA_DST: u16 = 1;
const RTA_GATEWAY: u16 = 5;
/// Sizes of nlmsghdr, rtmsg and rtattr.
const HEADER: usize = 16;
const RTMSG: usize = 12;
const ATTRIBUTE: usize = 4;

/// Hears of routes from its start on.
pub(super) struct RouteMonitor {
    netlink: OwnedFd,
}

/// A route that has been added or replaced.
#[derive(PartialEq, Eq, Debug)]
struct Added {
    prefix: Ipv4Net,
    gateway: Option<Ipv4Addr>,
}

impl RouteMonitor {
    pub(super) fn start(namespace: &Namespace) -> anyhow::Result<RouteMonitor> {
        namespace.enter(|| {
            let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
            let route = SockProtocol::NetlinkRoute;
            let netlink = socket(AddressFamily::Netlink, SockType::Raw, flags, route)?;
            bind(netlink.as_raw_fd(), &NetlinkAddr::new(0, RTMGRP_IPV4_ROUTE))?;
            Ok(RouteMonitor { netlink })
        })
    }

    /// Throws away what has been notified so far.
    pub(super) fn forget(&self) -> anyhow::Result<()> {
        while self.next()?.is_some() {}
        Ok(())
    }

    /// When the kernel says that packets to `prefix` go to `gateway`; `None`
    /// when it does not in time.
    pub(super) fn hears(
        &self,
        prefix: Ipv4Net,
        gateway: Ipv4Addr,
        until: Instant,
    ) -> anyhow::Result<Option<Instant>> {
        let wanted = Added {
            prefix,
            gateway: Some(gateway),
        };
        loop {
            while let Some(added) = self.next()? {
                let now = Instant::now();
                if added.contains(&wanted) {
                    return Ok(Some(now));
                }
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            // Rounded up, or the last millisecond would be spent spinning.
            let left = PollTimeout::try_from(left.as_millis() + 1)?;
            let mut descriptors = [PollFd::new(self.netlink.as_fd(), PollFlags::POLLIN)];
            match poll(&mut descriptors, left) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error).context("waiting for a notification"),
            }
        }
    }

    /// The routes of the next message; `None` when there is none.
    fn next(&self) -> anyhow::Result<Option<Vec<Added>>> {
        let mut message = [0; 65_536];
        match recv(self.netlink.as_raw_fd(), &mut message, MsgFlags::empty()) {
            Ok(length) => Ok(Some(parse(&message[..length]))),
            Err(Errno::EAGAIN) => Ok(None),
            Err(error) => Err(error).context("listening for routes"),
        }
    }
}

/// The routes that a datagram of netlink messages adds.
fn parse(mut bytes: &[u8]) -> Vec<Added> {
    let mut added = Vec::new();
    while let Some(length) = number32(bytes, 0) {
        let Some(message) = bytes.get(..length as usize) else {
            break;
        };
        if message.len() < HEADER {
            break;
        }
        added.extend(route(message));
        bytes = bytes.get(aligned(message.len())..).unwrap_or_default();
    }
    added
}

fn route(message: &[u8]) -> Option<Added> {
    if number16(message, 4)? != RTM_NEWROUTE {
        return None;
    }
    let length = *message.get(HEADER + 1)?;
    let (mut prefix, mut gateway) = (Ipv4Addr::UNSPECIFIED, None);
    let mut attributes = message.get(HEADER + RTMSG..)?;
    while let Some(size) = number16(attributes, 0) {
        let size = usize::from(size);
        let value = attributes.get(ATTRIBUTE..size)?;
        let address = <[u8; 4]>::try_from(value).map(Ipv4Addr::from);
        match (number16(attributes, 2)?, address) {
            (RTA_DST, Ok(address)) => prefix = address,
            (RTA_GATEWAY, Ok(address)) => gateway = Some(address),
            _ => {}
        }
        attributes = attributes.get(aligned(size)..).unwrap_or_default();
    }
    let prefix = Ipv4Net::new(prefix, length).ok()?;
    Some(Added { prefix, gateway })
}

fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

fn number16(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at + 2)?;
    Some(u16::from_ne_bytes(bytes.try_into().ok()?))
}

fn number32(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::{Added, HEADER, RTM_NEWROUTE, parse};

    /// nlmsghdr, rtmsg of a /24, RTA_DST and RTA_GATEWAY.
    fn message(kind: u16) -> Vec<u8> {
        let mut message = vec![0; HEADER];
        message.extend([2, 24, 0, 0, 254, 210, 0, 1, 0, 0, 0, 0]);
        for (attribute, address) in [(1_u16, [20, 0, 7, 0]), (5, [10, 0, 2, 2])] {
            message.extend(8_u16.to_ne_bytes());
            message.extend(attribute.to_ne_bytes());
            message.extend(address);
        }
        let length = u32::try_from(message.len()).unwrap();
        message[..4].copy_from_slice(&length.to_ne_bytes());
        message[4..6].copy_from_slice(&kind.to_ne_bytes());
        message
    }

    #[test]
    fn additions_are_told_from_deletions() {
        let deleted = RTM_NEWROUTE + 1;
        let both = [message(deleted), message(RTM_NEWROUTE)].concat();
        let expected = Added {
            prefix: "20.0.7.0/24".parse().unwrap(),
            gateway: Some(Ipv4Addr::new(10, 0, 2, 2)),
        };
        assert_eq!(parse(&both), [expected]);
    }

    #[test]
    fn a_message_cut_short_is_none() {
        let message = message(RTM_NEWROUTE);
        for length in 0..message.len() {
            assert_eq!(parse(&message[..length]), []);
        }
    }
}
