//! What the daemon sends, read byte by byte.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context as _, ensure};

use super::number::*;

/// A message as it came.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    bytes: Vec<u8>,
}

/// A sockaddr_dl.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Link {
    /// `sdl_index`.
    pub ifindex: u16,
    /// `sdl_data`, the name.
    pub name: String,
    /// `sdl_data`, the address.
    pub lladdr: Vec<u8>,
}

impl Message {
    /// Takes a packet that holds one message.
    ///
    /// # Errors
    /// It does not.
    pub fn parse(bytes: Vec<u8>) -> anyhow::Result<Message> {
        ensure!(bytes.len() >= 4, "a packet of {} bytes", bytes.len());
        let message = Message { bytes };
        ensure!(
            usize::from(message.u16(0)) == message.bytes.len(),
            "rtm_msglen is {} in a packet of {} bytes",
            message.u16(0),
            message.bytes.len()
        );
        ensure!(message.bytes[2] == VERSION, "version {}", message.bytes[2]);
        if message.is_route() {
            ensure!(message.bytes.len() >= HEADER, "a header cut short");
            ensure!(message.u16(6) == 0, "_rtm_spare1 is {}", message.u16(6));
            // Each address can be reached, and nothing is left over.
            message.walk()?;
        }
        Ok(message)
    }

    fn u16(&self, offset: usize) -> u16 {
        let bytes = self.bytes.get(offset..offset + 2);
        bytes.map_or(0, |bytes| u16::from_ne_bytes([bytes[0], bytes[1]]))
    }

    fn u32(&self, offset: usize) -> u32 {
        let bytes = self.bytes.get(offset..offset + 4);
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u32::from_ne_bytes)
    }

    fn i32(&self, offset: usize) -> i32 {
        self.u32(offset).cast_signed()
    }

    /// A metric.
    pub fn metric(&self, offset: usize) -> u64 {
        let bytes = self.bytes.get(offset..offset + 8);
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u64::from_ne_bytes)
    }

    /// Bytes of the message.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// `rtm_type`.
    pub fn kind(&self) -> u8 {
        self.bytes[3]
    }

    /// Whether it has a `struct rt_msghdr`.
    pub fn is_route(&self) -> bool {
        (RTM_ADD..=RTM_LOCK).contains(&self.kind())
            || [RTM_RESOLVE, RTM_EXPORT_FAILED].contains(&self.kind())
    }

    /// `rtm_index`; of every kind but those of addresses and arrivals.
    pub fn index(&self) -> u16 {
        self.u16(4)
    }

    /// `rtm_flags`.
    pub fn flags(&self) -> u32 {
        self.u32(8)
    }

    /// `rtm_addrs`, of `struct rt_msghdr`.
    pub fn addrs(&self) -> u32 {
        self.u32(12)
    }

    /// `rtm_pid`.
    pub fn pid(&self) -> i32 {
        self.i32(16)
    }

    /// `rtm_seq`.
    pub fn seq(&self) -> i32 {
        self.i32(20)
    }

    /// `rtm_errno`.
    pub fn errno(&self) -> i32 {
        self.i32(24)
    }

    /// The errno of the answer to a greeting.
    pub fn greeting_errno(&self) -> i32 {
        self.i32(12)
    }

    /// `rtm_inits`.
    pub fn inits(&self) -> u64 {
        self.metric(32)
    }

    /// Where the sockaddrs of `struct rt_msghdr` and `struct ifa_msghdr` begin,
    /// and which there are.
    fn addresses(&self) -> (usize, u32) {
        match self.kind() {
            RTM_NEWADDR | RTM_DELADDR => (20, self.u32(4)),
            _ => (HEADER, self.addrs()),
        }
    }

    fn walk(&self) -> anyhow::Result<Vec<(u32, &[u8])>> {
        let (mut at, bits) = self.addresses();
        let mut found = Vec::new();
        for bit in (0..8).map(|bit| 1 << bit).filter(|bit| bits & bit != 0) {
            let rest = self.bytes.get(at..).unwrap_or_default();
            let length = usize::from(*rest.first().context("a sockaddr is missing")?);
            let padded = length.next_multiple_of(8).max(8);
            let sockaddr = rest.get(..length).context("a sockaddr is cut short")?;
            found.push((bit, sockaddr));
            at += padded;
        }
        ensure!(
            at >= self.bytes.len() && at <= self.bytes.len().next_multiple_of(8),
            "{} bytes follow the addresses of {:?}",
            self.bytes.len().saturating_sub(at),
            self.bytes
        );
        Ok(found)
    }

    fn sockaddr(&self, bit: u32) -> Option<&[u8]> {
        let all = self.walk().ok()?;
        all.into_iter()
            .find_map(|(found, bytes)| (found == bit).then_some(bytes))
    }

    /// The address in a place.
    pub fn ip(&self, bit: u32) -> Option<IpAddr> {
        let bytes = self.sockaddr(bit)?;
        match (*bytes.get(1)?, bytes.len()) {
            (AF_INET, 16) => {
                let octets: [u8; 4] = bytes[4..8].try_into().ok()?;
                Some(Ipv4Addr::from(octets).into())
            }
            (AF_INET6, 28) => {
                let octets: [u8; 16] = bytes[8..24].try_into().ok()?;
                Some(Ipv6Addr::from(octets).into())
            }
            _ => None,
        }
    }

    /// The link-layer address in a place.
    pub fn link(&self, bit: u32) -> Option<Link> {
        let bytes = self.sockaddr(bit)?;
        if bytes.len() < 8 || bytes[1] != AF_LINK {
            return None;
        }
        let (name, lladdr) = (usize::from(bytes[5]), usize::from(bytes[6]));
        let data = &bytes[8..];
        Some(Link {
            ifindex: u16::from_ne_bytes([bytes[2], bytes[3]]),
            name: String::from_utf8_lossy(data.get(..name)?).into_owned(),
            lladdr: data.get(name..name + lladdr)?.to_vec(),
        })
    }

    /// Destination and mask as people write them.
    pub fn prefix(&self) -> Option<String> {
        let destination = self.ip(RTA_DST)?;
        match self.ip(RTA_NETMASK) {
            Some(mask) => {
                let net = ipnet::IpNet::with_netmask(destination, mask).ok()?;
                Some(net.to_string())
            }
            None => Some(destination.to_string()),
        }
    }

    /// `RTA_GATEWAY` as text.
    pub fn gateway(&self) -> Option<String> {
        let gateway = self.ip(RTA_GATEWAY)?;
        Some(gateway.to_string())
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("kind", &self.kind())
            .field("length", &self.bytes.len())
            .field("index", &self.index())
            .field("flags", &format_args!("{:#x}", self.flags()))
            .field("pid", &self.pid())
            .field("seq", &self.seq())
            .field("errno", &self.errno())
            .field("inits", &format_args!("{:#x}", self.inits()))
            .field("prefix", &self.prefix())
            .field("gateway", &self.ip(RTA_GATEWAY))
            .field("link", &self.link(RTA_GATEWAY))
            .finish_non_exhaustive()
    }
}
