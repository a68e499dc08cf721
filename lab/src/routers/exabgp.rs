//! ExaBGP 4: it keeps no table, it tells a program what it hears. That program is two `cat`s: one writes the events to a
//! file, the other gives it what is written to a named pipe; the table is what the events add up to.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::{self, OpenOptions, Permissions},
    io::Write,
    net::IpAddr,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
};

use nix::{sys::stat::Mode, unistd::mkfifo};
use serde_json::Value;

use super::{Daemon, PeerSpec, READY_DEADLINE, Route, Router, RouterKind, RouterSpec, write};
use crate::{LabError, Namespace};

/// A running ExaBGP.
pub struct ExaBgp {
    daemon: Daemon,
    folder: PathBuf,
}

impl ExaBgp {
    /// Start one in `namespace`, one to a namespace, and wait until its program runs.
    pub fn start(namespace: &Namespace, spec: &RouterSpec) -> Result<ExaBgp, LabError> {
        let folder = namespace.lab().sub_folder(&format!("exabgp-{}", namespace.name()))?;
        let of = |name: &str| folder.join(name).to_string_lossy().into_owned();
        let pipe = folder.join("commands");
        mkfifo(&pipe, Mode::S_IRUSR | Mode::S_IWUSR).map_err(LabError::errno(format!("making {}", pipe.display())))?;
        // Opened for reading and writing, a pipe does not end when whoever wrote to it closes it.
        let script = "#!/bin/sh\ncat <>commands &\nexec cat >>events\n";
        write(&folder.join("watch.sh"), &script.replace("commands", &of("commands")).replace("events", &of("events")))?;
        let executable = fs::set_permissions(folder.join("watch.sh"), Permissions::from_mode(0o755));
        executable.map_err(LabError::io("making a script executable"))?;
        write(&folder.join("exabgp.conf"), &configuration(spec, &of("watch.sh")))?;
        let listen: Vec<String> = spec.peers.iter().map(|peer| peer.local.to_string()).collect();
        let program = namespace
            .program("exabgp")
            .arg(of("exabgp.conf"))
            .env("exabgp_daemon_user", "root")
            .env("exabgp_daemon_daemonize", "false")
            .env("exabgp_tcp_bind", &listen.join(" "))
            .env("exabgp_api_cli", "false")
            .env("exabgp_api_ack", "false")
            .env("exabgp_log_destination", "stdout")
            .folder(&folder);
        let daemon = Daemon::start("exabgp", namespace, program)?;
        let exabgp = ExaBgp { daemon, folder };
        exabgp.wait_until_ready()?;
        Ok(exabgp)
    }

    /// Tell it something, in the words of its API: `announce route 198.51.100.0/24 next-hop self`.
    pub fn command(&self, command: &str) -> Result<(), LabError> {
        let doing = || format!("telling exabgp: {command}");
        // Opened for reading too, so that opening does not wait for a reader.
        let pipe = OpenOptions::new().read(true).write(true).open(self.folder.join("commands"));
        pipe.and_then(|mut pipe| pipe.write_all(format!("{command}\n").as_bytes())).map_err(LabError::io(doing()))
    }

    /// What it has told its program so far.
    pub fn events(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.join("events")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    fn wait_until_ready(&self) -> Result<(), LabError> {
        let events = self.folder.join("events");
        self.daemon.process.wait_until("its program", READY_DEADLINE, || events.exists().then_some(()))
    }
}

impl Router for ExaBgp {
    fn kind(&self) -> RouterKind {
        RouterKind::ExaBgp
    }

    fn state(&self, peer: IpAddr) -> Result<String, LabError> {
        let events = self.events();
        let last = events.iter().rev().find(|event| event["type"] == "state" && is_of(event, peer));
        Ok(match last.and_then(|event| event["neighbor"]["state"].as_str()) {
            Some("up") => "established",
            Some("connected") => "opensent",
            _ => "idle",
        }
        .to_owned())
    }

    fn routes(&self, peer: IpAddr) -> Result<Vec<Route>, LabError> {
        let mut table = BTreeMap::new();
        for event in self.events().iter().filter(|event| is_of(event, peer)) {
            match event["type"].as_str() {
                Some("state") if event["neighbor"]["state"] != "up" => table.clear(),
                Some("update") => apply(&event["neighbor"]["message"]["update"], &mut table),
                _ => {}
            }
        }
        Ok(table.into_values().collect())
    }

    fn refresh(&self, peer: IpAddr) -> Result<(), LabError> {
        for family in ["ipv4", "ipv6"] {
            self.command(&format!("neighbor {peer} announce route-refresh {family} unicast"))?;
        }
        Ok(())
    }

    /// It has no way to say a message, and comes back by itself.
    fn shut_down(&self, peer: IpAddr, _message: &str) -> Result<(), LabError> {
        self.command(&format!("neighbor {peer} teardown 2"))
    }

