//! Names: text, order, compression, limits.

use std::cmp::Ordering;
use wire::{Class, Name, NameRef, Rtype, Section, WireError, Writer};

fn name(text: &str) -> Name {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

#[test]
fn text_and_back() {
    for (text, shown) in [
        (".", "."),
        ("example.com", "example.com."),
        ("Example.COM.", "Example.COM."),
        ("a\\.b.example.", "a\\.b.example."),
        ("\\000\\255.x.", "\\000\\255.x."),
        ("*.x", "*.x."),
    ] {
        assert_eq!(name(text).to_string(), shown);
        assert_eq!(name(shown), name(text));
    }
    let long_label = "x".repeat(64);
    for (text, error) in [
        ("", WireError::LabelLength),
        ("a..b", WireError::LabelLength),
        (".a", WireError::LabelLength),
        ("\\256.x", WireError::Escape),
        ("\\1x", WireError::Escape),
        ("x\\", WireError::Escape),
        (long_label.as_str(), WireError::LabelLength),
    ] {
        assert_eq!(text.parse::<Name>(), Err(error), "{text}");
    }
    let longest = ["x".repeat(63), "x".repeat(63), "x".repeat(63), "x".repeat(61)].join(".");
    assert_eq!(name(&longest).as_bytes().len(), 255);
    assert_eq!(format!("{longest}x").parse::<Name>(), Err(WireError::NameTooLong));
    assert_eq!(name(&longest).prepend(b"y"), Err(WireError::NameTooLong));
}

/// RFC 4034 §6.1 gives this order.
#[test]
fn canonical_order() {
    let sorted = [
        "example.",
        "a.example.",
        "yljkjljk.a.example.",
        "Z.a.example.",
        "zABC.a.EXAMPLE.",
        "z.example.",
        "\\001.z.example.",
        "*.z.example.",
        "\\200.z.example.",
    ];
    for (i, a) in sorted.iter().enumerate() {
        for (j, b) in sorted.iter().enumerate() {
            assert_eq!(name(a).cmp(&name(b)), i.cmp(&j), "{a} {b}");
        }
    }
    assert_eq!(name("A.b").cmp(&name("a.B")), Ordering::Equal);
}

#[test]
fn within() {
    let check = |child: &str, parent: &str, is: bool| {
        assert_eq!(name(child).as_ref().is_within(name(parent).as_ref()), is, "{child} within {parent}");
    };
    check("www.example.com", "EXAMPLE.com", true);
    check("example.com", "example.com", true);
    check("example.com", ".", true);
    check("wwwexample.com", "example.com", false);
    check("com", "example.com", false);
    // A label that contains the bytes of the parent's wire format is not the parent.
    check("a\\007example\\003com", "example.com", false);
}

#[test]
fn pointers_must_point_backwards() {
    assert_eq!(Name::read(&[0xc0, 0], 0), Err(WireError::Pointer));
    assert_eq!(Name::read(&[0xc0, 2, 0], 0), Err(WireError::Pointer));
    assert_eq!(Name::read(&[1, b'a', 0xc0, 0], 0), Err(WireError::Pointer));
    assert_eq!(Name::read(&[1, b'a', 0, 0xc0, 0, 7], 3), Ok((name("a"), 5)));
    assert_eq!(Name::read(&[0x40, 0], 0), Err(WireError::LabelType));
    assert_eq!(NameRef::parse(&[1, b'a']), Err(WireError::Short));
}

#[test]
fn names_are_compressed_whatever_their_case() {
    let mut buffer = [0; 512];
    let mut writer = Writer::new(&mut buffer, 512).unwrap();
    writer.question(name("WWW.Example.com").as_ref(), Rtype::MX, Class::IN).unwrap();
    let start = writer.len();
    let mut rdata = vec![0, 10];
    rdata.extend_from_slice(name("mail.example.COM").as_bytes());
    writer.record(Section::Answer, name("www.example.com").as_ref(), Rtype::MX, Class::IN, 60, &rdata).unwrap();
    // pointer, type, class, TTL, length, preference, "mail", pointer
    assert_eq!(writer.len() - start, 2 + 10 + 2 + 5 + 2);
    let mark = writer.mark();
    writer.record(Section::Answer, name("other.net").as_ref(), Rtype::A, Class::IN, 60, &[1, 2, 3, 4]).unwrap();
    writer.rollback(mark);
    writer.set_limit(writer.len() + 10);
    assert!(writer.record(Section::Answer, name("other.net").as_ref(), Rtype::A, Class::IN, 60, &[1; 4]).is_err());
    let length = writer.finish();
    let message = wire::Message::parse(&buffer[..length]).unwrap();
    assert_eq!(message.header.ancount, 1);
    let record = message.records().next().unwrap().unwrap();
    let mut read = Vec::new();
    record.decompress_rdata(&mut read).unwrap();
    assert!(wire::rdata::eq(Rtype::MX, &read, &rdata));
    assert_eq!(&buffer[12..16], b"\x03WWW", "the client's case stays");
}
