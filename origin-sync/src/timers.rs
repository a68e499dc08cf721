//! When a zone is asked for next: SOA timers with clamps and jitter, and back-off after failures.

use std::time::Duration;

/// The first wait after a failed attempt; it doubles with each further failure up to the zone's retry time.
pub(crate) const FIRST_RETRY: Duration = Duration::from_millis(500);
/// The longest wait while there is nothing to serve, whatever the last known SOA says.
pub(crate) const RETRY_WITHOUT_DATA_MAX: Duration = Duration::from_secs(60);
/// NOTIFYs that found nothing new before further ones have to wait.
pub(crate) const FUTILE_NOTIFIES_FREE: u32 = 4;
/// The first wait after too many of them; it doubles.
pub(crate) const FUTILE_NOTIFY_WAIT: Duration = Duration::from_millis(100);
/// The longest such wait.
pub(crate) const FUTILE_NOTIFY_WAIT_MAX: Duration = Duration::from_secs(10);

/// The timers of a zone's SOA record (RFC 1035 §3.3.13), as the zone has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SoaTimers {
    /// The zone's serial.
    pub serial: u32,
    /// Time between two SOA queries.
    pub refresh_s: u32,
    /// Time after a failed attempt.
    pub retry_s: u32,
    /// Time until a copy without contact expires.
    pub expire_s: u32,
}

impl SoaTimers {
    /// Those of a zone.
    pub(crate) fn of(zone: &zones::Zone) -> SoaTimers {
        let soa = zone.soa();
        SoaTimers { serial: soa.serial, refresh_s: soa.refresh_s, retry_s: soa.retry_s, expire_s: soa.expire_s }
    }
}

/// Clamps on the timers, and their jitter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Clamps {
    /// Bounds of the refresh time.
    pub refresh: (Duration, Duration),
    /// Bounds of the retry time.
    pub retry: (Duration, Duration),
    /// Bounds of the expiry time.
    pub expire: (Duration, Duration),
    /// Refresh, pull and retry come up to this much earlier.
    pub jitter_percent: u8,
}

impl Clamps {
    /// The wait until the next SOA query; `random` spreads zones that were loaded together.
    pub(crate) fn refresh(&self, soa: &SoaTimers, random: u64) -> Duration {
        self.earlier(clamp(soa.refresh_s, self.refresh), random)
    }

    /// The wait after the `failures`-th failure in a row (from 1), for a zone that serves data.
    pub(crate) fn retry(&self, soa: &SoaTimers, failures: u32, random: u64) -> Duration {
        self.earlier(doubled(FIRST_RETRY, failures.saturating_sub(1), clamp(soa.retry_s, self.retry)), random)
    }

    /// The wait between two checks of a zone that is pulled every `interval`.
    pub(crate) fn pull(&self, interval: Duration, random: u64) -> Duration {
        self.earlier(interval, random)
    }

    /// The wait after the `failures`-th failure in a row (from 1) of a zone that is pulled: its interval is the most.
    pub(crate) fn retry_pull(&self, interval: Duration, failures: u32, random: u64) -> Duration {
        self.earlier(doubled(FIRST_RETRY.min(interval), failures.saturating_sub(1), interval), random)
    }

    /// The same for a zone that has nothing to serve.
    pub(crate) fn retry_without_data(&self, failures: u32, random: u64) -> Duration {
        let max = RETRY_WITHOUT_DATA_MAX.clamp(self.retry.0.min(self.retry.1), self.retry.1);
        self.earlier(doubled(FIRST_RETRY, failures.saturating_sub(1), max), random)
    }

    /// How long a copy is good for after its last contact with an origin.
    pub(crate) fn expire(&self, soa: &SoaTimers) -> Duration {
        clamp(soa.expire_s, self.expire)
    }

    /// Refresh, retry and expire in seconds, clamped.
    pub(crate) fn clamped_s(&self, soa: &SoaTimers) -> [u64; 3] {
        [clamp(soa.refresh_s, self.refresh), clamp(soa.retry_s, self.retry), self.expire(soa)]
            .map(|time| time.as_secs())
    }

    fn earlier(&self, wait: Duration, random: u64) -> Duration {
        let percent = u64::from(self.jitter_percent.min(100));
        let span = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX) / 100 * percent;
        wait - Duration::from_millis(if span == 0 { 0 } else { random % (span + 1) }).min(wait)
    }
}

/// The wait before the next check that a NOTIFY asks for, after `futile` of them in a row found nothing new. It keeps
/// forged NOTIFYs from turning an edge against its own origin.
pub(crate) fn futile_notify_wait(futile: u32) -> Duration {
    match futile.checked_sub(FUTILE_NOTIFIES_FREE) {
        None => Duration::ZERO,
        Some(beyond) => doubled(FUTILE_NOTIFY_WAIT, beyond, FUTILE_NOTIFY_WAIT_MAX),
    }
}

fn doubled(first: Duration, times: u32, max: Duration) -> Duration {
    2u32.checked_pow(times).and_then(|factor| first.checked_mul(factor)).map_or(max, |wait| wait.min(max))
}

fn clamp(seconds: u32, (min, max): (Duration, Duration)) -> Duration {
    Duration::from_secs(u64::from(seconds)).max(min).min(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOA: SoaTimers = SoaTimers { serial: 1, refresh_s: 3600, retry_s: 10, expire_s: 86_400 };

    fn clamps(jitter_percent: u8) -> Clamps {
        let s = Duration::from_secs;
        Clamps { refresh: (s(60), s(1800)), retry: (s(1), s(600)), expire: (s(1000), s(50_000)), jitter_percent }
    }

    #[test]
    fn timers_are_clamped() {
        assert_eq!(clamps(0).refresh(&SOA, 9), Duration::from_secs(1800));
        assert_eq!(clamps(0).refresh(&SoaTimers { refresh_s: 1, ..SOA }, 9), Duration::from_secs(60));
        assert_eq!(clamps(0).expire(&SOA), Duration::from_secs(50_000));
        assert_eq!(clamps(0).expire(&SoaTimers { expire_s: 0, ..SOA }), Duration::from_secs(1000));
    }

    #[test]
    fn jitter_only_brings_forward() {
        for random in [0, 1, 17, u64::MAX, u64::MAX / 3] {
            let wait = clamps(10).refresh(&SOA, random);
            assert!(wait <= Duration::from_secs(1800) && wait >= Duration::from_secs(1620), "{wait:?}");
        }
    }

    #[test]
    fn back_off_doubles_up_to_the_retry_time() {
        let waits: Vec<u128> = (1..8).map(|failures| clamps(0).retry(&SOA, failures, 0).as_millis()).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
        assert_eq!(clamps(0).retry(&SOA, u32::MAX, 0), Duration::from_secs(10));
        assert_eq!(clamps(0).retry_without_data(40, 0), Duration::from_secs(60));
    }

    #[test]
    fn futile_notifies_are_slowed_down() {
        let waits: Vec<u128> = (0..13).map(|futile| futile_notify_wait(futile).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
    }
}
