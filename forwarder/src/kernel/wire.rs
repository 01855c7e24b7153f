//! Netlink framing: cutting datagrams into messages and attributes, and
//! building requests.
//!
//! Used by every netlink socket of the daemon. Bytes come from the kernel, but
//! are checked as if they came from anybody: no length is believed before it
//! has been compared with what is there, and nothing here can panic.
//!
//! Why not netlink-packet-route: it has no next-hop objects and no NETCONF,
//! rejects a whole message for one attribute it does not understand, and
//! allocates for each attribute, which a dump of a full table pays for.
//!
//! Layouts: `include/uapi/linux/netlink.h`. Integers are in host byte order,
//! addresses in network byte order.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::family::NetlinkFamily;

/// Length of `struct nlmsghdr`.
pub(crate) const HEADER_LEN: usize = 16;
/// Length of `struct nlattr`.
const ATTRIBUTE_HEADER_LEN: usize = 4;
/// `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER` share the word with the type.
const ATTRIBUTE_TYPE_MASK: u16 = 0x3fff;
/// Everything is aligned to four bytes.
const ALIGN: usize = 4;

/// Why bytes were not understood. One variant a reason: it is the counter too.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Malformed {
    /// A message header claims more or less than there is.
    #[error("message length does not fit the datagram")]
    MessageLength,
    /// The fixed part of a message is cut short.
    #[error("message shorter than its fixed header")]
    ShortMessage,
    /// An attribute header claims more or less than there is.
    #[error("attribute length does not fit the message")]
    AttributeLength,
    /// An attribute's value has the wrong size for its type.
    #[error("attribute value has the wrong size")]
    ValueSize,
    /// A prefix length beyond the address.
    #[error("prefix length out of range")]
    PrefixLength,
    /// An attribute that the message makes no sense without is not there.
    #[error("a required attribute is missing")]
    Missing,
}

/// `struct nlmsghdr` without its length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    /// `nlmsg_type`.
    pub(crate) kind: u16,
    /// `nlmsg_flags`.
    pub(crate) flags: u16,
    /// `nlmsg_seq` of the request that caused it.
    pub(crate) sequence: u32,
    /// `nlmsg_pid` of the socket that caused it; 0 = the kernel itself.
    pub(crate) port: u32,
}

/// The first `N` bytes.
fn take<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.get(..N)?.try_into().ok()
}

/// A `u16` at an offset, host byte order.
pub(crate) fn u16_at(bytes: &[u8], offset: usize) -> Result<u16, Malformed> {
    bytes
        .get(offset..)
        .and_then(take)
        .map(u16::from_ne_bytes)
        .ok_or(Malformed::ShortMessage)
}

/// A `u32` at an offset, host byte order.
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> Result<u32, Malformed> {
    bytes
        .get(offset..)
        .and_then(take)
        .map(u32::from_ne_bytes)
        .ok_or(Malformed::ShortMessage)
}

/// A byte at an offset.
pub(crate) fn u8_at(bytes: &[u8], offset: usize) -> Result<u8, Malformed> {
    bytes.get(offset).copied().ok_or(Malformed::ShortMessage)
}

/// Everything behind a fixed header of `len` bytes.
pub(crate) fn after(bytes: &[u8], len: usize) -> Result<&[u8], Malformed> {
    bytes.get(len..).ok_or(Malformed::ShortMessage)
}

const fn aligned(len: usize) -> usize {
    (len + ALIGN - 1) & !(ALIGN - 1)
}

/// The messages of a datagram. Ends after the first malformed one.
pub(crate) struct Messages<'a> {
    rest: &'a [u8],
}

impl<'a> Messages<'a> {
    pub(crate) fn new(datagram: &'a [u8]) -> Self {
        Messages { rest: datagram }
    }

    fn split(&mut self) -> Result<(Header, &'a [u8]), Malformed> {
        let bytes = self.rest;
        let len = u32_at(bytes, 0).map_err(|_| Malformed::MessageLength)? as usize;
        let message = bytes.get(..len).filter(|_| len >= HEADER_LEN);
        let message = message.ok_or(Malformed::MessageLength)?;
        let header = Header {
            kind: u16_at(message, 4)?,
            flags: u16_at(message, 6)?,
            sequence: u32_at(message, 8)?,
            port: u32_at(message, 12)?,
        };
        self.rest = bytes.get(aligned(len)..).unwrap_or_default();
        Ok((header, after(message, HEADER_LEN)?))
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<(Header, &'a [u8]), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let message = self.split();
        if message.is_err() {
            self.rest = &[];
        }
        Some(message)
    }
}

/// One attribute (`struct nlattr`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attribute<'a> {
    /// Its type, flag bits removed.
    pub(crate) kind: u16,
    /// Its value.
    pub(crate) value: &'a [u8],
}

impl<'a> Attribute<'a> {
    fn exactly<const N: usize>(&self) -> Result<[u8; N], Malformed> {
        self.value.try_into().map_err(|_| Malformed::ValueSize)
    }

