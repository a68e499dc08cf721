//! What is said of defences against floods over the control socket and the HTTP API, in one form for people
//! and machines. Times are Unix seconds, rates queries a second; filters go by the names that the network file has.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::services::defences::orders::List;
use crate::services::defences::report::KeptEvent;

/// Rows of each kind that `top` shows unless it is asked for more.
pub(crate) const TOP_ROWS: u32 = 20;
/// The most that it can be asked for.
pub(crate) const TOP_ROWS_MAX: u32 = 200;
/// Sources in one [`ImportKnownGood`]: a request has a bounded length. More come in several.
pub(crate) const IMPORT_SOURCES_MAX: usize = 1000;

/// Who asks for what now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AskTop {
    /// Rows of each kind.
    #[serde(default = "top_rows")]
    pub(crate) rows: u32,
}

fn top_rows() -> u32 {
    TOP_ROWS
}

/// Who is this, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExplainSource {
    pub(crate) source: IpAddr,
}

/// Take over sources that another node knows to be good; at most [`IMPORT_SOURCES_MAX`] at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImportKnownGood {
    pub(crate) sources: Vec<ImportSource>,
}

/// A source of such an import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImportSource {
    /// Its address; an IPv6 address stands for its network of 64 bits.
    pub(crate) address: IpAddr,
    /// Since when it is known to be good; without it, from now on.
    #[serde(default)]
    pub(crate) since_unix_s: Option<u64>,
    /// Until when, unless it is heard of before; without it, as if it had been heard of now.
    #[serde(default)]
    pub(crate) until_unix_s: Option<u64>,
}

/// How a node defends itself, and what happened.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct DefencesStatus {
    pub(crate) node: String,
    /// How far any filter may go: `off`, `observe` or `on`; and who says so: `default`, `file` or `order`.
    pub(crate) mode: String,
    pub(crate) mode_by: String,
    /// In the order in which a query meets them.
    pub(crate) filters: Vec<FilterStatus>,
    /// What is armed now, or acts.
    pub(crate) armed: Vec<ArmedStatus>,
    /// Queries that the filters looked at since the start.
    pub(crate) queries: u64,
    /// Those among them whose source was never heard of before.
    pub(crate) first_seen: u64,
    /// What is normal for the node.
    pub(crate) normal: NormalStatus,
    /// For its zones, those that are asked most first.
    pub(crate) zones: Vec<NormalStatus>,
    /// Zones that are left out of these.
    #[serde(default)]
    pub(crate) zones_left_out: u64,
    /// Names below which random names are asked for, the worst first.
    pub(crate) suffixes: Vec<SuffixStatus>,
    /// Sources on the lists.
    pub(crate) lists: Vec<ListedStatus>,
    /// Sources that are known to be good by what was learned.
    pub(crate) known_good_learned: u64,
    /// All items of `[node.NAME.defences]` but the lists.
    pub(crate) settings: Vec<SettingStatus>,
    /// What is kept from answering since its like crashed or hung an answer.
    pub(crate) quarantine: Vec<QuarantineStatus>,
    /// How what was learned outlives the process.
    pub(crate) learned: LearnedStatus,
    /// What somebody should look at.
    pub(crate) problems: Vec<String>,
    /// Bytes of all tables: they were taken at the start, and are no more in a flood.
    pub(crate) memory_bytes: u64,
    /// The last events, the newest first.
    pub(crate) events: Vec<KeptEvent>,
}

/// A filter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FilterStatus {
    pub(crate) filter: String,
    /// How far it goes: as far as both its own mode and that of all let it.
    pub(crate) mode: String,
    /// Who says so.
    pub(crate) by: String,
    /// Whether what it waits for is armed; none of a filter that always looks.
    pub(crate) armed: Option<bool>,
    /// Queries since the start by what it did to them: `penalised`, `slipped`, `dropped`, `would-penalise`, `would-slip`,
    /// `would-drop`.
    pub(crate) effects: BTreeMap<String, u64>,
}

