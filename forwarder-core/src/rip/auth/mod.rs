//! Authentication of RIPv2: a text password (RFC 2453 §4.1), keyed MD5
//! (RFC 2082) and HMAC-SHA (RFC 4822).
//!
//! [`seal`] signs what goes out and [`open`] checks what comes in, before
//! anything else looks at it. [`keys`] says which key holds when, [`clock`]
//! tells the time of day that the lifetimes and sequence numbers are made of,
//! [`replay`] remembers the numbers heard. [`disguise`] takes keys out of what is
//! recorded. Who has no key learns nothing and
//! teaches nothing.
//!
//! ```text
//! header (4)
//! 0xffff (2)   type 2 (2)   password (16)                              text
//! 0xffff (2)   type 3 (2)   length (2)   key (1)   length of the digest (1)
//!              sequence number (4)   zero (8)                          digests
//! entry (20) × n
//! 0xffff (2)   1 (2)   digest                                          digests
//! ```

mod clock;
mod digest;
mod disguise;
mod keys;
mod open;
mod replay;
mod seal;

pub use clock::UnixTime;
pub use keys::{Auth, AuthLength, AuthType, Key, KeyError, Secret, Window};

pub(super) use clock::Clock;
pub(super) use disguise::{Disguise, Veil, payload as disguised, stand_in};
pub use open::Proof;
pub(super) use open::open;
pub(super) use replay::Replay;
#[cfg(test)]
pub(super) use seal::sign;
pub(super) use seal::{max_entries, seal};

use super::packet::ENTRY;

/// Address family of an authentication entry, and of the trailer.
const AFI_AUTH: [u8; 2] = [0xff, 0xff];
/// RFC 2453 §4.1: a password follows.
const TYPE_TEXT: u16 = 2;
/// RFC 2082 §3.2: a digest comes at the end.
const TYPE_DIGEST: u16 = 3;
/// RFC 2082 §3.2: begins the trailer.
const TRAILER: [u8; 4] = [0xff, 0xff, 0, 1];
/// Bytes of a password in a packet.
const PASSWORD: usize = 16;

/// Whether an entry is authentication rather than a route.
fn is_authentication(entry: &[u8; ENTRY]) -> bool {
    entry.starts_with(&AFI_AUTH)
}
