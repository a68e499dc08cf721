//! What is said of defences against floods over the control socket and the HTTP API. Times are Unix seconds, durations
//! seconds, rates queries a second; all may be fractions. Filters and modes go by the names that the network file has.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

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
    pub(crate) sources: Vec<IpAddr>,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Origin {
    /// Nobody said anything else.
    Default,
    /// The network file, or the command line of the short form.
    File,
    /// Somebody ordered it at run time.
    Order,
}

impl Origin {
    /// For people.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::File => "file",
            Self::Order => "order",
        }
    }
}

/// How a node defends itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct DefencesStatus {
    /// How far any filter may go.
    pub(crate) mode: String,
    pub(crate) mode_from: Origin,
    /// In the order in which a query meets them.
    pub(crate) filters: Vec<FilterStatus>,
    /// What is armed now.
    pub(crate) armed: Vec<ArmedStatus>,
    /// Queries that the filters looked at, since the start.
    pub(crate) queries: u64,
    /// Those among them whose source was never heard of before.
    pub(crate) first_seen: u64,
    /// What is normal for the node, and for each of its zones, the busiest first.
    pub(crate) normal: NormalStatus,
    pub(crate) zones: Vec<NormalStatus>,
    /// Zones that are left out here for want of room.
    #[serde(default)]
    pub(crate) zones_left_out: u64,
    /// Names below which random names are asked for.
    pub(crate) suffixes: Vec<SuffixStatus>,
    /// Sources on the lists.
    pub(crate) lists: Vec<ListedStatus>,
    /// Sources that were learned to be good.
    pub(crate) known_good_learned: u64,
    /// All other settings by the names that the file has.
    pub(crate) settings: Vec<SettingStatus>,
    /// What is kept from answering since its like crashed or hung an answer.
    pub(crate) quarantine: Vec<QuarantineStatus>,
    /// The last ones, the newest first.
    pub(crate) events: Vec<EventStatus>,
    /// Bytes of all tables: they were taken at the start, and are no more in a flood.
    pub(crate) memory_bytes: u64,
}

/// A filter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FilterStatus {
    pub(crate) filter: String,
    /// How far it goes: as far as both its own mode and that of all let it.
    pub(crate) mode: String,
    pub(crate) mode_from: Origin,
    /// Whether it is armed; none of one that needs no arming.
    pub(crate) armed: Option<bool>,
    /// What it did since the start, by effect: `penalised`, `slipped`, `dropped`, `would-penalise`, `would-slip`,
    /// `would-drop`.
    pub(crate) effects: BTreeMap<String, u64>,
}

/// A defence that is armed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ArmedStatus {
    /// `miss`, `random-source` or `random-name`.
    pub(crate) defence: String,
    /// `node`, or the zone, or the name below which.
    pub(crate) scope: String,
    pub(crate) since_unix_s: f64,
}

/// What is normal, and what is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct NormalStatus {
    /// `node`, or the zone.
    pub(crate) scope: String,
    /// Queries now.
    pub(crate) per_s: f64,
    /// Queries that are normal, as it counts.
    pub(crate) normal_per_s: f64,
    /// Queries that were learned to be normal.
    pub(crate) learned_per_s: f64,
    /// Whether somebody said what is normal.
    pub(crate) by_hand: bool,
    /// Where the thresholds are.
    pub(crate) miss_from_per_s: f64,
    /// None of a zone: the node has it alone.
    #[serde(default)]
    pub(crate) random_source_from_per_s: Option<f64>,
}

/// A name below which random names are asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SuffixStatus {
    pub(crate) suffix: String,
    pub(crate) zone: String,
    /// Queries for names below it that do not exist.
    pub(crate) per_s: f64,
    pub(crate) since_unix_s: f64,
}

/// A prefix on a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ListedStatus {
    /// `allow`, `block` or `known-good`; none: taken from all of them by an order.
    pub(crate) list: Option<String>,
    pub(crate) prefix: String,
    pub(crate) from: Origin,
    /// Until when; none: until it is taken off.
    pub(crate) until_unix_s: Option<f64>,
    /// Why, as whoever ordered it said.
    #[serde(default)]
    pub(crate) why: String,
}

/// A setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SettingStatus {
    pub(crate) name: String,
    /// As the file would have it.
    pub(crate) value: String,
    pub(crate) from: Origin,
}

/// What is kept from answering.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct QuarantineStatus {
    /// What it is, in words.
    pub(crate) what: String,
    pub(crate) until_unix_s: f64,
}

/// A defence armed, or rests again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct EventStatus {
    pub(crate) at_unix_s: f64,
    /// As in [`ArmedStatus`].
    pub(crate) defence: String,
    /// `armed` or `rested`.
    pub(crate) phase: String,
    pub(crate) scope: String,
    /// Queries at that moment, and those that are normal there.
    pub(crate) per_s: f64,
    pub(crate) normal_per_s: f64,
    /// Queries of that moment.
    pub(crate) samples: Vec<SampleStatus>,
}

/// One query out of many.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SampleStatus {
    pub(crate) source: IpAddr,
    /// The name, the end of a long one.
    pub(crate) name: Option<String>,
    #[serde(rename = "type")]
    pub(crate) rtype: Option<String>,
    /// `served`, `slipped` or `dropped`.
    pub(crate) outcome: String,
    pub(crate) filter: Option<String>,
}

/// Who asks for what now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct TopTable {
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

/// What becomes of a source's queries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Explained {
    pub(crate) source: IpAddr,
    /// What would become of its next query, over UDP and without a cookie: `served`, `slipped` or `dropped`.
    pub(crate) outcome: String,
    /// The filter that would do that.
    pub(crate) filter: Option<String>,
    /// The sum of its penalties, 0 to 100.
    pub(crate) penalty: u8,
    /// What it is: `allowed`, `blocked`, `known-good`, `proven`, `seen`, `new`.
    pub(crate) standing: String,
    /// Who it is, what it may and why, in words, a line each.
    pub(crate) words: Vec<String>,
    /// Queries over the last few seconds, as far as it is among the heaviest.
    pub(crate) rates: Option<TopRates>,
}

/// An order was carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ordered {
    /// Whether anything is different now.
    pub(crate) changed: bool,
    /// What keeps it from having its effect, such as that all filters are to observe alone.
    #[serde(default)]
    pub(crate) but: Option<String>,
}

/// Who is known to be good.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct KnownGood {
    /// By hand.
    pub(crate) listed: Vec<ListedStatus>,
    /// Learned.
    pub(crate) learned: Vec<IpAddr>,
}

/// Sources were taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Imported {
    /// Sources that are known to be good from now on.
    pub(crate) taken: u64,
    /// Those that there was no room for.
    pub(crate) left: u64,
}
