//! The roles of the node, introduced to each other: what origin-sync publishes the edge reads, and what the edge hears
//! (NOTIFY) origin-sync is told.

pub(crate) mod announcer;
mod deaths;
mod defence_status;
pub(crate) mod defences;
pub(crate) mod kernel_lane;
mod orders;
mod peers;
mod settings;
pub(crate) mod zone_status;

use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use anycast::AddressReader;
use arc_swap::ArcSwap;
use config::Config;
use edge::kernel::{KernelLane, LaneStatus};
use origin_sync::{Notifier, OriginSync, ZoneStatus};

use self::announcer::Announcer;
use self::deaths::Deaths;
use self::defences::{Defences, DefencesView};
use crate::control::kernel_lane::KernelLaneStatus;
use crate::control::protocol::QueryCounts;
use crate::failure::Failure;

/// A role that says nothing for so long is down.
const HEALTH_LIFETIME: Duration = Duration::from_secs(3);
/// How long TCP connections may take to end by themselves.
const GRACE: Duration = Duration::from_secs(2);

/// What the roles bound while the process had its privileges.
#[derive(Debug)]
pub(crate) struct Bound {
    edge: Option<edge::Sockets>,
    kernel: Option<KernelLane>,
    kernel_status: Option<LaneStatus>,
    anycast: Option<anycast::Bound>,
}

impl Bound {
    /// `owner` is whom the process is about to become, if it is anybody else.
    pub(crate) fn bind(config: &Config, owner: Option<(u32, u32)>) -> Result<Self, Failure> {
        let node = &config.node;
        let edge = node.roles.edge.then(|| edge::bind(&node.listen, node.workers)).transpose();
        let edge = edge.map_err(Failure::runtime)?;
        let (mut kernel, mut kernel_status) = (None, None);
        if let Some(sockets) = &edge {
            let (lane, status) = kernel_lane::open(config, sockets.addresses(), owner)?;
            (kernel, kernel_status) = (lane, Some(status));
        }
        Ok(Self { edge, kernel, kernel_status, anycast: anycast::Anycast::bind(config).map_err(Failure::runtime)? })
    }

    /// Where DNS is answered.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        self.edge.as_ref().map_or(&[], edge::Sockets::addresses)
    }
}

/// The running roles.
#[derive(Debug)]
pub(crate) struct Services {
    edge: Option<edge::Edge>,
    sync: Option<Arc<OriginSync>>,
    anycast: Option<anycast::Anycast>,
    defences: Option<Defences>,
    deaths: Option<Arc<Deaths>>,
    settings: Arc<ArcSwap<edge::Settings>>,
    self_check: Option<Arc<ArcSwap<edge::SelfCheckSettings>>>,
    own_cookie_secret: [u8; 16],
    view: ServicesView,
}

/// What the roles publish; readable at any time, and empty after their end.
#[derive(Clone, Debug)]
pub(crate) struct ServicesView {
    pub(crate) health: Vec<health::Reader>,
    edge: Option<EdgeStats>,
    kernel: Option<Arc<LaneStatus>>,
    sync: Weak<OriginSync>,
    announcer: Option<Arc<dyn Announcer>>,
    defences: Option<DefencesView>,
    seen: Arc<ArcSwap<zone_status::Seen>>,
}

/// Reads the edge's counters.
#[derive(Clone)]
struct EdgeStats {
    lanes: edge::StatsReader,
    cache: Arc<cache::Cache>,
}

impl std::fmt::Debug for EdgeStats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EdgeStats")
    }
}

impl ServicesView {
    /// How each zone is.
    pub(crate) fn zones(&self) -> Vec<ZoneStatus> {
        self.sync.upgrade().map_or(Vec::new(), |sync| sync.status())
    }

    /// How the zones were a moment ago, in words.
    pub(crate) fn zones_seen(&self) -> Arc<zone_status::Seen> {
        self.seen.load_full()
    }

    /// How each catalog is.
    pub(crate) fn catalogs(&self) -> Vec<origin_sync::CatalogStatus> {
        self.sync.upgrade().map_or(Vec::new(), |sync| sync.catalogs())
    }

    /// What other nodes get.
    pub(crate) fn peers(&self) -> Option<Arc<origin_sync::Peers>> {
        Some(self.sync.upgrade()?.peers())
    }

    /// What origin-sync counts.
    pub(crate) fn transfers(&self) -> Option<Transfers> {
        let sync = self.sync.upgrade()?;
        Some(Transfers { counts: sync.counts(), notifier: sync.notifier() })
    }

    /// The edge's counters, if the node is one.
    pub(crate) fn edge_stats(&self) -> Option<edge::Stats> {
        self.edge.as_ref().map(|stats| stats.lanes.read())
    }

    /// How the kernel lane is attached, if the node is an edge.
    pub(crate) fn kernel_lane(&self) -> Option<&LaneStatus> {
        self.kernel.as_deref()
    }

