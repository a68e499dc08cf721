//! What the line gives to the kernel lane: whoever gives it on, in the way that the program does, gives byte for byte what
//! the line would have.

use std::sync::atomic::{AtomicU16, AtomicU64};

use filters::NameHasher;
use wire::{HEADER_BYTES, NameRef, Query};
use zones::{ZoneSlot, ZoneState, Zones};

use super::{
    Case,
    on_demand::{NAMES, full, on_demand, signed_zone},
    query,
    zone::{EXAMPLE_COM, publish, zone},
};
use crate::{
    Transport,
    kernel::{Answers, Slot, key, layout},
};

const SETS: usize = 512;

/// The seed of the filters of all cases.
const SEED: [u64; 2] = [1, 2];

fn words(number: usize) -> &'static [AtomicU64] {
    Box::leak((0..number).map(|_| AtomicU64::new(0)).collect())
}

/// A table for answers, and the zones whose numbers say what is of now.
fn table() -> (Answers, Zones) {
    let generations = words(layout::GENERATIONS);
    let tags = Box::leak((0..SETS * layout::WAYS).map(|_| AtomicU16::new(0)).collect());
    let slots = words(SETS * layout::WAYS * layout::SLOT_BYTES / 8);
    let texts = words(SETS * layout::WAYS * layout::TEXT_BYTES / 8);
    (Answers::new(tags, slots, texts, generations), Zones::with_generations(generations))
}

/// A line that has the zone, and gives its answers on.
fn promoting(records: &str) -> Case {
    let (answers, zones) = table();
    publish(&zones, "example.com", ZoneState::Serving(zone("example.com", records)));
    Case { zones, answers: Some(answers), ..Case::new() }
}

impl Case {
    fn slot(&self, name: NameRef<'_>, qtype: u16, dnssec_ok: bool) -> Option<Slot> {
        let key = key(NameHasher::new(SEED).hash(name), qtype, dnssec_ok);
        self.answers.as_ref().unwrap().get_valid(key, self.filter_us.get())
    }

    fn has(&self, text: &str) -> bool {
        given(self, &query(text)).is_some()
    }

    fn ask(&self, text: &str) -> Vec<u8> {
        self.respond(&query(text), Transport::Udp)
    }
}

/// The answer to a query as the program makes it of what it has, if it has it and the client takes it.
fn given(case: &Case, message: &[u8]) -> Option<Vec<u8>> {
    let query = Query::parse(message).unwrap();
    let question = query.question.unwrap();
    let dnssec_ok = query.edns.as_ref().is_some_and(|edns| edns.dnssec_ok);
    let slot = case.slot(question.name, question.rtype.0, dnssec_ok)?;
    let lower_case = question.name.as_bytes().to_ascii_lowercase();
    assert_eq!((slot.name(), slot.qtype(), slot.dnssec_ok()), (&lower_case[..], question.rtype.0, dnssec_ok));
    assert_eq!(slot.apex(), b"\x07example\x03com\x00");
    give(case, message, &slot)
}

/// The same of what all names get that do not exist.
fn given_for_no_name(case: &Case, message: &[u8]) -> Option<Vec<u8>> {
    let dnssec_ok = Query::parse(message).unwrap().edns.is_some_and(|edns| edns.dnssec_ok);
    let apex: wire::Name = "example.com".parse().unwrap();
    // Without a body it says no more than that there is no such name.
    let slot = case.slot(apex.as_ref(), 0, dnssec_ok).filter(|slot| !slot.body().is_empty())?;
    give(case, message, &slot)
}

fn give(case: &Case, message: &[u8], slot: &Slot) -> Option<Vec<u8>> {
    let query = Query::parse(message).unwrap();
    let name_bytes = query.question.unwrap().name.as_bytes().len();
    let mut body = slot.body().to_vec();
    let (kind, offsets) = slot.fixups();
    for at in offsets.map(usize::from) {
        match kind {
            layout::FIXUP_TTL => {
                let ttl_s = u32::from_be_bytes(*body[at..].first_chunk().unwrap());
                let age_s = (case.filter_us.get() - slot.lives_us().0) / 1_000_000;
                body[at..at + 4].copy_from_slice(&ttl_s.saturating_sub(age_s as u32).to_be_bytes());
            }
            layout::FIXUP_POINTER => {
                let pointer = u16::from_be_bytes(*body[at..].first_chunk().unwrap());
                let moved = pointer + name_bytes as u16 - u16::from(slot.question_name_bytes());
                body[at..at + 2].copy_from_slice(&moved.to_be_bytes());
            }
            other => panic!("{other}"),
        }
    }
    let [answers, authorities, additionals] = slot.counts();
    let flags = slot.flags() | u16::from_be_bytes([message[2], message[3]]) & 0x0110;
    let mut answer = message[..2].to_vec();
    for field in [flags, 1, answers, authorities, additionals + u16::from(query.edns.is_some())] {
        answer.extend_from_slice(&field.to_be_bytes());
    }
    answer.extend_from_slice(&message[HEADER_BYTES..HEADER_BYTES + name_bytes + 4]);
    answer.extend_from_slice(&body);
    let mut limit = 512;
    if let Some(edns) = query.edns {
        let [high, low] = case.settings.udp_payload_bytes_max.to_be_bytes();
        let dnssec_ok = if edns.dnssec_ok { 0x80 } else { 0 };
        answer.extend_from_slice(&[0, 0, 41, high, low, 0, 0, dnssec_ok, 0, 0, 0]);
        limit = usize::from(edns.udp_size.clamp(512, case.settings.udp_payload_bytes_max));
    }
    (answer.len() <= limit).then_some(answer)
}

