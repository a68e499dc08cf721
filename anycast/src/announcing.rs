//! The node's part in anycast, as the binary sees it: bound, started, asked, and stopped in the right order.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use config::{Config, Service};
use tokio::runtime;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use crate::adverts::{Adverts, Cause};
use crate::bgp::ReceivedRoute;
use crate::decide::{Decision, Rules};
use crate::fleet::{Fleet, Seal, socket};
use crate::kept::{Kept, unix_s};
use crate::session::{self, Speaker};
use crate::status::{AddressStatus, ByHand, Status};
use crate::task::{Order, Task, View};
use crate::{Error, bfd};

/// Orders that may wait for the task.
const ORDERS_MAX: usize = 16;
/// How long the task may take, beyond the grace, to withdraw all.
const WITHDRAW_MAX: Duration = Duration::from_secs(2);
/// How long the sessions may take to end.
const STOP_MAX: Duration = Duration::from_secs(2);
/// What the routers are told at the end.
const FAREWELL: &str = "parapet stops";
/// Longest reason of a drain.
const REASON_BYTES_MAX: usize = 1024;

/// Says how the services' addresses are.
pub type AddressReader = Arc<dyn Fn() -> Vec<AddressStatus> + Send + Sync>;

/// What was bound while the process had its privileges.
#[derive(Debug)]
pub struct Bound {
    fleet: Option<std::net::UdpSocket>,
    sessions: session::Bound,
    bfd: bfd::Bound,
}

/// The running announcer. Dropping it closes the sessions without a word.
#[derive(Debug)]
pub struct Anycast {
    handle: Handle,
    announces: watch::Receiver<bool>,
    drain: Duration,
    task: JoinHandle<()>,
    bfd: bfd::Handle,
}

/// Asks and orders; cheap to clone, and of use after the announcer's end too.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle")
    }
}

struct Shared {
    orders: mpsc::Sender<Order>,
    view: Arc<ArcSwap<View>>,
    speaker: Speaker,
    addresses: AddressReader,
    kept: Kept,
    /// Orders by hand come one after the other.
    by_hand: Mutex<()>,
}

impl Anycast {
    /// Binds what needs privileges; `None` if the node announces nothing.
    ///
    /// # Errors
    /// The first thing that cannot be had.
    pub fn bind(config: &Config) -> Result<Option<Bound>, Error> {
        let Some(anycast) = &config.node.anycast else { return Ok(None) };
        let fleet = anycast.fleet.map(socket::bind).transpose()?;
        Ok(Some(Bound { fleet, sessions: Speaker::bind(anycast)?, bfd: bfd::bind(anycast)? }))
    }

    /// Starts to follow the node's `health`; nothing is announced before that is good. `addresses` says how
    /// the services' addresses are.
    ///
    /// # Errors
    /// [`Error::Disk`] when what has to outlive a restart cannot be kept.
    pub fn start(
        config: &Config,
        bound: Bound,
        health: Vec<health::Reader>,
        addresses: AddressReader,
        runtime: &runtime::Handle,
    ) -> Result<Anycast, Error> {
        let anycast = config.node.anycast.as_ref().ok_or(Error::NotConfigured)?;
        let now = Instant::now();
        let kept = Kept::open(&config.node.state_dir)?;
        let rules = Rules::new(anycast, &config.services);
        let by_hand = kept.drained();
        if let Some(by_hand) = &by_hand {
            tracing::warn!(reason = by_hand.reason, "the node is drained by hand and announces nothing");
        }
        let damping = kept.damping(now, rules.hold_down_max);
        let decision = Decision::new(rules, by_hand.is_some(), damping);
        let mut fleet = Fleet::new(&config.network, &config.node.name, seal(config), socket::random(), now);
        fleet.apply(&config.fleet, &services(config));
        let _context = runtime.enter();
        let socket = bound.fleet.map(tokio::net::UdpSocket::from_std).transpose();
        let address = anycast.fleet;
        let socket = socket.map_err(|source| match address {
            Some(address) => Error::Fleet { address, source },
            None => Error::NotConfigured,
        })?;

        let (orders, to_task) = mpsc::channel(ORDERS_MAX);
        let (announces, announces_now) = watch::channel(false);
        let (adverts, adverts_now) = watch::channel(Arc::new(Adverts::none(Cause::Starting)));
        let bfd = bfd::start(bound.bfd, anycast)?;
        let speaker = Speaker::start(bound.sessions, anycast, adverts_now, Some(bfd.clone()), runtime)?;
        let view = Arc::new(ArcSwap::from_pointee(View::default()));
        let task = Task {
            decision,
            fleet,
            socket,
            health,
            services: config.services.clone(),
            interval: Duration::from_millis(anycast.check_interval_ms.into()),
            by_hand,
            speaker: speaker.clone(),
            heard_by_routers: false,
            orders: to_task,
            adverts,
            announces,
            view: Arc::clone(&view),
            kept: kept.clone(),
        };
        let task = runtime.spawn(task.run());
        let shared = Arc::new(Shared { orders, view, speaker, addresses, kept, by_hand: Mutex::new(()) });
        let drain = Duration::from_millis(anycast.drain_ms.into());
        Ok(Anycast { handle: Handle { shared }, announces: announces_now, drain, task, bfd })
    }

