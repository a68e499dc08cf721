//! What is known of one source, and what each filter would say to a query from it now. Looking changes nothing.

use std::net::IpAddr;

use config::Filter;
use serde::Serialize;

use super::{
    Sources, client_finding,
    gcra::{self, Level},
    key::Key,
    known_good::{self, KnownGood},
    limits::Limits,
    prefix_finding, repetition_finding,
    state::{Clock, State},
};
use crate::{Filters, Now, Policy, verdict::Finding};

/// What a source is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceStanding {
    /// Never heard of, or long ago.
    NeverSeen,
    /// Heard of once.
    SeenOnce,
    /// Heard of more than once; its behaviour is being learned.
    Watched,
    /// It proved within the last hour that it is where it says: by a connection or a cookie.
    Proven,
    /// Known to be good.
    KnownGood,
}

/// The lists that have a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// It is never limited.
    pub allow: bool,
    /// It is never answered.
    pub block: bool,
    /// It is known to be good whatever was learned.
    pub known_good: bool,
}

/// A budget and how much of it is used.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Budget {
    /// The filter that watches it.
    pub filter: &'static str,
    /// Whose it is: an address or a prefix.
    pub of: String,
    /// Queries a second.
    pub per_s: u64,
    /// How much is used: below 1 the next query is within the budget, from 1 on above, from 2 on far above (more than
    /// four times the budget is sent).
    pub used: f64,
    /// Whether it is counted for this source at all.
    pub counted: bool,
}

/// What one filter would say now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judgement {
    /// The filter.
    pub filter: &'static str,
    /// How far it may go: off, observe or on.
    pub mode: &'static str,
    /// What it finds: fine, penalty, slip or drop.
    pub finding: &'static str,
    /// The penalty, 0 to 100.
    pub penalty: u8,
}

/// All that is known of a source, and what would become of a query from it that came now by UDP without a cookie.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// The source.
    pub address: IpAddr,
    /// What it is worth.
    pub standing: SourceStanding,
    /// If it is known to be good or proven: why, since when, until when.
    pub known_good: Option<KnownGood>,
    /// The periods of good behaviour it has, if it is being watched.
    pub good_periods: u64,
    /// So many make it known good.
    pub good_periods_needed: u64,
    /// How long a period is, in seconds.
    pub period_s: f64,
    /// The lists it is on.
    pub listed: Listed,
    /// Its budgets.
    pub budgets: Vec<Budget>,
    /// Whether only known-good sources are served now.
    pub random_source_armed: bool,
    /// What each filter that looks at sources would say now, in the order of the chain.
    pub judgements: Vec<Judgement>,
    /// The sum of the penalties of those that are on, at most 100. What has none is served whatever the pressure.
    pub penalty: u8,
    /// What would become of the query, with capacity left: serve, slip or drop.
    pub verdict: &'static str,
}

impl Filters {
    /// Explains a source. `unix_s` is the Unix time at `now`.
    pub fn explain(&self, address: IpAddr, now: Now, unix_s: u64) -> Explanation {
        self.sources.explain(address, &self.policy(), self.names.random_source_armed(), now, unix_s)
    }
}

