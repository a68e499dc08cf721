//! What a file means that says how zones are filled: modes, catalogs, nodes that take zones from nodes, TLS, APIs.

mod support;

use config::{Changes, Config, Mode, Network, ShortForm, UPSTREAM_PREFIX, Zonemd};
use support::{Files, KEY_FILE};

const NETWORK: &str = r#"
[network]
node_key = "nodes"

[key.nodes]
key_file = "transfer.key"

[defaults.node.api]
token_file = "api.token"

[node.hub]
listen = ["192.0.2.1:53", "[::]:53"]
api = { listen = "192.0.2.1:8053", certificate = "api.crt", key_file = "api.pem" }
[node.leaf]
listen = ["[::]:53"]
upstream = ["hub"]
transfer_addresses = ["192.0.2.2"]
api = { listen = "192.0.2.2:8053", url = "http://leaf.example:80/" }

[origin.a]
addresses = ["192.0.2.53"]
[origin.b]
addresses = ["192.0.2.54", "192.0.2.54:8853"]
tls = { pins_sha256 = ["47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="] }

[defaults.zone]
origins = ["a"]
pull_interval_s = 60

[zone."pull.example"]
mode = "pull"
zonemd = "require"
[zone."cache.example"]
mode = "on-demand"
on_demand = { misses_per_s_max = 5, whole_records_max = 1000 }
[zone."signed.example".dnssec]
validate = true
trust_anchors = ["20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"]

[template.bulk]
[template.signed]
origins = ["a"]
dnssec.validate = true

[catalog."catalog.example"]
origins = ["b"]
template = "bulk"
members_max = 10
[catalog."catalog.example".group.signed]
template = "signed"
[catalog."catalog.example".group.other]
value = "an other"
template = "bulk"
"#;

fn network(text: &str) -> Network {
    let files = Files([("/etc/transfer.key", KEY_FILE)].into());
    let parsed = Network::parse(text, "/etc/network.toml", &files).unwrap_or_else(|all| panic!("{all}"));
    assert_eq!(parsed.warnings, []);
    parsed.value
}

fn node(text: &str, name: &str) -> Config {
    network(text).for_node(name).unwrap()
}

#[test]
fn zones_have_modes() {
    let network = network(NETWORK);
    let zone = |name: &str| network.zones.iter().find(|zone| zone.name == name).unwrap();
    let pull = zone("pull.example.");
    assert_eq!((pull.mode, pull.pull_interval_s, pull.zonemd), (Mode::Pull, 60, Zonemd::Require));
    let cache = zone("cache.example.");
    assert_eq!((cache.mode, cache.on_demand.misses_per_s_max), (Mode::OnDemand, 5));
    assert_eq!((cache.on_demand.whole_records_max, cache.on_demand.client_wait_ms), (1000, 1800));
    let signed = zone("signed.example.");
    let anchor = &signed.dnssec.trust_anchors[0];
    assert!(signed.dnssec.validate && signed.mode == Mode::Push);
    assert_eq!((anchor.key_tag, anchor.algorithm, anchor.digest_type, anchor.digest[0]), (20326, 8, 2, 0xe0));
}

#[test]
fn members_have_their_template_and_without_origins_their_catalog_s() {
    let network = network(NETWORK);
    let [catalog] = network.catalogs.as_slice() else { panic!("{:?}", network.catalogs) };
    assert_eq!((catalog.name.as_str(), catalog.members_max), ("catalog.example.", 10));
    assert_eq!(
        (catalog.origins.as_slice(), catalog.template.origins.as_slice()),
        (["b".into()].as_slice(), ["b".into()].as_slice())
    );
    assert_eq!(catalog.template.pull_interval_s, 60);
    assert_eq!(catalog.groups.keys().collect::<Vec<_>>(), ["an other", "signed"]);
    let signed = &catalog.groups["signed"];
    assert!(signed.dnssec.validate && !catalog.template.dnssec.validate);
    assert_eq!(signed.origins, ["a"]);
    let without = network_with(|text| text.replace("\ntemplate = \"bulk\"\nmembers_max", "\nmembers_max"));
    assert_eq!(without.catalogs[0].template, catalog.template);
}

fn network_with(change: impl Fn(&str) -> String) -> Network {
    network(&change(NETWORK))
}

#[test]
fn transfers_over_tls_have_a_port_of_their_own() {
    let network = network(NETWORK);
    let (a, b) = (&network.origins["a"], &network.origins["b"]);
    assert_eq!((a.addresses[0].port(), a.tls.is_none(), a.cookies), (53, true, true));
    assert_eq!(b.addresses.iter().map(std::net::SocketAddr::port).collect::<Vec<_>>(), [853, 8853]);
    assert_eq!(b.tls.as_ref().unwrap().pins_sha256[0][..4], [0xe3, 0xb0, 0xc4, 0x42]);
}

