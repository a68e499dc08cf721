//! The kernel lane's program, by frames and without a network: what it answers is what the lanes above answer, to the last
//! bit; what it does not answer it passes up as it came. Needs root.
#![cfg(feature = "kernel")]

mod support;

use std::{sync::Arc, time::Duration};

use config::{DefenceMode, Defences, Filter};
use edge::{
    Counters, Settings, Transport,
    kernel::{Action, layout as l},
    line::{Client, Context, respond},
};
use filters::Filters;
use support::{
    NoNotify,
    frames::{Route, query},
    rig::{Entry, Rig, SERVICES, monotonic_us, routes},
};
use wire::{Name, Rtype};
use zones::{Limits, ZoneBuilder, ZoneSlot, ZoneState, Zones};

/// The lanes above.
struct Above {
    zones: Zones,
    settings: Settings,
    lane: filters::Lane,
    counters: Counters,
}

impl Above {
    fn new() -> Above {
        let defences = Defences { mode: DefenceMode::Off, ..Defences::default() };
        let (zones, settings) = (Zones::new(), Settings::default());
        let slot = Arc::new(ZoneSlot::new(name("example.com")));
        slot.publish(ZoneState::Serving(Arc::new(example_com())));
        zones.insert(&slot);
        Above { zones, settings, lane: Arc::new(Filters::new(&defences, [1, 2])).lane(), counters: Counters::default() }
    }

