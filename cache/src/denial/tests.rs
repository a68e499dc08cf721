//! What is learned, what is concluded from it, and above all what is not.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use wire::{Name, Rtype};

use super::chain::{Chain, Nsec, Signed};
use super::key::NameKey;
use crate::tests::{Random, name, render, response};
use crate::{Cache, TtlLimits};

const ZONE: u64 = 1;
const APEX: &str = "example.com";

/// A cache that has learned from a negative answer with these NSEC records: `OWNER NEXT TYPES…`, one a line.
fn learned(nsecs: &str, now: Instant) -> Cache {
    let cache = Cache::new(8 << 20);
    learn(&cache, nsecs, now);
    cache
}

fn negative(nsecs: &str) -> String {
    let mut text = String::from(
        "q.example.com A aa NXDOMAIN
         ! example.com 3600 SOA 600
         ! example.com 3600 RRSIG SOA 2 example.com\n",
    );
    for line in nsecs.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (owner, rest) = line.split_once(' ').unwrap();
        let labels = name(owner).as_ref().label_count() - usize::from(owner.starts_with('*'));
        text += &format!("! {owner} 3600 NSEC {rest} RRSIG NSEC\n! {owner} 3600 RRSIG NSEC {labels} {APEX}\n");
    }
    text
}

fn learn(cache: &Cache, nsecs: &str, now: Instant) {
    learn_response(cache, &negative(nsecs), now);
}

fn learn_response(cache: &Cache, text: &str, now: Instant) {
    let ticket = cache.ticket(ZONE);
    let limits = TtlLimits { negative_ttl_s_max: 3600, ..TtlLimits::default() };
    cache.learn_denial(ZONE, name(APEX).as_ref(), &response(text), &limits, now, ticket);
}

fn synthesised(cache: &Cache, qname: &str, qtype: Rtype, now: Instant) -> Option<Vec<String>> {
    let answer = cache.synthesise(ZONE, name(APEX).as_ref(), name(qname).as_ref(), qtype, now)?;
    assert!(answer.is_synthesised() && answer.is_authoritative() && answer.expires_in_s(now) == answer.lifetime_s());
    Some(render(&answer))
}

fn says(cache: &Cache, qname: &str, qtype: Rtype, now: Instant) -> Option<String> {
    synthesised(cache, qname, qtype, now).map(|lines| lines[0].split_whitespace().take(2).collect::<Vec<_>>().join(" "))
}

#[test]
fn a_name_between_two_is_not_there() {
    let now = Instant::now();
    let cache = learned("example.com a.example.com NS SOA\nb.example.com d.example.com A", now);
    let expected = [
        "NXDOMAIN NxDomain aa 600",
        "! example.com. 600 SOA 1",
        "! example.com. 600 RRSIG 1",
        "! b.example.com. 600 NSEC 1",
        "! b.example.com. 600 RRSIG 1",
        "! example.com. 600 NSEC 1",
        "! example.com. 600 RRSIG 1",
    ];
    assert_eq!(synthesised(&cache, "c.example.com", Rtype::A, now).unwrap(), expected);
    assert_eq!(says(&cache, "x.y.C.example.com", Rtype::TXT, now).unwrap(), "NXDOMAIN NxDomain");
    assert_eq!(says(&cache, "c.example.com", Rtype::ANY, now).unwrap(), "NXDOMAIN NxDomain");
    let expected = Some("NXDOMAIN NxDomain");
    assert_eq!(says(&cache, "b.b.example.com", Rtype::A, now).as_deref(), expected, "one record is enough");
    assert_eq!(synthesised(&cache, "b.b.example.com", Rtype::A, now).unwrap().len(), 5);
    assert_eq!(says(&cache, "a.example.com", Rtype::A, now), None, "the next name is there");
    assert_eq!(says(&cache, "e.example.com", Rtype::A, now), None);
    assert_eq!(says(&cache, "c.example.net", Rtype::A, now), None);
}

#[test]
fn without_the_wildcard_nothing_is_denied() {
    let now = Instant::now();
    let cache = learned("b.example.com d.example.com A", now);
    assert_eq!(says(&cache, "c.example.com", Rtype::A, now), None);
    learn(&cache, "example.com *.example.com NS SOA", now);
    assert_eq!(says(&cache, "c.example.com", Rtype::A, now), None, "the wildcard is there");
    learn(&cache, "*.example.com a.example.com TXT", now);
    let no_data = synthesised(&cache, "c.example.com", Rtype::A, now).unwrap();
    assert_eq!((no_data[0].as_str(), no_data.len()), ("NOERROR NoData aa 600", 7));
    assert_eq!(says(&cache, "c.example.com", Rtype::TXT, now), None, "the wildcard has it");
    assert_eq!(says(&cache, "*.example.com", Rtype::A, now).unwrap(), "NOERROR NoData", "the wildcard itself");
}

