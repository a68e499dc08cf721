//! Remembers questions that nobody could answer, so that they are not put again at once (RFC 9520 §3.2). No clock.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use cache::Failure;

use super::questions::Key;

/// How long a failure is remembered at first, and at most; each one that follows doubles it.
const WAIT_MIN: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(5);
/// A failure so long after the last one begins anew.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10);
/// Questions that are remembered.
const FAILURES_MAX: usize = 8192;

/// The questions that failed lately.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    known: HashMap<Key, Known>,
    /// In the order in which they failed; what was replaced since is passed over.
    order: VecDeque<(Duration, Key)>,
}

#[derive(Debug)]
struct Known {
    at: Duration,
    wait: Duration,
    failure: Failure,
}

impl Failures {
    /// A question failed.
    pub(crate) fn note(&mut self, key: Key, failure: Failure, now: Duration) {
        self.tidy(now);
        let wait = self.known.get(&key).map_or(WAIT_MIN, |known| (known.wait * 2).min(WAIT_MAX));
        self.order.push_back((now, key));
        self.known.insert(key, Known { at: now, wait, failure });
    }

    /// The failure to repeat, if the question failed a moment ago.
    pub(crate) fn recall(&self, key: &Key, now: Duration) -> Option<Failure> {
        self.known.get(key).filter(|known| now < known.at + known.wait).map(|known| known.failure)
    }

    /// The question was answered.
    pub(crate) fn forget(&mut self, key: &Key) {
        self.known.remove(key);
    }

    /// Forgets all that match.
    pub(crate) fn forget_all(&mut self, matches: impl Fn(&Key) -> bool) {
        self.known.retain(|key, _| !matches(key));
    }

    fn tidy(&mut self, now: Duration) {
        while let Some(&(at, key)) = self.order.front() {
            let old = now >= at + FORGOTTEN_AFTER || self.order.len() >= FAILURES_MAX;
            let replaced = self.known.get(&key).is_none_or(|known| known.at != at);
            if !old && !replaced {
                break;
            }
            self.order.pop_front();
            if !replaced {
                self.known.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::Rtype;

    fn key(name: &str) -> Key {
        Key { zone: 1, qname: name.parse().unwrap(), qtype: Rtype::A }
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_wait_grows_and_ends() {
        let mut failures = Failures::default();
        let mut now = ms(0);
        for wait in [1000, 2000, 4000, 5000, 5000] {
            failures.note(key("a.test"), Failure::Broken, now);
            assert_eq!(failures.recall(&key("A.TEST"), now + ms(wait - 1)), Some(Failure::Broken));
            now += ms(wait);
            assert_eq!(failures.recall(&key("a.test"), now), None);
        }
        assert_eq!(failures.recall(&key("b.test"), now), None);
        failures.note(key("a.test"), Failure::NoOrigin, now);
        failures.forget(&key("a.test"));
        assert_eq!(failures.recall(&key("a.test"), now), None);
        failures.note(key("a.test"), Failure::NoOrigin, now);
        assert_eq!(failures.recall(&key("a.test"), now + ms(999)), Some(Failure::NoOrigin));
        // Long after, it begins anew.
        now += FORGOTTEN_AFTER;
        failures.note(key("a.test"), Failure::NoOrigin, now);
        assert_eq!(failures.recall(&key("a.test"), now + ms(1000)), None);
        failures.forget_all(|key| key.zone == 1);
        assert_eq!(failures.recall(&key("a.test"), now), None);
    }

    #[test]
    fn it_stays_small() {
        let mut failures = Failures::default();
        for number in 0..3 * FAILURES_MAX {
            failures.note(key(&format!("x{number}.test")), Failure::Broken, ms(5));
            assert!(failures.known.len() <= FAILURES_MAX && failures.order.len() <= FAILURES_MAX);
        }
        assert_eq!(failures.recall(&key("x0.test"), ms(6)), None);
        let last = format!("x{}.test", 3 * FAILURES_MAX - 1);
        assert_eq!(failures.recall(&key(&last), ms(6)), Some(Failure::Broken));
        // One question that fails again and again takes one place.
        let mut failures = Failures::default();
        (0..100).for_each(|now| failures.note(key("a.test"), Failure::Broken, ms(now * 10)));
        assert_eq!((failures.known.len(), failures.order.len() <= 2), (1, true));
    }
}
