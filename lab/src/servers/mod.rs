//! Servers in namespaces: BIND's `named`, NSD and Knot as origins, the latter two as peers as well,
//! caches, Parapet's edges.

mod cache;
mod edge;
mod key;
mod knot;
mod named;
mod nsd;
mod peer;
mod zone;

use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use crate::{LabError, Namespace, Process, Program, dns};

pub use cache::{CacheBuilder, CachePeer};
pub use edge::{Edge, EdgeBuilder, Lanes, parapet_binary};
pub use key::{TsigAlgorithm, TsigKey};
pub use knot::Knot;
pub use named::{Named, NamedBuilder, Updates};
pub use nsd::Nsd;
pub use peer::PeerBuilder;
pub use zone::{Dnssec, ZoneSpec};

/// A server is to answer its first question within this time of its start, however large its zones.
const READY_DEADLINE: Duration = Duration::from_secs(60);

/// What all servers have in common: where they run, how they are started again, how they are ended.
pub struct Server {
    subject: &'static str,
    namespace: Namespace,
    folder: PathBuf,
    program: Program,
    process: Process,
}

impl Server {
    fn start(
        subject: &'static str,
        namespace: &Namespace,
        folder: PathBuf,
        program: Program,
    ) -> Result<Server, LabError> {
        let process = program.clone().spawn(&format!("{subject}-{}", namespace.name()))?;
        Ok(Server { subject, namespace: namespace.clone(), folder, program, process })
    }

    /// What it is, as the rows of benchmarks name it: `parapet`, `bind`, `nsd`, `knot`, `dnsdist`, `unbound`.
    pub fn subject(&self) -> &'static str {
        self.subject
    }

    /// Where it runs.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Its folder: configuration, zones, state.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Its IPv4 address.
    pub fn v4(&self) -> IpAddr {
        self.namespace.v4()
    }

    /// Its IPv6 address.
    pub fn v6(&self) -> IpAddr {
        self.namespace.v6()
    }

    /// End it in its own orderly way.
    pub fn stop(&self) -> Result<ExitStatus, LabError> {
        self.process.stop()
    }

    /// Kill it: SIGKILL.
    pub fn kill(&self) -> Result<ExitStatus, LabError> {
        self.process.kill()
    }

    /// Start it again, with the same arguments and what it left on disk; ends it first where it still runs.
    pub fn start_again(&mut self) -> Result<(), LabError> {
        self.stop()?;
        self.process = self.program.clone().spawn(&format!("{}-{}", self.subject, self.namespace.name()))?;
        Ok(())
    }

    /// Wait until it answers for `zone` with `serial` or a later one; gives the serial. Fails at once if it ends.
    pub fn wait_for_zone(&self, zone: &str, serial: u32, deadline: Duration) -> Result<u32, LabError> {
        let server = std::net::SocketAddr::new(self.v4(), dns::PORT);
        let mut client = dns::Client::new(&self.namespace, server)?;
        let mut last = None;
        let found = self.process.wait_until(&format!("{zone} with serial {serial}"), deadline, || {
            let reply = client.ask_once(zone, dns::Rtype::SOA, Duration::from_millis(500))?;
            last = Some((reply.rcode, reply.serial()));
            reply.serial().filter(|found| reply.aa && found.wrapping_sub(serial) < 1 << 31)
        });
        found.map_err(|error| match error {
            LabError::NotReady { what, waited, details } => {
                LabError::NotReady { what, waited, details: format!("; last answer: {last:?}{details}") }
            }
            other => other,
        })
    }

    /// Wait until it answers anything at all.
    pub fn wait_until_it_answers(&self, deadline: Duration) -> Result<(), LabError> {
        let server = std::net::SocketAddr::new(self.v4(), dns::PORT);
        let mut client = dns::Client::new(&self.namespace, server)?;
        self.process.wait_until("its first answer", deadline, || {
            client.ask_once("parapet-lab.invalid", dns::Rtype::A, Duration::from_millis(200)).map(|_| ())
        })
    }
}

/// Write one file of a server's folder.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), LabError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(LabError::io(format!("creating {}", folder.display())))?;
    }
    fs::write(path, text).map_err(LabError::io(format!("writing {}", path.display())))
}
