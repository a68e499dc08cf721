//! Copies are verified before they serve: zones signed by `named` itself, by `dnssec-signzone` with signatures that were
//! bent or have died, and by Knot with digests. Needs Debian's packages bind9, bind9-dnsutils, bind9utils and knot.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use origin_sync::{CheckResult, ZoneStatus};
use support::bind::{More, Named, zone_text};
use support::daemon::start;
use support::{Edge, config, dump, free_address, wait_for};

const ZONE: &str = "example.test.";

/// More of everything that is signed in a way of its own, or not at all.
const RECORDS: &str = "*.wild IN TXT \"expanded\"\na.b.c IN A 192.0.2.3\nsub IN NS ns.sub\nns.sub IN A 192.0.2.4\n\
                       safe IN NS ns.safe\nns.safe IN A 192.0.2.5\nsafe IN DS 12345 13 2 \
                       0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n\
                       there IN DNAME Elsewhere.Test.\nmail IN MX 10 WWW\nalias IN CNAME wWw\n";

fn parts(origin: std::net::SocketAddr, policy: &str) -> String {
    format!(
        "[origin.o]\naddresses = [\"{origin}\"]\nkey = \"transfer\"\n[zone.\"example.test\"]\norigins = [\"o\"]\n{policy}\n\
         [zone.\"example.test\".timers]\nretry_s_min = 1\nretry_s_max = 1\n"
    )
}

const VALIDATE: &str = "[zone.\"example.test\".dnssec]\nvalidate = true";

