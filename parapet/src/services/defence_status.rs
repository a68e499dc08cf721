//! What the control socket and the API say of defences, made from what the filters and those who look after them know.

use std::net::IpAddr;

use config::{DefenceMode, Filter};
use filters::top::{Outcome, Rates, Row, Table};
use filters::{Explanation, Quarantined, RateStatus, Why, ZoneStatus};

use super::ServicesView;
use super::defences::DefencesView;
use super::defences::orders::Order;
use super::defences::report::{Armed, DefencesReport, ListedSource, Setting};
use crate::control::defences::{
    ArmedStatus, AskTop, BudgetStatus, DefencesStatus, ExplainSource, Explained, FilterStatus, GoodSource,
    IMPORT_SOURCES_MAX, ImportKnownGood, Imported, JudgementStatus, KnownGood, LearnedStatus, ListedStatus,
    NormalStatus, Ordered, QuarantineStatus, SettingStatus, SuffixStatus, TOP_ROWS_MAX, TopAnswer, TopRates, TopRow,
};
use crate::reload::unix_s;

/// Zones whose rates are told.
const ZONES_MAX: usize = 1000;

const NO_EDGE: &str = "this node answers no clients, so it has no defences: it has not the role edge";

impl ServicesView {
    fn defended(&self) -> Result<&DefencesView, String> {
        self.defences().ok_or_else(|| NO_EDGE.to_owned())
    }

    /// How `node`, which is this one, defends itself.
    pub(crate) fn defences_status(&self, node: &str) -> Result<DefencesStatus, String> {
        Ok(status(self.defended()?, node))
    }

    /// Who asks for what now.
    pub(crate) fn top(&self, ask: &AskTop, node: &str) -> Result<TopAnswer, String> {
        let view = self.defended()?;
        let table = view.top(ask.rows.clamp(1, TOP_ROWS_MAX) as usize);
        Ok(top(view, table, node))
    }

    /// Who a source is, and what becomes of it.
    pub(crate) fn explain_source(&self, explain: &ExplainSource, node: &str) -> Result<Explained, String> {
        let view = self.defended()?;
        let source = explain.source.to_canonical();
        let explanation = view.filters().explain(source, edge::filter_time(), unix_s() as u64);
        Ok(explained(view, explanation, source, node))
    }

    /// Carries an order out.
    pub(crate) async fn order_defences(&self, order: Order) -> Result<Ordered, String> {
        let view = self.defended()?;
        let given = view.order(order.clone()).await?;
        let note = given.note.or_else(|| held_back(view, &order));
        Ok(Ordered { changed: given.changed, not_kept: given.not_kept, note })
    }

    /// Who is known to be good.
    pub(crate) fn known_good(&self) -> Result<KnownGood, String> {
        let view = self.defended()?;
        let learned = view.filters().known_good(edge::filter_time(), unix_s() as u64);
        let good = |good: filters::KnownGood| GoodSource {
            address: good.address,
            since_unix_s: good.since_unix_s,
            until_unix_s: good.until_unix_s,
            why: good.why.as_str().to_owned(),
        };
        let listed = view.report().sources.into_iter().map(listed);
        let by_hand = |listed: &ListedStatus| listed.list == Some(super::defences::orders::List::KnownGood);
        Ok(KnownGood { listed: listed.filter(by_hand).collect(), learned: learned.into_iter().map(good).collect() })
    }

    /// Takes over whom others know to be good.
    pub(crate) fn import_known_good(&self, import: &ImportKnownGood) -> Result<Imported, String> {
        let view = self.defended()?;
        if import.sources.len() > IMPORT_SOURCES_MAX {
            return Err(format!(
                "at most {IMPORT_SOURCES_MAX} sources can be taken over at a time: send more in parts"
            ));
        }
        let now_unix_s = unix_s() as u64;
        let lifetime_s = u64::from(view.filters().policy().defences.known_good_lifetime_s);
        let source = |source: &crate::control::defences::ImportSource| filters::KnownGood {
            address: source.address.to_canonical(),
            since_unix_s: source.since_unix_s.unwrap_or(now_unix_s).min(now_unix_s),
            until_unix_s: source.until_unix_s.unwrap_or(u64::MAX).min(now_unix_s + lifetime_s),
            why: Why::Told,
        };
        let sources: Vec<_> = import.sources.iter().map(source).collect();
        let taken = view.filters().import_known_good(&sources, edge::filter_time(), now_unix_s) as u64;
        Ok(Imported { taken, left: sources.len() as u64 - taken })
    }
}

