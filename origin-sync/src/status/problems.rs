//! What counts as a problem of a zone, in one place: the tables, the check command, the metrics, the node's health and the
//! alerts all go by [`problems`].

use serde::{Deserialize, Serialize};

use crate::on_demand::{Health, OnDemandUpstream};

use super::{AttemptResult, ZoneCondition, ZoneMode, ZoneStatus, duration_words};

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Somebody should look at it in working hours.
    Warning,
    /// Clients get old answers or none, or soon will.
    Critical,
}

impl Severity {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

/// What is wrong with a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// Its copy has expired and clients get SERVFAIL.
    Expired,
    /// Its copy has expired and is served nevertheless.
    Stale,
    /// No copy has arrived for too long.
    Pending,
    /// No origin has confirmed the copy for too long.
    NotRefreshed,
    /// An origin told a newer serial, and we don't have it.
    Behind,
    /// Attempts fail, round after round.
    Failing,
    /// One address of an origin fails again and again while another works.
    OriginFailing,
    /// The copy expires soon.
    Expiring,
    /// A signature in the copy has died.
    SignatureExpired,
    /// A signature in the copy dies soon.
    SignatureExpiring,
    /// It is a catalog zone whose latest copy is broken, and is not followed.
    CatalogBroken,
    /// It is a catalog zone that lists zones which are somebody else's.
    CatalogClash,
}

impl ProblemKind {
    /// Every kind.
    pub const ALL: [ProblemKind; 12] = [
        ProblemKind::Expired,
        ProblemKind::Stale,
        ProblemKind::Pending,
        ProblemKind::NotRefreshed,
        ProblemKind::Behind,
        ProblemKind::Failing,
        ProblemKind::OriginFailing,
        ProblemKind::Expiring,
        ProblemKind::SignatureExpired,
        ProblemKind::SignatureExpiring,
        ProblemKind::CatalogBroken,
        ProblemKind::CatalogClash,
    ];

    /// Its word: the label of the metric.
    pub fn as_str(self) -> &'static str {
        match self {
            ProblemKind::Expired => "expired",
            ProblemKind::Stale => "stale",
            ProblemKind::Pending => "pending",
            ProblemKind::NotRefreshed => "not_refreshed",
            ProblemKind::Behind => "behind",
            ProblemKind::Failing => "failing",
            ProblemKind::OriginFailing => "origin_failing",
            ProblemKind::Expiring => "expiring",
            ProblemKind::SignatureExpired => "signature_expired",
            ProblemKind::SignatureExpiring => "signature_expiring",
            ProblemKind::CatalogBroken => "catalog_broken",
            ProblemKind::CatalogClash => "catalog_clash",
        }
    }
}

/// A problem of a zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Which.
    pub kind: ProblemKind,
    /// How bad.
    pub severity: Severity,
    /// In words, with figures.
    pub why: String,
}

/// From where on something is a warning, and from where on it is critical.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Levels {
    /// A warning beyond this.
    pub warning: f64,
    /// Critical beyond this.
    pub critical: f64,
}

impl Levels {
    /// Both levels.
    pub const fn new(warning: f64, critical: f64) -> Levels {
        Levels { warning, critical }
    }

    /// How bad a value is of which more is worse.
    fn above(self, value: f64) -> Option<Severity> {
        let severity = |severity, limit| (value > limit).then_some(severity);
        severity(Severity::Critical, self.critical).or(severity(Severity::Warning, self.warning))
    }

    /// How bad a value is of which less is worse.
    fn below(self, value: f64) -> Option<Severity> {
        Levels::new(-self.warning, -self.critical).above(-value)
    }
}

/// Where problems begin. The default is what the daemon itself goes by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProblemLimits {
    /// Seconds without a first copy.
    pub pending_s: Levels,
    /// Seconds without a confirmation; none: `refreshes` refresh times, and at least `age_s_min`.
    pub age_s: Option<Levels>,
    /// Refresh times without a confirmation.
    pub refreshes: Levels,
    /// Seconds without a confirmation below which nothing is said, however often the zone should be refreshed.
    pub age_s_min: Levels,
    /// Seconds since an origin told a newer serial.
    pub lag_s: Levels,
    /// Failed rounds in a row that are a warning.
    pub failures: u32,
    /// Seconds of failed rounds that are critical.
    pub failing_s: f64,
    /// What is left of the time to expire, as a part of the whole.
    pub expires_percent: Levels,
    /// Seconds until the first signature dies; none: the zone's own margin, and a quarter of it.
    pub signature_s: Option<Levels>,
}

impl Default for ProblemLimits {
    fn default() -> ProblemLimits {
        ProblemLimits {
            pending_s: Levels::new(60.0, 300.0),
            age_s: None,
            refreshes: Levels::new(2.0, 4.0),
            age_s_min: Levels::new(300.0, 1800.0),
            lag_s: Levels::new(60.0, 600.0),
            failures: 3,
            failing_s: 1800.0,
            expires_percent: Levels::new(25.0, 10.0),
            signature_s: None,
        }
    }
}

/// A zone's signatures are reported so long before the first of them dies, unless its configuration says otherwise.
const SIGNATURE_MARGIN_S: f64 = 86_400.0;
/// A copy that was confirmed within this many refresh times is as young as it should be.
const REFRESHES_IN_TIME: f64 = 1.25;
/// A copy whose time to expire is less than this part of what its age would leave was cut short by its origin.
const EXPIRY_PART_OWN: f64 = 0.95;

