//! Our own messages: what sockets of a kernel have options, errnos and
//! `sysctl(2)` for. `docs/route-socket.md` has their layouts as tables.

use super::Errno;
use super::bytes::{self, i32_at, put_i32, put_u32, put_u64, u16_at, u32_at, u64_at};
use super::number::*;
use super::request::ClientMessage;

/// Where the sequence number of our own requests and replies is.
pub const SEQ: usize = 8;
/// Where the errno of our own replies is.
const ERRNO: usize = 12;

/// The protocol as it is here; a greeting of a later one is answered with it.
pub const REVISION: u32 = 1;

/// Bytes of a greeting before the name.
const GREETING: usize = 40;
/// The longest name.
pub const NAME_MAX: usize = 32;
/// Bytes of the short requests.
const SHORT: usize = 24;

/// No copies of what this client has caused (`SO_USELOOPBACK` off).
pub const NO_OWN_COPIES: u32 = 0x1;
/// Nothing but replies.
pub const NO_LISTEN: u32 = 0x2;
/// Packets may hold several messages.
pub const PACKED: u32 = 0x4;
/// Acknowledgements come on a socket of their own, whose descriptor comes with
/// the reply.
pub const ACK_CHANNEL: u32 = 0x8;
/// They come when the fast path has the change.
pub const WAIT_XDP: u32 = 0x10;
/// It hears the answers to others' questions, and their failures, as the manual
/// page has it.
pub const CLASSIC_COPIES: u32 = 0x20;
/// All that there are; a greeting with another is refused.
pub const GREETING_FLAGS: u32 =
    NO_OWN_COPIES | NO_LISTEN | PACKED | ACK_CHANNEL | WAIT_XDP | CLASSIC_COPIES;

/// What becomes of messages that a listener is too slow for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    /// A short queue; what does not fit is lost, and a marker says so.
    #[default]
    Classic,
    /// The same, and the marker has `ENOBUFS`, for the library to return once.
    Error,
    /// Nothing is lost while the journal reaches back; then a marker.
    Reliable,
}

impl Mode {
    const ALL: [Mode; 3] = [Mode::Classic, Mode::Error, Mode::Reliable];
}

/// Who a client is and what it wants to hear.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Greeting {
    /// The client's number for it.
    pub seq: i32,
    /// The protocol's revision that the client speaks.
    pub revision: u32,
    /// [`NO_OWN_COPIES`] and the others.
    pub flags: u32,
    /// `AF_*`; [`AF_UNSPEC`] = all.
    pub family: u8,
    /// See there.
    pub mode: Mode,
    /// Seconds that the client's routes outlive its last connection; with a
    /// name alone.
    pub stale_time: u32,
    /// Bit n = messages of type n are wanted; 0 = all.
    pub types: u64,
    /// Registers its routes under this name; empty = they are nobody's and
    /// stay for good.
    pub name: String,
}

impl Greeting {
    /// Appends its bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let name = self.name.as_bytes();
        let name = &name[..name.len().min(NAME_MAX)];
        bytes::message(
            out,
            RTM_GREETING,
            GREETING,
            |header| {
                put_u32(header, 4, self.revision);
                put_i32(header, SEQ, self.seq);
                put_u32(header, 12, self.flags);
                header[16] = self.family;
                header[17] = self.mode as u8;
                bytes::put_u16(header, 18, u16::try_from(name.len()).unwrap_or(0));
                put_u32(header, 20, self.stale_time);
                put_u64(header, 24, self.types);
            },
            |out| out.extend_from_slice(name),
        );
    }

    fn read(bytes: &[u8]) -> Result<Greeting, Errno> {
        let length = usize::from(u16_at(bytes, 18));
        let strange = u32_at(bytes, 12) & !GREETING_FLAGS;
        if bytes.len() != GREETING + length || length > NAME_MAX || strange != 0 {
            return Err(Errno::Einval);
        }
        let family = bytes[16];
        if !matches!(family, AF_UNSPEC | AF_INET | AF_INET6) {
            return Err(Errno::Eafnosupport);
        }
        let mode = Mode::ALL.get(usize::from(bytes[17]));
        let name = std::str::from_utf8(&bytes[GREETING..]).map_err(|_| Errno::Einval)?;
        if name.chars().any(char::is_control) {
            return Err(Errno::Einval);
        }
        Ok(Greeting {
            seq: i32_at(bytes, SEQ),
            revision: u32_at(bytes, 4),
            flags: u32_at(bytes, 12),
            family,
            mode: *mode.ok_or(Errno::Einval)?,
            stale_time: u32_at(bytes, 20),
            types: u64_at(bytes, 24),
            name: name.to_owned(),
        })
    }
}

