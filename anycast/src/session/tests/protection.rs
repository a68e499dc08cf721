//! TCP MD5, TTL security, strangers, and the words for connections that do not come about.

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::session::options::set_md5_key;

/// A file with a password, gone with the folder.
fn password(folder: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    path
}

#[tokio::test]
async fn the_same_password_on_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    let file = password(&folder, "password", "open sesame\n");
    let (node, router) = pair(|a, b| {
        a.neighbours[0].password_file = Some(file.clone());
        b.neighbours[0].password_file = Some(file);
    });
    node.established("router").await;
    router.established("node").await;
    assert!(node.status("router").md5);
}

#[tokio::test]
async fn another_password_is_named_as_a_possible_reason() {
    let folder = tempfile::tempdir().unwrap();
    let (node, router) = pair(|a, b| {
        a.neighbours[0].password_file = Some(password(&folder, "ours", "open sesame"));
        b.neighbours[0].password_file = Some(password(&folder, "theirs", "open barley"));
    });
    let words = ["no answer to our connection attempts", "another one than ours"];
    let problem = node.problem("router", &words).await;
    assert!(!problem.contains("sesame"), "{problem}");
    router.problem("node", &words).await;
    assert_ne!(node.status("router").state, "established");
}

#[tokio::test]
async fn a_password_on_one_side_only() {
    let folder = tempfile::tempdir().unwrap();
    let file = password(&folder, "password", "open sesame");
    let (node, router) = pair(|_, b| b.neighbours[0].password_file = Some(file));
    node.problem("router", &["no answer", "may want a TCP MD5 password", "`password_file` is not set"]).await;
    router.problem("node", &["no answer", "may have no TCP MD5 password"]).await;
}

#[tokio::test]
async fn a_password_that_cannot_be_used_is_an_error_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    for (text, why) in [("", "it is empty"), ("a\nb\n", "more than one line"), (&"x".repeat(81), "more than 80 bytes")]
    {
        let mut anycast = node(NODE_AS, NODE, vec![neighbour("r1", NODE, SocketAddr::new(ROUTER, 1), ROUTER_AS)]);
        anycast.neighbours[0].password_file = Some(password(&folder, "password", text));
        let error = Speaker::bind(&anycast).unwrap_err().to_string();
        assert!(error.starts_with("no password for neighbour r1 in ") && error.contains(why), "{error}");
    }
    let mut anycast = node(NODE_AS, NODE, vec![neighbour("r1", NODE, SocketAddr::new(ROUTER, 1), ROUTER_AS)]);
    anycast.neighbours[0].password_file = Some(folder.path().join("nowhere"));
    assert!(Speaker::bind(&anycast).unwrap_err().to_string().contains("No such file"));
}

#[tokio::test]
async fn the_longest_password() {
    let folder = tempfile::tempdir().unwrap();
    let file = password(&folder, "password", &format!("{}\r\n", "x".repeat(80)));
    let (node, _router) = pair(|a, b| {
        a.neighbours[0].password_file = Some(file.clone());
        b.neighbours[0].password_file = Some(file);
    });
    node.established("router").await;
}

#[tokio::test]
async fn ttl_security_takes_nobody_from_afar() {
    let passive = |anycast: &mut Anycast| anycast.neighbours[0].passive = true;
    let (_listener, node) = hand_router(passive).await;
    let far = tokio::time::timeout(Duration::from_millis(1500), HandRouter::connect(node.address, 254)).await;
    assert!(far.is_err(), "a connection from two hops away");
    let mut near = in_time("a connection", HandRouter::connect(node.address, 255)).await.unwrap();
    near.establish(9).await;
    node.established("router").await;
}

#[tokio::test]
async fn ttl_security_of_several_hops() {
    let (_listener, node) = hand_router(|anycast| {
        anycast.neighbours[0].passive = true;
        anycast.neighbours[0].hops_max = 3;
    })
    .await;
    let far = tokio::time::timeout(Duration::from_millis(1500), HandRouter::connect(node.address, 252)).await;
    assert!(far.is_err(), "a connection from four hops away");
    let mut near = in_time("a connection", HandRouter::connect(node.address, 253)).await.unwrap();
    near.establish(9).await;
}

#[tokio::test]
async fn a_router_that_answers_from_afar_is_not_heard() {
    let (listener, node) = hand_router(|_| {}).await;
    let (mut router, _) = in_time("a connection", listener.accept()).await.unwrap();
    router.set_ttl(64).unwrap();
    // The node's OPEN shows that it has the connection.
    in_time("an OPEN", router.read_exact(&mut [0; 19])).await.unwrap();
    router.write_all(&open(9)).await.unwrap();
    node.problem("router", &["nothing came", "TTL 255"]).await;
}

#[tokio::test]
async fn strangers_are_closed_and_counted() {
    let (_listener, node) = hand_router(|anycast| anycast.neighbours[0].ttl_security = false).await;
    for _ in 0..3 {
        let mut stranger = TcpStream::connect(node.address).await.unwrap();
        assert_eq!(in_time("the end", stranger.read(&mut [0; 1])).await.unwrap_or(0), 0);
    }
    eventually("a count", || node.speaker.connections_refused() == 3).await;
}

#[tokio::test]
async fn what_keeps_a_connection_from_being_made_is_said() {
    let (listener, node) = hand_router(|_| {}).await;
    drop(listener);
    node.problem("router", &["127.0.0.2:", "refuses the connection"]).await;

    let (_listener, node) = hand_router(|anycast| {
        anycast.neighbours[0].source = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 77)));
    })
    .await;
    node.problem("router", &["does not have the address 192.0.2.77", "`source`"]).await;
}

/// A router that is only waited for does not come: what keeps it away shows in the counters alone.
#[tokio::test]
async fn a_router_with_another_password_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let (node, router) = pair(|a, b| {
        a.neighbours[0].password_file = Some(password(&folder, "ours", "open sesame"));
        a.neighbours[0].passive = true;
        b.neighbours[0].password_file = Some(password(&folder, "theirs", "open barley"));
    });
    node.problem("router", &["127.0.0.2 has not connected", "only waits", "wrong TCP MD5 signature"]).await;
    router.problem("node", &["no answer"]).await;
}

/// The counters of the kernel say more than the time-out does.
#[tokio::test]
async fn a_router_with_another_password_is_seen_in_the_counters() {
    let folder = tempfile::tempdir().unwrap();
    let file = password(&folder, "ours", "open sesame");
    let (listener, node) = hand_router(|anycast| anycast.neighbours[0].password_file = Some(file)).await;
    set_md5_key(&listener, NODE, Some(b"open barley")).unwrap();
    node.problem("router", &["no answer", "wrong TCP MD5 signature"]).await;
}
