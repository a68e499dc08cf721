//! Starting BFD, and what the rest of the process sees of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use arc_swap::ArcSwap;
use config::BfdSettings;
use tokio::sync::watch;

use super::driver::Driver;
use super::packet::State;
use super::socket::{self, wildcard};
use super::{priority, socket::PORT};
use crate::{BfdStatus, Error};

/// Configurations that wait for the thread to take them; it never lets them wait long.
const COMMANDS_MAX: usize = 4;
/// Sessions; neighbours beyond have none, and a log line says so.
pub(super) const SESSIONS_MAX: usize = 256;

/// What the statuses of all sessions are published in.
pub(super) type Statuses = ArcSwap<BTreeMap<String, BfdStatus>>;
/// The states of all neighbours that somebody has asked for or that have a session.
pub(super) type States = Mutex<BTreeMap<String, watch::Sender<State>>>;

/// A session that the configuration wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) neighbour: String,
    pub(super) remote: std::net::SocketAddr,
    pub(super) source: Option<IpAddr>,
    pub(super) settings: BfdSettings,
}

impl Wanted {
    /// All of a configuration, by the order of the file.
    pub(super) fn all(config: &config::Anycast) -> Vec<Self> {
        let wanted = config.neighbours.iter().filter_map(|neighbour| {
            let mut remote = neighbour.address;
            remote.set_port(PORT);
            let settings = neighbour.bfd?;
            Some(Self { neighbour: neighbour.name.clone(), remote, source: neighbour.source, settings })
        });
        let mut wanted: Vec<_> = wanted.collect();
        if wanted.len() > SESSIONS_MAX {
            tracing::error!(SESSIONS_MAX, "too many neighbours with BFD: the last ones have none");
            wanted.truncate(SESSIONS_MAX);
        }
        wanted
    }

    /// Where their packets arrive: at the sources, or anywhere once a neighbour of the family has none.
    pub(super) fn receivers(wanted: &[Self]) -> BTreeSet<IpAddr> {
        let anywhere: BTreeSet<IpAddr> =
            wanted.iter().filter(|wanted| wanted.source.is_none()).map(|wanted| wildcard(wanted.remote.ip())).collect();
        let sources = wanted.iter().filter_map(|wanted| wanted.source);
        sources.filter(|source| !anywhere.contains(&wildcard(*source))).chain(anywhere.iter().copied()).collect()
    }
}

/// What is told to the thread.
#[derive(Debug)]
pub(super) enum Command {
    /// These sessions and no others.
    Apply(Vec<Wanted>),
    /// Every session says AdminDown, and the thread ends.
    Stop,
}

/// Sockets, and a thread that waits for its work.
#[derive(Debug)]
pub struct Bound {
    receivers: Vec<socket::Receiver>,
    thread: JoinHandle<()>,
    work: SyncSender<Work>,
}

/// What the thread does.
#[derive(Debug)]
struct Work {
    driver: Driver,
    wanted: Vec<Wanted>,
    todo: Receiver<Command>,
}

/// Binds the sockets where packets arrive, and starts the thread, which takes real-time priority if it may. To be called
/// while the process has its privileges: the thread gives up its own before it does anything else.
///
/// # Errors
/// When an address cannot be bound, or the system gives no thread.
pub fn bind(config: &config::Anycast) -> Result<Bound, Error> {
    let wanted = Wanted::all(config);
    let receivers = Wanted::receivers(&wanted).into_iter();
    let bind = |address| socket::Receiver::bind(address).map_err(|source| Error::BfdBind { address, source });
    let receivers = receivers.map(bind).collect::<Result<_, _>>()?;
    let (work, given) = mpsc::sync_channel(1);
    let thread = thread::Builder::new().name("bfd".into()).spawn(move || run(&given));
    Ok(Bound { receivers, thread: thread.map_err(|source| Error::BfdStart { source })?, work })
}

/// Starts the sessions that the configuration has. To be called once privileges are given up.
///
/// # Errors
/// When the system gives no sockets or no random numbers.
pub fn start(bound: Bound, config: &config::Anycast) -> Result<Handle, Error> {
    let failure = |source| Error::BfdStart { source };
    let (commands, todo) = mpsc::sync_channel(COMMANDS_MAX);
    let (waker, woken) = UnixStream::pair().map_err(failure)?;
    waker.set_nonblocking(true).map_err(failure)?;
    woken.set_nonblocking(true).map_err(failure)?;
    let seed = seed().map_err(failure)?;
    let states = Arc::new(States::default());
    let statuses = Arc::new(Statuses::default());
    let driver = Driver::new(bound.receivers, woken, Arc::clone(&states), Arc::clone(&statuses), seed);
    let work = Work { driver, wanted: Wanted::all(config), todo };
    bound.work.send(work).map_err(|_| failure(io::Error::other("its thread has ended")))?;
    let thread = Mutex::new(Some(bound.thread));
    Ok(Handle { shared: Arc::new(Shared { states, statuses, commands, waker, thread }) })
}

fn run(work: &Receiver<Work>) {
    let priority = priority::take();
    // Without work the start has failed.
    let Ok(Work { mut driver, wanted, todo }) = work.recv() else { return };
    if let Err(why) = priority::give_up() {
        return tracing::error!(%why, "the thread of BFD cannot give up its capabilities, and so does nothing");
    }
    priority.log(!wanted.is_empty());
    driver.apply(wanted);
    while let Some(command) = driver.work(&todo) {
        match command {
            Command::Apply(wanted) => driver.apply(wanted),
            Command::Stop => break,
        }
    }
    driver.disable();
}

fn seed() -> io::Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(u64::from_ne_bytes(bytes))
}

/// The running sessions. Clones are handles of the same ones; when the last is dropped, they end.
#[derive(Clone, Debug)]
pub struct Handle {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    states: Arc<States>,
    statuses: Arc<Statuses>,
    commands: SyncSender<Command>,
    /// One byte for each command; its end when there will be no more.
    waker: UnixStream,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Handle {
    /// The state of the session with a neighbour, now and from now on. A neighbour without a session is `AdminDown`, and
    /// so is one that an administrator holds down on the other side: neither says that the path is bad (RFC 5882 §3.2).
    /// A change from `Up` to `Down` does.
    pub fn watch(&self, neighbour: &str) -> watch::Receiver<State> {
        let mut states = lock(&self.shared.states);
        if let Some(state) = states.get(neighbour) {
            return state.subscribe();
        }
        let (state, receiver) = watch::channel(State::AdminDown);
        states.insert(neighbour.to_owned(), state);
        receiver
    }

    /// How the session with a neighbour is, if there is one.
    pub fn status(&self, neighbour: &str) -> Option<BfdStatus> {
        self.shared.statuses.load().get(neighbour).cloned()
    }

    /// Has the sessions of this configuration and no others; those that stay are not disturbed.
    pub fn apply(&self, config: &config::Anycast) {
        self.tell(Command::Apply(Wanted::all(config)));
    }

    /// Tells all neighbours that the sessions are held down on purpose, and ends them. Waits for the thread, which takes
    /// some milliseconds.
    pub fn stop(&self) {
        self.tell(Command::Stop);
        let thread = lock(&self.shared.thread).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of BFD did not end well");
        }
    }

    fn tell(&self, command: Command) {
        // It fails only once the thread has ended.
        if self.shared.commands.send(command).is_ok() {
            let _ = (&self.shared.waker).write(&[1]);
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