/// Why a filter does not go as far as it was told to.
fn held_back(view: &DefencesView, order: &Order) -> Option<String> {
    let Order::SetMode { filter: Some(name), mode: Some(mode) } = order else { return None };
    let filter = Filter::ALL.into_iter().find(|filter| filter.as_str() == name)?;
    let policy = view.filters().policy();
    (policy.mode(filter).as_str() != mode).then(|| {
        let all = policy.defences.mode.as_str();
        format!("it goes no further than all filters may, which is {all}: `parapet defences set all {mode}`")
    })
}

fn status(view: &DefencesView, node: &str) -> DefencesStatus {
    let filters = view.filters();
    let (policy, counts) = (filters.policy(), filters.counts());
    let report = view.report();
    let by = |item: &str| {
        let setting = report.settings.iter().find(|setting| setting.item == item);
        setting.map_or("default", |setting| setting.by.as_str()).to_owned()
    };
    let names = names(view);
    let filter = |filter: Filter| FilterStatus {
        filter: filter.as_str().to_owned(),
        mode: policy.mode(filter).as_str().to_owned(),
        by: if policy.mode(filter) == policy.defences.mode && policy.defences.mode != DefenceMode::On {
            by("mode")
        } else {
            by(&format!("filters.{}", filter.as_str()))
        },
        armed: armed_filter(filter, &report.armed),
        effects: filters::Effect::ALL
            .into_iter()
            .map(|effect| (effect.as_str().to_owned(), counts.effect(filter, effect)))
            .collect(),
    };
    let mut events = view.events();
    events.reverse();
    DefencesStatus {
        node: node.to_owned(),
        mode: policy.defences.mode.as_str().to_owned(),
        mode_by: by("mode"),
        filters: Filter::ALL.into_iter().map(filter).collect(),
        queries: counts.queries,
        first_seen: counts.first_seen,
        normal: names.node,
        zones_left_out: names.zones_left_out,
        zones: names.zones,
        suffixes: names.suffixes,
        known_good_learned: filters.known_good_count(edge::filter_time()) as u64,
        quarantine: quarantine(view),
        memory_bytes: filters.memory_bytes() as u64,
        events,
        ..of_report(report)
    }
}

/// What those who look after the filters know.
fn of_report(report: DefencesReport) -> DefencesStatus {
    let learned = LearnedStatus {
        loaded: report.learned.loaded,
        refused: report.learned.refused,
        kept_unix_s: report.learned.kept_unix_s,
        not_kept: report.learned.not_kept,
    };
    DefencesStatus {
        armed: report.armed.into_iter().map(armed).collect(),
        lists: report.sources.into_iter().map(listed).collect(),
        settings: report.settings.into_iter().map(setting).collect(),
        learned,
        problems: report.problems,
        ..DefencesStatus::default()
    }
}

/// Whether what a filter waits for is armed; none of those that always look.
fn armed_filter(filter: Filter, armed: &[Armed]) -> Option<bool> {
    let waits_for = match filter {
        Filter::UnknownSource => "random-source",
        Filter::Miss => "miss",
        Filter::RandomName => "random-name",
        _ => return None,
    };
    Some(armed.iter().any(|armed| armed.defence == waits_for))
}

fn armed(armed: Armed) -> ArmedStatus {
    let Armed { defence, scope, since_unix_s, per_s, normal_per_s } = armed;
    ArmedStatus { defence, scope, since_unix_s, per_s, normal_per_s }
}