#[test]
fn aliases_at_a_wildcard_stand_for_all_types() {
    let now = Instant::now();
    let cache = learned("*.example.com a.example.com CNAME\nb.example.com d.example.com A", now);
    assert_eq!(says(&cache, "c.example.com", Rtype::A, now), None);
    let cache = learned("*.example.com a.example.com DNAME\nb.example.com d.example.com A", now);
    assert_eq!(says(&cache, "c.example.com", Rtype::A, now), None);
}

#[test]
fn a_type_that_a_name_has_not() {
    let now = Instant::now();
    let cache = learned("b.example.com d.example.com A MX\nc2.d.example.com e.example.com CNAME", now);
    let expected = [
        "NOERROR NoData aa 600",
        "! example.com. 600 SOA 1",
        "! example.com. 600 RRSIG 1",
        "! b.example.com. 600 NSEC 1",
        "! b.example.com. 600 RRSIG 1",
    ];
    assert_eq!(synthesised(&cache, "B.example.com", Rtype::AAAA, now).unwrap(), expected);
    assert!(says(&cache, "b.example.com", Rtype::DS, now).is_some());
    for held in [Rtype::A, Rtype::MX, Rtype::NSEC, Rtype::RRSIG, Rtype::ANY] {
        assert_eq!(says(&cache, "b.example.com", held, now), None, "{held}");
    }
    assert_eq!(says(&cache, "c2.d.example.com", Rtype::A, now), None, "an alias");
    assert_eq!(says(&cache, "d.example.com", Rtype::A, now), None, "the next name");
}

#[test]
fn empty_non_terminals_are_there() {
    let now = Instant::now();
    let cache = learned("example.com a.b.c.example.com NS SOA", now);
    for ent in ["c.example.com", "b.c.example.com"] {
        assert_eq!(says(&cache, ent, Rtype::A, now).as_deref(), Some("NOERROR NoData"), "{ent}");
    }
    assert_eq!(says(&cache, "a.b.c.example.com", Rtype::A, now), None);
    assert_eq!(says(&cache, "a.a.example.com", Rtype::A, now).as_deref(), Some("NXDOMAIN NxDomain"));
    assert_eq!(
        says(&cache, "a.c.example.com", Rtype::A, now).as_deref(),
        Some("NXDOMAIN NxDomain"),
        "*.c is not there"
    );
    // There is something below the wildcard, and so the wildcard itself.
    let cache = learned("example.com x.*.example.com NS SOA\nx.*.example.com b.example.com A", now);
    assert_eq!(says(&cache, "a.example.com", Rtype::A, now), None);
}

#[test]
fn a_cut_says_nothing_of_what_is_below_it() {
    let now = Instant::now();
    let cache = learned("example.com sub.example.com NS SOA\nsub.example.com z.example.com NS DS", now);
    for (qname, qtype) in
        [("www.sub.example.com", Rtype::A), ("sub.example.com", Rtype::A), ("a.b.sub.example.com", Rtype::DS)]
    {
        assert_eq!(says(&cache, qname, qtype, now), None, "{qname} {qtype}");
    }
    assert_eq!(says(&cache, "sub.example.com", Rtype::DS, now), None, "it is there");
    assert_eq!(says(&cache, "t.example.com", Rtype::A, now).as_deref(), Some("NXDOMAIN NxDomain"), "not below the cut");
    let cache = learned("example.com sub.example.com NS SOA\nsub.example.com z.example.com NS", now);
    assert_eq!(says(&cache, "sub.example.com", Rtype::DS, now).as_deref(), Some("NOERROR NoData"), "an unsigned cut");
    assert_eq!(says(&cache, "example.com", Rtype::DS, now), None, "the parent's to say");
    let cache = learned("example.com d.example.com NS SOA\nd.example.com z.example.com DNAME", now);
    assert_eq!(says(&cache, "x.d.example.com", Rtype::A, now), None, "below a DNAME");
    assert_eq!(says(&cache, "d.example.com", Rtype::A, now).as_deref(), Some("NOERROR NoData"));
}

