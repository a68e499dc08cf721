//! What the task tells: its zones' status, and in the log when an origin goes down or comes back.

use super::reach::Health;
use super::status::{OnDemandStatus, OnDemandUpstream};
use super::task::{STATUS_AGE_MAX, Task};

impl Task {
    /// Logs when an upstream goes down, comes back, or is lame.
    pub(super) fn tell_health(&mut self, zone: u64, upstream: usize) {
        let now = self.now();
        let known = self.questions.zone(zone).and_then(|zone| zone.upstreams.get(upstream));
        let (Some(known), Some(settings)) = (known, self.zones.get(&zone)) else { return };
        let health = self.questions.health(known, now);
        let before = self.health.insert((zone, upstream), health);
        let (name, address) = (&settings.name, known.way.0);
        let error = self.errors.get(&(zone, upstream)).map_or("", String::as_str);
        match (before, health) {
            (before, health) if before == Some(health) => {}
            (_, Health::Down) => tracing::warn!(zone = %name, %address, %error, "the origin does not answer questions"),
            (_, Health::Lame) => {
                tracing::warn!(zone = %name, %address, %error, "the origin does not answer for the zone")
            }
            (Some(Health::Down | Health::Lame), Health::Up) => {
                tracing::info!(zone = %name, %address, "the origin answers questions again");
            }
            _ => {}
        }
    }

    pub(super) fn mark_changed(&mut self, zone: u64) {
        if self.changed.is_empty() {
            self.changed_at = self.now();
        }
        self.changed.insert(zone);
    }

    /// Publishes the status of zones that have changed, now and then.
    pub(super) fn publish(&mut self) {
        if self.changed.is_empty() || self.now() < self.changed_at + STATUS_AGE_MAX {
            return;
        }
        for zone in std::mem::take(&mut self.changed) {
            self.publish_zone(zone);
        }
    }

    pub(super) fn publish_zone(&self, id: u64) {
        let now = self.now();
        let (Some(zone), Some(settings)) = (self.questions.zone(id), self.zones.get(&id)) else { return };
        let upstreams = zone.upstreams.iter().zip(settings.upstreams.iter()).enumerate().map(|(place, (known, to))| {
            let counts = known.counts;
            OnDemandUpstream {
                origin: to.origin.config.name.clone(),
                address: known.way.0.to_string(),
                health: self.questions.health(known, now),
                srtt_ms: self
                    .questions
                    .reach(&known.way)
                    .and_then(|reach| reach.srtt())
                    .map(|rtt| rtt.as_secs_f64() * 1000.0),
                asked_total: counts.asked,
                over_tcp_total: counts.over_tcp,
                answered_total: counts.answered,
                failed_total: counts.failed,
                timeouts_total: counts.timeouts,
                doubtful_total: counts.doubtful,
                last_error: self.errors.get(&(id, place)).cloned(),
            }
        });
        let counts = zone.counts;
        let status = OnDemandStatus {
            upstreams: upstreams.collect(),
            misses_total: counts.misses,
            coalesced_total: counts.coalesced,
            over_budget_total: counts.over_budget,
            stale_total: counts.stale,
            failed_total: counts.failed,
            prefetched_total: counts.prefetched,
            denials_learnt_total: self.lessons.get(&id).copied().unwrap_or(0),
            in_flight: zone.in_flight,
            clients_waiting: zone.waiting,
            ..OnDemandStatus::default()
        };
        self.parts.shared.status().insert(id, status);
    }
}
