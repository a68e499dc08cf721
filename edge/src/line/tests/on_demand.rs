//! Zones that are filled on demand answer as their origin does: the line answers for a full zone, what it said is put into
//! the cache of another one, and that one is asked the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use cache::{Cache, CachedAnswer, Filled, TtlLimits};
use config::{DefenceMode, Filter};
use filters::{Admission, Now};
use wire::{Name, Query, Rcode, Rtype};
use zones::{ZoneState, Zones};

use super::{
    Case, PEER, query, render,
    zone::{EXAMPLE_COM, publish, zone},
};
use crate::{
    Miss, MissHandler, Transport, Waiter,
    line::{Client, OnDemand, respond_filled},
    stats::OnDemandEvent,
};

const ZONE: u64 = 5;

/// Asks no origin; remembers what it was told to fetch again.
#[derive(Default)]
struct Script(Mutex<Vec<Miss>>);

impl MissHandler for Script {
    fn miss(&self, _: Miss, waiter: Waiter) {
        drop(waiter);
    }

    fn prefetch(&self, miss: Miss) {
        self.0.lock().unwrap().push(miss);
    }
}

/// The cache and the clock of a line with on-demand zones.
pub(super) struct Rig {
    cache: Cache,
    now: Mutex<Instant>,
    script: Script,
}

impl Rig {
    /// Calls with the rig's view.
    pub(super) fn with_view<R>(&self, call: impl FnOnce(OnDemand<'_>) -> R) -> R {
        let now = *self.now.lock().unwrap();
        call(OnDemand { cache: &self.cache, misses: &self.script, clock: &|| now })
    }
}

/// A line whose zone `example.com` is filled on demand.
pub(super) fn on_demand(zones: Zones) -> Case {
    publish(&zones, "example.com", ZoneState::OnDemand { id: ZONE });
    let rig = Rig { cache: Cache::new(4 << 20), now: Mutex::new(Instant::now()), script: Script::default() };
    Case { zones, on_demand: Some(rig), ..Case::new() }
}

/// A line that has the zone.
pub(super) fn full(records: &str) -> Case {
    let zones = Zones::new();
    publish(&zones, "example.com", ZoneState::Serving(zone("example.com", records)));
    Case { zones, ..Case::new() }
}

impl Case {
    fn rig(&self) -> &Rig {
        self.on_demand.as_ref().unwrap()
    }

    pub(super) fn pass(&self, seconds: u64) {
        *self.rig().now.lock().unwrap() += Duration::from_secs(seconds);
    }

    /// What the origin says to a question, judged.
    fn judge(&self, origin: &Case, text: &str) -> (CachedAnswer, Vec<u8>) {
        let words: Vec<&str> = text.split_whitespace().take(2).collect();
        let (qname, qtype): (Name, Rtype) = (words[0].parse().unwrap(), words[1].parse().unwrap());
        let response = origin.respond(&query(&format!("{} {} do", words[0], words[1])), Transport::Tcp);
        let (apex, now) = ("example.com".parse::<Name>().unwrap(), *self.rig().now.lock().unwrap());
        let limits = TtlLimits::default();
        let judged = CachedAnswer::from_response(apex.as_ref(), qname.as_ref(), qtype, &response, &limits, now);
        (judged.unwrap_or_else(|unfit| panic!("{text}: {unfit}")), response)
    }

    /// Puts what the origin says to a question into the cache.
    pub(super) fn fill(&self, origin: &Case, text: &str) {
        let (cache, answer) = (&self.rig().cache, Arc::new(self.judge(origin, text).0));
        let ticket = cache.ticket(ZONE);
        cache.insert(ZONE, answer.qname(), answer.qtype(), Arc::clone(&answer), ticket);
    }

