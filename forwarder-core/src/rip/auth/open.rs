//! Checks the authentication of what comes in.

use subtle::ConstantTimeEq as _;

use super::clock::UnixTime;
use super::keys::{Auth, AuthType, Key};
use super::{TRAILER, TYPE_DIGEST, TYPE_TEXT, is_authentication};
use crate::rip::packet::{ENTRY, HEADER};
use crate::rip::reject::Reject;

/// Who signed a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Proof {
    /// How.
    pub kind: AuthType,
    /// With which key; a text does not say.
    pub key: Option<u8>,
    /// The number of the packet, where it has one.
    pub sequence: Option<u32>,
}

/// Checks a datagram and cuts off its trailer: what is left is a packet whose
/// first entry is authentication exactly if there is a proof.
pub(in crate::rip) fn open<'a>(
    auth: Option<&Auth>,
    now: UnixTime,
    payload: &'a [u8],
) -> Result<(&'a [u8], Option<Proof>), Reject> {
    let first = first_entry(payload).filter(|entry| is_authentication(entry));
    match (auth, first) {
        (None, None) => Ok((payload, None)),
        // RFC 2453 §5.2: an unauthenticated router discards authenticated
        // messages.
        (None, Some(_)) => Err(Reject::UnexpectedAuth),
        (Some(_), None) if payload.len() <= HEADER => Err(Reject::Truncated),
        (Some(_), None) => Err(Reject::AuthMissing),
        (Some(auth), Some(entry)) => check(auth, now, payload, entry),
    }
}

/// The first entry of a packet of version 2 or later: version 1 has no
/// authentication.
fn first_entry(payload: &[u8]) -> Option<&[u8; ENTRY]> {
    let ([_, version, ..], body) = payload.split_first_chunk::<HEADER>()?;
    body.first_chunk().filter(|_| *version >= 2)
}

fn check<'a>(
    auth: &Auth,
    now: UnixTime,
    payload: &'a [u8],
    entry: &[u8; ENTRY],
) -> Result<(&'a [u8], Option<Proof>), Reject> {
    let expected = match auth.kind() {
        AuthType::Text => TYPE_TEXT,
        _ => TYPE_DIGEST,
    };
    if u16::from_be_bytes([entry[2], entry[3]]) != expected {
        return Err(Reject::AuthType);
    }
    if expected == TYPE_TEXT {
        check_text(auth, now, entry)?;
        let proof = Proof {
            kind: AuthType::Text,
            key: None,
            sequence: None,
        };
        return Ok((payload, Some(proof)));
    }
    check_digest(auth, now, payload, entry)
}

/// All 16 bytes count, those behind the password's end too.
fn check_text(auth: &Auth, now: UnixTime, entry: &[u8; ENTRY]) -> Result<(), Reject> {
    let mut right = subtle::Choice::from(0);
    for key in auth.accepted(now) {
        right |= key.secret.padded().ct_eq(&entry[4..]);
    }
    if right.into() {
        Ok(())
    } else {
        Err(Reject::AuthFailed)
    }
}

fn check_digest<'a>(
    auth: &Auth,
    now: UnixTime,
    payload: &'a [u8],
    entry: &[u8; ENTRY],
) -> Result<(&'a [u8], Option<Proof>), Reject> {
    let signed = Signed::parse(auth.kind(), payload, entry)?;
    let mut keys = auth.accepted(now);
    let Some(key) = keys.find(|key| key.id == signed.key) else {
        return Err(match auth.knows(signed.key) {
            true => Reject::AuthKeyTime,
            false => Reject::AuthUnknownKey,
        });
    };
    if !signed.is_by(auth.kind(), key) {
        return Err(Reject::AuthFailed);
    }
    let proof = Proof {
        kind: auth.kind(),
        key: Some(signed.key),
        sequence: Some(signed.sequence),
    };
    Ok((signed.packet, Some(proof)))
}

/// The parts of a packet with a digest, whose lengths agree.
pub(super) struct Signed<'a> {
    /// Header and entries, the authentication among them.
    packet: &'a [u8],
    /// That and the trailer's first four bytes: what the digest is about.
    pub(super) covered: &'a [u8],
    digest: &'a [u8],
    /// The number of the key.
    pub(super) key: u8,
    sequence: u32,
}

impl<'a> Signed<'a> {
    /// Takes a packet apart whose first entry is this.
    pub(super) fn parse(
        kind: AuthType,
        payload: &'a [u8],
        entry: &[u8; ENTRY],
    ) -> Result<Self, Reject> {
        let [_, _, _, _, high, low, key, length, a, b, c, d, ..] = *entry;
        let split = usize::from(u16::from_be_bytes([high, low]));
        let digest_len = kind.digest_len();
        let lengths = [digest_len, digest_len + TRAILER.len()];
        let whole_entries = split >= HEADER + ENTRY && (split - HEADER).is_multiple_of(ENTRY);
        let exact = payload.len() == split + TRAILER.len() + digest_len;
        if !whole_entries || !exact || !lengths.contains(&usize::from(length)) {
            return Err(Reject::AuthMalformed);
        }
        let (covered, digest) = payload.split_at(split + TRAILER.len());
        let packet = covered.strip_suffix(&TRAILER);
        Ok(Signed {
            packet: packet.ok_or(Reject::AuthMalformed)?,
            covered,
            digest,
            key,
            sequence: u32::from_be_bytes([a, b, c, d]),
        })
    }

    /// Whether the digest is this key's.
    pub(super) fn is_by(&self, kind: AuthType, key: &Key) -> bool {
        key.digest(kind, self.covered).ct_eq(self.digest).into()
    }
}
