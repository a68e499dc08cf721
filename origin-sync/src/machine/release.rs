//! A copy that was held (delayed input) is published: an attempt that asks nobody.
//!
//! ```text
//!   Idle ── Release ──▶ Busy ── Released ──▶ Idle, and the next round at once: what was newer may be fetched now
//! ```

use std::time::Duration;

use super::{Actions, Activity, Attempt, Cause, Context, Data, Machine, Notice, Want};
use crate::timers::SoaTimers;

impl Machine {
    /// Whether a copy that was held can be published now: nothing else is at work, and an origin is heard.
    pub(crate) fn may_release(&self) -> bool {
        matches!((self.activity, self.data), (Activity::Idle { .. }, Data::Serving { .. }))
    }

    pub(super) fn publish_held(&mut self) -> Actions {
        if !self.may_release() {
            return Actions::default();
        }
        let upstream = self.preferred % self.settings.upstreams.max(1);
        self.activity = Activity::Busy { upstream, tried: 0, cause: Cause::Release };
        let attempt = Attempt { upstream, want: Want::Release, any_serial: false, urgent: false };
        Actions { attempt: Some(attempt), publish: None }
    }

    /// The copy counts from the last contact with an origin, as its predecessor did.
    pub(super) fn released(&mut self, soa: SoaTimers, context: &Context<'_>) -> Actions {
        let longest = context.now + self.settings.clamps.expire(&soa);
        let expires = self.expires().unwrap_or_default().min(longest);
        self.data = Data::Serving { soa, expires };
        self.futile = 0;
        self.notify_from = Duration::ZERO;
        self.pending = Some(self.pending.unwrap_or(Notice { serial: None, upstream: None }));
        self.activity = Activity::Idle { due: context.now };
        self.drop_held();
        self.answer_notify(context)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Ended, Event, Settings};
    use super::*;
    use crate::timers::Clamps;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn soa(serial: u32) -> SoaTimers {
        SoaTimers { serial, refresh_s: 100, retry_s: 10, expire_s: 1000 }
    }

    struct Driver {
        machine: Machine,
        now: Duration,
    }

    impl Driver {
        fn serving(serial: u32) -> Driver {
            let any = (Duration::ZERO, s(100_000));
            let clamps = Clamps { refresh: any, retry: any, expire: any, jitter_percent: 0 };
            let settings = Settings { clamps, upstreams: 1, nodes: 0, ixfr: true, pull: None, dormant: false };
            let mut driver = Driver { machine: Machine::new(settings), now: Duration::ZERO };
            driver.step(Event::Clock);
            driver.step(Event::Ended(Ended::Updated(soa(serial), None)));
            driver
        }

        fn step(&mut self, event: Event) -> Actions {
            self.machine.handle(event, &Context { now: self.now, random: 0, avoid: &|_| false })
        }
    }

    #[test]
    fn what_is_released_counts_from_the_last_contact_and_asks_for_more() {
        let mut driver = Driver::serving(1);
        driver.now = s(40);
        assert_eq!(driver.step(Event::Release).attempt.unwrap().want, Want::Release);
        assert!(!driver.machine.may_release());
        let next = driver.step(Event::Ended(Ended::Released(soa(2)))).attempt.unwrap();
        assert_eq!(next.want, Want::Differences);
        assert_eq!((driver.machine.expires(), driver.machine.soa()), (Some(s(1000)), Some(soa(2))));
    }

    #[test]
    fn nothing_is_released_while_an_attempt_runs_or_after_expiry() {
        let mut driver = Driver::serving(1);
        driver.now = s(100);
        assert!(driver.step(Event::Clock).attempt.is_some());
        assert_eq!(driver.step(Event::Release), Actions::default());
        driver.step(Event::Ended(Ended::FailedThere));
        driver.now = s(1000);
        driver.step(Event::Clock);
        assert!(driver.machine.is_expired());
        assert_eq!(driver.step(Event::Release), Actions::default());
    }

    #[test]
    fn an_operator_who_comes_meanwhile_is_served_next() {
        let mut driver = Driver::serving(1);
        driver.step(Event::Release);
        assert_eq!(driver.step(Event::Retransfer), Actions::default());
        let next = driver.step(Event::Ended(Ended::Released(soa(2)))).attempt.unwrap();
        assert_eq!((next.want, next.any_serial), (Want::Whole, true));
    }
}