#[test]
fn the_last_record_closes_the_chain() {
    let now = Instant::now();
    let cache = learned("example.com a.example.com NS SOA\nx.example.com example.com A", now);
    assert_eq!(says(&cache, "z.example.com", Rtype::A, now).as_deref(), Some("NXDOMAIN NxDomain"));
    assert_eq!(says(&cache, "w.example.com", Rtype::A, now), None);
    let cache = learned("example.com example.com NS SOA", now);
    assert_eq!(says(&cache, "anything.example.com", Rtype::A, now).as_deref(), Some("NXDOMAIN NxDomain"));
}

#[test]
fn nothing_lives_longer_than_its_ttl() {
    let now = Instant::now();
    let cache = learned("example.com a.example.com NS SOA", now);
    learn(&cache, "b.example.com d.example.com A", now + Duration::from_secs(300));
    let at = |seconds| synthesised(&cache, "c.example.com", Rtype::A, now + Duration::from_secs(seconds));
    assert_eq!(at(400).unwrap()[0], "NXDOMAIN NxDomain aa 200", "the least of all that is left");
    assert!(at(599).is_some());
    assert_eq!(at(600), None);
    let no_soa = "q.example.com A aa NXDOMAIN
        ! b.example.com 3600 NSEC d.example.com A
        ! b.example.com 3600 RRSIG NSEC 3 example.com";
    let cache = Cache::new(8 << 20);
    learn_response(&cache, no_soa, now);
    assert_eq!((says(&cache, "b.example.com", Rtype::MX, now), cache.stats().denials), (None, 1), "no SOA to give");
}

#[test]
fn what_proves_nothing_is_not_learned() {
    let now = Instant::now();
    let records = |nsec: &str, signature: &str| {
        let cache = Cache::new(8 << 20);
        let soa = "! example.com 3600 SOA 600\n! example.com 3600 RRSIG SOA 2 example.com";
        learn_response(&cache, &format!("q.example.com A aa NXDOMAIN\n{soa}\n{nsec}\n{signature}"), now);
        cache.stats().denials
    };
    let (nsec, signature) = ("! b.example.com 60 NSEC d.example.com A", "! b.example.com 60 RRSIG NSEC 3 example.com");
    assert_eq!(records(nsec, signature), 1);
    assert_eq!(records(nsec, ""), 0, "not signed");
    assert_eq!(records(nsec, "! b.example.com 60 RRSIG A 3 example.com"), 0, "not signed itself");
    assert_eq!(records(nsec, "! b.example.com 60 RRSIG NSEC 3 b.example.com"), 0, "of a zone below");
    assert_eq!(records(nsec, "! b.example.com 60 RRSIG NSEC 2 example.com"), 0, "expanded from a wildcard");
    assert_eq!(records("! b.example.com 60 NSEC d.example.net A", signature), 0, "leads out of the zone");
    assert_eq!(records("! b.example.com 60 NSEC a.example.com A", signature), 0, "leads back");
    assert_eq!(records("! b.example.com 0 NSEC d.example.com A", signature), 0, "not to be kept");
    assert_eq!(records("! b.example.com 60 NSEC \\000.b.example.com A", signature), 0, "made for this question");
    assert_eq!(records("! b.example.com 60 NSEC d.example.com TYPE128", signature), 0, "the same, RFC 9824");
    assert_eq!(records(&format!("{nsec}\n! b.example.com 60 NSEC e.example.com A"), signature), 0, "two of one name");
    let cache = Cache::new(8 << 20);
    let in_answer = "b.example.com NSEC aa
        = b.example.com 60 NSEC d.example.com A
        = b.example.com 60 RRSIG NSEC 3 example.com
        ! example.com 3600 SOA 600
        ! example.com 3600 RRSIG SOA 2 example.com";
    learn_response(&cache, in_answer, now);
    learn_response(&cache, &negative("b.example.com d.example.com A").replace("NXDOMAIN", "SERVFAIL"), now);
    assert_eq!(cache.stats().denials, 0);
}

#[test]
fn a_purge_forgets_also_what_is_under_way() {
    let now = Instant::now();
    let cache = learned("example.com a.example.com NS SOA\nb.example.com d.example.com A", now);
    let before = cache.ticket(ZONE);
    assert_eq!(cache.usage(ZONE).denials, 2);
    cache.purge(ZONE, name("c.example.com").as_ref(), false);
    assert_eq!((cache.stats().denials, cache.stats().bytes), (0, 0));
    let text = response(&negative("b.example.com d.example.com A"));
    cache.learn_denial(ZONE, name(APEX).as_ref(), &text, &TtlLimits::default(), now, before);
    assert_eq!(cache.stats().denials, 0);
    learn(&cache, "b.example.com d.example.com A", now);
    assert_eq!(cache.stats().denials, 1);
    cache.forget_zone(ZONE);
    assert_eq!((cache.stats().denials, cache.stats().bytes), (0, 0));
}

