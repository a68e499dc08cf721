//! How it stands with one address of an origin: its round-trip time, and whether it answers at all. No I/O, no clock.
//!
//! ```text
//!            answer                      SILENT_MAX silences in a row
//!   Untried ───────▶ Up ──────────────────────────────────────────────▶ Down { until }
//!                    ▲                                                   │ one question at a time, once `until` has come
//!                    └────────────────── answer ◀────────────────────────┤
//!                                                      silence: wait twice as long
//! ```

use std::time::Duration;

/// Silences in a row after which an address is down.
const SILENT_MAX: u32 = 3;
/// How long one that is down is left alone, at first and at most. The most is also how late its return may be noticed.
const DOWN_MIN: Duration = Duration::from_secs(1);
const DOWN_MAX: Duration = Duration::from_secs(5);
/// What is taken for the round-trip time of an address that was never asked, when it is compared with others: so little
/// that it is asked soon.
const UNTRIED: Duration = Duration::ZERO;
/// The least time that an answer is waited for before another address is asked as well.
const PATIENCE_MIN: Duration = Duration::from_millis(40);
/// The same where no round-trip time is known.
const PATIENCE_UNTRIED: Duration = Duration::from_millis(300);

/// How an address is, for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It was never asked.
    #[default]
    Untried,
    /// It answers.
    Up,
    /// It did not answer the last question or two.
    Suspect,
    /// It does not answer, and is asked only now and then.
    Down,
    /// It answers, but not for this zone: lame, or it refuses.
    Lame,
}

/// May it be asked?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Usable {
    /// Yes.
    Yes,
    /// One question may see whether it is back.
    Probe,
    /// No.
    No,
}

/// What is known of an address.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reach {
    /// Smoothed as in RFC 6298 §2; none before the first answer.
    rtt: Option<(Duration, Duration)>,
    silent: u32,
    down: Option<Down>,
}

#[derive(Clone, Debug)]
struct Down {
    until: Duration,
    wait: Duration,
    /// When the question that sees whether it is back was sent.
    probed: Option<Duration>,
}

/// A probe that was never heard of again no longer counts after this.
const PROBE_MAX: Duration = Duration::from_secs(10);

impl Reach {
    /// An answer of any kind came, after `rtt`.
    pub(crate) fn answered(&mut self, rtt: Duration) {
        self.rtt = Some(match self.rtt {
            None => (rtt, rtt / 2),
            Some((smoothed, variation)) => ((smoothed * 7 + rtt) / 8, (variation * 3 + smoothed.abs_diff(rtt)) / 4),
        });
        (self.silent, self.down) = (0, None);
    }

    /// No answer came to a question sent at `sent` within `waited`; `random` spreads the next look at it.
    pub(crate) fn silent(&mut self, sent: Duration, waited: Duration, now: Duration, random: u64) {
        self.silent = self.silent.saturating_add(1);
        // Another address should be preferred from now on.
        if let Some((smoothed, _)) = &mut self.rtt {
            *smoothed = (*smoothed * 2).max(waited / 2).min(waited * 2);
        }
        let wait = match &self.down {
            None if self.silent < SILENT_MAX => return,
            None => DOWN_MIN,
            // Only the probe says something new; the others were sent before it was known to be down.
            Some(down) if down.probed.is_some_and(|probed| probed <= sent) => (down.wait * 2).min(DOWN_MAX),
            Some(_) => return,
        };
        // Up to a quarter less, so that many edges do not come back in step.
        let less = wait / 4 * u32::from(random as u8) / 256;
        self.down = Some(Down { until: now + wait - less, wait, probed: None });
    }

    /// Whether it may be asked now.
    pub(crate) fn usable(&self, now: Duration) -> Usable {
        match &self.down {
            None => Usable::Yes,
            Some(down) if now < down.until => Usable::No,
            Some(down) if down.probed.is_some_and(|probed| now < probed + PROBE_MAX) => Usable::No,
            Some(_) => Usable::Probe,
        }
    }

    /// A question is sent to it now.
    pub(crate) fn asked(&mut self, now: Duration) {
        if let Some(down) = &mut self.down {
            down.probed = Some(now);
        }
    }

    /// The smoothed round-trip time.
    pub(crate) fn srtt(&self) -> Option<Duration> {
        self.rtt.map(|(smoothed, _)| smoothed)
    }

    /// What it is compared by with others: less is better.
    pub(crate) fn cost(&self) -> Duration {
        self.srtt().unwrap_or(if self.silent == 0 { UNTRIED } else { PATIENCE_UNTRIED })
    }

    /// How long an answer is waited for before another address is asked as well (RFC 6298 §2.3: four variations).
    pub(crate) fn patience(&self, limit: Duration) -> Duration {
        let patience =
            self.rtt.map_or(PATIENCE_UNTRIED, |(smoothed, variation)| smoothed + (variation * 4).max(smoothed / 2));
        patience.max(PATIENCE_MIN).min(limit)
    }

    /// How it is.
    pub(crate) fn health(&self) -> Health {
        match (&self.down, self.silent, self.rtt) {
            (Some(_), ..) => Health::Down,
            (None, 1.., _) => Health::Suspect,
            (None, 0, None) => Health::Untried,
            (None, 0, Some(_)) => Health::Up,
        }
    }
}

