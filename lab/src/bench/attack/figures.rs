//! The figures of one subject under one attack at one load.

use std::fmt::{self, Display, Formatter};

use parapet_lab::{
    attack::{Arrived, Attack, Sent},
    clients::Figures,
};

use super::super::report::Samples;

/// Of these figures less is better; of the others, more.
pub(super) const LOWER: [&str; 4] = ["median", "p99", "amplification", "origin"];
/// These are there to be read, not to be compared.
pub(super) const BARE: [&str; 3] = ["added_median", "added_p99", "attack_sent"];
/// A generator that sent less than this of what was due is said to have.
const KEPT_LEAST: f64 = 0.98;

/// One load of one attack on one subject.
pub(super) struct Cell {
    /// The real clients before the attack.
    pub(super) calm: Figures,
    /// And while this load lasted.
    pub(super) real: Figures,
    /// What was sent.
    pub(super) sent: Sent,
    /// What arrived at those whom the attack pretended to be.
    pub(super) arrived: Arrived,
    /// Packets a second at the origin.
    pub(super) origin_per_s: f64,
    /// Seconds in which the attack was sent.
    pub(super) lasted_s: f64,
    /// Whether the clients had real-time priority, as they need beside an attack from their core.
    pub(super) real_time: bool,
}

impl Cell {
    /// All of them, as rows.
    pub(super) fn add(&self, samples: &mut Samples, subject: &str, case: &str, attack: Attack) {
        let Cell { calm, real, sent, arrived, .. } = self;
        let mut add = |metric, value, unit| samples.add(subject, case, metric, value, unit);
        add("first_try", 100.0 * real.first_try_share(), "%");
        add("with_retries", 100.0 * real.answered_share(), "%");
        let mut add_ms = |metric, us: Option<f64>| {
            if let Some(us) = us {
                add(metric, us / 1e3, "ms");
            }
        };
        for (metrics, before, now) in [
            (["median", "added_median"], calm.first_try_median_us, real.first_try_median_us),
            (["p99", "added_p99"], calm.first_try_p99_us, real.first_try_p99_us),
        ] {
            let (before, now) = (before.map(f64::from), now.map(f64::from));
            add_ms(metrics[0], now);
            add_ms(metrics[1], now.zip(before).map(|(now, before)| now - before));
        }
        let (total, all) = (sent.total(), arrived.all());
        // What comes back over a connection is nobody else's.
        if attack.tcp_share() < 1.0 {
            add("amplification", all.bytes as f64 / total.bytes.max(1) as f64, "B/B");
        }
        if attack.is_wanted() {
            let whole = all.packets.saturating_sub(arrived.truncated.packets);
            add("crowd_answered", 100.0 * whole as f64 / total.packets.max(1) as f64, "%");
        }
        add("origin", self.origin_per_s, "1/s");
        add("attack_sent", total.packets as f64 / self.lasted_s.max(0.001), "1/s");
        if total.packets == 0 {
            samples.note(format!("{subject}, {case}: nothing of the attack was sent"));
        }
        // What a server does not take by TCP is no fault of the generator.
        if sent.kept() < KEPT_LEAST * (1.0 - attack.tcp_share()) {
            let kept = 100.0 * sent.kept();
            samples.note(format!("{subject}, {case}: only {kept:.1} % of the attack was sent in time"));
        }
        if !self.real_time {
            samples.note(format!("{subject}, {case}: the real clients had no real-time priority"));
        }
        if real.asked == 0 {
            samples.note(format!("{subject}, {case}: the real clients asked nothing"));
        }
    }
}

impl Display for Cell {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Cell { calm, real, sent, arrived, .. } = self;
        let ms = |us: Option<u32>| us.map_or("–".to_owned(), |us| format!("{:.2}", f64::from(us) / 1e3));
        write!(
            f,
            "{:.2} % at first, {:.2} % with retries, {} ms (p99 {}, before {}), {:.0} sent/s, {:.2} B/B back",
            100.0 * real.first_try_share(),
            100.0 * real.answered_share(),
            ms(real.first_try_median_us),
            ms(real.first_try_p99_us),
            ms(calm.first_try_median_us),
            sent.total().packets as f64 / self.lasted_s.max(0.001),
            arrived.all().bytes as f64 / sent.total().bytes.max(1) as f64,
        )
    }
}
