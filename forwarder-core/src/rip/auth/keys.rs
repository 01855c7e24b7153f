//! Keys and the times they hold (RFC 2082 §4.3, RFC 4822 §4).

use std::fmt;

use super::clock::UnixTime;
use super::{PASSWORD, digest};

/// How the packets of an interface are authenticated.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Auth {
    kind: AuthType,
    length: AuthLength,
    keys: Vec<Key>,
}

/// What proves that a packet is a friend's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AuthType {
    /// A password that everybody on the link can read.
    Text,
    /// MD5 over packet and key.
    Md5,
    /// HMAC-SHA-1.
    HmacSha1,
    /// HMAC-SHA-256.
    HmacSha256,
    /// HMAC-SHA-384.
    HmacSha384,
    /// HMAC-SHA-512.
    HmacSha512,
}

impl AuthType {
    /// Every type.
    pub const ALL: [AuthType; 6] = [
        AuthType::Text,
        AuthType::Md5,
        AuthType::HmacSha1,
        AuthType::HmacSha256,
        AuthType::HmacSha384,
        AuthType::HmacSha512,
    ];

    /// As in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            AuthType::Text => "text",
            AuthType::Md5 => "md5",
            AuthType::HmacSha1 => "hmac-sha-1",
            AuthType::HmacSha256 => "hmac-sha-256",
            AuthType::HmacSha384 => "hmac-sha-384",
            AuthType::HmacSha512 => "hmac-sha-512",
        }
    }

    /// The longest key. A password and an MD5 key have 16 bytes in the packet;
    /// HMAC takes any length, and this bound is ours.
    pub const fn longest_key(self) -> usize {
        match self {
            AuthType::Text | AuthType::Md5 => PASSWORD,
            _ => 256,
        }
    }

    /// Bytes of the digest; 0 for a text.
    pub(super) const fn digest_len(self) -> usize {
        match self {
            AuthType::Text => 0,
            AuthType::Md5 => 16,
            AuthType::HmacSha1 => 20,
            AuthType::HmacSha256 => 32,
            AuthType::HmacSha384 => 48,
            AuthType::HmacSha512 => 64,
        }
    }
}

/// What is written as the digest's length: the RFCs mean the digest, older
/// implementations counted the trailer's first four bytes too (ripd before FRR,
/// OpenBSD). Both are accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum AuthLength {
    /// The digest.
    #[default]
    Rfc,
    /// The digest and four bytes.
    OldRipd,
}

/// The bytes of a key. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// A key of these bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Secret(bytes.into())
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The key as a packet's 16 bytes hold it, filled with zeros.
    pub(super) fn padded(&self) -> [u8; PASSWORD] {
        let mut padded = [0; PASSWORD];
        for (to, from) in padded.iter_mut().zip(&self.0) {
            *to = *from;
        }
        padded
    }
}

/// A time from one moment to another; open where there is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Window {
    /// Holds from then on.
    pub from: Option<UnixTime>,
    /// Holds until then, not then.
    pub until: Option<UnixTime>,
}

impl Window {
    fn holds(&self, now: UnixTime) -> bool {
        self.from.is_none_or(|from| from <= now) && !self.is_over(now)
    }

    fn is_over(&self, now: UnixTime) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

/// A key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    /// Names it in packets; 1 to 255. A text has none there.
    pub id: u8,
    /// What only friends know.
    pub secret: Secret,
    /// When we sign with it.
    pub send: Window,
    /// When we believe it.
    pub accept: Window,
}

/// Why keys cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KeyError {
    /// There is none.
    #[error("there is no key")]
    None,
    /// One has no bytes.
    #[error("key {0} is empty")]
    Empty(u8),
    /// One has more bytes than the type takes.
    #[error("key {0} has {1} bytes, and {2} takes {3} at most")]
    TooLong(u8, usize, &'static str, usize),
    /// A zero byte, which cannot be told from the filling behind the key.
    #[error("key {0} contains a zero byte")]
    ZeroByte(u8),
    /// Two have the same number.
    #[error("two keys are number {0}")]
    SameId(u8),
}

impl Auth {
    /// Keys of a type, checked.
    pub fn new(kind: AuthType, length: AuthLength, keys: Vec<Key>) -> Result<Self, KeyError> {
        if keys.is_empty() {
            return Err(KeyError::None);
        }
        for (index, key) in keys.iter().enumerate() {
            check(kind, key)?;
            if keys[..index].iter().any(|other| other.id == key.id) {
                return Err(KeyError::SameId(key.id));
            }
        }
        Ok(Auth { kind, length, keys })
    }

    /// The type.
    pub fn kind(&self) -> AuthType {
        self.kind
    }

    /// What is written as the digest's length.
    pub(in crate::rip) fn length(&self) -> AuthLength {
        self.length
    }

    /// All keys.
    pub(in crate::rip) fn keys(&self) -> &[Key] {
        &self.keys
    }

    pub(super) fn length_field(&self) -> u8 {
        let digest = self.kind.digest_len() as u8;
        match self.length {
            AuthLength::Rfc => digest,
            AuthLength::OldRipd => digest + 4,
        }
    }

    /// The key to sign with: of those that hold the one that began last. Where
    /// none does, the one that ended last goes on (RFC 2082 §4.3: rather than
    /// to fall back to no authentication).
    pub(in crate::rip) fn sending(&self, now: UnixTime) -> &Key {
        let holds = self.keys.iter().filter(|key| key.send.holds(now));
        let newest = holds.max_by_key(|key| (key.send.from, key.id));
        newest.unwrap_or_else(|| self.last_resort(|key| key.send, now))
    }

    /// Whether no key holds for sending, so that one goes on beyond its time.
    pub(in crate::rip) fn is_out_of_keys(&self, now: UnixTime) -> bool {
        !self.keys.iter().any(|key| key.send.holds(now))
    }

    /// The keys that are believed now.
    pub(super) fn accepted(&self, now: UnixTime) -> impl Iterator<Item = &Key> {
        let none = !self.keys.iter().any(|key| key.accept.holds(now));
        let resort = none.then(|| self.last_resort(|key| key.accept, now));
        let holding = self.keys.iter().filter(move |key| key.accept.holds(now));
        holding.chain(resort)
    }

    /// Whether there is a key with this number, at whatever time.
    pub(super) fn knows(&self, id: u8) -> bool {
        self.keys.iter().any(|key| key.id == id)
    }

    /// The key that ended last; before any has begun, the one that begins
    /// first. There is always one: [`Auth::new`].
    fn last_resort(&self, window: fn(&Key) -> Window, now: UnixTime) -> &Key {
        let ended = self.keys.iter().filter(|key| window(key).is_over(now));
        let last = ended.max_by_key(|key| (window(key).until, key.id));
        let first = || self.keys.iter().min_by_key(|key| window(key).from);
        last.or_else(first).unwrap_or(&self.keys[0])
    }
}

fn check(kind: AuthType, key: &Key) -> Result<(), KeyError> {
    let bytes = key.secret.bytes();
    if bytes.is_empty() {
        return Err(KeyError::Empty(key.id));
    }
    if bytes.contains(&0) {
        return Err(KeyError::ZeroByte(key.id));
    }
    let longest = kind.longest_key();
    if bytes.len() > longest {
        return Err(KeyError::TooLong(key.id, bytes.len(), kind.name(), longest));
    }
    Ok(())
}

impl Key {
    /// The digest of a packet up to and with the trailer's first four bytes.
    pub(super) fn digest(&self, kind: AuthType, signed: &[u8]) -> Vec<u8> {
        digest::digest(kind, &self.secret, signed)
    }
}
