//! The digests themselves, by RustCrypto's crates.

use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};

use super::keys::{AuthType, Secret};

/// RFC 4822 §3.2 ("Apad"): stands for the digest while it is worked out.
const APAD: [u8; 4] = [0x87, 0x8f, 0xe1, 0xf3];

/// The digest of `signed`, a packet that ends with the trailer's first four
/// bytes. A text has none.
pub(super) fn digest(kind: AuthType, secret: &Secret, signed: &[u8]) -> Vec<u8> {
    match kind {
        AuthType::Text => Vec::new(),
        AuthType::Md5 => keyed_md5(secret, signed),
        AuthType::HmacSha1 => hmac::<Hmac<Sha1>, Sha1>(kind, secret, signed),
        AuthType::HmacSha256 => hmac::<Hmac<Sha256>, Sha256>(kind, secret, signed),
        AuthType::HmacSha384 => hmac::<Hmac<Sha384>, Sha384>(kind, secret, signed),
        AuthType::HmacSha512 => hmac::<Hmac<Sha512>, Sha512>(kind, secret, signed),
    }
}

/// RFC 2082 §3.2.1: the key stands where the digest will.
fn keyed_md5(secret: &Secret, signed: &[u8]) -> Vec<u8> {
    let hash = Md5::new().chain_update(signed);
    hash.chain_update(secret.padded()).finalize().to_vec()
}

/// RFC 4822 §3.2: a key longer than the digest is hashed first, earlier than
/// plain HMAC does.
fn hmac<M: Mac + KeyInit, H: Digest>(kind: AuthType, secret: &Secret, signed: &[u8]) -> Vec<u8> {
    let length = kind.digest_len();
    let hashed;
    let key = if secret.bytes().len() > length {
        hashed = H::digest(secret.bytes());
        &hashed[..]
    } else {
        secret.bytes()
    };
    // HMAC takes keys of any length.
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else {
        return Vec::new();
    };
    mac.update(signed);
    for _ in 0..length / APAD.len() {
        mac.update(&APAD);
    }
    mac.finalize().into_bytes().to_vec()
}
