//! The state machine of all questions in flight: the same question is asked once, budgets hold, upstreams are chosen, slow
//! and dead ones are passed by. It does no I/O; time and randomness come in.
//!
//! ```text
//!            cached failure, no upstream, over a limit
//!   ask ──┬──────────────────────────────────────────────▶ complete: stale if there is one, else failed
//!         ├── in flight already: wait with the others
//!         └──▶ try ──┬─ answer ───────────────────────────▶ complete all: answer
//!              ▲     ├─ truncated, doubtful ─▶ try again there over TCP
//!              │     ├─ BADCOOKIE ───────────▶ try again there with the cookie
//!              │     └─ silence, SERVFAIL, REFUSED, lame ─┐
//!              └──────── next upstream ◀──────────────────┤ none left, or too late
//!                                                         └▶ complete all: stale if there is one, else failed
//!   clock: another upstream is asked as well when the first is slower than usual;
//!          who waits longer than `client_wait` is told, stale or failed, and the question goes on (RFC 8767 §5)
//! ```
//!
//! Each try is one question on the wire and takes one from the zone's budget, first tries and later ones alike.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use cache::Failure;
use wire::{Name, Rtype};

use super::budget::Purpose;
use super::endings::refuse;
use super::failures::Failures;
use super::flight::{Flight, Running};
use super::reach::{Health, Reach};
use super::tries::Begun;
use super::zone::{Settings, Transport, Way, Zone};

/// Tries in flight for all zones together: each has a socket.
pub(crate) const TRIES_MAX: usize = 1024;
/// A question that nobody has answered by then has failed.
const QUESTION_MAX: Duration = Duration::from_secs(5);

/// A question about a zone's name. The name compares without case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) zone: u64,
    pub(crate) qname: Name,
    pub(crate) qtype: Rtype,
}

/// Somebody wants an answer.
#[derive(Debug)]
pub(crate) struct Ask<W, A> {
    pub(crate) key: Key,
    pub(crate) purpose: Purpose,
    /// Who waits; nobody, when it is only to be in the cache.
    pub(crate) waiter: Option<W>,
    /// What the cache has, although too old.
    pub(crate) stale: Option<A>,
}

/// How a try ended.
#[derive(Clone, Debug)]
pub(crate) enum Ended<A> {
    /// With an answer for the cache.
    Answered(Duration, A),
    /// The datagram was not large enough.
    Truncated(Duration),
    /// Something came that only looks like the answer: another case in the question, or too many datagrams with wrong ids.
    Doubtful,
    /// It wants the cookie that it has just given (RFC 7873 §5.3).
    BadCookie(Duration),
    /// It answered with an error, which may be what is to be passed on when nobody does better.
    Unfit(Duration, Option<A>),
    /// It does not answer for the zone, or refuses to.
    Lame(Duration),
    /// Nothing came in time, or the system says that nobody is there.
    Silent,
    /// It could not even be asked, for a reason that lies here.
    Unasked,
}

/// What the shell has to do.
#[derive(Debug)]
pub(crate) enum Action<W, A> {
    /// Put the question.
    Try { id: u64, key: Key, upstream: usize, transport: Transport },
    /// Tell who waits.
    Complete(W, Verdict<A>),
    /// Keep the error that all origins agree on, for a moment.
    Keep(Key, A),
}

/// What becomes of who waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict<A> {
    Answer(A),
    Stale(A),
    Failed(Failure),
}

/// What surrounds an event, and where its actions go.
pub(crate) struct Context<'a, W, A> {
    /// Time since some fixed moment.
    pub(crate) now: Duration,
    /// Fresh randomness.
    pub(crate) random: &'a mut dyn FnMut() -> u64,
    /// What is to be done.
    pub(crate) actions: &'a mut Vec<Action<W, A>>,
}

/// The machine.
#[derive(Debug)]
pub(crate) struct Questions<W, A> {
    pub(super) zones: HashMap<u64, Zone>,
    pub(super) reaches: HashMap<Way, Reach>,
    pub(super) flights: HashMap<u64, Flight<W, A>>,
    pub(super) by_key: HashMap<Key, u64>,
    pub(super) tries: HashMap<u64, Running>,
    pub(super) failures: Failures,
    timers: BinaryHeap<Reverse<(Duration, u64)>>,
    next_id: u64,
}

