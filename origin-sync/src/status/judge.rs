//! What counts as a problem of a zone, in one place: the tables, the check command, the metrics, the node's health and the
//! alerts all go by [`problems`].

use super::problems::{Levels, Problem, ProblemKind, ProblemLimits, Severity};
use super::{AttemptResult, OriginStatus, ZoneCondition, ZoneMode, ZoneStatus, duration_words};
use crate::on_demand::{Health, OnDemandStatus, OnDemandUpstream};

/// A zone's signatures are reported so long before the first of them dies, unless its configuration says otherwise.
const SIGNATURE_MARGIN_S: f64 = 86_400.0;
/// A copy that was confirmed within this many refresh times is as young as it should be.
const REFRESHES_IN_TIME: f64 = 1.25;
/// A copy whose time to expire is less than this part of what its age would leave was cut short by its origin.
const EXPIRY_PART_OWN: f64 = 0.95;

/// What is wrong with a zone, worst first.
pub fn problems(zone: &ZoneStatus, limits: &ProblemLimits) -> Vec<Problem> {
    let mut found = Found(Vec::new());
    judge_copy(zone, limits, &mut found);
    match (zone.state, &zone.on_demand) {
        // Its origins need not allow transfers.
        (ZoneCondition::OnDemand, Some(questions)) => judge_questions(questions, &mut found),
        (ZoneCondition::OnDemand, None) => {}
        _ => judge_attempts(zone, limits, &mut found),
    }
    judge_signatures(zone, limits, &mut found);
    judge_catalog(zone, &mut found);
    found.0.sort_by(|a, b| b.severity.cmp(&a.severity).then(a.kind.cmp(&b.kind)));
    found.0
}

/// The problems found so far.
struct Found(Vec<Problem>);

impl Found {
    /// Adds a problem, if it is one; what to say is made up only then.
    fn add(&mut self, kind: ProblemKind, severity: Option<Severity>, why: impl FnOnce() -> String) {
        if let Some(severity) = severity {
            self.0.push(Problem { kind, severity, why: why() });
        }
    }
}

/// Is there a copy, and how long has nobody confirmed it?
fn judge_copy(zone: &ZoneStatus, limits: &ProblemLimits, found: &mut Found) {
    let age = || zone.age_s.map_or("ever".to_owned(), duration_words);
    match zone.state {
        ZoneCondition::Expired => found.add(ProblemKind::Expired, Some(Severity::Critical), || {
            format!("expired: not refreshed for {}, clients get SERVFAIL", age())
        }),
        ZoneCondition::Stale => found.add(ProblemKind::Stale, Some(Severity::Critical), || {
            format!("expired and served nevertheless: not refreshed for {}", age())
        }),
        ZoneCondition::Pending if zone.mode != ZoneMode::OnDemand => {
            let what = if zone.as_catalog.is_some() { "it has no members" } else { "clients get SERVFAIL" };
            found.add(ProblemKind::Pending, limits.pending_s.above(zone.state_age_s), || {
                format!("no copy has arrived for {}, {what}", duration_words(zone.state_age_s))
            });
        }
        ZoneCondition::Pending | ZoneCondition::OnDemand => {}
        ZoneCondition::Serving => {
            found.add(ProblemKind::NotRefreshed, unrefreshed(zone, limits), || {
                let refresh = zone.refresh_s.map_or(0.0, |refresh| refresh as f64);
                format!("not refreshed for {}, expected every {}", age(), duration_words(refresh))
            });
            found.add(ProblemKind::Expiring, expiring(zone, limits), || {
                format!("expires in {}", duration_words(zone.expires_in_s.unwrap_or(0.0)))
            });
        }
    }
    let too_old = zone.age_s.zip(zone.fresh_s_max).filter(|(age_s, max_s)| *age_s > *max_s as f64);
    let too_old = too_old.filter(|_| matches!(zone.state, ZoneCondition::Serving | ZoneCondition::Stale));
    found.add(ProblemKind::TooOld, too_old.map(|_| Severity::Critical), || {
        let max = duration_words(zone.fresh_s_max.unwrap_or(0) as f64);
        format!("not refreshed for {}, which fresh_s_max has at most {max}", age())
    });
    let unverified = zone.check_error.as_ref();
    found.add(ProblemKind::Unverified, unverified.map(|_| Severity::Critical), || {
        let error = unverified.map_or("", String::as_str);
        format!("the copy that is served would not be taken today: {error}")
    });
}

