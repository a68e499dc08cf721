//! The house rule: a crate may use the floors below its own, never its neighbours, and what ships never links the lab.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Every crate of the daemon with its floor.
const FLOORS: [(&str, u8); 10] = [
    ("wire", 0),
    ("config", 0),
    ("health", 0),
    ("zones", 1),
    ("cache", 1),
    ("filters", 1),
    ("anycast", 2),
    ("edge", 2),
    ("origin-sync", 2),
    ("parapet", 3),
];
/// Crates that stand outside the house: they may look into it, it must not know them.
const OUTSIDE: [&str; 2] = ["parapet-lab", "parapet-tests"];
/// What the lab may use of the house: it shares no code with the servers that it watches. `filters`, and `config` for their
/// settings, are what `bench filters` times in its own process: nanoseconds cannot be told from outside of a server.
const LAB_MAY_USE: [&str; 4] = ["wire", "zones", "filters", "config"];
/// Crates that bring clocks, sockets or threads of their own, and so have no place on floors 0 and 1.
const NO_IO_BELOW: [&str; 4] = ["tokio", "mio", "socket2", "axum"];

/// `cargo metadata` as JSON.
fn metadata() -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let version = Command::new(&cargo).arg("-vV").output().expect("cargo, which runs this test, runs").stdout;
    let version = String::from_utf8_lossy(&version);
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("cargo says what its host is");
    // Only what this platform needs has been downloaded.
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--offline", "--filter-platform", host, "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .output()
        .expect("cargo, which runs this test, runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON from cargo metadata")
}

/// The names of the crates that each crate of the workspace depends on directly; `dev` dependencies only where asked for.
fn direct(metadata: &Value, with_dev: bool) -> BTreeMap<String, BTreeSet<String>> {
    let text = |value: &Value| value.as_str().expect("a string").to_owned();
    let packages = metadata["packages"].as_array().expect("packages");
    let mut direct = BTreeMap::new();
    for package in packages.iter().filter(|package| package["source"].is_null()) {
        let dependencies = package["dependencies"].as_array().expect("dependencies").iter();
        let wanted = dependencies.filter(|dependency| with_dev || dependency["kind"].as_str() != Some("dev"));
        direct.insert(text(&package["name"]), wanted.map(|dependency| text(&dependency["name"])).collect());
    }
    direct
}

/// All crates reachable from `from` over normal and build dependencies, `from` left out.
fn reachable(metadata: &Value, from: &str) -> BTreeSet<String> {
    let nodes = metadata["resolve"]["nodes"].as_array().expect("a resolved graph");
    let by_id: BTreeMap<&str, &Value> = nodes.iter().map(|node| (node["id"].as_str().expect("an id"), node)).collect();
    let names: BTreeMap<&str, &str> = metadata["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .map(|package| (package["id"].as_str().expect("an id"), package["name"].as_str().expect("a name")))
        .collect();
    let local = |id: &&&str| names[**id] == from && id.starts_with("path+");
    let mut todo = vec![*by_id.keys().find(local).expect("the crate is in the workspace")];
    let mut seen = BTreeSet::new();
    while let Some(id) = todo.pop() {
        for dependency in by_id[id]["deps"].as_array().expect("dependencies") {
            let kinds = dependency["dep_kinds"].as_array().expect("kinds");
            let next = dependency["pkg"].as_str().expect("an id");
            if kinds.iter().any(|kind| kind["kind"].as_str() != Some("dev")) && seen.insert(names[next].to_owned()) {
                todo.push(next);
            }
        }
    }
    seen
}

#[test]
fn every_crate_has_a_place() {
    let known: BTreeSet<&str> = FLOORS.iter().map(|(name, _)| *name).chain(OUTSIDE).collect();
    let metadata = metadata();
    let found = direct(&metadata, false);
    let homeless: Vec<_> = found.keys().filter(|name| !known.contains(name.as_str())).collect();
    assert!(homeless.is_empty(), "give these crates a floor in this test and in ARCHITECTURE.md: {homeless:?}");
}

#[test]
fn crates_use_only_the_floors_below() {
    let floors: BTreeMap<&str, u8> = FLOORS.into_iter().collect();
    // With dev dependencies: a neighbour in a unit test is a neighbour all the same.
    for (name, dependencies) in direct(&metadata(), true) {
        let Some(floor) = floors.get(name.as_str()) else { continue };
        for dependency in &dependencies {
            assert!(
                !OUTSIDE.contains(&dependency.as_str()),
                "{name} uses {dependency}, which stands outside the house"
            );
            if let Some(other) = floors.get(dependency.as_str()) {
                assert!(other < floor, "{name} on floor {floor} uses {dependency} on floor {other}");
            }
        }
    }
}

#[test]
fn the_daemon_does_not_link_the_lab() {
    let reached = reachable(&metadata(), "parapet");
    for name in OUTSIDE {
        assert!(!reached.contains(name), "parapet reaches {name}");
    }
    assert!(reached.contains("wire"), "the graph was not walked: {reached:?}");
}

#[test]
fn the_lab_shares_no_code_with_what_it_watches() {
    let houses: BTreeSet<&str> = FLOORS.iter().map(|(name, _)| *name).collect();
    let reached = reachable(&metadata(), "parapet-lab");
    let used: Vec<_> =
        reached.iter().filter(|name| houses.contains(name.as_str()) && !LAB_MAY_USE.contains(&name.as_str())).collect();
    assert!(used.is_empty(), "the lab uses {used:?}");
}

#[test]
fn the_lower_floors_do_no_io() {
    let metadata = metadata();
    for (name, _) in FLOORS.iter().filter(|(_, floor)| *floor <= 1) {
        let reached = reachable(&metadata, name);
        let io: Vec<_> = NO_IO_BELOW.iter().filter(|dependency| reached.contains(**dependency)).collect();
        assert!(io.is_empty(), "{name} reaches {io:?}");
    }
}
