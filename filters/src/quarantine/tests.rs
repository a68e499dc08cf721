//! What is kept away after a death, what is not, and for how long.

use std::net::{IpAddr, Ipv4Addr};

use config::{DefenceMode, Defences, Filter};
use wire::{Class, Flags, Name, NameRef, Opcode, Rtype, Writer};

use super::*;
use crate::{Asked, Effect, Filters, Gate, Hashes, Lane, Proof, Verdict};

const SECOND_US: u64 = 1_000_000;

fn at(s: u64) -> Now {
    Now::from_us((1000 + s) * SECOND_US)
}

/// A query with RD; `options` are EDNS options of four bytes each.
fn query(id: u16, name: &str, qtype: Rtype, opcode: Opcode, options: Option<&[u16]>) -> Vec<u8> {
    let mut buffer = [0; 512];
    let mut writer = Writer::new(&mut buffer, 512).unwrap();
    writer.set_id(id);
    writer.set_flags(Flags::default().with_rd(true).with_opcode(opcode));
    writer.question(name.parse::<Name>().unwrap().as_ref(), qtype, Class::IN).unwrap();
    if let Some(options) = options {
        let write = |writer: &mut wire::OptionWriter<'_, '_>| {
            options.iter().try_for_each(|&code| writer.option(code, &[1, 2, 3, 4]))
        };
        writer.opt(1232, 0, 0, false, write).unwrap();
    }
    let length = writer.finish();
    buffer[..length].to_vec()
}

fn plain(name: &str, qtype: Rtype) -> Vec<u8> {
    query(7, name, qtype, Opcode::QUERY, None)
}

/// With an option that nobody sends.
fn odd(name: &str, qtype: Rtype) -> Vec<u8> {
    query(7, name, qtype, Opcode::QUERY, Some(&[65_001]))
}

struct Node {
    filters: Arc<Filters>,
    lane: Lane,
}

impl Node {
    fn new(mode: DefenceMode) -> Node {
        let mut defences = Defences { quarantine_s: 100, ..Defences::default() };
        defences.filters[Filter::QueryOfDeath as usize] = mode;
        let filters = Arc::new(Filters::new(&defences, [1, 2]));
        Node { lane: filters.lane(), filters }
    }

    /// `example.com` is the only zone.
    fn dies(&self, message: &[u8], s: u64) -> Quarantining {
        let apex: Name = "example.com".parse().unwrap();
        let inside = |name: NameRef<'_>| name.is_within(apex.as_ref()) && !name.eq_ignore_case(apex.as_ref());
        self.filters.quarantine(message, true, &inside, at(s))
    }

    fn with<R>(&self, message: &[u8], s: u64, ask: impl FnOnce(&Gate<'_>, &View<'_>) -> R) -> R {
        let question = wire::Query::parse(message).ok().and_then(|query| query.question);
        let asked = question.map(|question| Asked { qname: question.name, qtype: question.rtype });
        let source = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        let view = View { source, proof: Proof::None, message, asked, hashes: Hashes::default() };
        ask(&self.lane.gate(at(s)), &view)
    }

    fn drops(&self, message: &[u8], s: u64) -> bool {
        self.with(message, s, |gate, view| gate.admit(view).verdict) == Verdict::Drop(Filter::QueryOfDeath)
    }

    /// Answers it with records so many times.
    fn answers(&self, message: &[u8], s: u64, times: u32) {
        let found = Found { zone: None, kind: Kind::Answer, ttl_s: 60, cut: None, is_hit: false };
        for _ in 0..times {
            self.with(message, s, |gate, view| gate.judge(view, &gate.admit(view), &found));
        }
    }

    fn widths(&self, s: u64) -> Vec<Width> {
        self.filters.quarantined(at(s)).iter().map(|entry| entry.width).collect()
    }
}

