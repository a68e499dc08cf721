//! An edge with scripted routers, which do what they should not, and a BIRD, which must not notice. Whoever errs in the
//! protocol is waited for longer and longer, so whoever wants to err often takes a router each time.

use std::fmt::Write as _;
use std::net::IpAddr;

use parapet_lab::routers::{PeerSpec, Router, RouterKind, RouterSpec};
use parapet_lab::scripted_router::{ScriptedRouter, Session, message::Open};
use parapet_lab::{Edge, Lab, Named, Network, until};

use crate::scene::{DEADLINE, EDGE_AS, PREFIXES, file_head, neighbour, network, origin, wait_for_neighbour, wire};

/// The host of all scripted routers.
const HOST: &str = "scripted";
/// The autonomous system of the scripted routers.
pub(crate) const OWN_AS: u32 = 64510;
const BIRD_AS: u32 = 64501;

/// A scripted router's name in the network file.
pub(crate) fn scripted(number: u8) -> String {
    format!("scripted{number}")
}

fn address(number: u8) -> IpAddr {
    [10, 11, 0, 100 + number].into()
}

fn listen(net: &Network, number: u8) -> ScriptedRouter {
    let host = net.host(HOST);
    // Interfaces are named for what they lead to.
    host.address("edge", address(number), 24).expect("an address");
    ScriptedRouter::listen(host, address(number)).expect("a scripted router")
}

pub(crate) struct ScriptedScene {
    pub(crate) routers: Vec<ScriptedRouter>,
    pub(crate) edge: Edge,
    bird: Box<dyn Router>,
    bird_peer: IpAddr,
    _named: Named,
    _net: Network,
    _lab: Lab,
}

impl ScriptedScene {
    /// So many scripted routers; the session with BIRD stands.
    pub(crate) fn new(name: &str, count: u8) -> ScriptedScene {
        let lab = Lab::new(name).expect("a lab");
        let net = network(&lab, &[HOST, "bird"]);
        let named = origin(&net);
        let [(bird_address, bird_peer), _] = wire(net.host("bird"));
        let routers = (0..count).map(|number| listen(&net, number)).collect();
        let spec = RouterSpec::new(BIRD_AS, [10, 0, 0, 2].into());
        let spec = spec.peer(PeerSpec { ttl_security: true, ..PeerSpec::new(bird_address, bird_peer, EDGE_AS) });
        let bird = RouterKind::Bird.start(net.host("bird"), &spec).expect("bird");
        let builder = Edge::at(net.host("edge"));
        let state = builder.state_folder().expect("a state folder");
        let mut file = file_head(&net, &state.to_string_lossy(), &[], "", "");
        let mut neighbour = |name: &str, address: IpAddr, number: u32, hold_time_s: u32| {
            let _ = write!(
                file,
                "[node.edge.anycast.neighbour.{name}]\naddress = \"{address}\"\nas = {number}\nhold_time_s = {hold_time_s}\n\
                 connect_retry_ms = 50\n"
            );
        };
        neighbour("bird", bird_address, BIRD_AS, 9);
        for number in 0..count {
            neighbour(&scripted(number), address(number), OWN_AS, 90);
        }
        let edge = builder.file(&file, "edge").start().expect("parapet");
        let scene = ScriptedScene { routers, edge, bird, bird_peer, _named: named, _net: net, _lab: lab };
        wait_for_neighbour(&scene.edge, "bird", "an established session", |bird| bird["state"] == "established");
        until("the prefixes at bird", DEADLINE, || scene.bird_has_all().then_some(())).expect("the prefixes at bird");
        scene
    }

    /// An established session of a scripted router.
    pub(crate) fn establish(&self, number: u8) -> Session {
        self.establish_as(number, &Open::new(OWN_AS, [10, 0, 0, 1].into()))
    }

    pub(crate) fn establish_as(&self, number: u8, open: &Open) -> Session {
        let router = &self.routers[usize::from(number)];
        let session = router.establish(open, DEADLINE).expect("an established session");
        wait_for_neighbour(&self.edge, &scripted(number), "an established session", |shown| {
            shown["state"] == "established"
        });
        session
    }

    /// The daemon goes on, and the other session has not noticed anything.
    pub(crate) fn check_others(&self) {
        let output = self.edge.process().output();
        assert!(self.edge.process().is_running() && !output.contains("panicked"), "{output}");
        let shown = neighbour(&self.edge, "bird");
        assert_eq!((&shown["state"], &shown["flaps"]), (&"established".into(), &0.into()), "{shown:#}");
        assert!(self.bird_has_all(), "{:#?}", self.bird.routes(self.bird_peer));
    }

    fn bird_has_all(&self) -> bool {
        self.bird.routes(self.bird_peer).is_ok_and(|routes| routes.len() == PREFIXES.len())
    }
}