    /// The same, and what it counts.
    pub(crate) fn kernel_lane_status(&self) -> Option<KernelLaneStatus> {
        let stats = self.edge_stats().and_then(|stats| stats.kernel);
        Some(KernelLaneStatus::new(self.kernel_lane()?, stats.as_ref()))
    }

    /// What the cache of on-demand zones holds, if the node is an edge.
    pub(crate) fn cache_stats(&self) -> Option<cache::Stats> {
        self.edge.as_ref().map(|stats| stats.cache.stats())
    }

    /// The defences, if the node is an edge.
    pub(crate) fn defences(&self) -> Option<&DefencesView> {
        self.defences.as_ref()
    }

    /// The edge's counters in short.
    pub(crate) fn queries(&self) -> QueryCounts {
        let Some(stats) = self.edge_stats() else { return QueryCounts::default() };
        QueryCounts {
            received: stats.queries_total(),
            dropped: stats.dropped().map(|(_, number)| number).sum(),
            truncated: stats.truncated,
            tcp_connections_open: stats.tcp_connections_open,
        }
    }
}

/// What origin-sync counts.
pub(crate) struct Transfers {
    pub(crate) counts: origin_sync::Counts,
    pub(crate) notifier: Arc<Notifier>,
}

/// Brings the NOTIFYs that the edge hears to origin-sync.
struct Messenger(Arc<Notifier>);

impl edge::NotifyHandler for Messenger {
    fn handle(&self, message: &[u8], peer: SocketAddr, out: &mut [u8]) -> edge::NotifyOutcome {
        match self.0.handle(message, peer, out) {
            origin_sync::NotifyOutcome::Answer(bytes) => edge::NotifyOutcome::Answer(bytes),
            origin_sync::NotifyOutcome::Ignore => edge::NotifyOutcome::Ignore,
        }
    }
}

/// Has the edge ask itself whether it answers right, if the node is announced by that.
fn check_itself(
    config: &Config,
    edge: &mut edge::Edge,
    health: &mut Vec<health::Reader>,
) -> Result<Option<Arc<ArcSwap<edge::SelfCheckSettings>>>, Failure> {
    let Some(settings) = settings::self_check_settings(config) else { return Ok(None) };
    let lifetime = settings::self_check_lifetime(&settings);
    let mut channel = |name| {
        let (publisher, reader) = health::channel(name, lifetime, Instant::now());
        health.push(reader);
        publisher
    };
    let (answers, load) = (channel("answers"), channel("load"));
    let settings = Arc::new(ArcSwap::from_pointee(settings));
    let check = edge::SelfCheck { answers, load, settings: Arc::clone(&settings) };
    edge.check_itself(check).map_err(Failure::runtime)?;
    Ok(Some(settings))
}

/// Brings the questions that the edge has no answer to, to whoever asks the origins.
struct Filler(Arc<origin_sync::OnDemand>);

impl edge::MissHandler for Filler {
    fn miss(&self, miss: edge::Miss, waiter: edge::Waiter) {
        self.0.ask(miss.zone, miss.qname.as_ref(), miss.qtype, move |filled| waiter.complete(filled));
    }

    fn prefetch(&self, miss: edge::Miss) {
        self.0.prefetch(miss.zone, miss.qname.as_ref(), miss.qtype);
    }
}