/// A state of both families' tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Generations {
    /// Of this life of the daemon.
    pub epoch: u64,
    /// Of IPv4.
    pub ipv4: u64,
    /// Of IPv6.
    pub ipv6: u64,
}

/// The answer to a greeting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GreetingReply {
    /// The greeting's.
    pub seq: i32,
    /// Why it is refused.
    pub errno: Option<Errno>,
    /// What the daemon speaks.
    pub revision: u32,
    /// Copies begin after this.
    pub at: Generations,
    /// The largest packet it takes, in bytes.
    pub max_packet: u32,
    /// Requests that may be unanswered at a time.
    pub window: u32,
}

impl GreetingReply {
    /// Bytes of it.
    pub(super) const LENGTH: usize = 48;

    /// Appends its bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        bytes::message(
            out,
            RTM_GREETING_REPLY,
            Self::LENGTH,
            |header| {
                put_u32(header, 4, self.revision);
                put_i32(header, SEQ, self.seq);
                put_i32(header, ERRNO, self.errno.map_or(0, Errno::number));
                put_generations(header, 16, self.at);
                put_u32(header, 40, self.max_packet);
                put_u32(header, 44, self.window);
            },
            |_| {},
        );
    }

    pub(super) fn read(bytes: &[u8]) -> GreetingReply {
        GreetingReply {
            seq: i32_at(bytes, SEQ),
            errno: Errno::read(i32_at(bytes, ERRNO)),
            revision: u32_at(bytes, 4),
            at: generations(bytes, 16),
            max_packet: u32_at(bytes, 40),
            window: u32_at(bytes, 44),
        }
    }
}

fn put_generations(header: &mut [u8], offset: usize, at: Generations) {
    put_u64(header, offset, at.epoch);
    put_u64(header, offset + 8, at.ipv4);
    put_u64(header, offset + 16, at.ipv6);
}

fn generations(bytes: &[u8], offset: usize) -> Generations {
    Generations {
        epoch: u64_at(bytes, offset),
        ipv4: u64_at(bytes, offset + 8),
        ipv6: u64_at(bytes, offset + 16),
    }
}

/// What to dump (`NET_RT_*`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DumpKind {
    /// All routes (`NET_RT_DUMP`).
    Table,
    /// Those with any of these flags (`NET_RT_FLAGS`).
    Flags(u32),
    /// Interfaces and their addresses (`NET_RT_IFLIST`).
    Interfaces,
}

/// Asks for a dump.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dump {
    /// The client's number for it.
    pub seq: i32,
    /// What.
    pub kind: DumpKind,
    /// `AF_*`; [`AF_UNSPEC`] = all.
    pub family: u8,
    /// Copies go on from the dump's own state, with no gap and no repetition:
    /// how a listener starts, and starts over.
    pub live_tail: bool,
}

impl Dump {
    /// Appends its bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (kind, flags) = match self.kind {
            DumpKind::Table => (0, 0),
            DumpKind::Flags(flags) => (1, flags),
            DumpKind::Interfaces => (2, 0),
        };
        bytes::message(
            out,
            RTM_DUMP,
            SHORT,
            |header| {
                put_u32(header, 4, kind);
                put_i32(header, SEQ, self.seq);
                put_u32(header, 12, u32::from(self.live_tail));
                header[16] = self.family;
                put_u32(header, 20, flags);
            },
            |_| {},
        );
    }

    fn read(bytes: &[u8]) -> Result<Dump, Errno> {
        let kind = match u32_at(bytes, 4) {
            0 => DumpKind::Table,
            1 => DumpKind::Flags(u32_at(bytes, 20)),
            2 => DumpKind::Interfaces,
            _ => return Err(Errno::Eopnotsupp),
        };
        let family = bytes[16];
        if !matches!(family, AF_UNSPEC | AF_INET | AF_INET6) {
            return Err(Errno::Eafnosupport);
        }
        Ok(Dump {
            seq: i32_at(bytes, SEQ),
            kind,
            family,
            live_tail: u32_at(bytes, 12) & 1 != 0,
        })
    }
}

/// A short request that is all sequence number.
pub fn batch_begin(seq: i32, out: &mut Vec<u8>) {
    let fill = |header: &mut [u8]| put_i32(header, SEQ, seq);
    bytes::message(out, RTM_BATCH_BEGIN, SHORT, fill, |_| {});
}

