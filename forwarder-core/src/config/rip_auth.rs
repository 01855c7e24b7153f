//! `auth` of `[[rip.interface]]`: how packets are authenticated, with which
//! keys, and when each holds.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::error::{Fault, wrong};
use super::value;
use crate::rip::{Auth, AuthLength, AuthType, Key, KeyError, Secret, UnixTime, Window};

/// `auth = { type = …, keys = […] }`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RipAuth {
    /// What proves that a packet is a friend's.
    pub kind: AuthType,
    /// What is written as the digest's length.
    pub length: AuthLength,
    /// At least one.
    pub keys: Vec<RipKey>,
}

/// One of `keys`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RipKey {
    /// Its number in packets.
    pub id: u8,
    /// Where its bytes are.
    pub source: KeySource,
    /// When it signs.
    pub send: Window,
    /// When it is believed.
    pub accept: Window,
}

/// Where a key's bytes are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeySource {
    /// In the configuration.
    Here(Secret),
    /// In a file of their own, which the daemon reads.
    File(PathBuf),
}

impl RipAuth {
    /// The engine's keys, with `read` to fetch those that have a file. Both
    /// errors become `E`.
    pub fn load<E: From<KeyError>>(
        &self,
        mut read: impl FnMut(&Path) -> Result<Secret, E>,
    ) -> Result<Auth, E> {
        let mut keys = Vec::with_capacity(self.keys.len());
        for key in &self.keys {
            let secret = match &key.source {
                KeySource::Here(secret) => secret.clone(),
                KeySource::File(path) => read(path)?,
            };
            keys.push(engine_key(key, secret));
        }
        Ok(Auth::new(self.kind, self.length, keys)?)
    }
}

fn engine_key(key: &RipKey, secret: Secret) -> Key {
    Key {
        id: key.id,
        secret,
        send: key.send,
        accept: key.accept,
    }
}

/// `auth` as typed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawAuth {
    #[serde(rename = "type", deserialize_with = "auth_type")]
    kind: AuthType,
    #[serde(default)]
    auth_length: RawLength,
    #[serde(default)]
    keys: Vec<Spanned<RawKey>>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawLength {
    #[default]
    Rfc,
    OldRipd,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawKey {
    #[serde(default = "one", deserialize_with = "key_id")]
    id: u8,
    key: Option<String>,
    key_file: Option<PathBuf>,
    send_from: Option<Moment>,
    send_until: Option<Moment>,
    accept_from: Option<Moment>,
    accept_until: Option<Moment>,
}

const fn one() -> u8 {
    1
}

fn key_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    value::integer(
        deserializer,
        0..=255,
        "a key's number has 8 bits in a packet (RFC 2082 §3.2)",
    )
}

fn auth_type<'de, D: Deserializer<'de>>(deserializer: D) -> Result<AuthType, D::Error> {
    value::string(deserializer, "a type of authentication", |text| {
        let known = AuthType::ALL.into_iter().find(|kind| kind.name() == text);
        known.ok_or_else(|| {
            let names = AuthType::ALL.map(|kind| format!("\"{}\"", kind.name()));
            let help = format!("it can be {}", names.join(", "));
            wrong(format!("{text:?} is no type of authentication"), help)
        })
    })
}

/// A point in time, RFC 3339 in UTC.
#[derive(Clone, Copy)]
struct Moment(UnixTime);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expecting = "a point in time, in quotes: \"2030-01-31T12:00:00Z\"";
        value::string(deserializer, expecting, parse_moment).map(Moment)
    }
}

fn parse_moment(text: &str) -> Result<UnixTime, String> {
    let time = humantime::parse_rfc3339(text).ok();
    let since = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let seconds = since.map(|since| UnixTime(since.as_secs()));
    seconds.ok_or_else(|| {
        let help = "write date and time in UTC: \"2030-01-31T12:00:00Z\"";
        wrong(format!("{text:?} is no point in time"), help)
    })
}

/// Turns `auth` as typed into settings.
pub(super) fn check(auth: Spanned<RawAuth>) -> Result<RipAuth, Fault> {
    let span = auth.span();
    let raw = auth.into_inner();
    if raw.keys.is_empty() {
        let help = "add one: keys = [{ id = 1, key = \"…\" }]";
        return Err(Fault::new(span, "authentication without a key", help));
    }
    let mut keys: Vec<RipKey> = Vec::with_capacity(raw.keys.len());
    for typed in raw.keys {
        let span = typed.span();
        let key = check_key(raw.kind, typed)?;
        if keys.iter().any(|other| other.id == key.id) {
            let help = "a key is told by its number: give each its own";
            let message = format!("a second key with id = {}", key.id);
            return Err(Fault::new(span, message, help));
        }
        keys.push(key);
    }
    Ok(RipAuth {
        kind: raw.kind,
        length: match raw.auth_length {
            RawLength::Rfc => AuthLength::Rfc,
            RawLength::OldRipd => AuthLength::OldRipd,
        },
        keys,
    })
}

fn check_key(kind: AuthType, typed: Spanned<RawKey>) -> Result<RipKey, Fault> {
    let span = typed.span();
    let raw = typed.into_inner();
    let fault = |message: String, help: &str| Fault::new(span.clone(), message, help);
    let source = match (raw.key, raw.key_file) {
        (Some(key), None) => KeySource::Here(Secret::new(key)),
        (None, Some(path)) if path.is_absolute() => KeySource::File(path),
        (None, Some(path)) => {
            let help = "write the whole path, from / on";
            return Err(fault(
                format!("key-file {} is relative", path.display()),
                help,
            ));
        }
        _ => {
            let help = "give it either key = \"…\" or key-file = \"/path\"";
            return Err(fault("a key without its text, or with two".into(), help));
        }
    };
    let key = RipKey {
        id: raw.id,
        source,
        send: window(raw.send_from, raw.send_until),
        accept: window(raw.accept_from, raw.accept_until),
    };
    for (name, window) in [("send", key.send), ("accept", key.accept)] {
        if window
            .from
            .zip(window.until)
            .is_some_and(|(from, until)| until <= from)
        {
            let message = format!("{name}-until is not after {name}-from");
            return Err(fault(message, "a key without a time is never used"));
        }
    }
    if let KeySource::Here(secret) = &key.source {
        let alone = vec![engine_key(&key, secret.clone())];
        let checked = Auth::new(kind, AuthLength::Rfc, alone);
        let help = "RFC 2453 and 2082 have room for 16 bytes; HMAC takes 256";
        checked.map_err(|error| fault(error.to_string(), help))?;
    }
    Ok(key)
}

fn window(from: Option<Moment>, until: Option<Moment>) -> Window {
    Window {
        from: from.map(|moment| moment.0),
        until: until.map(|moment| moment.0),
    }
}
