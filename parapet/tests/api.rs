//! The HTTP API: who is let in, what is refused, TLS.

mod support;

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use support::{Daemon, failure, http, network, parapet, replace, wait_for};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const OTHER_TOKEN: &str = "fedcba9876543210fedcba9876543210";

/// A node with an API, and what else its table has.
fn daemon(more: &str) -> (Daemon, SocketAddr) {
    let folder = tempfile::tempdir().unwrap();
    write_secret(&folder.path().join("token"), TOKEN);
    let text = with_api(more);
    let daemon = Daemon::with_file_in(folder, &text, &[]);
    let address = daemon.status()["api"].as_str().unwrap().parse().unwrap();
    (daemon, address)
}

fn with_api(more: &str) -> String {
    network(&["example.com"]).replace(
        "[origin.a]",
        &format!("api = {{ listen = \"127.0.0.1:0\", token_file = \"token\"{more} }}\n[origin.a]"),
    )
}

fn write_secret(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// The status line and the body of an answer.
fn ask(api: SocketAddr, method: &str, path: &str, token: &str, body: &str) -> (String, Value) {
    let headers = format!("Authorization: Bearer {token}\r\nContent-Length: {}\r\n", body.len());
    let (status, text) = http(api, method, path, &headers, body.as_bytes());
    (status, serde_json::from_str(&text).unwrap_or_else(|why| panic!("{why}: {text}")))
}

#[test]
fn it_answers_as_the_control_socket_does() {
    let (daemon, api) = daemon("");
    let (status, answer) = ask(api, "GET", "/v1/status", TOKEN, "");
    assert_eq!((status.as_str(), &answer["status"]["node"]), ("HTTP/1.1 200 OK", &json!("one")));
    assert_eq!(answer["status"]["pid"], daemon.pid());
    let (_, answer) = ask(api, "GET", "/v1/zones", TOKEN, "");
    assert_eq!(answer["zones"][0]["zone"], "example.com.");
    let purge = r#"{"name":"WWW.example.com","subtree":true}"#;
    for _ in 0..2 {
        let (status, answer) = ask(api, "POST", "/v1/purge", TOKEN, purge);
        let want = json!({ "purged": { "zones": [{ "zone": "example.com.", "mode": "full-copy", "removed": 0 }] } });
        assert_eq!((status.as_str(), answer), ("HTTP/1.1 200 OK", want));
    }
    let (status, answer) = ask(api, "POST", "/v1/fill", TOKEN, r#"{"zone":"example.com"}"#);
    assert_eq!(status, "HTTP/1.1 422 Unprocessable Entity");
    assert!(answer["error"].as_str().unwrap().starts_with("no origin gave the zone: "), "{answer}");
}

#[test]
fn without_the_token_nothing_is_told() {
    let (daemon, api) = daemon("");
    let refused = |headers: &str, path: &str| {
        let (status, body) = http(api, "GET", path, headers, b"");
        assert_eq!(status, "HTTP/1.1 401 Unauthorized");
        assert_eq!(body, "{\"error\":\"unauthorized\"}\n");
    };
    refused("", "/v1/zones");
    refused("", "/no/such/path");
    refused(&format!("Authorization: Bearer {OTHER_TOKEN}\r\n"), "/v1/zones");
    refused(&format!("Authorization: Bearer {TOKEN}0\r\n"), "/v1/zones");
    refused(&format!("Authorization: Basic {TOKEN}\r\n"), "/v1/zones");
    refused("Authorization: Bearer\r\n", "/v1/purge");
    wait_for("the log", || daemon.log().contains("a request to the API without its token").then_some(()));
    assert!(!daemon.log().contains(OTHER_TOKEN));
}

#[test]
fn who_guesses_is_shut_out() {
    let (daemon, api) = daemon("");
    for _ in 0..10 {
        assert_eq!(ask(api, "GET", "/v1/status", OTHER_TOKEN, "").0, "HTTP/1.1 401 Unauthorized");
    }
    for token in [OTHER_TOKEN, TOKEN] {
        let (status, answer) = ask(api, "GET", "/v1/status", token, "");
        assert_eq!(status, "HTTP/1.1 429 Too Many Requests");
        assert!(answer["error"].as_str().unwrap().starts_with("too many wrong tokens from this address: wait "));
    }
    assert_eq!(daemon.log().matches("shut out for a while").count(), 1);
}

#[test]
fn nonsense_is_refused_and_says_what_would_be_right() {
    let (_daemon, api) = daemon("");
    let check = |method: &str, path: &str, body: &str, want: &str, why: &str| {
        let (status, answer) = ask(api, method, path, TOKEN, body);
        assert_eq!(status, format!("HTTP/1.1 {want}"), "{answer}");
        assert!(answer["error"].as_str().unwrap().contains(why), "{answer}");
    };
    check("GET", "/v2/zones", "", "404 Not Found", "below /v1/ are purge, fill");
    check("GET", "/v1/purge", "", "405 Method Not Allowed", "POST");
    check("POST", "/v1/purge", "{", "400 Bad Request", "not a request: ");
    check("POST", "/v1/purge", r#"{"name":"a","subtre":true}"#, "400 Bad Request", "unknown field");
    check("POST", "/v1/purge", r#"{"name":"a..b"}"#, "422 Unprocessable Entity", "no domain name");
    check("POST", "/v1/fill", r#"{"zone":"example.org"}"#, "422 Unprocessable Entity", "no zone example.org.");
    check("POST", "/v1/purge", &" ".repeat(65_537), "413 Payload Too Large", "at most 65536 bytes");
}

#[test]
fn a_new_token_is_taken_without_a_restart() {
    let (daemon, api) = daemon("");
    let code = |token: &str| ask(api, "GET", "/v1/status", token, "").0;
    replace(&daemon.path("token"), "too short\n");
    daemon.signal(Signal::SIGHUP);
    wait_for("the refusal", || daemon.log().contains("the API's token stays as it was").then_some(()));
    assert_eq!(code(TOKEN), "HTTP/1.1 200 OK");
    replace(&daemon.path("token"), &format!("{OTHER_TOKEN}\n"));
    daemon.signal(Signal::SIGHUP);
    wait_for("the new token", || daemon.log().contains("the API has a new token").then_some(()));
    assert_eq!((code(OTHER_TOKEN).as_str(), code(TOKEN).as_str()), ("HTTP/1.1 200 OK", "HTTP/1.1 401 Unauthorized"));
}

#[test]
fn a_token_that_could_be_guessed_is_a_wrong_configuration() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("token"), "secret\n").unwrap();
    let file = folder.path().join("network.toml");
    fs::write(&file, with_api("")).unwrap();
    let (code, text) = failure(&parapet(["run", "--config", file.to_str().unwrap()]));
    assert_eq!(code, 2);
    assert!(
        text.contains("a token of 6 characters; expected 32 to 1024: make one with `openssl rand -hex 32`"),
        "{text}"
    );
}

#[test]
fn a_token_that_everybody_can_read_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    write_secret(&folder.path().join("token"), TOKEN);
    fs::set_permissions(folder.path().join("token"), fs::Permissions::from_mode(0o644)).unwrap();
    let daemon = Daemon::with_file_in(folder, &with_api(""), &[]);
    assert!(daemon.log().contains("everybody can read the token"), "{}", daemon.log());
}

/// A certificate for loopback addresses and its key, as `api.crt` and `api.pem`.
fn certificate(folder: &Path) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned(), "::1".to_owned()]).unwrap();
    fs::write(folder.join("api.crt"), made.cert.pem()).unwrap();
    write_secret(&folder.join("api.pem"), &made.signing_key.serialize_pem());
}

#[test]
fn over_tls_nodes_are_known_by_their_certificate() {
    check_tls("127.0.0.1");
}

#[test]
fn over_tls_and_ipv6_too() {
    check_tls("[::1]");
}

fn check_tls(host: &str) {
    let folder = tempfile::tempdir().unwrap();
    write_secret(&folder.path().join("token"), TOKEN);
    certificate(folder.path());
    let port = std::net::TcpListener::bind(format!("{host}:0")).unwrap().local_addr().unwrap().port();
    let text = with_api(", certificate = \"api.crt\", key_file = \"api.pem\"")
        .replace("api = { listen = \"127.0.0.1:0\"", &format!("api = {{ listen = \"{host}:{port}\""));
    let daemon = Daemon::with_file_in(folder, &text, &[]);
    // A client that never shakes hands holds up nobody.
    let _idle = TcpStream::connect(format!("{host}:{port}")).unwrap();
    let file = daemon.path("network.toml");
    let purge = || parapet(["purge", "example.com", "--all", "--config", file.to_str().unwrap()]);
    let output = purge();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    // Who does not have this certificate is not told the token.
    certificate(daemon.folder.path());
    let output = purge();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains(&format!("no answer from https://{host}:{port}: ")), "{text}");
}
