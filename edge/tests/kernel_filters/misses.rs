//! What is not at hand in zones that are filled on demand: the program drops what the lanes above would drop, and leaves the rest
//! to them.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use config::{Defences, Filter};
use edge::kernel::{Entry, Fixups, Names, Promise, Stamp, Told, key};
use filters::{Found, Kind, Lane, NameHasher, NormalByHand, Now, Proof, Table, Verdict, ZoneNumber, layout::CELLS};
use wire::{Name, Rtype};
use zones::{ZoneSlot, ZoneState, Zones};

use crate::{
    both::{Answer, Both, Client, Numbers, SECOND_US, SEED, START_US},
    v4, v6,
};

const APEX: &str = "od";
/// Its number; the answers of other traces are of others.
const ZONE: ZoneNumber = ZoneNumber(4096 + 7);
/// What words of a cell there are.
const CELL_WORDS: usize = 8;

/// Both, with a zone that is filled on demand, of which the program knows that.
struct OnDemand {
    both: Both,
    /// Whose answer gives a client its cookie.
    kept: Answer,
    numbers: Numbers,
    _zones: Zones,
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

impl OnDemand {
    /// So many queries of the zone are normal.
    fn new(defences: &Defences, normal_per_s: u32) -> OnDemand {
        let both = Both::new(defences);
        let array = |name| both.program.array(name).unwrap();
        let names = Names::new(array("exists"), array("covers"), NameHasher::new(SEED));
        let zones = Zones::new().watched_by(Arc::new(names));
        let slot = Arc::new(ZoneSlot::new(name(APEX)));
        slot.publish(ZoneState::OnDemand { id: 1 });
        zones.insert(&slot);
        let by_hand: NormalByHand = vec![(ZONE, normal_per_s)];
        [&both.kernel, &both.above].into_iter().for_each(|filters| filters.set_normal_by_hand(&by_hand));
        let kept = Answer::there(name("www.zz"), 3);
        both.keep(&kept);
        mark(&both);
        OnDemand { both, kept, numbers: Numbers(9), _zones: zones }
    }

    /// Asks for a name of which nothing is at hand. What the program leaves to the lanes above both of them judge; what they
    /// serve the origin then answers, if `exists` with what is there.
    fn ask(&mut self, client: &mut Client, label: &str, exists: bool) -> Verdict {
        let both = &mut self.both;
        let now = Now::from_us(both.now_us);
        [&both.kernel, &both.above].into_iter().for_each(|filters| filters.missed_elsewhere(now));
        both.still();
        let answer = Answer::there(name(&format!("{label}.{APEX}")), ZONE.0);
        let proof = client.proof(both.now_us);
        let ours = both.ask_program(client, &answer);
        let judge = |lane: &Lane| judge(both, lane, (client, proof), &answer, exists);
        let above = judge(&both.lane);
        let said = match ours {
            None => judge(&both.kernel_lane),
            Some(ours) => ours,
        };
        assert_eq!(said, above, "{label} for {client:?}, {proof:?}, at {} us by {ours:?}", both.now_us - START_US);
        both.note(&format!("{ours:?}"), true);
        both.note(&format!("above: {above:?}"), ours.is_none());
        both.zone_queries += u64::from(ours == Some(Verdict::Drop(Filter::Miss)));
        above
    }

    /// One of many clients asks for a name that exists, or for a random one.
    fn ask_something(&mut self, clients: &mut [Client], random_of_ten: u64) {
        let numbers = &mut self.numbers;
        let client = numbers.below(clients.len() as u64) as usize;
        let random = numbers.below(10) < random_of_ten;
        let (label, exists) = match random {
            true if numbers.one_in(3) => (format!("{:x}.deep.er", numbers.below(u64::MAX)), false),
            true => (format!("{:x}", numbers.below(u64::MAX)), false),
            false => (format!("h{}", numbers.below(50)), true),
        };
        self.ask(&mut clients[client], &label, exists);
    }

    /// Clients that never ask again are given their cookie by what is at hand.
    fn introduce(&mut self, clients: &mut [Client]) {
        for client in clients.iter_mut().filter(|client| client.has_cookie) {
            self.both.now_us += 1000;
            let kept = self.kept.clone();
            self.both.ask(client, &kept);
        }
    }

    fn run(&mut self, clients: &mut [Client], queries: u64, random_of_ten: u64, pause_us: u64) {
        self.introduce(clients);
        for _ in 0..queries {
            let before_s = self.both.now_us / SECOND_US;
            self.both.now_us += self.numbers.below(2 * pause_us);
            if self.both.now_us / SECOND_US != before_s {
                self.both.tick();
                self.look_at_samples();
            }
            self.ask_something(clients, random_of_ten);
        }
        self.compare();
    }

    /// The program and the lane beside it take samples of their own: which, is not what one lane takes.
    fn look_at_samples(&mut self) {
        let [ours, _] = self.both.take_samples();
        let of_misses = |sample: &&String| sample.contains("Drop") && sample.contains("Some(Miss)");
        let number = ours.iter().filter(of_misses).count() as u64;
        *self.both.outcomes.entry("samples of misses".to_owned()).or_default() += number;
    }

