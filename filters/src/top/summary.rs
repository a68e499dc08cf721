//! The heaviest keys of a stream, in bounded memory: Misra and Gries' counters, pruned in batches (Anderson and others, 2017:
//! "A High-Performance Algorithm for Identifying Frequent Items in Data Streams").

use std::borrow::Borrow;
use std::collections::BTreeMap;

use config::Filter;

use super::Outcome;

/// A key with more than this part of the whole is never missed.
const PART: usize = 128;
/// Keys that a summary tells apart; when there are so many, the lighter half goes.
pub(super) const KEYS_MAX: usize = 2 * PART;

/// What is known of one key.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    /// Queries by [`Outcome`], since the key was last taken in: no more than there were.
    pub(super) outcomes: [u64; Outcome::ALL.len()],
    /// What keeps its place: its queries, less what every key paid each time the lighter half went.
    rank: u64,
    /// The filter that most of them met (Boyer and Moore's vote), and how sure that is.
    pub(super) reason: Option<Filter>,
    votes: u64,
}

impl Tally {
    /// Queries of this key, at least.
    pub(super) fn sum(&self) -> u64 {
        self.outcomes.iter().sum()
    }

    pub(super) fn add(&mut self, outcome: Outcome, reason: Option<Filter>, weight: u64) {
        if let Some(counter) = self.outcomes.get_mut(outcome as usize) {
            *counter = counter.saturating_add(weight);
        }
        self.rank = self.rank.saturating_add(weight);
        if reason.is_some() {
            self.vote(reason, weight);
        }
    }

    /// Adds what another summary knows of the same key.
    pub(super) fn merge(&mut self, other: &Tally) {
        for (sum, number) in self.outcomes.iter_mut().zip(other.outcomes) {
            *sum = sum.saturating_add(number);
        }
        if other.reason.is_some() {
            self.vote(other.reason, other.votes.max(1));
        }
    }

    fn vote(&mut self, reason: Option<Filter>, weight: u64) {
        if self.reason == reason {
            self.votes = self.votes.saturating_add(weight);
        } else if self.votes >= weight {
            self.votes -= weight;
        } else {
            (self.reason, self.votes) = (reason, weight - self.votes);
        }
    }
}

/// The heaviest keys.
#[derive(Clone, Debug)]
pub(super) struct Summary<K> {
    keys: BTreeMap<K, Tally>,
}

impl<K: Ord> Default for Summary<K> {
    fn default() -> Self {
        Summary { keys: BTreeMap::new() }
    }
}

impl<K: Ord + Clone> Summary<K> {
    /// Counts queries of a key.
    pub(super) fn add<Q>(&mut self, key: &Q, outcome: Outcome, reason: Option<Filter>, weight: u64)
    where
        K: Borrow<Q>,
        Q: Ord + ToOwned<Owned = K> + ?Sized,
    {
        if let Some(tally) = self.keys.get_mut(key) {
            return tally.add(outcome, reason, weight);
        }
        if self.keys.len() >= KEYS_MAX {
            self.prune();
        }
        let mut tally = Tally::default();
        tally.add(outcome, reason, weight);
        self.keys.insert(key.to_owned(), tally);
    }

    /// All pay what the heaviest of the lighter half has, and who has nothing left goes. So many pay at a time that nobody
    /// pays more than its part of the whole in all.
    fn prune(&mut self) {
        let mut ranks: Vec<u64> = self.keys.values().map(|tally| tally.rank).collect();
        let middle = ranks.len().saturating_sub(PART + 1);
        let (_, &mut price, _) = ranks.select_nth_unstable(middle);
        self.keys.retain(|_, tally| {
            tally.rank = tally.rank.saturating_sub(price);
            tally.rank > 0
        });
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &Tally)> {
        self.keys.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_heavy_is_found_among_any_number_of_others() {
        // Whether its queries come between the others' or after all of them.
        for heavy_from in [0, 90_000] {
            let mut summary = Summary::<u32>::default();
            let mut sent = 0;
            for number in 0..100_000 {
                let heavy = number >= heavy_from && number % 8 == 0;
                let key = if heavy { 7 } else { 1000 + number };
                sent += u64::from(heavy);
                summary.add(&key, Outcome::Dropped, Some(Filter::Client), 1);
                assert!(summary.keys.len() <= KEYS_MAX);
            }
            let (key, tally) = summary.iter().max_by_key(|(_, tally)| tally.sum()).unwrap();
            assert_eq!((*key, tally.sum(), tally.reason), (7, sent, Some(Filter::Client)));
            // Nobody else is said to have sent more than it did.
            assert!(summary.iter().all(|(key, tally)| *key == 7 || tally.sum() == 1));
        }
    }

    #[test]
    fn more_than_its_part_is_never_missed() {
        // As bad as it can be: one query in [`PART`] and a few more, then others alone.
        let (mut summary, all) = (Summary::<u32>::default(), 64_000u32);
        let sent = u64::from(all) / PART as u64 + 2;
        summary.add(&0, Outcome::Served, None, sent);
        (0..all - sent as u32).for_each(|number| summary.add(&(1 + number), Outcome::Served, None, 1));
        assert_eq!(summary.keys.get(&0).map(Tally::sum), Some(sent));
    }

    #[test]
    fn few_keys_are_counted_exactly() {
        let mut summary = Summary::<u32>::default();
        for number in 0..KEYS_MAX as u32 {
            summary.add(&number, Outcome::Served, None, u64::from(number));
        }
        assert!(summary.iter().all(|(key, tally)| tally.sum() == u64::from(*key)));
    }

    #[test]
    fn the_reason_is_that_of_most() {
        let mut tally = Tally::default();
        for number in 0..100 {
            let reason = if number % 3 == 0 { Filter::Prefix } else { Filter::Client };
            tally.add(Outcome::Dropped, Some(reason), 10);
            tally.add(Outcome::Served, None, 1000);
        }
        assert_eq!(tally.reason, Some(Filter::Client));
    }
}
