//! A zone that is no longer refreshed cannot be missed: it is in `parapet zones` and `parapet status`, in the verdict of
//! `parapet check-zones`, in the metrics, in the node's health and in the log; and it is gone from there when the origin is
//! back. Nodes beside each other show what none of them can know.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;

use parapet_lab::{Edge, Named, Namespace, ZoneSpec, parapet_binary, until, zone_text};
use serde_json::Value;

use crate::scene::{DEADLINE, Scene, wait_for_status};

const ZONE: &str = "example.com";
const METRICS: &str = "127.0.0.1:9153";
const FILE: &str = "[node.edge1]\nlisten = [\"@LISTEN@\"]\nstate_dir = \"@STATE@\"\nmetrics = \"127.0.0.1:9153\"\n\
    [key.transfer]\nkey_file = \"@KEY@\"\n[origin.bind]\naddresses = [\"@ORIGIN@\"]\nkey = \"transfer\"\n\
    [zone.\"example.com\"]\norigins = [\"bind\"]\n[zone.\"example.com\".timers]\nrefresh_s_min = 1\nrefresh_s_max = 1\n\
    retry_s_min = 1\nretry_s_max = 1\nexpire_s_min = 1\nexpire_s_max = 12\n";

fn zone() -> ZoneSpec {
    ZoneSpec::text(ZONE, zone_text::small(ZONE)).dynamic()
}

/// What a command says, and its exit code.
fn parapet(host: &Namespace, arguments: &[&str]) -> (i32, String) {
    let binary = parapet_binary().expect("the parapet binary");
    let output = host.program(&binary.to_string_lossy()).args(arguments).run().expect("parapet ends by itself");
    (output.status.code().expect("an exit code"), output.stdout + &output.stderr)
}

/// A command for the edge's own control socket.
fn ask(edge: &Edge, host: &Namespace, arguments: &[&str]) -> (i32, String) {
    let control = edge.control().to_string_lossy().into_owned();
    parapet(host, &[arguments, &["--control", &control]].concat())
}

/// The body that a path of the edge's metrics server has.
fn http(host: &Namespace, path: &str) -> String {
    let get = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(METRICS.parse::<SocketAddr>().expect("an address"))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned()))
    };
    host.enter(get).expect("the namespace").expect("an answer over HTTP")
}

/// Waits until a command's exit code is `code`, and gives what it says.
fn wait_for_verdict(what: &str, code: i32, look: impl Fn() -> (i32, String)) -> String {
    let mut last = (0, String::new());
    let found = until(what, DEADLINE, || {
        last = look();
        (last.0 == code).then(|| last.1.clone())
    });
    found.unwrap_or_else(|error| panic!("{error}; the last: {last:?}"))
}

fn has_problem(zone: &Value, kind: &str) -> bool {
    zone["problems"].as_array().is_some_and(|problems| problems.iter().any(|problem| problem["kind"] == kind))
}