const HOWS: [&str; 6] = ["", "rd cd", "edns", "do", "do size=512", "edns size=4096 rd"];

/// The name with every second letter as a capital.
fn in_other_case(text: &str) -> String {
    let (name, rest) = text.split_once(' ').unwrap();
    let other = |(place, letter): (usize, char)| if place % 2 == 0 { letter.to_ascii_uppercase() } else { letter };
    format!("{} {rest}", name.chars().enumerate().map(other).collect::<String>())
}

#[test]
fn what_is_given_is_what_the_line_answers() {
    const TYPES: [&str; 9] = ["A", "AAAA", "MX", "NS", "SOA", "TXT", "DS", "NSEC", "ANY"];
    for records in [EXAMPLE_COM.to_owned(), signed_zone()] {
        let (case, mut all, mut promoted) = (promoting(&records), 0, 0);
        for text in NAMES.iter().flat_map(|name| TYPES.map(|rtype| format!("{name} {rtype}"))) {
            // Each way for itself, so that each is the first that is given on.
            for first in HOWS {
                case.zones.insert(&case.zones.load().slots()[0].clone());
                let first = format!("{text} {first}");
                assert!(!case.has(&first));
                assert_eq!(case.ask(&first), case.ask(&first));
                let is_promoted = HOWS.iter().filter(|how| case.has(&format!("{text} {how}"))).count();
                (all, promoted) = (all + 1, promoted + usize::from(is_promoted > 0));
                for how in HOWS {
                    for asked in [format!("{text} {how}"), in_other_case(&format!("{text} {how}"))] {
                        if let Some(given) = given(&case, &query(&asked)) {
                            assert_eq!(given, case.ask(&asked), "{asked} after {first}");
                        }
                    }
                }
            }
        }
        // All but what a DNAME made, and what had no room in the answer that was given first.
        assert!(promoted > all * 8 / 10, "{promoted} of {all}");
    }
}

#[test]
fn names_that_do_not_exist_get_one_answer_for_all() {
    let case = promoting(EXAMPLE_COM);
    let names = ["x.example.com", "yy.zz.example.com", "x.a.b.c.example.com", "longer-than-all-others.www.example.com"];
    for first in names {
        case.zones.insert(&case.zones.load().slots()[0].clone());
        for how in ["", "do"] {
            case.ask(&format!("{first} A {how}"));
        }
        for asked in names.iter().flat_map(|name| HOWS.map(|how| format!("{name} MX {how}"))) {
            for asked in [in_other_case(&asked), asked] {
                let given = given_for_no_name(&case, &query(&asked)).expect("one for all");
                assert_eq!(given, case.ask(&asked), "{asked} after {first}");
            }
        }
        // One that is asked for once is not kept for itself.
        assert!(!case.has(&format!("{first} A")));
    }
    // Where MNAME or RNAME point into the name that was asked for, its answer is for nobody else.
    let case = promoting(EXAMPLE_COM);
    for name in ["x.ns1.example.com", "host.example.com"] {
        case.ask(&format!("{name} A"));
        assert!(given_for_no_name(&case, &query("z.example.com A")).is_none(), "{name}");
    }
    // So is that of one which a DNAME record made another of.
    let case = promoting(&format!("{EXAMPLE_COM}\nmoved.example.com 60 DNAME nowhere.example.com"));
    let apex: wire::Name = "example.com".parse().unwrap();
    case.ask("x.moved.example.com A");
    assert!(case.slot(apex.as_ref(), 0, false).is_none());
    // A signed zone proves it, to those who want to know.
    let case = promoting(&signed_zone());
    case.ask("x.example.com A do");
    assert!(given_for_no_name(&case, &query("z.example.com A do")).is_none());
    case.ask("x.example.com A");
    assert!(given_for_no_name(&case, &query("z.example.com A")).is_some());
}

