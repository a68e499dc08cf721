//! A configured neighbour and its running task, as the speaker has them.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::link::Link;
use super::listener::ACCEPTED_MAX;
use super::password::Password;
use super::task::{COMMANDS_MAX, Command, Parts, Task};
use super::view::View;
use crate::adverts::Adverts;
use crate::bfd::State as BfdState;
use crate::bgp::{Peer, PeerSettings, Shutdown};

/// A task that has not ended so long after it was told to is aborted.
const STOP_TIME_MAX: Duration = Duration::from_secs(2);

/// A neighbour of the configuration.
#[derive(Debug)]
pub(super) struct Neighbour {
    pub(super) settings: config::Neighbour,
    pub(super) password: Option<Password>,
    pub(super) view: Arc<View>,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    commands: mpsc::Sender<Command>,
    door: mpsc::Sender<TcpStream>,
    task: JoinHandle<()>,
}

/// Who this node is to its routers; a restart changes it, a reload does not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Identity {
    pub(super) local_as: u32,
    pub(super) router_id: Ipv4Addr,
}

/// What tasks are started with.
pub(super) struct Context<'a> {
    pub(super) anycast: &'a config::Anycast,
    pub(super) identity: Identity,
    pub(super) adverts: &'a watch::Receiver<Arc<Adverts>>,
    pub(super) runtime: &'a Handle,
}

impl Neighbour {
    /// Starts its task.
    pub(super) fn start(
        context: &Context<'_>,
        settings: config::Neighbour,
        password: Option<Password>,
        bfd: Option<watch::Receiver<BfdState>>,
    ) -> Self {
        let link = Link::new(&settings, password.clone());
        let adverts = context.adverts.clone();
        let view = View::new(&settings, link.has_password(), Arc::clone(&adverts.borrow()), None);
        let Identity { local_as, router_id } = context.identity;
        let peer_settings = PeerSettings::new(context.anycast, &settings, random_u64());
        let peer_settings = PeerSettings { local_as, router_id, ..peer_settings };
        let peer = Peer::new(peer_settings, Instant::now());
        let (commands, their_commands) = mpsc::channel(COMMANDS_MAX);
        let (door, accepted) = mpsc::channel(ACCEPTED_MAX);
        let parts = Parts {
            name: settings.name.clone(),
            link,
            peer,
            view: Arc::clone(&view),
            commands: their_commands,
            accepted,
            adverts,
            bfd,
        };
        let task = context.runtime.spawn(Task::new(parts).run());
        Self { settings, password, view, running: Some(Running { commands, door, task }) }
    }

    /// One that no session is possible with: `problem` says why.
    pub(super) fn broken(context: &Context<'_>, settings: config::Neighbour, problem: String) -> Self {
        let adverts = Arc::clone(&context.adverts.borrow());
        let view = View::new(&settings, settings.password_file.is_some(), adverts, Some(problem));
        Self { settings, password: None, view, running: None }
    }

    /// Whether it can go on as it is with other settings; how BFD watches it is no matter of the session.
    pub(super) fn goes_on_with(&self, settings: &config::Neighbour, password: Option<&Password>) -> bool {
        let same = config::Neighbour { bfd: self.settings.bfd, ..settings.clone() } == self.settings;
        self.running.is_some() && same && self.password.as_ref() == password
    }

    pub(super) fn link(&self) -> Link {
        Link::new(&self.settings, self.password.clone())
    }

    pub(super) fn door(&self) -> Option<mpsc::Sender<TcpStream>> {
        self.running.as_ref().map(|running| running.door.clone())
    }

    pub(super) fn commands(&self) -> Option<mpsc::Sender<Command>> {
        self.running.as_ref().map(|running| running.commands.clone())
    }

    /// Has the task follow another BFD session.
    pub(super) async fn follow(&mut self, settings: config::Neighbour, bfd: Option<watch::Receiver<BfdState>>) {
        self.settings = settings;
        if let Some(running) = &self.running {
            let _ = running.commands.send(Command::Bfd(bfd)).await;
        }
    }

    /// Ends its sessions and its task.
    pub(super) async fn stop(self, shutdown: Shutdown) {
        let Some(mut running) = self.running else { return };
        let end = async {
            let _ = running.commands.send(Command::Stop(shutdown)).await;
            let _ = (&mut running.task).await;
        };
        if timeout(STOP_TIME_MAX, end).await.is_err() {
            running.task.abort();
        }
    }
}

/// A number that nobody outside can tell.
fn random_u64() -> u64 {
    RandomState::new().build_hasher().finish()
}