    /// Of those who are trusted some are left to the lanes above.
    fn most_is_dropped_below(&self) {
        let [below, above] = ["Some(Drop(Miss))", "above: Drop(Miss)"].map(|outcome| self.both.outcomes[outcome]);
        assert!(below > 4 * above, "{:?}", self.both.outcomes);
    }

    /// All words that both have, and those of the zone's cell.
    fn compare(&mut self) {
        self.both.compare_tables();
        self.look_at_samples();
        let cell = ZONE.0 as usize % CELLS;
        let words = [&self.both.program, &self.both.above_memory].map(|program| {
            let words = &program.array(Table::Cells.as_str()).unwrap()[cell * CELL_WORDS..][..CELL_WORDS];
            words.iter().map(|word| word.load(Relaxed)).collect::<Vec<_>>()
        });
        assert_eq!(words[0], words[1]);
    }
}

/// The program knows that names of the zone need its origin.
fn mark(both: &Both) {
    let apex = name(APEX);
    let answer = Answer { qtype: Rtype(0), ..Answer::there(apex, ZONE.0) };
    let gate = both.lane.gate(Now::from_us(both.now_us));
    let view = both.view([0, 0, 0, 0].into(), Proof::None, &answer);
    let key = key(gate.name_hash(&view), 0, false);
    let entry = Entry {
        name: apex.as_bytes(),
        qtype: 0,
        dnssec_ok: false,
        stamp: Stamp { epoch: 0, zone: ZONE.0, generation: 0 },
        apex_bytes: apex.as_bytes().len() as u8,
        told: Told { kind: Kind::Error, ttl_s: 0, is_hit: true, subject: 0 },
        flags: 0,
        counts: [0; 3],
        body: &[],
        fixups: Fixups::None,
    };
    let place = both.answers.find_place(key, Promise::Some, both.now_us).expect("a place");
    assert!(both.answers.put(place, &entry, both.now_us));
}

fn judge(both: &Both, lane: &Lane, (client, proof): (&Client, Proof), answer: &Answer, exists: bool) -> Verdict {
    let gate = lane.gate(Now::from_us(both.now_us));
    let mut view = both.view(client.address, proof, answer);
    gate.make_hashes(&mut view);
    let admission = gate.admit(&view);
    if admission.verdict != Verdict::Serve {
        return admission.verdict;
    }
    let apex = name(APEX);
    let zone = (ZONE, apex.as_ref());
    match gate.judge_miss(&view, &admission, zone) {
        Verdict::Serve => {
            let kind = if exists { Kind::Answer } else { Kind::NoName };
            gate.judge(&view, &admission, &Found { zone: Some(zone), kind, ttl_s: 60, cut: None, is_hit: false })
        }
        withheld => withheld,
    }
}

/// Both families, some with cookies, some in a prefix that the operator knows as good.
fn clients(number: u64) -> Vec<Client> {
    let clients = (0..number).map(|n| match n % 4 {
        0..3 => Client::new(v4(n * 37), n % 12 == 0),
        _ => Client::new(v6(n * 37), n % 24 == 3),
    });
    clients.collect()
}

fn defences() -> Defences {
    Defences {
        // The node itself is never armed.
        normal_per_s: Some(1_000_000),
        known_good: vec!["10.0.4.0/22".parse().unwrap()],
        client_per_s: 50,
        prefix_per_s: 1000,
        random_names_per_s: 100,
        ..Defences::default()
    }
}

#[test]
fn an_armed_zone_asks_its_origin_no_more_than_its_budget_as_above() {
    let mut zone = OnDemand::new(&defences(), 1);
    let mut clients = clients(400);
    zone.run(&mut clients, 600, 0, 20_000);
    zone.both.assert_happened(&["above: Serve"]);
    zone.run(&mut clients, 6000, 5, 400);
    zone.both.assert_happened(&["Some(Drop(Miss))", "above: Serve", "events"]);
    zone.most_is_dropped_below();
    assert!(zone.both.outcomes["samples of misses"] > 0);
    // It rests again.
    zone.run(&mut clients, 400, 0, 100_000);
    let before = zone.both.outcomes["above: Serve"];
    zone.run(&mut clients, 100, 0, 100_000);
    assert!(zone.both.outcomes["above: Serve"] > before + 90, "{:?}", zone.both.outcomes);
}

#[test]
fn random_names_below_a_suffix_are_kept_from_the_origin_as_above() {
    let mut zone = OnDemand::new(&defences(), 1_000_000);
    let mut clients = clients(400);
    zone.run(&mut clients, 600, 0, 20_000);
    zone.run(&mut clients, 8000, 9, 400);
    zone.both.assert_happened(&["Some(Drop(Miss))", "above: Serve", "events"]);
    zone.most_is_dropped_below();
}

#[test]
fn what_is_off_or_observed_drops_nothing() {
    for mode in [config::DefenceMode::Off, config::DefenceMode::Observe] {
        let mut defences = defences();
        defences.filters[Filter::Miss as usize] = mode;
        let mut zone = OnDemand::new(&defences, 1);
        let mut clients = clients(400);
        zone.run(&mut clients, 300, 0, 20_000);
        zone.run(&mut clients, 3000, 7, 400);
        assert!(!zone.both.outcomes.contains_key("Some(Drop(Miss))"), "{:?}", zone.both.outcomes);
    }
}
