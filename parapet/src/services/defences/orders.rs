//! What was ordered at run time: it counts over what the file says, until it ends or is taken back, and over restarts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use config::{DefenceMode, Filter, Prefix};
use serde::{Deserialize, Serialize};

use crate::state_file;

/// The file's name in the state folder.
const NAME: &str = "defences.json";
/// The file's form; another is not read.
const VERSION: u32 = 1;
/// Prefixes that can be listed by orders.
const SOURCES_MAX: usize = 4096;
/// Zones whose normal rate can be set by orders.
const ZONES_MAX: usize = 4096;
/// Bytes of a reason.
const WHY_BYTES_MAX: usize = 256;

/// A list of sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum List {
    /// Never limited.
    Allow,
    /// Never answered.
    Block,
    /// Known to be good, whatever was learned.
    KnownGood,
}

impl List {
    /// For people.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Block => "block",
            Self::KnownGood => "known-good",
        }
    }
}

/// What can be ordered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Order {
    /// How far a filter may go, or all of them; without a mode what the file says counts again.
    SetMode {
        /// A filter's name; without one, all.
        #[serde(default)]
        filter: Option<String>,
        /// `off`, `observe` or `on`.
        #[serde(default)]
        mode: Option<String>,
    },
    /// Puts a prefix on a list, and takes it from the others; or without a list from all, whatever the file says. Where
    /// the file says nothing of it, that forgets what was ordered before.
    Put {
        /// The prefix, or an address.
        prefix: String,
        #[serde(default)]
        list: Option<List>,
        /// When this ends, and what the file says counts again; without it, never.
        #[serde(default)]
        until_unix_s: Option<u64>,
        /// Why, for those who look at it later.
        #[serde(default)]
        why: String,
    },
    /// What is normal for the node or a zone, in queries a second; without a rate what the file says, or was learned.
    SetNormal {
        /// The zone's name; without one, the node.
        #[serde(default)]
        zone: Option<String>,
        #[serde(default)]
        per_s: Option<u32>,
    },
    /// Forgets all orders: the file alone counts.
    Restore,
    /// Answers again what is kept away since its like crashed or hung an answer. It is over once it is done: nothing of it is
    /// kept.
    Release {
        /// What is to be released, by the numbers that the status has; without any, all.
        #[serde(default)]
        numbers: Vec<u32>,
    },
}

/// A source that was put on a list, or taken from all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Placed {
    pub(super) list: Option<List>,
    pub(super) since_unix_s: u64,
    pub(super) until_unix_s: Option<u64>,
    #[serde(default)]
    pub(super) why: String,
}

/// All orders that hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Orders {
    pub(super) mode: Option<DefenceMode>,
    pub(super) filters: BTreeMap<Filter, DefenceMode>,
    pub(super) sources: BTreeMap<Prefix, Placed>,
    pub(super) normal_per_s: Option<u32>,
    /// By apex, as the file has it: lower case, with a dot at the end.
    pub(super) zones: BTreeMap<String, u32>,
}

impl Orders {
    /// Carries an order out; says whether anything is different now. `in_file` says whether the file lists a prefix.
    ///
    /// # Errors
    /// Why it makes no sense, with what would.
    pub(super) fn give(
        &mut self,
        order: Order,
        in_file: impl Fn(&Prefix) -> bool,
        now_unix_s: u64,
    ) -> Result<bool, String> {
        let before = self.clone();
        match order {
            Order::SetMode { filter, mode } => self.set_mode(filter.as_deref(), mode.as_deref())?,
            Order::Put { prefix, list, until_unix_s, why } => {
                let placed = Placed { list, since_unix_s: now_unix_s, until_unix_s, why };
                self.put(&prefix, placed, in_file, now_unix_s)?;
            }
            Order::SetNormal { zone, per_s } => self.set_normal(zone.as_deref(), per_s)?,
            Order::Restore => *self = Self::default(),
            Order::Release { .. } => {}
        }
        Ok(*self != before)
    }

    fn set_mode(&mut self, filter: Option<&str>, mode: Option<&str>) -> Result<(), String> {
        let mode = mode.map(parse_mode).transpose()?;
        match (filter.map(parse_filter).transpose()?, mode) {
            (None, mode) => self.mode = mode,
            (Some(filter), Some(mode)) => drop(self.filters.insert(filter, mode)),
            (Some(filter), None) => drop(self.filters.remove(&filter)),
        }
        Ok(())
    }

    fn put(
        &mut self,
        prefix: &str,
        placed: Placed,
        in_file: impl Fn(&Prefix) -> bool,
        now_unix_s: u64,
    ) -> Result<(), String> {
        let prefix: Prefix = prefix.parse().map_err(|why| format!("{prefix:?}: expected {why}"))?;
        if placed.until_unix_s.is_some_and(|until| until <= now_unix_s) {
            return Err(format!("{prefix}: its end has passed already: expected a time that is to come"));
        }
        if placed.why.len() > WHY_BYTES_MAX || placed.why.chars().any(char::is_control) {
            return Err(format!("{prefix}: expected a reason of at most {WHY_BYTES_MAX} bytes, in one line"));
        }
        if !self.sources.contains_key(&prefix) && self.sources.len() >= SOURCES_MAX {
            return Err(format!("{SOURCES_MAX} prefixes are listed by orders already: more belong into the file"));
        }
        if placed.list.is_none() && !in_file(&prefix) {
            self.sources.remove(&prefix);
            return Ok(());
        }
        self.sources.insert(prefix, placed);
        Ok(())
    }