#[test]
fn newer_records_take_the_place_of_what_they_contradict() {
    let now = Instant::now();
    let cache = learned("example.com a.example.com NS SOA\nb.example.com m.example.com A", now);
    assert!(says(&cache, "f.example.com", Rtype::A, now).is_some());
    learn(&cache, "f.example.com m.example.com A", now);
    assert_eq!(says(&cache, "f.example.com", Rtype::A, now), None, "it is there now");
    assert_eq!(says(&cache, "g.example.com", Rtype::A, now).as_deref(), Some("NXDOMAIN NxDomain"));
    assert_eq!(says(&cache, "c.example.com", Rtype::A, now), None, "what the old one said is not believed any more");
    learn(&cache, "a.example.com z.example.com A", now);
    assert_eq!(says(&cache, "f.example.com", Rtype::TXT, now).as_deref(), Some("NXDOMAIN NxDomain"));
    assert_eq!(cache.stats().denials, 2);
}

/// A record for the chain alone.
fn link(owner: &Name, next: &Name, now: Instant) -> Nsec {
    let records = Signed {
        owner: owner.as_bytes().into(),
        rdata: next.as_bytes().into(),
        signatures: Vec::new(),
        expires: now + Duration::from_secs(100),
    };
    Nsec::new(NameKey::new(owner.as_ref()).as_bytes(), NameKey::new(next.as_ref()).as_bytes(), records, 0)
}

#[test]
fn the_chain_is_what_a_sorted_map_is() {
    let now = Instant::now();
    let mut random = Random(3);
    let apex = NameKey::new(name(APEX).as_ref());
    let (mut chain, mut model) = (Chain::default(), BTreeMap::<Vec<u8>, Vec<u8>>::new());
    let key = |name: &Name| NameKey::new(name.as_ref()).as_bytes().to_vec();
    for round in 0..4000 {
        let owner = name(&format!("n{:05}.example.com", random.below(6000)));
        let span = if round % 500 == 0 { 3000 } else { 3 };
        let number: u64 = owner.to_string()[1..6].parse::<u64>().unwrap() + 1 + random.below(span);
        let next = name(&format!("n{number:05}.example.com"));
        let (from, to) = (key(&owner), key(&next));
        model.retain(|o, n| !((*o > from && *o < to) || (*o < from && from < *n)));
        model.insert(from, to);
        chain.insert(link(&owner, &next, now), apex.as_bytes());
        if round % 200 == 0 {
            assert!(chain.keys().iter().map(|key| key.to_vec()).eq(model.keys().cloned()));
        }
        let wanted = key(&name(&format!("n{:05}.example.com", random.below(6000))));
        let found = chain.at_or_before(&wanted).map(|nsec| nsec.owner_key.to_vec());
        assert_eq!(found.as_ref(), model.range(..=wanted).next_back().map(|(owner, _)| owner));
    }
    let mut hand = 0;
    while chain.len() > 0 {
        let before = chain.len();
        hand = chain.evict(hand, now);
        assert!(chain.len() < before && chain.keys().len() == chain.len());
    }
    assert_eq!(chain.bytes(), 0);
}

#[test]
fn records_of_a_zone_take_bounded_memory() {
    let now = Instant::now();
    let cache = Cache::new(4 << 20);
    for number in 0..5000 {
        learn(&cache, &format!("h{number:07}.example.com h{number:07}x.example.com A"), now);
    }
    let (stats, usage) = (cache.stats(), cache.usage(ZONE));
    assert_eq!(stats.denials, usage.denials);
    assert!(stats.bytes <= (4 << 20) / 8 / 2 && stats.denials > 50, "{stats:?}");
    assert!(says(&cache, "h0004999.example.com", Rtype::TXT, now).is_some(), "the last one is there");
}

/// A zone to answer from and to compare with: names with their types.
struct Model {
    names: BTreeMap<Name, BTreeSet<Rtype>>,
}