#[test]
fn the_like_of_a_death_is_dropped_for_a_time() {
    let node = Node::new(DefenceMode::On);
    let killer = plain("www.example.com", Rtype::A);
    assert!(!node.drops(&killer, 0));
    let outcome = node.dies(&killer, 0);
    assert_eq!(outcome.kept_away, ["the same message of 33 bytes", "www.example.com. A"]);
    assert_eq!(outcome.refused, []);
    // Another id, another case, EDNS: it is the same question.
    assert!(node.drops(&query(9, "wWw.example.com", Rtype::A, Opcode::QUERY, Some(&[3])), 1));
    let others =
        [plain("www.example.com", Rtype::AAAA), plain("example.com", Rtype::A), plain("a.www.example.com", Rtype::A)];
    assert!(others.iter().all(|other| !node.drops(other, 1)));
    assert!(!node.drops(&query(7, "www.example.com", Rtype::A, Opcode::NOTIFY, None), 1), "another opcode");
    assert!(node.drops(&killer, 99) && !node.drops(&killer, 100));
    node.filters.tick(at(100));
    assert_eq!(node.filters.quarantine.entries.load(Relaxed), 0, "nothing is left to look through");
    assert_eq!(node.filters.counts().effect(Filter::QueryOfDeath, Effect::Dropped), 2);
}

#[test]
fn the_same_message_is_known_before_it_is_read() {
    let node = Node::new(DefenceMode::On);
    let garbage = [7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 0xff];
    let outcome = node.filters.quarantine(&garbage, false, &|_| true, at(0));
    assert_eq!(outcome.kept_away.len(), 1);
    let other_id = [&[1, 2][..], &garbage[2..]].concat();
    assert!(node.with(&other_id, 1, |gate, _| gate.has_killed(&other_id)));
    assert!(!node.with(&garbage[..13], 1, |gate, _| gate.has_killed(&garbage[..13])));
    assert!(!node.with(&garbage, 100, |gate, _| gate.has_killed(&garbage)));
    // What is kept away by its question alone is not known yet.
    node.dies(&plain("www.example.com", Rtype::A), 1);
    let same_question = query(1, "www.example.com", Rtype::A, Opcode::QUERY, Some(&[3]));
    assert!(!node.with(&same_question, 2, |gate, _| gate.has_killed(&same_question)));
}

#[test]
fn an_odd_message_takes_no_name_from_everybody() {
    let node = Node::new(DefenceMode::On);
    node.dies(&odd("www.example.com", Rtype::A), 0);
    assert!(node.drops(&query(1, "www.example.com", Rtype::A, Opcode::QUERY, Some(&[65_002])), 1));
    assert!(!node.drops(&plain("www.example.com", Rtype::A), 1));
    // Had it been ordinary, its question would be it.
    node.dies(&plain("www.example.com", Rtype::A), 2);
    assert!(node.drops(&plain("www.example.com", Rtype::A), 3));
}

#[test]
fn names_below_one_another_widen_it_within_a_minute() {
    let node = Node::new(DefenceMode::On);
    node.dies(&plain("a1.hosts.example.com", Rtype::A), 0);
    let outcome = node.dies(&plain("b2.hosts.example.com", Rtype::A), 59);
    assert_eq!(outcome.kept_away[1], "all below hosts.example.com. A");
    assert!(node.drops(&plain("c3.HOSTS.example.com", Rtype::A), 60));
    let others = [plain("c3.hosts.example.com", Rtype::AAAA), plain("www.example.com", Rtype::A)];
    assert!(others.iter().all(|other| !node.drops(other, 60)));
    // A minute later it has nothing to do with it.
    let node = Node::new(DefenceMode::On);
    node.dies(&plain("a1.hosts.example.com", Rtype::A), 0);
    node.dies(&plain("b2.hosts.example.com", Rtype::A), 60);
    assert!(!node.widths(61).contains(&Width::Below));
}

