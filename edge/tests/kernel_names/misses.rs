//! Zones that are filled on demand: what would have to be asked for is dropped where it comes in once there is too much of it, and
//! what may be at hand is not.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Instant,
};

use ::edge::kernel::layout as l;
use cache::TtlLimits;
use config::DefenceMode;
use filters::ZoneNumber;
use wire::Rtype;
use zones::{ZoneSlot, ZoneState};

use crate::{
    edge::{Edge, SERVICE, name, signed_zone, zone_of},
    support::{
        frames::{Route, query},
        origin::{Origin, SlotWatcher},
    },
};

/// The number of the zone in the cache.
const ZONE: u64 = 5;
const APEX: &str = "example";

/// What became of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Dropped,
    Passed,
}

/// An edge whose zone is filled on demand, in filter time of its own.
struct Case {
    edge: Edge,
    now_us: u64,
    asked: u64,
}

impl Case {
    fn new() -> Case {
        let edge = Edge::new(DefenceMode::On);
        let slot = Arc::new(ZoneSlot::new(name(APEX)));
        slot.publish(ZoneState::OnDemand { id: ZONE });
        edge.zones.insert(&slot);
        edge.filters.set_normal_by_hand(&vec![(ZoneNumber(slot.number()), 1)]);
        edge.cache.watch(ZONE, Arc::new(SlotWatcher(slot)));
        Case { edge, now_us: 100_000_000_000, asked: 0 }
    }

    /// Somebody who was never heard of asks; what is passed up is asked of the lanes.
    fn ask(&mut self, text: &str) -> Outcome {
        self.asked += 1;
        self.now_us += 100;
        self.edge.policy[l::POLICY_STILL_US].store(self.now_us, Relaxed);
        let route = Route::new(&format!("10.{}.{}.7:4242", self.asked >> 8 & 255, self.asked & 255), SERVICE);
        let message = query(text);
        match self.edge.ask_program(&route, &message) {
            None => {
                self.edge.ask_lanes(&route, &message);
                Outcome::Passed
            }
            Some(given) if given.is_empty() => Outcome::Dropped,
            Some(given) => panic!("{given:02x?}"),
        }
    }

    /// So many ask for names that nobody knows: how many of them were dropped by the program.
    fn flood(&mut self, number: u64, how: &str) -> u64 {
        let from = self.asked;
        let ask = |n: u64| {
            let label = (from + n).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
            u64::from(self.ask(&format!("{label:x}.{APEX} AAAA {how}")) == Outcome::Dropped)
        };
        (0..number).map(ask).sum()
    }

    /// The cache has the origin's answer for this name.
    fn keep(&self, host: &str) {
        let zone = zone_of(APEX, ["ns.example", "root.example"], &[(host.to_owned(), Rtype::A, vec![192, 0, 2, 1])]);
        let answer = Origin::new().answer(&Arc::new(zone), &format!("{host} A"), Instant::now());
        let cache = &self.edge.cache;
        cache.insert(ZONE, answer.qname(), answer.qtype(), Arc::clone(&answer), cache.ticket(ZONE));
    }

    fn renew(&self) {
        self.edge.names.renew(&self.edge.zones, Some(&self.edge.cache));
    }
}

#[test]
fn a_flood_of_misses_wakes_nobody_once_it_is_one() {
    for how in ["", "do"] {
        let mut case = Case::new();
        assert_eq!(case.flood(20, how), 0, "so few of them the origin bears");
        case.flood(1000, how);
        let dropped = case.flood(2000, how);
        assert_eq!(dropped, 2000, "{how}");
        // The other kind of client is passed up once.
        let other = if how.is_empty() { "do" } else { "" };
        assert!(case.flood(100, other) >= 98, "{how}");
    }
}

#[test]
fn what_may_be_at_hand_is_for_the_lanes_to_say() {
    let mut case = Case::new();
    case.flood(1000, "");
    assert_eq!(case.ask("kept.example A"), Outcome::Dropped);
    case.keep("kept.example");
    for round in ["kept", "made anew"] {
        // Of another type, too: of the name there may be anything.
        for text in ["Kept.example TXT", "KEPT.example AAAA"] {
            assert_eq!(case.ask(text), Outcome::Passed, "{round} {text}");
        }
        assert_eq!(case.flood(100, ""), 100, "{round}");
        case.renew();
    }
    // What is purged is forgotten when the sets are made anew; and the zone has to be known as one of that kind again.
    case.edge.cache.purge_zone(ZONE);
    assert_eq!(case.ask("kept.example A"), Outcome::Passed);
    case.renew();
    assert_eq!([0; 2].map(|_| case.ask("kept.example A")), [Outcome::Dropped; 2]);
}

#[test]
fn where_denials_are_at_hand_all_is_for_the_lanes_to_say() {
    let mut case = Case::new();
    case.flood(1000, "");
    assert_eq!(case.flood(100, ""), 100);
    let response = Origin::new().response(&Arc::new(signed_zone()), "nothing.example A");
    let apex = name(APEX);
    let cache = &case.edge.cache;
    cache.learn_denial(ZONE, apex.as_ref(), &response, &TtlLimits::default(), Instant::now(), cache.ticket(ZONE));
    assert!(cache.usage(ZONE).denials > 0);
    for round in ["learned", "made anew"] {
        assert_eq!(case.flood(100, ""), 0, "{round}");
        case.renew();
    }
}