    /// The answer to a miss.
    fn complete(&self, text: &str, filled: &Filled) -> Vec<String> {
        let client = Client { peer: PEER.parse().unwrap(), transport: Transport::Udp, idle: Duration::ZERO };
        let mut out = [0; 1232];
        let length = self.with_context(|context| {
            respond_filled(&query(text), &client, &Admission::EXEMPT, context, filled, &mut out)
        });
        render(&out[..length])
    }
}

/// `example.com` with signatures and an NSEC chain; both are made up, and of the right form.
pub(super) fn signed_zone() -> String {
    let mut types: BTreeMap<Name, BTreeMap<Rtype, &str>> = BTreeMap::new();
    let mut text = String::new();
    for line in EXAMPLE_COM.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (owner, rtype): (Name, Rtype) = (words[0].parse().unwrap(), words[2].parse().unwrap());
        let _ = writeln!(text, "{line}");
        if !words[0].ends_with("ns.sub.example.com") {
            types.entry(owner).or_default().insert(rtype, words[1]);
        }
    }
    for (index, (owner, rtypes)) in types.iter().enumerate() {
        let next = types.keys().nth(index + 1).unwrap_or(types.keys().next().unwrap());
        let is_cut = owner.to_string() == "sub.example.com.";
        let labels = owner.as_ref().label_count() - usize::from(owner.as_ref().is_wildcard());
        let mut bits = [0u8; 8];
        for rtype in rtypes.keys().copied().chain([Rtype::RRSIG, Rtype::NSEC]) {
            bits[usize::from(rtype.0 / 8)] |= 0x80 >> (rtype.0 % 8);
        }
        let rdata = [next.as_bytes(), &[0, 8], &bits].concat();
        let _ = writeln!(text, "{owner} 300 NSEC \\# {}", super::hex(&rdata));
        for (rtype, ttl) in rtypes.iter().filter(|_| !is_cut).chain([(&Rtype::NSEC, &"300")]) {
            let _ = writeln!(text, "{owner} {ttl} RRSIG {rtype} {labels} example.com");
        }
    }
    text
}

pub(super) const NAMES: [&str; 21] = [
    "example.com",
    "www.example.com",
    "WwW.eXample.com",
    "ns1.example.com",
    "alias.example.com",
    "away.example.com",
    "dead.example.com",
    "a.b.c.example.com",
    "b.c.example.com",
    "nothing.example.com",
    "zzz.example.com",
    "x.y.www.example.com",
    "x.wild.example.com",
    "*.wild.example.com",
    "wild.example.com",
    "tree.example.com",
    "oak.tree.example.com",
    "elm.tree.example.com",
    "sub.example.com",
    "www.sub.example.com",
    "ns.sub.example.com",
];
const TYPES: [&str; 8] = ["A", "MX", "NS", "SOA", "TXT", "DS", "NSEC", "ANY"];

#[test]
fn it_answers_as_its_origin_does() {
    for records in [EXAMPLE_COM.to_owned(), signed_zone()] {
        let (origin, edge) = (full(&records), on_demand(Zones::new()));
        for text in NAMES.iter().flat_map(|name| TYPES.map(|rtype| format!("{name} {rtype}"))) {
            edge.fill(&origin, &text);
            for how in ["", "rd cd", "edns", "do", "do size=512", "tcp", "tcp do"] {
                let asked = format!("{text} {how}");
                let transport = if asked.contains("tcp") { Transport::Tcp } else { Transport::Udp };
                let [expected, found] = [&origin, &edge].map(|case| render(&case.respond(&query(&asked), transport)));
                assert_eq!(found, expected, "{asked}");
            }
        }
        assert_eq!(edge.stats().on_demand_for(OnDemandEvent::Hit), (NAMES.len() * TYPES.len() * 7) as u64);
    }
}

