//! What is known of sources: how much each asks, and whether it is known to be good.
//!
//! ```text
//!            first sight        second sight          8 to 15 periods of good conduct
//! never seen ──────────▶ seen once ──────▶ watched ──────────────────────────────────▶ known good
//!      │                                     ▲ │ a connection, a valid cookie            │ silent for its lifetime
//!      └── a connection, a valid cookie ─────┼─┴──▶ proven, for an hour                  ▼
//!                                            └────────┘ an hour later                  never seen
//! ```
//!
//! Who never answers for its address gets no place before it was seen twice, and pushes out nobody who is better. A
//! known-good source is never made less because of what comes from its address: anybody may have sent that. Its budget
//! holds all the same.

mod explain;
mod gcra;
mod key;
mod known_good;
mod limits;
mod listed;
mod prefixes;
mod repeats;
mod sketch;
mod state;
mod table;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use zerocopy::{FromBytes, IntoBytes, KnownLayout};

use crate::{
    Admission, Asked, Found, Kind, LaneCounts, Now, Policy, Proof, Verdict, View,
    hash::Hasher,
    memory::{self, One, Taker},
    verdict::Finding,
};

pub use explain::{Budget, Explanation, Judgement, Listed, SourceStanding};
use gcra::{Cost, Level};
use key::Key;
pub use known_good::{KnownGood, Why};
pub(crate) use limits::Limits;
pub use listed::ListedPrefix;
pub(crate) use repeats::PLACES as REPEAT_PLACES;
use repeats::Repeats;
pub(crate) use sketch::ROW as SKETCH_ROW;
use sketch::Sketch;
pub(crate) use state::Clock;
use state::{Conduct, Standing, State};
pub(crate) use table::{BUCKETS, SHIFT};
use table::{Place, Row, Table};

/// What is above its budget is worth so much less.
const CLIENT_PENALTY: u8 = 40;
const PREFIX_PENALTY: u8 = 30;
const REPETITION_PENALTY: u8 = 20;
/// Truncated answers a second, of all lanes together, that unknown sources get while random sources ask.
const SLIPS_PER_S: u64 = 5000;
/// A call of [`Sources::tick`] sweeps this part of the table: the whole of it in 34 minutes, before any time in it wraps.
const SWEEP_PARTS: usize = 2048;

/// Makes each bit of a type count in both halves of a hash.
const QTYPE_SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// The budget of truncated answers, as a TAT, on a line of its own.
#[derive(Debug, Default, FromBytes, IntoBytes, KnownLayout)]
#[repr(C, align(64))]
struct Slips {
    tat: AtomicU64,
    zeros: [AtomicU64; 7],
}

/// All that is known of sources.
#[derive(Debug)]
pub(crate) struct Sources {
    hasher: Hasher,
    name_hasher: Hasher,
    table: Table,
    repeats: Repeats,
    prefix_budgets: Sketch,
    repeat_budgets: Sketch,
    slips: One<Slips>,
    swept: AtomicUsize,
}

/// What is known of one query's source, looked up once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'s> {
    /// It is known to be good, for long or by a proof.
    pub(crate) known_good: bool,
    /// It was never heard of.
    first: bool,
    hash: u64,
    place: Option<Place<'s>>,
}

impl Source<'_> {
    /// Nobody looked.
    pub(crate) const NOT_LOOKED_UP: Source<'static> = Source { known_good: false, first: true, hash: 0, place: None };
}