    fn set_normal(&mut self, zone: Option<&str>, per_s: Option<u32>) -> Result<(), String> {
        if per_s == Some(0) {
            return Err("expected a normal rate of at least 1 in a second".to_owned());
        }
        let Some(zone) = zone else {
            self.normal_per_s = per_s;
            return Ok(());
        };
        let zone = config::normalise_domain_name(zone).map_err(|why| format!("{zone:?}: expected {why}"))?;
        match per_s {
            None => drop(self.zones.remove(&zone)),
            Some(_) if !self.zones.contains_key(&zone) && self.zones.len() >= ZONES_MAX => {
                return Err(format!("{ZONES_MAX} zones have orders already: more belong into the file"));
            }
            Some(per_s) => drop(self.zones.insert(zone, per_s)),
        }
        Ok(())
    }

    /// Takes back what ended; says what that was.
    pub(super) fn end(&mut self, now_unix_s: u64) -> Vec<(Prefix, Placed)> {
        let over = |placed: &Placed| placed.until_unix_s.is_some_and(|until| until <= now_unix_s);
        let (ended, kept): (BTreeMap<_, _>, _) =
            std::mem::take(&mut self.sources).into_iter().partition(|(_, placed)| over(placed));
        self.sources = kept;
        ended.into_iter().collect()
    }
}

pub(super) fn parse_mode(text: &str) -> Result<DefenceMode, String> {
    let found = DefenceMode::ALL.into_iter().find(|mode| mode.as_str() == text);
    found.ok_or_else(|| format!("{text:?} is no mode: expected one of off, observe, on"))
}

pub(super) fn parse_filter(text: &str) -> Result<Filter, String> {
    let found = Filter::ALL.into_iter().find(|filter| filter.as_str() == text);
    found
        .ok_or_else(|| format!("{text:?} is no filter: expected one of {}", Filter::ALL.map(Filter::as_str).join(", ")))
}

/// As they stand in the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    version: u32,
    #[serde(default)]
    mode: Option<String>,
    #[serde(default)]
    filters: BTreeMap<String, String>,
    #[serde(default)]
    sources: BTreeMap<String, Placed>,
    #[serde(default)]
    normal_per_s: Option<u32>,
    #[serde(default)]
    zones: BTreeMap<String, u32>,
}

/// The version alone, of a file that may be of another.
#[derive(Debug, Deserialize)]
struct KeptVersion {
    version: u32,
}

impl Kept {
    fn of(orders: &Orders) -> Self {
        let filters = orders.filters.iter();
        Self {
            version: VERSION,
            mode: orders.mode.map(|mode| mode.as_str().to_owned()),
            filters: filters.map(|(filter, mode)| (filter.as_str().to_owned(), mode.as_str().to_owned())).collect(),
            sources: orders.sources.iter().map(|(prefix, placed)| (prefix.to_string(), placed.clone())).collect(),
            normal_per_s: orders.normal_per_s,
            zones: orders.zones.clone(),
        }
    }

    fn orders(self) -> Result<Orders, String> {
        let filter = |(filter, mode): (String, String)| Ok((parse_filter(&filter)?, parse_mode(&mode)?));
        let source = |(prefix, placed): (String, Placed)| {
            Ok((prefix.parse().map_err(|why| format!("{prefix:?}: expected {why}"))?, placed))
        };
        Ok(Orders {
            mode: self.mode.as_deref().map(parse_mode).transpose()?,
            filters: self.filters.into_iter().map(filter).collect::<Result<_, String>>()?,
            sources: self.sources.into_iter().map(source).collect::<Result<_, String>>()?,
            normal_per_s: self.normal_per_s,
            zones: self.zones,
        })
    }
}

/// Where orders are kept.
#[derive(Clone, Debug)]
pub(super) struct OrdersFile(PathBuf);

impl OrdersFile {
    pub(super) fn within(state_dir: &Path) -> Self {
        Self(state_dir.join(NAME))
    }

    /// Keeps them for the next start.
    pub(super) fn write(&self, orders: &Orders) -> Result<(), String> {
        let text = serde_json::to_vec_pretty(&Kept::of(orders)).map_err(|why| why.to_string())?;
        state_file::write(&self.0, &text).map_err(|why| format!("{}: {why}", self.0.display()))
    }

    /// Those that were kept; where they cannot be read, none, and what is to be said of that.
    pub(super) fn read(&self) -> (Orders, Option<String>) {
        match state_file::load(&self.0, parse) {
            Ok(orders) => (orders.unwrap_or_default(), None),
            Err(why) => {
                let path = self.0.display();
                (
                    Orders::default(),
                    Some(format!("the orders kept in {path} cannot be read, the file alone counts: {why}")),
                )
            }
        }
    }
}

