//! What a file means: defaults, templates, one spelling of names, one machine's part of it.

mod support;

use std::path::Path;

use config::{
    Changes, Config, KernelAttach, KernelCrash, KernelMode, KeyAlgorithm, Lanes, LogFormat, Network, NodeChange,
    OnExpire, ShortForm,
};
use support::{Files, KEY_FILE};

const NETWORK: &str = r#"
[network]
name = "demo"
cookie_secrets = ["e5e973e5a6b2a43f48e7dc849e37bfcf"]

[defaults.node]
listen = ["192.0.2.1:53"]
log = "json"
limits.tcp_idle_ms = 2000

[defaults.zone]
origins = ["bind"]
timers.refresh_s_min = 5

[node.ams-1]
[node.fra-1]
listen = ["[2001:db8::1]:53", "192.0.2.2:5300"]
log = "text"
state_dir = "state"
identity = { nsid = "fra" }

[key.Transfer]
key_file = "transfer.key"

[origin.bind]
addresses = ["192.0.2.53", "[2001:db8::53]:5353"]
key = "TRANSFER."

[zone."Example.COM"]
[zone."2.0.192.in-addr.arpa."]
on_expire = "serve"
ixfr = false
timers.refresh_s_min = 7
"#;

fn network(text: &str) -> Network {
    let files = Files([("/etc/transfer.key", KEY_FILE)].into());
    let parsed = Network::parse(text, "/etc/network.toml", &files).unwrap_or_else(|all| panic!("{all}"));
    assert_eq!(parsed.warnings, []);
    parsed.value
}

fn fra(text: &str) -> Config {
    network(text).for_node("fra-1").unwrap()
}

#[test]
fn templates_fill_what_is_not_set_and_defaults_the_rest() {
    let network = network(NETWORK);
    let (ams, fra) = (&network.nodes["ams-1"], &network.nodes["fra-1"]);
    assert_eq!((ams.listen.as_slice(), ams.log), (["192.0.2.1:53".parse().unwrap()].as_slice(), LogFormat::Json));
    assert_eq!((ams.limits.tcp_idle_ms, ams.limits.udp_payload_bytes_max), (2000, 1232));
    assert_eq!((fra.listen.len(), fra.log, fra.limits.tcp_idle_ms), (2, LogFormat::Text, 2000));
    assert_eq!(fra.identity.nsid.as_deref(), Some(b"fra".as_slice()));
    assert!(fra.roles.edge);
    let names: Vec<_> = network.zones.iter().map(|zone| (zone.name.as_str(), zone.timers.refresh_s_min)).collect();
    assert_eq!(names, [("2.0.192.in-addr.arpa.", 7), ("example.com.", 5)]);
    assert_eq!((network.zones[0].on_expire, network.zones[0].ixfr), (OnExpire::Serve, false));
    assert_eq!((network.zones[1].on_expire, network.zones[1].ixfr), (OnExpire::ServFail, true));
}

#[test]
fn relative_paths_start_at_the_folder_of_the_file() {
    let network = network(NETWORK);
    let fra = &network.nodes["fra-1"];
    assert_eq!(fra.state_dir, Path::new("/etc/state"));
    assert_eq!(fra.control, Path::new("/etc/state/control.sock"));
    assert_eq!(network.nodes["ams-1"].control, Path::new("/var/lib/parapet/control.sock"));
}

#[test]
fn origins_have_ports_keys_and_an_access_list() {
    let network = network(NETWORK);
    let origin = &network.origins["bind"];
    assert_eq!(origin.addresses, ["192.0.2.53:53".parse().unwrap(), "[2001:db8::53]:5353".parse().unwrap()]);
    let key = &network.keys[origin.key.as_deref().unwrap()];
    assert_eq!(
        (key.name.as_str(), key.algorithm, key.secret.len()),
        ("transfer.example.", KeyAlgorithm::HmacSha512, 32)
    );
    assert!(origin.notify_from.iter().any(|prefix| prefix.contains("2001:db8::53".parse().unwrap())));
    assert!(!origin.notify_from.iter().any(|prefix| prefix.contains("192.0.2.54".parse().unwrap())));
    assert_eq!(network.cookie_secrets, [0xe5e9_73e5_a6b2_a43f_48e7_dc84_9e37_bfcf_u128.to_be_bytes()]);
    let shown = format!("{network:?}");
    assert!(!shown.contains("secret") && !shown.contains("229, 233"), "{shown}");
}

#[test]
fn an_unknown_node_is_told_which_there_are() {
    let error = network(NETWORK).for_node("ams-2").unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no [node.ams-2] in the network file; it has ams-1, fra-1 (did you mean \"ams-1\"?)"
    );
}

#[test]
fn the_same_file_has_no_changes() {
    assert!(Changes::between(&fra(NETWORK), &fra(NETWORK)).is_empty());
}

#[test]
fn changes_name_what_differs_and_nothing_else() {
    let old = fra(NETWORK);
    let new =
        fra(&NETWORK.replace("Example.COM", "example.net").replace("identity = { nsid = \"fra\" }", "workers = 2"));
    let changes = Changes::between(&old, &new);
    assert_eq!(changes.zones_added, ["example.net."]);
    assert_eq!(changes.zones_removed, ["example.com."]);
    assert_eq!(changes.zones_changed, [""; 0]);
    let change = |item, needs_restart| NodeChange { item, needs_restart };
    assert_eq!(changes.node, [change("workers", true), change("identity", false)]);
    assert_eq!(changes.need_restart().collect::<Vec<_>>(), ["workers"]);
    assert!(!changes.cookies);
}

