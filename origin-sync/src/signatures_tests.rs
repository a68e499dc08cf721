//! Counting while the zone moves on.

use wire::{Name, Rtype};
use zones::{Difference, Limits, ZoneBuilder};

use super::*;

const NOW: u64 = 1_800_000_000;

fn rrsig(expiration: u64) -> Vec<u8> {
    let mut rdata = vec![0, 6, 13, 1, 0, 0, 0, 60];
    rdata.extend((expiration as u32).to_be_bytes());
    rdata.extend([0; 6]);
    rdata.extend(b"\x07example\0");
    rdata
}

fn zone(serial: u32, expirations: &[u64]) -> Zone {
    let apex: Name = "example".parse().unwrap();
    let mut builder = ZoneBuilder::new(apex, Limits::NONE);
    let soa = [&b"\0\0"[..], &serial.to_be_bytes(), &[0; 16]].concat();
    builder.add(apex.as_ref(), Rtype::SOA, 60, &soa).unwrap();
    expirations.iter().for_each(|s| builder.add(apex.as_ref(), Rtype::RRSIG, 60, &rrsig(*s)).unwrap());
    builder.finish().unwrap()
}

fn change(removed: u64, added: u64) -> TimesChange {
    let (apex, mut difference) = ("example".parse::<Name>().unwrap(), Difference::new());
    difference.delete(apex.as_ref(), Rtype::RRSIG, 60, &rrsig(removed)).unwrap();
    difference.add(apex.as_ref(), Rtype::RRSIG, 60, &rrsig(added)).unwrap();
    TimesChange::of(&[difference])
}

fn examined(zone: &Zone, checked: Option<Checked>) -> Examined {
    Examined { serial: zone.serial(), times: SignatureTimes::of(zone), checked, error: None }
}

#[test]
fn differences_during_a_count_are_taken_in_after_it() {
    let (first, second) = (zone(1, &[NOW + 600, NOW + 6000]), zone(2, &[NOW + 1200, NOW + 6000]));
    let mut signatures = Signatures::default();
    assert!(signatures.wants(&first, false) && !signatures.wants(&zone(1, &[]), false));
    signatures.begin();
    assert!(!signatures.wants(&first, false));
    signatures.updated(&second, Checked::default(), Some(&change(NOW + 600, NOW + 1200)));
    assert_eq!(signatures.first_expires_unix_s(NOW), None);
    signatures.end(examined(&first, None), 2);
    assert_eq!(signatures.first_expires_unix_s(NOW), Some(NOW + 1200));
    signatures.updated(&zone(3, &[]), Checked::default(), Some(&change(NOW + 1200, NOW + 9000)));
    assert_eq!(signatures.first_expires_unix_s(NOW), Some(NOW + 6000));
    // A whole copy is counted anew.
    signatures.updated(&second, Checked::default(), None);
    assert!(signatures.first_expires_unix_s(NOW).is_none() && signatures.wants(&second, false));
}

#[test]
fn a_count_of_a_copy_that_was_replaced_is_thrown_away() {
    let (first, second) = (zone(1, &[NOW + 600]), zone(2, &[NOW + 1200]));
    let mut signatures = Signatures::default();
    signatures.begin();
    signatures.updated(&second, Checked::default(), None);
    signatures.end(examined(&first, None), 2);
    assert!(signatures.first_expires_unix_s(NOW).is_none() && signatures.wants(&second, false));
}

#[test]
fn what_was_verified_is_of_one_serial() {
    let verified = Checked { zonemd: None, dnssec: Some(CheckResult::Verified) };
    let (first, second) = (zone(1, &[]), zone(2, &[]));
    let mut signatures = Signatures::default();
    assert!(signatures.wants(&first, true) && !signatures.is_checked(&first));
    signatures.begin();
    signatures.end(examined(&first, Some(verified)), 1);
    assert!(signatures.is_checked(&first) && !signatures.is_checked(&second) && !signatures.wants(&first, true));
    signatures.forget_checks();
    assert!(signatures.wants(&first, true) && !signatures.is_checked(&first));
    signatures.begin();
    signatures.updated(&second, Checked::default(), None);
    signatures.end(examined(&first, Some(verified)), 2);
    assert!(!signatures.is_checked(&second));
}

#[test]
fn dying_is_told_once() {
    let mut signatures = Signatures::default();
    let zone = zone(1, &[NOW + 6000]);
    signatures.begin();
    signatures.end(examined(&zone, None), 1);
    assert_eq!(signatures.dying(NOW, 1000), None);
    assert_eq!(signatures.dying(NOW + 5500, 1000), Some(NOW + 6000));
    assert_eq!(signatures.dying(NOW + 6500, 1000), None);
    signatures.updated(&zone, Checked::default(), Some(&change(NOW + 6000, NOW + 60_000)));
    assert_eq!(signatures.dying(NOW + 6500, 1000), None);
    assert_eq!(signatures.dying(NOW + 59_500, 1000), Some(NOW + 60_000));
}
