//! Patterns of interface names: `*` is any run of characters, `?` is one.
//!
//! Small on purpose: interface names are at most 15 bytes and hold no slash,
//! so character classes and braces would only be ways to mistype.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use super::error::wrong;
use super::value;

/// Longest interface name: `IFNAMSIZ` less the closing NUL.
pub(super) const NAME_MAX: usize = 15;

/// A pattern of interface names.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Glob(String);

/// Why a text is no pattern.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum GlobError {
    /// It is empty.
    #[error("the pattern is empty")]
    Empty,
    /// It has a character that no interface name has, or that other tools' globs use.
    #[error("{0:?} cannot be part of an interface pattern")]
    Character(char),
    /// Its fixed characters alone are longer than a name can be.
    #[error("the pattern is longer than the {NAME_MAX} characters of an interface name")]
    TooLong,
}

impl Glob {
    /// Whether the whole of `name` matches.
    pub fn matches(&self, name: &str) -> bool {
        let (pattern, name) = (self.0.as_bytes(), name.as_bytes());
        let (mut p, mut n) = (0, 0);
        // Where to go on after a mismatch: the last `*`, one more byte under it.
        let mut retry: Option<(usize, usize)> = None;
        while n < name.len() {
            match pattern.get(p) {
                Some(b'*') => {
                    retry = Some((p + 1, n));
                    p += 1;
                }
                Some(byte) if *byte == b'?' || *byte == name[n] => {
                    p += 1;
                    n += 1;
                }
                _ => {
                    let Some((after_star, from)) = retry else {
                        return false;
                    };
                    retry = Some((after_star, from + 1));
                    (p, n) = (after_star, from + 1);
                }
            }
        }
        pattern[p..].iter().all(|byte| *byte == b'*')
    }

    /// Whether it names one interface and is no pattern.
    pub fn is_literal(&self) -> bool {
        !self.0.contains(['*', '?'])
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether an interface may be called so (`dev_valid_name` of the kernel, less
/// the characters of patterns and everything that is not printable ASCII).
fn valid_character(c: char) -> bool {
    c.is_ascii_graphic() && !matches!(c, '/' | ':' | '[' | ']' | '{' | '}' | '!' | '\\' | ',')
}

impl FromStr for Glob {
    type Err = GlobError;

    fn from_str(text: &str) -> Result<Self, GlobError> {
        if text.is_empty() {
            return Err(GlobError::Empty);
        }
        if let Some(c) = text.chars().find(|c| !valid_character(*c)) {
            return Err(GlobError::Character(c));
        }
        if text.bytes().filter(|byte| *byte != b'*').count() > NAME_MAX {
            return Err(GlobError::TooLong);
        }
        Ok(Glob(text.to_owned()))
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Glob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        value::string(deserializer, "the pattern of an interface's name", |text| {
            let help = "write a name; * stands for any characters, ? for one: \"eth*\"";
            text.parse()
                .map_err(|error: GlobError| wrong(format!("{text:?}: {error}"), help))
        })
    }
}
