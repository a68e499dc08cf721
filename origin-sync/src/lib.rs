//! Keeps snapshots equal to the hidden origin: NOTIFY, SOA polls, IXFR, AXFR, TSIG, and the disk.
//!
//! [`OriginSync::start`] reads every zone from disk and publishes it before anything touches the network; from then on one
//! task (see `service`) decides, by one state machine a zone (`machine`), which origin to ask for what and when. Attempts
//! (`attempt`) run beside it, a bounded number at a time: they talk to the origin (`client`), judge what it says
//! (`transfer`, `tsig`), make the next copy (`copy`), bring it to disk (`store`, `journal`), and only then publish it.
//! NOTIFYs come from lane threads through [`Notifier::handle`].
//!
//! Zones that are taken out of the configuration while the program runs lose their files; folders of zones that a start
//! does not know are left alone and told of.

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod attempt;
mod catalog;
mod client;
mod connect;
mod copy;
mod disk;
mod entry;
mod error;
mod examine;
#[doc(hidden)]
pub mod fuzzing;
mod held;
mod journal;
mod keep;
mod lanes;
mod load;
mod machine;
mod membership;
mod notify;
mod on_demand;
mod peers;
mod pool;
mod release;
mod retransfer;
mod serial;
mod service;
mod settings;
mod signatures;
mod status;
mod store;
mod timers;
mod tls;
mod transfer;
mod tsig;
mod validate;

use std::sync::Arc;
use std::time::Instant;

use cache::Cache;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use zones::Zones;

pub use catalog::CatalogStatus;
pub use client::Transport;
pub use error::{Advice, Error, Side, TsigFault};
pub use notify::{Notifier, NotifyCounters, Outcome as NotifyOutcome};
pub use on_demand::{Health, OnDemand, OnDemandStatus, OnDemandUpstream, PurgeOutcome, Refilled};
pub use peers::{AnswerSigner, NextPeerMessage, PeerAnswer, PeerCounters, PeerTransfer, Peers, TransferOut};
pub use retransfer::{Retransfer, Retransferred};
pub use serial::ahead as serials_ahead;
pub use service::Applied;
pub use status::{
    AttemptResult, CheckResult, Counts, HeldStatus, Levels, OriginStatus, Problem, ProblemKind, ProblemLimits,
    Severity, TransferStatus, ZoneCondition, ZoneMode, ZoneStatus, ZoneTotals, duration_words, problems,
};
pub use tls::TlsFault;
pub use validate::{DnssecFault, ZonemdFault};

use catalog::ledger::Ledger;
use peers::Access;
use service::{COMMANDS_MAX, Command, Parts, Service};
use status::Board;
use store::Store;

/// Keeps zones equal to their origins; dropping it ends that.
#[derive(Debug)]
pub struct OriginSync {
    notifier: Arc<Notifier>,
    peers: Arc<Peers>,
    board: Arc<Board>,
    commands: mpsc::Sender<Command>,
    task: JoinHandle<()>,
    courier: JoinSet<()>,
    on_demand: Arc<OnDemand>,
    on_demand_task: JoinHandle<()>,
}

