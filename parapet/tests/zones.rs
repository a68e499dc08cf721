//! `parapet zones`: each zone at each of its origins.

mod support;

use serde_json::{Value, json};
use support::{Daemon, failure, network, parapet, wait_for};

#[test]
fn a_zone_whose_origin_is_not_there_says_why() {
    let daemon = Daemon::with_file(&network(&["example.com", "example.net"]), &[]);
    let zones = wait_for("the first attempts", || {
        let zones = daemon.ask("zones").unwrap();
        let failed = |zone: &Value| zone["origins"][0]["last_error"].is_string();
        zones.as_array().unwrap().iter().all(failed).then_some(zones)
    });
    let zone = &zones[0];
    assert_eq!(
        (&zone["zone"], &zone["state"], &zone["serial"]),
        (&json!("example.com."), &json!("pending"), &Value::Null)
    );
    let origin = &zone["origins"][0];
    assert_eq!((&origin["origin"], &origin["address"]), (&json!("a"), &json!("127.0.0.1:1")));
    assert!(origin["last_attempt_age_s"].is_number(), "{zone:#}");
}

#[test]
fn people_get_a_table() {
    let daemon = Daemon::with_file(&network(&["example.com", "example.net"]), &[]);
    let control = daemon.control();
    let output = parapet(["zones", "--control", control.to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    let header: Vec<_> =
        text.lines().next().unwrap().split("  ").filter(|cell| !cell.is_empty()).map(str::trim).collect();
    let want = ["zone", "state", "mode", "serial", "behind", "age", "expires", "next", "last attempt", "via"];
    assert_eq!(header, want);
    for zone in ["example.com.", "example.net."] {
        assert!(text.lines().any(|line| line.starts_with(zone)), "{text}");
    }
    assert!(text.lines().last().unwrap().starts_with("2 zones: 2 pending; "), "{text}");
    assert!(!text.contains('\u{1b}'), "colours are for terminals: {text}");
}

#[test]
fn single_zones_can_be_asked_for() {
    let daemon = Daemon::with_file(&network(&["example.com", "example.net"]), &[]);
    let control = daemon.control();
    let control = control.to_str().unwrap();
    let output = parapet(["zones", "Example.NET", "--json", "--control", control]);
    let zones: Value = serde_json::from_slice(&output.stdout).unwrap();
    let names: Vec<_> = zones.as_array().unwrap().iter().map(|zone| &zone["zone"]).collect();
    assert_eq!(names, ["example.net."]);
    let (code, text) = failure(&parapet(["zones", "example.org", "--control", control]));
    assert_eq!(
        (code, text.as_str()),
        (1, "parapet: the node has no zone example.org.: `parapet zones` lists those it has\n")
    );
}
