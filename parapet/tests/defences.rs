//! `parapet top`, `explain-source`, `defences`, `block`, `allow` and `known-good`, by the control socket and the HTTP API.

mod support;

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use serde_json::{Value, json};
use support::{Daemon, failure, http, http_get, network, parapet, wait_for};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
/// A client. The node's own address is never limited; all of 127/8 is its machine.
const CLIENT: &str = "127.0.0.9";
/// How long an answer may take: a machine may have much else to do.
const ANSWER: Duration = Duration::from_secs(2);

/// A query of type A with recursion not desired.
fn query(name: &str) -> Vec<u8> {
    let mut message = vec![0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    message
}

/// Whether the client gets an answer.
fn is_answered(server: SocketAddr) -> bool {
    let socket = UdpSocket::bind((CLIENT, 0)).unwrap();
    socket.set_read_timeout(Some(ANSWER)).unwrap();
    socket.send_to(&query("www.example.com"), server).unwrap();
    socket.recv_from(&mut [0; 512]).is_ok()
}

fn run(daemon: &Daemon, arguments: &[&str]) -> String {
    let control = daemon.control();
    let output = parapet(arguments.iter().copied().chain(["--control", control.to_str().unwrap()]));
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn json_of(daemon: &Daemon, arguments: &[&str]) -> Value {
    let with_json: Vec<_> = arguments.iter().copied().chain(["--json"]).collect();
    serde_json::from_str(&run(daemon, &with_json)).unwrap()
}

#[test]
fn orders_count_at_once_and_over_a_kill() {
    let daemon = Daemon::short(&[]);
    let server = daemon.address();
    assert!(is_answered(server));
    assert_eq!(run(&daemon, &["block", "127.0.0.8/31", "--why", "a test"]), "127.0.0.8/31 is blocked\n");
    assert!(!is_answered(server));
    assert!(run(&daemon, &["explain-source", CLIENT]).starts_with("127.0.0.9 gets no answer by the filter blocked.\n"));
    // Who is allowed is answered, whoever is blocked.
    assert_eq!(run(&daemon, &["allow", CLIENT]), "127.0.0.9 is never limited\n");
    assert!(is_answered(server));
    assert_eq!(run(&daemon, &["allow", CLIENT, "--remove"]), "127.0.0.9 is on no list\n");
    assert_eq!(run(&daemon, &["known-good", "add", "203.0.113.7"]), "203.0.113.7 is known good\n");
    assert_eq!(json_of(&daemon, &["explain-source", "203.0.113.7"])["standing"], "known-good");
    assert_eq!(run(&daemon, &["defences", "set", "all", "observe"]), "all is observe\n");
    assert!(is_answered(server), "they observe");
    let told = run(&daemon, &["defences", "set", "client", "on"]);
    assert!(told.contains("it goes no further than all filters may, which is observe"), "{told}");
    let blocked = json_of(&daemon, &["defences"])["filters"][0].clone();
    assert_eq!((&blocked["filter"], &blocked["mode"]), (&json!("blocked"), &json!("observe")), "{blocked}");
    assert!(blocked["effects"]["dropped"].as_u64() >= Some(1) && blocked["effects"]["would-drop"].as_u64() >= Some(1));
    assert!(run(&daemon, &["status"]).contains("\ndefences       observe"), "{}", run(&daemon, &["status"]));

    let folder = daemon.kill();
    let state = folder.path().join("state");
    let arguments = ["run", "--origin", "127.0.0.1:1", "--zone", "example.com", "--listen", "127.0.0.1:0"];
    let all: Vec<&str> = arguments.into_iter().chain(["--state", state.to_str().unwrap()]).collect();
    let daemon = Daemon::again(folder, &all);
    let status = json_of(&daemon, &["defences"]);
    assert_eq!((&status["mode"], &status["mode_by"]), (&json!("observe"), &json!("order")));
    let listed = status["lists"].as_array().unwrap().iter().find(|listed| listed["prefix"] == "127.0.0.8/31").unwrap();
    assert_eq!((&listed["list"], &listed["by"], &listed["why"]), (&json!("block"), &json!("order"), &json!("a test")));
    assert_eq!(run(&daemon, &["defences", "set", "all", "on"]), "all is on\n");
    assert!(!is_answered(daemon.address()));
    assert_eq!(run(&daemon, &["defences", "restore"]), "the network file alone counts again\n");
    assert!(is_answered(daemon.address()));
}

#[test]
fn top_and_explain_source_show_who_floods() {
    let daemon = Daemon::short(&["--metrics", "127.0.0.1:0"]);
    let socket = UdpSocket::bind((CLIENT, 0)).unwrap();
    let server = daemon.address();
    let top = wait_for("the flooding source on top", || {
        // In portions that no socket's buffer loses.
        (0..50).for_each(|_| drop(socket.send_to(&query("flooded.example.com"), server)));
        let top = json_of(&daemon, &["top"]);
        let found = top["sources"][0]["key"] == CLIENT && top["sources"][0]["per_s"].as_f64() > Some(1.0);
        found.then_some(top)
    });
    assert_eq!(top["names"][0]["key"], "flooded.example.com.", "{top:#}");
    assert_eq!(top["prefixes"][0]["key"], "127.0.0.0/24");
    let text = run(&daemon, &["top", "--once", "--view", "names"]);
    assert!(text.contains("\nflooded.example.com. "), "{text}");
    let explained = wait_for("an explanation", || {
        (0..3000).for_each(|_| drop(socket.send_to(&query("flooded.example.com"), server)));
        let explained = json_of(&daemon, &["explain-source", CLIENT]);
        let client = explained["judgements"].as_array().unwrap().iter().find(|one| one["filter"] == "client").cloned();
        client.filter(|client| client["finding"] != "fine").map(|_| explained)
    });
    assert!(explained["penalty"].as_u64() >= Some(40), "{explained:#}");
    let metrics = daemon.status()["metrics"].as_str().unwrap().parse().unwrap();
    let (_, text) = http_get(metrics, "/metrics");
    let counted = |line: &&str| line.starts_with("parapet_filter_queries_total{") && !line.ends_with(" 0");
    assert!(text.lines().any(|line| counted(&line)), "{text}");
}

#[test]
fn the_api_takes_what_the_commands_do() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    fs::write(&token, TOKEN).unwrap();
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    let api = "api = { listen = \"127.0.0.1:0\", token_file = \"token\" }\n[origin.a]";
    let daemon = Daemon::with_file_in(folder, &network(&["example.com"]).replace("[origin.a]", api), &[]);
    let api = daemon.status()["api"].as_str().unwrap().parse().unwrap();
    let ask = |method: &str, path: &str, body: &str| -> (String, Value) {
        let headers = format!("Authorization: Bearer {TOKEN}\r\nContent-Length: {}\r\n", body.len());
        let (status, text) = http(api, method, path, &headers, body.as_bytes());
        (status, serde_json::from_str(&text).unwrap_or_else(|why| panic!("{why}: {text}")))
    };
    let server = daemon.address();
    let (_, answer) = ask("POST", "/v1/defences", r#"{"order":"put","prefix":"127.0.0.9","list":"block"}"#);
    assert_eq!(answer, json!({ "order_given": { "changed": true, "not_kept": null, "note": null } }));
    assert!(!is_answered(server));
    let (_, answer) = ask("GET", "/v1/defences/sources/127.0.0.9", "");
    assert_eq!(answer["explained"]["filter"], "blocked", "{answer:#}");
    assert_eq!(ask("POST", "/v1/defences", r#"{"order":"restore"}"#).1["order_given"]["changed"], true);
    assert!(is_answered(server));
    let (_, answer) = ask("POST", "/v1/defences/known-good", r#"{"sources":[{"address":"192.0.2.7"}]}"#);
    assert_eq!(answer, json!({ "imported": { "taken": 1, "left": 0 } }));
    let (_, answer) = ask("GET", "/v1/defences/known-good", "");
    assert_eq!(answer["known_good"]["learned"][0]["address"], "192.0.2.7", "{answer:#}");
    assert_eq!(ask("GET", "/v1/defences", "").1["defences"]["known_good_learned"], 1);
    assert!(ask("GET", "/v1/defences/top/5", "").1["top"]["sources"].is_array());
    let refused = |method: &str, path: &str, body: &str| {
        let (status, answer) = ask(method, path, body);
        assert_eq!(status, "HTTP/1.1 422 Unprocessable Entity", "{answer}");
    };
    refused("GET", "/v1/defences/sources/everybody", "");
    refused("POST", "/v1/defences", r#"{"order":"set-mode","filter":"cleint","mode":"on"}"#);
}

#[test]
fn what_is_known_to_be_good_goes_from_node_to_node_by_a_file() {
    let (one, other) = (Daemon::short(&[]), Daemon::short(&[]));
    let list = one.path("list.txt");
    fs::write(&list, "# resolvers\n192.0.2.1\n2001:db8:1::53 # of a customer\n").unwrap();
    assert_eq!(run(&one, &["known-good", "import", list.to_str().unwrap()]), "2 sources are known good\n");
    let file = one.path("good.txt");
    let file = file.to_str().unwrap();
    assert_eq!(run(&one, &["known-good", "export", file]), format!("2 sources are in {file}\n"));
    assert_eq!(run(&other, &["known-good", "import", file]), "2 sources are known good\n");
    let known = json_of(&other, &["known-good", "list"]);
    let mut learned: Vec<_> = known["learned"].as_array().unwrap().iter().map(|good| good["address"].clone()).collect();
    learned.sort_by_key(ToString::to_string);
    // An IPv6 client is its network of 64 bits.
    assert_eq!(learned, [json!("192.0.2.1"), json!("2001:db8:1::")]);
    let control = other.control();
    fs::write(&list, "192.0.2.1\nnobody\n").unwrap();
    let import = ["known-good", "import", list.to_str().unwrap(), "--control", control.to_str().unwrap()];
    let (code, text) = failure(&parapet(import));
    assert_eq!(code, 2);
    assert!(text.contains(":2: error: \"nobody\": expected an address"), "{text}");
}

#[test]
fn what_makes_no_sense_is_refused_before_anybody_is_asked() {
    let refused = |arguments: &[&str], want: &str| {
        let (code, text) = failure(&parapet(arguments));
        assert_eq!(code, 2, "{text}");
        assert!(text.contains(want), "{text}");
    };
    refused(&["block", "192.0.2.1/24"], "write \"192.0.2.0/24\"");
    refused(&["block", "192.0.2.1", "--for", "0"], "at least a second");
    refused(&["block", "192.0.2.1", "--for", "1h", "--remove"], "cannot be used with");
    refused(&["defences", "set", "cleint", "on"], "unknown-source");
    refused(&["defences", "set", "client", "full"], "observe");
    refused(&["defences", "normal"], "<RATE>");
    refused(&["explain-source", "resolver.example"], "invalid IP address");
    refused(&["top", "--once", "--interval", "1"], "cannot be used with");
    refused(&["block", "192.0.2.1", "--all"], "--config");
}