impl Sources {
    pub(crate) fn within(taker: &mut Taker<'_>, seed: [u64; 2]) -> Sources {
        Sources {
            hasher: Hasher::new(seed, 1),
            name_hasher: Hasher::of_names(seed),
            table: Table::within(taker),
            repeats: Repeats::within(taker),
            prefix_budgets: Sketch::within(taker, memory::Table::PrefixBudgets),
            repeat_budgets: Sketch::within(taker, memory::Table::RepeatBudgets),
            slips: taker.one(memory::Table::Slips),
            swept: AtomicUsize::new(0),
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let sketches = self.prefix_budgets.memory_bytes() + self.repeat_budgets.memory_bytes();
        self.table.memory_bytes() + self.repeats.memory_bytes() + sketches
    }

    /// The secrets of the hashers of names and of sources.
    pub(crate) fn secrets(&self) -> ([u64; 4], [u64; 4]) {
        (self.name_hasher.secret(), self.hasher.secret())
    }

    /// Once a second: forgets what is too old.
    pub(crate) fn tick(&self, policy: &Policy, now: Now) {
        let part = self.swept.fetch_add(1, Relaxed);
        self.table.sweep(part, SWEEP_PARTS, &policy.limits, &Clock::new(now, &policy.limits));
    }

    /// Whether the list says that this source is never limited.
    #[inline]
    pub(crate) fn is_allowed(&self, view: &View<'_>, policy: &Policy) -> bool {
        policy.limits.allow.contains(view.source)
    }

    #[inline]
    pub(crate) fn blocked(&self, view: &View<'_>, policy: &Policy) -> Finding {
        if policy.limits.block.contains(view.source) { Finding::Drop } else { Finding::Fine }
    }

    /// Makes the hashes that all tables are looked up by.
    #[inline]
    pub(crate) fn make_hashes(&self, view: &mut View<'_>, policy: &Policy) {
        view.hashes.prefix = self.view_prefix_hash(view, policy);
        view.hashes.source = self.source_hash(view, Key::of(view.source));
        view.hashes.qname = view.qname_hash(&self.name_hasher);
    }

    /// Brings near what the verdict on a view with hashes will need.
    #[inline]
    pub(crate) fn touch(&self, view: &View<'_>) -> u64 {
        let hashes = &view.hashes;
        let row = self.table.row(hashes.source).map_or(0, Row::touch);
        let question = view.asked.map_or(0, |asked| self.repeats.touch(self.question(hashes.source, view, &asked)));
        row ^ question ^ self.prefix_budgets.touch(hashes.prefix)
    }

    #[inline]
    fn source_hash(&self, view: &View<'_>, key: Key) -> u64 {
        if view.hashes.source == 0 { key.hash(&self.hasher) } else { view.hashes.source }
    }

    /// Who asks. Its second sight gets it a place in the table, and so does a proof.
    #[inline]
    pub(crate) fn look_up(&self, view: &View<'_>, policy: &Policy, counts: &LaneCounts, clock: &Clock) -> Source<'_> {
        let (limits, key) = (&policy.limits, Key::of(view.source));
        let hash = self.source_hash(view, key);
        let listed = limits.known_good.contains(view.source);
        let Some(row) = self.table.row(hash) else { return Source { hash, ..Source::NOT_LOOKED_UP } };
        let Some(place) = row.find(key) else {
            let (place, first) = meet(row, key, hash, view.proof, clock);
            if first {
                counts.first_seen();
            }
            return Source { known_good: listed || view.proof != Proof::None, first, hash, place };
        };
        let mut state = place.load();
        if let Some(by) = proof_of(view) {
            let proven = state.prove(by, clock);
            place.store(state, proven);
            state = proven;
        }
        Source {
            known_good: listed || state.is_good() || state.is_proven(clock),
            first: false,
            hash,
            place: Some(place),
        }
    }

    /// Its own budget.
    #[inline]
    pub(crate) fn client(&self, source: &Source<'_>, policy: &Policy, clock: &Clock) -> Finding {
        let (Some(place), limits) = (source.place, &policy.limits) else { return Finding::Fine };
        let state = place.load();
        let (level, mut asked) = state.ask(client_cost(source.known_good, limits), clock);
        if level == Level::FarAbove {
            asked = asked.spoil(clock);
        }
        place.store(state, asked);
        client_finding(level)
    }

    /// The budget of its prefix. Who is known to be good needs none of it, so that neighbours do it no harm.
    #[inline]
    pub(crate) fn prefix(&self, view: &View<'_>, source: &Source<'_>, policy: &Policy, clock: &Clock) -> Finding {
        if source.known_good {
            return Finding::Fine;
        }
        let hash = self.view_prefix_hash(view, policy);
        prefix_finding(self.prefix_budgets.ask(hash, policy.limits.prefix, clock.now))
    }

    /// It asks again for what it was given. Over a connection it may: the answer before it may have been truncated.
    #[inline]
    pub(crate) fn repetition(&self, view: &View<'_>, source: &Source<'_>, policy: &Policy, clock: &Clock) -> Finding {
        let (Some(place), Some(asked)) = (source.place, view.asked) else { return Finding::Fine };
        if view.proof == Proof::Stream || !self.repeats.has_answer(self.question(source.hash, view, &asked), clock.now)
        {
            return Finding::Fine;
        }
        let state = place.load();
        place.store(state, state.learn(Conduct::Bad, clock));
        repetition_finding(self.repeat_budgets.ask(source.hash, policy.limits.repeats, clock.now))
    }

    /// Asked only while the defence against random sources is armed, and only without a proof.
    #[inline]
    pub(crate) fn unknown(&self, source: &Source<'_>, now: Now) -> Finding {
        match source {
            Source { known_good: true, .. } => Finding::Fine,
            Source { first: true, .. } => Finding::Drop,
            _ if self.may_slip(now) => Finding::Slip,
            _ => Finding::Drop,
        }
    }

    fn may_slip(&self, now: Now) -> bool {
        let units = gcra::units(now);
        let ahead = gcra::ahead(self.slips.tat.load(Relaxed) as u32, units, u32::MAX);
        let (level, ahead) = gcra::step(ahead, Cost::per_s(SLIPS_PER_S));
        if level == Level::Within {
            self.slips.tat.store(u64::from(units.wrapping_add(ahead)), Relaxed);
        }
        level == Level::Within
    }

    /// Learns from what became of a query. While random sources ask, only from those that prove where they are.
    #[inline]
    pub(crate) fn learn(
        &self,
        (view, admission, found): (&View<'_>, &Admission, &Found<'_>),
        verdict: Verdict,
        (policy, armed): (&Policy, bool),
        clock: &Clock,
    ) {
        let key = Key::of(view.source);
        let hash = self.source_hash(view, key);
        let Some(row) = self.table.row(hash) else { return };
        let Some(place) = row.find(key) else { return };
        let state = place.load();
        if !armed || view.proof != Proof::None || state.is_good() {
            let learned = state.learn(conduct(admission, found, verdict), clock);
            let deserves = learned.good_periods() >= policy.limits.periods;
            if !(deserves && row.promote(place, state, learned.promote(clock))) {
                place.store(state, learned);
            }
        }
        if let (Verdict::Serve, Some(asked), 1..) = (verdict, view.asked, found.ttl_s) {
            self.repeats.give(self.question(hash, view, &asked), found.ttl_s, clock.now);
        }
    }

    #[inline]
    fn question(&self, source_hash: u64, view: &View<'_>, asked: &Asked<'_>) -> u64 {
        let qtype = u64::from(asked.qtype.0).wrapping_mul(QTYPE_SPREAD);
        (source_hash ^ view.qname_hash(&self.name_hasher)).wrapping_add(qtype)
    }

    #[inline]
    fn view_prefix_hash(&self, view: &View<'_>, policy: &Policy) -> u64 {
        view.prefix_hash(&self.name_hasher, policy.limits.ipv4_prefix, policy.limits.ipv6_prefix)
    }

    fn prefix_hash(&self, address: std::net::IpAddr, policy: &Policy) -> u64 {
        self.name_hasher.prefix(address, policy.limits.ipv4_prefix, policy.limits.ipv6_prefix)
    }
}

/// A source that has no place yet: which it gets now, and whether it was never heard of.
fn meet<'t>(row: Row<'t>, key: Key, hash: u64, proof: Proof, clock: &Clock) -> (Option<Place<'t>>, bool) {
    let watched = State::watched(clock);
    if let Some(by) = standing_by(proof) {
        return (row.insert(key, watched.prove(by, clock), State::RANK_GOOD, clock), false);
    }
    if row.was_seen(hash) {
        return (row.insert(key, watched, State::RANK_PROVEN, clock), false);
    }
    row.note(hash);
    (None, true)
}

fn standing_by(proof: Proof) -> Option<Standing> {
    match proof {
        Proof::None => None,
        Proof::Cookie => Some(Standing::HadCookie),
        Proof::Stream => Some(Standing::Connected),
    }
}

fn proof_of(view: &View<'_>) -> Option<Standing> {
    standing_by(view.proof)
}

fn client_cost(known_good: bool, limits: &Limits) -> Cost {
    if known_good { limits.client_known_good } else { limits.client }
}

fn client_finding(level: Level) -> Finding {
    match level {
        Level::Within => Finding::Fine,
        Level::Above => Finding::Penalty(CLIENT_PENALTY),
        Level::FarAbove => Finding::Drop,
    }
}

fn prefix_finding(level: Level) -> Finding {
    match level {
        Level::Within => Finding::Fine,
        Level::Above => Finding::Penalty(PREFIX_PENALTY),
        Level::FarAbove => Finding::Drop,
    }
}

/// However much it is: the answers are small work, and a broken resolver is a resolver.
fn repetition_finding(level: Level) -> Finding {
    match level {
        Level::Within => Finding::Fine,
        Level::Above | Level::FarAbove => Finding::Penalty(REPETITION_PENALTY),
    }
}

/// What an answer says about who asked: failures and penalties speak against it.
fn conduct(admission: &Admission, found: &Found<'_>, verdict: Verdict) -> Conduct {
    match (verdict, found.kind) {
        (Verdict::Serve, Kind::Answer | Kind::NoData | Kind::Referral) if admission.penalty == 0 => Conduct::Good,
        _ => Conduct::Bad,
    }
}
