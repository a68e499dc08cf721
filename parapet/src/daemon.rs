//! `parapet run`: binds what is to be bound, gives up privileges, starts the roles, and stops them at the end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anycast::addresses::Keeper;
use config::{Config, Parsed};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{sleep_until, timeout};

use crate::address_keeper;
use crate::api::{Api, TokenHolder};
use crate::cli::RunArguments;
use crate::control::server::{self, ControlSocket};
use crate::failure::Failure;
use crate::http::BoundSocket;
use crate::in_force::{InForce, Start};
use crate::metrics;
use crate::node_view::{Addresses, NodeView};
use crate::reload::{Haste, Outcome, Reload, ReloadOrder, log_diagnostics};
use crate::services::{Bound, Services};
use crate::source::Source;
use crate::state_folder::StateFolder;
use crate::watch::Watch;
use crate::{in_force, logging, privileges, state_folder};

/// Threads of the runtime beside the lanes: transfers, control socket, metrics.
const RUNTIME_THREADS_MAX: usize = 4;
/// Orders to read the file again that may wait.
const RELOADS_MAX: usize = 4;
/// How long the roles may take to stop before the process ends regardless.
const STOP_MAX: Duration = Duration::from_secs(10);

/// All that was opened while the process had its privileges.
struct Opened {
    services: Bound,
    control: ControlSocket,
    metrics: Option<BoundSocket>,
    api: Option<Api>,
    _state: StateFolder,
    /// Last, so that the addresses go last, should something end the start.
    keeper: Option<Keeper>,
}

