//! The problems that a zone can have, and the limits from which on something is one; `judge` finds them.

use serde::{Deserialize, Serialize};

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
    /// No origin has confirmed the copy for longer than its configuration lets it be served without misgivings.
    TooOld,
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
    /// What an origin gave did not stand up to verification (ZONEMD, DNSSEC) and was not taken.
    Unverified,
    /// An origin's copy came through this node itself.
    Loop,
    /// It is filled on demand, and no origin answers.
    OriginsDown,
    /// It is a catalog zone whose latest copy is broken, and is not followed.
    CatalogBroken,
    /// It is a catalog zone that lists zones which are somebody else's.
    CatalogClash,
}

impl ProblemKind {
    /// Every kind.
    pub const ALL: [ProblemKind; 16] = [
        ProblemKind::Expired,
        ProblemKind::Stale,
        ProblemKind::Pending,
        ProblemKind::TooOld,
        ProblemKind::NotRefreshed,
        ProblemKind::Behind,
        ProblemKind::Failing,
        ProblemKind::OriginFailing,
        ProblemKind::Expiring,
        ProblemKind::SignatureExpired,
        ProblemKind::SignatureExpiring,
        ProblemKind::Unverified,
        ProblemKind::Loop,
        ProblemKind::OriginsDown,
        ProblemKind::CatalogBroken,
        ProblemKind::CatalogClash,
    ];

    /// Its word: the label of the metric.
    pub fn as_str(self) -> &'static str {
        match self {
            ProblemKind::Expired => "expired",
            ProblemKind::Stale => "stale",
            ProblemKind::Pending => "pending",
            ProblemKind::TooOld => "too_old",
            ProblemKind::NotRefreshed => "not_refreshed",
            ProblemKind::Behind => "behind",
            ProblemKind::Failing => "failing",
            ProblemKind::OriginFailing => "origin_failing",
            ProblemKind::Expiring => "expiring",
            ProblemKind::SignatureExpired => "signature_expired",
            ProblemKind::SignatureExpiring => "signature_expiring",
            ProblemKind::Unverified => "unverified",
            ProblemKind::Loop => "loop",
            ProblemKind::OriginsDown => "origins_down",
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
    pub(super) fn above(self, value: f64) -> Option<Severity> {
        let severity = |severity, limit| (value > limit).then_some(severity);
        severity(Severity::Critical, self.critical).or(severity(Severity::Warning, self.warning))
    }

    /// How bad a value is of which less is worse.
    pub(super) fn below(self, value: f64) -> Option<Severity> {
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
