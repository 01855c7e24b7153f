//! The Internet checksum (RFC 1071) and its incremental update (RFC 1624).
//!
//! Pure arithmetic on values loaded in native order: ones' complement sums do
//! not depend on byte order (RFC 1071 §2(B)), so neither side swaps anything.

/// Folds a 32-bit sum of 16-bit words to 16 bits.
#[inline(always)]
pub const fn fold(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    sum as u16
}

/// Sum of the words of a slice whose length is even; not folded.
#[inline(always)]
pub fn sum(bytes: &[u8]) -> u32 {
    let mut total = 0u32;
    let mut i = 0;
    while i + 1 < bytes.len() {
        total += u32::from(u16::from_ne_bytes([bytes[i], bytes[i + 1]]));
        i += 2;
    }
    total
}

/// The checksum to store for a header whose checksum field is zero.
pub fn compute(header: &[u8]) -> u16 {
    !fold(sum(header))
}

/// Whether a header, checksum field included, sums to all ones (RFC 1071 §1).
pub fn is_valid(header: &[u8]) -> bool {
    fold(sum(header)) == 0xffff
}

/// RFC 1624 equation 3: HC' = ~(~HC + ~m + m'). `checksum`, `old` and `new` are
/// 16-bit words in the order they have in memory.
#[inline(always)]
pub const fn update(checksum: u16, old: u16, new: u16) -> u16 {
    !fold((!checksum as u32) + (!old as u32) + new as u32)
}