/// A defence that is armed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ArmedStatus {
    /// `miss`, `random-source`, `random-name`, or the name of a filter that acts.
    pub(crate) defence: String,
    /// `node`, `zone NAME` or `suffix NAME`.
    pub(crate) scope: String,
    pub(crate) since_unix_s: f64,
    /// Queries when it was armed.
    pub(crate) per_s: f64,
    /// Those that are normal there, or are borne.
    pub(crate) normal_per_s: f64,
}

/// What is asked, and what is normal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct NormalStatus {
    /// `node`, or the zone's name.
    pub(crate) scope: String,
    /// Queries in the last second.
    pub(crate) per_s: f64,
    /// Queries that count as normal: set by hand, or learned and at least the minimum.
    pub(crate) normal_per_s: f64,
    /// Whether somebody set that.
    pub(crate) by_hand: bool,
    /// Queries in the last second whose answer was not at hand; none of the node.
    #[serde(default)]
    pub(crate) misses_per_s: Option<f64>,
    /// Queries in the last second for names that do not exist; none of the node.
    #[serde(default)]
    pub(crate) no_names_per_s: Option<f64>,
    /// Where the thresholds are, of which that for random sources is the node's alone.
    pub(crate) miss_from_per_s: f64,
    #[serde(default)]
    pub(crate) random_source_from_per_s: Option<f64>,
}

/// A name below which random names are asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SuffixStatus {
    pub(crate) suffix: String,
    /// Queries in the last second for names below it that do not exist or are filtered.
    pub(crate) failed_per_s: f64,
    /// Different names among them, and how many would be borne.
    pub(crate) distinct_per_s: f64,
    pub(crate) borne_per_s: f64,
    /// Queries for names below it that exist.
    pub(crate) found_per_s: f64,
    pub(crate) attacked_s: f64,
}

/// A prefix on a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ListedStatus {
    pub(crate) prefix: String,
    /// The list; none: an order took it from all.
    pub(crate) list: Option<List>,
    /// Who says so: `file`, `order` or `network`.
    pub(crate) by: String,
    pub(crate) since_unix_s: Option<u64>,
    /// Until when; none: until it is taken off.
    pub(crate) until_unix_s: Option<u64>,
    /// Why, as whoever ordered it said.
    #[serde(default)]
    pub(crate) why: String,
}

/// An item of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SettingStatus {
    /// Its name, such as `slip` or `filters.client`.
    pub(crate) item: String,
    /// What holds; null where nothing is set.
    pub(crate) value: serde_json::Value,
    pub(crate) by: String,
    /// What would hold without the order.
    #[serde(default)]
    pub(crate) otherwise: Option<serde_json::Value>,
}

/// What is kept from answering.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct QuarantineStatus {
    /// Stands for it in `parapet defences release`.
    pub(crate) number: u32,
    /// What it is, in words.
    pub(crate) like: String,
    pub(crate) until_unix_s: f64,
    /// How often it killed an answer.
    pub(crate) deaths: u32,
    /// Queries that were dropped for it.
    pub(crate) dropped: u64,
}

/// How what was learned outlives the process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct LearnedStatus {
    /// Whether what was learned before the start is known.
    pub(crate) loaded: bool,
    /// Why not, where there was something.
    pub(crate) refused: Option<String>,
    /// When it was kept last.
    pub(crate) kept_unix_s: Option<f64>,
    /// Why the last attempt to keep it failed.
    pub(crate) not_kept: Option<String>,
}

/// Who asks for what now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct TopAnswer {
    pub(crate) node: String,
    pub(crate) at_unix_s: f64,
    pub(crate) all: TopRates,
    /// Each the heaviest first.
    pub(crate) sources: Vec<TopRow>,
    pub(crate) prefixes: Vec<TopRow>,
    pub(crate) names: Vec<TopRow>,
    pub(crate) suffixes: Vec<TopRow>,
    pub(crate) zones: Vec<TopRow>,
    pub(crate) types: Vec<TopRow>,
    /// What the filters did, as `FILTER OUTCOME`.
    pub(crate) reasons: Vec<TopRow>,
    /// What is armed now.
    pub(crate) armed: Vec<ArmedStatus>,
}