impl<W, A: Clone> Questions<W, A> {
    pub(crate) fn new() -> Questions<W, A> {
        Questions {
            zones: HashMap::new(),
            reaches: HashMap::new(),
            flights: HashMap::new(),
            by_key: HashMap::new(),
            tries: HashMap::new(),
            failures: Failures::default(),
            timers: BinaryHeap::new(),
            next_id: 0,
        }
    }

    /// A zone.
    pub(crate) fn zone(&self, zone: u64) -> Option<&Zone> {
        self.zones.get(&zone)
    }

    /// What is known of an address.
    pub(crate) fn reach(&self, way: &Way) -> Option<&Reach> {
        self.reaches.get(way)
    }

    /// How an upstream is, for a zone.
    pub(crate) fn health(&self, upstream: &super::zone::ZoneUpstream, now: Duration) -> Health {
        let health = self.reaches.get(&upstream.way).map_or(Health::Untried, Reach::health);
        let lame = upstream.lame_until.is_some_and(|until| now < until) && health != Health::Down;
        if lame { Health::Lame } else { health }
    }

    /// When [`Questions::clock`] has something to do.
    pub(crate) fn due(&self) -> Option<Duration> {
        self.timers.peek().map(|Reverse((due, _))| *due)
    }

    /// Adds a zone, or gives it new settings; its questions are put anew then.
    pub(crate) fn configure(&mut self, zone: u64, settings: Settings, context: &mut Context<'_, W, A>) {
        for (way, _) in &settings.ways {
            self.reaches.entry(*way).or_default();
        }
        match self.zones.get_mut(&zone) {
            None => drop(self.zones.insert(zone, Zone::new(settings))),
            Some(known) if known.settings == settings => {}
            Some(known) => {
                known.configure(settings);
                self.restart(|key| key.zone == zone, context);
            }
        }
        self.forget_ways();
    }

    /// Takes a zone out; who waits for its names is told.
    pub(crate) fn remove(&mut self, zone: u64, context: &mut Context<'_, W, A>) {
        let gone: Vec<u64> =
            self.flights.iter().filter(|(_, flight)| flight.key.zone == zone).map(|(&id, _)| id).collect();
        for id in gone {
            if let Some(flight) = self.take(id) {
                let told = |waiter| Action::Complete(waiter, Verdict::Failed(Failure::Gone));
                context.actions.extend(flight.waiters.into_iter().map(told));
            }
        }
        self.zones.remove(&zone);
        self.failures.forget_all(|key| key.zone == zone);
        self.forget_ways();
    }

    fn forget_ways(&mut self) {
        let zones = &self.zones;
        self.reaches.retain(|way, _| zones.values().any(|zone| zone.upstreams.iter().any(|known| known.way == *way)));
    }

    /// Somebody wants an answer that the cache does not have.
    pub(crate) fn ask(&mut self, ask: Ask<W, A>, context: &mut Context<'_, W, A>) {
        let Ask { key, mut purpose, waiter, stale } = ask;
        let Some(zone) = self.zones.get_mut(&key.zone) else {
            return refuse(waiter, None, Failure::Gone, context.actions);
        };
        let early = purpose == Purpose::Early;
        zone.counts.misses += u64::from(!early);
        zone.counts.prefetched += u64::from(early);
        let room = waiter.is_none() || zone.waiting < zone.settings.clients_waiting_max;
        if let Some(&id) = self.by_key.get(&key) {
            return self.join(id, (waiter, stale), room, context);
        }
        if let Some(failure) = self.failures.recall(&key, context.now) {
            return self.turn_away(&key, waiter, stale, failure, context);
        }
        let full = zone.in_flight >= zone.settings.misses_in_flight_max || self.tries.len() >= TRIES_MAX;
        if full || !room {
            return self.turn_away(&key, waiter, stale, Failure::OverBudget, context);
        }
        if stale.is_some() && purpose == Purpose::New {
            purpose = Purpose::Known;
        }
        let mut flight = Flight::new(key, purpose, zone.upstreams.len(), context.now + QUESTION_MAX);
        zone.in_flight += 1;
        zone.waiting += u32::from(waiter.is_some());
        flight.wait_due = (!early && waiter.is_some()).then(|| context.now + zone.settings.client_wait);
        flight.stale = stale;
        flight.waiters.extend(waiter);
        let id = self.next_id();
        self.by_key.insert(key, id);
        self.flights.insert(id, flight);
        self.begin(id, context);
    }

