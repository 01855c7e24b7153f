//! What a client reads: the daemon's messages, one after the other.

use std::net::IpAddr;

use ipnet::IpNet;
use thiserror::Error;

use super::bytes::{i32_at, u16_at, u32_at, u64_at};
use super::extension::{Ack, Desync, DumpEnd, GreetingReply};
use super::message::{IfAddr, IfAnnounce, IfInfo, RouteMessage};
use super::number::*;
use super::sockaddr::Addresses;
use super::{Errno, Metrics};

/// A message of the daemon.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, on the stack; a box would be an allocation each"
)]
pub enum Message {
    /// Everything with a `struct rt_msghdr`: replies and copies, LOSING,
    /// REDIRECT, MISS and RESOLVE, [`RTM_EXPORT_FAILED`], answers to holds.
    Route(RouteMessage),
    /// An address has come or gone.
    IfAddr(IfAddr),
    /// An interface's state.
    IfInfo(IfInfo),
    /// An interface has come or gone.
    IfAnnounce(IfAnnounce),
    /// The answer to a greeting.
    GreetingReply(GreetingReply),
    /// Something was not told.
    Desync(Desync),
    /// The end of a dump.
    DumpEnd(DumpEnd),
    /// What became of a batch.
    BatchReply(Ack),
    /// What became of a request.
    Ack(Ack),
    /// Of a type that is not known here.
    Unknown(u8),
}

/// Bytes that are no message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Garbled {
    /// A message is longer than what there is of it, or shorter than its type.
    #[error("a message of type {kind:#x} is cut short: {length} bytes")]
    Short {
        /// `rtm_type`.
        kind: u8,
        /// Bytes there are.
        length: usize,
    },
    /// Another version.
    #[error("routing message version {0} not understood")]
    Version(u8),
    /// Its addresses make no sense.
    #[error("the addresses of a message of type {0:#x} make no sense")]
    Addresses(u8),
}

/// Reads the first message of `bytes`, and tells its length.
///
/// # Errors
/// It is none.
pub fn read(bytes: &[u8]) -> Result<(Message, usize), Garbled> {
    let kind = bytes.get(offset::TYPE).copied().unwrap_or(0);
    let short = Garbled::Short {
        kind,
        length: bytes.len(),
    };
    let length = usize::from(u16_at(bytes, offset::MSGLEN));
    if length < 4 {
        return Err(short);
    }
    let bytes = bytes.get(..length).ok_or(short)?;
    if bytes[offset::VERSION] != RTM_VERSION {
        return Err(Garbled::Version(bytes[offset::VERSION]));
    }
    let least = match kind {
        RTM_NEWADDR | RTM_DELADDR => IFA_MSGHDR,
        RTM_IFINFO => IF_MSGHDR,
        RTM_IFANNOUNCE => IF_ANNOUNCEMSGHDR,
        RTM_GREETING_REPLY => GreetingReply::LENGTH,
        RTM_DUMP_END => DumpEnd::LENGTH,
        RTM_BATCH_COMMIT | RTM_ACK => Ack::LENGTH,
        RTM_ADD..=RTM_LOCK
        | RTM_RESOLVE
        | RTM_REFUSED
        | RTM_DESYNC
        | RTM_EXPORT_FAILED
        | RTM_HOLD
        | RTM_RELEASE => RT_MSGHDR,
        _ => return Ok((Message::Unknown(kind), length)),
    };
    if length < least {
        return Err(short);
    }
    let message = match kind {
        RTM_NEWADDR | RTM_DELADDR => if_addr(bytes).map(Message::IfAddr),
        RTM_IFINFO => Ok(Message::IfInfo(if_info(bytes))),
        RTM_IFANNOUNCE => Ok(Message::IfAnnounce(if_announce(bytes))),
        RTM_GREETING_REPLY => Ok(Message::GreetingReply(GreetingReply::read(bytes))),
        RTM_DUMP_END => Ok(Message::DumpEnd(DumpEnd::read(bytes))),
        RTM_BATCH_COMMIT => Ok(Message::BatchReply(Ack::read(bytes))),
        RTM_ACK => Ok(Message::Ack(Ack::read(bytes))),
        RTM_DESYNC => Ok(Message::Desync(Desync::read(bytes))),
        _ => route(bytes).map(Message::Route),
    };
    message
        .map(|message| (message, length))
        .map_err(|_| Garbled::Addresses(kind))
}

fn route(bytes: &[u8]) -> Result<RouteMessage, Errno> {
    let addresses = Addresses::split(&bytes[RT_MSGHDR..], u32_at(bytes, offset::ADDRS))?;
    let destination = match addresses.ip(RTA_DST)? {
        None => None,
        Some(address) => Some(net(address, addresses.mask(address)?)?),
    };
    let family = destination.map_or(IpAddr::from([0; 4]), |net| net.addr());
    Ok(RouteMessage {
        kind: bytes[offset::TYPE],
        index: u16_at(bytes, offset::INDEX),
        flags: u32_at(bytes, offset::FLAGS),
        pid: i32_at(bytes, offset::PID),
        seq: i32_at(bytes, offset::SEQ),
        errno: Errno::read(i32_at(bytes, offset::ERRNO)),
        uses: u32_at(bytes, offset::FMASK),
        inits: u64_at(bytes, offset::INITS),
        metrics: Metrics::read(bytes),
        destination,
        gateway: addresses.gateway()?,
        genmask: addresses.generated(family)?,
        ifp: addresses.link(RTA_IFP)?,
        ifa: addresses.ip(RTA_IFA)?,
        author: addresses.ip(RTA_AUTHOR)?,
        peer: addresses.ip(RTA_BRD)?,
    })
}

fn net(address: IpAddr, length: Option<u8>) -> Result<IpNet, Errno> {
    match length {
        None => Ok(address.into()),
        Some(length) => IpNet::new(address, length).map_err(|_| Errno::Einval),
    }
}

fn if_addr(bytes: &[u8]) -> Result<IfAddr, Errno> {
    let addresses = Addresses::split(&bytes[IFA_MSGHDR..], u32_at(bytes, 4))?;
    let address = addresses.ip(RTA_IFA)?.ok_or(Errno::Einval)?;
    let interface = addresses.link(RTA_IFP)?.unwrap_or_default();
    Ok(IfAddr {
        added: bytes[offset::TYPE] == RTM_NEWADDR,
        interface,
        address: net(address, addresses.mask(address)?)?,
        broadcast: addresses.ip(RTA_BRD)?,
    })
}

fn if_info(bytes: &[u8]) -> IfInfo {
    IfInfo {
        index: u16_at(bytes, 12),
        flags: u32_at(bytes, 8),
        link_state: bytes[20],
        mtu: u32_at(bytes, 24),
        kind: bytes[16],
        address_length: bytes[18],
    }
}

fn if_announce(bytes: &[u8]) -> IfAnnounce {
    let name = &bytes[6..22];
    let end = name.iter().position(|byte| *byte == 0);
    IfAnnounce {
        index: u16_at(bytes, 4),
        name: String::from_utf8_lossy(&name[..end.unwrap_or(name.len())]).into_owned(),
        arrival: u16_at(bytes, 22) == 0,
    }
}
