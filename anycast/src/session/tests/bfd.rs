//! Sessions that end when BFD says so.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicU8, Ordering};

use super::*;
use crate::bfd;
use crate::session::Applied;

const ANSWERS: u8 = 0;
const SAYS_GOODBYE: u8 = 1;
const IS_SILENT: u8 = 2;

/// The router's side of BFD (RFC 5880 §4.1), which does as it is told.
fn answer_bfd(at: IpAddr, node: IpAddr, behaviour: Arc<AtomicU8>) {
    let socket = UdpSocket::bind(SocketAddr::new(at, 3784)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let from = UdpSocket::bind(SocketAddr::new(at, 0)).unwrap();
    from.set_ttl(255).unwrap();
    let mut packet = [0; 24];
    while socket.recv(&mut packet).is_ok() {
        let state = match (behaviour.load(Ordering::Relaxed), packet[1] >> 6) {
            (IS_SILENT, _) => continue,
            (SAYS_GOODBYE, _) => 0,
            (_, 0 | 1) => 2,
            (_, _) => 3,
        };
        let mut answer = [0; 24];
        (answer[0], answer[1], answer[2], answer[3]) = (1 << 5, state << 6, 3, 24);
        // A poll is answered by a final.
        answer[1] |= (packet[1] & 0x20) >> 1;
        answer[4..8].copy_from_slice(&[0, 0, 0, 7]);
        answer[8..12].copy_from_slice(&packet[4..8]);
        answer[12..20].copy_from_slice(&packet[12..20]);
        let _ = from.send_to(&answer, SocketAddr::new(node, 3784));
    }
}

/// At addresses of this process alone: BFD's port is the same for all.
#[tokio::test]
async fn a_router_that_falls_silent_ends_the_session_at_once() {
    let [high, low] = (std::process::id() as u16).to_be_bytes();
    let [at, other] = [101, 102].map(|last| IpAddr::V4(Ipv4Addr::new(127, high, low, last)));
    let nowhere = SocketAddr::new(other, 0);
    let mut ours = node(NODE_AS, at, vec![neighbour("router", at, nowhere, ROUTER_AS)]);
    ours.neighbours[0].bfd = Some(config::BfdSettings { interval_ms: 20, multiplier: 3 });
    ours.neighbours[0].hold_time_s = 240;
    let mut theirs = node(ROUTER_AS, other, vec![neighbour("node", other, SocketAddr::new(at, 0), NODE_AS)]);
    let (our_bound, their_bound) = (Speaker::bind(&ours).unwrap(), Speaker::bind(&theirs).unwrap());
    ours.neighbours[0].address = their_bound.addresses()[0];
    theirs.neighbours[0].address = our_bound.addresses()[0];

    let behaviour = Arc::new(AtomicU8::new(ANSWERS));
    let theirs_of_bfd = Arc::clone(&behaviour);
    std::thread::spawn(move || answer_bfd(other, at, theirs_of_bfd));
    let bfd = bfd::start(bfd::bind(&ours).unwrap(), &ours).unwrap();
    let node = Node::start_with(our_bound, &ours, Some(bfd.clone()));
    let router = Node::start_bound(their_bound, &theirs);
    let bfd_is = async |state: &str| {
        eventually(state, || node.status("router").bfd.is_some_and(|it| it.state == state)).await;
    };
    node.established("router").await;
    bfd_is("up").await;

    // One that shuts BFD down by hand proves nothing (RFC 5882 §4.2), nor does another interval.
    behaviour.store(SAYS_GOODBYE, Ordering::Relaxed);
    eventually("the goodbye", || node.status("router").bfd.is_some_and(|it| it.state != "up")).await;
    behaviour.store(ANSWERS, Ordering::Relaxed);
    bfd_is("up").await;
    ours.neighbours[0].bfd = Some(config::BfdSettings { interval_ms: 30, multiplier: 3 });
    bfd.apply(&ours);
    assert_eq!(node.speaker.apply(&ours).await, Applied::default());
    bfd_is("up").await;
    assert_eq!((node.status("router").flaps, router.status("node").flaps), (0, 0));

    behaviour.store(IS_SILENT, Ordering::Relaxed);
    // Cease, BFD Down (RFC 9384).
    assert!(!router.notified("node", 6, 10).await.0);
    bfd.stop();
}