#[test]
fn an_origin_that_stops_is_told_of_everywhere_until_it_is_back() {
    let scene = Scene::new("fresh");
    let host = scene.host("edge1");
    let mut named = scene.origin().zone(zone()).start().expect("named");
    let edge = scene.edge_with_file(FILE).start().expect("parapet");
    edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
    let good = || ask(&edge, host, &["check-zones", "--quiet"]);
    assert_eq!(wait_for_verdict("all well", 0, good), "");
    let health = || http(host, "/health");
    until("a good health", DEADLINE, || (health() == "up\n").then_some(())).expect("all well");

    named.stop().expect("named stops");
    wait_for_status(&edge, ZONE, "failing", |zone| has_problem(zone, "failing") && zone["state"] == "serving");
    let said = wait_for_verdict("a warning", 1, || ask(&edge, host, &["check-zones", "--expires", "0,0"]));
    assert!(said.starts_with("ZONES WARNING: 1 zone: 1 serving; 1 warning: example.com. "), "{said}");
    assert!(said.contains(" failed rounds in ") && said.contains("refused") && said.contains(" | zones=1;"), "{said}");

    wait_for_status(&edge, ZONE, "expired", |zone| has_problem(zone, "expired"));
    let (_, table) = ask(&edge, host, &["zones"]);
    assert!(table.contains("\n  critical: expired: not refreshed for ") && table.contains("\n  warning: "), "{table}");
    assert!(table.contains("\n1 zone: 1 expired; 1 critical: example.com. expired: "), "{table}");
    let (_, detail) = ask(&edge, host, &["zones", ZONE]);
    let origin = format!("\norigin           bind {}:53 (key transfer.)\n", scene.host("origin").v4());
    assert!(detail.contains(&origin) && detail.contains(", TSIG transfer., took "), "{detail}");
    until("a degraded node", DEADLINE, || health().starts_with("degraded\nexample.com. expired: ").then_some(()))
        .expect("the node's health");
    let (_, status) = ask(&edge, host, &["status"]);
    assert!(status.contains("\nstate          degraded, ") && status.contains("zones (degraded)"), "{status}");
    assert!(status.contains("\nZones with problems:\n  example.com. expired: "), "{status}");
    let said = wait_for_verdict("critical", 2, || ask(&edge, host, &["check-zones", "--quiet"]));
    assert!(said.starts_with("ZONES CRITICAL: 1 zone: 1 expired; "), "{said}");
    let metrics = http(host, "/metrics");
    let line = "parapet_zone_problem{zone=\"example.com.\",problem=\"expired\",severity=\"critical\"} 1\n";
    assert!(metrics.contains(line), "{metrics}");
    let log = edge.process().output();
    assert!(log.contains("the zone has a problem zone=example.com. problem=\"expired\" why="), "{log}");

    named.start_again().expect("named");
    assert_eq!(wait_for_verdict("all well again", 0, good), "");
    until("a good health", DEADLINE, || (health() == "up\n").then_some(())).expect("all well again");
    assert!(!http(host, "/metrics").contains("parapet_zone_problem{"), "the problem is gone from the metrics");
    let (_, table) = ask(&edge, host, &["zones", "--problems"]);
    assert_eq!(table, "1 zone: 1 serving; no problems\n");
    let (code, said) = ask(&edge, host, &["check-zones", "example.org"]);
    assert_eq!(code, 2, "{said}");
}

