//! GoBGP 3: `gobgpd`, asked with `gobgp` over a socket in the lab's folder.

use std::{fmt::Write as _, net::IpAddr, path::PathBuf};

use serde_json::Value;

use super::{Daemon, PeerSpec, READY_DEADLINE, Route, Router, RouterKind, RouterSpec, write};
use crate::{LabError, Namespace};

/// Path attribute type codes (IANA, BGP Path Attributes).
const AS_PATH: u64 = 2;
const NEXT_HOP: u64 = 3;
const MULTI_EXIT_DISC: u64 = 4;
const COMMUNITIES: u64 = 8;
const MP_REACH_NLRI: u64 = 14;
const EXTENDED_COMMUNITIES: u64 = 16;
const LARGE_COMMUNITY: u64 = 32;
/// The subtype of a route target (RFC 4360 §4).
const ROUTE_TARGET: u64 = 2;

/// A running GoBGP.
pub struct GoBgp {
    daemon: Daemon,
    namespace: Namespace,
    folder: PathBuf,
    spec: RouterSpec,
}

impl GoBgp {
    /// Start one in `namespace`, one to a namespace, and wait until it answers.
    pub fn start(namespace: &Namespace, spec: &RouterSpec) -> Result<GoBgp, LabError> {
        let folder = namespace.lab().sub_folder(&format!("gobgp-{}", namespace.name()))?;
        let file = folder.join("gobgpd.toml");
        write(&file, &configuration(spec))?;
        let program = namespace
            .program("gobgpd")
            .args(["-f", &file.to_string_lossy(), "--pprof-disable", "--log-plain", "-l", "info"])
            .args(["--api-hosts", &target(&folder)])
            .folder(&folder);
        let daemon = Daemon::start("gobgpd", namespace, program)?;
        let gobgp = GoBgp { daemon, namespace: namespace.clone(), folder, spec: spec.clone() };
        gobgp.make_ready()?;
        Ok(gobgp)
    }

    /// Ask or tell it something, as with `gobgp`.
    pub fn command(&self, arguments: &[&str]) -> Result<String, LabError> {
        let program = self.namespace.program("gobgp").args(["--target", &target(&self.folder)]);
        Ok(program.args(arguments).run()?.success()?.stdout)
    }

    fn json(&self, arguments: &[&str]) -> Result<Value, LabError> {
        let text = self.command(&[&["-j"], arguments].concat())?;
        serde_json::from_str(&text).map_err(|error| LabError::Invalid(format!("gobgp {arguments:?}: {error}: {text}")))
    }

    /// Its configuration file has no place for routes of its own.
    fn make_ready(&self) -> Result<(), LabError> {
        self.daemon.process.wait_until("an answer to gobgp", READY_DEADLINE, || self.command(&["global"]).ok())?;
        for (family, ipv6) in [("ipv4", false), ("ipv6", true)] {
            for prefix in self.spec.announced(ipv6) {
                self.command(&["global", "rib", "add", prefix, "-a", family])?;
            }
        }
        Ok(())
    }
}

impl Router for GoBgp {
    fn kind(&self) -> RouterKind {
        RouterKind::GoBgp
    }

    fn state(&self, peer: IpAddr) -> Result<String, LabError> {
        let shown = self.json(&["neighbor", &peer.to_string()])?;
        // Numbers of the API's PeerState.SessionState.
        let names = ["unknown", "idle", "connect", "active", "opensent", "openconfirm", "established"];
        let number = shown["state"]["session_state"].as_u64().and_then(|number| usize::try_from(number).ok());
        Ok(number.and_then(|number| names.get(number)).copied().unwrap_or("unknown").to_owned())
    }

    fn routes(&self, peer: IpAddr) -> Result<Vec<Route>, LabError> {
        let mut routes = Vec::new();
        let Some(spec) = self.spec.peers.iter().find(|spec| spec.remote == peer) else { return Ok(routes) };
        for (family, wanted) in [("ipv4", spec.ipv4), ("ipv6", spec.ipv6)] {
            if !wanted {
                continue;
            }
            let shown = self.json(&["neighbor", &peer.to_string(), "adj-in", "-a", family])?;
            let Some(prefixes) = shown.as_object() else { continue };
            for (prefix, paths) in prefixes {
                let paths = paths.as_array().cloned().unwrap_or_default();
                routes.extend(paths.iter().map(|path| route(prefix, &path["attrs"]).sorted()));
            }
        }
        Ok(routes)
    }

    fn refresh(&self, peer: IpAddr) -> Result<(), LabError> {
        self.command(&["neighbor", &peer.to_string(), "softresetin"]).map(|_| ())
    }

    fn shut_down(&self, peer: IpAddr, message: &str) -> Result<(), LabError> {
        self.command(&["neighbor", &peer.to_string(), "disable", "--reason", message]).map(|_| ())
    }

