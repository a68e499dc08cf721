//! A router with the wrong password, the wrong autonomous system or the wrong address family: one clear log line, however
//! often it is tried, and a neighbour that says what is wrong.

use std::fmt::Write as _;

use parapet_lab::routers::{PeerSpec, Router, RouterKind, RouterSpec};
use parapet_lab::{Edge, Lab, until};

use crate::scene::{DEADLINE, EDGE_AS, file_head, neighbour, network, origin, secret_file, wait_for_neighbour, wire};

/// What is wrong with a neighbour: its name, what the network file says of it, and words that must be in what is said.
struct Wrong {
    name: &'static str,
    lines: &'static str,
    words: &'static [&'static str],
}

const ALL: [Wrong; 3] = [
    Wrong { name: "md5", lines: "as = 64501", words: &["password"] },
    Wrong { name: "system", lines: "as = 64999", words: &["64999", "64501"] },
    Wrong { name: "family", lines: "as = 64501\nfamilies = [\"ipv6\"]", words: &["ipv6"] },
];
/// Attempts that are seen before the log is looked at.
const ATTEMPTS: usize = 3;

/// Each neighbour is a BIRD whose AS is 64501, with its own password, that speaks IPv4 only.
fn start_routers(net: &parapet_lab::Network) -> Vec<Box<dyn Router>> {
    let routers = ALL.iter().map(|wrong| {
        let host = net.host(wrong.name);
        let [(own, edge), _] = wire(host);
        let password = (wrong.name == "md5").then(|| "what-the-router-has".to_owned());
        let peer = PeerSpec { ipv6: false, password, ttl_security: true, ..PeerSpec::new(own, edge, EDGE_AS) };
        let spec = RouterSpec::new(64501, [10, 0, 0, 1].into()).peer(peer);
        RouterKind::Bird.start(host, &spec).expect("bird")
    });
    routers.collect()
}

#[test]
fn one_log_line_and_a_state_that_says_what_is_wrong() {
    let lab = Lab::new("wrong-peers").expect("a lab");
    let net = network(&lab, &ALL.each_ref().map(|wrong| wrong.name));
    let _named = origin(&net);
    let routers = start_routers(&net);
    let password = secret_file(&lab, "what-the-edge-has");
    let builder = Edge::at(net.host("edge"));
    let state = builder.state_folder().expect("a state folder");
    let listen: Vec<_> = ALL.iter().map(|wrong| wire(net.host(wrong.name))[0].1).collect();
    let mut file = file_head(&net, &state.to_string_lossy(), &listen, "", "");
    for wrong in &ALL {
        let [(address, _), _] = wire(net.host(wrong.name));
        let _ = write!(
            file,
            "[node.edge.anycast.neighbour.{}]\naddress = \"{address}\"\nhold_time_s = 3\nconnect_retry_ms = 200\n{}\n",
            wrong.name, wrong.lines
        );
        if wrong.name == "md5" {
            let _ = writeln!(file, "password_file = {:?}", password.to_string_lossy());
        }
    }
    let edge = builder.file(&file, "edge").start().expect("parapet");
    for wrong in &ALL {
        let shown = wait_for_neighbour(&edge, wrong.name, "a problem that says what is wrong", |neighbour| {
            let problem = neighbour["problem"].as_str().unwrap_or_default().to_lowercase();
            wrong.words.iter().all(|word| problem.contains(word))
        });
        assert_ne!(shown["state"], "established", "{shown:#}");
    }
    // The router was refused again and again.
    let refused = || routers[1].daemons()[0].process().output().matches("Bad peer AS").count() >= ATTEMPTS;
    until("some attempts", DEADLINE, || refused().then_some(()))
        .unwrap_or_else(|why| panic!("{why}: {:#}", neighbour(&edge, "system")));
    let output = edge.process().output();
    for wrong in &ALL {
        let about: Vec<&str> = output.lines().filter(|line| is_about(line, wrong.name)).collect();
        assert_eq!(about.len(), 1, "{}: {about:#?} of {output}", wrong.name);
        let line = about[0].to_lowercase();
        assert!(wrong.words.iter().all(|word| line.contains(word)), "{line}");
    }
}

/// A warning about that neighbour.
fn is_about(line: &str, name: &str) -> bool {
    line.contains("WARN")
        && (line.contains(&format!("neighbour={name}")) || line.contains(&format!("neighbour=\"{name}\"")))
}
