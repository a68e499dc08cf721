//! What a node asks its own sockets about a zone: a name, a type, and the address that must be in the answer.

use std::net::IpAddr;

use crate::domain_name::normalise_domain_name;
use crate::model::{AddressFamily, Zone, ZoneCheck};

/// The zone's own name, as zone files have it (RFC 1035 §5.1).
const APEX: &str = "@";

/// `NAME A|AAAA [ADDRESS]`, such as `www A 192.0.2.80`. The name stays as it stands there: relative ones are completed
/// by [`of_zone`].
pub(crate) fn parse_zone_check(text: &str) -> Result<ZoneCheck, String> {
    let form = || "a name, A or AAAA, and if need be an address, such as \"www A 192.0.2.80\"".to_owned();
    let mut words = text.split_ascii_whitespace();
    let (Some(name), Some(kind)) = (words.next(), words.next()) else {
        return Err(form());
    };
    let address_family = match kind.to_ascii_uppercase().as_str() {
        "A" => AddressFamily::Ipv4,
        "AAAA" => AddressFamily::Ipv6,
        _ => return Err(form()),
    };
    let expected = words.next().map(|word| word.parse::<IpAddr>().map_err(|_| form())).transpose()?;
    if words.next().is_some() {
        return Err(form());
    }
    if expected.is_some_and(|address| address.is_ipv4() != (address_family == AddressFamily::Ipv4)) {
        return Err("an IPv4 address with A, an IPv6 address with AAAA".to_owned());
    }
    if name != APEX {
        normalise_domain_name(name).map_err(|why| why.to_string())?;
    }
    Ok(ZoneCheck { name: name.to_owned(), address_family, expected })
}

/// The check with its whole name, if that is within the zone.
pub(crate) fn of_zone(check: &ZoneCheck, zone: &str) -> Option<ZoneCheck> {
    let whole = match check.name.as_str() {
        APEX => zone.to_owned(),
        name if name.ends_with('.') => name.to_owned(),
        name if zone == "." => format!("{name}."),
        name => format!("{name}.{zone}"),
    };
    let name = normalise_domain_name(&whole).ok()?;
    let within = zone == "." || name == zone || name.ends_with(&format!(".{zone}"));
    within.then(|| ZoneCheck { name, ..check.clone() })
}

impl Zone {
    /// The checks for a zone of this name: those of a template are written for any.
    pub fn checks_for(&self, zone: &str) -> Vec<ZoneCheck> {
        self.checks.iter().filter_map(|check| of_zone(check, zone)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_below_the_zone_unless_they_are_whole() {
        let check = |text: &str, zone: &str, want: Option<&str>| {
            let got = of_zone(&parse_zone_check(text).unwrap(), zone);
            assert_eq!(got.as_ref().map(|check| check.name.as_str()), want, "{text} in {zone}");
        };
        check("www A", "example.com.", Some("www.example.com."));
        check("@ AAAA", "example.com.", Some("example.com."));
        check("WWW.Example.COM. A", "example.com.", Some("www.example.com."));
        check("www.example.net. A", "example.com.", None);
        check("badexample.com. A", "example.com.", None);
        check("www A", ".", Some("www."));
        check("@ A", ".", Some("."));
    }

    #[test]
    fn what_is_expected_must_fit_the_type() {
        let read = parse_zone_check("www  a 192.0.2.80").unwrap();
        assert_eq!((read.address_family, read.expected), (AddressFamily::Ipv4, Some("192.0.2.80".parse().unwrap())));
        let refused = |text: &str, why: &str| {
            let got = parse_zone_check(text).unwrap_err();
            assert!(got.contains(why), "{text}: {got}");
        };
        refused("www", "such as");
        refused("www TXT", "such as");
        refused("www A 192.0.2", "such as");
        refused("www A 192.0.2.80 60", "such as");
        refused("www A 2001:db8::1", "an IPv4 address with A");
        refused("a..b A", "a dot too many");
    }
}
