//! Speakers against each other, against routers that misbehave, and against BIRD, all on loopback.

mod bfd;
mod bird;
mod hostile;
mod link;
mod protection;
mod reload;
mod sessions;

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use config::{Anycast, Neighbour, RouteAttributes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::Speaker;
use crate::adverts::{Adverts, Cause};
use crate::status::NeighbourStatus;

/// What takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(30);

const NODE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1));
const ROUTER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const NODE_AS: u16 = 65010;
const ROUTER_AS: u16 = 65020;

/// Waits for a condition.
async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(result) => result,
        Err(_) => panic!("{what}: not within {PATIENCE:?}"),
    }
}

/// A neighbour as the file's defaults have it, but quick to try again and on loopback.
fn neighbour(name: &str, source: IpAddr, address: SocketAddr, remote_as: u16) -> Neighbour {
    Neighbour {
        name: name.into(),
        address,
        source: Some(source),
        remote_as: remote_as.into(),
        passive: false,
        password_file: None,
        hops_max: 1,
        ttl_security: true,
        hold_time_s: 9,
        connect_retry_ms: 50,
        ipv4: true,
        ipv6: false,
        extended_next_hop: false,
        next_hop_ipv4: None,
        next_hop_ipv6: None,
        graceful_restart_s: 0,
        bfd: None,
        routes_kept_max: 100,
    }
}

/// A node with these neighbours that listens at the address, at a port of the kernel's choice.
fn node(local_as: u16, listen: IpAddr, neighbours: Vec<Neighbour>) -> Anycast {
    let last = match listen {
        IpAddr::V4(address) => address.octets()[3],
        IpAddr::V6(_) => 6,
    };
    Anycast {
        services: vec!["dns".into()],
        local_as: local_as.into(),
        router_id: Ipv4Addr::new(10, 0, 0, last),
        listen: vec![SocketAddr::new(listen, 0)],
        manage_addresses: false,
        check_interval_ms: 200,
        rise: 3,
        fall: 3,
        hold_down_s_max: 60,
        graceful_shutdown_ms: 0,
        drain_ms: 0,
        fleet: None,
        up: RouteAttributes::default(),
        degraded: RouteAttributes::default(),
        neighbours,
    }
}

/// A running speaker, and what it announces.
struct Node {
    speaker: Speaker,
    adverts: watch::Sender<Arc<Adverts>>,
    address: SocketAddr,
}

impl Node {
    fn start(anycast: &Anycast) -> Self {
        Self::start_bound(Speaker::bind(anycast).unwrap(), anycast)
    }

    fn start_bound(bound: super::Bound, anycast: &Anycast) -> Self {
        Self::start_with(bound, anycast, None)
    }

    fn start_with(bound: super::Bound, anycast: &Anycast, bfd: Option<crate::bfd::Handle>) -> Self {
        let (adverts, view) = watch::channel(Arc::new(Adverts::none(Cause::Starting)));
        let address = bound.addresses()[0];
        let speaker = Speaker::start(bound, anycast, view, bfd, &Handle::current()).unwrap();
        Self { speaker, adverts, address }
    }

    fn announce(&self, prefixes: &[&str]) {
        self.adverts.send_replace(Arc::new(adverts(prefixes, RouteAttributes::default())));
    }

    fn status(&self, name: &str) -> NeighbourStatus {
        self.speaker.neighbours().into_iter().find(|it| it.name == name).expect("a neighbour of this name")
    }

    async fn established(&self, name: &str) {
        eventually(&format!("a session with {name}"), || self.status(name).state == "established").await;
    }