#[test]
fn what_is_not_for_all_is_not_given() {
    let long = format!("{}.example.com", ["a-long-label-of-some-forty-octets-or-so"; 4].join("."));
    let text = "x".repeat(700);
    let case = promoting(&format!("{EXAMPLE_COM}\nbig.example.com 60 TXT \"{text}\"\n{long} 60 A 192.0.2.7"));
    for asked in [
        // Too long for the key, or the slot.
        &format!("{long} A"),
        "big.example.com TXT edns",
        // Truncated.
        "big.example.com TXT",
        // A DNAME spells its target as the client does.
        "oak.tree.example.com A",
        // Not in a zone of ours, of no type that is there, of another class.
        "example.org A",
        "example.com AXFR",
        "version.bind TXT CH",
        "www.example.com A CH",
    ] {
        let message = query(asked);
        assert_eq!(case.ask(asked), case.ask(asked));
        let question = Query::parse(&message).unwrap().question.unwrap();
        assert!(case.slot(question.name, question.rtype.0, asked.ends_with(" do")).is_none(), "{asked}");
    }
    assert_eq!(case.answers.as_ref().unwrap().held(), 0);
    // Nor what is asked over TCP, or signed by somebody.
    case.respond(&query("www.example.com A tcp"), Transport::Tcp);
    assert!(!case.has("www.example.com A"));
}

/// A client with little room gets less than others: what it gets is not for them.
#[test]
fn an_answer_without_all_that_belongs_to_it_is_not_given() {
    let addresses = (0..40).map(|n| format!("mail.example.com 60 AAAA 2001:db8::{n:x}\n")).collect::<String>();
    let case = promoting(&format!("{EXAMPLE_COM}{addresses}"));
    let small = case.ask("example.com MX");
    assert!(small.len() < 512 && !case.has("example.com MX edns"));
    // With more room it is whole, and too large to be kept.
    assert!(case.ask("example.com MX edns").len() > 1000);
    assert!(!case.has("example.com MX edns"));
}

#[test]
fn what_is_published_ends_it_and_what_is_odd_is_not_given() {
    let case = promoting(EXAMPLE_COM);
    case.ask("www.example.com A");
    assert!(case.has("www.example.com A"));
    let slot = case.zones.load().slots()[0].clone();
    slot.publish(ZoneState::Serving(zone("example.com", &EXAMPLE_COM.replace("192.0.2.80", "192.0.2.88"))));
    assert!(!case.has("www.example.com A"));
    assert_eq!(case.ask("www.example.com A"), given(&case, &query("www.example.com A")).unwrap());
    slot.begin_change();
    assert!(!case.has("www.example.com A"));
    case.ask("ns1.example.com A");
    slot.end_change();
    assert!(!case.has("www.example.com A") && !case.has("ns1.example.com A"));
    // A zone that comes below takes over a part of the names.
    case.ask("www.example.com A");
    publish(&case.zones, "www.example.com", ZoneState::Pending);
    assert!(!case.has("www.example.com A"));
    // A slot without a number is one that nothing is known of.
    let other = Zones::new();
    let slot = std::sync::Arc::new(ZoneSlot::new("example.com".parse().unwrap()));
    other.insert(&slot);
    let case = Case { zones: other, ..case };
    case.ask("www.example.com A");
    assert_eq!(case.answers.as_ref().unwrap().held(), 1);
}

#[test]
fn answers_of_an_origin_count_down_until_they_are_fetched_again() {
    // What a signed zone says to a question for what is below a cut, its NSEC records end.
    for (records, referral_s) in [(EXAMPLE_COM.to_owned(), 400), (signed_zone(), 300)] {
        let records = records.replace(" 3600 ", " 400 ");
        let (answers, zones) = table();
        let (origin, edge) = (full(&records), Case { answers: Some(answers), ..on_demand(zones) });
        let texts = [
            ("www.example.com A", 300),
            ("example.com MX", 400),
            ("alias.example.com A", 300),
            ("www.sub.example.com A", referral_s),
            ("nothing.example.com A", 300),
        ];
        for (text, life_s) in texts {
            edge.fill(&origin, text);
            edge.pass(3);
            edge.filter_us.set(edge.filter_us.get() + 3_000_000);
            HOWS.iter().for_each(|how| _ = edge.ask(&format!("{text} {how}")));
            // In its last tenth it is to be fetched again, and so asked for above.
            let due_s = life_s - life_s / 10;
            for age_s in 3..=life_s {
                for how in HOWS {
                    let asked = in_other_case(&format!("{text} {how}"));
                    let given = given(&edge, &query(&asked));
                    assert_eq!(given.is_some(), age_s < due_s, "{asked} after {age_s} s");
                    if age_s % 19 == 0
                        && let Some(given) = given
                    {
                        assert_eq!(given, edge.ask(&asked), "{asked} after {age_s} s");
                    }
                }
                edge.pass(1);
                edge.filter_us.set(edge.filter_us.get() + 1_000_000);
            }
            let slot = edge.slot("example.com".parse::<wire::Name>().unwrap().as_ref(), 0, false);
            assert!(slot.is_none(), "what all names get is for full zones");
        }
    }
}