    fn enable(&self, _peer: IpAddr) -> Result<(), LabError> {
        Ok(())
    }

    fn bfd_state(&self, _peer: IpAddr) -> Option<String> {
        None
    }

    fn daemons(&self) -> Vec<&Daemon> {
        vec![&self.daemon]
    }

    fn start_again(&mut self) -> Result<(), LabError> {
        let events = self.folder.join("events");
        let stopped = self.daemon.stop();
        let _ = fs::remove_file(&events);
        stopped?;
        self.daemon.start_again()?;
        self.wait_until_ready()
    }
}

fn configuration(spec: &RouterSpec, script: &str) -> String {
    let mut text = format!("process watch {{\n  run {script};\n  encoder json;\n}}\n");
    for peer in &spec.peers {
        neighbour(spec, peer, &mut text);
    }
    text
}

fn neighbour(spec: &RouterSpec, peer: &PeerSpec, text: &mut String) {
    let _ = write!(
        text,
        "neighbor {} {{\n  router-id {};\n  local-address {};\n  local-as {};\n  peer-as {};\n  hold-time {};\n",
        peer.remote, spec.router_id, peer.local, spec.local_as, peer.remote_as, peer.hold_time_s
    );
    if peer.passive {
        text.push_str("  passive true;\n");
    }
    if let Some(password) = &peer.password {
        let _ = writeln!(text, "  md5-password \"{password}\";");
    }
    if peer.ttl_security {
        text.push_str("  outgoing-ttl 255;\n  incoming-ttl 255;\n");
    }
    let families: String = [("ipv4", peer.ipv4), ("ipv6", peer.ipv6)]
        .iter()
        .filter(|(_, wanted)| *wanted)
        .map(|(family, _)| format!("{family} unicast; "))
        .collect();
    let _ = writeln!(text, "  family {{ {families}}}");
    let restart = peer.graceful_restart_s.map(|time| format!("graceful-restart {time}; ")).unwrap_or_default();
    let hop = if peer.extended_next_hop { "nexthop enable; " } else { "" };
    let _ = writeln!(text, "  capability {{ route-refresh enable; {restart}{hop}}}");
    if peer.extended_next_hop {
        text.push_str("  nexthop { ipv4 unicast ipv6; }\n");
    }
    text.push_str(
        "  api {\n    processes [ watch ];\n    neighbor-changes;\n    \
         receive { parsed; open; update; refresh; notification; }\n  }\n",
    );
    // `next-hop self` beside prefixes of another family leaves NEXT_HOP out; so each session has its own family alone.
    let family = if peer.local.is_ipv6() { "ipv6" } else { "ipv4" };
    for prefix in spec.announced(peer.local.is_ipv6()) {
        let _ = writeln!(text, "  announce {{ {family} {{ unicast {prefix} next-hop {}; }} }}", peer.local);
    }
    text.push_str("}\n");
}

fn is_of(event: &Value, peer: IpAddr) -> bool {
    event["neighbor"]["address"]["peer"].as_str().and_then(|text| text.parse().ok()) == Some(peer)
}

/// Put an UPDATE into the table: `announce` has families, next hops and prefixes in that order, `withdraw` no next hops.
fn apply(update: &Value, table: &mut BTreeMap<String, Route>) {
    for prefixes in values(&update["withdraw"]) {
        for prefix in prefixes.as_array().into_iter().flatten().filter_map(|entry| entry["nlri"].as_str()) {
            table.remove(prefix);
        }
    }
    for hops in values(&update["announce"]) {
        for (hop, prefixes) in hops.as_object().into_iter().flatten() {
            for prefix in prefixes.as_array().into_iter().flatten().filter_map(|entry| entry["nlri"].as_str()) {
                let route = Route { prefix: prefix.to_owned(), next_hop: hop.clone(), ..of_update(update) };
                table.insert(prefix.to_owned(), route.sorted());
            }
        }
    }
}

fn values(object: &Value) -> impl Iterator<Item = &Value> {
    object.as_object().into_iter().flat_map(serde_json::Map::values)
}

fn of_update(update: &Value) -> Route {
    let attributes = &update["attribute"];
    let list = |name: &str| attributes[name].as_array().cloned().unwrap_or_default();
    let joined = |value: &Value| {
        let numbers = value.as_array().into_iter().flatten().map(Value::to_string);
        numbers.collect::<Vec<_>>().join(":")
    };
    let extended = list("extended-community");
    let number = |value: &Value| value.as_u64().and_then(|number| u32::try_from(number).ok());
    Route {
        as_path: list("as-path").iter().filter_map(number).collect(),
        med: number(&attributes["med"]),
        communities: list("community").iter().map(joined).collect(),
        large_communities: list("large-community").iter().map(joined).collect(),
        extended_communities: extended
            .iter()
            .map(|value| value["string"].as_str().unwrap_or_default().replace("target:", "rt:"))
            .collect(),
        ..Route::default()
    }
}
