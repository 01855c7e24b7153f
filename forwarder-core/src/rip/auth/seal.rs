//! Signs packets on their way out.

use super::keys::{Auth, AuthType, Key};
use super::{AFI_AUTH, Clock, TRAILER, TYPE_DIGEST, TYPE_TEXT};
use crate::rip::packet::{ENTRY, HEADER};
use crate::time::Instant;

/// Bytes that authentication adds to a packet.
fn added(auth: &Auth) -> usize {
    match auth.kind() {
        AuthType::Text => ENTRY,
        kind => ENTRY + TRAILER.len() + kind.digest_len(),
    }
}

/// The most entries of a signed packet that is no longer than one of `max`
/// entries: FRR refuses datagrams above 512 bytes, trailer and all.
pub(in crate::rip) fn max_entries(auth: &Auth, max: usize) -> usize {
    let room = (max * ENTRY).saturating_sub(added(auth));
    (room / ENTRY).max(1)
}

/// The packet with its authentication.
pub(in crate::rip) fn seal(
    auth: &Auth,
    clock: &mut Clock,
    now: Instant,
    packet: Vec<u8>,
) -> Vec<u8> {
    let key = auth.sending(clock.time(now));
    let sequence = match auth.kind() {
        AuthType::Text => 0,
        _ => clock.next_sequence(now),
    };
    sign(auth, key, sequence, packet)
}

/// The same with a key and a sequence number at choice.
pub(in crate::rip) fn sign(auth: &Auth, key: &Key, sequence: u32, mut packet: Vec<u8>) -> Vec<u8> {
    packet.reserve(added(auth));
    if auth.kind() == AuthType::Text {
        packet.splice(HEADER..HEADER, text_entry(key));
        return packet;
    }
    let entry = digest_entry(auth, key, packet.len() + ENTRY, sequence);
    packet.splice(HEADER..HEADER, entry);
    packet.extend(TRAILER);
    let digest = key.digest(auth.kind(), &packet);
    packet.extend(digest);
    packet
}

fn text_entry(key: &Key) -> [u8; ENTRY] {
    let mut entry = [0; ENTRY];
    entry[0..2].copy_from_slice(&AFI_AUTH);
    entry[2..4].copy_from_slice(&TYPE_TEXT.to_be_bytes());
    entry[4..].copy_from_slice(&key.secret.padded());
    entry
}

/// `length`: of the packet up to the trailer.
fn digest_entry(auth: &Auth, key: &Key, length: usize, sequence: u32) -> [u8; ENTRY] {
    let mut entry = [0; ENTRY];
    entry[0..2].copy_from_slice(&AFI_AUTH);
    entry[2..4].copy_from_slice(&TYPE_DIGEST.to_be_bytes());
    entry[4..6].copy_from_slice(&(length as u16).to_be_bytes());
    entry[6] = key.id;
    entry[7] = auth.length_field();
    entry[8..12].copy_from_slice(&sequence.to_be_bytes());
    entry
}
