//! Differences against building the later version anew.

use wire::{Name, Rtype};

use super::model::{name, random_records};
use super::signer::{sign_nsec, sign_nsec3};
use crate::nsec3::Nsec3Params;
use crate::testing::{OwnedRecord, Random, build, record_key};
use crate::{Difference, Limits, Zone, ZoneBuilder, ZoneError};

fn apex() -> Name {
    name("example.")
}

fn contents(zone: &Zone) -> Vec<String> {
    let mut list = Vec::new();
    zone.for_each_rrset(|rrset| {
        let (data, signatures): (Vec<_>, Vec<_>) = (rrset.rdatas.collect(), rrset.rrsigs.collect());
        list.push(format!("{} {} {} {data:?} {} {signatures:?}", rrset.owner, rrset.rtype, rrset.ttl, rrset.rrsig_ttl));
    });
    list
}

fn assert_same(a: &Zone, b: &Zone) {
    assert_eq!(contents(a), contents(b));
    assert_eq!(a.totals, b.totals);
    assert_eq!(a.denial(), b.denial());
    assert_eq!(a.soa(), b.soa());
}

/// A version of a zone, signed in one of the ways there are.
fn version(random: &mut Random, serial: u32) -> Vec<OwnedRecord> {
    let mut records = random_records(random);
    for soa in records.iter_mut().filter(|record| record.rtype == Rtype::SOA) {
        let at = soa.rdata.len() - 20;
        soa.rdata[at..at + 4].copy_from_slice(&serial.to_be_bytes());
    }
    let params = Nsec3Params { iterations: random.below(3) as u16, salt: Box::new([]) };
    match random.below(4) {
        0 => sign_nsec(apex().as_ref(), &mut records),
        1 | 2 => sign_nsec3(apex().as_ref(), &mut records, &params, random.below(2) == 0),
        _ => {}
    }
    records
}

fn difference(from: &[OwnedRecord], to: &[OwnedRecord]) -> Difference {
    let mut difference = Difference::new();
    for gone in from.iter().filter(|record| !to.contains(record)) {
        difference.delete(gone.owner.as_ref(), gone.rtype, gone.ttl, &gone.rdata).unwrap();
    }
    for new in to.iter().filter(|record| !from.contains(record)) {
        difference.add(new.owner.as_ref(), new.rtype, new.ttl, &new.rdata).unwrap();
    }
    difference
}

#[test]
fn differences_lead_to_the_same_zone() {
    let mut random = Random::new(31);
    for _ in 0..60 {
        let versions: Vec<_> = (1..6).map(|serial| version(&mut random, serial)).collect();
        let differences: Vec<_> = versions.windows(2).map(|pair| difference(&pair[0], &pair[1])).collect();
        let first = build(apex().as_ref(), &versions[0]);
        let before = contents(&first);
        let mut current = first.clone();
        for (difference, records) in differences.iter().zip(&versions[1..]) {
            current = current.apply(difference).unwrap();
            assert_same(&current, &build(apex().as_ref(), records));
        }
        assert_same(&first.apply_all(&differences, &Limits::NONE).unwrap(), &current);
        assert_eq!(contents(&first), before);
    }
}

#[test]
fn differences_are_strict() {
    let mut random = Random::new(32);
    for _ in 0..30 {
        let (from, to) = (version(&mut random, 1), version(&mut random, 2));
        let zone = build(apex().as_ref(), &from);
        let good = difference(&from, &to);
        let mut twice = good.clone();
        let added = good.additions().next().unwrap();
        twice.add(added.owner, added.rtype, added.ttl, added.rdata).unwrap();
        assert!(matches!(zone.apply(&twice), Err(ZoneError::AlreadyThere { .. })));
        let mut absent = good.clone();
        absent.delete(name("absent.example.").as_ref(), Rtype::A, 1, &[192, 0, 2, 1]).unwrap();
        assert!(matches!(zone.apply(&absent), Err(ZoneError::NotThere { .. })));
        let next = zone.apply(&good).unwrap();
        assert!(matches!(next.apply(&good), Err(ZoneError::OutOfSequence { found: 1, expected: 2 })));
        let mut outside = good.clone();
        outside.add(name("example.net.").as_ref(), Rtype::A, 1, &[192, 0, 2, 1]).unwrap();
        assert!(matches!(zone.apply(&outside), Err(ZoneError::OutsideZone { .. })));
        let mut beside = good.clone();
        beside.add(apex().as_ref(), Rtype::CNAME, 1, &[0]).unwrap();
        assert!(matches!(zone.apply(&beside), Err(ZoneError::CnameAndOtherData { .. })));
        let tight = Limits { records_max: next.record_count() - 1, ..Limits::NONE };
        assert!(matches!(zone.apply_all([&good], &tight), Err(ZoneError::TooManyRecords { .. })));
    }
}

