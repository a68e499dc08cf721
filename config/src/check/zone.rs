//! Zones and templates, and what catalogs have in common with them.

use super::{Checker, Entries};
use crate::model::{DnssecPolicy, Mode, OnDemand, OnExpire, Timers, TransferLimits, Zone, ZoneCheck, Zonemd};
use crate::reader::{Section, join};
use crate::schema;
use crate::value::Value;
use crate::zone_check::of_zone;

impl Checker<'_, '_> {
    pub(super) fn zone(&mut self, name: &str, section: &Section, origins: &Entries) -> Zone {
        let origins = self.origins_of(section, origins);
        self.check_timers(section);
        self.check_mode(section);
        if name.is_empty() {
            let expected = "a zone of its own name: what is normal for members of catalogs is learned";
            self.warn_of_no_use(section, "normal_per_s", expected);
        }
        let text = |name: &str| section.text(name);
        Zone {
            name: name.to_owned(),
            origins,
            mode: text("mode").and_then(Mode::from_name).unwrap_or_default(),
            timers: timers(section),
            transfer: transfer(section),
            on_expire: if text("on_expire") == Some("serve") { OnExpire::Serve } else { OnExpire::ServFail },
            ixfr: section.boolean("ixfr"),
            pull_interval_s: section.number("pull_interval_s"),
            zonemd: zonemd(section),
            dnssec: dnssec(&section.section("dnssec")),
            on_demand: on_demand(&section.section("on_demand")),
            fresh_s_max: Some(section.number("fresh_s_max")).filter(|seconds| *seconds > 0),
            checks: self.zone_checks(name, section),
            normal_per_s: section.found("normal_per_s").map(|_| section.number("normal_per_s")),
            catalog: None,
        }
    }

    /// What the node asks itself about the zone. A template, which has no name, keeps them for the zones that it makes.
    fn zone_checks(&mut self, name: &str, section: &Section) -> Vec<ZoneCheck> {
        let mut checks = Vec::new();
        for (index, found) in section.list("checks").iter().enumerate() {
            let Value::ZoneCheck(check) = &found.value else { continue };
            if name.is_empty() {
                checks.push(check.clone());
                continue;
            }
            match of_zone(check, name) {
                Some(check) => checks.push(check),
                None => {
                    let path = format!("{}[{index}]", join(&section.path, "checks"));
                    let at = found.at.unwrap_or(section.at);
                    let expected = format!("a name within {name:?}, relative or with a dot at its end");
                    self.sink.error(at, &path, format_args!("{:?}", check.name), expected);
                }
            }
        }
        checks
    }

    /// Warns of what a zone says itself and its mode has no use for.
    fn check_mode(&mut self, section: &Section) {
        let mode = section.text("mode").and_then(Mode::from_name).unwrap_or_default();
        let on_demand = section.section("on_demand");
        let is_copy = mode != Mode::OnDemand || on_demand.integer("whole_records_max") > 0;
        if mode != Mode::Pull {
            self.warn_of_no_use(section, "pull_interval_s", "mode = \"pull\" beside it");
        }
        if mode != Mode::OnDemand
            && let Some(item) = on_demand.first_said()
        {
            self.warn_of_no_use(&on_demand, item, "mode = \"on-demand\" for the zone");
        }
        if !is_copy {
            let expected =
                "on_demand.whole_records_max beside it, or mode \"push\" or \"pull\": a cache has no whole copy";
            for item in ["ixfr", "on_expire", "zonemd", "fresh_s_max"] {
                self.warn_of_no_use(section, item, expected);
            }
            for table in [section.section("timers"), section.section("transfer")] {
                if let Some(item) = table.first_said() {
                    self.warn_of_no_use(&table, item, expected);
                }
            }
        }
        let dnssec = section.section("dnssec");
        if is_copy && !dnssec.boolean("validate") {
            self.warn_of_no_use(&dnssec, "trust_anchors", "validate = true beside it");
        }
    }

