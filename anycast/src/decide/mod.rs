//! Decides what is announced: health, orders by hand and what the other nodes allow, made into a state and routes. No I/O,
//! no clock: `now` is a parameter.
//!
//! ```text
//! readings ──> Severity ──> Levels (rise, fall) ──┐
//! drained by hand, leaving ───────────────────────┼──> Place of each service ──> State, Adverts
//! Others (fleet) ─────────────────────────────────┘    (hold-down in `damping`)
//!
//!                       well                         worse
//!   ┌──────┐  rise, hold over   ┌────┐  fall     ┌──────────┐  unfit: granted by others,  ┌────────┐
//!   │ down ├───────────────────>│ up ├──────────>│ degraded ├────────────────────────────>│  down  │
//!   └──────┘                    └─┬──┘<──────────┴──────────┘<────────────────────────────┴────────┘
//!       ^    failed: at once      │   rise, hold over        unfit, but too few others are left
//!       ├────────────────────────-┤
//!       │                         │ drained by hand, or about to stop
//!       │  grace is over      ┌───v──────┐
//!       └─────────────────────┤ draining │ still announced, with GRACEFUL_SHUTDOWN (RFC 8326)
//!                             └──────────┘
//! ```

mod damping;
mod levels;
mod place;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use config::RouteAttributes;
use health::{Reading, State};
use ipnet::IpNet;

pub(crate) use damping::Damping;
pub(crate) use place::Others;

use crate::{Adverts, Cause};
use levels::Levels;
use place::{Place, Wanted};

/// GRACEFUL_SHUTDOWN (RFC 8326 §5).
const GRACEFUL_SHUTDOWN: u32 = 0xffff_0000;

/// How bad what was read is, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    /// All is well.
    Well,
    /// The node does its job, but others may do it better.
    Worse,
    /// The node had better not be asked, if enough others are (soft).
    Unfit,
    /// The node cannot answer (hard).
    Failed,
}

impl Severity {
    fn of(reading: &Reading) -> Severity {
        match (reading.report.state, reading.report.soft) {
            (State::Up, _) => Severity::Well,
            (_, true) => Severity::Unfit,
            (State::Degraded, false) => Severity::Worse,
            (State::Draining | State::Down, false) => Severity::Failed,
        }
    }
}

/// What is decided by, from the network file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    /// See [`config::Anycast::rise`].
    pub(crate) rise: u32,
    /// See [`config::Anycast::fall`].
    pub(crate) fall: u32,
    /// Longest hold-down; zero: none.
    pub(crate) hold_down_max: Duration,
    /// How long routes keep being announced with GRACEFUL_SHUTDOWN before they are withdrawn on purpose.
    pub(crate) graceful_shutdown: Duration,
    /// Attributes of a node that is up.
    pub(crate) up: Arc<RouteAttributes>,
    /// The same of one that is degraded.
    pub(crate) degraded: Arc<RouteAttributes>,
    /// The prefixes of each service, by its name.
    pub(crate) services: BTreeMap<String, Vec<IpNet>>,
}

impl Rules {
    pub(crate) fn new(anycast: &config::Anycast, services: &[config::Service]) -> Rules {
        let announced = services.iter().filter(|service| anycast.services.contains(&service.name));
        Rules {
            rise: anycast.rise.max(1),
            fall: anycast.fall.max(1),
            hold_down_max: Duration::from_secs(anycast.hold_down_s_max.into()),
            graceful_shutdown: Duration::from_millis(anycast.graceful_shutdown_ms.into()),
            up: Arc::new(anycast.up.clone()),
            degraded: Arc::new(anycast.degraded.clone()),
            services: announced.map(|service| (service.name.clone(), service.prefixes.clone())).collect(),
        }
    }
}

/// The machine that decides.
#[derive(Debug)]
pub(crate) struct Decision {
    rules: Rules,
    levels: Levels,
    places: BTreeMap<String, Place>,
    /// What new services start with.
    damping: Damping,
    drained: bool,
    leaving: bool,
    started: bool,
    transitions: u64,
}

impl Decision {
    /// A node that announces nothing yet. `damping` is what is remembered of an earlier run.
    pub(crate) fn new(rules: Rules, drained: bool, damping: Damping) -> Decision {
        let places = rules.services.keys().map(|name| (name.clone(), Place::new(damping))).collect();
        let levels = Levels::default();
        Decision { rules, levels, places, damping, drained, leaving: false, started: false, transitions: 0 }
    }

    /// Goes by these rules from now on.
    pub(crate) fn apply(&mut self, rules: Rules) {
        self.places.retain(|name, _| rules.services.contains_key(name));
        for name in rules.services.keys() {
            self.places.entry(name.clone()).or_insert_with(|| Place::new(self.damping));
        }
        self.rules = rules;
    }

