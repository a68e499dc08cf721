//! What several test modules share.

use domain::base::name::ToName;
use domain::base::rdata::ComposeRecordData;
use domain::zonefile::inplace::{Entry, Zonefile};
use wire::{Name, NameRef, Rtype, Section};

use crate::{Answer, Limits, Zone, ZoneBuilder};

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

/// A record by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnedRecord {
    pub(crate) owner: Name,
    pub(crate) rtype: Rtype,
    pub(crate) ttl: u32,
    pub(crate) rdata: Vec<u8>,
}

/// What canonical order of records goes by.
pub(crate) fn record_key(record: &OwnedRecord) -> (Name, u16, Vec<u8>) {
    (record.owner, record.rtype.0, record.rdata.clone())
}

/// Zone text as in a zone file, but for white space at the start of a line, which means nothing.
pub(crate) fn parse_zone(origin: &str, text: &str) -> Vec<OwnedRecord> {
    let text: String = text.lines().map(|line| line.trim_start().to_owned() + "\n").collect();
    let mut file = Zonefile::from(text.as_str());
    file.set_origin(origin.parse().expect("origin"));
    let mut records = Vec::new();
    while let Some(entry) = file.next_entry().unwrap_or_else(|error| panic!("{error}\n{text}")) {
        let Entry::Record(record) = entry else { panic!("includes have no place here") };
        let mut rdata = Vec::new();
        record.data().compose_rdata(&mut rdata).expect("a vector takes all");
        let owner: domain::base::Name<Vec<u8>> = record.owner().to_name();
        let owner = NameRef::parse(owner.as_slice()).expect("a name").to_owned();
        let rtype = Rtype(record.rtype().to_int());
        records.push(OwnedRecord { owner, rtype, ttl: record.ttl().as_secs(), rdata });
    }
    records
}

/// A zone of records.
pub(crate) fn build(apex: NameRef<'_>, records: &[OwnedRecord]) -> Zone {
    let mut builder = ZoneBuilder::new(apex.to_owned(), Limits::NONE);
    for record in records {
        builder.add(record.owner.as_ref(), record.rtype, record.ttl, &record.rdata).expect("a sound record");
    }
    builder.finish().expect("a sound zone")
}

/// A zone from owners, types and data, with a TTL of an hour.
pub(crate) fn zone_of(origin: &str, records: &[(&str, &str, &str)]) -> Zone {
    let text: String = records.iter().map(|(owner, rtype, data)| format!("{owner} 3600 IN {rtype} {data}\n")).collect();
    build(origin.parse::<Name>().expect("origin").as_ref(), &parse_zone(origin, &text))
}

/// An answer as lines: the outcome, then each RRset as section, owner, type and TTL, `+sig` if signed, `required` if it
/// is required glue.
pub(crate) fn ask(zone: &Zone, qname: &str, qtype: Rtype, dnssec_ok: bool) -> Vec<String> {
    let qname: Name = qname.parse().expect("a name");
    let mut answer = Answer::new();
    let outcome = zone.find(qname.as_ref(), qtype, dnssec_ok, &mut answer);
    let mut lines = vec![format!("{outcome:?}")];
    for (section, label) in [(Section::Answer, "an"), (Section::Authority, "ns"), (Section::Additional, "ar")] {
        for rrset in answer.section(section) {
            let signed = if rrset.rrsigs().is_empty() { "" } else { " +sig" };
            let required = if rrset.is_required_glue() { " required" } else { "" };
            lines.push(format!("{label} {} {}{signed}{required}", rrset.owner().as_ref(), rrset.rtype()));
        }
    }
    lines
}
