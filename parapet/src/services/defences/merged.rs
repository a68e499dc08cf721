//! The defences that hold: what the file says, with what was ordered over it, and with those who are never limited because
//! the network needs them. Of each value it is known who says so.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use config::{Config, DefenceMode, Defences, Filter, Prefix};
use serde_json::Value;

use super::orders::{List, Orders};
use super::report::{By, ListedSource, Setting, ZoneNormal};

/// What the network file says that matters here.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Said {
    pub(super) defences: Defences,
    /// Origins, other nodes, and the node itself.
    pub(super) own: Vec<Prefix>,
    /// Normal rates of zones, by apex.
    pub(super) zones: BTreeMap<String, u32>,
}

impl Said {
    pub(super) fn by(config: &Config) -> Self {
        let normal = |zone: &config::Zone| Some((zone.name.clone(), zone.normal_per_s?));
        Self {
            defences: config.node.defences.clone(),
            own: own(config),
            zones: config.zones.iter().filter_map(normal).collect(),
        }
    }

    /// Whether the file has this prefix on a list.
    pub(super) fn lists(&self, prefix: &Prefix) -> bool {
        let Defences { allow, block, known_good, .. } = &self.defences;
        [allow, block, known_good].into_iter().any(|list| list.contains(prefix))
    }
}

/// Whom the network needs: NOTIFY, transfers and what nodes ask of each other and of themselves must not be lost in a flood.
fn own(config: &Config) -> Vec<Prefix> {
    let listen = config.node.listen.iter().map(|address| address.ip());
    let own = listen.chain(config.services.iter().flat_map(|service| service.addresses.iter().copied()));
    // A socket of all addresses is asked at that of the loopback interface by the node itself.
    let own = own.map(|address| match address {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        address => address,
    });
    let origins = config.origins.values().flat_map(|origin| &origin.addresses).map(|address| address.ip());
    let below = config.downstream.iter().flat_map(|node| &node.addresses).map(|address| address.ip());
    let fleet = config.fleet.iter().map(|node| node.address.ip());
    let transfer = config.node.transfer_addresses.iter().map(|address| address.ip());
    let addresses = own.chain(transfer).chain(origins).chain(below).chain(fleet);
    let mut prefixes: Vec<Prefix> = addresses.filter(|address| !address.is_unspecified()).map(Prefix::from).collect();
    // Who notifies from one address only; a whole network may be the world.
    let notifiers = config.origins.values().flat_map(|origin| &origin.notify_from);
    prefixes.extend(notifiers.filter(|prefix| prefix.net().prefix_len() == prefix.net().max_prefix_len()));
    prefixes.sort_unstable();
    prefixes.dedup();
    prefixes
}

/// The defences that hold.
pub(super) fn merge(said: &Said, orders: &Orders) -> Defences {
    let mut merged = said.defences.clone();
    merged.mode = orders.mode.unwrap_or(merged.mode);
    for (filter, mode) in Filter::ALL.iter().zip(&mut merged.filters) {
        *mode = orders.filters.get(filter).copied().unwrap_or(*mode);
    }
    merged.normal_per_s = orders.normal_per_s.or(merged.normal_per_s);
    for (list, prefixes) in
        [(List::Allow, &mut merged.allow), (List::Block, &mut merged.block), (List::KnownGood, &mut merged.known_good)]
    {
        prefixes.retain(|prefix| !orders.sources.contains_key(prefix));
        let ordered = orders.sources.iter().filter(|(_, placed)| placed.list == Some(list));
        prefixes.extend(ordered.map(|(prefix, _)| *prefix));
    }
    merged.allow.extend(&said.own);
    merged.allow.sort_unstable();
    merged.allow.dedup();
    merged
}

/// The normal rates of zones that were set by hand, by apex.
pub(super) fn normal_by_hand(said: &Said, orders: &Orders) -> BTreeMap<String, u32> {
    let mut zones = said.zones.clone();
    zones.extend(orders.zones.clone());
    zones
}

