//! What the real clients were answered, second by second.

use serde::{Deserialize, Serialize};

use crate::prober::quantile;

/// Of each second so many latencies of a kind are kept to take percentiles of.
const SAMPLES_MAX: usize = 100_000;
/// Seconds that are kept: more than any experiment lasts. What comes later counts for the last.
const SECONDS_MAX: usize = 4 * 3600;

/// One second of the clients' record. Everything counts for the second in which its question was first asked.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Second {
    /// Questions that clients began to ask.
    pub asked: u64,
    /// Answered without anything having been lost: to the first datagram, or over TCP where its answer was truncated.
    pub first_try: u64,
    /// Answered after the datagram or the connection was repeated.
    pub with_retries: u64,
    /// Given up: nobody answered any of the tries.
    pub lost: u64,
    /// Datagrams that were sent again.
    pub retries: u64,
    /// Questions that went over TCP because an answer was truncated.
    pub over_tcp: u64,
    /// Answers that were none (SERVFAIL, REFUSED, without authority); the question was asked again.
    pub refused: u64,
    /// From the first datagram to the answer, in µs, of those answered at the first try.
    pub first_try_us: Vec<u32>,
    /// The same of all that were answered.
    pub answered_us: Vec<u32>,
    /// How much too late the clients sent, and how long an answer waited for them, in µs: the error of the times above.
    pub late_us: Vec<u32>,
}

/// What became of a question in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    FirstTry { after_us: u32 },
    WithRetries { after_us: u32 },
    Lost,
}

/// The record of a run, a [`Second`] for each since its beginning.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Record {
    /// The seconds in their order.
    pub seconds: Vec<Second>,
    /// Whether the clients had real-time priority.
    pub real_time: bool,
}

/// Figures of some seconds together.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Figures {
    /// Questions asked.
    pub asked: u64,
    /// See [`Second::first_try`].
    pub first_try: u64,
    /// See [`Second::with_retries`].
    pub with_retries: u64,
    /// Questions that nobody answered.
    pub lost: u64,
    /// Datagrams sent again.
    pub retries: u64,
    /// Questions that went over TCP.
    pub over_tcp: u64,
    /// Answers that were none.
    pub refused: u64,
    /// The median time of answers at the first try, in µs; none without any.
    pub first_try_median_us: Option<u32>,
    /// The 99th percentile of it.
    pub first_try_p99_us: Option<u32>,
    /// The median time of all answers, retries included.
    pub answered_median_us: Option<u32>,
    /// The 99th percentile of it.
    pub answered_p99_us: Option<u32>,
    /// The 99th percentile of the clients' own error in these times.
    pub late_p99_us: Option<u32>,
}

impl Figures {
    /// The share of questions answered at the first try, 0 to 1, of those of which it is known; 1 where nothing was asked.
    pub fn first_try_share(&self) -> f64 {
        self.share(self.first_try)
    }

    /// The share answered at all.
    pub fn answered_share(&self) -> f64 {
        self.share(self.first_try + self.with_retries)
    }

    fn share(&self, of: u64) -> f64 {
        match self.first_try + self.with_retries + self.lost {
            0 => 1.0,
            known => of as f64 / known as f64,
        }
    }
}

impl Record {
    /// The figures of the seconds from `from` on and before `until`.
    pub fn figures(&self, from: usize, until: usize) -> Figures {
        let until = until.min(self.seconds.len());
        let seconds = self.seconds.get(from.min(until)..until).unwrap_or_default();
        let sum = |of: fn(&Second) -> u64| seconds.iter().map(of).sum();
        let times = |of: fn(&Second) -> &Vec<u32>| {
            let mut times: Vec<u32> = seconds.iter().flat_map(of).copied().collect();
            times.sort_unstable();
            times
        };
        let (first_try, answered) = (times(|second| &second.first_try_us), times(|second| &second.answered_us));
        Figures {
            asked: sum(|second| second.asked),
            first_try: sum(|second| second.first_try),
            with_retries: sum(|second| second.with_retries),
            lost: sum(|second| second.lost),
            retries: sum(|second| second.retries),
            over_tcp: sum(|second| second.over_tcp),
            refused: sum(|second| second.refused),
            first_try_median_us: quantile(&first_try, 0.5),
            first_try_p99_us: quantile(&first_try, 0.99),
            answered_median_us: quantile(&answered, 0.5),
            answered_p99_us: quantile(&answered, 0.99),
            late_p99_us: quantile(&times(|second| &second.late_us), 0.99),
        }
    }

