//! What a catalog zone says, by section of RFC 9432.

use wire::Name;
use zones::{Limits, ZoneBuilder};

use super::*;

const APEX: &str = "catalog.test.";
const MANY: u64 = 100;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// A TXT record's data: one character-string for each text.
fn txt(strings: &[&str]) -> Vec<u8> {
    strings.iter().flat_map(|text| [&[text.len() as u8][..], text.as_bytes()].concat()).collect()
}

/// A catalog zone with these records below its apex beside SOA and NS: `owner TYPE value`. A TXT record's strings are
/// parted by `|`.
fn zone(records: &[&str]) -> Zone {
    let apex = name(APEX);
    let mut builder = ZoneBuilder::new(apex, Limits::NONE);
    let mut soa = b"\x07invalid\0\x07invalid\0".to_vec();
    [7u32, 3600, 600, 86_400, 0].iter().for_each(|number| soa.extend_from_slice(&number.to_be_bytes()));
    builder.add(apex.as_ref(), Rtype::SOA, 0, &soa).unwrap();
    builder.add(apex.as_ref(), Rtype::NS, 0, name("invalid.").as_bytes()).unwrap();
    for record in records {
        let mut words = record.splitn(3, ' ');
        let (owner, rtype, value) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
        let owner = name(&format!("{owner}.{APEX}"));
        let (rtype, rdata) = match rtype {
            "PTR" => (Rtype::PTR, name(value).as_bytes().to_vec()),
            "TXT" => (Rtype::TXT, txt(&value.split('|').collect::<Vec<_>>())),
            "A" => (Rtype::A, vec![192, 0, 2, 1]),
            other => panic!("{other}"),
        };
        builder.add(owner.as_ref(), rtype, 3600, &rdata).unwrap();
    }
    builder.finish().unwrap()
}

/// `label zone [coo] [groups]` for each member.
fn check(records: &[&str], expected: &[&str]) {
    let content = parse(&zone(records), MANY).unwrap();
    assert_eq!(content.serial, 7);
    let show = |(label, member): (&Label, &Member)| {
        let mut text = format!("{} {}", label.escape_ascii(), member.zone);
        if let Some(coo) = &member.coo {
            text.push_str(&format!(" coo={coo}"));
        }
        for group in &member.groups {
            text.push_str(&format!(" {}", group.escape_ascii()));
        }
        text
    };
    assert_eq!(content.members.iter().map(show).collect::<Vec<_>>(), expected);
}

fn broken(records: &[&str], label: &str, message: &str) {
    let error = parse(&zone(records), MANY).unwrap_err();
    assert_eq!((error.label(), error.to_string().as_str()), (label, message));
}

#[test]
fn section_4_1_member_zones() {
    check(&["version TXT 2"], &[]);
    check(
        &["version TXT 2", "b.zones PTR Two.Example.", "A.zones PTR one.example.", "1\\.2.zones PTR ."],
        &["1.2 .", "a one.example.", "b two.example."],
    );
    // Other types at a member node, and PTR records elsewhere, list nothing.
    check(&["version TXT 2", "a.zones A x", "zones PTR x.", "a PTR x.", "x.y.zones PTR x.", "a.b PTR x."], &[]);
}

#[test]
fn section_4_1_one_ptr_record_to_a_label() {
    broken(
        &["version TXT 2", "a.zones PTR one.example.", "a.zones PTR two.example."],
        "several-zones",
        "2 PTR records stand at a.zones.catalog.test., where RFC 9432 §4.1 wants one",
    );
}

#[test]
fn section_4_1_a_zone_is_listed_once() {
    broken(
        &["version TXT 2", "a.zones PTR one.example.", "b.zones PTR ONE.example."],
        "listed-twice",
        "one.example. is listed twice, the second time at b.zones.catalog.test. (RFC 9432 §4.1)",
    );
}

#[test]
fn section_4_2_1_version() {
    let missing = "there is no TXT record at version.catalog.test. (RFC 9432 §4.2.1)";
    broken(&["a.zones PTR one.example."], "no-version", missing);
    broken(&["version A x", "version.zones TXT 2", "version.x TXT 2"], "no-version", missing);
    let several = "2 TXT records stand at version.catalog.test., where RFC 9432 §4.2.1 wants one";
    broken(&["version TXT 2", "version TXT 1"], "several-versions", several);
    for (version, shown) in [("1", "\"1\""), ("3", "\"3\""), ("22", "\"22\""), ("", "\"\""), ("2|2", "\"2\" \"2\"")] {
        let message = format!("its version is {shown}, and only \"2\" is known (RFC 9432 §4.2.1)");
        broken(&[&format!("version TXT {version}")], "unknown-version", &message);
    }
}

#[test]
fn section_4_3_1_change_of_ownership() {
    let member = ["version TXT 2", "a.zones PTR one.example.", "coo.a.zones PTR New.Catalog."];
    check(&member, &["a one.example. coo=new.catalog."]);
    broken(
        &[&member[..], &["coo.a.zones PTR other.catalog."]].concat(),
        "several-owners",
        "2 PTR records stand at coo.a.zones.catalog.test., where RFC 9432 §4.3.1 wants one",
    );
}

#[test]
fn section_4_3_2_groups() {
    let records = ["version TXT 2", "a.zones PTR one.example."];
    check(&[&records[..], &["group.a.zones TXT signed"]].concat(), &["a one.example. signed"]);
    check(
        &[&records[..], &["group.a.zones TXT z", "group.a.zones TXT Bulk", "group.a.zones TXT of|two"]].concat(),
        &["a one.example. Bulk z"],
    );
}

#[test]
fn section_4_3_unknown_properties_and_4_4_custom_ones() {
    check(
        &[
            "version TXT 2",
            "a.zones PTR one.example.",
            "later.a.zones TXT x",
            "later TXT x",
            "serial.a.zones A x",
            "vendor.ext.a.zones TXT x",
            "vendor.ext TXT x",
            "group.ext.a.zones TXT x",
            "coo.group.a.zones PTR x.",
            // Of the wrong type.
            "group.a.zones PTR x.",
            "coo.a.zones TXT x",
            // Of no member.
            "group.b.zones TXT x",
            "coo.c.zones PTR x.",
        ],
        &["a one.example."],
    );
}

#[test]
fn members_have_a_bound() {
    let zone = zone(&["version TXT 2", "a.zones PTR one.example.", "b.zones PTR two.example."]);
    assert!(parse(&zone, 2).is_ok());
    let error = parse(&zone, 1).unwrap_err();
    assert_eq!((error.label(), error), ("too-many-members", CatalogError::TooManyMembers { members_max: 1 }));
}