#[test]
fn upstream_nodes_are_origins_in_front_of_the_zones_own() {
    let leaf = node(NETWORK, "leaf");
    let hub = format!("{UPSTREAM_PREFIX}hub");
    let origin = &leaf.origins[&hub];
    assert_eq!(origin.addresses, ["192.0.2.1:53".parse().unwrap()]);
    assert_eq!(origin.key.as_deref(), Some("nodes."));
    assert!(origin.notify_from[0].contains("192.0.2.1".parse().unwrap()));
    let origins = |config: &Config, name: &str| {
        config.zones.iter().find(|zone| zone.name == name).map(|zone| zone.origins.clone()).unwrap()
    };
    assert_eq!(origins(&leaf, "pull.example."), [hub.as_str(), "a"]);
    assert_eq!(origins(&leaf, "cache.example."), ["a"]);
    assert_eq!(leaf.catalogs[0].origins, [hub.as_str(), "b"]);
    assert_eq!(leaf.catalogs[0].template.origins, [hub.as_str(), "b"]);
    assert_eq!(leaf.catalogs[0].groups["signed"].origins, [hub.as_str(), "a"]);
    assert!(leaf.downstream.is_empty());

    let alone =
        node(&NETWORK.replace("upstream = [\"hub\"]", "upstream = [\"hub\"]\nupstream_fallback = false"), "leaf");
    assert_eq!(origins(&alone, "pull.example."), [hub.as_str()]);
    assert_eq!(origins(&alone, "cache.example."), ["a"]);

    let hub = node(NETWORK, "hub");
    assert_eq!(origins(&hub, "pull.example."), ["a"]);
    assert_eq!((hub.downstream[0].node.as_str(), hub.downstream.len()), ("leaf", 1));
    assert_eq!(hub.downstream[0].addresses, ["192.0.2.2:53".parse().unwrap()]);
    assert_eq!(hub.node_key.as_deref(), Some("nodes."));
}

#[test]
fn every_node_knows_how_the_others_apis_are_reached() {
    let peers = node(NETWORK, "leaf").peers;
    let shown: Vec<_> = peers.iter().map(|peer| (peer.node.as_str(), peer.url.as_str())).collect();
    assert_eq!(shown, [("hub", "https://192.0.2.1:8053"), ("leaf", "http://leaf.example:80")]);
    assert!(peers.iter().all(|peer| peer.token_file == std::path::Path::new("/etc/api.token")));
    assert_eq!(peers[0].ca_file.as_deref(), Some(std::path::Path::new("/etc/api.crt")));
}

#[test]
fn the_short_form_has_modes_and_catalogs() {
    let form = ShortForm {
        node: "edge".to_owned(),
        origins: vec!["192.0.2.53:53".parse().unwrap()],
        zones: vec!["example.com".to_owned()],
        catalogs: vec!["Catalog.example".to_owned()],
        mode: Mode::Pull,
        pull_interval_s: Some(7),
        listen: vec!["127.0.0.1:5300".parse().unwrap()],
        state_dir: "state".into(),
        ..ShortForm::default()
    };
    let parsed = form.to_config(&Files::default()).unwrap_or_else(|all| panic!("{all}\n{}", form.to_toml()));
    assert_eq!(parsed.warnings, []);
    let (zone, catalog) = (&parsed.value.zones[0], &parsed.value.catalogs[0]);
    assert_eq!((zone.mode, zone.pull_interval_s), (Mode::Pull, 7));
    assert_eq!((catalog.name.as_str(), catalog.template.mode), ("catalog.example.", Mode::Pull));
    assert_eq!(catalog.template.origins, ["origin-1"]);
    let Err(all) = ShortForm { pull_interval_s: Some(0), ..form }.to_config(&Files::default()) else {
        panic!("took an interval of 0")
    };
    assert_eq!(all.0[0].item, "--pull-interval-s");
}

#[test]
fn changes_of_catalogs_and_nodes_are_seen() {
    let changes =
        |from: &str, to: &str| Changes::between(&node(NETWORK, "hub"), &node(&NETWORK.replace(from, to), "hub"));
    assert_eq!(changes("members_max = 10", "members_max = 11").catalogs, ["catalog.example."]);
    assert_eq!(changes("dnssec.validate = true\n", "").catalogs, ["catalog.example."]);
    assert_eq!(changes("addresses = [\"192.0.2.54\"", "addresses = [\"192.0.2.55\"").catalogs, ["catalog.example."]);
    let peers = changes("transfer_addresses = [\"192.0.2.2\"]", "transfer_addresses = [\"192.0.2.3\"]");
    assert!(peers.peers && peers.catalogs.is_empty() && peers.node.is_empty());
    let api = changes("listen = \"192.0.2.1:8053\"", "listen = \"192.0.2.1:8054\"");
    assert_eq!(api.need_restart().collect::<Vec<_>>(), ["api"]);
}