impl Services {
    /// Starts the roles: first the zones that are on disk, then whoever answers from them, then whoever announces that.
    pub(crate) async fn start(config: &Config, bound: Bound, addresses: AddressReader) -> Result<Self, Failure> {
        let mut own_cookie_secret = [0; 16];
        getrandom::fill(&mut own_cookie_secret)
            .map_err(|why| Failure::Runtime(format!("the system gives no random bytes: {why}")))?;
        let mut seed = [0; 16];
        getrandom::fill(&mut seed)
            .map_err(|why| Failure::Runtime(format!("the system gives no random bytes: {why}")))?;
        let seed = u128::from_ne_bytes(seed);
        let mut seed = [seed as u64, (seed >> 64) as u64];
        let mut kernel = bound.kernel;
        if let Some(before) = kernel.as_ref().and_then(KernelLane::taken_over) {
            // The tables were made with that seed; and cookies that were given out go on being good.
            seed = before.filters_seed;
            own_cookie_secret = before.cookie_secret.unwrap_or(own_cookie_secret);
        }
        let settings = Arc::new(ArcSwap::from_pointee(settings::edge_settings(config, own_cookie_secret)));
        let mut health = Vec::new();
        let seen = Arc::new(ArcSwap::from_pointee(zone_status::Seen::default()));
        let (mut edge, mut stats, mut sync, mut self_check, mut defences) = (None, None, None, None, None);
        let mut deaths = None;
        if let Some(sockets) = bound.edge {
            let filters = kernel_lane::filters(kernel.as_mut(), &config.node.defences, seed)?;
            let zones = Arc::new(kernel_lane::zones(kernel.as_ref())?);
            let runtime = tokio::runtime::Handle::current();
            let cache = Arc::new(kernel_lane::cache(kernel.as_ref(), config.node.limits.cache_bytes_max));
            let start = || OriginSync::start(config, Arc::clone(&zones), Arc::clone(&cache), &runtime);
            let started = Arc::new(tokio::task::block_in_place(start).map_err(Failure::runtime)?);
            let (publisher, reader) = health::channel("edge", HEALTH_LIFETIME, Instant::now());
            health.push(reader);
            defences = Some(Defences::start(config, Arc::clone(&filters), Arc::clone(&zones)));
            let taken = Deaths::start(&config.node.state_dir, &filters).map(Arc::new).map_err(Failure::runtime)?;
            deaths = Some(Arc::clone(&taken));
            let context = edge::EdgeContext {
                zones,
                settings: Arc::clone(&settings),
                notify: Arc::new(Messenger(started.notifier())),
                transfers: Some(Arc::new(peers::Clerk(started.peers()))),
                on_demand: Some(edge::OnDemand {
                    cache: Arc::clone(&cache),
                    misses: Arc::new(Filler(started.on_demand())),
                }),
                filters,
                answers: kernel.as_ref().map(KernelLane::answers).transpose().map_err(Failure::runtime)?,
                deaths: Some(taken),
                health: publisher,
                kernel,
            };
            let mut started_edge = edge::Edge::start(sockets, context).map_err(Failure::runtime)?;
            self_check = check_itself(config, &mut started_edge, &mut health)?;
            stats = Some(EdgeStats { lanes: started_edge.stats_reader(), cache });
            edge = Some(started_edge);
            let (publisher, reader) = health::channel("zones", zone_status::LIFETIME, Instant::now());
            health.push(reader);
            let announced = config.node.anycast.is_some();
            runtime.spawn(zone_status::watch(Arc::downgrade(&started), publisher, Arc::clone(&seen), announced));
            sync = Some(started);
        }
        let anycast = bound.anycast.map(|bound| {
            let runtime = tokio::runtime::Handle::current();
            anycast::Anycast::start(config, bound, health.clone(), addresses, &runtime).map_err(Failure::runtime)
        });
        let anycast = anycast.transpose()?;
        let view = ServicesView {
            health,
            edge: stats,
            kernel: bound.kernel_status.map(Arc::new),
            sync: sync.as_ref().map_or_else(Weak::new, Arc::downgrade),
            announcer: anycast.as_ref().map(|anycast| Arc::new(anycast.handle()) as Arc<dyn Announcer>),
            defences: defences.as_ref().map(Defences::view),
            seen,
        };
        Ok(Self { edge, sync, anycast, defences, deaths, settings, self_check, own_cookie_secret, view })
    }

    /// Returns once a role cannot go on in this process, with the reason.
    pub(crate) async fn given_up(&self) -> String {
        if let Some(deaths) = &self.deaths
            && let Ok(why) = deaths.given_up().wait_for(Option::is_some).await
        {
            return why.clone().unwrap_or_default();
        }
        std::future::pending().await
    }

    /// What the roles publish.
    pub(crate) fn view(&self) -> ServicesView {
        self.view.clone()
    }

    /// Applies what differs from the configuration before.
    pub(crate) async fn apply(&self, config: &Config) {
        let settings = settings::edge_settings(config, self.own_cookie_secret);
        if **self.settings.load() != settings {
            self.settings.store(Arc::new(settings));
            tracing::info!("the edge has new settings");
        }
        if let (Some(self_check), Some(settings)) = (&self.self_check, settings::self_check_settings(config)) {
            self_check.store(Arc::new(settings));
        }
        if let Some(defences) = &self.defences {
            defences.apply(config);
        }
        if let Some(sync) = &self.sync {
            match sync.apply(config).await {
                Ok(origin_sync::Applied { added, removed, changed }) => {
                    tracing::info!(added, removed, changed, "the zones are those of the configuration");
                }
                Err(why) => tracing::error!(%why, "the zones stay those of the configuration before"),
            }
        }
        if let Some(anycast) = &self.anycast {
            anycast.apply(config).await;
        }
    }

    /// Stops the roles: first nobody is led here any more, then who answers ends, then who announced, then who fetches.
    pub(crate) async fn stop(mut self) {
        if let Some(anycast) = &mut self.anycast {
            anycast.leave().await;
        }
        if let Some(edge) = self.edge {
            // It waits for its threads.
            let stopped = tokio::task::spawn_blocking(move || edge.stop(GRACE)).await;
            if let Err(why) = stopped {
                tracing::error!(%why, "the edge did not stop well");
            }
        }
        if let Some(defences) = self.defences {
            defences.stop().await;
        }
        if let Some(anycast) = self.anycast {
            anycast.stop().await;
        }
        // Should somebody ask for its status right now, it ends with that answer instead.
        if let Some(sync) = self.sync.and_then(Arc::into_inner) {
            sync.stop().await;
        }
    }
}
