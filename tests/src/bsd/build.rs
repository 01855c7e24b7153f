//! Requests, byte by byte.

use std::net::IpAddr;

use anyhow::Context as _;
use ipnet::IpNet;

use super::number::*;

/// A request under construction.
#[derive(Clone, Debug)]
pub struct Request {
    header: [u8; HEADER],
    /// By bit of `rtm_addrs`, padded.
    addresses: [Option<Vec<u8>>; 8],
}

impl Request {
    /// A request of a type, with nothing in it.
    pub fn new(kind: u8) -> Request {
        let mut header = [0; HEADER];
        header[2] = VERSION;
        header[3] = kind;
        Request {
            header,
            addresses: Default::default(),
        }
    }

    /// `RTM_ADD` of a static route through a gateway.
    ///
    /// # Errors
    /// An address is none.
    pub fn add(prefix: &str, gateway: &str) -> anyhow::Result<Request> {
        Request::new(RTM_ADD)
            .prefix(prefix)?
            .gateway(gateway)
            .map(|request| request.flags(RTF_GATEWAY | RTF_STATIC))
    }

    /// `RTM_DELETE`.
    ///
    /// # Errors
    /// The prefix is none.
    pub fn delete(prefix: &str) -> anyhow::Result<Request> {
        Request::new(RTM_DELETE).prefix(prefix)
    }

    /// `RTM_CHANGE`.
    ///
    /// # Errors
    /// The prefix is none.
    pub fn change(prefix: &str) -> anyhow::Result<Request> {
        Request::new(RTM_CHANGE).prefix(prefix)
    }

    /// `RTM_GET` of exactly this prefix.
    ///
    /// # Errors
    /// The prefix is none.
    pub fn get(prefix: &str) -> anyhow::Result<Request> {
        Request::new(RTM_GET).prefix(prefix)
    }

    /// `RTM_GET` of the longest match of an address.
    ///
    /// # Errors
    /// The address is none.
    pub fn lookup(address: &str) -> anyhow::Result<Request> {
        Request::new(RTM_GET).destination(address)
    }

    /// Destination and netmask, host bits kept.
    ///
    /// # Errors
    /// It is no prefix.
    pub fn prefix(self, prefix: &str) -> anyhow::Result<Request> {
        let net: IpNet = prefix.parse().with_context(|| format!("{prefix:?}"))?;
        let request = self.destination(&net.addr().to_string())?;
        Ok(request.raw(RTA_NETMASK, &ip(net.netmask())))
    }

    /// The destination alone.
    ///
    /// # Errors
    /// It is no address.
    pub fn destination(self, address: &str) -> anyhow::Result<Request> {
        let address: IpAddr = address.parse().with_context(|| format!("{address:?}"))?;
        Ok(self.raw(RTA_DST, &ip(address)))
    }

    /// The gateway's address.
    ///
    /// # Errors
    /// It is no address.
    pub fn gateway(self, address: &str) -> anyhow::Result<Request> {
        let address: IpAddr = address.parse().with_context(|| format!("{address:?}"))?;
        Ok(self.raw(RTA_GATEWAY, &ip(address)))
    }

    /// `RTA_IFP` by number.
    pub fn interface(self, ifindex: u16) -> Request {
        self.raw(RTA_IFP, &link(ifindex, "", &[]))
    }

    /// `RTA_IFA`.
    ///
    /// # Errors
    /// It is no address.
    pub fn interface_address(self, address: &str) -> anyhow::Result<Request> {
        let address: IpAddr = address.parse().with_context(|| format!("{address:?}"))?;
        Ok(self.raw(RTA_IFA, &ip(address)))
    }

    /// Bytes of a sockaddr in a place, padded to the next eight.
    pub fn raw(mut self, bit: u32, sockaddr: &[u8]) -> Request {
        let mut bytes = sockaddr.to_vec();
        bytes.resize(bytes.len().next_multiple_of(8).max(8), 0);
        self.addresses[bit.trailing_zeros() as usize] = Some(bytes);
        self
    }

    /// Leaves an address out.
    pub fn without(mut self, bit: u32) -> Request {
        self.addresses[bit.trailing_zeros() as usize] = None;
        self
    }

    /// `rtm_flags`.
    pub fn flags(self, flags: u32) -> Request {
        self.set(8, &flags.to_ne_bytes())
    }

