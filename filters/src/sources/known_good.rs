//! The known-good sources as others see them: listed, kept over a restart, shared between nodes.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{
    Sources,
    key::Key,
    limits::Limits,
    state::{self, Clock, Standing, State},
};
use crate::{Filters, Now};

/// Why a source is known to be good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// It behaved well for long enough.
    Behaved,
    /// A copy from before the start says so, another node, or an order.
    Told,
    /// It came over a connection within the last hour.
    Connected,
    /// It had a valid cookie within the last hour.
    Cookie,
}

impl Why {
    /// All of them. Those that hold for an hour only are the last two.
    pub const ALL: [Why; 4] = [Why::Behaved, Why::Told, Why::Connected, Why::Cookie];

    /// For people, and as serde has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Why::Behaved => "behaved",
            Why::Told => "told",
            Why::Connected => "connected",
            Why::Cookie => "cookie",
        }
    }

    /// Whether it holds for as long as the source is heard of, not for an hour.
    pub fn is_lasting(self) -> bool {
        matches!(self, Why::Behaved | Why::Told)
    }
}

/// A source that is known to be good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownGood {
    /// Its address; an IPv6 address stands for its network of 64 bits.
    pub address: IpAddr,
    /// Since when, in seconds of Unix time; a quarter of an hour too late at most.
    pub since_unix_s: u64,
    /// Until when, unless it is heard of before, in seconds of Unix time.
    pub until_unix_s: u64,
    /// Why.
    pub why: Why,
}

impl Filters {
    /// All known-good sources but those that a list of the operator's names. `unix_s` is the Unix time at `now`.
    pub fn known_good(&self, now: Now, unix_s: u64) -> Vec<KnownGood> {
        self.sources.known_good(&self.policy().limits, now, unix_s)
    }

    /// How many those are. It walks through the whole table, some milliseconds.
    pub fn known_good_count(&self, now: Now) -> usize {
        let limits = &self.policy().limits;
        let clock = Clock::new(now, limits);
        self.sources.table.iter().filter(|(key, state)| describe(*key, *state, limits, &clock, 0).is_some()).count()
    }

    /// Takes in what an earlier run or another node knows. Says how many were taken in: those that hold for an hour only and
    /// those whose time is over are not, nor those for which there is no room. `unix_s` is the Unix time at `now`.
    pub fn import_known_good(&self, known: &[KnownGood], now: Now, unix_s: u64) -> usize {
        self.sources.import(known, &self.policy().limits, now, unix_s)
    }

    /// Forgets all that was learned of a source; from then on it is one that was seen once.
    pub fn forget_source(&self, address: IpAddr) {
        self.sources.forget(address);
    }
}

impl Sources {
    fn known_good(&self, limits: &Limits, now: Now, unix_s: u64) -> Vec<KnownGood> {
        let clock = Clock::new(now, limits);
        let known = self.table.iter().filter_map(|(key, state)| describe(key, state, limits, &clock, unix_s));
        known.collect()
    }

    fn import(&self, known: &[KnownGood], limits: &Limits, now: Now, unix_s: u64) -> usize {
        let clock = Clock::new(now, limits);
        let lifetime_s = state::good_units_s(limits.lifetime_units);
        let lasting = known.iter().filter(|entry| entry.why.is_lasting() && entry.until_unix_s > unix_s);
        let taken = lasting.filter(|entry| {
            let silent_s = lifetime_s.saturating_sub(entry.until_unix_s - unix_s);
            let state = State::told(unix_s.saturating_sub(entry.since_unix_s), silent_s, &clock);
            let key = Key::of(entry.address);
            self.table.insert_good(key, key.hash(&self.hasher), state, &clock)
        });
        taken.count()
    }

    fn forget(&self, address: IpAddr) {
        let key = Key::of(address);
        self.table.remove(key, key.hash(&self.hasher));
    }
}

/// A source as others see it, if it is known to be good.
pub(super) fn describe(key: Key, state: State, limits: &Limits, clock: &Clock, unix_s: u64) -> Option<KnownGood> {
    let (since_s, until_s, why) = match state.standing() {
        Standing::Behaved | Standing::Told => {
            let (since_s, silent_s) = state.good_ages_s(clock);
            let left_s = state::good_units_s(limits.lifetime_units).checked_sub(silent_s)?;
            let why = if state.standing() == Standing::Told { Why::Told } else { Why::Behaved };
            (since_s, left_s, why)
        }
        proof @ (Standing::Connected | Standing::HadCookie) if state.is_proven(clock) => {
            let left_s = state.proof_left_s(clock);
            let why = if proof == Standing::Connected { Why::Connected } else { Why::Cookie };
            (state::PROOF_S.saturating_sub(left_s), left_s, why)
        }
        _ => return None,
    };
    Some(KnownGood {
        address: key.address(),
        since_unix_s: unix_s.saturating_sub(since_s),
        until_unix_s: unix_s.saturating_add(until_s),
        why,
    })
}
