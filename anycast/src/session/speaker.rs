//! The handle of all sessions: starting, new configurations, views, the end.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tracing::warn;

use super::bound::Bound;
use super::link::{Link, into_tokio, prepare_listener};
use super::listener::{Doors, Reception, accept};
use super::neighbour::{Context, Identity, Neighbour};
use super::plan::{Applied, Plan, Wanted};
use super::task::Command;
use super::view::View;
use crate::Error;
use crate::adverts::Adverts;
use crate::bfd;
use crate::bgp::{PeerState, ReceivedRoute, Shutdown, ShutdownCause};
use crate::status::NeighbourStatus;

/// The node's BGP sessions. Clones are the same speaker; when the last is gone the connections close without a word.
#[derive(Clone)]
pub struct Speaker {
    shared: Arc<Shared>,
}

struct Shared {
    runtime: Handle,
    identity: Identity,
    adverts: watch::Receiver<Arc<Adverts>>,
    bfd: Option<bfd::Handle>,
    reception: Arc<Reception>,
    /// For whoever reads.
    directory: ArcSwap<Vec<Entry>>,
    /// For who changes them: a new configuration, or the end.
    sessions: Mutex<Sessions>,
}

#[derive(Default)]
struct Sessions {
    neighbours: Vec<Neighbour>,
    listeners: Vec<(SocketAddr, Arc<TcpListener>)>,
    accepting: JoinSet<()>,
}

/// A neighbour for whoever reads.
struct Entry {
    name: String,
    view: Arc<View>,
    commands: Option<mpsc::Sender<Command>>,
}

impl Speaker {
    /// Takes ports and passwords, while the process has the privileges for it.
    pub fn bind(anycast: &config::Anycast) -> Result<Bound, Error> {
        Bound::new(anycast)
    }

    /// Starts a task for each neighbour and each listener. `adverts` is what they are told, always the last of it.
    pub fn start(
        bound: Bound,
        anycast: &config::Anycast,
        adverts: watch::Receiver<Arc<Adverts>>,
        bfd: Option<bfd::Handle>,
        runtime: &Handle,
    ) -> Result<Self, Error> {
        let reception: Arc<Reception> = Arc::default();
        let mut sessions = Sessions::default();
        {
            let _runtime = runtime.enter();
            for (address, listener) in bound.listeners {
                let listener = into_tokio(listener).map_err(|source| Error::Listen { address, source })?;
                sessions.listeners.push((address, Arc::new(listener)));
            }
        }
        let shared = Shared {
            runtime: runtime.clone(),
            identity: Identity { local_as: anycast.local_as, router_id: anycast.router_id },
            adverts,
            bfd,
            reception,
            directory: ArcSwap::default(),
            sessions: Mutex::default(),
        };
        for settings in &anycast.neighbours {
            let password = bound.passwords.get(&settings.name).cloned();
            let bfd = shared.bfd_of(settings);
            sessions.neighbours.push(Neighbour::start(&shared.context(anycast), settings.clone(), password, bfd));
        }
        shared.publish(&sessions.neighbours);
        for (_, listener) in &sessions.listeners {
            let accepting = accept(Arc::clone(listener), Arc::clone(&shared.reception));
            sessions.accepting.spawn_on(accepting, runtime);
        }
        Ok(Self { shared: Arc::new(Shared { sessions: Mutex::new(sessions), ..shared }) })
    }

    /// How the sessions are, in the order of the file.
    pub fn neighbours(&self) -> Vec<NeighbourStatus> {
        let with_bfd = |entry: &Entry| {
            let mut status = NeighbourStatus::clone(&entry.view.status.load());
            status.bfd = self.shared.bfd.as_ref().and_then(|bfd| bfd.status(&entry.name));
            status
        };
        self.shared.directory.load().iter().map(with_bfd).collect()
    }

    /// How many routers have a session.
    pub fn established(&self) -> usize {
        let word = PeerState::Established.as_str();
        self.shared.directory.load().iter().filter(|entry| entry.view.status.load().state == word).count()
    }

    /// The routes of a neighbour that are kept; `None` where there is no such neighbour, or no session possible.
    pub async fn routes(&self, neighbour: &str) -> Option<Vec<ReceivedRoute>> {
        let commands = {
            let directory = self.shared.directory.load();
            directory.iter().find(|entry| entry.name == neighbour)?.commands.clone()?
        };
        let (answer, routes) = oneshot::channel();
        commands.send(Command::Routes(answer)).await.ok()?;
        routes.await.ok()
    }

    /// Connections that were closed at once: of an address that is no neighbour's, or more than there is room for.
    pub fn connections_refused(&self) -> u64 {
        self.shared.reception.refused.load(Ordering::Relaxed)
    }

