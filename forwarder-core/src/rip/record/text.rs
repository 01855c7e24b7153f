//! Bytes as text, for serde.

/// Two digits a byte: greppable, unlike base64, for half as much again.
pub(super) mod hex {
    use std::fmt;

    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    const DIGITS: &[u8; 16] = b"0123456789abcdef";

    pub(in super::super) fn serialize<S: Serializer>(
        bytes: &[u8],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(bytes.len() * 2);
        for byte in bytes {
            for digit in [byte >> 4, byte & 15] {
                text.push(DIGITS[usize::from(digit)].into());
            }
        }
        serializer.serialize_str(&text)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        deserializer.deserialize_str(Hex)
    }

    struct Hex;

    impl Visitor<'_> for Hex {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("hexadecimal digits, two a byte")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Vec<u8>, E> {
            let digit = |digit: u8| char::from(digit).to_digit(16);
            let (pairs, rest) = text.as_bytes().as_chunks::<2>();
            let byte = |[high, low]: &[u8; 2]| Some((digit(*high)? << 4 | digit(*low)?) as u8);
            let bytes = pairs.iter().map(byte).collect::<Option<_>>();
            let whole = bytes.filter(|_| rest.is_empty());
            whole.ok_or_else(|| E::custom("not hexadecimal digits, two a byte"))
        }
    }
}
