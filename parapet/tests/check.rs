//! `parapet check`: every error at once, and a line for a good file.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};
use support::{failure, network, parapet};
use tempfile::TempDir;

const KEY: &str =
    "key \"transfer\" {\n\talgorithm hmac-sha256;\n\tsecret \"bm90IGEgc2VjcmV0IGF0IGFsbCwganVzdCBiYXNlNjQ=\";\n};\n";

fn file(text: &str) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("network.toml");
    fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap().to_owned();
    (folder, file)
}

#[test]
fn a_good_file_gets_a_line() {
    let (_folder, file) = file(&network(&["example.com", "example.net"]));
    let output = parapet(["check", &file]);
    assert!(output.status.success());
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        format!("{file}: good (1 node, 2 zones, 1 origin, 0 keys)\n")
    );
}

#[test]
fn a_wrong_file_gets_every_error() {
    let (_folder, file) = file("[zone.\"example.com\"]\norigins = [\"b\"]\nixrf = true\n[node.one]\nlisten = \"53\"\n");
    let (code, text) = failure(&parapet(["check", &file]));
    assert_eq!(code, 2);
    let want = format!(
        "{file}:2:12: error: zone.\"example.com\".origins[0]: found \"b\"; expected the name of a [origin.NAME], of which there is none\n\
         {file}:3:1: error: zone.\"example.com\".ixrf: found an unknown name; expected one of origins, mode, pull_interval_s, ixfr, on_expire, zonemd, fresh_s_max, checks, normal_per_s, timers, transfer, dnssec, on_demand (did you mean \"ixfr\"?)\n\
         {file}:5:10: error: node.one.listen: found \"53\"; expected a list of 1 to 256, each an address and port such as \"192.0.2.1:53\" or \"[2001:db8::1]:53\"\n"
    );
    assert_eq!(text, want);
}

#[test]
fn syntax_errors_have_their_place() {
    let (_folder, file) = file("[node.one\nlisten = 1\n");
    let (code, text) = failure(&parapet(["check", &file]));
    assert_eq!(code, 2);
    assert!(text.starts_with(&format!("{file}:1:10: error: found ")), "{text}");
}

#[test]
fn json_has_the_same_parts() {
    let (_folder, wrong) = file("[origin.a]\naddresses = [\"x\"]\n");
    let output = parapet(["check", "--json", &wrong]);
    assert_eq!(output.status.code(), Some(2));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["file"], &report["good"]), (&json!(wrong), &json!(false)));
    let want = json!({
        "file": wrong, "line": 2, "column": 14, "severity": "error", "item": "origin.a.addresses[0]", "found": "\"x\"",
        "expected": "an address, with a port if it is not 53, such as \"192.0.2.53\" or \"[2001:db8::53]:5353\"",
    });
    assert!(report["diagnostics"].as_array().unwrap().contains(&want), "{report:#}");

    let (_folder, good) = file(&network(&["example.com"]));
    let output = parapet(["check", "--json", &good]);
    assert_eq!(output.status.code(), Some(0));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report, json!({ "file": good, "good": true, "error": null, "diagnostics": [] }));
}

#[test]
fn a_node_can_be_asked_for() {
    let (_folder, file) = file(&network(&["example.com"]));
    assert!(parapet(["check", &file, "--node", "one"]).status.success());
    let (code, text) = failure(&parapet(["check", &file, "--node", "ones"]));
    assert_eq!(code, 2);
    assert!(text.contains("there is no [node.ones] in the network file; it has one (did you mean \"one\"?)"), "{text}");
}

#[test]
fn key_files_are_read_and_looked_at() {
    let text = network(&["z"]).replace("[origin.a]\n", "[key.t]\nkey_file = \"t.key\"\n[origin.a]\nkey = \"t\"\n");
    let (folder, file) = file(&text);
    let key = folder.path().join("t.key");
    let (code, text) = failure(&parapet(["check", &file]));
    assert_eq!(code, 2);
    assert!(text.contains(":6:12: error: key.t.key_file: found \"t.key\": No such file or directory"), "{text}");

    fs::write(&key, KEY).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let output = parapet(["check", &file]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains(":6:12: warning: key.t.key_file: found \"t.key\", which everybody can read; "), "{text}");

    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let output = parapet(["check", &file]);
    assert!(output.status.success() && output.stderr.is_empty());
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let (code, text) = failure(&parapet(["check", "/nowhere/network.toml"]));
    assert_eq!(code, 2);
    assert!(text.starts_with("parapet: cannot read the network file /nowhere/network.toml: "), "{text}");
}
