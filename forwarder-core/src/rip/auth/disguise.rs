//! Packets and keys as they may be written to a file: without secrets.
//!
//! A recording ([`crate::rip::record`]) is to be read by whoever looks into a fault,
//! and still has to be played by an engine that comes to the same verdicts. So each
//! secret has a stand-in, the same one wherever it occurs, and what it has signed is
//! signed again with that. A proof that none of our keys has made is blanked: it may
//! be a neighbour's password, and was refused anyway. (ADR 0028)

use super::keys::{Auth, AuthType, Secret};
use super::open::Signed;
use super::{TYPE_DIGEST, TYPE_TEXT};
use crate::rip::packet::{ENTRY, HEADER};
use crate::rip::wire::Wire;

/// Where a password, or the rest of an authentication entry, begins.
const BODY: usize = HEADER + 4;

/// What takes the place of the secret of this number. Not empty, without zero bytes
/// and short enough for every type, as [`Auth::new`] wants it.
pub(in crate::rip) fn stand_in(number: u32) -> Secret {
    Secret::new(format!("key-{number:x}"))
}

/// Which secret has which number.
#[derive(Clone, Default)]
pub(in crate::rip) struct Disguise {
    secrets: Vec<Secret>,
}

impl Disguise {
    /// The secret's number: always the same, and no other's.
    pub(in crate::rip) fn number(&mut self, secret: &Secret) -> u32 {
        let known = self.secrets.iter().position(|known| known == secret);
        let number = known.unwrap_or_else(|| {
            self.secrets.push(secret.clone());
            self.secrets.len() - 1
        });
        u32::try_from(number).unwrap_or(u32::MAX)
    }
}

/// The keys of an interface, and the same ones with stand-ins for secrets.
#[derive(Clone)]
pub(in crate::rip) struct Veil {
    pub(in crate::rip) real: Auth,
    pub(in crate::rip) stand_in: Auth,
}

impl Veil {
    /// The password as it is written; zeros where it is none of ours.
    fn password(&self, field: &[u8]) -> [u8; 16] {
        let text = self.real.kind() == AuthType::Text;
        let keys = self.real.keys().iter().zip(self.stand_in.keys());
        let mut ours = keys.filter(|(key, _)| text && key.secret.padded() == *field);
        ours.next()
            .map_or([0; 16], |(_, stand_in)| stand_in.secret.padded())
    }

    /// Where the digest begins in a well-formed packet, and the one to write: zeros
    /// where the present one is by no key of ours.
    fn digest(&self, payload: &[u8], entry: &[u8; ENTRY], told: &[u8]) -> Option<(usize, Vec<u8>)> {
        let kind = self.real.kind();
        let signed = Signed::parse(kind, payload, entry).ok()?;
        let at = signed.covered.len();
        let keys = self.real.keys().iter().zip(self.stand_in.keys());
        let mut by_it = keys.filter(|(key, _)| key.id == signed.key && signed.is_by(kind, key));
        let digest = by_it.next().map_or_else(
            || vec![0; kind.digest_len()],
            |(_, stand_in)| stand_in.digest(kind, &told[..at]),
        );
        Some((at, digest))
    }
}

/// A datagram as it may be written. An engine with the stand-ins says of it what one
/// with the keys says of the original.
pub(in crate::rip) fn payload<F: Wire>(veil: Option<&Veil>, payload: &[u8]) -> Vec<u8> {
    let mut told = payload.to_vec();
    blank_behind_first::<F>(&mut told);
    let entry = first_entry(payload);
    if !F::is_authentication(&entry) {
        return told;
    }
    let whole = payload.len() >= HEADER + ENTRY;
    match u16::from_be_bytes([entry[2], entry[3]]) {
        TYPE_TEXT if whole => {
            let field = &entry[4..];
            let password = veil.map_or([0; 16], |veil| veil.password(field));
            told[BODY..HEADER + ENTRY].copy_from_slice(&password);
        }
        TYPE_DIGEST if whole => {
            let digest = veil.filter(|veil| veil.real.kind() != AuthType::Text);
            match digest.and_then(|veil| veil.digest(payload, &entry, &told)) {
                Some((at, digest)) => told[at..].copy_from_slice(&digest),
                None => told[HEADER + ENTRY..].fill(0),
            }
        }
        _ => told[BODY.min(payload.len())..].fill(0),
    }
    told
}

/// The first entry, filled up with zeros where the packet ends within it.
fn first_entry(payload: &[u8]) -> [u8; ENTRY] {
    let mut entry = [0; ENTRY];
    let body = payload.get(HEADER..).unwrap_or_default();
    for (to, from) in entry.iter_mut().zip(body) {
        *to = *from;
    }
    entry
}

/// Authentication where it does not belong is refused whatever it says, and so is a
/// packet that ends within an entry.
fn blank_behind_first<F: Wire>(told: &mut [u8]) {
    let Some((_, body)) = told.split_first_chunk_mut::<HEADER>() else {
        return;
    };
    let (entries, rest) = body.as_chunks_mut::<ENTRY>();
    let misplaced = entries.iter_mut().skip(1);
    for entry in misplaced.filter(|entry| F::is_authentication(entry)) {
        entry[4..].fill(0);
    }
    if !entries.is_empty() {
        rest.fill(0);
    }
}