/// What is wrong with the origins of a zone that is filled on demand, by the questions that they were asked.
fn unanswered(zone: &ZoneStatus) -> Vec<(ProblemKind, Severity, String)> {
    let on_demand = zone.on_demand.as_ref().filter(|_| zone.state == ZoneCondition::OnDemand);
    let upstreams = on_demand.map_or(&[][..], |on_demand| &on_demand.upstreams);
    let out = upstreams.iter().filter(|upstream| matches!(upstream.health, Health::Down | Health::Lame));
    let in_words = |upstream: &OnDemandUpstream| {
        let what = if upstream.health == Health::Lame { "does not answer for the zone" } else { "does not answer" };
        let error = upstream.last_error.as_deref().unwrap_or("no reason was given");
        format!("{} {} {what}, last: {error}", upstream.origin, upstream.address)
    };
    let out: Vec<String> = out.map(in_words).collect();
    match out.first() {
        Some(first) if out.len() == upstreams.len() => {
            let why = format!("no origin answers questions, clients get old answers or SERVFAIL: {first}");
            vec![(ProblemKind::Failing, Severity::Critical, why)]
        }
        _ => out.into_iter().map(|why| (ProblemKind::OriginFailing, Severity::Warning, why)).collect(),
    }
}

/// What is wrong with a zone, worst first.
pub fn problems(zone: &ZoneStatus, limits: &ProblemLimits) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut add = |kind, severity: Option<Severity>, why: &dyn Fn() -> String| {
        if let Some(severity) = severity {
            found.push(Problem { kind, severity, why: why() });
        }
    };
    let age = || zone.age_s.map_or("ever".to_owned(), duration_words);
    match zone.state {
        ZoneCondition::Expired => add(ProblemKind::Expired, Some(Severity::Critical), &|| {
            format!("expired: not refreshed for {}, clients get SERVFAIL", age())
        }),
        ZoneCondition::Stale => add(ProblemKind::Stale, Some(Severity::Critical), &|| {
            format!("expired and served nevertheless: not refreshed for {}", age())
        }),
        ZoneCondition::Pending if zone.mode != ZoneMode::OnDemand => {
            add(ProblemKind::Pending, limits.pending_s.above(zone.state_age_s), &|| {
                format!("no copy has arrived for {}, clients get SERVFAIL", duration_words(zone.state_age_s))
            })
        }
        _ => {
            add(ProblemKind::NotRefreshed, unrefreshed(zone, limits), &|| {
                let refresh = zone.refresh_s.map_or(0.0, |refresh| refresh as f64);
                format!("not refreshed for {}, expected every {}", age(), duration_words(refresh))
            });
            add(ProblemKind::Expiring, expiring(zone, limits), &|| {
                format!("expires in {}", duration_words(zone.expires_in_s.unwrap_or(0.0)))
            });
        }
    }
    add(ProblemKind::Behind, limits.lag_s.above(zone.lag_s).filter(|_| zone.serials_behind > 0), &|| {
        let (lag, serials) = (duration_words(zone.lag_s), zone.serials_behind);
        format!("{serials} serial{} behind for {lag}", if serials == 1 { "" } else { "s" })
    });
    add(ProblemKind::Failing, failing(zone, limits), &|| {
        let failing = zone.failing_s.map_or(String::new(), |seconds| format!(" in {}", duration_words(seconds)));
        let error = zone.last_error.as_deref().unwrap_or("no reason was given");
        let rounds = zone.failures;
        format!("{rounds} failed round{}{failing}, last: {error}", if rounds == 1 { "" } else { "s" })
    });
    for origin in &zone.origins {
        let fails = origin.last_result == Some(AttemptResult::Failed) && origin.failures >= limits.failures;
        let severity = (fails && zone.failures == 0).then_some(Severity::Warning);
        add(ProblemKind::OriginFailing, severity, &|| {
            let error = origin.last_error.as_deref().unwrap_or("no reason was given");
            format!("{} attempts at {} {} failed, last: {error}", origin.failures, origin.origin, origin.address)
        });
    }
    for (kind, severity, why) in unanswered(zone) {
        add(kind, Some(severity), &|| why.clone());
    }
    if let Some(left) = zone.first_signature_expires_in_s {
        let left_words = duration_words(left.abs());
        if left <= 0.0 {
            add(ProblemKind::SignatureExpired, Some(Severity::Critical), &|| {
                format!("a signature died {left_words} ago, validating resolvers answer SERVFAIL")
            });
        } else {
            add(ProblemKind::SignatureExpiring, signature(zone, limits).below(left), &|| {
                format!("the first signature dies in {left_words}")
            });
        }
    }
    if let Some(catalog) = &zone.as_catalog {
        add(ProblemKind::CatalogBroken, catalog.last_error.as_ref().map(|_| Severity::Warning), &|| {
            let error = catalog.last_error.as_deref().unwrap_or_default();
            format!("a broken catalog, its members stay what they were: {error}")
        });
        add(ProblemKind::CatalogClash, catalog.clashes_told.as_ref().map(|_| Severity::Warning), &|| {
            catalog.clashes_told.clone().unwrap_or_default()
        });
    }
    found.sort_by(|a, b| b.severity.cmp(&a.severity).then(a.kind.cmp(&b.kind)));
    found
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
