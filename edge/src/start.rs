//! Starts the lanes and what watches over them, and stops them.

use std::{
    fmt, io,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::sync::{mpsc, watch};

use crate::{
    DeathHandler, DeathKind, EdgeError, MissHandler, NotifyHandler, Settings, Shared, Sockets, Stats, TransferHandler,
    bind::WorkerSockets,
    kernel::{Keeper, Kept, KernelCounters, KernelLane},
    line,
    parking::{CompletedSender, Parking, SharedReceiver},
    self_check::{OwnQuestions, SelfCheck, SelfChecker},
    sockets::UdpSocket,
    stats::Counters,
    tcp::{Connections, Phase, TcpWorker, UdpPressure},
    udp::UdpWorker,
    watchdog::{Deaths, Desk, Lane, Watchdog, Work},
};

/// Descriptors that the process needs besides those of the TCP lane's connections: files, sockets, logs.
const DESCRIPTORS_ELSEWHERE: usize = 1024;

/// What the edge answers with.
pub struct EdgeContext {
    /// The zones, published by whoever fetches them.
    pub zones: Arc<zones::Zones>,
    /// The settings; what is stored there holds from the next message on.
    pub settings: Arc<ArcSwap<Settings>>,
    /// Who takes NOTIFY messages.
    pub notify: Arc<dyn NotifyHandler>,
    /// Who answers those that sign their queries and gives them zones; without it every key is unknown.
    pub transfers: Option<Arc<dyn TransferHandler>>,
    /// Where answers of zones without a copy come from; without it such zones are not ready.
    pub on_demand: Option<OnDemand>,
    /// What says whether a query is worth answering.
    pub filters: Arc<filters::Filters>,
    /// Where lanes put answers for the kernel lane; without it there is none.
    pub answers: Option<Arc<crate::kernel::Answers>>,
    /// Who is told of messages that kill who answers them.
    pub deaths: Option<Arc<dyn DeathHandler>>,
    /// Where the edge says whether its lanes run.
    pub health: health::Publisher,
    /// The kernel lane, if it is attached; then the zones have its generations, and the filters its tables.
    pub kernel: Option<KernelLane>,
}

/// Where answers of zones without a copy come from.
#[derive(Clone)]
pub struct OnDemand {
    /// Answers that are at hand.
    pub cache: Arc<cache::Cache>,
    /// Who asks the origins.
    pub misses: Arc<dyn MissHandler>,
}

impl OnDemand {
    pub(crate) fn view(&self) -> line::OnDemand<'_> {
        line::OnDemand { cache: &self.cache, misses: &*self.misses, clock: &Instant::now }
    }
}

/// The running lanes. Dropping it stops them without grace.
pub struct Edge {
    /// It has the lanes' threads.
    watchdog: Option<JoinHandle<()>>,
    kernel: Option<Kept>,
    self_check: Option<JoinHandle<io::Result<()>>>,
    stop: Arc<AtomicBool>,
    phase: watch::Sender<Phase>,
    stats: StatsReader,
    addresses: Vec<SocketAddr>,
    udp_sockets: Vec<Arc<UdpSocket>>,
    zones: Arc<zones::Zones>,
    own_questions: Arc<OwnQuestions>,
}

/// Reads the counters of all threads; may outlive the edge.
#[derive(Clone)]
pub struct StatsReader {
    counters: Vec<Arc<Counters>>,
    connections: Arc<Connections>,
    parking: Arc<Parking>,
    deaths: Arc<Deaths>,
    kernel: Option<KernelCounters>,
}

impl StatsReader {
    /// The sums as they stand.
    pub fn read(&self) -> Stats {
        let mut stats = Stats::sum(self.counters.iter().map(|counters| &**counters));
        stats.tcp_connections_open = self.connections.open() as u64;
        stats.parked = self.parking.parked() as u64;
        stats.deaths = DeathKind::ALL.map(|kind| self.deaths.count(kind));
        stats.lanes_replaced = self.deaths.replaced();
        if let Some(kernel) = &self.kernel {
            let words = kernel.read();
            stats.add_kernel(&words, kernel.stats(&words));
        }
        stats
    }
}