    /// Resolves when all routers with a session have been told of the adverts that are in the view now, or of later
    /// ones: all has been given to the kernel. A router that does not read holds this up until its session ends, so whoever
    /// waits sets a bound.
    pub async fn flushed(&self) {
        let target = Arc::clone(&self.shared.adverts.borrow());
        let views: Vec<Arc<View>> = self
            .shared
            .directory
            .load()
            .iter()
            .filter(|entry| entry.commands.is_some())
            .map(|it| Arc::clone(&it.view))
            .collect();
        for view in views {
            let mut progress = view.progress.subscribe();
            let told = |current: &Arc<Adverts>| {
                Arc::ptr_eq(current, &target) || Arc::ptr_eq(current, &self.shared.adverts.borrow())
            };
            // The view cannot go before this does.
            let _ = progress.wait_for(|progress| progress.told && told(&progress.adverts)).await;
        }
    }

    /// Works by a new configuration: sessions begin and end as neighbours come and go, one whose settings have changed
    /// begins anew, the others notice nothing. Listeners stay what they were bound to.
    pub async fn apply(&self, anycast: &config::Anycast) -> Applied {
        let mut sessions = self.shared.sessions.lock().await;
        let plan = Plan::new(std::mem::take(&mut sessions.neighbours), anycast);
        self.shared.stop_all(plan.ending).await;
        let links: Vec<Link> = plan.wanted.iter().filter_map(Wanted::link).collect();
        sessions.protect(&links, &plan.gone);
        for wanted in plan.wanted {
            sessions.neighbours.push(self.shared.carry_out(wanted, anycast).await);
        }
        self.shared.publish(&sessions.neighbours);
        plan.applied
    }

    /// Ends all sessions with Cease, Administrative Shutdown and this message (RFC 9003), and takes no more.
    pub async fn stop(&self, message: &str) {
        let shutdown = Shutdown { cause: ShutdownCause::AdministrativeShutdown, message: message.into() };
        let mut sessions = self.shared.sessions.lock().await;
        sessions.accepting.shutdown().await;
        sessions.listeners.clear();
        self.shared.reception.doors.store(Arc::default());
        let ending = std::mem::take(&mut sessions.neighbours).into_iter().map(|it| (it, shutdown.clone()));
        self.shared.stop_all(ending.collect()).await;
    }
}

impl Sessions {
    /// Gives the listeners the keys and TTLs of these links.
    fn protect(&self, links: &[Link], gone: &[IpAddr]) {
        let links: Vec<&Link> = links.iter().collect();
        for (address, listener) in &self.listeners {
            if let Err(error) = prepare_listener(&**listener, *address, &links, gone) {
                warn!(%address, %error, "cannot protect the BGP listener by the new configuration");
            }
        }
    }
}

impl Shared {
    fn context<'a>(&'a self, anycast: &'a config::Anycast) -> Context<'a> {
        Context { anycast, identity: self.identity, adverts: &self.adverts, runtime: &self.runtime }
    }

    fn bfd_of(&self, settings: &config::Neighbour) -> Option<watch::Receiver<bfd::State>> {
        settings.bfd?;
        Some(self.bfd.as_ref()?.watch(&settings.name))
    }

    async fn carry_out(&self, wanted: Wanted, anycast: &config::Anycast) -> Neighbour {
        let context = self.context(anycast);
        match wanted {
            Wanted::GoesOn(neighbour, settings) if neighbour.settings == settings => neighbour,
            Wanted::GoesOn(mut neighbour, settings) => {
                let bfd = self.bfd_of(&settings);
                neighbour.follow(settings, bfd).await;
                neighbour
            }
            Wanted::Begins(settings, password) => {
                let bfd = self.bfd_of(&settings);
                Neighbour::start(&context, settings, password, bfd)
            }
            Wanted::Cannot(settings, why) => {
                warn!(neighbour = %settings.name, "{why}");
                Neighbour::broken(&context, settings, why)
            }
        }
    }

    /// Ends sessions side by side.
    async fn stop_all(&self, ending: Vec<(Neighbour, Shutdown)>) {
        let mut tasks = JoinSet::new();
        for (neighbour, shutdown) in ending {
            tasks.spawn_on(neighbour.stop(shutdown), &self.runtime);
        }
        while tasks.join_next().await.is_some() {}
    }

    /// Publishes who there is: to those who read, and to the listeners.
    fn publish(&self, neighbours: &[Neighbour]) {
        let entry = |it: &Neighbour| Entry {
            name: it.settings.name.clone(),
            view: Arc::clone(&it.view),
            commands: it.commands(),
        };
        self.directory.store(Arc::new(neighbours.iter().map(entry).collect()));
        let door = |it: &Neighbour| Some((it.settings.address.ip(), it.door()?));
        self.reception.doors.store(Arc::new(neighbours.iter().filter_map(door).collect::<Doors>()));
    }
}