impl Model {
    fn random(random: &mut Random) -> Model {
        let mut names = BTreeMap::new();
        names.insert(name(APEX), BTreeSet::from([Rtype::SOA, Rtype::NS]));
        for _ in 0..2 + random.below(12) {
            let types: &[Rtype] = match random.below(8) {
                0 => &[Rtype::NS],
                1 => &[Rtype::NS, Rtype::DS],
                2 => &[Rtype::CNAME],
                3 => &[Rtype::DNAME],
                4 => &[Rtype::MX],
                _ => &[Rtype::A],
            };
            names.insert(random_name(random), types.iter().copied().collect());
        }
        // Below a cut or a DNAME there is nothing of this zone.
        let hiding: Vec<Name> = names.iter().filter(|(n, types)| hides(n, types)).map(|(n, _)| *n).collect();
        names.retain(|n, _| !hiding.iter().any(|above| n != above && n.as_ref().is_within(above.as_ref())));
        Model { names }
    }

    fn nsec(&self, index: usize) -> String {
        let (owner, types) = self.names.iter().nth(index).unwrap();
        let next = self.names.keys().nth(index + 1).or(self.names.keys().next()).unwrap();
        types.iter().fold(format!("{owner} {next}"), |line, rtype| format!("{line} {rtype}"))
    }

    /// What an authoritative server says (RFC 1034 §4.3.2, RFC 4592): none if it is no denial.
    fn denial(&self, qname: &Name, qtype: Rtype) -> Option<&'static str> {
        let ancestors = std::iter::successors(Some(qname.as_ref()), |name| name.parent());
        for above in ancestors.skip(1) {
            if self.names.get(&above.to_owned()).is_some_and(|types| hides(&above.to_owned(), types)) {
                return None;
            }
        }
        if self.exists(qname) {
            return self.names.get(qname).map_or(Some("NOERROR NoData"), |types| no_data(types, qtype));
        }
        let mut encloser = qname.as_ref().parent().unwrap();
        while !self.exists(&encloser.to_owned()) {
            encloser = encloser.parent().unwrap();
        }
        let wildcard = encloser.to_owned().prepend(b"*").unwrap();
        if self.exists(&wildcard) {
            return self.names.get(&wildcard).map_or(Some("NOERROR NoData"), |types| no_data(types, qtype));
        }
        Some("NXDOMAIN NxDomain")
    }

    fn exists(&self, wanted: &Name) -> bool {
        self.names.keys().any(|name| name.as_ref().is_within(wanted.as_ref()))
    }
}

fn hides(owner: &Name, types: &BTreeSet<Rtype>) -> bool {
    types.contains(&Rtype::DNAME) || (types.contains(&Rtype::NS) && *owner != name(APEX))
}

fn no_data(types: &BTreeSet<Rtype>, qtype: Rtype) -> Option<&'static str> {
    let is_cut = types.contains(&Rtype::NS) && !types.contains(&Rtype::SOA);
    let held = types.contains(&qtype) || types.contains(&Rtype::CNAME) || (is_cut && qtype != Rtype::DS);
    (!held).then_some("NOERROR NoData")
}

fn random_name(random: &mut Random) -> Name {
    let labels = ["a", "b", "c", "*", "\\001", "zz"];
    let mut text = String::from(APEX);
    for _ in 0..1 + random.below(3) {
        text = format!("{}.{text}", labels[random.below(labels.len() as u64) as usize]);
    }
    name(&text)
}

#[test]
fn nothing_is_said_that_the_zone_does_not_say() {
    let now = Instant::now();
    let mut random = Random(11);
    let (mut denied, mut asked, mut not_denied) = (0, 0, 0);
    for _ in 0..400 {
        let model = Model::random(&mut random);
        let cache = Cache::new(8 << 20);
        for index in 0..model.names.len() {
            if random.below(4) > 0 {
                learn(&cache, &model.nsec(index), now);
            }
        }
        for _ in 0..60 {
            let qname = random_name(&mut random);
            let qtype = [Rtype::A, Rtype::MX, Rtype::DS, Rtype::NS][random.below(4) as usize];
            let said = says(&cache, &qname.to_string(), qtype, now);
            let truth = model.denial(&qname, qtype);
            asked += usize::from(truth.is_some());
            if let Some(said) = said {
                assert_eq!(Some(said.as_str()), truth, "{qname} {qtype} in {:?}", model.names);
                denied += 1;
            } else {
                not_denied += usize::from(truth.is_some());
            }
        }
    }
    // Three of four records are known; most denials need one or two of them.
    assert!(denied * 2 > asked, "{denied} of {asked}, {not_denied} missed");
}
