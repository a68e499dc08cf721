//! Records from a message make a zone, another message's a difference to it; each name in the bytes is looked up.
//! Whatever the records are (NSEC chains that lead nowhere, DNAME loops, NSEC3 with odd hashes): an answer or an
//! error, never a panic, and bounded sections.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::{Message, Name, Record, Rtype, Section};
use zones::{Answer, Difference, Limits, ZoneBuilder};

const SOA: &[u8] = b"\0\0\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x01";

fn uncompressed(record: &Record<'_>) -> Option<(Name, Vec<u8>)> {
    let mut data = Vec::new();
    record.decompress_rdata(&mut data).ok()?;
    Some((record.owner().ok()?, data))
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(message) = Message::parse(bytes) else { return };
    let apex = Name::root();
    let mut builder = ZoneBuilder::new(apex, Limits::NONE);
    builder.add(apex.as_ref(), Rtype::SOA, 60, SOA).unwrap();
    let mut difference = Difference::new();
    let mut names = Vec::new();
    for record in message.records().flatten() {
        let Some((owner, data)) = uncompressed(&record) else { continue };
        names.push(owner);
        names.extend(wire::rdata::names(record.rtype, &data).map(|name| name.to_owned()));
        let _ = match record.section {
            Section::Answer => builder.add(owner.as_ref(), record.rtype, record.ttl, &data),
            Section::Authority => difference.add(owner.as_ref(), record.rtype, record.ttl, &data),
            Section::Additional => difference.delete(owner.as_ref(), record.rtype, record.ttl, &data),
        };
    }
    let Ok(zone) = builder.finish() else { return };
    names.truncate(40);
    let changed = zone.apply(&difference).ok();
    for zone in [Some(&zone), changed.as_ref()].into_iter().flatten() {
        for name in &names {
            for label in [&b"a"[..], b"*", b"\xff"] {
                let child = name.prepend(label).unwrap_or(*name);
                for rtype in [Rtype::A, Rtype::DS, Rtype::ANY, Rtype::NSEC, Rtype::SOA] {
                    for subject in [name, &child] {
                        let mut answer = Answer::new();
                        zone.find(subject.as_ref(), rtype, true, &mut answer);
                        zone.find_additional(true, &mut answer);
                        for section in [Section::Answer, Section::Authority, Section::Additional] {
                            for rrset in answer.section(section) {
                                let _ = rrset.owner().as_ref().as_bytes().len();
                                for data in rrset.rdatas() {
                                    wire::rdata::check(rrset.rtype(), data).unwrap();
                                }
                                rrset.rrsigs().for_each(drop);
                            }
                        }
                    }
                }
            }
        }
    }
});