#[test]
fn a_changed_key_changes_the_zones_that_use_it() {
    let new =
        NETWORK.replace("key_file = \"transfer.key\"", "secret = \"bm90IGEgc2VjcmV0IGF0IGFsbCwganVzdCBiYXNlNjQ=\"");
    let changes = Changes::between(&fra(NETWORK), &fra(&new));
    assert_eq!(changes.zones_changed, ["2.0.192.in-addr.arpa.", "example.com."]);
}

#[test]
fn the_short_form_means_what_the_file_means() {
    let form = ShortForm {
        node: "edge".to_owned(),
        origins: vec!["192.0.2.53:53".parse().unwrap(), "[2001:db8::53]:5353".parse().unwrap()],
        zones: vec!["Example.com".to_owned(), "a\\.b.example".to_owned()],
        listen: vec!["127.0.0.1:5300".parse().unwrap()],
        state_dir: "a \"quoted\" folder".into(),
        tsig_key: Some("transfer.key".into()),
        ..ShortForm::default()
    };
    let files = Files([("transfer.key", KEY_FILE)].into());
    let parsed = form.to_config(&files).unwrap_or_else(|all| panic!("{all}\n{}", form.to_toml()));
    assert_eq!(parsed.warnings, []);
    let config = parsed.value;
    assert_eq!(config.node.state_dir, Path::new("a \"quoted\" folder"));
    assert_eq!(config.node.control, Path::new("a \"quoted\" folder/control.sock"));
    let names: Vec<_> = config.zones.iter().map(|zone| zone.name.as_str()).collect();
    assert_eq!(names, ["a\\.b.example.", "example.com."]);
    assert_eq!(config.zones[0].origins, ["origin-1", "origin-2"]);
    let origin = &config.origins["origin-2"];
    assert_eq!(config.keys[origin.key.as_deref().unwrap()].name, "transfer.example.");
}

#[test]
fn what_is_wrong_with_the_short_form_names_the_option() {
    let form = ShortForm {
        node: "two words".to_owned(),
        origins: vec!["192.0.2.53:53".parse().unwrap()],
        zones: vec!["example.com.".to_owned(), "example.com.".to_owned()],
        listen: vec!["127.0.0.1:5300".parse().unwrap(); 2],
        state_dir: "state".into(),
        tsig_key: Some("gone.key".into()),
        control: Some("c".repeat(200).into()),
        workers: 100_000,
        ..ShortForm::default()
    };
    let Err(all) = form.to_config(&Files::default()) else { panic!("took a wrong short form") };
    let want = [
        "command line: error: --node: found \"two words\"; expected a name of 1 to 63 letters, digits, '.', '-' and '_'",
        "command line: error: --tsig-key: found \"gone.key\": no such file; expected a file that can be read",
    ];
    assert_eq!(all.0.iter().map(ToString::to_string).collect::<Vec<_>>(), want);
    let form = ShortForm { node: "edge".to_owned(), tsig_key: None, ..form };
    let Err(all) = form.to_config(&Files::default()) else { panic!("took a wrong short form") };
    let options: Vec<_> = all.0.iter().map(|diagnostic| diagnostic.item.as_str()).collect();
    assert_eq!(options, ["--listen", "--control", "--workers"], "{all}");
}

#[test]
fn lanes_are_sockets_unless_the_kernel_is_asked_for() {
    assert_eq!(fra(NETWORK).node.lanes, Lanes::default());
    let lanes = "lanes = { kernel = \"required\", interfaces = [\"eth0\"], kernel_answers = 8, \
                 kernel_attach = \"native\", kernel_crash = \"keep\" }";
    let new = fra(&NETWORK.replace("identity = { nsid = \"fra\" }", lanes));
    let wanted = Lanes {
        kernel: KernelMode::Required,
        interfaces: vec!["eth0".to_owned()],
        kernel_answers: 8,
        kernel_attach: KernelAttach::Native,
        kernel_crash: KernelCrash::Keep,
    };
    assert_eq!(new.node.lanes, wanted);
    assert_eq!(Changes::between(&fra(NETWORK), &new).need_restart().collect::<Vec<_>>(), ["lanes"]);
}

#[test]
fn an_interface_is_named_once_and_by_its_name() {
    let lanes = "lanes.interfaces = [\"eth0\", \"eth0\", \"a/b\"]";
    let text = NETWORK.replace("identity = { nsid = \"fra\" }", lanes);
    let Err(all) = Network::parse(&text, "network.toml", &Files([("transfer.key", KEY_FILE)].into())) else {
        panic!("took wrong interfaces")
    };
    let said: Vec<_> = all.0.iter().map(|wrong| format!("{}: {}", wrong.item, wrong.found)).collect();
    let wanted = ["node.fra-1.lanes.interfaces[1]: \"eth0\" again", "node.fra-1.lanes.interfaces[2]: \"a/b\""];
    assert_eq!(said, wanted);
}