/// Likewise.
pub fn batch_commit(seq: i32, out: &mut Vec<u8>) {
    let fill = |header: &mut [u8]| put_i32(header, SEQ, seq);
    bytes::message(out, RTM_BATCH_COMMIT, SHORT, fill, |_| {});
}

/// The end of a dump.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DumpEnd {
    /// The request's.
    pub seq: i32,
    /// Why there is no more.
    pub errno: Option<Errno>,
    /// The state that was dumped.
    pub at: Generations,
}

impl DumpEnd {
    pub(super) const LENGTH: usize = 40;

    /// Appends its bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let fill = |header: &mut [u8]| {
            put_i32(header, SEQ, self.seq);
            put_i32(header, ERRNO, self.errno.map_or(0, Errno::number));
            put_generations(header, 16, self.at);
        };
        bytes::message(out, RTM_DUMP_END, Self::LENGTH, fill, |_| {});
    }

    pub(super) fn read(bytes: &[u8]) -> DumpEnd {
        DumpEnd {
            seq: i32_at(bytes, SEQ),
            errno: Errno::read(i32_at(bytes, ERRNO)),
            at: generations(bytes, 16),
        }
    }
}

/// What became of a request or a batch: on the channel for acknowledgements,
/// and as the reply to [`RTM_BATCH_COMMIT`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ack {
    /// The request's, or the commit's.
    pub seq: i32,
    /// Why it failed; `None` = done.
    pub errno: Option<Errno>,
    /// Of a batch: which of its requests was refused, from 0.
    pub index: u32,
    /// The state with the change in it: of the family that it is about.
    pub epoch: u64,
    /// Likewise.
    pub generation: u64,
}

impl Ack {
    /// Bytes of it.
    pub const LENGTH: usize = 40;

    /// Appends its bytes, as an acknowledgement.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.encode_as(RTM_ACK, out);
    }

    /// Appends its bytes, as the reply to a commit.
    pub fn encode_as(&self, kind: u8, out: &mut Vec<u8>) {
        let fill = |header: &mut [u8]| {
            put_i32(header, SEQ, self.seq);
            put_i32(header, ERRNO, self.errno.map_or(0, Errno::number));
            put_u32(header, 16, self.index);
            put_u64(header, 24, self.epoch);
            put_u64(header, 32, self.generation);
        };
        bytes::message(out, kind, Self::LENGTH, fill, |_| {});
    }

    pub(super) fn read(bytes: &[u8]) -> Ack {
        Ack {
            seq: i32_at(bytes, SEQ),
            errno: Errno::read(i32_at(bytes, ERRNO)),
            index: u32_at(bytes, 16),
            epoch: u64_at(bytes, 24),
            generation: u64_at(bytes, 32),
        }
    }
}

/// The marker in the stream of a listener that was too slow: what lies between
/// these states it was not told. A `struct rt_msghdr`, so that every reader can
/// skip it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Desync {
    /// [`Mode::Error`]: the library fails one read.
    pub errno: Option<Errno>,
    /// The last state that it was told of.
    pub told: Generations,
    /// The state that it is told from.
    pub from: Generations,
}

impl Desync {
    /// Appends its bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let fill = |header: &mut [u8]| {
            let errno = self.errno.map_or(0, Errno::number);
            put_i32(header, offset::ERRNO, errno);
            put_generations(header, offset::MTU, self.told);
            put_generations(header, offset::RECVPIPE, self.from);
        };
        bytes::message(out, RTM_DESYNC, RT_MSGHDR, fill, |_| {});
    }

    pub(super) fn read(bytes: &[u8]) -> Desync {
        Desync {
            errno: Errno::read(i32_at(bytes, offset::ERRNO)),
            told: generations(bytes, offset::MTU),
            from: generations(bytes, offset::RECVPIPE),
        }
    }
}

/// One of our own requests.
pub(super) fn read_client(bytes: &[u8], kind: u8) -> Result<ClientMessage, Errno> {
    if kind == RTM_GREETING {
        if bytes.len() < GREETING {
            return Err(Errno::Einval);
        }
        return Greeting::read(bytes).map(ClientMessage::Greeting);
    }
    if bytes.len() != SHORT {
        return Err(Errno::Einval);
    }
    match kind {
        RTM_DUMP => Dump::read(bytes).map(ClientMessage::Dump),
        RTM_BATCH_BEGIN => Ok(ClientMessage::BatchBegin(i32_at(bytes, SEQ))),
        RTM_BATCH_COMMIT => Ok(ClientMessage::BatchCommit(i32_at(bytes, SEQ))),
        _ => Err(Errno::Eopnotsupp),
    }
}
