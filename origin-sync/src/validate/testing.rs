//! Zones for the tests, from a text as the RFCs print it: one record a line, names relative to the apex.

use wire::{Name, Rtype};
use zones::{Limits, Zone, ZoneBuilder};

/// Builds a zone; what is outside it is left out.
pub(crate) fn zone(apex: &str, text: &str) -> Zone {
    let apex: Name = apex.parse().unwrap();
    let mut builder = ZoneBuilder::new(apex, Limits::NONE);
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let (owner, ttl, rtype, rdata) = record(&apex, line);
        if owner.as_ref().is_within(apex.as_ref()) {
            builder.add(owner.as_ref(), rtype, ttl, &rdata).unwrap();
        }
    }
    builder.finish().unwrap()
}

/// Reads a name, relative to the apex without a dot at the end; `@` is the apex.
pub(crate) fn name(apex: &Name, text: &str) -> Name {
    match text {
        "@" => *apex,
        _ if text.ends_with('.') => text.parse().unwrap(),
        _ => format!("{text}.{apex}").parse().unwrap(),
    }
}

fn record(apex: &Name, line: &str) -> (Name, u32, Rtype, Vec<u8>) {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [owner, ttl, rtype, ..] = fields[..] else { panic!("{line}") };
    let rtype: Rtype = rtype.parse().unwrap();
    let wire = |text: &str| name(apex, text).as_bytes().to_vec();
    let number = |text: &str| text.parse::<u32>().unwrap().to_be_bytes();
    let rdata = match rtype {
        Rtype::A => fields[3].parse::<std::net::Ipv4Addr>().unwrap().octets().to_vec(),
        Rtype::AAAA => fields[3].parse::<std::net::Ipv6Addr>().unwrap().octets().to_vec(),
        Rtype::NS | Rtype::PTR | Rtype::DNAME | Rtype::CNAME => wire(fields[3]),
        Rtype::MX => [&number(fields[3])[2..], &wire(fields[4])].concat(),
        Rtype::TXT => {
            let text = line.split('"').nth(1).unwrap();
            [&[text.len() as u8], text.as_bytes()].concat()
        }
        Rtype::SOA => {
            let numbers: Vec<u8> = fields[5..10].iter().flat_map(|text| number(text)).collect();
            [wire(fields[3]), wire(fields[4]), numbers].concat()
        }
        Rtype::ZONEMD => {
            let digest =
                (0..fields[6].len()).step_by(2).map(|at| u8::from_str_radix(&fields[6][at..at + 2], 16).unwrap());
            [&number(fields[3])[..], &[fields[4].parse().unwrap(), fields[5].parse().unwrap()]]
                .concat()
                .into_iter()
                .chain(digest)
                .collect()
        }
        _ => panic!("{line}"),
    };
    (name(apex, owner), ttl.parse().unwrap(), rtype, rdata)
}