    /// Waits until the problem of a neighbour has all these words in it.
    async fn problem(&self, name: &str, words: &[&str]) -> String {
        let problem = || self.status(name).problem.unwrap_or_default();
        let deadline = Instant::now() + PATIENCE;
        while !words.iter().all(|it| problem().contains(it)) {
            assert!(Instant::now() < deadline, "the problem lacks one of {words:?}: {:?}", self.status(name));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        problem()
    }

    /// Waits for a NOTIFICATION with this code and subcode: whether this side sent it, and its words. There may have been
    /// others before, of two connections that collided.
    async fn notified(&self, name: &str, code: u8, subcode: u8) -> (bool, String) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.status(name).last_notification {
                Some(last) if (last.code, last.subcode) == (code, subcode) => return (last.sent, last.words),
                last => assert!(Instant::now() < deadline, "not {code}/{subcode}, but {last:?}"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until the neighbour has sent exactly these prefixes.
    async fn routes(&self, name: &str, expected: &[&str]) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let routes = self.speaker.routes(name).await.expect("routes");
            let prefixes: Vec<String> = routes.iter().map(|it| it.prefix.to_string()).collect();
            if prefixes == expected {
                return;
            }
            assert!(Instant::now() < deadline, "routes are {prefixes:?}, not {expected:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn adverts(prefixes: &[&str], attributes: RouteAttributes) -> Adverts {
    let attributes = Arc::new(attributes);
    let routes = prefixes.iter().map(|it| (it.parse().unwrap(), Arc::clone(&attributes))).collect();
    Adverts { routes, cause: Cause::Health }
}

/// Two speakers that know each other's ports. `prepare` sees the node's and the router's configuration before they start.
fn pair(prepare: impl FnOnce(&mut Anycast, &mut Anycast)) -> (Node, Node) {
    let nowhere = |ip| SocketAddr::new(ip, 0);
    let mut a = node(NODE_AS, NODE, vec![neighbour("router", NODE, nowhere(ROUTER), ROUTER_AS)]);
    let mut b = node(ROUTER_AS, ROUTER, vec![neighbour("node", ROUTER, nowhere(NODE), NODE_AS)]);
    prepare(&mut a, &mut b);
    let (bound_a, bound_b) = (Speaker::bind(&a).unwrap(), Speaker::bind(&b).unwrap());
    a.neighbours[0].address.set_port(bound_b.addresses()[0].port());
    b.neighbours[0].address.set_port(bound_a.addresses()[0].port());
    (Node::start_bound(bound_a, &a), Node::start_bound(bound_b, &b))
}

/// A router written by hand, so that it can do what no router should.
struct HandRouter {
    stream: TcpStream,
}

impl HandRouter {
    /// Waits for a node's connection.
    async fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = in_time("a connection", listener.accept()).await.unwrap();
        stream.set_ttl(255).unwrap();
        Self { stream }
    }

    /// Connects to a node from the router's address.
    async fn connect(node: SocketAddr, ttl: u32) -> std::io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket2::SockRef::from(&socket).set_ttl_v4(ttl)?;
        socket.bind(SocketAddr::new(ROUTER, 0))?;
        Ok(Self { stream: socket.connect(node).await? })
    }

    async fn send(&mut self, bytes: &[u8]) {
        in_time("sending", self.stream.write_all(bytes)).await.unwrap();
    }

    /// The next message: its type, and what follows.
    async fn receive(&mut self) -> (u8, Vec<u8>) {
        in_time("a message", async {
            let mut header = [0; 19];
            self.stream.read_exact(&mut header).await.unwrap();
            assert_eq!(header[..16], [0xff; 16]);
            let mut body = vec![0; usize::from(u16::from_be_bytes([header[16], header[17]])) - 19];
            self.stream.read_exact(&mut body).await.unwrap();
            (header[18], body)
        })
        .await
    }

    /// The next message of a type; others are passed over.
    async fn receive_type(&mut self, wanted: u8) -> Vec<u8> {
        loop {
            let (kind, body) = self.receive().await;
            if kind == wanted {
                return body;
            }
        }
    }

    /// Both sides' OPEN and KEEPALIVE.
    async fn establish(&mut self, hold_time_s: u16) {
        self.send(&open(hold_time_s)).await;
        self.receive_type(OPEN).await;
        self.send(&KEEPALIVE_MESSAGE).await;
        self.receive_type(KEEPALIVE).await;
    }
}

const OPEN: u8 = 1;
const UPDATE: u8 = 2;
const NOTIFICATION: u8 = 3;
const KEEPALIVE: u8 = 4;
const KEEPALIVE_MESSAGE: [u8; 19] = {
    let mut message = [0xff; 19];
    (message[16], message[17], message[18]) = (0, 19, KEEPALIVE);
    message
};

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![0xff; 16];
    message.extend(u16::try_from(19 + body.len()).unwrap().to_be_bytes());
    message.push(kind);
    message.extend(body);
    message
}

/// OPEN of the router (RFC 4271 §4.2) with the capability of 4-octet AS numbers.
fn open(hold_time_s: u16) -> Vec<u8> {
    let mut body = vec![4];
    body.extend(ROUTER_AS.to_be_bytes());
    body.extend(hold_time_s.to_be_bytes());
    body.extend([10, 0, 0, 2]);
    let four_octets = u32::from(ROUTER_AS).to_be_bytes();
    body.extend([8, 2, 6, 65, 4]);
    body.extend(four_octets);
    message(OPEN, &body)
}

/// A listener of a router written by hand, and the node's configuration for it.
async fn hand_router(prepare: impl FnOnce(&mut Anycast)) -> (TcpListener, Node) {
    let socket = TcpSocket::new_v4().unwrap();
    socket2::SockRef::from(&socket).set_ttl_v4(255).unwrap();
    socket.bind(SocketAddr::new(ROUTER, 0)).unwrap();
    let listener = socket.listen(8).unwrap();
    let mut anycast = node(NODE_AS, NODE, vec![neighbour("router", NODE, listener.local_addr().unwrap(), ROUTER_AS)]);
    prepare(&mut anycast);
    (listener, Node::start(&anycast))
}
