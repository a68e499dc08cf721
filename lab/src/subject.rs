//! What is put at the edge in demonstrations and benchmarks: Parapet, or a peer in its place.

use std::{net::IpAddr, ops::DerefMut};

use clap::ValueEnum;
use parapet_lab::{Edge, Knot, LabError, Namespace, Nsd, Server, TsigKey};

/// What can be measured: secondaries of the lab's origin, and caches in front of it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, ValueEnum)]
pub(crate) enum Subject {
    /// Parapet's own edge.
    Parapet,
    /// NLnet Labs' NSD.
    Nsd,
    /// CZ.NIC's Knot DNS.
    Knot,
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
    /// What it transfers must survive a restart.
    pub(crate) keeps: bool,
}

impl Subject {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Subject::Parapet => "parapet",
            Subject::Nsd => "nsd",
            Subject::Knot => "knot",
            Subject::Bind => "bind",
            Subject::Dnsdist => "dnsdist",
            Subject::Unbound => "unbound",
            Subject::Bird => "bird",
        }
    }

    pub(crate) fn start(self, secondary: &Secondary) -> Result<Running, LabError> {
        match self {
            Subject::Parapet => secondary.parapet(),
            Subject::Nsd => secondary.nsd(),
            Subject::Knot => secondary.knot(),
            Subject::Dnsdist | Subject::Unbound => {
                Err(LabError::Invalid(format!("{} takes no zone transfers; it is for bench ondemand", self.name())))
            }
            Subject::Bind => {
                Err(LabError::Invalid("bind is the origin here; as a peer it is for bench attack".to_owned()))
            }
            Subject::Bird => Err(LabError::Invalid("bird answers no questions; it is for bench failover".to_owned())),
        }
    }
}

impl Secondary<'_> {
    fn parapet(&self) -> Result<Running, LabError> {
        // It waits for nothing: the callers time what comes next.
        let mut edge = Edge::at(self.host).origin(self.origin).key(self.key).core(self.core).without_waiting();
        for zone in self.zones {
            edge = edge.zone(zone);
        }
        if let Some(address) = self.listen {
            edge = edge.listen((address, parapet_lab::dns::PORT).into());
        }
        Ok(Box::new(edge.start()?))
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

    fn knot(&self) -> Result<Running, LabError> {
        let mut knot = Knot::at(self.host).origin(self.origin).key(self.key).core(self.core);
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