fn run(folder: &Path, program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(folder).output();
    let output = output.unwrap_or_else(|error| panic!("cannot run {program} ({error}): install Debian's bind9utils"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A zone signed on disk, served by `named` as it is: what `bend` makes of its text is what `named` loads.
struct SignedFile {
    folder: tempfile::TempDir,
    keys: Vec<String>,
}

impl SignedFile {
    fn new(algorithm: &str) -> SignedFile {
        let folder = tempfile::tempdir().unwrap();
        let key = |more: &[&str]| {
            let arguments = [&["-q", "-a", algorithm, "-n", "ZONE"], more, &["example.test"]].concat();
            run(folder.path(), "dnssec-keygen", &arguments).trim().to_owned()
        };
        let keys = vec![key(&["-f", "KSK"]), key(&[])];
        SignedFile { folder, keys }
    }

    fn sign(&self, serial: u32, options: &[&str], bend: impl Fn(String) -> String) {
        let mut text = format!("$ORIGIN {ZONE}\n{}", zone_text(serial, RECORDS));
        for key in &self.keys {
            text.push_str(&fs::read_to_string(self.folder.path().join(format!("{key}.key"))).unwrap());
        }
        fs::write(self.folder.path().join("unsigned.db"), text).unwrap();
        let arguments =
            [options, &["-q", "-O", "full", "-o", "example.test", "-f", "signed.db", "unsigned.db"]].concat();
        run(self.folder.path(), "dnssec-signzone", &arguments);
        let signed = fs::read_to_string(self.folder.path().join("signed.db")).unwrap();
        fs::write(self.folder.path().join("zone.db"), bend(signed)).unwrap();
    }

    fn serve(&self, address: std::net::SocketAddr) -> Named {
        let more = More { fixed: true, ..More::default() };
        Named::start_with(self.folder.path(), address, ZONE, "", free_address(), &more)
    }

    /// The DS record of the key that signs keys.
    fn anchor(&self, digest: &str) -> String {
        let file = format!("{}.key", self.keys[0]);
        let ds = run(self.folder.path(), "dnssec-dsfromkey", &["-a", digest, &file]);
        ds.split_once(" DS ").unwrap().1.trim().to_owned()
    }
}

/// Replaces once, and must find.
fn replace(text: String, from: &str, to: &str) -> String {
    assert!(text.contains(from), "no {from:?} in {text}");
    text.replacen(from, to, 1)
}

/// Takes out the lines of an owner that begin with these fields.
fn without(text: &str, owner: &str, kind: &str) -> String {
    let is = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        !(fields.first() == Some(&owner) && fields[3..].join(" ").starts_with(kind))
    };
    let kept: Vec<&str> = text.lines().filter(is).collect();
    assert!(kept.len() < text.lines().count(), "no {owner} {kind} in {text}");
    kept.join("\n") + "\n"
}

fn verified(status: &ZoneStatus) -> bool {
    status.dnssec == Some(CheckResult::Verified)
}

/// Zones of every algorithm that is supported, with both kinds of chain, pass; with the right trust anchor too.
#[test]
fn whatever_is_signed_well_passes() {
    for (algorithm, options) in [
        ("RSASHA256", &[][..]),
        ("RSASHA512", &["-3", "-"]),
        ("ECDSAP256SHA256", &["-3", "ab", "-H", "1", "-A"]),
        ("ECDSAP384SHA384", &["-3", "-"]),
        ("ED25519", &[]),
    ] {
        let origin = SignedFile::new(algorithm);
        origin.sign(1, options, |text| text);
        let named = origin.serve(free_address());
        let state = tempfile::tempdir().unwrap();
        let anchors = format!(
            "{VALIDATE}\ntrust_anchors = [{:?}, \"1 13 2 {}\"]",
            origin.anchor(if algorithm == "ED25519" { "SHA-384" } else { "SHA-256" }),
            "5a".repeat(32)
        );
        let edge = Edge::start(&config(state.path(), &parts(named.address, &anchors)));
        edge.wait_for_serial(ZONE, 1);
        wait_for("the status", || verified(&edge.status(ZONE)).then_some(()));
        // dnssec-signzone signs for thirty days.
        let dies = wait_for("the first death", || edge.status(ZONE).first_signature_expires_in_s);
        assert!((29.0..=30.0).contains(&(dies / 86_400.0)), "{algorithm}: {dies}");
        edge.stop();
    }
}

/// What is broken is refused with the RRset and the reason, and the last good copy stays.
#[test]
fn whatever_is_broken_keeps_the_last_good_copy() {
    let origin = SignedFile::new("ECDSAP256SHA256");
    let address = free_address();
    origin.sign(1, &[], |text| text);
    let named = origin.serve(address);
    let state = tempfile::tempdir().unwrap();
    let edge = Edge::start(&config(state.path(), &parts(address, VALIDATE)));
    edge.wait_for_serial(ZONE, 1);
    let good = dump(&edge.zone(ZONE).unwrap());
    named.stop();
    let www = "www.example.test.";
    type Bend<'a> = &'a dyn Fn(String) -> String;
    let cases: [(&[&str], Bend<'_>, &str); 8] = [
        (&[], &|text| replace(text, "192.0.2.2", "192.0.2.66"), "DNSSEC: www.example.test. A: its signature by key"),
        (&[], &|text| without(&text, www, "RRSIG TXT"), "DNSSEC: www.example.test. TXT: it is not signed"),
        (
            &[],
            &|text| without(&text, "safe.example.test.", "RRSIG DS"),
            "DNSSEC: safe.example.test. DS: it is not signed",
        ),
        (&["-s", "now-604800", "-e", "now-86400", "-P"], &|text| text, "DNSKEY: its signature by key"),
        (&["-s", "now+86400", "-e", "now+864000", "-P"], &|text| text, "compare the clocks"),
        (
            &[],
            &|text| without(&text, "example.test.", "RRSIG DNSKEY"),
            "DNSSEC: example.test. DNSKEY: it is not signed",
        ),
        (
            &[],
            &|text| without(&without(&text, www, "NSEC"), www, "RRSIG NSEC"),
            "DNSSEC: www.example.test. NSEC: the chain of NSEC or NSEC3 records is not complete here",
        ),
        (
            &["-3", "-"],
            &|text| {
                // The NSEC3 record of some name, with its signature.
                let is = |line: &&str| line.split_whitespace().nth(3) == Some("NSEC3");
                let line = text.lines().find(is).unwrap();
                let owner = line.split_whitespace().next().unwrap().to_owned();
                without(&without(&text, &owner, "NSEC3"), &owner, "RRSIG NSEC3")
            },
            "the chain of NSEC or NSEC3 records is not complete here",
        ),
    ];
    for (serial, (options, bend, reason)) in (2..).zip(cases) {
        origin.sign(serial, options, bend);
        let named = origin.serve(address);
        edge.notify(ZONE, serial);
        let status = edge.wait_for_error(ZONE, reason);
        assert_eq!((status.serial, status.last_error_kind.as_deref()), (Some(1), Some("dnssec")), "{reason}");
        assert_eq!(dump(&edge.zone(ZONE).unwrap()), good);
        named.stop();
    }
    origin.sign(20, &[], |text| text);
    let _named = origin.serve(address);
    edge.notify(ZONE, 20);
    edge.wait_for_serial(ZONE, 20);
    edge.stop();
}

#[test]
fn keys_that_no_anchor_names_are_not_believed() {
    let origin = SignedFile::new("ECDSAP256SHA256");
    origin.sign(1, &[], |text| text);
    let named = origin.serve(free_address());
    let state = tempfile::tempdir().unwrap();
    let anchors = format!("{VALIDATE}\ntrust_anchors = [\"{} 13 2 {}\"]", 4711, "5a".repeat(32));
    let edge = Edge::start(&config(state.path(), &parts(named.address, &anchors)));
    edge.wait_for_error(
        ZONE,
        "DNSSEC: example.test. DNSKEY: none of the zone's keys is one that dnssec.trust_anchors names",
    );
    assert_eq!(edge.serial(ZONE), None);
    edge.stop();
}

/// A copy from before validation was asked for goes on being served, and the status says that it is broken. Without
/// validation nothing is refused, but when signatures die is known.
#[test]
fn a_copy_from_before_is_looked_at_in_the_background() {
    let origin = SignedFile::new("ECDSAP256SHA256");
    origin.sign(1, &["-s", "now-604800", "-e", "now-3600", "-P"], |text| text);
    let named = origin.serve(free_address());
    let state = tempfile::tempdir().unwrap();
    let edge = Edge::start(&config(state.path(), &parts(named.address, "")));
    edge.wait_for_serial(ZONE, 1);
    let dies = wait_for("the first death", || edge.status(ZONE).first_signature_expires_in_s);
    assert!((-3700.0..=-3500.0).contains(&dies), "{dies}");
    assert_eq!(edge.status(ZONE).dnssec, None);
    edge.stop();
    named.stop();
    let edge = Edge::start(&config(state.path(), &parts(free_address(), VALIDATE)));
    assert_eq!(edge.serial(ZONE), Some(1));
    let status = wait_for("the look at it", || Some(edge.status(ZONE)).filter(|status| status.dnssec.is_some()));
    assert_eq!((status.dnssec, status.serial), (Some(CheckResult::Broken), Some(1)));
    assert!(status.check_error.is_some_and(|error| error.contains("expired")));
    assert!(status.first_signature_expires_in_s.is_some_and(|left| left < -3500.0));
    edge.stop();
}

/// `named` signs by itself, and each update comes as differences with signatures of their own.
#[test]
fn every_update_of_a_zone_that_named_signs_passes() {
    for chain in
        ["", "nsec3param iterations 0 optout no salt-length 0;", "nsec3param iterations 1 optout yes salt-length 4;"]
    {
        let folder = tempfile::tempdir().unwrap();
        let (state, notify_at) = (tempfile::tempdir().unwrap(), free_address());
        let more = More {
            global: format!("dnssec-policy test {{ keys {{ csk lifetime unlimited algorithm 13; }}; {chain} }};\n"),
            zone: "dnssec-policy test; inline-signing no;".into(),
            ..More::default()
        };
        let named = Named::start_with(folder.path(), free_address(), ZONE, &zone_text(1, RECORDS), notify_at, &more);
        let policy = "[zone.\"example.test\".dnssec]\nvalidate = true";
        let edge = Edge::start_at(&config(state.path(), &parts(named.address, policy)), notify_at);
        // It is not taken before it is signed in full.
        wait_for("the signed zone", || verified(&edge.status(ZONE)).then_some(()));
        let refused = |counts: &origin_sync::Counts| counts.failures_total.get("dnssec").copied().unwrap_or_default();
        let before = refused(&edge.sync().counts());
        for update in [
            "update add new.example.test. 300 A 192.0.2.7\nupdate add a.b.d.e.example.test. 300 TXT \"deep\"",
            "update delete www.example.test. TXT\nupdate add www.example.test. 300 A 192.0.2.81",
            "update add cut.example.test. 300 NS ns.cut.example.test.\nupdate add ns.cut.example.test. 300 A 192.0.2.8",
            "update add cut.example.test. 300 DS 12345 13 2 \
             0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            // What was glue is the zone's own now.
            "update delete cut.example.test. DS\nupdate delete cut.example.test. NS",
            "update delete a.b.d.e.example.test.\nupdate add *.new.example.test. 300 TXT \"wildcard\"",
            "update delete new.example.test.\nupdate delete *.new.example.test.",
        ] {
            // One after the other: the differences of all of them together would be larger than the zone, which comes instead.
            let serial = edge.serial(ZONE);
            named.update(update);
            wait_for("the update", || (edge.serial(ZONE) != serial).then_some(()));
        }
        let digged = || {
            let (ip, port) = (named.address.ip().to_string(), named.address.port().to_string());
            let soa = run(folder.path(), "dig", &["+short", "-p", &port, &format!("@{ip}"), ZONE, "SOA"]);
            soa.split_whitespace().nth(2).and_then(|serial| serial.parse::<u32>().ok())
        };
        // Serials go on for a moment, while `named` signs.
        let status = wait_for("the last serial, verified", || {
            let status = edge.status(ZONE);
            (status.serial.is_some() && status.serial == digged() && verified(&status)).then_some(status)
        });
        let counts = edge.sync().counts();
        assert!(counts.ixfr_total >= 1, "{chain}: {counts:?} {:?}", status.origins[0].last_fallback);
        assert_eq!((refused(&counts), status.last_error), (before, None), "{chain}: {counts:?}");
        edge.stop();
    }
}

fn knot(folder: &Path, address: std::net::SocketAddr) -> PathBuf {
    let dir = folder.display();
    fs::write(folder.join("example.test.zone"), format!("$ORIGIN {ZONE}\n{}", zone_text(1, RECORDS))).unwrap();
    let text = format!(
        "server:\n  listen: {}@{}\n  rundir: \"{dir}\"\n  background-workers: 1\n\
         key:\n  - id: transfer.test\n    algorithm: hmac-sha256\n    secret: {}\n\
         acl:\n  - id: out\n    key: transfer.test\n    action: [transfer, notify]\n  - id: in\n    address: 127.0.0.1\n    action: update\n\
         database:\n  storage: \"{dir}\"\n\
         policy:\n  - id: p\n    algorithm: ecdsap256sha256\n    nsec3: on\n    single-type-signing: on\n\
         zone:\n  - domain: example.test\n    storage: \"{dir}\"\n    file: example.test.zone\n    acl: [out, in]\n    \
         dnssec-signing: on\n    dnssec-policy: p\n    zonemd-generate: zonemd-sha512\n    zonefile-sync: -1\n    \
         zonefile-load: difference-no-serial\n    journal-content: all\n",
        address.ip(),
        address.port(),
        support::SECRET,
    );
    let path = folder.join("knot.conf");
    fs::write(&path, text).unwrap();
    path
}

/// Knot signs and makes the digest anew with every update: both hold each time.
#[test]
fn knot_with_a_digest_of_every_version() {
    let (folder, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let address = free_address();
    let conf = knot(folder.path(), address);
    let _knot = start("knotd", "knot", &["-c", conf.to_str().unwrap()], folder.path());
    // It sends its NOTIFYs over TCP, where nobody listens here.
    let policy = format!("mode = \"pull\"\npull_interval_s = 1\nzonemd = \"require\"\n{VALIDATE}");
    let edge = Edge::start(&config(state.path(), &parts(address, &policy)));
    let mut last = wait_for("the zone", || edge.serial(ZONE));
    for step in 0..4 {
        let update = format!(
            "server {} {}\nzone {ZONE}\nupdate add n{step}.example.test. 300 A 192.0.2.{step}\nsend\n",
            address.ip(),
            address.port()
        );
        fs::write(folder.path().join("update"), update).unwrap();
        run(folder.path(), "nsupdate", &["update"]);
        last = wait_for(&format!("the update {step}: {:?}", edge.status(ZONE)), || {
            edge.serial(ZONE).filter(|serial| *serial != last)
        });
    }
    let status = wait_for("the status", || Some(edge.status(ZONE)).filter(|status| status.serial == Some(last)));
    assert_eq!((status.zonemd, status.dnssec), (Some(CheckResult::Verified), Some(CheckResult::Verified)));
    let counts = edge.sync().counts();
    assert!(counts.ixfr_total >= 1 && counts.fallback_total == 0, "{counts:?}");
    edge.stop();
}

/// A zone without the digest that is required, and one whose digest is of something else.
#[test]
fn digests_that_are_missing_or_wrong() {
    let (folder, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let named = Named::start_anywhere(folder.path(), ZONE, &zone_text(1, ""), free_address());
    let config_with = |policy: &str| config(state.path(), &parts(named.address, policy));
    let edge = Edge::start(&config_with("zonemd = \"require\""));
    let status = edge.wait_for_error(ZONE, "ZONEMD of example.test.: it has no ZONEMD record, and one is required");
    assert_eq!(status.last_error_kind.as_deref(), Some("zonemd"));
    edge.stop();
    let edge = Edge::start(&config_with(""));
    edge.wait_for_serial(ZONE, 1);
    named.update(&format!("update add {ZONE} 300 ZONEMD 2 1 1 {}", "5a".repeat(48)));
    edge.notify(ZONE, 2);
    edge.wait_for_error(ZONE, "its contents do not match the digest of its ZONEMD record (hash algorithm 1)");
    let status = edge.status(ZONE);
    assert_eq!(status.serial, Some(1));
    // The whole zone was asked for too, in case the differences were to blame.
    assert!(status.origins[0].last_fallback.clone().unwrap().contains("do not match the digest"));
    edge.stop();
}