#[test]
fn a_zone_without_soa_is_none() {
    let mut random = Random::new(33);
    let from = version(&mut random, 1);
    let zone = build(apex().as_ref(), &from);
    let soa = from.iter().find(|record| record.rtype == Rtype::SOA).unwrap();
    let mut difference = Difference::new();
    difference.delete(soa.owner.as_ref(), soa.rtype, soa.ttl, &soa.rdata).unwrap();
    assert!(matches!(zone.apply(&difference), Err(ZoneError::NoSoa)));
    let mut second = Difference::new();
    let mut rdata = soa.rdata.clone();
    rdata[1] = b'x';
    second.add(soa.owner.as_ref(), soa.rtype, soa.ttl, &rdata).unwrap();
    assert!(matches!(zone.apply(&second), Err(ZoneError::SeveralRecords { .. })));
    assert!(matches!(ZoneBuilder::new(apex(), Limits::NONE).finish(), Err(ZoneError::NoSoa)));
}

#[test]
fn encoded_differences_return() {
    let mut random = Random::new(34);
    for _ in 0..50 {
        let good = difference(&version(&mut random, 1), &version(&mut random, 2));
        let mut bytes = Vec::new();
        good.encode(&mut bytes);
        let decoded = Difference::decode(&bytes).unwrap();
        assert_eq!(decoded, good);
        assert_eq!((decoded.from_serial(), decoded.to_serial()), (Some(1), Some(2)));
        for _ in 0..60 {
            let mut damaged = bytes.clone();
            let at = random.below(damaged.len());
            damaged[at] = random.next() as u8;
            let _ = Difference::decode(&damaged);
            assert!(Difference::decode(&bytes[..at]).is_err());
        }
    }
}

#[test]
fn the_order_of_records_is_no_matter() {
    let mut random = Random::new(35);
    for _ in 0..60 {
        let mut records = version(&mut random, 1);
        let zone = build(apex().as_ref(), &records);
        for at in (1..records.len()).rev() {
            records.swap(at, random.below(at + 1));
        }
        // Duplicates merge, whatever their case.
        let again = records[random.below(records.len())].clone();
        records.push(again);
        assert_same(&build(apex().as_ref(), &records), &zone);
        records.sort_by_key(record_key);
        assert_same(&build(apex().as_ref(), &records), &zone);
    }
}

#[test]
fn builders_refuse_what_a_zone_cannot_hold() {
    let add = |owner: &str, rtype, rdata: &[u8]| {
        let mut builder = ZoneBuilder::new(apex(), Limits::NONE);
        builder.add(name(owner).as_ref(), rtype, 1, rdata)
    };
    assert!(matches!(add("example.net.", Rtype::A, &[1, 2, 3, 4]), Err(ZoneError::OutsideZone { .. })));
    assert!(matches!(add("a.example.", Rtype::A, &[1, 2, 3]), Err(ZoneError::MalformedRdata { .. })));
    assert!(matches!(add("a.example.", Rtype::ANY, &[]), Err(ZoneError::NotData { .. })));
    let soa: Vec<u8> = [&[0, 0][..], &[0; 20]].concat();
    assert!(matches!(add("a.example.", Rtype::SOA, &soa), Err(ZoneError::SoaBelowApex { .. })));
    let mut builder = ZoneBuilder::new(apex(), Limits { records_max: 3, ..Limits::NONE });
    let added = (0..10u8).find_map(|i| builder.add(apex().as_ref(), Rtype::A, 1, &[i, 0, 0, 0]).err());
    assert!(matches!(added, Some(ZoneError::TooManyRecords { records_max: 3 })));
    let mut builder = ZoneBuilder::new(apex(), Limits { bytes_max: 10_000, ..Limits::NONE });
    let added = (0..200u8).find_map(|i| {
        let owner = name(&format!("n{i:03}.example."));
        builder.add(owner.as_ref(), Rtype::NULL, 1, &[0; 200]).err()
    });
    assert!(matches!(added, Some(ZoneError::TooManyBytes { .. })));
}
