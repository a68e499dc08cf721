//! FRR 8: zebra, bgpd and bfdd, run without its scripts, asked over their vty sockets as vtysh does.

use std::{
    fmt::Write as _,
    io::{Read, Write},
    net::IpAddr,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{
    ANSWER_BYTES_MAX, COMMAND_DEADLINE, Daemon, PeerSpec, READY_DEADLINE, Route, Router, RouterKind, RouterSpec, write,
};
use crate::{LabError, Namespace};

/// Where Debian has the daemons.
const PROGRAMS: &str = "/usr/lib/frr";
/// The user that they give up root for.
const USER: &str = "frr";
/// In the order of their starting.
const DAEMONS: [&str; 3] = ["zebra", "bfdd", "bgpd"];

/// A running FRR.
pub struct Frr {
    daemons: Vec<Daemon>,
    local_as: u32,
    folder: PathBuf,
}

impl Frr {
    /// Start one in `namespace`, one to a namespace, and wait until it answers.
    pub fn start(namespace: &Namespace, spec: &RouterSpec) -> Result<Frr, LabError> {
        let folder = namespace.lab().sub_folder(&format!("frr-{}", namespace.name()))?;
        for daemon in DAEMONS {
            let text = if daemon == "bgpd" { configuration(spec) } else { format!("hostname {daemon}\n") };
            write(&folder.join(format!("{daemon}.conf")), &text)?;
        }
        let owner = format!("{USER}:{USER}");
        namespace.run("chown", &["-R", &owner, &folder.to_string_lossy()])?;
        let mut frr = Frr { daemons: Vec::new(), local_as: spec.local_as, folder };
        for daemon in DAEMONS {
            frr.daemons.push(Daemon::start(&format!("frr-{daemon}"), namespace, frr.program(namespace, daemon))?);
            frr.wait_until_ready(daemon)?;
        }
        Ok(frr)
    }

    /// Ask one of its daemons (`zebra`, `bgpd`, `bfdd`), as in `show bgp summary`.
    pub fn command(&self, daemon: &str, command: &str) -> Result<String, LabError> {
        Vty::open(&self.folder, daemon)?.command(command)
    }

    /// Give bgpd lines of configuration, of which the first is likely `router bgp AS`.
    pub fn configure(&self, lines: &[&str]) -> Result<(), LabError> {
        let mut vty = Vty::open(&self.folder, "bgpd")?;
        vty.command("configure terminal")?;
        lines.iter().try_for_each(|line| vty.command(line).map(|_| ()))
    }

    fn json(&self, daemon: &str, command: &str) -> Result<Value, LabError> {
        let text = self.command(daemon, command)?;
        serde_json::from_str(&text).map_err(|error| LabError::Invalid(format!("frr, {command}: {error}: {text}")))
    }

    fn program(&self, namespace: &Namespace, daemon: &str) -> crate::Program {
        let of = |name: &str| self.folder.join(name).to_string_lossy().into_owned();
        let program = namespace
            .program(&format!("{PROGRAMS}/{daemon}"))
            .args(["--vty_socket", &self.folder.to_string_lossy(), "-z", &of("zserv.api")])
            .args(["-i", &of(&format!("{daemon}.pid")), "-f", &of(&format!("{daemon}.conf"))])
            .args(["-u", USER, "-g", USER, "-P", "0", "--log", "stdout"])
            .folder(&self.folder);
        if daemon == "bfdd" { program.args(["--bfdctl", &of("bfdd.sock")]) } else { program }
    }

    fn wait_until_ready(&self, daemon: &str) -> Result<(), LabError> {
        let Some(running) = self.daemons.last() else { return Ok(()) };
        running.process.wait_until("an answer on its vty socket", READY_DEADLINE, || {
            self.command(daemon, "show version").ok().map(|_| ())
        })
    }

    fn route(&self, family: &str, prefix: &str, peer: IpAddr) -> Result<Option<Route>, LabError> {
        let shown = self.json("bgpd", &format!("show bgp {family} unicast {prefix} json"))?;
        let paths = shown["paths"].as_array().cloned().unwrap_or_default();
        let found = paths.iter().find(|path| address(&path["peer"]["peerId"]) == Some(peer));
        Ok(found.map(|path| Route {
            prefix: prefix.to_owned(),
            next_hop: global_next_hop(path),
            as_path: words(&path["aspath"]["string"]).iter().filter_map(|word| word.parse().ok()).collect(),
            med: path["metric"].as_u64().and_then(|med| u32::try_from(med).ok()),
            communities: words(&path["community"]["string"]).iter().map(|word| community(word)).collect(),
            large_communities: words(&path["largeCommunity"]["string"]),
            extended_communities: words(&path["extendedCommunity"]["string"])
                .iter()
                .map(|word| word.to_ascii_lowercase())
                .collect(),
        }))
    }
}

impl Router for Frr {
    fn kind(&self) -> RouterKind {
        RouterKind::Frr
    }

    fn state(&self, peer: IpAddr) -> Result<String, LabError> {
        let shown = self.json("bgpd", &format!("show bgp neighbors {peer} json"))?;
        Ok(shown[peer.to_string()]["bgpState"].as_str().unwrap_or_default().to_ascii_lowercase())
    }

    fn routes(&self, peer: IpAddr) -> Result<Vec<Route>, LabError> {
        let mut routes = Vec::new();
        for family in ["ipv4", "ipv6"] {
            let shown = self.json("bgpd", &format!("show bgp {family} unicast neighbors {peer} routes json"))?;
            let Some(prefixes) = shown["routes"].as_object() else { continue };
            for prefix in prefixes.keys() {
                // It may have gone meanwhile.
                routes.extend(self.route(family, prefix, peer)?.map(Route::sorted));
            }
        }
        Ok(routes)
    }

    fn refresh(&self, peer: IpAddr) -> Result<(), LabError> {
        for family in ["ipv4", "ipv6"] {
            self.command("bgpd", &format!("clear bgp {family} unicast {peer} soft in"))?;
        }
        Ok(())
    }

    fn shut_down(&self, peer: IpAddr, message: &str) -> Result<(), LabError> {
        let lines = [format!("router bgp {}", self.local_as), format!("neighbor {peer} shutdown message {message}")];
        self.configure(&lines.each_ref().map(String::as_str))
    }

    fn enable(&self, peer: IpAddr) -> Result<(), LabError> {
        let lines = [format!("router bgp {}", self.local_as), format!("no neighbor {peer} shutdown")];
        self.configure(&lines.each_ref().map(String::as_str))
    }

    fn bfd_state(&self, peer: IpAddr) -> Option<String> {
        let shown = self.json("bfdd", "show bfd peers json").ok()?;
        let found = shown.as_array()?.iter().find(|found| address(&found["peer"]) == Some(peer))?;
        found["status"].as_str().map(str::to_ascii_lowercase)
    }

    fn daemons(&self) -> Vec<&Daemon> {
        self.daemons.iter().collect()
    }

    fn start_again(&mut self) -> Result<(), LabError> {
        for daemon in self.daemons.iter().rev() {
            daemon.stop()?;
        }
        let mut daemons = std::mem::take(&mut self.daemons);
        for (mut daemon, name) in daemons.drain(..).zip(DAEMONS) {
            daemon.start_again()?;
            self.daemons.push(daemon);
            self.wait_until_ready(name)?;
        }
        Ok(())
    }
}

/// A connection to a daemon's vty socket. Each command ends with a zero byte, each answer with three and a status byte.
struct Vty {
    stream: UnixStream,
}

impl Vty {
    fn open(folder: &Path, daemon: &str) -> Result<Vty, LabError> {
        let path = folder.join(format!("{daemon}.vty"));
        let doing = || format!("connecting to {}", path.display());
        let stream = UnixStream::connect(&path).map_err(LabError::io(doing()))?;
        stream.set_read_timeout(Some(COMMAND_DEADLINE)).map_err(LabError::io(doing()))?;
        let mut vty = Vty { stream };
        vty.command("enable")?;
        Ok(vty)
    }

    fn command(&mut self, command: &str) -> Result<String, LabError> {
        let doing = || format!("asking frr: {command}");
        self.stream.write_all(format!("{command}\0").as_bytes()).map_err(LabError::io(doing()))?;
        let mut answer = Vec::new();
        let mut chunk = [0; 65536];
        loop {
            let count = self.stream.read(&mut chunk).map_err(LabError::io(doing()))?;
            answer.extend_from_slice(chunk.get(..count).unwrap_or_default());
            if count == 0 || answer.len() > ANSWER_BYTES_MAX {
                return Err(LabError::Invalid(format!("{}: the answer has no end", doing())));
            }
            if let Some((status, [text @ .., 0, 0, 0])) = answer.split_last() {
                let output = String::from_utf8_lossy(text).into_owned();
                return match status {
                    0 => Ok(output),
                    status => Err(LabError::Failed { command: doing(), status: format!("code {status}"), output }),
                };
            }
        }
    }
}

fn configuration(spec: &RouterSpec) -> String {
    let mut text = format!(
        "hostname bgpd\nrouter bgp {}\n bgp router-id {}\n no bgp ebgp-requires-policy\n no bgp network import-check\n \
         no bgp default ipv4-unicast\n bgp log-neighbor-changes\n",
        spec.local_as, spec.router_id
    );
    for peer in &spec.peers {
        neighbour(peer, &mut text);
    }
    if let Some(time) = spec.peers.iter().find_map(|peer| peer.graceful_restart_s) {
        let _ = write!(
            text,
            " bgp graceful-restart\n bgp graceful-restart restart-time {time}\n bgp graceful-restart stalepath-time \
             {time}\n"
        );
    }
    for (family, ipv6) in [("ipv4", false), ("ipv6", true)] {
        let _ = writeln!(text, " address-family {family} unicast");
        for peer in spec.peers.iter().filter(|peer| if ipv6 { peer.ipv6 } else { peer.ipv4 }) {
            let _ = writeln!(text, "  neighbor {} activate", peer.remote);
        }
        for prefix in spec.announced(ipv6) {
            let _ = writeln!(text, "  network {prefix}");
        }
        text.push_str(" exit-address-family\n");
    }
    text
}

fn neighbour(peer: &PeerSpec, text: &mut String) {
    let name = peer.remote;
    let mut line = |words: String| {
        let _ = writeln!(text, " neighbor {name} {words}");
    };
    line(format!("remote-as {}", peer.remote_as));
    line(format!("update-source {}", peer.local));
    line(format!("timers {} {}", (peer.hold_time_s / 3).max(1), peer.hold_time_s));
    line("timers connect 1".into());
    line("advertisement-interval 0".into());
    if peer.passive {
        line("passive".into());
    }
    if let Some(password) = &peer.password {
        line(format!("password {password}"));
    }
    if peer.ttl_security {
        line("ttl-security hops 1".into());
    }
    if peer.extended_next_hop {
        line("capability extended-nexthop".into());
    }
    if let Some(interval) = peer.bfd_ms {
        line(format!("bfd 3 {interval} {interval}"));
    }
}

fn words(value: &Value) -> Vec<String> {
    value.as_str().unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

fn address(value: &Value) -> Option<IpAddr> {
    value.as_str()?.parse().ok()
}

/// FRR has names for the well-known ones.
fn community(word: &str) -> String {
    match word {
        "graceful-shutdown" => "65535:0".into(),
        "no-export" => "65535:65281".into(),
        "no-advertise" => "65535:65282".into(),
        other => other.into(),
    }
}

fn global_next_hop(path: &Value) -> String {
    let hops = path["nexthops"].as_array().cloned().unwrap_or_default();
    let global = hops.iter().find(|hop| hop["scope"].as_str() != Some("link-local")).or(hops.first());
    global.and_then(|hop| hop["ip"].as_str()).unwrap_or_default().to_owned()
}