/// One of the heaviest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TopRow {
    pub(crate) key: String,
    #[serde(flatten)]
    pub(crate) rates: TopRates,
    /// The filter that most of its queries met.
    pub(crate) reason: Option<String>,
}

/// Queries a second over the last few seconds, and over the last minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct TopRates {
    pub(crate) per_s: f64,
    pub(crate) minute_per_s: f64,
    pub(crate) served_per_s: f64,
    pub(crate) slipped_per_s: f64,
    pub(crate) dropped_per_s: f64,
}

/// Who a source is, and what becomes of its queries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Explained {
    pub(crate) node: String,
    pub(crate) source: IpAddr,
    /// What would become of a query that came now by UDP without a cookie, while there is capacity: `served`, `slipped` or
    /// `dropped`; and by which filter.
    pub(crate) outcome: String,
    pub(crate) filter: Option<String>,
    /// The sum of its penalties, 0 to 100: above capacity who has most is left out first, and who has none never.
    pub(crate) penalty: u8,
    /// What it is worth: `never-seen`, `seen-once`, `watched`, `proven` or `known-good`.
    pub(crate) standing: String,
    /// Why it is known to be good: `behaved`, `told`, `connected` or `cookie`; since and until when.
    pub(crate) good_why: Option<String>,
    pub(crate) good_since_unix_s: Option<u64>,
    pub(crate) good_until_unix_s: Option<u64>,
    /// Periods of good behaviour, those that are needed, and how long one is.
    pub(crate) good_periods: u64,
    pub(crate) good_periods_needed: u64,
    pub(crate) period_s: f64,
    /// The lists that it is on, with who says so.
    pub(crate) lists: Vec<ListedStatus>,
    pub(crate) budgets: Vec<BudgetStatus>,
    /// Whether known-good sources alone are answered now.
    pub(crate) random_source_armed: bool,
    /// What each filter would say.
    pub(crate) judgements: Vec<JudgementStatus>,
    /// Its queries now, as far as it is among the heaviest.
    pub(crate) rates: Option<TopRates>,
}

/// A budget, and how much of it is used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct BudgetStatus {
    pub(crate) filter: String,
    /// Whose it is: an address or a prefix.
    pub(crate) of: String,
    pub(crate) per_s: u64,
    /// Below 1 the next query is within it, from 1 on above, from 2 on far above.
    pub(crate) used: f64,
    /// Whether this source's queries count.
    pub(crate) counted: bool,
}

/// What a filter would say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct JudgementStatus {
    pub(crate) filter: String,
    pub(crate) mode: String,
    /// `fine`, `penalty`, `slip` or `drop`.
    pub(crate) finding: String,
    pub(crate) penalty: u8,
}

/// What came of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ordered {
    /// Whether anything is different now.
    pub(crate) changed: bool,
    /// Why it will be forgotten at the next start, if it will.
    pub(crate) not_kept: Option<String>,
    /// What the one who ordered should know.
    pub(crate) note: Option<String>,
}

/// Who is known to be good.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct KnownGood {
    /// By hand.
    pub(crate) listed: Vec<ListedStatus>,
    /// By what was learned.
    pub(crate) learned: Vec<GoodSource>,
}

/// A source that is known to be good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GoodSource {
    /// Its address; an IPv6 address stands for its network of 64 bits.
    pub(crate) address: IpAddr,
    pub(crate) since_unix_s: u64,
    /// Until when, unless it is heard of before.
    pub(crate) until_unix_s: u64,
    /// `behaved`, `told`, `connected` or `cookie`.
    pub(crate) why: String,
}

/// Sources were taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Imported {
    /// Sources that are known to be good from now on.
    pub(crate) taken: u64,
    /// Those whose time is over, or that there was no room for.
    pub(crate) left: u64,
}