    /// The figures of one second.
    pub fn second(&self, at: usize) -> Figures {
        self.figures(at, at + 1)
    }

    /// The figures of all.
    pub fn all(&self) -> Figures {
        self.figures(0, self.seconds.len())
    }

    /// These seconds alone; those before are empty, so that all keep their numbers.
    pub(super) fn part(&self, seconds: std::ops::Range<usize>) -> Record {
        let until = seconds.end.min(self.seconds.len());
        let numbered = self.seconds.iter().enumerate().take(until);
        let part = numbered.map(|(number, second)| match number < seconds.start {
            true => Second::default(),
            false => second.clone(),
        });
        Record { seconds: part.collect(), real_time: self.real_time }
    }

    fn at(&mut self, second: usize) -> &mut Second {
        let second = second.min(SECONDS_MAX - 1);
        if self.seconds.len() <= second {
            self.seconds.resize_with(second + 1, Second::default);
        }
        // It was made above.
        &mut self.seconds[second]
    }

    pub(super) fn asked(&mut self, second: usize, late_us: u32) {
        let second = self.at(second);
        second.asked += 1;
        keep(&mut second.late_us, late_us);
    }

    pub(super) fn retried(&mut self, second: usize) {
        self.at(second).retries += 1;
    }

    pub(super) fn over_tcp(&mut self, second: usize) {
        self.at(second).over_tcp += 1;
    }

    pub(super) fn refused(&mut self, second: usize) {
        self.at(second).refused += 1;
    }

    /// An answer waited so long in the socket.
    pub(super) fn waited(&mut self, second: usize, late_us: u32) {
        keep(&mut self.at(second).late_us, late_us);
    }

    pub(super) fn ended(&mut self, second: usize, end: End) {
        let second = self.at(second);
        match end {
            End::FirstTry { after_us } => {
                second.first_try += 1;
                keep(&mut second.first_try_us, after_us);
                keep(&mut second.answered_us, after_us);
            }
            End::WithRetries { after_us } => {
                second.with_retries += 1;
                keep(&mut second.answered_us, after_us);
            }
            End::Lost => second.lost += 1,
        }
    }
}

fn keep(samples: &mut Vec<u32>, sample: u32) {
    if samples.len() < SAMPLES_MAX {
        samples.push(sample);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_counts_for_when_it_was_asked() {
        let mut record = Record::default();
        for late_us in [3, 9] {
            record.asked(1, late_us);
        }
        record.retried(1);
        record.ended(1, End::FirstTry { after_us: 80 });
        record.ended(1, End::WithRetries { after_us: 400_120 });
        record.asked(2, 1);
        record.ended(2, End::Lost);
        assert_eq!(record.second(0), Figures::default());
        let first = record.second(1);
        assert_eq!((first.asked, first.first_try, first.with_retries, first.retries, first.lost), (2, 1, 1, 1, 0));
        assert_eq!((first.first_try_median_us, first.answered_p99_us), (Some(80), Some(400_120)));
        assert_eq!((first.first_try_share(), first.answered_share()), (0.5, 1.0));
        let all = record.all();
        assert_eq!((all.asked, all.lost, record.second(7).answered_share()), (3, 1, 1.0));
        assert!((all.answered_share() - 2.0 / 3.0).abs() < 1e-9);
    }
}