fn parse(bytes: &[u8]) -> Result<Orders, String> {
    if let Ok(KeptVersion { version }) = serde_json::from_slice(bytes)
        && version != VERSION
    {
        return Err(format!("they are of version {version}, where this one reads version {VERSION}"));
    }
    let kept: Kept = serde_json::from_slice(bytes).map_err(|why| format!("torn, or not ours: {why}"))?;
    kept.orders()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000;

    fn put(prefix: &str, list: Option<List>, until_unix_s: Option<u64>) -> Order {
        Order::Put { prefix: prefix.to_owned(), list, until_unix_s, why: "a test".to_owned() }
    }

    fn set_mode(filter: Option<&str>, mode: Option<&str>) -> Order {
        Order::SetMode { filter: filter.map(str::to_owned), mode: mode.map(str::to_owned) }
    }

    fn some_orders() -> Orders {
        let mut orders = Orders::default();
        for order in [
            set_mode(None, Some("observe")),
            set_mode(Some("unknown-source"), Some("off")),
            put("192.0.2.0/24", Some(List::Block), Some(NOW + 60)),
            put("2001:db8::1", Some(List::Allow), None),
            put("198.51.100.7", None, None),
            Order::SetNormal { zone: Some("Example.COM".to_owned()), per_s: Some(700) },
            Order::SetNormal { zone: None, per_s: Some(5000) },
        ] {
            assert_eq!(orders.give(order, |_| true, NOW), Ok(true));
        }
        orders
    }

    #[test]
    fn orders_are_kept_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = OrdersFile::within(folder.path());
        assert_eq!(file.read(), (Orders::default(), None));
        file.write(&some_orders()).unwrap();
        assert_eq!(file.read(), (some_orders(), None));
        assert_eq!(some_orders().zones.keys().collect::<Vec<_>>(), ["example.com."]);
    }

    #[test]
    fn a_torn_file_is_said_and_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let file = OrdersFile::within(folder.path());
        file.write(&some_orders()).unwrap();
        let path = folder.path().join(NAME);
        let whole = std::fs::read(&path).unwrap();
        for length in 0..whole.len() - 1 {
            std::fs::write(&path, &whole[..length]).unwrap();
            let (orders, told) = file.read();
            assert_eq!(orders, Orders::default(), "{length}");
            assert!(told.as_ref().unwrap().contains("torn, or not ours"), "{length}: {told:?}");
            assert!(!path.exists() && folder.path().join("defences.json.bad").exists());
        }
        std::fs::write(&path, "{\"version\": 2, \"sauces\": {}}").unwrap();
        assert!(file.read().1.unwrap().contains("version 2, where this one reads version 1"));
        std::fs::write(&path, "{\"version\": 1, \"filters\": {\"clint\": \"on\"}}").unwrap();
        assert!(file.read().1.unwrap().contains("\"clint\" is no filter: expected one of blocked,"));
    }

    #[test]
    fn what_ends_is_taken_back() {
        let mut orders = some_orders();
        assert_eq!(orders.end(NOW + 59), []);
        let over = orders.end(NOW + 60);
        assert_eq!(over.iter().map(|(prefix, _)| prefix.to_string()).collect::<Vec<_>>(), ["192.0.2.0/24"]);
        assert_eq!(orders.sources.len(), 2);
        assert_eq!(orders.give(Order::Restore, |_| true, NOW), Ok(true));
        assert_eq!(orders, Orders::default());
        assert_eq!(orders.give(Order::Restore, |_| true, NOW), Ok(false));
    }

    #[test]
    fn taking_back_leaves_nothing_behind() {
        let mut orders = Orders::default();
        assert_eq!(orders.give(put("192.0.2.0/24", Some(List::Block), None), |_| false, NOW), Ok(true));
        assert_eq!(orders.give(put("192.0.2.0/24", None, None), |_| false, NOW), Ok(true));
        assert_eq!(orders, Orders::default());
        assert_eq!(orders.give(put("192.0.2.0/24", None, None), |_| false, NOW), Ok(false));
    }

    #[test]
    fn orders_without_sense_change_nothing_and_say_what_would() {
        let check = |order: Order, want: &str| {
            let mut orders = some_orders();
            let why = orders.give(order, |_| true, NOW).unwrap_err();
            assert!(why.contains(want), "{why}");
            assert_eq!(orders, some_orders());
        };
        check(put("192.0.2.1/24", Some(List::Block), None), "write \"192.0.2.0/24\"");
        check(put("everybody", Some(List::Block), None), "expected an address or prefix");
        check(put("192.0.2.1", Some(List::Block), Some(NOW)), "a time that is to come");
        check(set_mode(Some("cleint"), Some("on")), "expected one of blocked, query-of-death");
        check(set_mode(None, Some("full")), "expected one of off, observe, on");
        check(Order::SetNormal { zone: None, per_s: Some(0) }, "at least 1");
        check(Order::SetNormal { zone: Some("a..b".to_owned()), per_s: Some(1) }, "expected no empty label");
    }
}
