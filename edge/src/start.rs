//! Starts the lanes' threads, watches that they are alive, and stops them.

use std::{
    fmt, io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use health::{Report, State};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};

use crate::{
    EdgeError, MissHandler, NotifyHandler, Settings, Shared, Sockets, Stats, TransferHandler, line,
    parking::Parking,
    self_check::{OwnQuestions, SelfCheck, SelfChecker},
    sockets::UdpSocket,
    stats::Counters,
    tcp::{Connections, Phase, TcpWorker},
    udp::UdpWorker,
};

/// How often the edge says how it is.
const HEALTH_INTERVAL: Duration = Duration::from_millis(500);
/// A lane that has not come back to wait for queries for so many intervals is stuck.
const SILENT_INTERVALS_MAX: u32 = 4;

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
    /// Where the edge says whether its lanes run.
    pub health: health::Publisher,
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
    threads: Vec<JoinHandle<io::Result<()>>>,
    udp_stop: Arc<AtomicBool>,
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
}

impl StatsReader {
    /// The sums as they stand.
    pub fn read(&self) -> Stats {
        let mut stats = Stats::sum(self.counters.iter().map(|counters| &**counters));
        stats.tcp_connections_open = self.connections.open() as u64;
        stats.parked = self.parking.parked() as u64;
        stats
    }
}

impl fmt::Debug for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edge").field("threads", &self.threads.len()).finish_non_exhaustive()
    }
}

impl Edge {
    /// Serves the sockets: one UDP thread and one TCP thread for each worker.
    ///
    /// # Errors
    ///
    /// [`EdgeError::Start`] when a thread cannot be made; those already made are stopped.
    pub fn start(sockets: Sockets, context: EdgeContext) -> Result<Edge, EdgeError> {
        let EdgeContext { zones, settings, notify, transfers, on_demand, filters, health } = context;
        let own_zones = Arc::clone(&zones);
        raise_descriptor_limit(settings.load().tcp.connections_max.saturating_add(DESCRIPTORS_ELSEWHERE));
        let parking = Arc::new(Parking::default());
        let parking_of_lanes = Arc::clone(&parking);
        let own_questions = Arc::new(OwnQuestions::default());
        let shared = Arc::new(Shared {
            zones,
            settings,
            notify,
            transfers,
            on_demand,
            parking: parking_of_lanes,
            own_questions: Arc::clone(&own_questions),
        });
        let connections = Connections::new();
        let (phase, phase_reader) = watch::channel(Phase::Serving);
        let udp_stop = Arc::new(AtomicBool::new(false));
        let stats = StatsReader { counters: Vec::new(), connections: Arc::clone(&connections), parking };
        let udp_sockets = sockets.workers.iter().flat_map(|worker| worker.udp.iter().cloned()).collect();
        let mut edge = Edge {
            threads: Vec::new(),
            udp_stop: Arc::clone(&udp_stop),
            phase,
            stats,
            addresses: sockets.addresses().to_vec(),
            udp_sockets,
            zones: own_zones,
            own_questions,
        };

        let mut tcp_workers = Vec::new();
        let mut udp_counters = Vec::new();
        for (index, worker) in sockets.workers.into_iter().enumerate() {
            let counters = edge.add_counters();
            udp_counters.push(Arc::clone(&counters));
            let (shared, stop) = (Arc::clone(&shared), Arc::clone(&udp_stop));
            let (completed, to_write) = mpsc::unbounded_channel();
            let udp = UdpWorker {
                sockets: worker.udp,
                shared: Arc::clone(&shared),
                counters,
                lane: filters.lane(),
                completed,
                stop,
            };
            edge.spawn("UDP", format!("udp-{index}"), move || udp.run())?;
            tcp_workers.push(TcpWorker {
                listeners: worker.tcp,
                shared,
                counters: edge.add_counters(),
                lane: filters.lane(),
                connections: Arc::clone(&connections),
                completed: to_write,
                phase: phase_reader.clone(),
            });
        }
        let mut watch = Some(watch_lanes(udp_counters, health, phase_reader));
        for (index, tcp) in tcp_workers.into_iter().enumerate() {
            let watch = watch.take();
            edge.spawn("TCP", format!("tcp-{index}"), move || {
                tcp.run(async move {
                    match watch {
                        Some(watch) => watch.await,
                        None => std::future::pending().await,
                    }
                })
            })?;
        }
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
            stop: Arc::clone(&self.udp_stop),
        };
        self.spawn("self-check", "self-check".to_owned(), move || checker.run())
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
        self.phase.send_replace(Phase::Stopping(grace));
        self.udp_stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let name = thread.thread().name().unwrap_or_default().to_owned();
            match thread.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(lane = name, %error, "a lane ended"),
                Err(_) => tracing::error!(lane = name, "a lane panicked"),
            }
        }
    }

    fn add_counters(&mut self) -> Arc<Counters> {
        let counters = Arc::new(Counters::default());
        self.stats.counters.push(Arc::clone(&counters));
        counters
    }

    fn spawn(
        &mut self,
        lane: &'static str,
        name: String,
        run: impl FnOnce() -> io::Result<()> + Send + 'static,
    ) -> Result<(), EdgeError> {
        let spawned = thread::Builder::new().name(name).spawn(run);
        self.threads.push(spawned.map_err(|source| EdgeError::Start { lane, source })?);
        Ok(())
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

/// Publishes whether the UDP lane's threads come back to their sockets. It runs on a TCP thread: if that one is stuck,
/// the publisher falls silent, which reads as down too.
async fn watch_lanes(lanes: Vec<Arc<Counters>>, health: health::Publisher, phase: watch::Receiver<Phase>) {
    let mut seen: Vec<(u64, u32)> = lanes.iter().map(|lane| (lane.wakes(), 0)).collect();
    loop {
        for (lane, (wakes, silent)) in lanes.iter().zip(&mut seen) {
            let now = lane.wakes();
            *silent = if *wakes == now { silent.saturating_add(1) } else { 0 };
            *wakes = now;
        }
        let stuck = seen.iter().filter(|(_, silent)| *silent >= SILENT_INTERVALS_MAX).count();
        let words = || format!("{stuck} of {} lanes are stuck", lanes.len());
        let report = match stuck {
            _ if *phase.borrow() != Phase::Serving => Report::hard(State::Draining, "the edge stops"),
            0 => Report::up(),
            stuck if stuck < lanes.len() => Report::soft(State::Degraded, words()),
            _ => Report::hard(State::Down, words()),
        };
        health.publish_report(report, Instant::now());
        sleep(HEALTH_INTERVAL).await;
    }
}