fn listed(listed: ListedSource) -> ListedStatus {
    let ListedSource { prefix, list, by, since_unix_s, until_unix_s, why } = listed;
    ListedStatus { prefix, list, by: by.as_str().to_owned(), since_unix_s, until_unix_s, why }
}

fn setting(setting: Setting) -> SettingStatus {
    let Setting { item, value, by, otherwise } = setting;
    SettingStatus { item, value, by: by.as_str().to_owned(), otherwise }
}

fn quarantine(view: &DefencesView) -> Vec<QuarantineStatus> {
    let (now, now_unix_s) = (edge::filter_time(), unix_s());
    let one = |kept: Quarantined| QuarantineStatus {
        number: kept.number,
        like: kept.like,
        until_unix_s: now_unix_s + kept.until.us().saturating_sub(now.us()) as f64 / 1e6,
        deaths: kept.deaths,
        dropped: kept.dropped,
    };
    view.filters().quarantined(now).into_iter().map(one).collect()
}

/// What is normal, and where random names are asked for.
struct Names {
    node: NormalStatus,
    zones: Vec<NormalStatus>,
    zones_left_out: u64,
    suffixes: Vec<SuffixStatus>,
}

fn names(view: &DefencesView) -> Names {
    let filters = view.filters();
    let (status, policy) = (filters.status(edge::filter_time()), filters.policy());
    let (miss, random_source) = (policy.defences.miss_threshold, policy.defences.random_source_threshold);
    let times = |rate: &RateStatus, threshold: u32| rate.normal_per_s * f64::from(threshold);
    let rates = &status.node.queries;
    let node = NormalStatus {
        scope: "node".to_owned(),
        per_s: rates.per_s,
        normal_per_s: rates.normal_per_s,
        by_hand: status.node.by_hand,
        misses_per_s: None,
        no_names_per_s: None,
        miss_from_per_s: times(rates, miss),
        random_source_from_per_s: Some(times(rates, random_source)),
    };
    let zone = |zone: ZoneStatus| {
        // One that has just gone has nothing to say.
        let scope = view.zone_name(zone.zone)?;
        Some(NormalStatus {
            scope,
            per_s: zone.queries.per_s,
            normal_per_s: zone.queries.normal_per_s,
            by_hand: zone.by_hand,
            misses_per_s: Some(zone.misses.per_s),
            no_names_per_s: Some(zone.no_names.per_s),
            miss_from_per_s: times(&zone.queries, miss),
            random_source_from_per_s: None,
        })
    };
    let suffix = |suffix: filters::SuffixStatus| SuffixStatus {
        suffix: suffix.name,
        failed_per_s: suffix.failed_per_s,
        distinct_per_s: suffix.distinct_per_s,
        borne_per_s: suffix.borne_per_s,
        found_per_s: suffix.found_per_s,
        attacked_s: suffix.attacked_s as f64,
    };
    let zones_left_out = status.zones.len().saturating_sub(ZONES_MAX) as u64;
    Names {
        node,
        zones: status.zones.into_iter().take(ZONES_MAX).filter_map(zone).collect(),
        zones_left_out,
        suffixes: status.suffixes.into_iter().map(suffix).collect(),
    }
}

fn top(view: &DefencesView, table: Table, node: &str) -> TopAnswer {
    let zone = |number| view.zone_name(number).unwrap_or_else(|| "(no longer there)".to_owned());
    TopAnswer {
        node: node.to_owned(),
        at_unix_s: unix_s(),
        all: rates(&table.all),
        sources: rows(table.sources, |source| source.to_string()),
        prefixes: rows(table.prefixes, |prefix| prefix.to_string()),
        names: rows(table.names, |name| name.to_string()),
        suffixes: rows(table.suffixes, |name| name.to_string()),
        zones: rows(table.zones, zone),
        types: rows(table.types, |rtype| rtype.to_string()),
        reasons: rows(table.reasons, |(filter, outcome)| reason(filter, outcome)),
        armed: view.armed().into_iter().map(armed).collect(),
    }
}

