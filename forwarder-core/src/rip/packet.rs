//! The frame that RIPv2 and RIPng share: a 4-byte header and 20-byte entries
//! (RFC 2453 §4, RFC 2080 §2.1). What an entry means is the family's business:
//! see [`super::wire`].
//!
//! ```text
//! command (1)   version (1)   must be zero (2)
//! entry (20) × 1..=25
//! ```

use super::metric::Metric;
use super::reject::Reject;
use crate::net::Family;

/// Bytes of the header.
pub(super) const HEADER: usize = 4;
/// Bytes of an entry.
pub(super) const ENTRY: usize = 20;

/// What a packet is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command {
    /// Asks for a table or a part of it.
    Request,
    /// A table or a part of it.
    Response,
}

impl Command {
    pub(super) const fn code(self) -> u8 {
        match self {
            Command::Request => 1,
            Command::Response => 2,
        }
    }

    const fn from_code(code: u8) -> Option<Command> {
        match code {
            1 => Some(Command::Request),
            2 => Some(Command::Response),
            _ => None,
        }
    }
}

/// A route table entry (RTE).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rte<F: Family> {
    /// The destination.
    pub prefix: F::Prefix,
    /// How far it is.
    pub metric: Metric,
    /// The route tag, passed on unchanged.
    pub tag: u16,
    /// A better next hop than the sender; `None` = the sender.
    pub next_hop: Option<F::Addr>,
}

/// A packet whose header and length are in order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet<'a> {
    pub(super) command: Command,
    pub(super) version: u8,
    /// Bits of the header that are kept free are not zero.
    pub(super) reserved: bool,
    entries: &'a [[u8; ENTRY]],
}

impl<'a> Packet<'a> {
    /// Checks header and length. Whether bits that must be zero are depends on
    /// the version.
    pub(super) fn parse(payload: &'a [u8], max_entries: usize) -> Result<Self, Reject> {
        let Some(([command, version, reserved @ ..], body)) = payload.split_first_chunk::<HEADER>()
        else {
            return Err(Reject::Truncated);
        };
        if *version == 0 {
            return Err(Reject::VersionZero);
        }
        let command = Command::from_code(*command).ok_or(Reject::UnknownCommand)?;
        let (entries, rest) = body.as_chunks::<ENTRY>();
        if !rest.is_empty() {
            return Err(Reject::BadLength);
        }
        match entries.len() {
            0 => Err(Reject::NoEntries),
            n if n > max_entries => Err(Reject::TooManyEntries),
            _ => Ok(Packet {
                command,
                version: *version,
                reserved: *reserved != [0, 0],
                entries,
            }),
        }
    }

    /// The packet without its first entry, which was authentication.
    pub(super) fn without_authentication(self) -> Result<Self, Reject> {
        match self.entries {
            [_, rest @ ..] if !rest.is_empty() => Ok(Packet {
                entries: rest,
                ..self
            }),
            _ => Err(Reject::NoEntries),
        }
    }

    /// The entries as they came; at least one.
    pub(super) fn entries(&self) -> &'a [[u8; ENTRY]] {
        self.entries
    }
}

/// A packet of these entries.
pub(super) fn build<'a>(
    command: Command,
    version: u8,
    entries: impl ExactSizeIterator<Item = [u8; ENTRY]> + 'a,
) -> Vec<u8> {
    let mut payload = Vec::with_capacity(HEADER + ENTRY * entries.len());
    payload.extend([command.code(), version, 0, 0]);
    for entry in entries {
        payload.extend(entry);
    }
    payload
}