/// The same with who says so.
pub(super) fn zones(said: &Said, orders: &Orders) -> Vec<ZoneNormal> {
    let by = |zone: &String| if orders.zones.contains_key(zone) { By::Order } else { By::File };
    let all = normal_by_hand(said, orders).into_iter();
    all.map(|(zone, per_s)| ZoneNormal { by: by(&zone), zone, per_s }).collect()
}

/// All listed sources, with who says so.
pub(super) fn sources(said: &Said, orders: &Orders) -> Vec<ListedSource> {
    let lists = [
        (List::Allow, &said.defences.allow, By::File),
        (List::Allow, &said.own, By::Network),
        (List::Block, &said.defences.block, By::File),
        (List::KnownGood, &said.defences.known_good, By::File),
    ];
    let mut all = Vec::new();
    for (list, prefixes, by) in lists {
        let counts = |prefix: &&Prefix| by == By::Network || !orders.sources.contains_key(*prefix);
        all.extend(prefixes.iter().filter(counts).map(|prefix| ListedSource {
            prefix: prefix.to_string(),
            list: Some(list),
            by,
            since_unix_s: None,
            until_unix_s: None,
            why: String::new(),
        }));
    }
    all.extend(orders.sources.iter().map(|(prefix, placed)| ListedSource {
        prefix: prefix.to_string(),
        list: placed.list,
        by: By::Order,
        since_unix_s: Some(placed.since_unix_s),
        until_unix_s: placed.until_unix_s,
        why: placed.why.clone(),
    }));
    all
}

/// Every item of `[node.NAME.defences]` but the lists, with who says so.
pub(super) fn settings(said: &Said, orders: &Orders) -> Vec<Setting> {
    let (file, default, merged) = (&said.defences, Defences::default(), merge(said, orders));
    let mode = |mode: DefenceMode| Value::from(mode.as_str());
    let optional = |rate: Option<u32>| rate.map_or(Value::Null, Value::from);
    let mut all = Vec::new();
    let mut add = |item: String, values: [Value; 3], ordered: bool| {
        let [value, file, default] = values;
        let by = match ordered {
            true => By::Order,
            false if file == default => By::Default,
            false => By::File,
        };
        all.push(Setting { item, value, by, otherwise: ordered.then_some(file) });
    };
    add("mode".to_owned(), [&merged, file, &default].map(|one| mode(one.mode)), orders.mode.is_some());
    for (number, filter) in Filter::ALL.into_iter().enumerate() {
        let own = |one: &Defences| one.filters.get(number).map_or(Value::Null, |own| mode(*own));
        let ordered = orders.filters.contains_key(&filter);
        add(format!("filters.{}", filter.as_str()), [&merged, file, &default].map(own), ordered);
    }
    let normal = [&merged, file, &default].map(|one| optional(one.normal_per_s));
    add("normal_per_s".to_owned(), normal, orders.normal_per_s.is_some());
    for (item, read) in NUMBERS {
        add((*item).to_owned(), [&merged, file, &default].map(|one| Value::from(read(one))), false);
    }
    all
}

/// Reads one number of the defences.
type ReadNumber = fn(&Defences) -> u32;

/// The items that no order changes.
const NUMBERS: &[(&str, ReadNumber)] = &[
    ("normal_per_s_min", |all| all.normal_per_s_min),
    ("miss_threshold", |all| all.miss_threshold),
    ("random_source_threshold", |all| all.random_source_threshold),
    ("client_per_s", |all| all.client_per_s),
    ("prefix_per_s", |all| all.prefix_per_s),
    ("known_good_factor", |all| all.known_good_factor),
    ("ipv4_prefix", |all| all.ipv4_prefix.into()),
    ("ipv6_prefix", |all| all.ipv6_prefix.into()),
    ("repeats_per_s", |all| all.repeats_per_s),
    ("known_good_after_s", |all| all.known_good_after_s),
    ("known_good_lifetime_s", |all| all.known_good_lifetime_s),
    ("random_names_per_s", |all| all.random_names_per_s),
    ("responses_per_s", |all| all.responses_per_s),
    ("slip", |all| all.slip),
    ("stream_cpu_percent", |all| all.stream_cpu_percent),
    ("quarantine_s", |all| all.quarantine_s),
];