/// The edge hears of a change and may not have it: it knows that it is behind, and since when.
#[test]
fn an_edge_that_may_not_transfer_knows_that_it_is_behind() {
    let scene = Scene::new("behind");
    let host = scene.host("edge1");
    let mut named = scene.origin().zone(zone()).start().expect("named");
    let file = FILE.replace("expire_s_max = 12", "expire_s_max = 86400");
    let edge = scene.edge_with_file(&file).start().expect("parapet");
    edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");

    let path = named.folder().join("named.conf");
    let good = std::fs::read_to_string(&path).expect("named.conf");
    let refusing: Vec<_> = good
        .lines()
        .map(|line| if line.contains("allow-transfer") { "  allow-transfer { none; };" } else { line })
        .collect();
    std::fs::write(&path, refusing.join("\n")).expect("writing named.conf");
    named.start_again().expect("named");
    named.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone at the origin");
    for number in 0..3 {
        named.update(ZONE, &format!("update add n{number}.example.com 300 A 192.0.2.7")).expect("an update");
    }
    // By a NOTIFY at first, then by the origin's own word.
    wait_for_status(&edge, ZONE, "three behind", |zone| zone["serials_behind"] == 3);
    let shown = wait_for_status(&edge, ZONE, "the origin's serial", |zone| zone["origins"][0]["serial"] == 4);
    assert_eq!((&shown["serial"], &shown["serials_behind"]), (&1.into(), &3.into()), "{shown:#}");
    assert_eq!(shown["origins"][0]["last_error_kind"], "refused", "{shown:#}");
    let lag = shown["lag_s"].as_f64().expect("a number");
    let behind = wait_for_status(&edge, ZONE, "a lag that grows", |zone| zone["lag_s"].as_f64() > Some(lag + 2.0));
    assert_eq!(behind["state"], "serving");
    let (code, said) = ask(&edge, host, &["check-zones", "--lag", "1s,2s"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("CRITICAL: example.com. 3 serials behind for "), "{said}");
    let metrics = http(host, "/metrics");
    assert!(metrics.contains("parapet_zone_serials_behind{zone=\"example.com.\"} 3.0\n"), "{metrics}");

    std::fs::write(&path, good).expect("writing named.conf");
    named.start_again().expect("named");
    edge.wait_for_zone(ZONE, 4, DEADLINE).expect("the changes");
    wait_for_status(&edge, ZONE, "nothing behind", |zone| zone["serials_behind"] == 0 && zone["lag_s"] == 0.0);
}

/// Two nodes with an API, of which the origin notifies only the first; their timers are an hour.
fn file_of_two(scene: &Scene) -> String {
    let token = scene.lab.folder().join("token");
    std::fs::write(&token, "0123456789abcdef0123456789abcdef").expect("writing a token");
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    let node = |name: &str| {
        let host = scene.host(name);
        let state = Edge::at(host).state_folder().expect("a state folder");
        let (address, state, token) = (host.v4(), state.display(), token.display());
        format!(
            "[node.{name}]\nlisten = [\"{address}:53\"]\nstate_dir = \"{state}\"\n\
             api = {{ listen = \"{address}:8053\", token_file = \"{token}\" }}\n"
        )
    };
    format!(
        "{}{}[key.transfer]\nkey_file = \"{}\"\n[origin.bind]\naddresses = [\"{}\"]\nkey = \"transfer\"\n\
         [zone.\"example.com\"]\norigins = [\"bind\"]\n",
        node("edge1"),
        node("edge2"),
        scene.key.file.display(),
        scene.host("origin").v4()
    )
}

#[test]
fn nodes_beside_each_other_show_who_is_behind_and_who_is_silent() {
    let scene = Scene::new("fleet");
    let (one, two) = (scene.host("edge1"), scene.host("edge2"));
    let named = Named::at(scene.host("origin")).key(&scene.key).notify(one.v4()).zone(zone()).start().expect("named");
    let text = file_of_two(&scene);
    let first = Edge::at(one).file(&text, "edge1").start().expect("parapet");
    let second = Edge::at(two).file(&text, "edge2").start().expect("parapet");
    for edge in [&first, &second] {
        edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
    }
    let file = scene.lab.folder().join("network.toml");
    std::fs::write(&file, &text).expect("writing the file");
    let file = file.to_string_lossy().into_owned();
    let all = |command: &[&str]| parapet(one, &[command, &["--all", "--config", &file]].concat());
    let said = wait_for_verdict("all well", 0, || all(&["check-zones"]));
    assert!(said.starts_with("ZONES OK: 2 nodes, 1 zone: no problems | nodes=2;"), "{said}");

    // Nobody tells the second node, and it does not know.
    named.update(ZONE, "update add new.example.com 300 A 192.0.2.7").expect("an update");
    first.wait_for_zone(ZONE, 2, DEADLINE).expect("the change");
    let said = wait_for_verdict("a node behind", 1, || all(&["check-zones"]));
    assert!(said.contains("\nWARNING: edge2 example.com.: 1 behind serial 2, which other nodes have\n"), "{said}");
    let (_, matrix) = all(&["zones"]);
    assert!(matrix.contains("example.com.      2   1 -1\n"), "{matrix}");
    let (_, json) = all(&["zones", "--json"]);
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["zones"][0]["nodes"]["edge2"]["serials_behind"], 1, "{json:#}");
    assert_eq!(json["nodes"][1]["zones"][0]["serial"], 1, "{json:#}");

    second.kill().expect("the second node ends");
    let said = wait_for_verdict("a silent node", 2, || all(&["check-zones"]));
    assert!(said.contains("1 node silent") && said.contains("\nCRITICAL: edge2 is silent: "), "{said}");
    let (_, matrix) = all(&["zones"]);
    assert!(matrix.contains("example.com.      2  silent\n"), "{matrix}");
}