    /// Asks and orders, for whoever needs it.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// How it goes.
    pub fn status(&self) -> Status {
        self.handle.status()
    }

    /// Goes by this configuration from now on, as far as that needs no restart.
    pub async fn apply(&self, config: &Config) {
        let Some(anycast) = &config.node.anycast else { return };
        let order = Order::Apply {
            rules: Rules::new(anycast, &config.services),
            services: config.services.clone(),
            members: config.fleet.clone(),
            interval: Duration::from_millis(anycast.check_interval_ms.into()),
        };
        let _ = self.handle.shared.orders.send(order).await;
        self.bfd.apply(anycast);
        let session::Applied { added, removed, changed } = self.handle.shared.speaker.apply(anycast).await;
        if added + removed + changed > 0 {
            tracing::info!(added, removed, changed, "the neighbours are those of the configuration");
        }
    }

    /// Leaves the network: announces with GRACEFUL_SHUTDOWN, withdraws, and waits for as long as queries may still come.
    /// Until this returns the node must go on answering; then whoever answers may stop.
    pub async fn leave(&mut self) {
        let announced = *self.announces.borrow();
        if self.handle.shared.orders.send(Order::Leave).await.is_err() || !announced {
            return;
        }
        let grace = Duration::from_millis(self.handle.shared.view.load().graceful_shutdown_ms);
        let withdrawn = self.announces.wait_for(|announces| !announces);
        let told = async {
            let _ = withdrawn.await;
            self.handle.shared.speaker.flushed().await;
        };
        if timeout(grace + WITHDRAW_MAX, told).await.is_err() {
            tracing::warn!("not every neighbour took the withdrawal in time");
        }
        tracing::info!(drain_ms = self.drain.as_millis() as u64, "all routes are withdrawn; answering on for a while");
        tokio::time::sleep(self.drain).await;
    }

    /// Ends the sessions with a word (RFC 9003).
    pub async fn stop(self) {
        if timeout(STOP_MAX, self.handle.shared.speaker.stop(FAREWELL)).await.is_err() {
            tracing::warn!("not every neighbour took the end of its session in time");
        }
        let _ = spawn_blocking(move || self.bfd.stop()).await;
        let (done, finished) = oneshot::channel();
        if self.handle.shared.orders.send(Order::Stop(done)).await.is_ok() {
            let _ = finished.await;
        }
        let _ = self.task.await;
    }
}

impl Handle {
    /// How it goes.
    pub fn status(&self) -> Status {
        let view = self.shared.view.load();
        Status {
            neighbours: self.shared.speaker.neighbours(),
            addresses: (self.shared.addresses)(),
            ..view.status.clone()
        }
    }

    /// Withdraws all routes and keeps them withdrawn, over restarts too, until [`Handle::undrain`].
    ///
    /// # Errors
    /// [`Error::Disk`] when the order could not be kept: it holds, but only until the next start.
    pub async fn drain(&self, reason: &str) -> Result<(), Error> {
        let _turn = self.shared.by_hand.lock().await;
        let end = (0..=reason.len().min(REASON_BYTES_MAX)).rev().find(|end| reason.is_char_boundary(*end)).unwrap_or(0);
        let reason = reason.get(..end).unwrap_or_default().to_owned();
        let order = ByHand { since_unix_s: unix_s(), reason };
        // At once; what has to be kept may take its time.
        self.order(Some(order.clone())).await?;
        let kept = self.shared.kept.clone();
        spawn_blocking(move || kept.drain(&order)).await.map_err(|_| Error::Stopped)?
    }

    /// Ends what [`Handle::drain`] began: the node is announced again once its health allows. False if it was not
    /// drained.
    ///
    /// # Errors
    /// [`Error::Disk`] when the order could not be forgotten; the node stays drained then.
    pub async fn undrain(&self) -> Result<bool, Error> {
        let _turn = self.shared.by_hand.lock().await;
        let drained = self.shared.view.load().status.by_hand.is_some();
        let kept = self.shared.kept.clone();
        spawn_blocking(move || kept.undrain()).await.map_err(|_| Error::Stopped)??;
        self.order(None).await?;
        Ok(drained)
    }

    /// The routes that a neighbour sent, as far as they are kept; `None` if there is no such neighbour.
    pub async fn routes(&self, neighbour: &str) -> Option<Vec<ReceivedRoute>> {
        self.shared.speaker.routes(neighbour).await
    }

    async fn order(&self, by_hand: Option<ByHand>) -> Result<(), Error> {
        let (done, finished) = oneshot::channel();
        self.shared.orders.send(Order::ByHand(by_hand, done)).await.map_err(|_| Error::Stopped)?;
        finished.await.map_err(|_| Error::Stopped)
    }
}

/// The seal that all nodes have.
fn seal(config: &Config) -> Option<Seal> {
    let key = config.keys.get(config.node_key.as_ref()?)?;
    Some(Seal::new(&key.secret))
}

fn services(config: &Config) -> Vec<&Service> {
    config.services.iter().collect()
}
