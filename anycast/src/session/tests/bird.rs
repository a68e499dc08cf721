//! BIRD as the router, on loopback at an unprivileged port. Needs the package `bird2`; all else that BIRD and other
//! routers are asked stands in the interop tests.

use std::process::{Child, Command, Stdio};

use super::*;

/// A running BIRD, gone with this.
struct Bird {
    process: Child,
    folder: tempfile::TempDir,
}

impl Bird {
    /// One that has the node at `node` for its neighbour, and listens at `port`.
    fn start(node: SocketAddr, port: u16, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "router id 10.0.0.2;
            protocol device {{}}
            protocol static {{ ipv4; route 198.51.100.0/24 blackhole; }}
            protocol bgp node {{
                local 127.0.0.2 port {port} as {ROUTER_AS};
                neighbor {} port {} as {NODE_AS};
                strict bind on;
                multihop 1;
                ttl security on;
                connect delay time 1;
                connect retry time 1;
                error wait time 1, 2;
                ipv4 {{ import all; export where source = RTS_STATIC; import keep filtered; }};
                {more}
            }}\n",
            node.ip(),
            node.port()
        );
        std::fs::write(folder.path().join("bird.conf"), text).unwrap();
        let process = Command::new("bird")
            .args(["-f", "-c", "bird.conf", "-s", "bird.ctl"])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("this test needs the program `bird` (Debian's package bird2)");
        Self { process, folder }
    }

    /// What it answers to a command.
    fn ask(&self, command: &str) -> String {
        let answer = Command::new("birdc")
            .args(["-s", "bird.ctl"])
            .args(command.split(' '))
            .current_dir(self.folder.path())
            .output()
            .expect("this test needs the program `birdc` (Debian's package bird2)");
        String::from_utf8_lossy(&answer.stdout).into_owned()
    }

    /// Waits until an answer has these words in it.
    async fn answers(&self, command: &str, words: &[&str]) -> String {
        let mut answer = String::new();
        eventually(&format!("{words:?} from BIRD"), || {
            answer = self.ask(command);
            words.iter().all(|it| answer.contains(it))
        })
        .await;
        answer
    }
}

impl Drop for Bird {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A port of the router's address that is free now.
fn free_port() -> u16 {
    std::net::TcpListener::bind(SocketAddr::new(ROUTER, 0)).unwrap().local_addr().unwrap().port()
}

fn with_bird(more: &str, prepare: impl FnOnce(&mut Neighbour)) -> (Node, Bird) {
    let port = free_port();
    let mut anycast = node(NODE_AS, NODE, vec![neighbour("bird", NODE, SocketAddr::new(ROUTER, port), ROUTER_AS)]);
    prepare(&mut anycast.neighbours[0]);
    let node = Node::start(&anycast);
    let bird = Bird::start(node.address, port, more);
    (node, bird)
}

#[tokio::test]
async fn announced_and_withdrawn() {
    let (node, bird) = with_bird("", |_| {});
    node.announce(&["192.0.2.0/24"]);
    node.established("bird").await;
    bird.answers("show route 192.0.2.0/24 all", &["BGP.as_path: 65010", "BGP.next_hop: 127.0.0.1"]).await;
    node.routes("bird", &["198.51.100.0/24"]).await;
    node.announce(&[]);
    in_time("a withdrawal", node.speaker.flushed()).await;
    bird.answers("show route 192.0.2.0/24 all", &["Network not found"]).await;
    assert_eq!(node.status("bird").flaps, 0);
}

#[tokio::test]
async fn either_side_connects_with_a_password() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "open sesame\n").unwrap();
    for (ours, theirs) in [(true, ""), (false, "passive;")] {
        let (node, bird) = with_bird(&format!("password \"open sesame\"; {theirs}"), |it| {
            it.passive = ours;
            it.password_file = Some(file.clone());
        });
        node.announce(&["192.0.2.0/24"]);
        node.established("bird").await;
        bird.answers("show route 192.0.2.0/24", &["192.0.2.0/24"]).await;
    }
}

#[tokio::test]
async fn another_password_than_birds() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "open sesame\n").unwrap();
    let (node, _bird) = with_bird("password \"open barley\";", |it| it.password_file = Some(file));
    node.problem("bird", &["no answer to our connection attempts", "another one than ours"]).await;
}

#[tokio::test]
async fn messages_of_the_end_both_ways() {
    let (node, bird) = with_bird("", |_| {});
    node.established("bird").await;
    bird.answers("disable node \"maintenance until noon\"", &["disabled"]).await;
    let (sent, words) = node.notified("bird", 6, 2).await;
    assert!(!sent && words.contains("maintenance until noon"), "{words}");
    bird.answers("enable node", &["enabled"]).await;
    node.established("bird").await;
    in_time("the end", node.speaker.stop("moving house")).await;
    bird.answers("show protocols all node", &["Administrative shutdown"]).await;
}

#[tokio::test]
async fn bird_asks_for_the_routes_again() {
    let (node, bird) = with_bird("", |_| {});
    node.announce(&["192.0.2.0/24"]);
    node.established("bird").await;
    bird.answers("show route 192.0.2.0/24", &["192.0.2.0/24"]).await;
    let updates = node.status("bird").updates_sent;
    bird.answers("reload in node", &["node: reloading"]).await;
    eventually("the routes again", || node.status("bird").updates_sent > updates).await;
    assert_eq!(node.status("bird").flaps, 0);
}

#[tokio::test]
async fn bird_is_killed_and_comes_back() {
    let port = free_port();
    let anycast = node(NODE_AS, NODE, vec![neighbour("bird", NODE, SocketAddr::new(ROUTER, port), ROUTER_AS)]);
    let node = Node::start(&anycast);
    node.announce(&["192.0.2.0/24"]);
    node.problem("bird", &["refuses the connection"]).await;
    for _ in 0..2 {
        let bird = Bird::start(node.address, port, "");
        bird.answers("show route 192.0.2.0/24", &["192.0.2.0/24"]).await;
        drop(bird);
        eventually("the end of the session", || node.status("bird").state != "established").await;
    }
    assert_eq!(node.status("bird").flaps, 2);
}