impl fmt::Debug for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edge").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl Edge {
    /// Serves the sockets: one UDP thread and one TCP thread for each worker.
    ///
    /// # Errors
    ///
    /// [`EdgeError::Start`] when a thread cannot be made; those already made are stopped.
    pub fn start(sockets: Sockets, context: EdgeContext) -> Result<Edge, EdgeError> {
        let EdgeContext { zones, settings, notify, transfers, on_demand, filters, answers, deaths, health, kernel } =
            context;
        raise_descriptor_limit(settings.load().tcp.connections_max.saturating_add(DESCRIPTORS_ELSEWHERE));
        let parking = Arc::new(Parking::default());
        let own_questions = Arc::new(OwnQuestions::default());
        let deaths = Arc::new(Deaths::new(Arc::clone(&filters), Arc::clone(&zones), deaths));
        let connections = Connections::new();
        let (phase, phase_reader) = watch::channel(Phase::Serving);
        let mut edge = Edge {
            watchdog: None,
            kernel: None,
            self_check: None,
            stop: Arc::default(),
            phase,
            stats: StatsReader {
                counters: Vec::new(),
                connections: Arc::clone(&connections),
                parking: Arc::clone(&parking),
                deaths: Arc::clone(&deaths),
                kernel: kernel.as_ref().map(KernelLane::counters),
            },
            addresses: sockets.addresses().to_vec(),
            udp_sockets: sockets.workers.iter().flat_map(|worker| worker.udp.iter().cloned()).collect(),
            zones: Arc::clone(&zones),
            own_questions: Arc::clone(&own_questions),
        };
        let (deaths_of_watchdog, filters_of_watchdog) = (Arc::clone(&deaths), Arc::clone(&filters));
        let keeper = kernel.map(|lane| Keeper {
            lane,
            settings: Arc::clone(&settings),
            filters: Arc::clone(&filters),
            zones: Arc::clone(&zones),
            answers: answers.clone(),
            cache: on_demand.as_ref().map(|on_demand| Arc::clone(&on_demand.cache)),
        });
        let shared = Shared { zones, settings, notify, transfers, on_demand, parking, answers, own_questions, deaths };
        let shared = Arc::new(shared);
        let mut lanes = Vec::new();
        for (index, worker) in sockets.workers.into_iter().enumerate() {
            let (udp, tcp) = (edge.add_counters(), edge.add_counters());
            let maker = Maker {
                shared: Arc::clone(&shared),
                filters: Arc::clone(&filters),
                connections: Arc::clone(&connections),
                pressure: Arc::default(),
                stop: Arc::clone(&edge.stop),
                phase: phase_reader.clone(),
            };
            lanes.extend(maker.lanes(index, worker, [udp, tcp]));
        }
        let watchdog = Watchdog::new(lanes, deaths_of_watchdog, filters_of_watchdog, health, phase_reader);
        let watchdog = watchdog.map_err(|source| EdgeError::Start { lane: "UDP or TCP", source })?;
        let spawned = thread::Builder::new().name("watchdog".to_owned()).spawn(move || watchdog.run());
        edge.watchdog = Some(spawned.map_err(|source| EdgeError::Start { lane: "watchdog", source })?);
        let kept = keeper.map(Keeper::start).transpose();
        edge.kernel = kept.map_err(|source| EdgeError::Start { lane: "kernel", source })?;
        Ok(edge)
    }

    /// Has the edge ask itself from now on whether it answers, and answers right. Its questions are counted like others.
    ///
    /// # Errors
    ///
    /// [`EdgeError::Start`] when the thread cannot be made.
    pub fn check_itself(&mut self, check: SelfCheck) -> Result<(), EdgeError> {
        let checker = SelfChecker {
            check,
            zones: Arc::clone(&self.zones),
            addresses: self.addresses.clone(),
            sockets: self.udp_sockets.clone(),
            own_questions: Arc::clone(&self.own_questions),
            stop: Arc::clone(&self.stop),
        };
        let spawned = thread::Builder::new().name("self-check".to_owned()).spawn(move || checker.run());
        self.self_check = Some(spawned.map_err(|source| EdgeError::Start { lane: "self-check", source })?);
        Ok(())
    }

    /// The counters of all threads, summed up.
    pub fn stats(&self) -> Stats {
        self.stats.read()
    }

    /// What reads the counters, for whoever reports them.
    pub fn stats_reader(&self) -> StatsReader {
        self.stats.clone()
    }

    /// Stops: what has been received is answered, TCP connections have `grace` to end by themselves. Waits for that, so
    /// it is not for a runtime's thread.
    pub fn stop(mut self, grace: Duration) {
        self.halt(grace);
    }

    fn halt(&mut self, grace: Duration) {
        // First, so that what it passes up from now on is still answered.
        if let Some(kernel) = self.kernel.take() {
            kernel.stop();
        }
        self.phase.send_replace(Phase::Stopping(grace));
        self.stop.store(true, Ordering::Relaxed);
        if let Some(watchdog) = self.watchdog.take() {
            watchdog.thread().unpark();
            // It waits for the lanes, as long as that is any use.
            if watchdog.join().is_err() {
                tracing::error!("the watchdog of the lanes panicked");
            }
        }
        if let Some(Err(_)) = self.self_check.take().map(JoinHandle::join) {
            tracing::error!("the self-check panicked");
        }
    }

    fn add_counters(&mut self) -> Arc<Counters> {
        let counters = Arc::new(Counters::default());
        self.stats.counters.push(Arc::clone(&counters));
        counters
    }
}