/// What came of asking the origins?
fn judge_attempts(zone: &ZoneStatus, limits: &ProblemLimits, found: &mut Found) {
    // A copy may wait for its predecessor's time and then for its own.
    let lag_s = zone.lag_s - 2.0 * zone.delay_s as f64;
    found.add(ProblemKind::Behind, limits.lag_s.above(lag_s).filter(|_| zone.serials_behind > 0), || {
        let (lag, serials) = (duration_words(zone.lag_s), zone.serials_behind);
        format!("{serials} serial{} behind for {lag}", if serials == 1 { "" } else { "s" })
    });
    found.add(ProblemKind::Failing, failing(zone, limits), || {
        let failing = zone.failing_s.map_or(String::new(), |seconds| format!(" in {}", duration_words(seconds)));
        let error = zone.last_error.as_deref().unwrap_or("no reason was given");
        let rounds = zone.failures;
        format!("{rounds} failed round{}{failing}, last: {error}", if rounds == 1 { "" } else { "s" })
    });
    for origin in &zone.origins {
        let error = || origin.last_error.as_deref().unwrap_or("no reason was given");
        let at = || format!("{} {}", origin.origin, origin.address);
        let kind = origin.last_error_kind.as_deref();
        let unverified = matches!(kind, Some("dnssec" | "zonemd")).then_some(Severity::Critical);
        found.add(ProblemKind::Unverified, unverified, || {
            format!("what {} gives is not taken, the last good copy stays: {}", at(), error())
        });
        found.add(ProblemKind::Loop, (kind == Some("loop")).then_some(Severity::Warning), || {
            format!("{}: {}", at(), error())
        });
        let failing = fails(origin, limits) && zone.failures == 0 && unverified.is_none() && kind != Some("loop");
        found.add(ProblemKind::OriginFailing, failing.then_some(Severity::Warning), || {
            format!("{} attempts at {} failed, last: {}", origin.failures, at(), error())
        });
    }
}

fn fails(origin: &OriginStatus, limits: &ProblemLimits) -> bool {
    origin.last_result == Some(AttemptResult::Failed) && origin.failures >= limits.failures
}

/// Do the origins of a zone that is filled on demand answer?
fn judge_questions(questions: &OnDemandStatus, found: &mut Found) {
    let silent: Vec<_> =
        questions.upstreams.iter().filter(|up| matches!(up.health, Health::Down | Health::Lame)).collect();
    let (kind, severity) = match silent.len() {
        0 => return,
        all if all == questions.upstreams.len() => (ProblemKind::OriginsDown, Severity::Critical),
        _ => (ProblemKind::OriginFailing, Severity::Warning),
    };
    let said = |up: &&OnDemandUpstream| {
        let what = if up.health == Health::Lame { "does not answer for the zone" } else { "does not answer" };
        format!(
            "{} {} {what}, last: {}",
            up.origin,
            up.address,
            up.last_error.as_deref().unwrap_or("no reason was given")
        )
    };
    let said: Vec<_> = silent.iter().map(said).collect();
    let all = if kind == ProblemKind::OriginsDown { "clients get old answers or SERVFAIL: " } else { "" };
    found.add(kind, Some(severity), || format!("{all}{}", said.join("; ")));
}

/// Do validating resolvers take the answers?
fn judge_signatures(zone: &ZoneStatus, limits: &ProblemLimits, found: &mut Found) {
    let Some(left) = zone.first_signature_expires_in_s else { return };
    let left_words = duration_words(left.abs());
    if left <= 0.0 {
        found.add(ProblemKind::SignatureExpired, Some(Severity::Critical), || {
            format!("a signature died {left_words} ago, validating resolvers answer SERVFAIL")
        });
    } else {
        found.add(ProblemKind::SignatureExpiring, signature(zone, limits).below(left), || {
            format!("the first signature dies in {left_words}")
        });
    }
}

/// Is a catalog zone followed?
fn judge_catalog(zone: &ZoneStatus, found: &mut Found) {
    let Some(catalog) = &zone.as_catalog else { return };
    found.add(ProblemKind::CatalogBroken, catalog.last_error.as_ref().map(|_| Severity::Warning), || {
        let error = catalog.last_error.as_deref().unwrap_or_default();
        format!("a broken catalog, its members stay what they were: {error}")
    });
    found.add(ProblemKind::CatalogClash, catalog.clashes_told.as_ref().map(|_| Severity::Warning), || {
        catalog.clashes_told.clone().unwrap_or_default()
    });
}

fn unrefreshed(zone: &ZoneStatus, limits: &ProblemLimits) -> Option<Severity> {
    let (age, refresh) = (zone.age_s?, zone.refresh_s? as f64);
    let levels = limits.age_s.unwrap_or(Levels {
        warning: (limits.refreshes.warning * refresh).max(limits.age_s_min.warning),
        critical: (limits.refreshes.critical * refresh).max(limits.age_s_min.critical),
    });
    levels.above(age)
}

/// A copy that is fresh may have little time left by its SOA record; one that nobody refreshes may not.
fn expiring(zone: &ZoneStatus, limits: &ProblemLimits) -> Option<Severity> {
    let (left, whole) = (zone.expires_in_s?, zone.expire_s? as f64);
    let (age, refresh) = (zone.age_s.unwrap_or(0.0), zone.refresh_s.unwrap_or(0) as f64);
    let overdue = zone.failures > 0 || age > REFRESHES_IN_TIME * refresh;
    let cut_short = left < EXPIRY_PART_OWN * (whole - age);
    if whole <= 0.0 || !(overdue || cut_short) {
        return None;
    }
    limits.expires_percent.below(left / whole * 100.0)
}

fn failing(zone: &ZoneStatus, limits: &ProblemLimits) -> Option<Severity> {
    if zone.failures == 0 {
        return None;
    }
    let warning = (zone.failures >= limits.failures).then_some(Severity::Warning);
    let critical = zone.failing_s.is_some_and(|seconds| seconds > limits.failing_s).then_some(Severity::Critical);
    critical.or(warning)
}

fn signature(zone: &ZoneStatus, limits: &ProblemLimits) -> Levels {
    let margin = zone.signature_margin_s.map_or(SIGNATURE_MARGIN_S, |margin| margin as f64);
    limits.signature_s.unwrap_or(Levels::new(margin, margin / 4.0))
}