    fn enable(&self, peer: IpAddr) -> Result<(), LabError> {
        self.command(&["neighbor", &peer.to_string(), "enable"]).map(|_| ())
    }

    fn bfd_state(&self, _peer: IpAddr) -> Option<String> {
        None
    }

    fn daemons(&self) -> Vec<&Daemon> {
        vec![&self.daemon]
    }

    fn start_again(&mut self) -> Result<(), LabError> {
        self.daemon.stop()?;
        // A killed one leaves its socket, and does not start where there is one.
        let _ = std::fs::remove_file(self.folder.join("api.sock"));
        self.daemon.start_again()?;
        self.make_ready()
    }
}

fn target(folder: &std::path::Path) -> String {
    format!("unix://{}", folder.join("api.sock").display())
}

fn configuration(spec: &RouterSpec) -> String {
    let mut addresses: Vec<String> = spec.peers.iter().map(|peer| format!("\"{}\"", peer.local)).collect();
    addresses.sort();
    addresses.dedup();
    let mut text = format!(
        "[global.config]\nas = {}\nrouter-id = \"{}\"\nlocal-address-list = [{}]\n",
        spec.local_as,
        spec.router_id,
        addresses.join(", ")
    );
    for peer in &spec.peers {
        neighbour(peer, &mut text);
    }
    text
}

fn neighbour(peer: &PeerSpec, text: &mut String) {
    let password = peer.password.as_ref().map(|word| format!("auth-password = \"{word}\"\n")).unwrap_or_default();
    let _ = write!(
        text,
        "[[neighbors]]\n[neighbors.config]\nneighbor-address = \"{}\"\npeer-as = {}\n{password}\
         [neighbors.transport.config]\nlocal-address = \"{}\"\npassive-mode = {}\n\
         [neighbors.timers.config]\nhold-time = {}\nkeepalive-interval = {}\nconnect-retry = 1\nidle-hold-time-after-reset = 1\n",
        peer.remote,
        peer.remote_as,
        peer.local,
        peer.passive,
        peer.hold_time_s,
        (peer.hold_time_s / 3).max(1),
    );
    if peer.ttl_security {
        text.push_str("[neighbors.ttl-security.config]\nenabled = true\nttl-min = 255\n");
    }
    if let Some(time) = peer.graceful_restart_s {
        let _ = write!(text, "[neighbors.graceful-restart.config]\nenabled = true\nrestart-time = {time}\n");
    }
    for (family, wanted) in [("ipv4-unicast", peer.ipv4), ("ipv6-unicast", peer.ipv6)] {
        if !wanted {
            continue;
        }
        let _ = write!(text, "[[neighbors.afi-safis]]\n[neighbors.afi-safis.config]\nafi-safi-name = \"{family}\"\n");
        if peer.graceful_restart_s.is_some() {
            text.push_str("[neighbors.afi-safis.mp-graceful-restart.config]\nenabled = true\n");
        }
    }
}

fn route(prefix: &str, attributes: &Value) -> Route {
    let mut route = Route { prefix: prefix.to_owned(), ..Route::default() };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let number = |value: &Value| value.as_u64().and_then(|number| u32::try_from(number).ok());
    for attribute in attributes.as_array().into_iter().flatten() {
        match attribute["type"].as_u64() {
            Some(AS_PATH) => {
                let segments = attribute["as_paths"].as_array().into_iter().flatten();
                let numbers = segments.flat_map(|segment| segment["asns"].as_array().cloned().unwrap_or_default());
                route.as_path = numbers.filter_map(|value| number(&value)).collect();
            }
            Some(NEXT_HOP | MP_REACH_NLRI) => route.next_hop = text(&attribute["nexthop"]),
            Some(MULTI_EXIT_DISC) => route.med = number(&attribute["metric"]),
            Some(COMMUNITIES) => {
                let values = attribute["communities"].as_array().into_iter().flatten().filter_map(number);
                route.communities = values.map(|value| format!("{}:{}", value >> 16, value & 0xffff)).collect();
            }
            Some(LARGE_COMMUNITY) => {
                let values = attribute["value"].as_array().into_iter().flatten();
                let fields = |value: &Value| ["ASN", "LocalData1", "LocalData2"].map(|name| value[name].to_string());
                route.large_communities = values.map(|value| fields(value).join(":")).collect();
            }
            Some(EXTENDED_COMMUNITIES) => {
                let values = attribute["value"].as_array().into_iter().flatten();
                let targets = values.filter(|value| value["subtype"].as_u64() == Some(ROUTE_TARGET));
                route.extended_communities = targets.map(|value| format!("rt:{}", text(&value["value"]))).collect();
            }
            _ => {}
        }
    }
    route
}
