//! Integers in host order at an offset. Out of range reads as 0 and writes
//! nothing: callers have checked the length, and a mistake is no panic.

macro_rules! integers {
    ($($get:ident $put:ident $type:ty),+) => {$(
        pub(super) fn $get(bytes: &[u8], offset: usize) -> $type {
            let field = bytes.get(offset..offset + size_of::<$type>());
            field
                .and_then(|field| field.try_into().ok())
                .map_or(0, <$type>::from_ne_bytes)
        }

        pub(super) fn $put(bytes: &mut [u8], offset: usize, value: $type) {
            if let Some(field) = bytes.get_mut(offset..offset + size_of::<$type>()) {
                field.copy_from_slice(&value.to_ne_bytes());
            }
        }
    )+};
}

integers!(u16_at put_u16 u16, u32_at put_u32 u32, i32_at put_i32 i32, u64_at put_u64 u64);

/// Writes a message of a fixed part, which `fill` completes, and a variable
/// part, and puts its length in front of it.
pub(super) fn message(
    out: &mut Vec<u8>,
    kind: u8,
    fixed: usize,
    fill: impl FnOnce(&mut [u8]),
    append: impl FnOnce(&mut Vec<u8>),
) {
    let start = out.len();
    out.resize(start + fixed, 0);
    append(out);
    let length = u16::try_from(out.len() - start).unwrap_or(u16::MAX);
    let header = &mut out[start..start + fixed];
    fill(header);
    put_u16(header, 0, length);
    header[2] = super::number::RTM_VERSION;
    header[3] = kind;
}
