//! What is put at the edge in demonstrations and benchmarks: Parapet, or a peer in its place.

use std::{
    net::{IpAddr, SocketAddr},
    ops::DerefMut,
};

use clap::ValueEnum;
use parapet_lab::{Edge, Knot, LabError, Lanes, Namespace, Nsd, Server, TsigKey, dns};

/// The interface of a server that leads to its clients, in all networks of the benchmarks.
pub(crate) const CLIENTS: &str = "client";
/// The section of a network file with which all filters of the node `edge` look at every query: nobody is exempt, and only the
/// limits are out of the way, for the one core of a benchmark asks as much as it can from few prefixes.
pub(crate) const UNLIMITED: &str = "[node.edge.defences]\nnormal_per_s = 1000000\nclient_per_s = 1000000\n\
    prefix_per_s = 1000000\nrepeats_per_s = 1000000\nresponses_per_s = 1000000\nrandom_names_per_s = 1000000\n";

/// What can be measured: secondaries of the lab's origin, and caches in front of it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, ValueEnum)]
pub(crate) enum Subject {
    /// Parapet's own edge.
    Parapet,
    /// NLnet Labs' NSD.
    Nsd,
    /// CZ.NIC's Knot DNS.
    Knot,
    /// Knot with datagrams by XDP.
    KnotXdp,
    /// Parapet without its kernel lane, beside Parapet with it.
    Sockets,
    /// Parapet with its kernel lane in generic mode, beside the native one; for `bench answers` and `bench ondemand`.
    Generic,
    /// An XDP program that sends every query back; for `bench answers --lane kernel` alone.
    Echo,
    /// ISC's BIND; for `bench attack` alone.
    Bind,
    /// PowerDNS' dnsdist with its packet cache; for `bench ondemand`, and before an NSD for `bench attack`.
    Dnsdist,
    /// NLnet Labs' unbound with a stub zone; for `bench ondemand` alone.
    Unbound,
    /// BIRD with anycast-healthchecker, before Parapet's edge; for `bench failover` alone.
    Bird,
}

/// A running subject.
pub(crate) type Running = Box<dyn DerefMut<Target = Server> + Send + Sync>;

/// A secondary to be started.
pub(crate) struct Secondary<'s> {
    pub(crate) host: &'s Namespace,
    pub(crate) origin: IpAddr,
    pub(crate) key: &'s TsigKey,
    pub(crate) zones: &'s [&'s str],
    /// Listen on this address alone.
    pub(crate) listen: Option<IpAddr>,
    pub(crate) core: Option<usize>,
    /// By which lanes Parapet answers, if not as it does by default; the interface towards clients is called `client`.
    pub(crate) lanes: Option<Lanes>,
    /// What it transfers must survive a restart.
    pub(crate) keeps: bool,
}

impl Subject {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Subject::Parapet => "parapet",
            Subject::Nsd => "nsd",
            Subject::Knot => "knot",
            Subject::KnotXdp => "knot-xdp",
            Subject::Sockets => "sockets",
            Subject::Generic => "generic",
            Subject::Echo => "echo",
            Subject::Bind => "bind",
            Subject::Dnsdist => "dnsdist",
            Subject::Unbound => "unbound",
            Subject::Bird => "bird",
        }
    }

    pub(crate) fn start(self, secondary: &Secondary) -> Result<Running, LabError> {
        match self {
            Subject::Parapet => secondary.parapet(secondary.lanes),
            Subject::Sockets => secondary.parapet(Some(Lanes::Sockets)),
            Subject::Generic => secondary.parapet(Some(Lanes::Generic)),
            Subject::Nsd => secondary.nsd(),
            Subject::Knot => secondary.knot(None),
            Subject::KnotXdp => secondary.knot(Some(CLIENTS)),
            Subject::Dnsdist | Subject::Unbound => {
                Err(LabError::Invalid(format!("{} takes no zone transfers; it is for bench ondemand", self.name())))
            }
            Subject::Bind => {
                Err(LabError::Invalid("bind is the origin here; as a peer it is for bench attack".to_owned()))
            }
            Subject::Echo => {
                Err(LabError::Invalid("echo is no server; it is for bench answers --lane kernel".to_owned()))
            }
            Subject::Bird => Err(LabError::Invalid("bird answers no questions; it is for bench failover".to_owned())),
        }
    }
}

impl Secondary<'_> {
    fn parapet(&self, lanes: Option<Lanes>) -> Result<Running, LabError> {
        // It waits for nothing: the callers time what comes next.
        let mut edge = Edge::at(self.host).core(self.core).without_waiting();
        if let (Some(Lanes::Kernel), Some(lanes)) = (self.lanes, lanes) {
            let text = self.network_file(lanes, &edge.state_folder()?);
            return Ok(Box::new(edge.file(&text, "edge").start()?));
        }
        if let Some(lanes) = lanes {
            edge = edge.lanes(lanes);
        }
        edge = edge.origin(self.origin).key(self.key);
        for zone in self.zones {
            edge = edge.zone(zone);
        }
        if let Some(address) = self.listen {
            edge = edge.listen((address, parapet_lab::dns::PORT).into());
        }
        Ok(Box::new(edge.start()?))
    }

    fn network_file(&self, lanes: Lanes, state: &std::path::Path) -> String {
        let addresses = self.listen.map_or_else(|| self.host.addresses(), |address| vec![address]);
        let listen: Vec<String> =
            addresses.into_iter().map(|address| SocketAddr::new(address, dns::PORT).to_string()).collect();
        let zones: String =
            self.zones.iter().map(|zone| format!("[zone.\"{zone}\"]\norigins = [\"bind\"]\n")).collect();
        format!(
            "[node.edge]\nlisten = {listen:?}\nstate_dir = \"{state}\"\nworkers = 1\n{lanes}{UNLIMITED}\
             [key.bench]\nkey_file = \"{key}\"\n[origin.bind]\naddresses = [\"{origin}\"]\nkey = \"bench\"\n{zones}",
            state = state.display(),
            lanes = lanes.section("edge", CLIENTS),
            key = self.key.file.display(),
            origin = self.origin,
        )
    }

    fn nsd(&self) -> Result<Running, LabError> {
        let mut nsd =
            Nsd::at(self.host).option("minimal-responses: yes").origin(self.origin).key(self.key).core(self.core);
        for zone in self.zones {
            nsd = nsd.secondary(zone);
        }
        if let Some(address) = self.listen {
            nsd = nsd.listen(address);
        }
        if self.keeps {
            nsd = nsd.zone_files();
        }
        Ok(Box::new(nsd.start()?))
    }

    fn knot(&self, xdp: Option<&str>) -> Result<Running, LabError> {
        let mut knot = Knot::at(self.host).origin(self.origin).key(self.key).core(self.core);
        if let Some(interface) = xdp {
            knot = knot.xdp(interface);
        }
        for zone in self.zones {
            knot = knot.secondary(zone);
        }
        if let Some(address) = self.listen {
            knot = knot.listen(address);
        }
        if self.keeps {
            knot = knot.zone_files();
        }
        Ok(Box::new(knot.start()?))
    }
}