impl Sources {
    fn explain(&self, address: IpAddr, policy: &Policy, armed: bool, now: Now, unix_s: u64) -> Explanation {
        let (limits, address, key) = (&policy.limits, address.to_canonical(), Key::of(address));
        let (hash, clock) = (key.hash(&self.hasher), Clock::new(now, limits));
        let row = self.table.row(hash);
        let state = row.and_then(|row| row.find(key)).map(|place| place.load());
        let listed = Listed {
            allow: limits.allow.contains(address),
            block: limits.block.contains(address),
            known_good: limits.known_good.contains(address),
        };
        let standing = match state {
            _ if listed.known_good => SourceStanding::KnownGood,
            Some(state) if state.is_good() => SourceStanding::KnownGood,
            Some(state) if state.is_proven(&clock) => SourceStanding::Proven,
            Some(_) => SourceStanding::Watched,
            None if row.is_some_and(|row| row.was_seen(hash)) => SourceStanding::SeenOnce,
            None => SourceStanding::NeverSeen,
        };
        let good = matches!(standing, SourceStanding::KnownGood | SourceStanding::Proven);
        let [client, prefix, repeats] = [
            state.map_or(0, |state| state.ahead(&clock)),
            self.prefix_budgets.ahead(self.prefix_hash(address, policy), now),
            self.repeat_budgets.ahead(hash, now),
        ];
        let findings = [
            (Filter::Blocked, if listed.block { Finding::Drop } else { Finding::Fine }),
            (Filter::Client, client_finding(gcra::level(client))),
            (Filter::Prefix, prefix_finding(if good { Level::Within } else { gcra::level(prefix) })),
            (Filter::Repetition, repetition_finding(gcra::level(repeats))),
            (Filter::UnknownSource, if armed { unknown(standing) } else { Finding::Fine }),
        ];
        let judgements: Vec<Judgement> = findings.map(|(filter, finding)| judgement(filter, finding, policy)).into();
        let (penalty, verdict) = if listed.allow { (0, "serve") } else { sum(&judgements) };
        Explanation {
            address,
            standing,
            known_good: state.and_then(|state| known_good::describe(key, state, limits, &clock, unix_s)),
            good_periods: state.map_or(0, State::good_periods),
            good_periods_needed: limits.periods,
            period_s: (1u64 << limits.period_us_bits) as f64 / 1e6,
            listed,
            budgets: budgets(address, policy, good, [client, prefix, repeats]),
            random_source_armed: armed,
            judgements,
            penalty,
            verdict,
        }
    }
}

fn unknown(standing: SourceStanding) -> Finding {
    match standing {
        SourceStanding::NeverSeen => Finding::Drop,
        SourceStanding::SeenOnce | SourceStanding::Watched => Finding::Slip,
        SourceStanding::Proven | SourceStanding::KnownGood => Finding::Fine,
    }
}

fn judgement(filter: Filter, finding: Finding, policy: &Policy) -> Judgement {
    let (name, penalty) = match finding {
        Finding::Fine => ("fine", 0),
        Finding::Penalty(penalty) => ("penalty", penalty),
        Finding::Slip => ("slip", 0),
        Finding::Drop => ("drop", 100),
    };
    Judgement { filter: filter.as_str(), mode: policy.mode(filter).as_str(), finding: name, penalty }
}

/// As the score adds up: the first that slips ends it, and so do 100 of penalty.
fn sum(judgements: &[Judgement]) -> (u8, &'static str) {
    let mut penalty = 0u8;
    for judgement in judgements.iter().filter(|judgement| judgement.mode == config::DefenceMode::On.as_str()) {
        if judgement.finding == "slip" {
            return (penalty, "slip");
        }
        penalty = penalty.saturating_add(judgement.penalty).min(100);
        if penalty == 100 {
            return (penalty, "drop");
        }
    }
    (penalty, "serve")
}

fn budgets(address: IpAddr, policy: &Policy, good: bool, ahead: [u32; 3]) -> Vec<Budget> {
    let (defences, limits) = (&policy.defences, &policy.limits);
    let client = match address {
        IpAddr::V4(_) => address.to_string(),
        IpAddr::V6(_) => format!("{}/64", Key::of(address).address()),
    };
    let factor = if good { u64::from(defences.known_good_factor.max(1)) } else { 1 };
    let [client_ahead, prefix_ahead, repeats_ahead] = ahead;
    let all = [
        (Filter::Client, client.clone(), u64::from(defences.client_per_s) * factor, client_ahead, true),
        (Filter::Prefix, prefix_of(address, limits), defences.prefix_per_s.into(), prefix_ahead, !good),
        (Filter::Repetition, client, defences.repeats_per_s.into(), repeats_ahead, true),
    ];
    let budget = |(filter, of, per_s, ahead, counted): (Filter, _, _, _, _)| Budget {
        filter: filter.as_str(),
        of,
        per_s,
        used: gcra::used(ahead),
        counted,
    };
    all.map(budget).into()
}

/// The prefix that an address shares its budget with.
fn prefix_of(address: IpAddr, limits: &Limits) -> String {
    let (bits, width, length) = match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32, limits.ipv4_prefix.min(32)),
        IpAddr::V6(address) => (address.to_bits(), 128, limits.ipv6_prefix.min(64)),
    };
    let kept = bits & u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
    match width {
        32 => format!("{}/{length}", std::net::Ipv4Addr::from_bits((kept >> 96) as u32)),
        _ => format!("{}/{length}", std::net::Ipv6Addr::from_bits(kept)),
    }
}
