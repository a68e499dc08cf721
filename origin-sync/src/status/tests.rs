//! What counts as a problem, at the edges of each rule.

use super::*;
use crate::catalog::CatalogStatus;
use crate::on_demand::{Health, OnDemandStatus, OnDemandUpstream};

/// A zone that is well: refreshed every hour, good for a week.
fn good() -> ZoneStatus {
    ZoneStatus {
        zone: "example.com.".into(),
        state: ZoneCondition::Serving,
        serial: Some(7),
        age_s: Some(10.0),
        refresh_s: Some(3600),
        retry_s: Some(600),
        expire_s: Some(604_800),
        expires_in_s: Some(604_790.0),
        next_attempt_in_s: Some(3590.0),
        ..ZoneStatus::default()
    }
}

fn check(zone: &ZoneStatus, want: &[(ProblemKind, Severity)]) {
    let found: Vec<_> =
        problems(zone, &ProblemLimits::default()).iter().map(|problem| (problem.kind, problem.severity)).collect();
    assert_eq!(found, want, "{zone:#?}");
}

const WARNING: Severity = Severity::Warning;
const CRITICAL: Severity = Severity::Critical;

#[test]
fn a_good_zone_has_none() {
    check(&good(), &[]);
}

#[test]
fn a_zone_without_a_copy() {
    let pending = |state_age_s| ZoneStatus { state_age_s, ..ZoneStatus::default() };
    check(&pending(60.0), &[]);
    check(&pending(61.0), &[(ProblemKind::Pending, WARNING)]);
    check(&pending(301.0), &[(ProblemKind::Pending, CRITICAL)]);
    check(&ZoneStatus { mode: ZoneMode::OnDemand, ..pending(301.0) }, &[]);
}

#[test]
fn a_copy_that_nobody_confirms() {
    let aged = |age_s: f64| ZoneStatus { age_s: Some(age_s), expires_in_s: Some(604_800.0 - age_s), ..good() };
    check(&aged(7200.0), &[]);
    check(&aged(7201.0), &[(ProblemKind::NotRefreshed, WARNING)]);
    check(&aged(14_401.0), &[(ProblemKind::NotRefreshed, CRITICAL)]);
    // However often it should be refreshed: at least five minutes.
    check(&ZoneStatus { refresh_s: Some(1), ..aged(299.0) }, &[]);
    check(&ZoneStatus { refresh_s: Some(1), ..aged(301.0) }, &[(ProblemKind::NotRefreshed, WARNING)]);
    let limits = ProblemLimits { age_s: Some(Levels::new(5.0, 9.0)), ..ProblemLimits::default() };
    assert_eq!(problems(&aged(6.0), &limits)[0].severity, WARNING);
    assert_eq!(problems(&aged(6.0), &limits)[0].why, "not refreshed for 6.0s, expected every 1h00m");
}

#[test]
fn a_copy_behind_its_origin() {
    let behind = |lag_s| ZoneStatus { lag_s, serials_behind: 3, ..good() };
    check(&behind(60.0), &[]);
    check(&behind(61.0), &[(ProblemKind::Behind, WARNING)]);
    check(&behind(601.0), &[(ProblemKind::Behind, CRITICAL)]);
    assert_eq!(problems(&behind(61.0), &ProblemLimits::default())[0].why, "3 serials behind for 1m01s");
}

#[test]
fn rounds_that_fail() {
    let failing = |failures, failing_s| ZoneStatus {
        failures,
        failing_s: Some(failing_s),
        last_error: Some("no answer".into()),
        ..good()
    };
    check(&failing(2, 4.0), &[]);
    check(&failing(3, 4.0), &[(ProblemKind::Failing, WARNING)]);
    check(&failing(2, 1801.0), &[(ProblemKind::Failing, CRITICAL)]);
    let why = &problems(&failing(3, 4.0), &ProblemLimits::default())[0].why;
    assert_eq!(why, "3 failed rounds in 4.0s, last: no answer");
}

#[test]
fn one_of_two_origins_that_fails() {
    let origin = |failures| OriginStatus {
        origin: "b".into(),
        address: "192.0.2.53:53".into(),
        failures,
        last_result: Some(AttemptResult::Failed),
        last_error: Some("no answer".into()),
        ..OriginStatus::default()
    };
    check(&ZoneStatus { origins: vec![origin(2)], ..good() }, &[]);
    check(&ZoneStatus { origins: vec![origin(3)], ..good() }, &[(ProblemKind::OriginFailing, WARNING)]);
    // When all fail, that is said once.
    let all = ZoneStatus { origins: vec![origin(3)], failures: 3, ..good() };
    check(&all, &[(ProblemKind::Failing, WARNING)]);
}

