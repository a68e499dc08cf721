//! Serial number arithmetic (RFC 1982) for SOA serials.

/// How one serial stands to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// The same serial.
    Same,
    /// The first is newer.
    Newer,
    /// The first is older, or the two are exactly half the circle apart, which RFC 1982 leaves undefined.
    Older,
}

/// Compares `a` with `b` on the circle of 2³² serials.
pub(crate) fn compare(a: u32, b: u32) -> Order {
    match a.wrapping_sub(b) {
        0 => Order::Same,
        1..=0x7FFF_FFFF => Order::Newer,
        _ => Order::Older,
    }
}

/// Whether `a` is newer than `b`.
pub(crate) fn is_newer(a: u32, b: u32) -> bool {
    compare(a, b) == Order::Newer
}

/// How many serials `a` is ahead of `b`; none where it is not newer (RFC 1982).
pub fn ahead(a: u32, b: u32) -> Option<u32> {
    is_newer(a, b).then(|| a.wrapping_sub(b))
}

/// The newer of the two; `a` where RFC 1982 leaves it undefined.
pub(crate) fn newer_of(a: u32, b: u32) -> u32 {
    if is_newer(b, a) { b } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc1982_section_5_2_examples() {
        assert_eq!(compare(1, 0), Order::Newer);
        assert_eq!(compare(44, 0), Order::Newer);
        assert_eq!(compare(0, 44), Order::Older);
        assert_eq!(compare(100, 100), Order::Same);
        assert_eq!(compare(0, u32::MAX), Order::Newer);
        assert_eq!(compare(0x8000_0000, 0), Order::Older);
        assert_eq!(compare(0, 0x8000_0000), Order::Older);
        assert_eq!(compare(0x7FFF_FFFF, 0), Order::Newer);
        assert_eq!((ahead(1, u32::MAX), ahead(7, 7), ahead(6, 7)), (Some(2), None, None));
        assert_eq!(newer_of(u32::MAX, 3), 3);
        assert_eq!(newer_of(3, u32::MAX), 3);
    }
}