#[test]
fn no_widening_takes_a_zones_ordinary_names() {
    let node = Node::new(DefenceMode::On);
    node.dies(&plain("a1.example.com", Rtype::A), 0);
    let outcome = node.dies(&plain("b2.example.com", Rtype::A), 1);
    assert_eq!(
        outcome.refused,
        [("all below example.com. A".to_owned(), "that would be whole zones, for a type that clients ask for")]
    );
    let outcome = node.dies(&plain("c3.example.org", Rtype::A), 2);
    assert_eq!(outcome.refused.last().unwrap().1, "resolvers send such messages");
    assert!(!node.drops(&plain("www.example.com", Rtype::A), 3));
    assert!(node.widths(3).iter().all(|width| *width <= Width::Question));
    // A type that nobody asks for may go for all of it.
    node.dies(&plain("a1.example.com", Rtype(65_400)), 4);
    node.dies(&plain("b2.example.com", Rtype(65_400)), 5);
    assert!(node.drops(&plain("www.example.com", Rtype(65_400)), 6));
}

#[test]
fn what_is_answered_all_the_time_is_not_kept_away() {
    let node = Node::new(DefenceMode::On);
    node.dies(&plain("a1.hosts.example.com", Rtype::A), 0);
    node.answers(&plain("mail.hosts.example.com", Rtype::A), 1, SERVED_MAX + 1);
    let outcome = node.dies(&plain("b2.hosts.example.com", Rtype::A), 2);
    assert_eq!(outcome.refused, [("all below hosts.example.com. A".to_owned(), "its like is answered all the time")]);
    // Answers elsewhere say nothing of it.
    let node = Node::new(DefenceMode::On);
    node.dies(&plain("a1.hosts.example.com", Rtype::A), 0);
    node.answers(&plain("www.example.com", Rtype::A), 1, 1000);
    node.answers(&plain("mail.hosts.example.com", Rtype::MX), 1, 1000);
    node.dies(&plain("b2.hosts.example.com", Rtype::A), 2);
    assert!(node.widths(3).contains(&Width::Below));
}

#[test]
fn the_third_odd_one_takes_all_of_its_shape() {
    let node = Node::new(DefenceMode::On);
    for (s, (name, qtype)) in
        [("a.example.com", Rtype::A), ("b.example.org", Rtype::MX), ("c.net", Rtype::TXT)].into_iter().enumerate()
    {
        assert!(!node.drops(&odd(name, qtype), 10));
        node.dies(&odd(name, qtype), s as u64);
    }
    assert!(node.drops(&odd("anything.example.com", Rtype::AAAA), 4));
    let other_options = query(7, "anything.example.com", Rtype::AAAA, Opcode::QUERY, Some(&[65_001, 65_002]));
    assert!(!node.drops(&other_options, 4) && !node.drops(&plain("anything.example.com", Rtype::AAAA), 4));
    let shape = node.filters.quarantined(at(4)).into_iter().find(|entry| entry.width == Width::Shape).unwrap();
    assert_eq!(shape.like, "messages with flags 0x0100, sections 1/0/0/1, EDNS version 0, options 65001");
    assert_eq!((shape.until, shape.dropped), (at(102), 1));
}

#[test]
fn it_is_bounded_listed_and_released() {
    let node = Node::new(DefenceMode::On);
    for number in 0..200 {
        node.dies(&plain(&format!("n{number}.zone{number}.test"), Rtype::TXT), number * 70);
        node.filters.tick(at(number * 70));
    }
    for number in 0..200 {
        node.dies(&plain(&format!("n{number}.zone{number}.test"), Rtype::TXT), 20_000);
    }
    let listed = node.filters.quarantined(at(20_000));
    assert!(listed.len() == QUARANTINED_MAX, "{}", listed.len());
    let killer = plain("n199.zone199.test", Rtype::TXT);
    assert!(node.drops(&killer, 20_001));
    for entry in &listed {
        assert!(node.filters.release(entry.number));
        assert!(!node.filters.release(entry.number));
    }
    assert!(!node.drops(&killer, 20_001));
    assert_eq!(node.filters.quarantined(at(20_001)), []);
}

#[test]
fn a_filter_that_observes_lets_it_through() {
    let node = Node::new(DefenceMode::Observe);
    let killer = plain("www.example.com", Rtype::A);
    node.dies(&killer, 0);
    assert!(!node.drops(&killer, 1));
    assert!(!node.with(&killer, 1, |gate, _| gate.has_killed(&killer)));
    assert_eq!(node.filters.counts().effect(Filter::QueryOfDeath, Effect::WouldDrop), 1);
}
