//! Response-rate limiting: how many answers of a kind a prefix gets, so that nobody is reflected at.
//!
//! A client needs an answer once; who gets the same answer a hundred times a second did not ask for it. Above the budget every
//! so many answers are sent truncated and empty: a real client comes back over TCP, and a victim gets less than was sent.

use config::Defences;

use super::budget::{Budget, Budgets, Limit};
use crate::{
    Found, Hashes, Kind, Now, View,
    hash::Hasher,
    memory::{Table, Taker},
    verdict::Finding,
};
use wire::Rtype;

/// Eight budgets each, of prefix, kind of answer and name.
pub(crate) const ANSWER_BUCKETS: usize = 16_384;
/// Eight budgets each, of a prefix whatever it is told.
pub(crate) const PREFIX_BUCKETS: usize = 8192;
/// So many seconds' share may come at once.
const BURST_S: u32 = 2;
/// A prefix that is not known to be good gets so many times as many answers in all as of one kind.
const PREFIX_FACTOR: u32 = 20;

/// What one answer costs of the budget of its kind and of its prefix's, in the budgets' unit.
pub(crate) fn costs(defences: &Defences) -> [u64; 2] {
    [answer_limit(defences), prefix_limit(defences)].map(Limit::cost)
}

fn answer_limit(defences: &Defences) -> Limit {
    Limit { per_s: defences.responses_per_s, burst_s: BURST_S }
}

fn prefix_limit(defences: &Defences) -> Limit {
    Limit { per_s: defences.responses_per_s.saturating_mul(PREFIX_FACTOR), burst_s: BURST_S }
}

/// Makes each bit of a type and a kind count in both halves of a hash.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

#[derive(Debug)]
pub(crate) struct Responses {
    hasher: Hasher,
    answers: Budgets,
    prefixes: Budgets,
}

impl Responses {
    pub(crate) fn within(taker: &mut Taker<'_>, hasher: Hasher) -> Responses {
        let answers = Budgets::within(taker, Table::AnswerRates, ANSWER_BUCKETS);
        Responses { hasher, answers, prefixes: Budgets::within(taker, Table::PrefixRates, PREFIX_BUCKETS) }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.answers.memory_bytes() + self.prefixes.memory_bytes()
    }

    /// Whether this answer may go to this prefix. A known-good source above its budget is always told to come back over TCP.
    pub(crate) fn ask(
        &self,
        view: &View<'_>,
        known_good: bool,
        found: &Found<'_>,
        defences: &Defences,
        now: Now,
    ) -> Finding {
        let prefix = view.prefix_hash(&self.hasher, defences.ipv4_prefix, defences.ipv6_prefix);
        let slip = if known_good { defences.slip.min(1) } else { defences.slip };
        let limit = answer_limit(defences);
        let answer = self.answers.take(self.hasher.words(prefix, self.subject(view, found)), limit, now);
        if let Budget::Above(nth) = answer {
            return above(nth, slip);
        }
        if known_good {
            return Finding::Fine;
        }
        match self.prefixes.take(prefix, prefix_limit(defences), now) {
            Budget::Within => Finding::Fine,
            Budget::Above(nth) => above(nth, slip),
        }
    }

    /// Brings near what will be asked if there is an answer.
    #[inline]
    pub(crate) fn touch(&self, hashes: &Hashes, qtype: Rtype) -> u64 {
        let subject = alike(hashes.qname, qtype.0, Kind::Answer);
        self.answers.touch(self.hasher.words(hashes.prefix, subject)) ^ self.prefixes.touch(hashes.prefix)
    }

    /// What stands for all answers that are alike: name and type; the zone of what does not exist, and of errors; where a
    /// referral leads to.
    pub(super) fn subject(&self, view: &View<'_>, found: &Found<'_>) -> u64 {
        let of_zone = || found.zone.map_or(0, |(_, apex)| self.hasher.name(apex));
        let (of_name, qtype) = match (found.kind, view.asked) {
            (Kind::Answer | Kind::NoData, Some(asked)) => (view.qname_hash(&self.hasher), asked.qtype.0),
            (Kind::Referral, _) => (found.cut.map_or_else(of_zone, |cut| self.hasher.name(cut)), 0),
            _ => (of_zone(), 0),
        };
        alike(of_name, qtype, found.kind)
    }
}

#[inline]
fn alike(of_name: u64, qtype: u16, kind: Kind) -> u64 {
    of_name.wrapping_add((u64::from(qtype) << 8 | kind as u64).wrapping_mul(SPREAD))
}

fn above(nth: u8, slip: u32) -> Finding {
    match u32::from(nth).checked_rem(slip) {
        Some(0) => Finding::Slip,
        _ => Finding::Drop,
    }
}