#[test]
fn a_copy_about_to_expire() {
    let left = |expires_in_s: f64| ZoneStatus {
        failures: 1,
        age_s: Some(604_800.0 - expires_in_s),
        expires_in_s: Some(expires_in_s),
        refresh_s: Some(400_000),
        ..good()
    };
    check(&left(151_201.0), &[]);
    check(&left(151_199.0), &[(ProblemKind::Expiring, WARNING)]);
    check(&left(60_479.0), &[(ProblemKind::Expiring, CRITICAL)]);
    // A refresh time close to the time to expire is no problem by itself ...
    check(&ZoneStatus { failures: 0, refresh_s: Some(550_000), ..left(60_479.0) }, &[]);
    // ... but a fresh copy of one that was about to expire is.
    let cut_short = ZoneStatus { failures: 0, age_s: Some(1.0), ..left(60_479.0) };
    check(&cut_short, &[(ProblemKind::Expiring, CRITICAL)]);
}

#[test]
fn a_copy_that_has_expired() {
    let expired = ZoneStatus { age_s: Some(700_000.0), expires_in_s: None, failures: 9, ..good() };
    let all = |kind| [(kind, CRITICAL), (ProblemKind::Failing, WARNING)];
    check(&ZoneStatus { state: ZoneCondition::Expired, ..expired.clone() }, &all(ProblemKind::Expired));
    check(&ZoneStatus { state: ZoneCondition::Stale, ..expired }, &all(ProblemKind::Stale));
}

#[test]
fn signatures_that_die() {
    let dies = |left| ZoneStatus { first_signature_expires_in_s: Some(left), ..good() };
    check(&dies(86_401.0), &[]);
    check(&dies(86_399.0), &[(ProblemKind::SignatureExpiring, WARNING)]);
    check(&dies(21_599.0), &[(ProblemKind::SignatureExpiring, CRITICAL)]);
    check(&dies(-5.0), &[(ProblemKind::SignatureExpired, CRITICAL)]);
    check(&ZoneStatus { signature_margin_s: Some(3600), ..dies(3601.0) }, &[]);
}

#[test]
fn a_broken_catalog_and_a_clash_are_problems_of_the_catalog() {
    let catalog = |error: Option<&str>, clashes: Option<&str>| ZoneStatus {
        as_catalog: Some(CatalogStatus {
            last_error: error.map(str::to_owned),
            clashes_told: clashes.map(str::to_owned),
            ..CatalogStatus::default()
        }),
        ..good()
    };
    check(&catalog(None, None), &[]);
    check(&catalog(Some("no version"), None), &[(ProblemKind::CatalogBroken, WARNING)]);
    check(&catalog(None, Some("1 zones are listed here")), &[(ProblemKind::CatalogClash, WARNING)]);
}

#[test]
fn what_does_not_stand_up_to_verification() {
    let said = |kind: &str| OriginStatus {
        origin: "b".into(),
        address: "192.0.2.53:53".into(),
        failures: 9,
        last_result: Some(AttemptResult::Failed),
        last_error: Some("it is wrong".into()),
        last_error_kind: Some(kind.into()),
        ..OriginStatus::default()
    };
    for kind in ["dnssec", "zonemd"] {
        check(&ZoneStatus { origins: vec![said(kind)], ..good() }, &[(ProblemKind::Unverified, CRITICAL)]);
    }
    let kept = ZoneStatus { check_error: Some("it is wrong".into()), ..good() };
    check(&kept, &[(ProblemKind::Unverified, CRITICAL)]);
    check(&ZoneStatus { origins: vec![said("loop")], ..good() }, &[(ProblemKind::Loop, WARNING)]);
    check(&ZoneStatus { origins: vec![said("refused")], ..good() }, &[(ProblemKind::OriginFailing, WARNING)]);
}

#[test]
fn a_zone_on_demand_needs_origins_that_answer_and_no_transfers() {
    let upstream = |health| OnDemandUpstream { health, ..OnDemandUpstream::default() };
    let zone = |healths: &[Health]| ZoneStatus {
        mode: ZoneMode::OnDemand,
        state: ZoneCondition::OnDemand,
        failures: 9,
        on_demand: Some(OnDemandStatus {
            upstreams: healths.iter().map(|&health| upstream(health)).collect(),
            ..OnDemandStatus::default()
        }),
        ..ZoneStatus::default()
    };
    check(&zone(&[]), &[]);
    check(&zone(&[Health::Untried, Health::Up, Health::Suspect]), &[]);
    check(&zone(&[Health::Up, Health::Down]), &[(ProblemKind::OriginFailing, WARNING)]);
    check(&zone(&[Health::Up, Health::Down, Health::Lame]), &[(ProblemKind::OriginFailing, WARNING)]);
    check(&zone(&[Health::Lame, Health::Down]), &[(ProblemKind::OriginsDown, CRITICAL)]);
    // A whole copy has come: questions are no more asked.
    check(&ZoneStatus { on_demand: zone(&[Health::Down]).on_demand, ..good() }, &[]);
}

#[test]
fn every_kind_has_one_word() {
    for kind in ProblemKind::ALL {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
    }
}
