//! The edges of an internet as Parapet, their hidden origin, and what can befall an edge.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;

use super::{Internet, NetworkFile};
use crate::{Edge, Lab, LabError, Named, TsigKey, ZoneSpec, zone_text};

/// The zone that a fleet serves unless it is told others.
pub const ZONE: &str = "example.com";
/// Six edges share a machine with all else: one that is late there would be called dead by its router's BFD.
const NICENESS: i8 = -10;
/// Every edge is to have its zones within this time.
const ZONES_DEADLINE: Duration = Duration::from_secs(60);

/// What befalls an edge; each has a way back, see [`Fleet::repair`].
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Fault {
    /// SIGKILL to the daemon. Repaired by a start.
    Kill,
    /// SIGSTOP to all its processes: nothing is closed, nothing is answered. Repaired by SIGCONT.
    Freeze,
    /// The wire to its router carries nothing more and says nothing. Repaired by mending it.
    Cut,
    /// `parapet drain`. Repaired by `parapet undrain`.
    Drain,
    /// SIGTERM: it stops in its own order. Repaired by a start.
    Stop,
    /// The management network does not reach it: its zones grow stale. Repaired by mending that wire.
    Stale,
}

impl Fault {
    /// All of them.
    pub const ALL: [Fault; 6] = [Fault::Kill, Fault::Freeze, Fault::Cut, Fault::Drain, Fault::Stop, Fault::Stale];

    /// What happens, in a sentence without its end.
    pub fn about(self) -> &'static str {
        match self {
            Fault::Kill => "SIGKILL to the daemon: the kernel closes its sessions",
            Fault::Freeze => "SIGSTOP to all of the edge's processes: nothing is closed, nothing is said",
            Fault::Cut => "the wire to the edge's router carries nothing more, and both ends keep their carrier",
            Fault::Drain => "parapet drain: leave on purpose, by hand",
            Fault::Stop => "SIGTERM: leave, answer what is on its way, end",
            Fault::Stale => "the edge does not reach the origin any more, and its zones grow old",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Fault::Kill => "kill",
            Fault::Freeze => "freeze",
            Fault::Cut => "cut",
            Fault::Drain => "drain",
            Fault::Stop => "stop",
            Fault::Stale => "stale",
        })
    }
}

/// What a fleet is to be.
#[must_use]
pub struct FleetBuilder<'i> {
    lab: &'i Lab,
    internet: &'i Internet,
    zones: Vec<ZoneSpec>,
    file: NetworkFile,
}

/// An origin and all edges of an internet.
pub struct Fleet {
    origin: Named,
    edges: Vec<Edge>,
    hosts: Vec<super::EdgeHost>,
    file: PathBuf,
}

impl<'i> FleetBuilder<'i> {
    /// Serve this zone, with further items of its table in the network file.
    pub fn zone(mut self, zone: ZoneSpec, items: &str) -> FleetBuilder<'i> {
        self.file = self.file.zone(&zone.name, items);
        self.zones.push(zone);
        self
    }

    /// Change what the network file says.
    pub fn file(mut self, change: impl FnOnce(NetworkFile) -> NetworkFile) -> FleetBuilder<'i> {
        self.file = change(self.file);
        self
    }

    /// Start the origin and the edges, and wait until each has all zones; whether it announces is another matter, see
    /// [`Internet::wait_for_route`].
    pub fn start(mut self) -> Result<Fleet, LabError> {
        if self.zones.is_empty() {
            self = self.zone(ZoneSpec::text(ZONE, zone_text::small(ZONE)).dynamic(), "");
        }
        let names: Vec<String> = self.zones.iter().map(|zone| zone.name.clone()).collect();
        let transfer = TsigKey::generate(self.lab, "transfer")?;
        let node = TsigKey::generate(self.lab, "node")?;
        let mut origin = Named::at(self.internet.origin()).key(&transfer);
        for edge in self.internet.edges() {
            let [v4, _] = edge.management_addresses;
            origin = origin.notify(v4);
        }
        let origin = self.zones.into_iter().fold(origin, |origin, zone| origin.zone(zone)).start()?;
        let text = self.file.text(self.internet, &transfer, &node)?;
        let file = self.lab.folder().join("network.toml");
        std::fs::write(&file, &text).map_err(LabError::io(format!("writing {}", file.display())))?;
        let hosts = self.internet.edges().to_vec();
        let start = |host: &super::EdgeHost| {
            Edge::at(&host.namespace).file(&text, &host.name).niceness(NICENESS).without_waiting().start()
        };
        let edges: Vec<Edge> = hosts.iter().map(start).collect::<Result<_, _>>()?;
        for edge in &edges {
            for zone in &names {
                edge.wait_for_zone(zone, 1, ZONES_DEADLINE)?;
            }
        }
        Ok(Fleet { origin, edges, hosts, file })
    }
}

impl Fleet {
    /// The fleet of an internet that was built in `lab`.
    pub fn of<'i>(lab: &'i Lab, internet: &'i Internet) -> FleetBuilder<'i> {
        FleetBuilder { lab, internet, zones: Vec::new(), file: NetworkFile::default() }
    }

    /// The hidden origin.
    pub fn origin(&self) -> &Named {
        &self.origin
    }

    /// The edges, in the plan's order.
    pub fn edges(&self) -> &[Edge] {
        &self.edges
    }

    /// The network file that they all have, for `parapet … --config`.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// An edge.
    ///
    /// # Panics
    /// Where there is no edge of that name: a mistake in the calling program.
    pub fn edge(&self, name: &str) -> &Edge {
        self.edges.iter().find(|edge| edge.namespace().name() == name).unwrap_or_else(|| panic!("no edge {name:?}"))
    }

    /// Let something befall an edge; gives the moment it did.
    ///
    /// # Panics
    /// Where there is no edge of that name: a mistake in the calling program.
    pub fn strike(&self, name: &str, fault: Fault) -> Result<Instant, LabError> {
        let (edge, host) = (self.edge(name), self.host(name));
        // The moment is taken before: what is lost from here on counts.
        let at = Instant::now();
        match fault {
            Fault::Kill => edge.process().signal(Signal::SIGKILL)?,
            Fault::Freeze => edge.process().signal_group(Signal::SIGSTOP)?,
            Fault::Cut => host.uplink.cut(),
            Fault::Drain => edge.ask(&["drain", "--reason", "lab"]).map(|_| ())?,
            Fault::Stop => edge.process().signal(Signal::SIGTERM)?,
            Fault::Stale => host.management.cut(),
        }
        Ok(at)
    }

    /// Undo what [`Fleet::strike`] did.
    ///
    /// # Panics
    /// Where there is no edge of that name: a mistake in the calling program.
    pub fn repair(&mut self, name: &str, fault: Fault) -> Result<Instant, LabError> {
        let at = Instant::now();
        match fault {
            Fault::Kill | Fault::Stop => {
                let edge = self.edges.iter_mut().find(|edge| edge.namespace().name() == name);
                edge.unwrap_or_else(|| panic!("no edge {name:?}")).start_again()?;
            }
            Fault::Freeze => self.edge(name).process().signal_group(Signal::SIGCONT)?,
            Fault::Cut => self.host(name).uplink.restore(),
            Fault::Drain => self.edge(name).ask(&["undrain"]).map(|_| ())?,
            Fault::Stale => self.host(name).management.restore(),
        }
        Ok(at)
    }

    fn host(&self, name: &str) -> &super::EdgeHost {
        self.hosts.iter().find(|host| host.name == name).unwrap_or_else(|| panic!("no edge {name:?}"))
    }
}