    pub(crate) fn u8(&self) -> Result<u8, Malformed> {
        self.exactly::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u32(&self) -> Result<u32, Malformed> {
        self.exactly().map(u32::from_ne_bytes)
    }

    /// An address of a family.
    pub(crate) fn address<F: NetlinkFamily>(&self) -> Result<F::Addr, Malformed> {
        F::read(self.value).ok_or(Malformed::ValueSize)
    }

    /// A `u32` in network byte order, as nfnetlink has them.
    pub(crate) fn be32(&self) -> Result<u32, Malformed> {
        self.exactly().map(u32::from_be_bytes)
    }

    pub(crate) fn ipv4(&self) -> Result<Ipv4Addr, Malformed> {
        self.exactly::<4>().map(Ipv4Addr::from)
    }

    /// An address of the family that its length says.
    pub(crate) fn ip(&self) -> Result<IpAddr, Malformed> {
        match self.value.len() {
            4 => self.ipv4().map(IpAddr::V4),
            _ => self.exactly::<16>().map(Ipv6Addr::from).map(IpAddr::V6),
        }
    }

    /// A link-layer address, if it has the length of an Ethernet one.
    pub(crate) fn mac(&self) -> Option<[u8; 6]> {
        self.value.try_into().ok()
    }

    /// A NUL-terminated string; bytes that are not UTF-8 are replaced.
    pub(crate) fn text(&self) -> String {
        let end = self
            .value
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(self.value.len());
        String::from_utf8_lossy(self.value.get(..end).unwrap_or_default()).into_owned()
    }

    pub(crate) fn nested(&self) -> Attributes<'a> {
        Attributes::new(self.value)
    }
}

/// The attributes of a message. Ends after the first malformed one.
pub(crate) struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Attributes { rest: bytes }
    }

    fn split(&mut self) -> Result<Attribute<'a>, Malformed> {
        let bytes = self.rest;
        let len = usize::from(u16_at(bytes, 0).map_err(|_| Malformed::AttributeLength)?);
        let kind = u16_at(bytes, 2).map_err(|_| Malformed::AttributeLength)?;
        let value = bytes
            .get(ATTRIBUTE_HEADER_LEN..len)
            .ok_or(Malformed::AttributeLength)?;
        self.rest = bytes.get(aligned(len)..).unwrap_or_default();
        Ok(Attribute {
            kind: kind & ATTRIBUTE_TYPE_MASK,
            value,
        })
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<Attribute<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let attribute = self.split();
        if attribute.is_err() {
            self.rest = &[];
        }
        Some(attribute)
    }
}

/// A request being built: type, flags and body; sequence number and length are
/// put in when it is appended to a send buffer.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// `nlmsg_type`.
    pub(crate) kind: u16,
    /// `nlmsg_flags` besides `NLM_F_REQUEST`.
    pub(crate) flags: u16,
    body: Vec<u8>,
}

impl Request {
    /// A request with this fixed header; `flags` as in libc.
    pub(crate) fn new(kind: u16, flags: libc::c_int, fixed: &[u8]) -> Self {
        let flags = u16::try_from(flags).unwrap_or_default();
        let mut request = Request {
            kind,
            flags,
            body: Vec::with_capacity(128),
        };
        request.body.extend_from_slice(fixed);
        request.pad();
        request
    }

    fn pad(&mut self) {
        self.body.resize(aligned(self.body.len()), 0);
    }

    /// Adds an attribute. A value beyond 64 KiB can't be said and is left out;
    /// no caller comes near.
    pub(crate) fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        let Ok(len) = u16::try_from(ATTRIBUTE_HEADER_LEN + value.len()) else {
            return self;
        };
        self.body.extend_from_slice(&len.to_ne_bytes());
        self.body.extend_from_slice(&kind.to_ne_bytes());
        self.body.extend_from_slice(value);
        self.pad();
        self
    }

    /// Adds a `u32` attribute in host byte order.
    pub(crate) fn u32(self, kind: u16, value: u32) -> Self {
        self.attribute(kind, &value.to_ne_bytes())
    }

    /// The body so far: what a nested attribute is made of.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Appends the complete message to a send buffer.
    pub(crate) fn append(&self, sequence: u32, extra_flags: libc::c_int, out: &mut Vec<u8>) {
        let len = u32::try_from(HEADER_LEN + self.body.len()).unwrap_or(u32::MAX);
        let extra = u16::try_from(extra_flags | libc::NLM_F_REQUEST).unwrap_or_default();
        out.extend_from_slice(&len.to_ne_bytes());
        out.extend_from_slice(&self.kind.to_ne_bytes());
        out.extend_from_slice(&(self.flags | extra).to_ne_bytes());
        out.extend_from_slice(&sequence.to_ne_bytes());
        out.extend_from_slice(&0u32.to_ne_bytes());
        out.extend_from_slice(&self.body);
    }
}

/// What `NLMSG_ERROR` and `NLMSG_DONE` say: 0 or a positive errno, and the
/// kernel's own words where it gives any (`NLMSGERR_ATTR_MSG`).
pub(crate) fn outcome(header: Header, payload: &[u8]) -> (i32, Option<String>) {
    /// `NLMSGERR_ATTR_MSG`.
    const MESSAGE: u16 = 1;
    let code = u32_at(payload, 0).map_or(0, |word| word.cast_signed().wrapping_neg().max(0));
    // Without NLM_F_CAPPED the request is echoed between the code and the
    // attributes; DONE has no echo.
    let echoed = i32::from(header.kind) == libc::NLMSG_ERROR;
    let skip = match (echoed, i32::from(header.flags) & libc::NLM_F_CAPPED != 0) {
        (false, _) => 4,
        (true, true) => 4 + HEADER_LEN,
        (true, false) => 4 + aligned(u32_at(payload, 4).map_or(0, |len| len as usize)),
    };
    let attributes = Attributes::new(payload.get(skip..).unwrap_or_default());
    let text = attributes
        .flatten()
        .find(|attribute| attribute.kind == MESSAGE);
    (
        code,
        text.map(|attribute| attribute.text())
            .filter(|text| !text.is_empty()),
    )
}

#[cfg(test)]
mod tests;