/// What a filter did: one that let a query be answered gave it a penalty.
fn reason(filter: Filter, outcome: Outcome) -> String {
    let outcome = if outcome == Outcome::Served { "penalised" } else { outcome.as_str() };
    format!("{} {outcome}", filter.as_str())
}

fn rows<K>(rows: Vec<Row<K>>, name: impl Fn(K) -> String) -> Vec<TopRow> {
    let row = |row: Row<K>| TopRow {
        key: name(row.key),
        rates: rates(&row.rates),
        reason: row.reason.map(|filter| filter.as_str().to_owned()),
    };
    rows.into_iter().map(row).collect()
}

fn rates(rates: &Rates) -> TopRates {
    let Rates { per_s, minute_per_s, served_per_s, slipped_per_s, dropped_per_s } = *rates;
    TopRates { per_s, minute_per_s, served_per_s, slipped_per_s, dropped_per_s }
}

fn explained(view: &DefencesView, explanation: Explanation, source: IpAddr, node: &str) -> Explained {
    let of_source = |row: &Row<IpAddr>| (row.key.to_canonical() == source).then(|| rates(&row.rates));
    let has =
        |listed: &ListedStatus| listed.prefix.parse::<config::Prefix>().is_ok_and(|prefix| prefix.contains(source));
    let judgements = explanation.judgements.into_iter().map(|judgement| JudgementStatus {
        filter: judgement.filter.to_owned(),
        mode: judgement.mode.to_owned(),
        finding: judgement.finding.to_owned(),
        penalty: judgement.penalty,
    });
    let judgements: Vec<_> = judgements.collect();
    let budgets = explanation.budgets.into_iter().map(|budget| BudgetStatus {
        filter: budget.filter.to_owned(),
        of: budget.of,
        per_s: budget.per_s,
        used: budget.used,
        counted: budget.counted,
    });
    Explained {
        node: node.to_owned(),
        source,
        outcome: outcome(explanation.verdict).to_owned(),
        filter: if explanation.listed.allow { None } else { decisive(&judgements, explanation.verdict) },
        penalty: explanation.penalty,
        standing: standing(explanation.standing).to_owned(),
        good_why: explanation.known_good.as_ref().map(|good| good.why.as_str().to_owned()),
        good_since_unix_s: explanation.known_good.as_ref().map(|good| good.since_unix_s),
        good_until_unix_s: explanation.known_good.as_ref().map(|good| good.until_unix_s),
        good_periods: explanation.good_periods,
        good_periods_needed: explanation.good_periods_needed,
        period_s: explanation.period_s,
        lists: view.report().sources.into_iter().map(listed).filter(has).collect(),
        budgets: budgets.collect(),
        random_source_armed: explanation.random_source_armed,
        judgements,
        rates: view.top(TOP_ROWS_MAX as usize).sources.iter().find_map(of_source),
    }
}

fn outcome(verdict: &str) -> &'static str {
    match verdict {
        "drop" => "dropped",
        "slip" => "slipped",
        _ => "served",
    }
}

fn standing(standing: filters::SourceStanding) -> &'static str {
    match standing {
        filters::SourceStanding::NeverSeen => "never-seen",
        filters::SourceStanding::SeenOnce => "seen-once",
        filters::SourceStanding::Watched => "watched",
        filters::SourceStanding::Proven => "proven",
        filters::SourceStanding::KnownGood => "known-good",
    }
}

/// The filter that decides: the one that slips, or that has the greatest penalty.
fn decisive(judgements: &[JudgementStatus], verdict: &str) -> Option<String> {
    let mut on = judgements.iter().filter(|judgement| judgement.mode == DefenceMode::On.as_str());
    let found = match verdict {
        "slip" => on.find(|judgement| judgement.finding == "slip"),
        _ => on.filter(|judgement| judgement.penalty > 0).max_by_key(|judgement| judgement.penalty),
    };
    found.map(|judgement| judgement.filter.clone())
}
