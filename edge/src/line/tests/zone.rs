//! Zones for the tests, written as lines of text, and RDATA back to text.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use wire::{Name, Record, Rtype};
use zones::{Limits, Zone, ZoneBuilder, ZoneSlot, ZoneState, Zones};

/// RDATA in wire format from its text. Types without a form here are written `\# HEX`.
pub(crate) fn rdata_from(rtype: Rtype, text: &str) -> Vec<u8> {
    let mut words = text.split_whitespace();
    if let Some(hex) = text.strip_prefix("\\# ") {
        return super::unhex(hex);
    }
    let mut rdata = Vec::new();
    let name = |word: Option<&str>, rdata: &mut Vec<u8>| {
        rdata.extend_from_slice(word.expect("a name").parse::<Name>().expect("a name").as_bytes());
    };
    let short = |word: Option<&str>, rdata: &mut Vec<u8>| {
        rdata.extend_from_slice(&word.expect("a number").parse::<u16>().expect("a number").to_be_bytes());
    };
    match rtype {
        Rtype::A => rdata.extend_from_slice(&text.parse::<Ipv4Addr>().unwrap().octets()),
        Rtype::AAAA => rdata.extend_from_slice(&text.parse::<Ipv6Addr>().unwrap().octets()),
        Rtype::NS | Rtype::CNAME | Rtype::DNAME | Rtype::PTR => name(words.next(), &mut rdata),
        Rtype::MX => {
            short(words.next(), &mut rdata);
            name(words.next(), &mut rdata);
        }
        Rtype::SRV => {
            (0..3).for_each(|_| short(words.next(), &mut rdata));
            name(words.next(), &mut rdata);
        }
        Rtype::SOA => {
            name(words.next(), &mut rdata);
            name(words.next(), &mut rdata);
            words.for_each(|word| rdata.extend_from_slice(&word.parse::<u32>().unwrap().to_be_bytes()));
        }
        Rtype::TXT => {
            let text = text.trim_matches('"');
            // Strings of up to 255 octets each.
            for chunk in text.as_bytes().chunks(255) {
                rdata.push(chunk.len() as u8);
                rdata.extend_from_slice(chunk);
            }
        }
        Rtype::RRSIG => {
            // What it covers, and perhaps its labels and its signer; the rest is made up: algorithm 13, signer the root, 64
            // octets of signature.
            let covered: Rtype = words.next().unwrap().parse().unwrap();
            rdata.extend_from_slice(&covered.0.to_be_bytes());
            rdata.extend_from_slice(&[13, words.next().map_or(2, |labels| labels.parse().unwrap())]);
            rdata.extend_from_slice(&[0; 14]);
            name(words.next().or(Some(".")), &mut rdata);
            rdata.extend_from_slice(&[0xab; 64]);
        }
        other => panic!("no text form of {other} in the tests"),
    }
    rdata
}

/// RDATA as the tests write it.
pub(crate) fn rdata_text(record: &Record<'_>) -> String {
    let mut rdata = Vec::new();
    record.decompress_rdata(&mut rdata).expect("RDATA that fits its type");
    let name = |at: usize| wire::Name::read(&rdata, at).expect("a name");
    let short = |at: usize| u16::from_be_bytes([rdata[at], rdata[at + 1]]);
    match record.rtype {
        Rtype::A => Ipv4Addr::from(<[u8; 4]>::try_from(&rdata[..]).unwrap()).to_string(),
        Rtype::AAAA => Ipv6Addr::from(<[u8; 16]>::try_from(&rdata[..]).unwrap()).to_string(),
        Rtype::NS | Rtype::CNAME | Rtype::DNAME | Rtype::PTR => name(0).0.to_string(),
        Rtype::MX => format!("{} {}", short(0), name(2).0),
        Rtype::SRV => format!("{} {} {} {}", short(0), short(2), short(4), name(6).0),
        Rtype::SOA => {
            let soa = wire::rdata::Soa::parse(&rdata).unwrap();
            format!("{} {} {}", soa.mname, soa.rname, soa.serial)
        }
        Rtype::TXT => {
            let mut text = String::new();
            let mut rest = &rdata[..];
            while let Some((&length, after)) = rest.split_first() {
                text += &String::from_utf8_lossy(&after[..usize::from(length)]);
                rest = &after[usize::from(length)..];
            }
            format!("{text:?}")
        }
        Rtype::RRSIG => Rtype(short(0)).to_string(),
        _ => super::hex(&rdata),
    }
}

/// A zone's records, one a line: owner (absolute), TTL, type, RDATA.
pub(crate) fn zone(apex: &str, records: &str) -> Arc<Zone> {
    let mut builder = ZoneBuilder::new(apex.parse().unwrap(), Limits::NONE);
    for line in records.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut fields = line.splitn(4, char::is_whitespace);
        let owner: Name = fields.next().unwrap().parse().unwrap();
        let ttl = fields.next().unwrap().parse().unwrap();
        let rtype: Rtype = fields.next().unwrap().parse().unwrap();
        let rdata = rdata_from(rtype, fields.next().unwrap_or("").trim());
        builder.add(owner.as_ref(), rtype, ttl, &rdata).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
    Arc::new(builder.finish().unwrap())
}

/// A table of zones by name and state.
pub(crate) fn publish(zones: &Zones, apex: &str, state: ZoneState) {
    let slot = Arc::new(ZoneSlot::new(apex.parse().unwrap()));
    slot.publish(state);
    zones.insert(&slot);
}

/// `example.com`, with a bit of everything.
pub(crate) const EXAMPLE_COM: &str = "
    example.com 3600 SOA ns1.example.com host.example.com 7 3600 600 86400 300
    example.com 3600 NS ns1.example.com
    example.com 3600 NS ns2.example.net
    example.com 3600 MX 10 mail.example.com
    example.com 3600 TXT \"apex\"
    ns1.example.com 3600 A 192.0.2.1
    ns1.example.com 3600 AAAA 2001:db8::1
    mail.example.com 3600 A 192.0.2.25
    mail.example.com 3600 AAAA 2001:db8::25
    www.example.com 300 A 192.0.2.80
    www.example.com 300 A 192.0.2.81
    alias.example.com 300 CNAME www.example.com
    away.example.com 300 CNAME www.example.org
    dead.example.com 300 CNAME nothing.example.com
    a.b.c.example.com 300 A 192.0.2.3
    *.wild.example.com 300 TXT \"any\"
    tree.example.com 300 DNAME wood.example.com
    oak.wood.example.com 300 A 192.0.2.9
    sub.example.com 3600 NS ns.sub.example.com
    sub.example.com 3600 NS ns2.example.net
    ns.sub.example.com 3600 A 192.0.2.53
    ns.sub.example.com 3600 AAAA 2001:db8::53
";

/// A table with [`EXAMPLE_COM`] in it.
pub(crate) fn zones() -> Zones {
    let zones = Zones::new();
    publish(&zones, "example.com", ZoneState::Serving(zone("example.com", EXAMPLE_COM)));
    zones
}
