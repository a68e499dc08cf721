//! The network that the benchmarks run in: a subject, an origin and a client on wires of their own.

use parapet_lab::{Lab, LabError, Lanes, Named, Network, Topology, TsigKey, ZoneSpec, dns, zone_text};

use crate::subject::{Running, Secondary, Subject};

/// The zone that is measured with.
pub(crate) const ZONE: &str = "example.com";

/// The network, with the origin serving [`ZONE`].
pub(crate) struct Rig {
    pub(crate) net: Network,
    pub(crate) key: TsigKey,
    pub(crate) origin: Named,
    lanes: Lanes,
    pub(crate) lab: Lab,
}

/// The network of the benchmarks with an origin: a wire to the client, another to the origin.
pub(crate) fn topology() -> Topology {
    Topology::new("bench", "a server between its client and its origin")
        .host("server")
        .host("client")
        .host("origin")
        .link("server", "client", 1)
        .link("server", "origin", 2)
}

impl Rig {
    /// Build it with a zone of so many names.
    pub(crate) fn build(bench: &str, names: u32) -> Result<Rig, LabError> {
        let lab = Lab::new(bench)?;
        let net = lab.build(&topology())?;
        let key = TsigKey::generate(&lab, "bench")?;
        let zone = lab.folder().join("large.zone");
        std::fs::write(&zone, zone_text::flat(ZONE, names))
            .map_err(|source| LabError::Io { doing: format!("writing {}", zone.display()), source })?;
        // From the server's side of the wire that the subjects' transfers come over.
        let subject = origin_side(&net);
        let origin = Named::at(net.host("origin"))
            .key(&key)
            .notify(subject)
            .zone(ZoneSpec::file(ZONE, &zone).dynamic())
            .start()?;
        Ok(Rig { net, key, origin, lanes: Lanes::Sockets, lab })
    }

    /// Parapet answers by these lanes.
    pub(crate) fn lanes(self, lanes: Lanes) -> Rig {
        Rig { lanes, ..self }
    }

    /// A subject as a secondary of the origin; it has just been started and serves nothing yet.
    pub(crate) fn start(&self, subject: Subject, core: Option<usize>, keeps: bool) -> Result<Running, LabError> {
        let server = self.net.host("server");
        // A peer's files of an earlier repeat would spare it the transfer.
        self.forget(subject);
        subject.start(&Secondary {
            host: server,
            origin: self.origin.v4(),
            key: &self.key,
            zones: &[ZONE],
            // One address for questions (the first, on the client's wire) and, while the origin lives, one for NOTIFY.
            listen: (core.is_some()).then(|| server.v4()),
            core,
            lanes: Some(self.lanes),
            keeps,
        })
    }

    /// The serial of the zone at the origin.
    pub(crate) fn serial(&self) -> Result<u32, LabError> {
        let reply = dns::ask(self.net.host("origin"), self.origin.v4(), ZONE, dns::Rtype::SOA)?;
        reply.serial().ok_or_else(|| LabError::Invalid(format!("the origin has no {ZONE}")))
    }

    fn forget(&self, subject: Subject) {
        let folder = self.lab.folder().join(format!("{}-server", subject.name()));
        let _ = std::fs::remove_dir_all(folder);
    }
}

/// The subject's address on the wire to the origin.
fn origin_side(net: &Network) -> std::net::IpAddr {
    let addresses = net.host("server").addresses();
    addresses.iter().copied().filter(std::net::IpAddr::is_ipv4).nth(1).unwrap_or(net.host("server").v4())
}