    /// `rtm_seq`.
    pub fn seq(self, seq: i32) -> Request {
        self.set(20, &seq.to_ne_bytes())
    }

    /// `rtm_fmask`.
    pub fn flag_mask(self, mask: u32) -> Request {
        self.set(28, &mask.to_ne_bytes())
    }

    /// A metric with its bit in `rtm_inits`.
    pub fn metric(self, offset: usize, bit: u64, value: u64) -> Request {
        let inits = u64::from_ne_bytes(self.header[32..40].try_into().unwrap_or_default());
        self.set(32, &(inits | bit).to_ne_bytes())
            .set(offset, &value.to_ne_bytes())
    }

    /// `rmx_locks`.
    pub fn locks(self, locks: u64) -> Request {
        self.set(RMX_LOCKS, &locks.to_ne_bytes())
    }

    /// Bytes of the header, wherever they are.
    pub fn set(mut self, offset: usize, bytes: &[u8]) -> Request {
        self.header[offset..offset + bytes.len()].copy_from_slice(bytes);
        self
    }

    /// The packet; bits asked for by `wants` have no sockaddr.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bits = u32::from_ne_bytes(self.header[12..16].try_into().unwrap_or_default());
        let mut packet = self.header.to_vec();
        for (bit, address) in self.addresses.iter().enumerate() {
            if let Some(address) = address {
                bits |= 1 << bit;
                packet.extend_from_slice(address);
            }
        }
        let length = u16::try_from(packet.len()).unwrap_or(u16::MAX);
        packet[..2].copy_from_slice(&length.to_ne_bytes());
        packet[12..16].copy_from_slice(&bits.to_ne_bytes());
        packet
    }
}

/// A sockaddr_in or sockaddr_in6.
pub fn ip(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => {
            let mut bytes = vec![16, AF_INET, 0, 0];
            bytes.extend_from_slice(&address.octets());
            bytes.resize(16, 0);
            bytes
        }
        IpAddr::V6(address) => {
            let mut bytes = vec![28, AF_INET6, 0, 0, 0, 0, 0, 0];
            bytes.extend_from_slice(&address.octets());
            bytes.resize(28, 0);
            bytes
        }
    }
}

/// A sockaddr_dl.
pub fn link(ifindex: u16, name: &str, lladdr: &[u8]) -> Vec<u8> {
    let mut bytes = vec![54, AF_LINK];
    bytes.extend_from_slice(&ifindex.to_ne_bytes());
    // IFT_ETHER
    bytes.push(6);
    bytes.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    bytes.push(u8::try_from(lladdr.len()).unwrap_or(u8::MAX));
    bytes.push(0);
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(lladdr);
    bytes.resize(54, 0);
    bytes
}

/// Our own greeting: every family, every type, no name.
pub fn greeting(mode: u8, flags: u32) -> Vec<u8> {
    let mut bytes = extension(RTM_GREETING, 40);
    bytes[4..8].copy_from_slice(&1_u32.to_ne_bytes());
    bytes[12..16].copy_from_slice(&flags.to_ne_bytes());
    bytes[17] = mode;
    bytes
}

/// A greeting with a name, of a client that listens to everything.
pub fn named(name: &str) -> Vec<u8> {
    let mut bytes = greeting(0, 0);
    let length = u8::try_from(name.len()).expect("a short name");
    bytes[18..20].copy_from_slice(&u16::from(length).to_ne_bytes());
    bytes.extend_from_slice(name.as_bytes());
    let length = u16::try_from(bytes.len()).expect("a short message");
    bytes[..2].copy_from_slice(&length.to_ne_bytes());
    bytes
}

/// Asks for the table, and for what follows it.
pub fn resync(seq: i32) -> Vec<u8> {
    let mut bytes = extension(RTM_DUMP, 24);
    bytes[8..12].copy_from_slice(&seq.to_ne_bytes());
    bytes[12..16].copy_from_slice(&1_u32.to_ne_bytes());
    bytes
}

fn extension(kind: u8, length: u8) -> Vec<u8> {
    let mut bytes = vec![0; usize::from(length)];
    bytes[..2].copy_from_slice(&u16::from(length).to_ne_bytes());
    (bytes[2], bytes[3]) = (VERSION, kind);
    bytes
}