#[test]
fn what_nsec_records_prove_is_what_the_origin_says() {
    let (origin, edge) = (full(&signed_zone()), on_demand(Zones::new()));
    let apex: Name = "example.com".parse().unwrap();
    let texts: Vec<String> = NAMES.iter().flat_map(|name| TYPES.map(|rtype| format!("{name} {rtype} do"))).collect();
    for text in &texts {
        let (_, response) = edge.judge(&origin, text);
        let (cache, now) = (&edge.rig().cache, *edge.rig().now.lock().unwrap());
        let ticket = cache.ticket(ZONE);
        cache.learn_denial(ZONE, apex.as_ref(), &response, &TtlLimits::default(), now, ticket);
    }
    let mut made = 0;
    for text in &texts {
        let found = render(&edge.respond(&query(text), Transport::Tcp));
        if found[0].starts_with("SERVFAIL") {
            continue;
        }
        made += 1;
        let expected = render(&origin.respond(&query(text), Transport::Tcp));
        assert_eq!(found[..2], expected[..2], "{text}");
        assert_eq!(found.last().unwrap(), "opt 1232 do ede=001d", "{text}");
        let sorted = |lines: &[String]| lines[2..lines.len() - 1].iter().cloned().collect::<BTreeSet<_>>();
        assert_eq!(sorted(&found), sorted(&expected), "{text}");
    }
    assert_eq!(edge.stats().on_demand_for(OnDemandEvent::Synthesised), made);
    assert!(made > 60, "{made}");
}

#[test]
fn ttls_count_down_each_by_its_own() {
    let (origin, edge) = (full(EXAMPLE_COM), on_demand(Zones::new()));
    edge.fill(&origin, "example.com MX");
    edge.fill(&origin, "alias.example.com A");
    edge.pass(100);
    edge.check(
        "alias.example.com A",
        "NOERROR qr aa
        ? alias.example.com. IN A
        = alias.example.com. 200 CNAME www.example.com.
        = www.example.com. 200 A 192.0.2.80
        = www.example.com. 200 A 192.0.2.81",
    );
    edge.check(
        "example.com MX",
        "NOERROR qr aa
        ? example.com. IN MX
        = example.com. 3500 MX 10 mail.example.com.
        + mail.example.com. 3500 A 192.0.2.25
        + mail.example.com. 3500 AAAA 2001:db8::25",
    );
    edge.pass(200);
    // The end of a life is the filler's affair: here nobody is asked.
    edge.check("alias.example.com A edns", "SERVFAIL qr\n? alias.example.com. IN A\nopt 1232 ede=0016");
}

#[test]
fn stale_answers_say_so() {
    let (origin, edge) = (full(EXAMPLE_COM), on_demand(Zones::new()));
    let stale = |text: &str, asked: &str| {
        let answer = Arc::new(edge.judge(&origin, text).0);
        edge.complete(asked, &Filled::Stale(answer))
    };
    assert_eq!(
        stale("alias.example.com A", "alias.example.com A edns")[2..],
        [
            "= alias.example.com. 30 CNAME www.example.com.",
            "= www.example.com. 30 A 192.0.2.80",
            "= www.example.com. 30 A 192.0.2.81",
            "opt 1232 ede=0003"
        ]
    );
    let soa = "! example.com. 30 SOA ns1.example.com. host.example.com. 7";
    assert_eq!(
        stale("nothing.example.com A", "nothing.example.com A edns"),
        ["NXDOMAIN qr aa", "? nothing.example.com. IN A", soa, "opt 1232 ede=0013"]
    );
    assert_eq!(stale("nothing.example.com A", "nothing.example.com A").len(), 3, "no EDNS, no explanation");
}

#[test]
fn room_is_kept_for_the_explanation() {
    let records = format!("{EXAMPLE_COM}\nbig.example.com 300 TXT {}", "x".repeat(700));
    let (origin, edge) = (full(&records), on_demand(Zones::new()));
    let answer = Arc::new(edge.judge(&origin, "big.example.com TXT").0);
    let mut truncated = 0;
    for size in 512..1232 {
        let got = edge.complete(&format!("big.example.com TXT size={size}"), &Filled::Stale(Arc::clone(&answer)));
        assert_eq!(got.last().unwrap(), "opt 1232 ede=0003");
        assert_eq!(got.len() == 3, got[0] == "NOERROR qr aa tc", "{got:?}");
        truncated += usize::from(got.len() == 3);
    }
    // Header, question, record, OPT with the option, to the octet.
    assert_eq!(truncated, 12 + 21 + (12 + 703) + (11 + 6) - 512);
}

