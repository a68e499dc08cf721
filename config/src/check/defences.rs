//! What a node does against floods: what must fit together.

use super::Checker;
use crate::model::{DefenceMode, Defences, Filter, Zone};
use crate::prefix::Prefix;
use crate::reader::{Section, join};
use crate::value::{Found, Value};

/// The lists of sources.
const LISTS: [&str; 3] = ["allow", "block", "known_good"];

impl Checker<'_, '_> {
    pub(super) fn defences(&mut self, section: &Section) -> Defences {
        self.check_thresholds(section);
        for (small, large) in [
            ("client_per_s", "prefix_per_s"),
            ("repeats_per_s", "client_per_s"),
            ("known_good_after_s", "known_good_lifetime_s"),
        ] {
            self.check_order(section, small, large);
        }
        if section.says("normal_per_s_min") && section.says("normal_per_s") {
            let path = join(&section.path, "normal_per_s_min");
            let expected = "only one of it and normal_per_s: a rate that was set by hand is taken as it is";
            self.sink.warning(section.position("normal_per_s_min"), &path, "an item of no use here", expected);
        }
        self.check_lists(section);
        let mode = mode(section, "mode");
        self.check_modes(&section.section("filters"), mode);
        defences(section, mode)
    }

    /// Reports a threshold that arms the stricter defence before, or with, the milder one.
    fn check_thresholds(&mut self, section: &Section) {
        let (miss, random) = ("miss_threshold", "random_source_threshold");
        let (Some(low), Some(high)) = (section.found(miss), section.found(random)) else { return };
        let (low_number, high_number) = (section.integer(miss), section.integer(random));
        if low_number < high_number {
            return;
        }
        // The one that the file sets is the one to mend.
        let (item, other, number, than) = match (high.at, low.at) {
            (None, Some(_)) => (miss, random, (low_number, high_number), "less"),
            _ => (random, miss, (high_number, low_number), "more"),
        };
        let by_default = |found: &Found| if found.at.is_none() { " by default" } else { "" };
        let by_default = by_default(if item == miss { high } else { low });
        let expected = format!(
            "{than} than {other}, which is {}{by_default}: to refuse unknown sources is the last resort",
            number.1
        );
        self.sink.error(section.position(item), &join(&section.path, item), number.0, expected);
    }

    /// Reports sources that stand twice, or in lists that contradict each other, and those without effect.
    fn check_lists(&mut self, section: &Section) {
        let entries = |list: &'static str| {
            let prefix = |(index, found): (usize, &Found)| match found.value {
                Value::Prefix(prefix) => Some((index, prefix, found.at.unwrap_or(section.at))),
                _ => None,
            };
            section.list(list).iter().enumerate().filter_map(prefix).collect::<Vec<_>>()
        };
        let lists = LISTS.map(entries);
        let [allow, block, _] = &lists;
        let path = |list: &str, index: usize| format!("{}[{index}]", join(&section.path, list));
        for (list, entries) in LISTS.iter().zip(&lists) {
            for (nth, (index, prefix, at)) in entries.iter().enumerate() {
                if entries.iter().take(nth).any(|(_, other, _)| other == prefix) {
                    self.sink.error(*at, &path(list, *index), format_args!("\"{prefix}\" again"), "each prefix once");
                } else if *list != "block" && block.iter().any(|(_, other, _)| other == prefix) {
                    let found = format!("\"{prefix}\", which is in `block` too");
                    self.sink.error(*at, &path(list, *index), found, "each prefix in one of them");
                } else if *list != "known_good" && prefix.net().prefix_len() == 0 {
                    let expected = match *list {
                        "allow" => "some sources: nobody of this family is ever limited so (or mode = \"off\")",
                        _ => "some sources: nobody of this family is ever answered so",
                    };
                    self.sink.warning(*at, &path(list, *index), format_args!("\"{prefix}\", which is all"), expected);
                }
            }
        }
        let covers = |outer: &Prefix, inner: &Prefix| outer != inner && outer.net().contains(&inner.net());
        for (index, prefix, at) in block {
            if let Some((_, outer, _)) = allow.iter().find(|(_, outer, _)| covers(outer, prefix)) {
                let found = format!("\"{prefix}\", which is within \"{outer}\" of `allow`");
                let expected = "sources that `allow` does not have: those are answered, whatever `block` says";
                self.sink.warning(*at, &path("block", *index), found, expected);
            }
        }
    }

    /// Warns of filters that the node itself lets go farther than all of them may.
    fn check_modes(&mut self, filters: &Section, mode: DefenceMode) {
        for filter in Filter::ALL.map(Filter::as_str) {
            let own = self::mode(filters, filter);
            if filters.says(filter) && own > mode {
                let found = format!("{:?}, where mode is {:?} for all", own.as_str(), mode.as_str());
                let expected = "no more than all of them may: mode = \"on\" lets each go as far as it says";
                self.sink.warning(filters.position(filter), &join(&filters.path, filter), found, expected);
            }
        }
    }

    /// Warns of a zone for which more is normal than for the whole node that answers for it.
    pub(super) fn check_normal_rates(&mut self, section: &Section, defences: &Defences, zones: &[Zone]) {
        let Some(node_normal) = defences.normal_per_s else { return };
        let greatest = zones.iter().max_by_key(|zone| zone.normal_per_s);
        if let Some(zone) = greatest.filter(|zone| zone.normal_per_s > Some(node_normal)) {
            let expected = format!(
                "at least what is normal for each zone; normal_per_s of [zone.{:?}] is {}",
                zone.name.trim_end_matches('.'),
                zone.normal_per_s.unwrap_or_default()
            );
            let path = join(&section.path, "normal_per_s");
            self.sink.warning(section.position("normal_per_s"), &path, node_normal, expected);
        }
    }
}

fn mode(section: &Section, name: &str) -> DefenceMode {
    let text = section.text(name);
    DefenceMode::ALL.into_iter().find(|mode| Some(mode.as_str()) == text).unwrap_or_default()
}

fn defences(section: &Section, mode: DefenceMode) -> Defences {
    let filters = section.section("filters");
    Defences {
        mode,
        filters: Filter::ALL.map(|filter| self::mode(&filters, filter.as_str())),
        allow: section.prefixes("allow"),
        block: section.prefixes("block"),
        known_good: section.prefixes("known_good"),
        normal_per_s: section.found("normal_per_s").map(|_| section.number("normal_per_s")),
        normal_per_s_min: section.number("normal_per_s_min"),
        miss_threshold: section.number("miss_threshold"),
        random_source_threshold: section.number("random_source_threshold"),
        client_per_s: section.number("client_per_s"),
        prefix_per_s: section.number("prefix_per_s"),
        known_good_factor: section.number("known_good_factor"),
        ipv4_prefix: section.number("ipv4_prefix"),
        ipv6_prefix: section.number("ipv6_prefix"),
        repeats_per_s: section.number("repeats_per_s"),
        known_good_after_s: section.number("known_good_after_s"),
        known_good_lifetime_s: section.number("known_good_lifetime_s"),
        random_names_per_s: section.number("random_names_per_s"),
        responses_per_s: section.number("responses_per_s"),
        slip: section.number("slip"),
        stream_cpu_percent: section.number("stream_cpu_percent"),
        quarantine_s: section.number("quarantine_s"),
    }
}
