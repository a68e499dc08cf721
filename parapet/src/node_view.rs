//! What the node says of itself: the control socket's answers, from what the services publish.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use config::Config;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::control::protocol::{Answer, ConfigStatus, Reloaded, Request, Role, Status};
use crate::control::server::{Answering, Answers};
use crate::reload::{ReloadOrder, unix_s};
use crate::services::{ServicesView, zone_status};
use crate::show::anycast::summary as anycast_summary;
use crate::show::defences::summary as defences_summary;
use crate::zones_summary::count;

/// Reads what is published; holds nothing back and decides nothing.
#[derive(Debug)]
pub(crate) struct NodeView {
    /// As it was at the start; what a reload can change is read elsewhere.
    config: Config,
    addresses: Addresses,
    pub(crate) services: ServicesView,
    reload: Arc<ArcSwap<ConfigStatus>>,
    reloads: mpsc::Sender<ReloadOrder>,
    started: Instant,
    pub(crate) started_unix_s: f64,
}

/// Where the node is reached, with the ports that the system chose.
#[derive(Debug)]
pub(crate) struct Addresses {
    pub(crate) listen: Vec<SocketAddr>,
    pub(crate) metrics: Option<SocketAddr>,
    pub(crate) api: Option<SocketAddr>,
}

impl NodeView {
    pub(crate) fn new(
        config: Config,
        addresses: Addresses,
        services: ServicesView,
        reload: Arc<ArcSwap<ConfigStatus>>,
        reloads: mpsc::Sender<ReloadOrder>,
    ) -> Self {
        Self { config, addresses, services, reload, reloads, started: Instant::now(), started_unix_s: unix_s() }
    }

    /// Logs that the node runs, and where.
    pub(crate) fn announce(&self) {
        let listen: Vec<_> = self.addresses.listen.iter().map(ToString::to_string).collect();
        tracing::info!(
            node = self.config.node.name,
            listen = listen.join(", "),
            zones = self.config.zones.len(),
            control = %self.config.node.control.display(),
            metrics = self.addresses.metrics.map(|address| address.to_string()),
            api = self.addresses.api.map(|address| address.to_string()),
            "running"
        );
    }

    pub(crate) fn node(&self) -> &str {
        &self.config.node.name
    }

    pub(crate) fn network(&self) -> &str {
        &self.config.network
    }

    /// The configuration in force.
    pub(crate) fn reload(&self) -> Arc<ConfigStatus> {
        self.reload.load_full()
    }

    /// The worst state of all roles.
    pub(crate) fn state(&self) -> health::State {
        health::worst(&self.services.health, Instant::now())
    }

    /// Each role's state.
    pub(crate) fn roles(&self) -> Vec<Role> {
        let now = Instant::now();
        let role =
            |reader: &health::Reader| Role { role: reader.name().to_owned(), state: reader.read(now).to_string() };
        self.services.health.iter().map(role).collect()
    }

    fn status(&self) -> Status {
        let zones = self.services.zones();
        let zone_status::Seen { summary, problems } = zone_status::look(&zones);
        let defences = self.services.defences_status(self.node());
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            network: self.config.network.clone(),
            node: self.config.node.name.clone(),
            state: self.state().to_string(),
            pid: std::process::id(),
            started_unix_s: self.started_unix_s,
            uptime_s: self.started.elapsed().as_secs_f64(),
            roles: self.roles(),
            listen: self.addresses.listen.clone(),
            metrics: self.addresses.metrics,
            api: self.addresses.api,
            state_dir: self.config.node.state_dir.clone(),
            config: (*self.reload()).clone(),
            zones: count(&zones),
            zones_summary: summary,
            zone_problems: problems,
            queries: self.services.queries(),
            kernel_lane: self.services.kernel_lane_status(),
            anycast: self.services.anycast().as_ref().map(anycast_summary),
            defences: defences.ok().map(|defences| defences_summary(&defences, unix_s())),
        }
    }
}

impl Answers for NodeView {
    fn answer(&self, request: Request) -> Answering<'_> {
        Box::pin(async move {
            let work_max = request.work_max();
            let late = |_| Answer::Error(format!("no answer within {} s: ask again", work_max.as_secs()));
            timeout(work_max, self.work_for(request)).await.unwrap_or_else(late)
        })
    }
}

impl NodeView {
    async fn work_for(&self, request: Request) -> Answer {
        let (services, node) = (&self.services, self.node());
        match request {
            Request::Status => Answer::Status(Box::new(self.status())),
            Request::Zones => Answer::Zones(services.zones()),
            Request::Purge(purge) => services.purge(&purge).await.map_or_else(Answer::Error, Answer::Purged),
            Request::Fill(fill) => services.fill(&fill).await.map_or_else(Answer::Error, Answer::Filled),
            Request::Anycast => Answer::Anycast(services.anycast().map(Box::new)),
            Request::Routes(routes) => services.routes(&routes).await.map_or_else(Answer::Error, Answer::Routes),
            Request::Drain(drain) => services.drain(&drain, node).await.map_or_else(Answer::Error, Answer::Drained),
            Request::Undrain(undrain) => {
                services.undrain(&undrain, node).await.map_or_else(Answer::Error, Answer::Undrained)
            }
            Request::Reload(reload) => self.order_reload(reload.now).await.map_or_else(Answer::Error, Answer::Reloaded),
            Request::Defences => boxed(services.defences_status(node), Answer::Defences),
            Request::DefenceOrder(order) => {
                services.order_defences(order).await.map_or_else(Answer::Error, Answer::OrderGiven)
            }
            Request::Top(ask) => boxed(services.top(&ask, node), Answer::Top),
            Request::ExplainSource(explain) => boxed(services.explain_source(&explain, node), Answer::Explained),
            Request::KnownGood => boxed(services.known_good(), Answer::KnownGood),
            Request::ImportKnownGood(import) => {
                services.import_known_good(&import).map_or_else(Answer::Error, Answer::Imported)
            }
        }
    }

    /// Has the network file read again.
    async fn order_reload(&self, now: bool) -> Result<Reloaded, String> {
        let stopping = || "the node is stopping".to_owned();
        let (done, outcome) = oneshot::channel();
        self.reloads.send(ReloadOrder { now, done }).await.map_err(|_| stopping())?;
        outcome.await.map_err(|_| stopping())
    }
}

fn boxed<T>(answer: Result<T, String>, said: fn(Box<T>) -> Answer) -> Answer {
    answer.map_or_else(Answer::Error, |answer| said(Box::new(answer)))
}
