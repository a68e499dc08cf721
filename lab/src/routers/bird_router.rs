//! BIRD as any router: its configuration from a description, what it shows as routes.

use std::{fmt::Write as _, net::IpAddr};

use super::{Bird, BirdRoute, Daemon, PeerSpec, Route, Router, RouterKind, RouterSpec};
use crate::{LabError, Namespace};

/// A BIRD made from a description.
pub struct BirdRouter {
    bird: Bird,
    spec: RouterSpec,
}

impl BirdRouter {
    /// Start one in `namespace` and wait until it answers.
    pub fn start(namespace: &Namespace, spec: &RouterSpec) -> Result<BirdRouter, LabError> {
        let bird = Bird::at(namespace).config(&configuration(spec)).start()?;
        Ok(BirdRouter { bird, spec: spec.clone() })
    }

    /// The BIRD itself.
    pub fn bird(&self) -> &Bird {
        &self.bird
    }

    fn protocol(&self, peer: IpAddr) -> Result<String, LabError> {
        let found = self.spec.peers.iter().position(|spec| spec.remote == peer);
        found.map(name).ok_or_else(|| LabError::Invalid(format!("{peer} is no peer of this router")))
    }
}

impl Router for BirdRouter {
    fn kind(&self) -> RouterKind {
        RouterKind::Bird
    }

    fn state(&self, peer: IpAddr) -> Result<String, LabError> {
        let (state, info) = self.bird.protocol(&self.protocol(peer)?)?;
        // The information begins with the state of the session; a word on the last error may follow.
        let session = info.split_whitespace().next().unwrap_or(&state);
        Ok(session.to_ascii_lowercase())
    }

    fn routes(&self, peer: IpAddr) -> Result<Vec<Route>, LabError> {
        let shown = self.bird.routes(&format!("protocol {}", self.protocol(peer)?))?;
        Ok(shown.iter().map(|route| of_bird(route).sorted()).collect())
    }

    fn refresh(&self, peer: IpAddr) -> Result<(), LabError> {
        self.bird.command(&format!("reload in {}", self.protocol(peer)?)).map(|_| ())
    }

    fn shut_down(&self, peer: IpAddr, message: &str) -> Result<(), LabError> {
        self.bird.command(&format!("disable {} \"{message}\"", self.protocol(peer)?)).map(|_| ())
    }

    fn enable(&self, peer: IpAddr) -> Result<(), LabError> {
        self.bird.command(&format!("enable {}", self.protocol(peer)?)).map(|_| ())
    }

    fn bfd_state(&self, peer: IpAddr) -> Option<String> {
        Some(self.bird.bfd_state(peer)?.to_ascii_lowercase())
    }

    fn daemons(&self) -> Vec<&Daemon> {
        vec![&self.bird]
    }

    fn start_again(&mut self) -> Result<(), LabError> {
        self.bird.start_again()
    }
}

fn name(number: usize) -> String {
    format!("peer{number}")
}

fn configuration(spec: &RouterSpec) -> String {
    let mut text = format!("router id {};\nprotocol device {{ }}\n", spec.router_id);
    if spec.peers.iter().any(|peer| peer.bfd_ms.is_some()) {
        text.push_str("protocol bfd { }\n");
    }
    for (channel, ipv6) in [("ipv4", false), ("ipv6", true)] {
        let routes: String = spec.announced(ipv6).map(|prefix| format!("route {prefix} blackhole; ")).collect();
        let _ = writeln!(text, "protocol static own_{channel} {{ {channel}; {routes}}}");
    }
    for (number, peer) in spec.peers.iter().enumerate() {
        protocol(spec, number, peer, &mut text);
    }
    text
}

fn protocol(spec: &RouterSpec, number: usize, peer: &PeerSpec, text: &mut String) {
    let _ = write!(
        text,
        "protocol bgp {} {{\n  local {} as {};\n  neighbor {} as {};\n  direct;\n  hold time {};\n  connect delay time 1;\n  \
         connect retry time 1;\n  error wait time 1, 2;\n",
        name(number),
        peer.local,
        spec.local_as,
        peer.remote,
        peer.remote_as,
        peer.hold_time_s
    );
    let mut line = |words: String| {
        let _ = writeln!(text, "  {words};");
    };
    if peer.passive {
        line("passive on".into());
    }
    if let Some(password) = &peer.password {
        line(format!("password \"{password}\""));
    }
    if peer.ttl_security {
        line("ttl security on".into());
    }
    if let Some(time) = peer.graceful_restart_s {
        line(format!("graceful restart on; graceful restart time {time}"));
    }
    if let Some(interval) = peer.bfd_ms {
        line(format!("bfd {{ interval {interval} ms; multiplier 3; }}"));
    }
    // Import keeps what was received, so that a refresh is a question to the peer only where tables were not kept.
    for (channel, wanted) in [("ipv4", peer.ipv4), ("ipv6", peer.ipv6)] {
        if wanted {
            let hop = if channel == "ipv4" && peer.extended_next_hop { "extended next hop on; " } else { "" };
            line(format!("{channel} {{ {hop}import all; export where source = RTS_STATIC; }}"));
        }
    }
    text.push_str("}\n");
}

fn of_bird(route: &BirdRoute) -> Route {
    let numbers = |name: &str| route.attribute(name).unwrap_or_default();
    let hop = numbers("BGP.next_hop").split_whitespace().next().unwrap_or_default();
    Route {
        prefix: route.prefix.clone(),
        next_hop: hop.to_owned(),
        as_path: numbers("BGP.as_path").split_whitespace().filter_map(|word| word.parse().ok()).collect(),
        med: route.attribute("BGP.med").and_then(|med| med.parse().ok()),
        communities: groups(numbers("BGP.community")),
        large_communities: groups(numbers("BGP.large_community")),
        extended_communities: groups(numbers("BGP.ext_community")),
    }
}

/// `(65010,100) (65010, 1, 2)` as `65010:100`, `65010:1:2`.
fn groups(text: &str) -> Vec<String> {
    let inner = text.split('(').skip(1).filter_map(|group| group.split_once(')'));
    inner.map(|(group, _)| group.split(',').map(str::trim).collect::<Vec<_>>().join(":")).collect()
}