impl OriginSync {
    /// Reads the zones of a configuration from its state folder, publishes them in `zones`, and begins to keep them equal
    /// to their origins; answers of zones that are filled on demand are kept in `cache`. It blocks while it reads; `runtime` must be multi-threaded.
    ///
    /// # Errors
    /// [`Error::Configuration`] for what `config`'s checks would have found; [`Error::Disk`] when the state folder cannot
    /// be used.
    pub fn start(
        config: &config::Config,
        zones: Arc<Zones>,
        cache: Arc<Cache>,
        runtime: &tokio::runtime::Handle,
    ) -> Result<OriginSync, Error> {
        let settings = settings::resolve(config)?;
        let catalogs = settings::resolve_catalogs(config)?;
        let store = Arc::new(Store::open(&config.node.state_dir)?);
        let ledger = Ledger::new(&config.node.state_dir);
        let started = Instant::now();
        let (notifier, woken) = Notifier::new();
        let notifier = Arc::new(notifier);
        let access = Access::new(config)?;
        let peers = Arc::new(Peers::new(started, Arc::clone(&notifier), store.keeping(), access));
        let board = Arc::new(Board::new(started));
        let (sender, commands) = mpsc::channel(COMMANDS_MAX);
        let (demand, demands) = mpsc::channel(on_demand::DEMANDS_MAX);
        let (on_demand, on_demand_task) = OnDemand::new(cache, started, demand);
        let on_demand = Arc::new(on_demand);
        let parts = Parts {
            started,
            zones,
            store: Arc::clone(&store),
            notifier: Arc::clone(&notifier),
            outbox: Arc::clone(peers.outbox()),
            board: Arc::clone(&board),
            commands,
            woken,
            on_demand: Arc::clone(&on_demand),
            demands,
        };
        let mut courier = JoinSet::new();
        courier.spawn_on(peers::notify::run(Arc::clone(peers.outbox()), started), runtime);
        let service = Service::new(parts, settings, catalogs, ledger);
        for folder in store.strangers(service.names.keys().map(|name| name.as_ref())) {
            tracing::warn!(folder = %folder.display(), "a zone that is not configured; its folder is left alone");
        }
        let on_demand_task = runtime.spawn(on_demand_task.run());
        let task = runtime.spawn(service.run());
        Ok(OriginSync { notifier, peers, board, commands: sender, task, courier, on_demand, on_demand_task })
    }

    /// Who answers the questions of zones that are filled on demand.
    pub fn on_demand(&self) -> Arc<OnDemand> {
        Arc::clone(&self.on_demand)
    }

    /// Where lane threads bring their NOTIFYs.
    pub fn notifier(&self) -> Arc<Notifier> {
        Arc::clone(&self.notifier)
    }

    /// Where lane threads bring the questions of other nodes.
    pub fn peers(&self) -> Arc<Peers> {
        Arc::clone(&self.peers)
    }

    /// All zones as they stand, by name.
    pub fn status(&self) -> Vec<ZoneStatus> {
        self.board.status(&self.on_demand, false)
    }

    /// The same, but of zones without a problem the state alone: for who looks often.
    pub fn survey(&self) -> Vec<ZoneStatus> {
        self.board.status(&self.on_demand, true)
    }

    /// All catalogs as they stand, in the configured order.
    pub fn catalogs(&self) -> Vec<CatalogStatus> {
        self.board.catalogs()
    }

    /// Counts since the start.
    pub fn counts(&self) -> Counts {
        self.board.counts().clone()
    }

    /// Works by a new configuration from now on; zones that it does not change are not touched.
    ///
    /// # Errors
    /// [`Error::Configuration`]: nothing has changed then.
    pub async fn apply(&self, config: &config::Config) -> Result<Applied, Error> {
        let (settings, catalogs) = (settings::resolve(config)?, settings::resolve_catalogs(config)?);
        self.peers.set_access(Access::new(config)?);
        let (answer, answered) = oneshot::channel();
        self.command(Command::Apply(settings, catalogs, answer)).await?;
        answered.await.map_err(|_| stopped())
    }

    /// Ends: running transfers are thrown away, disk work that has begun is finished.
    pub async fn stop(mut self) {
        let (done, finished) = oneshot::channel();
        if self.commands.send(Command::Stop(done)).await.is_ok() {
            let _ = finished.await;
        }
        let _ = self.task.await;
        self.courier.shutdown().await;
        // Who waits for an answer is told that there is none, by what it gave being dropped.
        self.on_demand_task.abort();
        let _ = self.on_demand_task.await;
    }

    async fn command(&self, command: Command) -> Result<(), Error> {
        self.commands.send(command).await.map_err(|_| stopped())
    }
}

fn stopped() -> Error {
    Error::Internal("origin-sync has stopped".into())
}
