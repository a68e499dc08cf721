//! Rules of the sources, each with what would break it.

mod budgets;
mod hostile;
mod standing;

use std::{net::IpAddr, sync::Arc};

use config::{DefenceMode, Defences, Filter};
use wire::{Name, Rtype};

use crate::{Admission, Asked, Filters, Found, Hashes, Kind, Lane, Now, Proof, Verdict, View, ZoneNumber};

const SEED: [u64; 2] = [0x0123_4567_89ab_cdef, 0x0fed_cba9_8765_4321];
/// The Unix time at the clock's start.
const UNIX_S: u64 = 1_800_000_000;

/// Filters with one lane, a clock, and questions at hand.
struct Bench {
    filters: Arc<Filters>,
    lane: Lane,
    now: Now,
    apex: Name,
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

impl Bench {
    /// With the filters that look at sources on, and the others off: what normal rates are is not the matter here.
    fn new(change: impl FnOnce(&mut Defences)) -> Bench {
        let mut defences = Defences::default();
        for filter in [Filter::Miss, Filter::RandomName, Filter::ResponseRate] {
            defences.filters[filter as usize] = DefenceMode::Off;
        }
        change(&mut defences);
        let filters = Arc::new(Filters::new(&defences, SEED));
        let lane = filters.lane();
        Bench { filters, lane, now: Now::from_us(0), apex: name("example.com") }
    }

    fn at_s(&mut self, s: f64) -> &Bench {
        self.now = Now::from_us((s * 1e6) as u64);
        self
    }

    fn clock(&self) -> crate::sources::Clock {
        crate::sources::Clock::new(self.now, &self.filters.policy().limits)
    }

    fn unix_s(&self) -> u64 {
        UNIX_S + self.now.s()
    }

    fn ask_with(&self, source: IpAddr, proof: Proof, qname: &Name) -> Admission {
        self.lane.gate(self.now).admit(&view(source, proof, qname))
    }

    /// One query, and no answer.
    fn ask(&self, source: &str) -> Admission {
        self.ask_with(address(source), Proof::None, &self.apex)
    }

    /// One query for a name, its answer, and what becomes of it.
    fn exchange(&self, source: IpAddr, proof: Proof, qname: &Name, (kind, ttl_s): (Kind, u32)) -> (Admission, Verdict) {
        let gate = self.lane.gate(self.now);
        let view = view(source, proof, qname);
        let admission = gate.admit(&view);
        if admission.verdict != Verdict::Serve {
            return (admission, admission.verdict);
        }
        let found = Found { zone: Some((ZoneNumber(1), self.apex.as_ref())), kind, ttl_s, cut: None, is_hit: false };
        (admission, gate.judge(&view, &admission, &found))
    }

    /// A query that is answered, with an answer that holds for no time.
    fn converse(&self, source: &str) -> Admission {
        self.exchange(address(source), Proof::None, &self.apex, (Kind::Answer, 0)).0
    }

    fn is_known_good(&self, source: &str) -> bool {
        self.filters.explain(address(source), self.now, self.unix_s()).standing == crate::SourceStanding::KnownGood
    }

    /// So many seconds of good behaviour, twice a second.
    fn behave(&mut self, source: &str, seconds: std::ops::Range<u32>) {
        for half in 2 * seconds.start..2 * seconds.end {
            self.at_s(f64::from(half) / 2.0).converse(source);
        }
    }
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn view(source: IpAddr, proof: Proof, qname: &Name) -> View<'_> {
    let asked = Asked { qname: qname.as_ref(), qtype: Rtype::A };
    View { source, proof, message: &[0; 12], asked: Some(asked), hashes: Hashes::default() }
}
