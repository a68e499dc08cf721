//! Origins other than BIND: NSD signs only some messages of a transfer (RFC 8945 §5.3.1), Knot packs them differently.
//! Needs Debian's packages nsd and knot.

mod support;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use support::daemon::start;
use support::{Edge, SECRET, config, free_address, wait_for};

const NAMES: usize = 20_000;

fn zone_file(folder: &Path) {
    let mut text = String::from(
        "$ORIGIN example.test.\n$TTL 300\n@ IN SOA ns1 admin 5 3600 600 86400 60\n@ IN NS ns1\nns1 IN A 192.0.2.1\n",
    );
    (0..NAMES).for_each(|n| text.push_str(&format!("n{n} IN TXT \"the text of name number {n}\"\n")));
    fs::write(folder.join("example.test.zone"), text).unwrap();
}

/// Fetches the zone from an origin, with a key.
fn fetched_from(origin: SocketAddr) {
    let state = tempfile::tempdir().unwrap();
    let parts = format!(
        "[origin.other]\naddresses = [\"{origin}\"]\nkey = \"transfer\"\n[zone.\"example.test\"]\norigins = [\"other\"]\n\
         [zone.\"example.test\".timers]\nretry_s_min = 1\nretry_s_max = 1\n"
    );
    let edge = Edge::start(&config(state.path(), &parts));
    edge.wait_for_serial("example.test.", 5);
    assert_eq!(edge.zone("example.test.").unwrap().record_count(), NAMES as u64 + 3);
    wait_for("the status", || edge.status("example.test.").origins[0].last_transfer.clone());
    edge.stop();
}

#[test]
fn nsd_signs_some_messages_only() {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    zone_file(folder.path());
    let path = folder.path().display();
    let text = format!(
        "server:\n ip-address: 127.0.0.1@{port}\n username: \"\"\n chroot: \"\"\n zonesdir: \"{path}\"\n database: \"\"\n pidfile: \"{path}/pid\"\n\
         \u{20}xfrdfile: \"{path}/xfrd\"\n zonelistfile: \"{path}/list\"\n xfrdir: \"{path}\"\n\
         remote-control:\n control-enable: no\n\
         key:\n name: transfer.test\n algorithm: hmac-sha256\n secret: \"{SECRET}\"\n\
         zone:\n name: example.test\n zonefile: example.test.zone\n provide-xfr: 127.0.0.1 transfer.test\n",
        port = address.port(),
    );
    fs::write(folder.path().join("nsd.conf"), text).unwrap();
    let file = folder.path().join("nsd.conf");
    let _nsd = start("nsd", "nsd", &["-d", "-c", file.to_str().unwrap()], folder.path());
    fetched_from(address);
}

#[test]
fn knot() {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    zone_file(folder.path());
    let path = folder.path().display();
    let text = format!(
        "server:\n  listen: 127.0.0.1@{port}\n  rundir: {path}\n  pidfile: {path}/pid\n\
         database:\n  storage: {path}\n\
         control:\n  listen: {path}/sock\n\
         log:\n  - target: stderr\n    any: info\n\
         key:\n  - id: transfer.test\n    algorithm: hmac-sha256\n    secret: {SECRET}\n\
         acl:\n  - id: all\n    address: 127.0.0.1\n    key: transfer.test\n    action: transfer\n\
         zone:\n  - domain: example.test\n    storage: {path}\n    file: example.test.zone\n    acl: all\n",
        port = address.port(),
    );
    fs::write(folder.path().join("knot.conf"), text).unwrap();
    let file = folder.path().join("knot.conf");
    let _knot = start("knotd", "knot", &["-c", file.to_str().unwrap()], folder.path());
    fetched_from(address);
}
