//! Unsigned little-endian base-128 integers, as the pages and the difference encoding use them.

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

/// The bytes a `u32` takes at most.
pub(crate) const LEN_MAX: usize = 5;

/// Appends `value` to `out`.
pub(crate) fn write(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The bytes that [`write`] appends for `value`.
pub(crate) fn len(value: u32) -> usize {
    match value {
        0..=0x7f => 1,
        0x80..=0x3fff => 2,
        0x4000..=0x1f_ffff => 3,
        0x20_0000..=0xfff_ffff => 4,
        _ => 5,
    }
}

/// Reads one integer off the front of `bytes`; `None` if it is cut off or longer than a `u32`.
#[inline]
pub(crate) fn read(bytes: &mut &[u8]) -> Option<u32> {
    let (&first, rest) = bytes.split_first()?;
    if first < 0x80 {
        *bytes = rest;
        return Some(u32::from(first));
    }
    read_long(bytes)
}

fn read_long(bytes: &mut &[u8]) -> Option<u32> {
    let mut value: u32 = 0;
    for i in 0..LEN_MAX {
        let byte = *bytes.get(i)?;
        let part = u32::from(byte & 0x7f);
        if i == LEN_MAX - 1 && part > 0x0f {
            return None;
        }
        value |= part << (7 * i as u32);
        if byte < 0x80 {
            *bytes = bytes.get(i + 1..)?;
            return Some(value);
        }
    }
    None
}

/// Reads a length and that many bytes off the front of `bytes`.
#[inline]
pub(crate) fn read_slice<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = read(bytes)? as usize;
    let (slice, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some(slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        for value in [0, 1, 127, 128, 300, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455, 268_435_456, u32::MAX] {
            let mut out = Vec::new();
            write(&mut out, value);
            assert_eq!(out.len(), len(value));
            let mut rest = out.as_slice();
            assert_eq!(read(&mut rest), Some(value));
            assert!(rest.is_empty());
            for cut in 0..out.len() {
                assert_eq!(read(&mut &out[..cut]), None);
            }
        }
        assert_eq!(read(&mut &[0xff, 0xff, 0xff, 0xff, 0x1f][..]), None);
    }
}
