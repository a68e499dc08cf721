//! Communities of routes, as the file and routers write them.

use std::net::Ipv4Addr;

/// Communities that have a name (RFC 1997, 3765, 7999, 8326).
const WELL_KNOWN: [(&str, u32); 6] = [
    ("GRACEFUL_SHUTDOWN", 0xffff_0000),
    ("BLACKHOLE", 0xffff_029a),
    ("NO_EXPORT", 0xffff_ff01),
    ("NO_ADVERTISE", 0xffff_ff02),
    ("NO_EXPORT_SUBCONFED", 0xffff_ff03),
    ("NOPEER", 0xffff_ff04),
];

/// Kinds of extended communities that have a name here, by their subtype (RFC 4360 §4 and §5): route target and route
/// origin.
const SUBTYPES: [(&str, u8); 2] = [("rt", 0x02), ("ro", 0x03)];
/// Types of extended communities (RFC 4360 §3.1, §3.2, RFC 5668): a two-octet AS, an IPv4 address, a four-octet AS.
const TWO_OCTET_AS: u8 = 0x00;
const IPV4: u8 = 0x01;
const FOUR_OCTET_AS: u8 = 0x02;

/// `AS:VALUE` or a well-known name.
pub(crate) fn parse_community(text: &str) -> Option<u32> {
    if let Some((_, value)) = WELL_KNOWN.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
        return Some(*value);
    }
    let (high, low) = text.split_once(':')?;
    Some(u32::from(number::<u16>(high)?) << 16 | u32::from(number::<u16>(low)?))
}

/// `AS:VALUE:VALUE`
pub(crate) fn parse_large_community(text: &str) -> Option<[u32; 3]> {
    let mut parts = text.split(':').map(number::<u32>);
    let value = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(value)
}

/// `rt:AS:VALUE`, `rt:ADDRESS:VALUE`, the same with `ro`, or the eight octets as `0x…`.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |     type      |    subtype    |  AS (2) or AS, address (4)    |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                     … and the value (4 or 2)                  |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+   RFC 4360 §3
/// ```
pub(crate) fn parse_extended_community(text: &str) -> Option<[u8; 8]> {
    if let Some(digits) = text.strip_prefix("0x") {
        let good = digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        return good.then(|| u64::from_str_radix(digits, 16).ok()).flatten().map(u64::to_be_bytes);
    }
    let (kind, rest) = text.split_once(':')?;
    let (_, subtype) = SUBTYPES.iter().find(|(name, _)| *name == kind)?;
    let (administrator, value) = rest.rsplit_once(':')?;
    let octets = |kind: u8, four: [u8; 4], two: u16| {
        let [a, b, c, d] = four;
        let [y, z] = two.to_be_bytes();
        [kind, *subtype, a, b, c, d, y, z]
    };
    if let Ok(address) = administrator.parse::<Ipv4Addr>() {
        return Some(octets(IPV4, address.octets(), number(value)?));
    }
    let number_of_as: u32 = number(administrator)?;
    match u16::try_from(number_of_as) {
        Ok(short) => {
            let [a, b] = short.to_be_bytes();
            let [w, x, y, z] = number::<u32>(value)?.to_be_bytes();
            Some([TWO_OCTET_AS, *subtype, a, b, w, x, y, z])
        }
        Err(_) => Some(octets(FOUR_OCTET_AS, number_of_as.to_be_bytes(), number(value)?)),
    }
}

/// A community as the file has it.
pub fn format_community(community: u32) -> String {
    match WELL_KNOWN.iter().find(|(_, value)| *value == community) {
        Some((name, _)) => (*name).to_owned(),
        None => format!("{}:{}", community >> 16, community & 0xffff),
    }
}

/// A large community as the file has it.
pub fn format_large_community(community: [u32; 3]) -> String {
    let [a, b, c] = community;
    format!("{a}:{b}:{c}")
}

/// An extended community as the file has it.
pub fn format_extended_community(community: [u8; 8]) -> String {
    let [kind, subtype, a, b, c, d, y, z] = community;
    let name = SUBTYPES.iter().find(|(_, value)| *value == subtype).map(|(name, _)| *name);
    let last_two = u16::from_be_bytes([y, z]);
    match (kind, name) {
        (TWO_OCTET_AS, Some(name)) => {
            format!("{name}:{}:{}", u16::from_be_bytes([a, b]), u32::from_be_bytes([c, d, y, z]))
        }
        (IPV4, Some(name)) => format!("{name}:{}:{last_two}", Ipv4Addr::new(a, b, c, d)),
        // A small number in this form would be read as the two-octet form.
        (FOUR_OCTET_AS, Some(name)) if (a, b) != (0, 0) => {
            format!("{name}:{}:{last_two}", u32::from_be_bytes([a, b, c, d]))
        }
        _ => format!("{:#018x}", u64::from_be_bytes(community)),
    }
}

/// A number of plain digits.
fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn communities_are_read_and_written_the_same() {
        let check = |text: &str, want: u32| {
            assert_eq!(parse_community(text), Some(want), "{text}");
            assert_eq!(format_community(want), text);
        };
        check("65010:100", 0xfdf2_0064);
        check("0:0", 0);
        check("GRACEFUL_SHUTDOWN", 0xffff_0000);
        check("NO_EXPORT", 0xffff_ff01);
        assert_eq!(parse_community("no_export"), Some(0xffff_ff01));
        assert_eq!(parse_community("65535:0"), Some(0xffff_0000));
        for wrong in ["", "65010", "65536:1", "1:65536", "1:2:3", "1:+2", "1: 2", ":", "NO_SUCH"] {
            assert_eq!(parse_community(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn large_communities_are_three_numbers() {
        assert_eq!(parse_large_community("4294967295:1:2"), Some([u32::MAX, 1, 2]));
        assert_eq!(format_large_community([u32::MAX, 1, 2]), "4294967295:1:2");
        for wrong in ["", "1:2", "1:2:3:4", "1:2:4294967296", "1::3", "1:-2:3"] {
            assert_eq!(parse_large_community(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn extended_communities_take_their_form_from_what_they_name() {
        let check = |text: &str, want: [u8; 8]| {
            assert_eq!(parse_extended_community(text), Some(want), "{text}");
            assert_eq!(format_extended_community(want), text);
        };
        check("rt:65010:100", [0x00, 0x02, 0xfd, 0xf2, 0, 0, 0, 100]);
        check("ro:65010:4294967295", [0x00, 0x03, 0xfd, 0xf2, 255, 255, 255, 255]);
        check("rt:4200000000:100", [0x02, 0x02, 0xfa, 0x56, 0xea, 0x00, 0, 100]);
        check("rt:192.0.2.1:7", [0x01, 0x02, 192, 0, 2, 1, 0, 7]);
        check("0x4004000000000001", [0x40, 0x04, 0, 0, 0, 0, 0, 1]);
        check("0x0202000000640001", [0x02, 0x02, 0, 0, 0, 100, 0, 1]);
        for wrong in ["", "rt:1", "rt:1:4294967296", "rt:4200000000:65536", "soo:1:2", "0x00", "0x+002fdf200000064"] {
            assert_eq!(parse_extended_community(wrong), None, "{wrong}");
        }
    }
}