    /// Drained by hand, or no more.
    pub(crate) fn set_drained(&mut self, drained: bool) {
        self.drained = drained;
    }

    /// The node stops; there is no way back.
    pub(crate) fn leave(&mut self) {
        self.leaving = true;
    }

    /// Takes one look at the node's health; called once an interval.
    pub(crate) fn look(&mut self, readings: &[Reading]) {
        let worst = readings.iter().map(Severity::of).max().unwrap_or(Severity::Failed);
        // Who says nothing any more has not erred for a moment.
        let silent = self.started && readings.iter().any(|reading| reading.silent);
        self.levels.look(worst, silent, &self.rules);
        self.started |= self.levels.severity() < Severity::Failed;
    }

    /// Which services would be left, if the others allow it.
    pub(crate) fn wishes(&self, now: Instant) -> impl Iterator<Item = &str> {
        let wish = !self.purposeful() && self.levels.severity() == Severity::Unfit;
        self.places.iter().filter(move |(_, place)| wish && place.asks(now)).map(|(name, _)| name.as_str())
    }

    /// Draws the conclusions. `others` says of a service what the other nodes allow; it is asked only while the node is
    /// unfit. What it answers is acted upon before this returns.
    pub(crate) fn conclude(&mut self, now: Instant, others: impl Fn(&str) -> Others) {
        let severity = self.levels.severity();
        for (name, place) in &mut self.places {
            let wanted = match severity {
                _ if self.drained || self.leaving => Wanted::AbsentOnPurpose,
                Severity::Well => Wanted::Up,
                Severity::Worse => Wanted::Degraded,
                Severity::Unfit => Wanted::Unfit(others(name)),
                Severity::Failed => Wanted::Absent,
            };
            // A failure ends the grace too.
            let wanted = if severity == Severity::Failed { Wanted::Absent } else { wanted };
            self.transitions += u64::from(place.step(wanted, now, &self.rules));
        }
    }

    /// When something is due before the next look: the end of a grace or of a hold-down.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.places.values().filter_map(|place| place.deadline(&self.rules)).min()
    }

    /// The node's state.
    pub(crate) fn state(&self) -> State {
        let up = |place: &Place| place.is_up();
        match () {
            () if self.purposeful() => State::Draining,
            () if !self.places.values().any(Place::announced) => State::Down,
            () if self.places.values().all(up) && self.levels.severity() == Severity::Well => State::Up,
            () => State::Degraded,
        }
    }

    /// What is read, once it has lasted.
    pub(crate) fn severity(&self) -> Severity {
        self.levels.severity()
    }

    /// Whether the service is announced now.
    pub(crate) fn announced(&self, service: &str) -> bool {
        self.places.get(service).is_some_and(Place::announced)
    }

    /// Whether any is.
    pub(crate) fn announces(&self) -> bool {
        self.places.values().any(Place::announced)
    }

    /// Whether the service is announced by a node that is well enough for others to leave in its favour.
    pub(crate) fn is_well(&self, service: &str) -> bool {
        self.announced(service) && !self.purposeful() && self.levels.severity() < Severity::Unfit
    }

    /// With which attributes a service is announced now.
    pub(crate) fn attributes(&self, service: &str) -> Option<Arc<RouteAttributes>> {
        self.places.get(service)?.attributes(&self.rules)
    }

    /// Until when a service is held down, if it would come up else.
    pub(crate) fn held_until(&self, service: &str) -> Option<Instant> {
        self.places.get(service)?.held_until()
    }

    /// Whether the node is about to stop.
    pub(crate) fn leaving(&self) -> bool {
        self.leaving
    }

    /// How long routes are announced with GRACEFUL_SHUTDOWN.
    pub(crate) fn graceful_shutdown_ms(&self) -> u64 {
        u64::try_from(self.rules.graceful_shutdown.as_millis()).unwrap_or(u64::MAX)
    }

    /// Changes between announced and not announced.
    pub(crate) fn transitions(&self) -> u64 {
        self.transitions
    }

    /// The worst of what the services remember of their flaps.
    pub(crate) fn damping(&self) -> Damping {
        self.places.values().map(Place::damping).max_by_key(Damping::hold).unwrap_or(self.damping)
    }

    /// All routes to be announced now.
    pub(crate) fn adverts(&self) -> Adverts {
        let mut routes = BTreeMap::new();
        for (name, prefixes) in &self.rules.services {
            let Some(attributes) = self.attributes(name) else { continue };
            routes.extend(prefixes.iter().map(|prefix| (*prefix, Arc::clone(&attributes))));
        }
        let cause = match () {
            () if self.purposeful() => Cause::Draining,
            () if self.started => Cause::Health,
            () => Cause::Starting,
        };
        Adverts { routes, cause }
    }

    fn purposeful(&self) -> bool {
        self.drained || self.leaving
    }
}