#[test]
fn errors_are_passed_on() {
    let edge = on_demand(Zones::new());
    let now = *edge.rig().now.lock().unwrap();
    let qname: Name = "x.example.com".parse().unwrap();
    let said = |rcode| {
        let error = CachedAnswer::from_error(qname.as_ref(), Rtype::A, rcode, now);
        edge.complete("x.example.com A edns", &Filled::Answer(error.into()))
    };
    assert_eq!(said(Rcode::NOTIMP), ["NOTIMP qr", "? x.example.com. IN A", "opt 1232"]);
    assert_eq!(said(Rcode::REFUSED), ["SERVFAIL qr", "? x.example.com. IN A", "opt 1232 ede=0017"]);
}

#[test]
fn without_an_origin_to_ask_the_zone_is_not_ready() {
    let edge = Case { on_demand: None, ..on_demand(Zones::new()) };
    edge.check("www.example.com A edns", "SERVFAIL qr\n? www.example.com. IN A\nopt 1232 ede=000e");
}

#[test]
fn what_has_no_question_is_no_miss() {
    let edge = on_demand(Zones::new());
    let answer = CachedAnswer::from_error(wire::NameRef::ROOT, Rtype::A, Rcode::SERVFAIL, Instant::now());
    let client = Client { peer: PEER.parse().unwrap(), transport: Transport::Udp, idle: Duration::ZERO };
    let filled = Filled::Answer(answer.into());
    for message in [&b""[..], &query("x.example.com A")[..20], &query(". A noquestion edns")] {
        assert!(Query::parse(message).is_err() || Query::parse(message).unwrap().question.is_none());
        let length = edge.with_context(|context| {
            respond_filled(message, &client, &Admission::EXEMPT, context, &filled, &mut [0; 512])
        });
        assert_eq!(length, 0);
    }
}

#[test]
fn a_flood_of_misses_is_withheld_and_hits_are_not() {
    let (origin, mut edge) = (full(EXAMPLE_COM), on_demand(Zones::new()));
    let (case, filters) =
        super::filters::only(Filter::Miss, DefenceMode::On, |defences| defences.normal_per_s = Some(100));
    edge.lane = case.lane;
    filters.tick(Now::from_us(edge.filter_us.get()));
    edge.fill(&origin, "www.example.com A");
    let mut silent = 0;
    for number in 0..5000 {
        edge.filter_us.set(edge.filter_us.get() + 100);
        silent += u64::from(edge.respond(&query(&format!("r{number}.example.com A")), Transport::Udp).is_empty());
        assert!(!edge.respond(&query("www.example.com A"), Transport::Udp).is_empty(), "{number}");
    }
    assert!(silent > 2000, "{silent}");
    // Nobody was asked for those: here each question is one that fails.
    assert_eq!(edge.stats().on_demand_for(OnDemandEvent::Failed), 5000 - silent);
    assert_eq!(edge.stats().dropped_for(crate::DropReason::Miss), silent);
}

#[test]
fn what_an_origin_says_of_misses_is_judged_too() {
    let (origin, mut edge) = (full(EXAMPLE_COM), on_demand(Zones::new()));
    edge.lane = super::filters::only(Filter::ResponseRate, DefenceMode::On, |_| ()).0.lane;
    let filled = Filled::Answer(edge.judge(&origin, "www.example.com A").0.into());
    let client = Client { peer: PEER.parse().unwrap(), transport: Transport::Udp, idle: Duration::ZERO };
    let message = query("www.example.com A");
    let lengths: Vec<usize> = (0..1000)
        .map(|_| {
            edge.with_context(|context| {
                let admission = Admission { exempt: false, ..Admission::EXEMPT };
                respond_filled(&message, &client, &admission, context, &filled, &mut [0; 1232])
            })
        })
        .collect();
    assert!(lengths.iter().filter(|length| **length > message.len()).count() < 300);
}
