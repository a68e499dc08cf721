//! Routers in namespaces: real BGP speakers of other makers, each with its control socket and files in the lab's folder.

mod bird;
mod bird_router;
mod exabgp;
mod frr;
mod gobgp;
mod spec;

use std::{fs, net::IpAddr, path::Path, process::ExitStatus, time::Duration};

use nix::sys::signal::Signal;

use crate::{LabError, Namespace, Process, Program};

pub use bird::{Bird, BirdBuilder, BirdRoute};
pub use bird_router::BirdRouter;
pub use exabgp::ExaBgp;
pub use frr::Frr;
pub use gobgp::GoBgp;
pub use spec::{PeerSpec, Route, RouterSpec};

/// A router is to answer on its control socket within this time of its start.
const READY_DEADLINE: Duration = Duration::from_secs(60);
/// It answers one command within this time.
const COMMAND_DEADLINE: Duration = Duration::from_secs(20);
/// What one command answers is not longer than this; full tables are asked for by prefix.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// The makers of routers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouterKind {
    /// BIRD 2.
    Bird,
    /// FRR 8.
    Frr,
    /// GoBGP 3.
    GoBgp,
    /// ExaBGP 4.
    ExaBgp,
}

/// What tests want of a router, whoever made it. Peers are named by their address.
pub trait Router {
    /// Who made it.
    fn kind(&self) -> RouterKind;

    /// The state of the session with a peer, in lower case and one word: `idle`, `opensent`, `established`.
    fn state(&self, peer: IpAddr) -> Result<String, LabError>;

    /// The routes that it has from a peer, of both families.
    fn routes(&self, peer: IpAddr) -> Result<Vec<Route>, LabError>;

    /// Ask a peer for its routes again (RFC 2918).
    fn refresh(&self, peer: IpAddr) -> Result<(), LabError>;

    /// Shut a session down by hand, with a message where the router can (RFC 9003).
    fn shut_down(&self, peer: IpAddr, message: &str) -> Result<(), LabError>;

    /// The opposite of that.
    fn enable(&self, peer: IpAddr) -> Result<(), LabError>;

    /// The state of the BFD session with a peer, in lower case; none where there is none.
    fn bfd_state(&self, peer: IpAddr) -> Option<String>;

    /// Its programs.
    fn daemons(&self) -> Vec<&Daemon>;

    /// Start it again with the same configuration; ends it first where it still runs.
    fn start_again(&mut self) -> Result<(), LabError>;

    /// Whether the session with a peer stands.
    fn is_established(&self, peer: IpAddr) -> bool {
        self.state(peer).is_ok_and(|state| state == "established")
    }

    /// Freeze all of it; see [`Daemon::freeze`].
    fn freeze(&self) -> Result<(), LabError> {
        self.daemons().iter().try_for_each(|daemon| daemon.freeze())
    }

    /// Let it go on.
    fn thaw(&self) -> Result<(), LabError> {
        self.daemons().iter().try_for_each(|daemon| daemon.thaw())
    }

    /// Kill all of it.
    fn kill(&self) -> Result<(), LabError> {
        self.daemons().iter().try_for_each(|daemon| daemon.kill().map(|_| ()))
    }
}

impl RouterKind {
    /// All of them.
    pub const ALL: [RouterKind; 4] = [RouterKind::Bird, RouterKind::Frr, RouterKind::GoBgp, RouterKind::ExaBgp];

    /// Start one of this kind in `namespace`, one to a namespace, and wait until it answers.
    pub fn start(self, namespace: &Namespace, spec: &RouterSpec) -> Result<Box<dyn Router>, LabError> {
        Ok(match self {
            RouterKind::Bird => Box::new(BirdRouter::start(namespace, spec)?),
            RouterKind::Frr => Box::new(Frr::start(namespace, spec)?),
            RouterKind::GoBgp => Box::new(GoBgp::start(namespace, spec)?),
            RouterKind::ExaBgp => Box::new(ExaBgp::start(namespace, spec)?),
        })
    }
}

/// One program of a router: how it is frozen, ended, started again.
pub struct Daemon {
    label: String,
    program: Program,
    process: Process,
}

impl Daemon {
    fn start(subject: &str, namespace: &Namespace, program: Program) -> Result<Daemon, LabError> {
        let label = format!("{subject}-{}", namespace.name());
        let process = program.clone().spawn(&label)?;
        Ok(Daemon { label, program, process })
    }

    /// Its process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// End it in its own orderly way.
    pub fn stop(&self) -> Result<ExitStatus, LabError> {
        self.process.stop()
    }

    /// Kill it: SIGKILL.
    pub fn kill(&self) -> Result<ExitStatus, LabError> {
        self.process.kill()
    }

    /// Stop its clock, so to speak: SIGSTOP. Its sockets stay open and say nothing more.
    pub fn freeze(&self) -> Result<(), LabError> {
        self.process.signal(Signal::SIGSTOP)
    }

    /// Let it go on.
    pub fn thaw(&self) -> Result<(), LabError> {
        self.process.signal(Signal::SIGCONT)
    }

    /// Start it again with the same arguments; ends it first where it still runs.
    fn start_again(&mut self) -> Result<(), LabError> {
        self.stop()?;
        self.process = self.program.clone().spawn(&self.label)?;
        Ok(())
    }
}

/// Write one file of a router's folder.
fn write(path: &Path, text: &str) -> Result<(), LabError> {
    fs::write(path, text).map_err(LabError::io(format!("writing {}", path.display())))
}