/// What the lanes of one worker are made from, as often as one needs a new thread.
#[derive(Clone)]
struct Maker {
    shared: Arc<Shared>,
    filters: Arc<filters::Filters>,
    connections: Arc<Connections>,
    pressure: Arc<UdpPressure>,
    stop: Arc<AtomicBool>,
    phase: watch::Receiver<Phase>,
}

impl Maker {
    fn lanes(
        self,
        index: usize,
        sockets: WorkerSockets,
        [udp_counters, tcp_counters]: [Arc<Counters>; 2],
    ) -> [Lane; 2] {
        let WorkerSockets { udp, tcp } = sockets;
        let (completed, to_write) = mpsc::unbounded_channel();
        let to_write = SharedReceiver::new(to_write);
        let (wakes, maker) = (Arc::clone(&udp_counters), self.clone());
        let hire_udp = move |desk| maker.udp(&udp, &udp_counters, &completed, desk);
        let connections = Arc::clone(&self.connections);
        let lose_tcp = move |desk: &Desk| connections.forget(desk.number);
        let hire_tcp = move |desk| self.tcp(&tcp, &tcp_counters, &to_write, desk);
        [
            Lane { name: format!("udp-{index}"), hire: Box::new(hire_udp), lose: Box::new(|_| ()), wakes: Some(wakes) },
            Lane { name: format!("tcp-{index}"), hire: Box::new(hire_tcp), lose: Box::new(lose_tcp), wakes: None },
        ]
    }

    fn udp(
        &self,
        sockets: &[Arc<UdpSocket>],
        counters: &Arc<Counters>,
        completed: &CompletedSender,
        desk: Arc<Desk>,
    ) -> io::Result<Work> {
        let worker = UdpWorker {
            sockets: sockets.to_vec(),
            shared: Arc::clone(&self.shared),
            // Those of the thread before: should it come back, it adds what it was at, and ends.
            counters: Arc::clone(counters),
            lane: self.filters.lane(),
            completed: completed.clone(),
            pressure: Arc::clone(&self.pressure),
            desk,
            stop: Arc::clone(&self.stop),
        };
        Ok(Box::new(move || worker.run()))
    }

    fn tcp(
        &self,
        listeners: &[TcpListener],
        counters: &Arc<Counters>,
        completed: &SharedReceiver,
        desk: Arc<Desk>,
    ) -> io::Result<Work> {
        let worker = TcpWorker {
            listeners: listeners.iter().map(TcpListener::try_clone).collect::<io::Result<_>>()?,
            shared: Arc::clone(&self.shared),
            filters: Arc::clone(&self.filters),
            counters: Arc::clone(counters),
            lane: self.filters.lane(),
            connections: Arc::clone(&self.connections),
            completed: completed.clone(),
            pressure: Arc::clone(&self.pressure),
            desk,
            phase: self.phase.clone(),
        };
        Ok(Box::new(move || worker.run()))
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.halt(Duration::ZERO);
    }
}

/// Lets the process have so many descriptors, as far as it may: many systems start it with 1,024, less than the
/// connections that it is to serve.
fn raise_descriptor_limit(wanted: usize) {
    let wanted = wanted as u64;
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((soft, hard)) if soft < wanted => {
            let raised = setrlimit(Resource::RLIMIT_NOFILE, wanted.min(hard), hard);
            if hard < wanted || raised.is_err() {
                tracing::warn!(
                    wanted,
                    limit = hard.max(soft),
                    "fewer descriptors than TCP connections: raise RLIMIT_NOFILE (LimitNOFILE= of the unit)"
                );
            }
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the limit of descriptors cannot be read"),
    }
}
