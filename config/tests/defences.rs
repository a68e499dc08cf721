//! What the file says of defences against floods, and what keeps them from making sense.

mod support;

use config::schema::{Item, NODE_TABLE, Presence};
use config::{Changes, Config, DefenceMode, Defences, Diagnostics, Filter, Network, NodeChange, Prefix, ShortForm};
use support::Files;

/// One node and one zone, without a word on defences.
const PLAIN: &str = r#"
[node.n]
listen = ["192.0.2.1:53"]
[origin.a]
addresses = ["203.0.113.1"]
[zone."example.com"]
origins = ["a"]
"#;

fn parse(text: &str) -> Config {
    let parsed = Network::parse(text, "net.toml", &Files::default()).unwrap_or_else(|all| panic!("{all}"));
    assert_eq!(parsed.warnings, []);
    parsed.value.for_node("n").unwrap()
}

fn prefixes(texts: &[&str]) -> Vec<Prefix> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// What is said of [`PLAIN`] with this at its end, without file, line and column.
fn check(defences: &str, want: &[&str]) {
    let text = format!("{PLAIN}{defences}");
    let got: Vec<String> = match Network::parse(&text, "net.toml", &Files::default()) {
        Ok(parsed) => parsed.warnings.iter().map(ToString::to_string).collect(),
        Err(diagnostics) => diagnostics.0.iter().map(ToString::to_string).collect(),
    };
    let got: Vec<_> = got.iter().map(|line| line.splitn(4, ':').nth(3).unwrap_or(line).trim()).collect();
    assert_eq!(got, want, "\n{}\n", got.join("\n"));
}

/// The same of the items of one table.
fn check_node(items: &str, want: &[&str]) {
    check(&format!("[node.n.defences]\n{items}\n"), want);
}

#[test]
fn a_file_without_a_word_has_the_defaults_and_they_are_on() {
    let config = parse(PLAIN);
    assert_eq!(config.node.defences, Defences::default());
    assert_eq!(config.node.defences.mode, DefenceMode::On);
    assert!(Filter::ALL.iter().all(|filter| config.node.defences.mode_of(*filter) == DefenceMode::On));
    assert_eq!(config.zones[0].normal_per_s, None);
}

#[test]
fn the_schema_has_all_filters_by_their_names() {
    let defences = NODE_TABLE.tables.iter().find(|table| table.name == "defences").unwrap();
    let filters: Vec<_> = defences.tables[0].items.iter().map(|item: &Item| item.name).collect();
    assert_eq!(filters, Filter::ALL.map(Filter::as_str));
    assert!(defences.items.iter().all(|item| !matches!(item.presence, Presence::Required(_))));
}

#[test]
fn every_item_arrives() {
    let text = PLAIN.to_owned()
        + r#"
normal_per_s = 700
[node.n.defences]
mode = "observe"
allow = ["198.51.100.0/24", "2001:db8::1"]
block = ["203.0.113.7"]
known_good = ["192.0.2.0/25"]
normal_per_s = 5000
miss_threshold = 3
random_source_threshold = 4
client_per_s = 5
prefix_per_s = 6
known_good_factor = 7
ipv4_prefix = 28
ipv6_prefix = 60
repeats_per_s = 4
known_good_after_s = 1
known_good_lifetime_s = 2
random_names_per_s = 11
responses_per_s = 12
slip = 0
stream_cpu_percent = 13
quarantine_s = 14
filters = { client = "off", unknown-source = "observe" }
"#;
    let config = parse(&text);
    let mut filters = [DefenceMode::On; Filter::ALL.len()];
    filters[Filter::Client as usize] = DefenceMode::Off;
    filters[Filter::UnknownSource as usize] = DefenceMode::Observe;
    let want = Defences {
        mode: DefenceMode::Observe,
        filters,
        allow: prefixes(&["198.51.100.0/24", "2001:db8::1"]),
        block: prefixes(&["203.0.113.7"]),
        known_good: prefixes(&["192.0.2.0/25"]),
        normal_per_s: Some(5000),
        normal_per_s_min: 1000,
        miss_threshold: 3,
        random_source_threshold: 4,
        client_per_s: 5,
        prefix_per_s: 6,
        known_good_factor: 7,
        ipv4_prefix: 28,
        ipv6_prefix: 60,
        repeats_per_s: 4,
        known_good_after_s: 1,
        known_good_lifetime_s: 2,
        random_names_per_s: 11,
        responses_per_s: 12,
        slip: 0,
        stream_cpu_percent: 13,
        quarantine_s: 14,
    };
    assert_eq!(config.node.defences, want);
    assert_eq!(config.node.defences.mode_of(Filter::Prefix), DefenceMode::Observe);
    assert_eq!(config.zones[0].normal_per_s, Some(700));
}