pub(crate) fn run(arguments: RunArguments) -> Result<(), Failure> {
    let source = match &arguments.config {
        Some(path) => Source::File { path: path.clone(), node: arguments.node.clone() },
        None => Source::Short(Box::new(arguments.into_short_form())),
    };
    let Start { parsed: Parsed { value: config, warnings }, in_force, told } = in_force::start(&source)?;
    logging::start(config.node.log)?;
    log_diagnostics(&warnings);
    told.into_iter().for_each(|told| tracing::warn!("{told}"));
    let opened = open(&config)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(RUNTIME_THREADS_MAX);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name("control")
        .enable_all()
        .build()
        .map_err(|why| Failure::Runtime(format!("cannot start the runtime: {why}")))?;
    let outcome = runtime.block_on(serve(source, config, in_force, opened));
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

/// Opens everything, in the order that privileges ask for, and gives them up.
fn open(config: &Config) -> Result<Opened, Failure> {
    let node = &config.node;
    let user = privileges::find_user(node.user.as_deref())?;
    let state = state_folder::take(&node.state_dir, user.as_ref())?;
    let keeper = address_keeper::start(config)?;
    let control = server::bind(&node.control, user.as_ref())?;
    let services = Bound::bind(config, user.as_ref().map(privileges::ids))?;
    let metrics = node.metrics.map(|address| BoundSocket::bind(address, "metrics", "metrics")).transpose()?;
    let api = node.api.as_ref().map(Api::open).transpose()?;
    privileges::give_up(user.as_ref())?;
    state_folder::probe(&node.state_dir)?;
    keeper.as_ref().map(Keeper::follow).transpose().map_err(Failure::runtime)?;
    Ok(Opened { keeper, services, control, metrics, api, _state: state })
}

async fn serve(source: Source, config: Config, in_force: InForce, opened: Opened) -> Result<(), Failure> {
    let Opened { services, control, metrics, api, _state, keeper } = opened;
    let failure = |why: std::io::Error| Failure::Runtime(format!("cannot take signals: {why}"));
    let mut signals = Signals::take().map_err(failure)?;
    let watch = source.file().and_then(|file| {
        let watch = Watch::start(file);
        watch.map_err(|why| tracing::warn!(%why, "the network file cannot be watched; SIGHUP reads it again")).ok()
    });
    let addresses = services.addresses().to_vec();
    let kept = keeper.as_ref().map_or_else(|| Arc::new(Vec::new) as anycast::AddressReader, Keeper::reader);
    let stop_max = STOP_MAX + leave_max(&config);
    let services = Services::start(&config, services, kept).await?;
    let mut reload = Reload::new(source, config.clone(), in_force);
    let (orders, ordered) = mpsc::channel(RELOADS_MAX);
    let addresses = Addresses {
        listen: addresses,
        metrics: metrics.as_ref().map(|socket| socket.address),
        api: api.as_ref().map(Api::address),
    };
    let token = api.as_ref().map(Api::token);
    let view = Arc::new(NodeView::new(config, addresses, services.view(), reload.status(), orders));

    let control_task = tokio::spawn(server::serve(control, Arc::clone(&view) as Arc<dyn server::Answers>));
    let metrics_task = metrics.map(|socket| tokio::spawn(metrics::serve(socket, Arc::clone(&view))));
    let api_task = api.map(|api| tokio::spawn(api.serve(Arc::clone(&view) as Arc<dyn server::Answers>)));
    view.announce();

    let given_up = tokio::select! {
        () = work(&mut signals, watch, &mut reload, ordered, token.as_ref(), &services) => None,
        why = services.given_up() => Some(why),
    };

    tracing::info!("stopping");
    tokio::select! {
        stopped = timeout(stop_max, services.stop()) => {
            if stopped.is_err() {
                tracing::warn!("not everything stopped in time");
            }
        }
        () = signals.stop.next() => tracing::warn!("stopping at once"),
    }
    for task in metrics_task.into_iter().chain(api_task) {
        task.abort();
    }
    // Nobody is told any more that they lead here, and nobody answers.
    drop(keeper);
    control_task.abort();
    // The socket's file goes with the task.
    let _ = control_task.await;
    tracing::info!("stopped");
    given_up.map_or(Ok(()), |why| Err(Failure::Runtime(why)))
}

/// How long leaving the network may take before anything stops.
fn leave_max(config: &Config) -> Duration {
    let leave_ms = |anycast: &config::Anycast| u64::from(anycast.graceful_shutdown_ms) + u64::from(anycast.drain_ms);
    Duration::from_millis(config.node.anycast.as_ref().map_or(0, leave_ms))
}

/// Follows the configuration until a signal says stop.
async fn work(
    signals: &mut Signals,
    mut watch: Option<Watch>,
    reload: &mut Reload,
    mut orders: mpsc::Receiver<ReloadOrder>,
    token: Option<&TokenHolder>,
    services: &Services,
) {
    // It may have changed before anybody watched it; and one that waits must be known to.
    let mut first = true;
    loop {
        let (cause, order) = tokio::select! {
            () = signals.stop.next() => return,
            () = std::future::ready(()), if std::mem::take(&mut first) && reload.is_delayed() => ("the start", None),
            _ = signals.hangup.recv() => ("SIGHUP", None),
            () = changed(watch.as_mut()) => ("the file changed", None),
            () = until(reload.due()) => ("the file has lain there for delay_s", None),
            Some(order) = orders.recv() => ("an order", Some(order)),
        };
        let haste = if order.as_ref().is_some_and(|order| order.now) { Haste::Now } else { Haste::Delayed };
        let outcome = tokio::task::block_in_place(|| {
            token.iter().for_each(|token| token.read_again());
            reload.read_again(cause, haste)
        });
        let answer = reload.answer(&outcome);
        if let Outcome::Changed(config) = outcome {
            services.apply(&config).await;
        }
        if let Some(order) = order {
            let _ = order.done.send(answer);
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

async fn changed(watch: Option<&mut Watch>) {
    match watch {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}

struct Signals {
    stop: StopSignals,
    hangup: Signal,
}

struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn take() -> std::io::Result<Self> {
        let stop =
            StopSignals { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? };
        Ok(Self { stop, hangup: signal(SignalKind::hangup())? })
    }
}

impl StopSignals {
    /// Returns at the next SIGTERM or SIGINT.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