    fn ask(&self, route: &Route, message: &[u8], now_s: u32) -> Vec<u8> {
        let client = Client { peer: route.client, transport: Transport::Udp, idle: Duration::from_secs(10) };
        let mut out = vec![0; usize::from(self.settings.udp_payload_bytes_max)];
        let zones = self.zones.load();
        let context = Context {
            zones: &zones,
            settings: &self.settings,
            notify: &NoNotify,
            transfers: None,
            on_demand: None,
            gate: &self.lane.gate(filters::Now::from_us(86_400_000_000)),
            promoter: None,
            counters: &self.counters,
            now_s,
        };
        let bytes = respond(message, &client, &context, &mut out);
        out.truncate(bytes);
        out
    }
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn long_name() -> String {
    // 128 octets: as long as it may be.
    "xx.".to_owned() + &"x.".repeat(56) + "example.com"
}

fn example_com() -> zones::Zone {
    let apex = name("example.com");
    let mut builder = ZoneBuilder::new(apex, Limits::NONE);
    let mut soa = [name("ns1.example.com").as_bytes(), name("host.example.com").as_bytes()].concat();
    soa.extend([7u32, 3600, 600, 86_400, 300].iter().flat_map(|number| number.to_be_bytes()));
    builder.add(apex.as_ref(), Rtype::SOA, 3600, &soa).unwrap();
    builder.add(apex.as_ref(), Rtype::NS, 3600, name("ns1.example.com").as_bytes()).unwrap();
    builder.add(apex.as_ref(), Rtype::NS, 3600, name("ns2.example.net").as_bytes()).unwrap();
    builder.add(name("ns1.example.com").as_ref(), Rtype::A, 3600, &[192, 0, 2, 1]).unwrap();
    builder.add(name("ns1.example.com").as_ref(), Rtype::AAAA, 3600, &[7; 16]).unwrap();
    for host in ["www.example.com", "w.example.com", &long_name()] {
        builder.add(name(host).as_ref(), Rtype::A, 300, &[192, 0, 2, 80]).unwrap();
    }
    builder.add(name("alias.example.com").as_ref(), Rtype::CNAME, 60, name("www.example.com").as_bytes()).unwrap();
    let text = |bytes: usize| [&[bytes as u8][..], &vec![b't'; bytes]].concat();
    builder.add(name("odd.example.com").as_ref(), Rtype::TXT, 60, &text(8)).unwrap();
    builder.add(name("even.example.com").as_ref(), Rtype::TXT, 60, &text(9)).unwrap();
    builder.add(name("medium.example.com").as_ref(), Rtype::TXT, 60, &[text(255), text(150)].concat()).unwrap();
    builder.add(name("large.example.com").as_ref(), Rtype::TXT, 60, &[text(255), text(221)].concat()).unwrap();
    builder.add(name("sub.example.com").as_ref(), Rtype::NS, 3600, name("ns.sub.example.com").as_bytes()).unwrap();
    builder.add(name("ns.sub.example.com").as_ref(), Rtype::A, 3600, &[192, 0, 2, 2]).unwrap();
    builder.add(name("*.wild.example.com").as_ref(), Rtype::TXT, 60, &text(3)).unwrap();
    builder.finish().unwrap()
}

/// What there is: answers, aliases, referrals, and that there is nothing, with bodies of even and odd lengths.
fn questions() -> Vec<String> {
    let questions = [
        "www.example.com A",
        "w.example.com A",
        "www.example.com MX",
        "example.com SOA",
        "example.com NS",
        "alias.example.com A",
        "odd.example.com TXT",
        "even.example.com TXT",
        "nothing.example.com A",
        "x.sub.example.com A",
        "some.wild.example.com TXT",
        "medium.example.com TXT",
    ];
    questions.into_iter().map(str::to_owned).chain([format!("{} A", long_name())]).collect()
}

/// Asks the lanes above and keeps their answer, as it is for clients with EDNS or without. The question's name is in
/// lower case.
fn keep(rig: &Rig, above: &Above, question: &str, entry: Entry) -> usize {
    let route = &routes()[0];
    rig.keep(&above.ask(route, &query(question), 0), entry)
}

#[test]
fn what_is_at_hand_is_answered_as_above() {
    check_answers(&Rig::new());
}

/// A virtual wire leaves no room behind a frame.
#[test]
fn where_there_is_no_room_behind_a_frame_there_is_some_before_it() {
    let rig = Rig::new();
    rig.set(l::POLICY_ROOM_IN_FRONT, 1);
    check_answers(&rig);
}

fn check_answers(rig: &Rig) {
    let above = Above::new();
    for question in questions() {
        rig.clear();
        keep(rig, &above, &format!("{question} edns"), Entry::default());
        keep(rig, &above, &format!("{question} do"), Entry::default());
        for how in ["", "rd", "cd ad", "edns", "edns rd cd", "size=0", "size=4096", "do", "do size=600 id=65535"] {
            for route in routes() {
                let large = question.to_uppercase().replacen("EXAMPLE", "exAMPle", 1);
                for text in [format!("{question} {how}"), format!("{large} {how}")] {
                    let message = query(&text);
                    let got = rig.ask(&route, &message);
                    assert_eq!(got, Some(above.ask(&route, &message, 0)), "{text} over {route:?}");
                }
            }
        }
    }
}

#[test]
fn what_is_not_at_hand_is_passed_up() {
    let (rig, above) = (Rig::new(), Above::new());
    keep(&rig, &above, "www.example.com A edns", Entry::default());
    for (text, reason) in [
        ("www.example.com A do", l::PASS_ABSENT),
        ("www.example.com AAAA", l::PASS_ABSENT),
        ("ww.example.com A", l::PASS_ABSENT),
        ("www.example.co A", l::PASS_ABSENT),
        (". NS", l::PASS_ABSENT),
        ("www.example.com TYPE0", l::PASS_UNUSUAL),
        ("www.example.com A CH", l::PASS_UNUSUAL),
        ("www.example.com A version=1", l::PASS_UNUSUAL),
        ("www.example.com A option=3:", l::PASS_OPTION),
        ("www.example.com A option=8:0001180001020300", l::PASS_OPTION),
        ("www.example.com A option=12:00", l::PASS_OPTION),
        // There are no secrets.
        ("www.example.com A cookie=0102030405060708", l::PASS_OPTION),
    ] {
        check_passed(&rig, &routes()[0], &query(text), reason);
    }
    let longer = format!("x{} A", long_name());
    check_passed(&rig, &routes()[0], &query(&longer), l::PASS_NAME);
    for (labels, reason) in [(63, l::PASS_ABSENT), (64, l::PASS_NAME), (100, l::PASS_NAME)] {
        check_passed(&rig, &routes()[0], &query(&format!("{} A", "x.".repeat(labels))), reason);
    }
}

fn check_passed(rig: &Rig, route: &Route, message: &[u8], reason: usize) {
    let before = rig.counts();
    assert_eq!(rig.ask(route, message), None, "{message:02x?}");
    assert_eq!(rig.passed_since(&before), [reason], "{message:02x?}");
}

#[test]
fn headers_that_no_plain_question_has_are_passed_up() {
    let (rig, above) = (Rig::new(), Above::new());
    keep(&rig, &above, "www.example.com A edns", Entry::default());
    let (plain, edns) = (query("www.example.com A"), query("www.example.com A edns"));
    let changed = |message: &[u8], at: usize, byte: u8| {
        let mut message = message.to_vec();
        message[at] = byte;
        message
    };
    // A response, opcodes; no question, two; records in each section, two in the last.
    for (at, byte) in
        [(2, 0x80), (2, 0x08), (2, 0x28), (4, 1), (5, 0), (5, 2), (7, 1), (9, 1), (11, 1), (10, 1), (11, 2)]
    {
        check_passed(&rig, &routes()[0], &changed(&plain, at, byte), l::PASS_UNUSUAL);
    }
    // Of the OPT record: another owner or type, lengths that lie.
    let opt = plain.len();
    for (at, byte) in [(11, 0), (opt, 1), (opt + 2, 40), (opt + 9, 1), (opt + 10, 1)] {
        check_passed(&rig, &routes()[1], &changed(&edns, at, byte), l::PASS_UNUSUAL);
    }
    // A compressed name, and one that is cut off by the end.
    check_passed(&rig, &routes()[0], &changed(&plain, 12, 0xc0), l::PASS_UNUSUAL);
    check_passed(&rig, &routes()[0], &changed(&plain, 12, 63), l::PASS_UNUSUAL);
    for message in [&plain, &edns] {
        check_passed(&rig, &routes()[0], &[&message[..], &[0]].concat(), l::PASS_UNUSUAL);
        check_passed(&rig, &routes()[0], &[&message[..], &[0; 1000]].concat(), l::PASS_UNUSUAL);
    }
    // Bits that mean nothing in a question are not looked at.
    for (at, byte) in [(2, 0x06), (3, 0xef), (opt + 5, 9), (opt + 7, 0x7f), (opt + 8, 0xff)] {
        let message = changed(&edns, at, byte);
        assert_eq!(rig.ask(&routes()[0], &message), Some(above.ask(&routes()[0], &message, 0)), "{message:02x?}");
    }
}

#[test]
fn the_clients_limit_is_for_all_of_the_answer() {
    let (rig, mut above) = (Rig::new(), Above::new());
    keep(&rig, &above, "large.example.com TXT edns", Entry::default());
    let route = &routes()[0];
    let bytes = above.ask(route, &query("large.example.com TXT edns"), 0).len();
    assert_eq!(bytes, 536);
    for (limit, fits) in [(0, false), (511, false), (bytes - 1, false), (bytes, true), (65535, true)] {
        let message = query(&format!("large.example.com TXT size={limit}"));
        match fits {
            true => assert_eq!(rig.ask(route, &message), Some(above.ask(route, &message, 0)), "{limit}"),
            false => check_passed(&rig, route, &message, l::PASS_SIZE),
        }
    }
    // Without EDNS it is 512, and there is no OPT record.
    check_passed(&rig, route, &query("large.example.com TXT"), l::PASS_SIZE);
    // Ours is another bound.
    above.settings.udp_payload_bytes_max = 535;
    rig.set(l::POLICY_UDP_PAYLOAD_BYTES_MAX, 535);
    check_passed(&rig, route, &query("large.example.com TXT edns"), l::PASS_SIZE);
    above.settings.udp_payload_bytes_max = 536;
    rig.set(l::POLICY_UDP_PAYLOAD_BYTES_MAX, 536);
    let message = query("large.example.com TXT edns");
    assert_eq!(rig.ask(route, &message), Some(above.ask(route, &message, 0)));
}

const SECRETS: [&str; 2] = ["445536bcd2513298075a5d379663c962", "dd3bdf9344b678b185a6f5cb60fca715"];
/// 2019-06-05, the day of RFC 9018's examples.
const NOW_S: u32 = 1_559_731_985;

fn set_secrets(rig: &Rig, above: &mut Above, secrets: &[&str]) {
    above.settings.cookie_secrets.clear();
    for (n, secret) in secrets.iter().enumerate() {
        let secret: [u8; 16] = support::frames::unhex(secret).try_into().unwrap();
        above.settings.cookie_secrets.push(secret);
        for (half, word) in secret.as_chunks::<8>().0.iter().enumerate() {
            rig.set(l::POLICY_COOKIE_SECRET_0 + 2 * n + half, u64::from_ne_bytes(*word));
        }
    }
    rig.set(l::POLICY_COOKIE_SECRETS, secrets.len() as u64);
}

/// Asks both while it is the same second for both: the program's clock cannot be stopped.
fn ask_both(rig: &Rig, above: &Above, route: &Route, message: &[u8], offset_us: u64) -> (Option<Vec<u8>>, Vec<u8>) {
    loop {
        let now_s = |us: u64| (us.wrapping_add(offset_us) / 1_000_000) as u32;
        let before = now_s(monotonic_us());
        let got = rig.ask(route, message);
        if now_s(monotonic_us()) == before {
            return (got, above.ask(route, message, before));
        }
    }
}

#[test]
fn cookies_are_made_and_checked_as_above() {
    let (rig, mut above) = (Rig::new(), Above::new());
    keep(&rig, &above, "www.example.com A edns", Entry::default());
    for route in [&routes()[0], &routes()[1]] {
        let offset_us = u64::from(NOW_S) * 1_000_000 - monotonic_us();
        rig.set(l::POLICY_UNIX_CLOCK_US, offset_us);
        set_secrets(&rig, &mut above, &SECRETS);
        let ask = |above: &Above, cookie: &str, offset_us: u64| {
            let message = query(&format!("www.example.com A cookie={cookie}"));
            let (got, expected) = ask_both(&rig, above, route, &message, offset_us);
            assert_eq!(got.as_ref(), Some(&expected), "{cookie}");
            let option = &expected[expected.len() - 24..];
            option.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        let fresh = ask(&above, "2464c4abcf10c957", offset_us);
        assert!(fresh.starts_with("2464c4abcf10c95701000000"), "{fresh}");
        assert_eq!(ask(&above, &fresh, offset_us), fresh, "it is kept while it is young");
        for age_s in [-299i64, -305, 1795, 1805, 3595, 3605, i64::from(u32::MAX)] {
            let offset_us = offset_us.wrapping_add_signed(age_s * 1_000_000);
            rig.set(l::POLICY_UNIX_CLOCK_US, offset_us);
            ask(&above, &fresh, offset_us);
        }
        rig.set(l::POLICY_UNIX_CLOCK_US, offset_us);
        // Others' cookies, other versions and reserved octets, a bit that is wrong.
        for cookie in [
            fresh[..32].to_owned(),
            format!("{fresh}{}", "ab".repeat(16)),
            fresh.replacen("5701", "5702", 1),
            fresh.replacen("5701000000", "5701abcdef", 1),
            fresh.replacen("24", "25", 1),
            format!("{}0", &fresh[..47]),
        ] {
            ask(&above, &cookie, offset_us);
        }
        // No cookie has such a length: FORMERR, which is said above.
        for bytes in [0, 7, 9, 15, 41, 60] {
            let message = query(&format!("www.example.com A cookie={}", "07".repeat(bytes)));
            check_passed(&rig, route, &message, l::PASS_OPTION);
        }
        check_passed(&rig, route, &query(&format!("www.example.com A cookie={fresh} option=3:")), l::PASS_OPTION);
        check_passed(&rig, route, &query(&format!("www.example.com A cookie={fresh} cookie={fresh}")), l::PASS_OPTION);
        // The secrets roll: what an older one made is taken, and replaced.
        set_secrets(&rig, &mut above, &[SECRETS[1], SECRETS[0]]);
        assert_ne!(ask(&above, &fresh, offset_us), fresh);
        set_secrets(&rig, &mut above, &["00".repeat(16).as_str(), SECRETS[1], SECRETS[1], SECRETS[0]]);
        assert_ne!(ask(&above, &fresh, offset_us), fresh);
        // Where they are required, who has none of ours is told so above.
        rig.set(l::POLICY_COOKIES_REQUIRED, 1);
        above.settings.cookies_required = true;
        ask(&above, &fresh, offset_us);
        check_passed(&rig, route, &query("www.example.com A cookie=2464c4abcf10c957"), l::PASS_OPTION);
        let without = query("www.example.com A edns");
        assert_eq!(rig.ask(route, &without), Some(above.ask(route, &without, 0)));
        rig.set(l::POLICY_COOKIES_REQUIRED, 0);
        above.settings.cookies_required = false;
    }
}

#[test]
fn a_cut_frame_is_passed_up_whatever_its_length() {
    let (rig, above) = (Rig::new(), Above::new());
    for text in ["www.example.com A", "www.example.com A edns"] {
        rig.clear();
        keep(&rig, &above, "www.example.com A edns", Entry::default());
        let message = query(text);
        for route in routes() {
            let frame = route.carry(&message);
            for end in 14..frame.len() {
                let run = rig.program.test_run(&frame[..end], 1).unwrap();
                assert_eq!((run.action, &run.frame[..]), (Action::Pass, &frame[..end]), "{text}: {end} octets");
            }
            // A whole datagram of a part of the message.
            for end in 0..message.len() {
                assert_eq!(rig.ask(&route, &message[..end]), None, "{text}: {end} octets");
            }
            // Frames have a least length: what stands behind the packet is nobody's.
            let padded = rig.program.test_run(&[&frame[..], &[0xee; 30]].concat(), 1).unwrap();
            assert_eq!(padded.action, Action::Send);
            assert_eq!(route.open(&padded.frame), above.ask(&route, &message, 0));
        }
    }
}

/// Numbers that look like any (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }
}

/// Whatever is changed of a frame: it is passed up as it came, or its answer is what the lanes above say.
#[test]
fn changed_frames_are_passed_up_or_answered_as_above() {
    let (rig, mut above) = (Rig::new(), Above::new());
    keep(&rig, &above, "www.example.com A edns", Entry::default());
    keep(&rig, &above, "www.example.com A do", Entry::default());
    set_secrets(&rig, &mut above, &SECRETS);
    let (mut random, mut sent) = (Random(0x9e37_79b9), 0);
    let texts = ["www.example.com A", "www.example.com A do rd", "www.example.com A cookie=2464c4abcf10c957"];
    for round in 0..30_000 {
        let routes = routes();
        let route = &routes[round % routes.len()];
        let mut frame = route.carry(&query(texts[round % texts.len()]));
        let start = if random.below(2) == 0 { 0 } else { frame.len() - 40 };
        for _ in 0..1 + random.below(3) {
            let at = start + random.below(frame.len() - start);
            frame[at] = match random.below(3) {
                0 => random.below(256) as u8,
                1 => frame[at] ^ 1 << random.below(8),
                _ => [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
            };
        }
        let before = monotonic_us();
        let run = rig.program.test_run(&frame, 1).unwrap();
        match run.action {
            Action::Pass => assert_eq!(run.frame, frame),
            Action::Send => {
                sent += 1;
                let (route, message) = Route::read(&frame).expect("what is answered can be read");
                let times = [before, monotonic_us()].map(|us| (us / 1_000_000) as u32);
                let answers = times.map(|now_s| above.ask(&route, &message, now_s));
                let got = route.open(&run.frame);
                assert!(answers.contains(&got), "{frame:02x?}: {got:02x?}");
            }
            other => panic!("{other:?} of {frame:02x?}"),
        }
    }
    assert!(sent > 3_000, "{sent} of them are answered");
}

#[test]
fn who_cannot_be_answered_or_did_not_ask_us_is_passed_up() {
    let (rig, above) = (Rig::new(), Above::new());
    keep(&rig, &above, "www.example.com A edns", Entry::default());
    let message = query("www.example.com A");
    // Not ours: not even counted.
    for (client, server) in [
        ("198.51.100.1:1053", "192.0.2.53:54"),
        ("198.51.100.1:1053", "192.0.2.54:53"),
        ("[2001:db8::1]:1053", "[2001:db8::54]:53"),
    ] {
        assert_eq!(rig.ask(&Route::new(client, server), &message), None);
    }
    assert_eq!(rig.counts(), []);
    for client in ["0.0.0.0:1053", "127.0.0.1:1053", "224.0.0.1:1053", "255.255.255.255:1053", "198.51.100.1:0"] {
        check_passed(&rig, &Route::new(client, SERVICES[0]), &message, l::PASS_PACKET);
    }
    for client in ["[::]:1053", "[::1]:1053", "[::ffff:192.0.2.1]:1053", "[ff02::1]:1053", "[2001:db8::1]:0"] {
        check_passed(&rig, &Route::new(client, SERVICES[1]), &message, l::PASS_PACKET);
    }
    // Fragments, a length that lies, options, other protocols.
    let frame = routes()[0].carry(&message);
    for (at, byte) in [(20, 0x20), (21, 1), (17, 200), (14, 0x46), (14, 0x65), (23, 6), (24, 1), (39, 1)] {
        let mut changed = frame.clone();
        changed[at] = byte;
        let run = rig.program.test_run(&changed, 1).unwrap();
        assert_eq!((run.action, run.frame), (Action::Pass, changed), "{at}");
    }
    let no_checksum = |route: &Route, at: usize| {
        let mut frame = route.carry(&message);
        frame[at..at + 2].fill(0);
        rig.program.test_run(&frame, 1).unwrap().action
    };
    assert_eq!(no_checksum(&routes()[0], 40), Action::Send, "a checksum is a choice over IPv4 (RFC 768)");
    assert_eq!(no_checksum(&routes()[1], 60), Action::Pass, "and a must over IPv6 (RFC 8200 §8.1)");
    // Three tags are one too many.
    let deep = routes()[4].clone().tagged([0x81, 0, 0, 8]);
    assert_eq!(rig.ask(&deep, &message), None);
    // Frames to another machine.
    rig.set(l::POLICY_MACS, u64::from_le_bytes([2, 0, 0, 0, 0, 9, 0, 0]));
    assert_eq!(rig.ask(&routes()[0], &message), None);
    rig.set(l::POLICY_MACS + l::MACS_MAX - 1, u64::from_le_bytes([2, 0, 0, 0, 0, 1, 0, 0]));
    assert_eq!(rig.ask(&routes()[0], &message), Some(above.ask(&routes()[0], &message, 0)));
}

#[test]
fn an_answer_holds_as_long_as_what_it_was_made_of() {
    let (rig, above) = (Rig::new(), Above::new());
    let number = keep(&rig, &above, "www.example.com A edns", Entry { zone: 7, ..Entry::default() });
    let (route, message) = (&routes()[0], query("www.example.com A"));
    let expected = above.ask(route, &message, 0);
    let add = |place: usize, step: i64| {
        rig.generations[place].fetch_add(step as u64, std::sync::atomic::Ordering::Relaxed);
    };
    assert_eq!(rig.ask(route, &message), Some(expected.clone()));
    for place in [0, 8] {
        for step in [1, 2, 1 << 31] {
            add(place, step);
            check_passed(&rig, route, &message, l::PASS_OLD);
            add(place, -step);
        }
        assert_eq!(rig.ask(route, &message), Some(expected.clone()));
    }
    // Other zones' are nothing to it.
    add(9, 1);
    assert_eq!(rig.ask(route, &message), Some(expected.clone()));
    // While it is written, and while another answer is written in its place.
    let seq = rig.slot_word(number, l::SLOT_SEQ);
    seq.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    check_passed(&rig, route, &message, l::PASS_BUSY);
    seq.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    rig.slot_word(number, l::SLOT_KEY).fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    check_passed(&rig, route, &message, l::PASS_ABSENT);
}

#[test]
fn it_is_off_when_it_is_told_so_or_nobody_is_there() {
    let (rig, above) = (Rig::new(), Above::new());
    keep(&rig, &above, "www.example.com A edns", Entry::default());
    let (route, message) = (&routes()[0], query("www.example.com A"));
    rig.set(l::POLICY_ON, 0);
    check_passed(&rig, route, &message, l::PASS_OFF);
    rig.set(l::POLICY_ON, 1);
    rig.set(l::POLICY_SILENT_US, 1_000_000);
    rig.set(l::POLICY_BEAT_US, monotonic_us().saturating_sub(10_000_000));
    check_passed(&rig, route, &message, l::PASS_OFF);
    rig.set(l::POLICY_SILENT_US, 60_000_000);
    assert!(rig.ask(route, &message).is_some());
    // A beat that comes from another processor's clock may be ahead.
    rig.set(l::POLICY_BEAT_US, monotonic_us() + 100_000_000);
    assert!(rig.ask(route, &message).is_some());
}

#[test]
fn ttls_of_an_origins_answers_count_down_and_end() {
    let (rig, above) = (Rig::new(), Above::new());
    let (route, message) = (&routes()[1], query("x.sub.example.com A edns"));
    let answer = above.ask(route, &message, 0);
    let born_us = 1_000_000_000;
    let entry = Entry { stored_us: born_us, valid_us: born_us + 3_500_000_000, is_hit: true, ..Entry::default() };
    let number = rig.keep(&answer, entry);
    for age_us in [0, 999_999, 1_000_000, 2_500_000, 3_499_000_000] {
        // The clock cannot be stopped: it is one of the seconds that it was meanwhile.
        let clock = (born_us + age_us).wrapping_sub(monotonic_us());
        rig.set(l::POLICY_FILTER_CLOCK_US, clock);
        let age_s = || (monotonic_us().wrapping_add(clock) - born_us) / 1_000_000;
        let youngest = age_s();
        let got = rig.ask(route, &message).unwrap();
        let expected: Vec<_> = (youngest..=age_s()).map(|age_s| aged(&answer, age_s as u32)).collect();
        assert!(expected.contains(&got), "{age_us}: {got:02x?} {expected:02x?}");
    }
    assert_eq!(rig.count(l::COUNTER_ON_DEMAND), 5);
    assert_eq!(rig.slot_word(number, l::SLOT_HITS).load(std::sync::atomic::Ordering::Relaxed) >> 32, 5);
    rig.set(l::POLICY_FILTER_CLOCK_US, (born_us + 3_500_000_000).wrapping_sub(monotonic_us()));
    check_passed(&rig, route, &message, l::PASS_OLD);
}

/// The answer `x.sub.example.com A`, of which all records have a TTL of an hour, so many seconds later.
fn aged(answer: &[u8], age_s: u32) -> Vec<u8> {
    let mut answer = answer.to_vec();
    let places: Vec<_> = (12..answer.len() - 4).filter(|&at| answer[at..at + 4] == 3600u32.to_be_bytes()).collect();
    assert_eq!(places.len(), 2, "of a name server and of its address");
    places.iter().for_each(|&at| answer[at..at + 4].copy_from_slice(&3600u32.saturating_sub(age_s).to_be_bytes()));
    answer
}

#[test]
fn all_that_is_answered_is_counted_as_above() {
    let (rig, above) = (Rig::new(), Above::new());
    keep(&rig, &above, "www.example.com A edns", Entry::default());
    keep(&rig, &above, "nothing.example.com A edns", Entry::default());
    let ask = |route: &Route, text: &str| {
        let (message, before) = (query(text), rig.count(l::COUNTER_ANSWER_BYTES));
        let answer = above.ask(route, &message, 0);
        assert_eq!(rig.ask(route, &message).as_ref(), Some(&answer));
        assert_eq!(rig.count(l::COUNTER_ANSWER_BYTES) - before, answer.len() as u64);
    };
    ask(&routes()[0], "www.example.com A");
    ask(&routes()[1], "www.example.com A edns");
    ask(&routes()[3], "nothing.example.com A edns");
    rig.ask(&routes()[0], &query("absent.example.com A"));
    let mut counts = rig.counts();
    counts.retain(|(place, _)| *place != l::COUNTER_ANSWER_BYTES);
    let (no_error, no_name) = (l::COUNTER_RCODES, l::COUNTER_RCODES + 3);
    let passed = (l::COUNTER_PASSED + l::PASS_ABSENT, 1);
    let queries = [(l::COUNTER_QUERIES, 1), (l::COUNTER_QUERIES + 1, 2)];
    assert_eq!(counts, [(l::COUNTER_SEEN, 4), queries[0], queries[1], (no_error, 2), (no_name, 1), passed]);
}

#[test]
fn a_slip_is_what_it_is_above_and_counted_so() {
    let (rig, mut above) = (Rig::new(), Above::new());
    let mut defences = Defences { slip: 1, ..Defences::default() };
    for (filter, mode) in Filter::ALL.into_iter().zip(&mut defences.filters) {
        *mode = if filter == Filter::ResponseRate { DefenceMode::On } else { DefenceMode::Off };
        rig.set(l::POLICY_MODE_0 + filter as usize, l::MODE_OFF as u64);
    }
    above.lane = Arc::new(Filters::new(&defences, [1, 2])).lane();
    rig.set(l::POLICY_MODE_0 + Filter::ResponseRate as usize, l::MODE_ON as u64);
    rig.set(l::POLICY_ALL_OFF, 0);
    rig.set(l::POLICY_SLIP, 1);
    rig.set(l::POLICY_RESPONSE_COST, 1 << 30);
    set_secrets(&rig, &mut above, &SECRETS);
    keep(&rig, &above, "large.example.com TXT edns", Entry::default());
    keep(&rig, &above, "nothing.example.com A edns", Entry::default());
    let mut slips = 0;
    for (n, route) in routes().into_iter().enumerate() {
        rig.set(l::POLICY_ROOM_IN_FRONT, n as u64 % 2);
        for question in ["large.example.com TXT", "nothing.example.com A"] {
            (0..1000).for_each(|_| drop(above.ask(&route, &query(question), 0)));
            for how in [
                "",
                "rd cd",
                "edns",
                "cookie=2464c4abcf10c957",
                "cookie=2464c4abcf10c957010000005cf79f111f8130c3eee29480",
            ] {
                let message = query(&format!("{question} {how}"));
                // Larger than the client takes, it is for those above to slip.
                if question.starts_with("large") && !how.contains("edns") && !how.contains("cookie") {
                    assert_eq!(rig.ask(&route, &message), None);
                    continue;
                }
                let (got, expected) = ask_both(&rig, &above, &route, &message, 0);
                assert!(expected[2] & 0x02 != 0 && expected.len() <= message.len(), "{expected:02x?}");
                assert_eq!(got, Some(expected), "{question} {how} over {route:?}");
                slips += 1;
            }
        }
    }
    assert_eq!((rig.count(l::COUNTER_SLIPPED), rig.count(l::COUNTER_TRUNCATED)), (slips, slips));
    assert_eq!((rig.count(l::COUNTER_RCODES), rig.count(l::COUNTER_RCODES + 3)), (slips, 0));
    // Or it is dropped, with the filter for a reason.
    rig.set(l::POLICY_SLIP, 0);
    let queries = rig.count(l::COUNTER_QUERIES);
    let run = rig.program.test_run(&routes()[0].carry(&query("nothing.example.com A")), 1).unwrap();
    assert_eq!(run.action, Action::Drop);
    assert_eq!(rig.count(l::COUNTER_FILTERED + Filter::ResponseRate as usize), 1);
    assert_eq!((rig.count(l::COUNTER_QUERIES), rig.count(l::COUNTER_SLIPPED)), (queries + 1, slips));
}

#[test]
fn filters_have_their_places_among_the_reasons() {
    for filter in Filter::ALL {
        let place = l::COUNTER_DROPPED + edge::DropReason::from(filter) as usize;
        assert_eq!(place, l::COUNTER_FILTERED + filter as usize);
    }
    assert_eq!(Filter::ALL.len(), l::FILTERS);
    assert!(edge::DropReason::ALL.len() <= l::COUNTER_ON_DEMAND - l::COUNTER_DROPPED);
}
