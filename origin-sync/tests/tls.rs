//! Transfers over TLS (RFC 9103) from real BIND and NSD, and servers that do not prove who they are.
//! Needs Debian's packages bind9, bind9-dnsutils and nsd.

mod support;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PublicKeyData};
use ring::digest::{SHA256, digest};
use support::bind::{Named, zone_text};
use support::daemon::start;
use support::{Edge, SECRET, config, free_address, wait_for};

const ZONE: &str = "example.test.";

/// An authority with a folder for what it issues.
struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key on disk.
struct Identity {
    certificate: PathBuf,
    key: PathBuf,
    pin: String,
}

impl Authority {
    fn new(folder: &Path, name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let authority = Authority { folder: folder.join(name), issuer: Issuer::new(params, key) };
        fs::create_dir(&authority.folder).unwrap();
        fs::write(authority.file(), certificate.pem()).unwrap();
        authority
    }

    fn file(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// Issues a certificate for `name`; an expired one if `until` says so.
    fn issue(&self, name: &str, until: Option<i32>) -> Identity {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        if let Some(year) = until {
            params.not_after = rcgen::date_time_ymd(year, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let pem = params.signed_by(&key, &self.issuer).unwrap().pem();
        let number = fs::read_dir(&self.folder).unwrap().count();
        let file = |kind: &str| self.folder.join(format!("{number}.{kind}"));
        fs::write(file("pem"), pem).unwrap();
        fs::write(file("key"), key.serialize_pem()).unwrap();
        let spki = digest(&SHA256, &key.subject_public_key_info());
        let pin = spki.as_ref().iter().map(|octet| format!("{octet:02x}")).collect();
        Identity { certificate: file("pem"), key: file("key"), pin }
    }
}

impl Identity {
    /// `named`'s words for it.
    fn tls(&self, name: &str, more: &str) -> String {
        let (certificate, key) = (self.certificate.display(), self.key.display());
        format!("tls {name} {{ cert-file \"{certificate}\"; key-file \"{key}\"; {more} }};\n")
    }
}

/// The parts of a configuration: the zone from an origin with TLS.
fn parts(origin: SocketAddr, tls: &str) -> String {
    format!(
        "[origin.tls]\naddresses = [\"{origin}\"]\nkey = \"transfer\"\nnotify_key_required = true\n[origin.tls.tls]\n{tls}\n\
         [zone.\"example.test\"]\norigins = [\"tls\"]\n[zone.\"example.test\".timers]\nretry_s_min = 1\nretry_s_max = 1\n"
    )
}

fn edge(state: &Path, origin: SocketAddr, tls: &str) -> Edge {
    Edge::start(&config(state, &parts(origin, tls)))
}

/// The transfer came over TLS, the SOA queries too: `named` allows nothing else.
fn is_served(origin: SocketAddr, tls: &str) {
    let state = tempfile::tempdir().unwrap();
    let edge = edge(state.path(), origin, tls);
    edge.wait_for_serial(ZONE, 1);
    let transfer = wait_for("the status", || edge.status(ZONE).origins[0].last_transfer.clone());
    assert_eq!(serde_json::to_value(transfer.transport).unwrap(), "tls");
    edge.stop();
}

/// No copy comes, and the status says why.
fn is_refused(origin: SocketAddr, tls: &str, reason: &str) {
    let state = tempfile::tempdir().unwrap();
    let edge = edge(state.path(), origin, tls);
    let status = edge.wait_for_error(ZONE, reason);
    assert_eq!((status.serial, status.origins[0].last_error_kind.as_deref()), (None, Some("tls")));
    edge.stop();
}

#[test]
fn bind_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, other) = (Authority::new(folder.path(), "ours"), Authority::new(folder.path(), "other"));
    let good = ours.issue("origin.test", None);
    let addresses: Vec<SocketAddr> = (0..5).map(|_| free_address()).collect();
    let [plain, tls, mutual, old, expired] = addresses[..] else { panic!() };
    let ca = ours.file();
    let more = [
        good.tls("good", ""),
        good.tls("mutual", &format!("ca-file \"{}\";", ca.display())),
        good.tls("old", "protocols { TLSv1.2; };"),
        ours.issue("origin.test", Some(2020)).tls("expired", ""),
    ];
    let listen = [(tls, "good"), (mutual, "mutual"), (old, "old"), (expired, "expired")]
        .map(|(address, name)| format!("listen-on port {} tls {name} {{ 127.0.0.1; }};\n", address.port()));
    let notify_at = free_address();
    let named = Named::start_with(
        folder.path(),
        plain,
        ZONE,
        &zone_text(1, ""),
        notify_at,
        &support::bind::More {
            global: more.concat(),
            options: listen.concat(),
            transfer: "transport tls",
            ..Default::default()
        },
    );

    let name = "server_name = \"origin.test\"";
    let ca = format!("ca_file = {ca:?}");
    is_refused(tls, &format!("{ca}\nserver_name = \"another.test\""), "not for the name another.test but for");
    is_refused(tls, &ca, "not for the name 127.0.0.1 but for");
    is_refused(tls, &format!("{name}\nca_file = {:?}", other.file()), "not issued by an authority that is trusted");
    is_refused(tls, &format!("pins_sha256 = [\"{}\"]", "5a".repeat(32)), &format!("SHA-256 {}", good.pin));
    is_refused(expired, &format!("{name}\n{ca}"), "its certificate expired");
    is_refused(old, &format!("{name}\n{ca}"), "hung up in the handshake: does it speak TLS 1.3");
    is_refused(plain, &format!("{name}\n{ca}"), "TLS with");
    is_refused(mutual, &format!("{name}\n{ca}"), "does it want a client certificate");

    is_served(tls, &format!("{name}\n{ca}"));
    is_served(tls, &format!("pins_sha256 = [\"{}\"]", good.pin));
    let us = ours.issue("edge.test", None);
    let us = format!("certificate = {:?}\nkey_file = {:?}", us.certificate, us.key);
    is_served(mutual, &format!("{name}\n{ca}\n{us}"));
    let stranger = other.issue("edge.test", None);
    let stranger = format!("certificate = {:?}\nkey_file = {:?}", stranger.certificate, stranger.key);
    is_refused(mutual, &format!("{name}\n{ca}\n{stranger}"), "it refused us");

    // A change comes by NOTIFY, as differences, over TLS.
    let state = tempfile::tempdir().unwrap();
    let edge = Edge::start_at(&config(state.path(), &parts(tls, &format!("{name}\n{ca}"))), notify_at);
    edge.wait_for_serial(ZONE, 1);
    named.update("update add n2.example.test. 300 A 192.0.2.2");
    edge.wait_for_serial(ZONE, 2);
    let transfer = wait_for("the status", || {
        edge.status(ZONE).origins[0].last_transfer.clone().filter(|transfer| transfer.serial == 2)
    });
    assert_eq!((transfer.question.as_str(), serde_json::to_value(transfer.transport).unwrap()), ("IXFR", "tls".into()));
    edge.stop();
}

#[test]
fn nsd_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path(), "ours");
    let good = ours.issue("origin.test", None);
    let (plain, tls, dir) = (free_address(), free_address(), folder.path().display());
    fs::write(folder.path().join("example.test.zone"), format!("$ORIGIN {ZONE}\n{}", zone_text(1, ""))).unwrap();
    let conf = folder.path().join("nsd.conf");
    fs::write(
        &conf,
        format!(
            "server:\n  ip-address: 127.0.0.1@{}\n  ip-address: 127.0.0.1@{tls_port}\n  tls-port: {tls_port}\n  \
             tls-service-key: \"{}\"\n  tls-service-pem: \"{}\"\n  username: \"\"\n  chroot: \"\"\n  zonesdir: \"{dir}\"\n  \
             database: \"\"\n  pidfile: \"{dir}/nsd.pid\"\n  xfrdfile: \"{dir}/xfrd.state\"\n  zonelistfile: \"{dir}/zone.list\"\n  \
             xfrdir: \"{dir}\"\n  server-count: 1\n\
             remote-control:\n  control-enable: no\n\
             key:\n  name: transfer.test\n  algorithm: hmac-sha256\n  secret: \"{SECRET}\"\n\
             zone:\n  name: example.test\n  zonefile: example.test.zone\n  provide-xfr: 127.0.0.1 transfer.test\n",
            plain.port(),
            good.key.display(),
            good.certificate.display(),
            tls_port = tls.port(),
        ),
    )
    .unwrap();
    let _nsd = start("nsd", "nsd", &["-d", "-c", conf.to_str().unwrap()], folder.path());
    let ca = ours.file();
    is_served(tls, &format!("server_name = \"origin.test\"\nca_file = {ca:?}"));
}

/// Files that cannot be used are told of by name when the configuration is read, and nothing has changed.
#[test]
fn files_are_checked_when_they_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pem");
    fs::write(&empty, "").unwrap();
    for (tls, reason) in [
        ("ca_file = \"/nowhere/ca.pem\"".to_owned(), "origin tls, tls.ca_file: cannot read /nowhere/ca.pem"),
        (format!("ca_file = {empty:?}"), "has no certificate (PEM)"),
        (
            format!("pins_sha256 = [\"{}\"]\ncertificate = {empty:?}\nkey_file = {empty:?}", "5a".repeat(32)),
            "tls.certificate",
        ),
    ] {
        let config = config(folder.path(), &parts(free_address(), &tls));
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let cache = std::sync::Arc::new(cache::Cache::new(1 << 20));
        let started = origin_sync::OriginSync::start(&config, std::sync::Arc::default(), cache, runtime.handle());
        let error = started.expect_err("a file that cannot be used").to_string();
        assert!(error.contains(reason), "{error}");
    }
}
