//! The process as an operator sees it: privileges given up once the sockets are bound, metrics over HTTP, a log that
//! machines can read, and an end in good order.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use parapet_lab::{Edge, ZoneSpec, zone_text};
use serde_json::Value;
use wire::{Rcode, Rtype};

use crate::scene::{DEADLINE, Scene};

const ZONE: &str = "example.com";
/// The user that every Debian has and that may do nothing.
const NOBODY: &str = "nobody";

/// The values of a line of `/proc/PID/task/*/status`, one for each thread.
fn of_threads(edge: &Edge, line: &str) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", edge.process().pid())).expect("the threads of parapet");
    let status = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("status")).ok());
    status.filter_map(|text| Some(text.lines().find_map(|found| found.strip_prefix(line))?.trim().to_owned())).collect()
}

#[test]
fn it_gives_up_root_and_every_capability_and_goes_on_following_the_origin() {
    let scene = Scene::new("user");
    let named = scene.origin().zone(ZoneSpec::text(ZONE, zone_text::small(ZONE)).dynamic()).start().expect("named");
    // The key is read while root still may.
    let edge = scene.edge().zone(ZONE).args(&["--user", NOBODY]).start().expect("parapet");
    edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
    named.update(ZONE, "update add new.example.com 300 A 192.0.2.7").expect("an update");
    edge.wait_for_zone(ZONE, 2, DEADLINE).expect("the change");
    for set in ["CapEff:", "CapPrm:", "CapInh:", "CapAmb:"] {
        let found = of_threads(&edge, set);
        assert!(found.len() > 2 && found.iter().all(|bits| bits.trim_matches('0').is_empty()), "{set} {found:?}");
    }
    let users = of_threads(&edge, "Uid:");
    assert!(users.iter().all(|ids| ids.split_whitespace().all(|id| id != "0")), "{users:?}");
    assert!(edge.state().join("zones").is_dir(), "no zones in the state folder");
}

#[test]
fn metrics_count_what_was_asked() {
    let scene = Scene::new("metrics");
    let _named = scene.origin().zone(ZoneSpec::text(ZONE, zone_text::small(ZONE))).start().expect("named");
    let address = SocketAddr::new(scene.host("edge1").v4(), 9153);
    let edge = scene.edge().zone(ZONE).args(&["--metrics", &address.to_string()]).start().expect("parapet");
    edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
    let before = sum(&metrics(&scene, address), "parapet_", "rcode=\"NXDOMAIN\"");
    for number in 0..25 {
        let answer = scene.ask(edge.v4(), &format!("nowhere{number}.{ZONE}"), Rtype::A);
        assert_eq!(answer.rcode, Rcode::NXDOMAIN);
    }
    let after = sum(&metrics(&scene, address), "parapet_", "rcode=\"NXDOMAIN\"");
    assert_eq!(after - before, 25.0, "{}", metrics(&scene, address));
}

fn metrics(scene: &Scene, address: SocketAddr) -> String {
    let text = scene.client().enter(|| {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text).map(|_| text)
    });
    let text = text.expect("the client's namespace").expect("an answer over HTTP");
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    text
}

/// The sum of all samples whose line begins and contains as said.
fn sum(metrics: &str, begins: &str, contains: &str) -> f64 {
    let lines = metrics.lines().filter(|line| line.starts_with(begins) && line.contains(contains));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

#[test]
fn told_to_end_it_ends_well_and_its_log_is_json() {
    let scene = Scene::new("stop");
    let _named = scene.origin().zone(ZoneSpec::text(ZONE, zone_text::small(ZONE))).start().expect("named");
    let edge = scene.edge().zone(ZONE).args(&["--log", "json"]).start().expect("parapet");
    edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
    // A client that stays connected does not keep it from ending.
    let server = SocketAddr::new(edge.v4(), 53);
    let open = scene.client().enter(|| TcpStream::connect_timeout(&server, Duration::from_secs(5)));
    let _open = open.expect("the client's namespace").expect("a connection");
    let status = edge.stop().expect("parapet ends");
    assert_eq!(status.code(), Some(0), "{}", edge.process().output());
    let output = edge.process().output();
    assert!(!output.is_empty(), "no log");
    for line in output.lines() {
        let entry: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert!(entry["level"].is_string() && entry["timestamp"].is_string(), "{line}");
    }
    assert!(!output.contains(&scene.key.secret), "the log has a secret");
}
