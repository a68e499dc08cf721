//! A link's connections, without a session on them.

use super::*;
use crate::session::connection::{Broken, Connection, UNSENT_BYTES_MAX};
use crate::session::link::{Link, into_tokio, listen, prepare_listener};
use crate::session::password::Password;

fn link(remote: SocketAddr, password: Option<&str>) -> Link {
    let source = if remote.ip() == ROUTER { NODE } else { ROUTER };
    let source = if remote.is_ipv4() { source } else { remote.ip() };
    let folder = tempfile::tempdir().unwrap();
    let password = password.map(|text| {
        std::fs::write(folder.path().join("password"), text).unwrap();
        Password::read("router", &folder.path().join("password")).unwrap()
    });
    Link::new(&neighbour("router", source, remote, ROUTER_AS), password)
}

/// A listener at `at` that takes connections by this link.
fn listener(at: IpAddr, link: &Link) -> TcpListener {
    let listener = listen(SocketAddr::new(at, 0)).unwrap();
    prepare_listener(&listener, listener.local_addr().unwrap(), &[link], &[]).unwrap();
    into_tokio(listener).unwrap()
}

#[tokio::test]
async fn keys_are_compared_in_both_families() {
    let localhost = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);
    for (node, router) in [(NODE, ROUTER), (localhost, localhost)] {
        for (ours, theirs, connects) in [
            (Some("same"), Some("same"), true),
            (None, None, true),
            (Some("one"), Some("other"), false),
            (Some("one"), None, false),
            (None, Some("other"), false),
        ] {
            let listener = listener(router, &link(SocketAddr::new(node, 0), theirs));
            let link = link(listener.local_addr().unwrap(), ours);
            let connected = tokio::time::timeout(Duration::from_millis(700), link.connect()).await;
            assert_eq!(matches!(connected, Ok(Ok(_))), connects, "{ours:?} {theirs:?} {router}");
        }
    }
}

#[tokio::test]
async fn a_key_is_taken_away_and_changed() {
    let listener = listener(ROUTER, &link(SocketAddr::new(NODE, 0), Some("old")));
    let local = listener.local_addr().unwrap();
    let connects = async |password| {
        let link = link(local, password);
        matches!(tokio::time::timeout(Duration::from_millis(700), link.connect()).await, Ok(Ok(_)))
    };
    assert!(connects(Some("old")).await);
    prepare_listener(&listener, local, &[&link(SocketAddr::new(NODE, 0), Some("new"))], &[]).unwrap();
    assert!(!connects(Some("old")).await);
    assert!(connects(Some("new")).await);
    prepare_listener(&listener, local, &[&link(SocketAddr::new(NODE, 0), None)], &[]).unwrap();
    assert!(connects(None).await);
    prepare_listener(&listener, local, &[], &[NODE]).unwrap();
}

#[tokio::test]
async fn what_waits_to_be_sent_has_a_bound_and_is_sent_in_order() {
    let listener = listener(ROUTER, &link(SocketAddr::new(NODE, 0), None));
    let stream = link(listener.local_addr().unwrap(), None).connect().await.unwrap();
    let (mut router, _) = listener.accept().await.unwrap();
    let mut connection = Connection::new(crate::bgp::ConnectionId(0), stream, Instant::now());
    let message: Vec<u8> = (0..4096_u32).map(|it| it as u8).collect();
    let mut sent = 0;
    let now = Instant::now();
    let broken = loop {
        match connection.send(&message, now) {
            Ok(()) => sent += message.len(),
            Err(broken) => break broken,
        }
        assert!(sent < 64 << 20, "the kernel takes no end of it");
    };
    assert!(matches!(broken, Broken::NotRead), "{broken:?}");
    assert!(sent > UNSENT_BYTES_MAX && !connection.is_flushed());
    let hold = Duration::from_secs(9);
    assert_eq!(connection.stuck_until(hold), Some(now + hold));
    let reader = tokio::spawn(async move {
        let mut all = Vec::new();
        router.read_to_end(&mut all).await.unwrap();
        all
    });
    while !connection.is_flushed() {
        in_time("room", std::future::poll_fn(|context| connection.poll_ready(context))).await;
        connection.flush(Instant::now()).unwrap();
    }
    assert_eq!(connection.stuck_until(hold), None);
    connection.close().await;
    let all = in_time("all of it", reader).await.unwrap();
    assert_eq!(all.len(), sent);
    assert!(all.chunks(4096).all(|it| it == message));
}