#[test]
fn what_nodes_have_in_common_stands_in_the_defaults() {
    let text = PLAIN.to_owned()
        + "[defaults.node.defences]\nslip = 5\nclient_per_s = 50\nallow = [\"198.51.100.1\"]\nfilters.client = \"off\"\n\
           [node.n.defences]\nclient_per_s = 60\n[defaults.zone]\nnormal_per_s = 9\n";
    let config = parse(&text);
    let defences = &config.node.defences;
    assert_eq!((defences.slip, defences.client_per_s), (5, 60));
    assert_eq!(defences.allow, prefixes(&["198.51.100.1"]));
    assert_eq!(defences.mode_of(Filter::Client), DefenceMode::Off);
    assert_eq!(config.zones[0].normal_per_s, Some(9));
}

#[test]
fn thresholds_that_contradict_each_other_are_errors() {
    check_node(
        "miss_threshold = 60",
        &[
            "error: node.n.defences.miss_threshold: found 60; expected less than random_source_threshold, which is 50 by \
           default: to refuse unknown sources is the last resort",
        ],
    );
    check_node(
        "random_source_threshold = 20",
        &[
            "error: node.n.defences.random_source_threshold: found 20; expected more than miss_threshold, which is 20 by \
           default: to refuse unknown sources is the last resort",
        ],
    );
    check_node(
        "miss_threshold = 9\nrandom_source_threshold = 8",
        &[
            "error: node.n.defences.random_source_threshold: found 8; expected more than miss_threshold, which is 9: to \
           refuse unknown sources is the last resort",
        ],
    );
    check_node(
        "prefix_per_s = 100",
        &["error: node.n.defences.prefix_per_s: found 100; expected at least client_per_s, which is 200 by default"],
    );
    check_node(
        "client_per_s = 5\nprefix_per_s = 4",
        &[
            "error: node.n.defences.client_per_s: found 5; expected at most prefix_per_s, which is 4",
            "error: node.n.defences.client_per_s: found 5; expected at least repeats_per_s, which is 10 by default",
        ],
    );
    check_node(
        "known_good_lifetime_s = 60",
        &[
            "error: node.n.defences.known_good_lifetime_s: found 60; expected at least known_good_after_s, which is 600 by \
           default",
        ],
    );
    check(
        "normal_per_s = 600\n[node.n.defences]\nnormal_per_s = 500\n",
        &[
            "warning: node.n.defences.normal_per_s: found 500; expected at least what is normal for each zone; normal_per_s \
           of [zone.\"example.com\"] is 600",
        ],
    );
    check_node(
        "normal_per_s = 500\nnormal_per_s_min = 400",
        &["warning: node.n.defences.normal_per_s_min: found an item of no use here; expected only one of it and \
           normal_per_s: a rate that was set by hand is taken as it is"],
    );
}

#[test]
fn members_of_catalogs_learn_what_is_normal() {
    check(
        "[template.bulk]\nnormal_per_s = 5\n[catalog.\"cat.example\"]\norigins = [\"a\"]\ntemplate = \"bulk\"\n",
        &[
            "warning: template.bulk.normal_per_s: found an item of no use here; expected a zone of its own name: what is \
           normal for members of catalogs is learned",
        ],
    );
}

#[test]
fn budgets_have_bounds() {
    let rate = "a whole number from 1 to 1000000000, in a second";
    for item in ["client_per_s", "prefix_per_s", "repeats_per_s", "responses_per_s", "random_names_per_s"] {
        let want = format!("error: node.n.defences.{item}: found 0; expected {rate}");
        check_node(&format!("{item} = 0"), &[&want]);
    }
    check_node(
        "slip = 11\nipv4_prefix = 33\nipv6_prefix = 65\nstream_cpu_percent = 0\nknown_good_after_s = 0\nmiss_threshold = 1",
        &[
            "error: node.n.defences.slip: found 11; expected a whole number from 0 to 10",
            "error: node.n.defences.ipv4_prefix: found 33; expected a whole number from 8 to 32",
            "error: node.n.defences.ipv6_prefix: found 65; expected a whole number from 16 to 64",
            "error: node.n.defences.stream_cpu_percent: found 0; expected a whole number from 1 to 100, in percent",
            "error: node.n.defences.known_good_after_s: found 0; expected a whole number from 1 to 31536000, in seconds",
            "error: node.n.defences.miss_threshold: found 1; expected a whole number from 2 to 1000000",
        ],
    );
    check("normal_per_s = 0\n", &[&format!("error: zone.\"example.com\".normal_per_s: found 0; expected {rate}")]);
}