#[cfg(test)]
mod tests {
    use super::super::orders::Order;
    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    fn said() -> Said {
        let defences = Defences {
            allow: vec![prefix("198.51.100.0/24")],
            block: vec![prefix("203.0.113.7"), prefix("203.0.113.8")],
            slip: 3,
            ..Defences::default()
        };
        Said { defences, own: vec![prefix("192.0.2.53")], zones: [("example.com.".to_owned(), 700)].into() }
    }

    fn orders(given: impl IntoIterator<Item = Order>) -> Orders {
        let mut orders = Orders::default();
        given.into_iter().for_each(|order| assert_eq!(orders.give(order, |_| true, 1), Ok(true)));
        orders
    }

    fn put(prefix: &str, list: Option<List>) -> Order {
        Order::Put { prefix: prefix.to_owned(), list, until_unix_s: None, why: String::new() }
    }

    #[test]
    fn without_orders_the_file_counts_and_the_network_is_never_limited() {
        let merged = merge(&said(), &Orders::default());
        assert_eq!(merged.allow, [prefix("192.0.2.53"), prefix("198.51.100.0/24")]);
        assert_eq!(Defences { allow: said().defences.allow, ..merged }, said().defences);
    }

    #[test]
    fn an_order_counts_over_the_file() {
        let mode = |filter: Option<&str>, mode: &str| Order::SetMode {
            filter: filter.map(str::to_owned),
            mode: Some(mode.to_owned()),
        };
        let orders = orders([
            mode(None, "observe"),
            mode(Some("client"), "off"),
            put("203.0.113.7", None),
            put("198.51.100.0/24", Some(List::Block)),
            put("203.0.113.8", Some(List::KnownGood)),
            // The network needs it all the same.
            put("192.0.2.53", Some(List::Block)),
            Order::SetNormal { zone: Some("example.com".to_owned()), per_s: Some(9) },
        ]);
        let merged = merge(&said(), &orders);
        assert_eq!((merged.mode, merged.mode_of(Filter::Client)), (DefenceMode::Observe, DefenceMode::Off));
        assert_eq!(merged.allow, [prefix("192.0.2.53")]);
        assert_eq!(merged.block, [prefix("192.0.2.53"), prefix("198.51.100.0/24")]);
        assert_eq!(merged.known_good, [prefix("203.0.113.8")]);
        assert_eq!(normal_by_hand(&said(), &orders), [("example.com.".to_owned(), 9)].into());
    }

    #[test]
    fn of_each_value_it_is_known_who_says_so() {
        let given = [Order::SetMode { filter: None, mode: Some("observe".to_owned()) }, put("203.0.113.7", None)];
        let orders = orders(given);
        let settings = settings(&said(), &orders);
        let find = |item: &str| settings.iter().find(|setting| setting.item == item).cloned().unwrap();
        let setting = |item: &str, value: Value, by: By, otherwise: Option<Value>| Setting {
            item: item.to_owned(),
            value,
            by,
            otherwise,
        };
        assert_eq!(find("mode"), setting("mode", "observe".into(), By::Order, Some("on".into())));
        assert_eq!(find("slip"), setting("slip", 3.into(), By::File, None));
        assert_eq!(find("client_per_s"), setting("client_per_s", 200.into(), By::Default, None));
        assert_eq!(find("filters.stream").by, By::Default);
        let listed = sources(&said(), &orders);
        let listed: Vec<_> = listed.iter().map(|one| (one.prefix.as_str(), one.list, one.by)).collect();
        assert_eq!(
            listed,
            [
                ("198.51.100.0/24", Some(List::Allow), By::File),
                ("192.0.2.53", Some(List::Allow), By::Network),
                ("203.0.113.8", Some(List::Block), By::File),
                ("203.0.113.7", None, By::Order),
            ]
        );
        assert_eq!(zones(&said(), &orders)[0].by, By::File);
    }
}