    /// Warns of an item that the section says itself, in vain.
    fn warn_of_no_use(&mut self, section: &Section, item: &str, expected: &str) {
        if section.says(item) {
            let path = join(&section.path, item);
            self.sink.warning(section.position(item), &path, "an item of no use here", expected);
        }
    }

    /// The origins that a section names, each known and there once.
    pub(super) fn origins_of(&mut self, section: &Section, origins: &Entries) -> Vec<String> {
        self.resolve_all(section, "origins", schema::ORIGIN, origins)
    }

    /// The names of a list, each known in `table` and there once.
    pub(super) fn resolve_all(&mut self, section: &Section, item: &str, table: &str, known: &Entries) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for (index, (name, at)) in section.texts(item).enumerate() {
            let path = format!("{}[{index}]", join(&section.path, item));
            if names.iter().any(|other| other == name) {
                self.sink.error(at, &path, format_args!("{name:?} again"), format_args!("each {table} once"));
            } else if known.contains_key(name) {
                names.push(name.to_owned());
            } else {
                self.unresolved(at, &path, table, name, known.keys().map(String::as_str));
            }
        }
        names
    }

    /// Reports timers whose least value is greater than their greatest.
    pub(super) fn check_timers(&mut self, section: &Section) {
        let timers = section.section("timers");
        for item in ["refresh", "retry", "expire"] {
            self.check_order(&timers, &format!("{item}_s_min"), &format!("{item}_s_max"));
        }
    }
}

pub(super) fn timers(section: &Section) -> Timers {
    let timers = section.section("timers");
    Timers {
        refresh_s_min: timers.number("refresh_s_min"),
        refresh_s_max: timers.number("refresh_s_max"),
        retry_s_min: timers.number("retry_s_min"),
        retry_s_max: timers.number("retry_s_max"),
        expire_s_min: timers.number("expire_s_min"),
        expire_s_max: timers.number("expire_s_max"),
        jitter_percent: timers.number("jitter_percent"),
    }
}

pub(super) fn transfer(section: &Section) -> TransferLimits {
    let transfer = section.section("transfer");
    TransferLimits {
        records_max: transfer.integer("records_max"),
        bytes_max: transfer.integer("bytes_max"),
        duration_s_max: transfer.number("duration_s_max"),
        idle_s_max: transfer.number("idle_s_max"),
    }
}

pub(super) fn zonemd(section: &Section) -> Zonemd {
    match section.text("zonemd") {
        Some("off") => Zonemd::Off,
        Some("require") => Zonemd::Require,
        _ => Zonemd::Verify,
    }
}

fn dnssec(section: &Section) -> DnssecPolicy {
    let anchor = |value: &Value| if let Value::TrustAnchor(anchor) = value { Some(anchor.clone()) } else { None };
    DnssecPolicy {
        validate: section.boolean("validate"),
        expiry_margin_s: section.number("expiry_margin_s"),
        trust_anchors: section.list("trust_anchors").iter().filter_map(|found| anchor(&found.value)).collect(),
    }
}

fn on_demand(section: &Section) -> OnDemand {
    OnDemand {
        misses_per_s_max: section.number("misses_per_s_max"),
        misses_in_flight_max: section.number("misses_in_flight_max"),
        clients_waiting_max: section.number("clients_waiting_max"),
        ttl_s_max: section.number("ttl_s_max"),
        negative_ttl_s_max: section.number("negative_ttl_s_max"),
        stale_s_max: section.number("stale_s_max"),
        stale_ttl_s: section.number("stale_ttl_s"),
        client_wait_ms: section.number("client_wait_ms"),
        origin_timeout_ms: section.number("origin_timeout_ms"),
        prefetch: section.boolean("prefetch"),
        synthesise: section.boolean("synthesise"),
        case_randomisation: section.boolean("case_randomisation"),
        whole_records_max: section.integer("whole_records_max"),
    }
}