#[test]
fn broken_lists_are_errors() {
    let kind = "an address or prefix such as \"192.0.2.53\", \"192.0.2.0/24\" or \"2001:db8::/32\"";
    check_node(
        "allow = [\"192.0.2.1/24\", \"somebody\"]\nblock = [\"2001:db8::/129\"]",
        &[
            "error: node.n.defences.allow[0]: found \"192.0.2.1/24\"; expected no bits set behind the prefix length: write \
             \"192.0.2.0/24\"",
            &format!("error: node.n.defences.allow[1]: found \"somebody\"; expected {kind}"),
            &format!("error: node.n.defences.block[0]: found \"2001:db8::/129\"; expected {kind}"),
        ],
    );
    check_node(
        "allow = [\"192.0.2.0/24\", \"192.0.2.0/24\"]\nblock = [\"192.0.2.0/24\", \"198.51.100.1\"]\n\
         known_good = [\"198.51.100.1/32\"]",
        &[
            "error: node.n.defences.allow[0]: found \"192.0.2.0/24\", which is in `block` too; expected each prefix in one \
             of them",
            "error: node.n.defences.allow[1]: found \"192.0.2.0/24\" again; expected each prefix once",
            "error: node.n.defences.known_good[0]: found \"198.51.100.1\", which is in `block` too; expected each prefix in \
             one of them",
        ],
    );
    check_node(
        "allow = [\"192.0.2.0/24\"]\nblock = [\"192.0.2.128/25\", \"192.0.0.0/16\"]",
        &["warning: node.n.defences.block[0]: found \"192.0.2.128/25\", which is within \"192.0.2.0/24\" of `allow`; \
           expected sources that `allow` does not have: those are answered, whatever `block` says"],
    );
    check_node(
        "allow = [\"::/0\"]\nblock = [\"0.0.0.0/0\"]",
        &[
            "warning: node.n.defences.allow[0]: found \"::/0\", which is all; expected some sources: nobody of this family \
             is ever limited so (or mode = \"off\")",
            "warning: node.n.defences.block[0]: found \"0.0.0.0/0\", which is all; expected some sources: nobody of this \
             family is ever answered so",
        ],
    );
}

#[test]
fn unknown_filters_and_modes_are_errors_with_a_hint() {
    let names = Filter::ALL.map(Filter::as_str).join(", ");
    check_node(
        "filters.unknown-sorce = \"on\"",
        &[&format!(
            "error: node.n.defences.filters.unknown-sorce: found an unknown name; expected one of {names} (did you mean \
             \"unknown-source\"?)"
        )],
    );
    check_node(
        "mode = \"observ\"\nfilters.client = true",
        &[
            "error: node.n.defences.mode: found \"observ\"; expected one of \"off\", \"observe\", \"on\" (did you mean \
             \"observe\"?)",
            "error: node.n.defences.filters.client: found true; expected one of \"off\", \"observe\", \"on\"",
        ],
    );
    check_node(
        "mode = \"observe\"\nfilters.client = \"on\"\nfilters.prefix = \"off\"",
        &[
            "warning: node.n.defences.filters.client: found \"on\", where mode is \"observe\" for all; expected no more than \
           all of them may: mode = \"on\" lets each go as far as it says",
        ],
    );
}

#[test]
fn other_defences_need_no_restart() {
    let changed = parse(&(PLAIN.to_owned() + "[node.n.defences]\nslip = 3\n"));
    let changes = Changes::between(&parse(PLAIN), &changed);
    assert_eq!(changes.node, [NodeChange { item: "defences", needs_restart: false }]);
    assert_eq!((changes.need_restart().count(), changes.zones_changed.len()), (0, 0));
}

#[test]
fn the_short_form_has_a_mode_and_sources_that_are_never_limited() {
    let form = ShortForm {
        node: "edge".to_owned(),
        origins: vec!["203.0.113.1:53".parse().unwrap()],
        zones: vec!["example.com".to_owned()],
        listen: vec!["192.0.2.1:53".parse().unwrap()],
        state_dir: "state".into(),
        ..ShortForm::default()
    };
    let to_config = |form: ShortForm| form.to_config(&Files::default()).map(|parsed| parsed.value.node.defences);
    assert_eq!(to_config(form.clone()), Ok(Defences::default()));
    let allow = prefixes(&["198.51.100.0/24", "2001:db8::/32", "198.51.100.0/24"]);
    let said = ShortForm { defences: DefenceMode::Observe, allow, ..form };
    let want = Defences {
        mode: DefenceMode::Observe,
        allow: prefixes(&["198.51.100.0/24", "2001:db8::/32"]),
        ..Defences::default()
    };
    assert_eq!(to_config(said.clone()), Ok(want));
    let too_many =
        (0..2000u32).map(|n| Prefix::from(std::net::IpAddr::from((0x0a00_0000 + n).to_be_bytes()))).collect();
    let Err(Diagnostics(all)) = to_config(ShortForm { allow: too_many, ..said }) else { panic!("took too many") };
    assert_eq!(all.iter().map(|one| one.item.as_str()).collect::<Vec<_>>(), ["--allow"]);
}
