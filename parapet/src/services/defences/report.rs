//! What is said of the defences to whoever asks. Times are Unix seconds.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::orders::List;

/// Who says what a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// Nobody: it is the default.
    Default,
    /// The network file, or the command line.
    File,
    /// An order at run time.
    Order,
    /// The network: it needs this source.
    Network,
}

impl By {
    /// For people.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::File => "file",
            Self::Order => "order",
            Self::Network => "network",
        }
    }
}

/// One item of `[node.NAME.defences]`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Setting {
    /// Its name, as in the file: `mode`, `filters.client`, `slip`.
    pub(crate) item: String,
    /// What holds; null where nothing is set.
    pub(crate) value: Value,
    pub(crate) by: By,
    /// What would hold without the order.
    pub(crate) otherwise: Option<Value>,
}

/// A source on a list, or taken from all by an order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ListedSource {
    pub(crate) prefix: String,
    /// The list; none if an order took it from all.
    pub(crate) list: Option<List>,
    pub(crate) by: By,
    /// When the order came.
    pub(crate) since_unix_s: Option<u64>,
    /// When the order ends.
    pub(crate) until_unix_s: Option<u64>,
    /// Why, as whoever ordered it said.
    pub(crate) why: String,
}

/// What is normal for a zone, set by hand.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ZoneNormal {
    pub(crate) zone: String,
    pub(crate) per_s: u32,
    pub(crate) by: By,
}

/// A defence that is armed now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Armed {
    /// `miss`, `random-source`, `random-name`, or the name of a filter that acts.
    pub(crate) defence: String,
    /// `node`, `zone NAME` or `suffix NAME`.
    pub(crate) scope: String,
    pub(crate) since_unix_s: f64,
    /// Queries a second when it was armed.
    pub(crate) per_s: f64,
    /// Queries a second that are normal there, or are borne.
    pub(crate) normal_per_s: f64,
}

/// A defence was armed, or rests again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct KeptEvent {
    pub(crate) unix_s: f64,
    /// `miss`, `random-source`, `random-name`, or the name of a filter that acts.
    pub(crate) defence: String,
    /// `armed` or `rested`.
    pub(crate) phase: String,
    /// `node`, `zone NAME` or `suffix NAME`.
    pub(crate) scope: String,
    /// Queries a second at that moment.
    pub(crate) per_s: f64,
    /// Queries a second that are normal there, or are borne.
    pub(crate) normal_per_s: f64,
    /// How long it was armed; with `rested`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) armed_s: Option<f64>,
    /// Queries of that moment.
    pub(crate) samples: Vec<EventSample>,
}

/// A query, and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct EventSample {
    pub(crate) source: String,
    pub(crate) qname: Option<String>,
    pub(crate) qtype: Option<String>,
    /// `served`, `slipped` or `dropped`.
    pub(crate) outcome: String,
    /// Who did that, or gave the greatest penalty.
    pub(crate) filter: Option<String>,
    pub(crate) penalty: u8,
}

/// How what was learned came through the last restart, and is kept for the next.
#[derive(Clone, Debug, Default, PartialEq)]
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

/// The defences of a node.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DefencesReport {
    /// Every item but the lists of sources.
    pub(crate) settings: Vec<Setting>,
    pub(crate) sources: Vec<ListedSource>,
    pub(crate) zones: Vec<ZoneNormal>,
    pub(crate) armed: Vec<Armed>,
    pub(crate) learned: LearnedStatus,
    /// What somebody should look at: orders that could not be read or kept.
    pub(crate) problems: Vec<String>,
}

/// What came of an order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OrderGiven {
    /// Whether anything is different now.
    pub(crate) changed: bool,
    /// Why it will be forgotten at the next start, if it will.
    pub(crate) not_kept: Option<String>,
    /// What the one who ordered should know.
    pub(crate) note: Option<String>,
}

impl std::fmt::Display for EventSample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { source, qname, qtype, outcome, filter, .. } = self;
        write!(f, "{source} {} {} {outcome}", qname.as_deref().unwrap_or("?"), qtype.as_deref().unwrap_or("?"))?;
        filter.as_ref().map_or(Ok(()), |filter| write!(f, " ({filter})"))
    }
}