    /// Puts a flight's question for the first time.
    fn begin(&mut self, id: u64, context: &mut Context<'_, W, A>) {
        match self.start_try(id, false, context) {
            Begun::OverBudget => self.fail(id, Failure::OverBudget, context),
            Begun::NobodyLeft => {
                if self.probe(id, context) {
                    // Whoever is known to be down is not waited for.
                    self.give_stale(id, context);
                } else {
                    self.fail(id, Failure::NoOrigin, context);
                }
            }
            Begun::Yes => {
                self.probe(id, context);
            }
        }
        self.set_timer(id);
    }

    /// Joins a question that is in flight.
    fn join(&mut self, id: u64, (waiter, stale): (Option<W>, Option<A>), room: bool, context: &mut Context<'_, W, A>) {
        let Some(flight) = self.flights.get_mut(&id) else {
            return refuse(waiter, stale, Failure::Gone, context.actions);
        };
        let Some(zone) = self.zones.get_mut(&flight.key.zone) else {
            return refuse(waiter, stale, Failure::Gone, context.actions);
        };
        let Some(waiter) = waiter else { return };
        zone.counts.coalesced += 1;
        flight.stale = flight.stale.take().or(stale);
        if !room {
            let (key, stale) = (flight.key, flight.stale.clone());
            return self.turn_away(&key, Some(waiter), stale, Failure::OverBudget, context);
        }
        match &flight.stale {
            Some(stale) if flight.stale_given => {
                zone.counts.stale += 1;
                context.actions.push(Action::Complete(waiter, Verdict::Stale(stale.clone())));
            }
            _ => {
                flight.waiters.push(waiter);
                zone.waiting += 1;
                if flight.wait_due.is_none() {
                    flight.wait_due = Some(context.now + zone.settings.client_wait);
                    self.set_timer(id);
                }
            }
        }
    }

    /// Time has passed.
    pub(crate) fn clock(&mut self, context: &mut Context<'_, W, A>) {
        let now = context.now;
        while let Some(&Reverse((due, id))) = self.timers.peek()
            && due <= now
        {
            self.timers.pop();
            let Some(flight) = self.flights.get_mut(&id) else { continue };
            if flight.deadline <= now {
                let failure = if flight.heard { Failure::Broken } else { Failure::NoOrigin };
                self.fail(id, failure, context);
                continue;
            }
            let hedge = flight.hedge_due.take_if(|due| *due <= now).is_some();
            if flight.wait_due.is_some_and(|due| due <= now) {
                self.end_wait(id, context);
            }
            if hedge {
                self.start_try(id, true, context);
            }
            self.set_timer(id);
        }
    }

    pub(super) fn set_timer(&mut self, id: u64) {
        if let Some(flight) = self.flights.get(&id) {
            self.timers.push(Reverse((flight.due(), id)));
        }
        self.tidy_timers();
    }

    /// Drops timers of flights that have ended, once they are the greater part.
    fn tidy_timers(&mut self) {
        if self.timers.len() > TRIES_MAX + 4 * self.flights.len() {
            self.timers = self.flights.iter().map(|(&id, flight)| Reverse((flight.due(), id))).collect();
        }
    }

    /// Puts the questions that match anew: what is under way may be an answer from before a purge.
    pub(crate) fn restart(&mut self, matches: impl Fn(&Key) -> bool, context: &mut Context<'_, W, A>) {
        self.failures.forget_all(&matches);
        let again: Vec<u64> =
            self.flights.iter().filter(|(_, flight)| matches(&flight.key)).map(|(&id, _)| id).collect();
        for id in again {
            let Some(flight) = self.flights.get_mut(&id) else { continue };
            if flight.waiters.is_empty() {
                drop(self.take(id));
                continue;
            }
            let upstreams = self.zones.get(&flight.key.zone).map_or(0, |zone| zone.upstreams.len());
            flight.restart(upstreams, context.now + QUESTION_MAX);
            self.begin(id, context);
        }
    }

    pub(super) fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }
}

#[cfg(test)]
#[path = "questions_tests.rs"]
mod tests;