/// An address that may be asked, beside others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    /// Its place among the zone's upstreams.
    pub(crate) upstream: usize,
    /// [`Reach::cost`].
    pub(crate) cost: Duration,
}

/// One question of so many goes to an address that is not the best, to learn whether it has become better.
const EXPLORE_ONE_OF: u64 = 20;
/// Addresses that are worse than the best by no more than this share its questions.
const ALIKE: Duration = Duration::from_millis(2);

/// Chooses which to ask: mostly one of the best, now and then another.
pub(crate) fn choose(candidates: &[Candidate], random: u64) -> Option<usize> {
    let best = candidates.iter().map(|candidate| candidate.cost).min()?;
    let alike = best + (best / 4).max(ALIKE);
    let explores = (random >> 32).is_multiple_of(EXPLORE_ONE_OF);
    let chosen = candidates.iter().filter(|candidate| explores || candidate.cost <= alike);
    let count = chosen.clone().count().max(1);
    chosen.clone().nth((random & 0xFFFF_FFFF) as usize % count).map(|candidate| candidate.upstream)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn round_trips_are_smoothed() {
        let mut reach = Reach::default();
        assert_eq!((reach.health(), reach.srtt(), reach.patience(ms(800))), (Health::Untried, None, ms(300)));
        reach.answered(ms(80));
        assert_eq!((reach.health(), reach.srtt(), reach.patience(ms(800))), (Health::Up, Some(ms(80)), ms(240)));
        reach.answered(ms(160));
        assert_eq!((reach.srtt(), reach.patience(ms(800))), (Some(ms(90)), ms(90 + 4 * 50)));
        assert_eq!(reach.patience(ms(100)), ms(100));
        let mut near = Reach::default();
        (0..50).for_each(|_| near.answered(ms(1)));
        assert_eq!(near.patience(ms(800)), PATIENCE_MIN);
    }

    #[test]
    fn three_silences_make_it_down_and_one_question_sees_whether_it_is_back() {
        let mut reach = Reach::default();
        reach.answered(ms(10));
        for (count, health) in [(1, Health::Suspect), (2, Health::Suspect), (3, Health::Down)] {
            reach.silent(ms(0), ms(800), ms(800 + count), 0);
            assert_eq!(reach.health(), health);
        }
        assert!(reach.cost() >= ms(400));
        // Those that were sent before change nothing.
        reach.silent(ms(100), ms(800), ms(900), 0);
        assert_eq!((reach.usable(ms(1802)), reach.usable(ms(1803))), (Usable::No, Usable::Probe));
        reach.asked(ms(1900));
        assert_eq!(reach.usable(ms(1901)), Usable::No);
        reach.silent(ms(1000), ms(800), ms(2000), 0);
        reach.silent(ms(1900), ms(800), ms(2700), 0);
        assert_eq!((reach.usable(ms(4699)), reach.usable(ms(4700))), (Usable::No, Usable::Probe));
        // Never longer than the most.
        let mut now = ms(4700);
        for _ in 0..10 {
            reach.asked(now);
            reach.silent(now, ms(800), now + ms(800), 0);
            now += ms(800) + DOWN_MAX;
            assert_eq!(reach.usable(now), Usable::Probe);
        }
        // A probe that nobody tells the end of does not stand in the way for ever.
        reach.asked(now);
        assert_eq!((reach.usable(now + ms(1)), reach.usable(now + PROBE_MAX)), (Usable::No, Usable::Probe));
        reach.answered(ms(10));
        assert_eq!((reach.usable(now), reach.health()), (Usable::Yes, Health::Up));
    }

    #[test]
    fn the_next_look_is_spread() {
        let until = |random| {
            let mut reach = Reach::default();
            (0..3).for_each(|_| reach.silent(ms(0), ms(800), ms(1000), random));
            (0..3000).map(ms).find(|&now| reach.usable(now) == Usable::Probe).unwrap()
        };
        assert_eq!(until(0), ms(2000));
        assert_eq!(until(255), ms(1751));
    }

    #[test]
    fn mostly_the_best_is_chosen() {
        let candidates = [ms(50), ms(10), ms(11), ms(400)];
        let candidates: Vec<_> =
            candidates.iter().enumerate().map(|(upstream, &cost)| Candidate { upstream, cost }).collect();
        let mut counts = [0u32; 4];
        let mut random = 1u64;
        for _ in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let mixed = random ^ (random >> 29);
            counts[choose(&candidates, mixed).unwrap()] += 1;
        }
        let [far, best, alike, worst] = counts;
        assert!((9_000..11_000).contains(&best) && (9_000..11_000).contains(&alike), "{counts:?}");
        assert!((150..400).contains(&far) && (150..400).contains(&worst), "{counts:?}");
        assert_eq!(choose(&[], 7), None);
        // One that was never asked is asked at once.
        let mut untried = candidates;
        untried[3].cost = UNTRIED;
        assert_eq!(choose(&untried, 1 << 32), Some(3));
    }
}
