//! What several test modules share.

use domain::base::name::ToName;
use domain::base::rdata::ComposeRecordData;
use domain::zonefile::inplace::{Entry, Zonefile};
use wire::{Name, NameRef, Rtype};

use crate::{Limits, Zone, ZoneBuilder};

/// A seeded generator (xorshift64*): the same numbers on every run.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 8
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { (self.next() % bound as u64) as usize }
    }
}

/// Zone text, one record a line: owner, TTL, class, type, data as in a zone file.
pub(crate) fn parse_zone(origin: &str, text: &str) -> Vec<(Name, Rtype, u32, Vec<u8>)> {
    let mut file = Zonefile::from(text);
    file.set_origin(origin.parse().expect("origin"));
    let mut records = Vec::new();
    while let Some(entry) = file.next_entry().unwrap_or_else(|error| panic!("{error}\n{text}")) {
        let Entry::Record(record) = entry else { panic!("includes have no place here") };
        let mut rdata = Vec::new();
        record.data().compose_rdata(&mut rdata).expect("a vector takes all");
        let owner = NameRef::parse(record.owner().to_vec().as_slice()).expect("a name").to_owned();
        records.push((owner, Rtype(record.rtype().to_int()), record.ttl().as_secs(), rdata));
    }
    records
}

/// A zone from zone text.
pub(crate) fn zone_from(origin: &str, text: &str) -> Zone {
    let mut builder = ZoneBuilder::new(origin.parse().expect("origin"), Limits::NONE);
    for (owner, rtype, ttl, rdata) in parse_zone(origin, text) {
        builder.add(owner.as_ref(), rtype, ttl, &rdata).expect("a sound record");
    }
    builder.finish().expect("a sound zone")
}

/// A zone from owners, types and data, with a TTL of an hour.
pub(crate) fn zone_of(origin: &str, records: &[(&str, &str, &str)]) -> Zone {
    let lines: String =
        records.iter().map(|(owner, rtype, data)| format!("{owner} 3600 IN {rtype} {data}\n")).collect();
    zone_from(origin, &lines)
}
