//! The task that owns the decision: it looks at the health once an interval, hears the other nodes and orders, and publishes
//! what follows.
//!
//! ```text
//!  health::Readers ──┐
//!  fleet socket ─────┼──> Task ──> watch<Adverts> ──> sessions
//!  orders ───────────┘      └────> View ──> Handle::status
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use config::{
    FleetMember, RouteAttributes, Service, format_community, format_extended_community, format_large_community,
};
use health::{Reading, State};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use crate::adverts::{Adverts, Cause};
use crate::decide::{Decision, Others, Rules, Severity};
use crate::fleet::{Fleet, Own, OwnService, socket};
use crate::kept::{Flaps, Kept, unix_s};
use crate::session::Speaker;
use crate::status::{ByHand, CheckStatus, RouteStatus, ServiceStatus, Status};

/// Nothing due sooner: the task wakes by its ticks.
const IDLE: Duration = Duration::from_secs(60);

/// What the task is told.
#[derive(Debug)]
pub(crate) enum Order {
    /// Somebody drains the node, or ends that.
    ByHand(Option<ByHand>, oneshot::Sender<()>),
    /// The daemon stops: withdraw.
    Leave,
    /// Another configuration.
    Apply { rules: Rules, services: Vec<Service>, members: Vec<FleetMember>, interval: Duration },
    /// The end.
    Stop(oneshot::Sender<()>),
}

/// What the task publishes.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) status: Status,
    pub(crate) graceful_shutdown_ms: u64,
}

impl Default for View {
    fn default() -> Self {
        let status = Status {
            state: State::Down.to_string(),
            why: vec!["starting".to_owned()],
            since_unix_s: unix_s(),
            by_hand: None,
            checks: Vec::new(),
            services: Vec::new(),
            neighbours: Vec::new(),
            addresses: Vec::new(),
            fleet: Vec::new(),
            transitions: 0,
        };
        Self { status, graceful_shutdown_ms: 0 }
    }
}

/// See the module.
pub(crate) struct Task {
    pub(crate) decision: Decision,
    pub(crate) fleet: Fleet,
    pub(crate) socket: Option<UdpSocket>,
    pub(crate) health: Vec<health::Reader>,
    pub(crate) services: Vec<Service>,
    pub(crate) interval: Duration,
    pub(crate) by_hand: Option<ByHand>,
    pub(crate) speaker: Speaker,
    /// Whether any router has a session: without one, nothing is announced to anybody.
    pub(crate) heard_by_routers: bool,
    pub(crate) orders: mpsc::Receiver<Order>,
    pub(crate) adverts: watch::Sender<Arc<Adverts>>,
    pub(crate) announces: watch::Sender<bool>,
    pub(crate) view: Arc<ArcSwap<View>>,
    pub(crate) kept: Kept,
}

/// What woke the task.
enum Woken {
    Tick,
    Heard,
    Deadline,
    Order(Option<Order>),
}

impl Task {
    pub(crate) async fn run(mut self) {
        let mut writer = Writer::new(self.kept.clone());
        let mut ticks = ticks(self.interval);
        let mut readings = Vec::new();
        let done = loop {
            let deadline = self.next_deadline();
            let woken = tokio::select! {
                biased;
                order = self.orders.recv() => Woken::Order(order),
                _ = ticks.tick() => Woken::Tick,
                () = heard(self.socket.as_ref()) => Woken::Heard,
                () = sleep_until(deadline.into()) => Woken::Deadline,
            };
            let now = Instant::now();
            match woken {
                Woken::Tick => {
                    readings = self.health.iter().map(|reader| reader.read_report(now)).collect();
                    self.decision.look(&readings);
                    self.heard_by_routers = self.speaker.established() > 0;
                }
                Woken::Heard => {
                    if let Some(socket) = &self.socket {
                        socket::receive(socket, &mut self.fleet, now);
                    }
                }
                Woken::Deadline => {}
                Woken::Order(None) => break None,
                Woken::Order(Some(Order::Stop(done))) => break Some(done),
                Woken::Order(Some(order)) => self.obey(order, &mut ticks, &readings, now),
            }
            self.conclude(&readings, now);
            writer.keep(self.flaps());
        };
        writer.finish(Flaps { announced: false, ..self.flaps() }).await;
        if let Some(done) = done {
            let _ = done.send(());
        }
    }

    fn next_deadline(&self) -> Instant {
        let now = Instant::now();
        let fleet = self.socket.as_ref().and_then(|_| self.fleet.next_deadline(now));
        let due = self.decision.next_deadline().into_iter().chain(fleet).min();
        due.unwrap_or(now + IDLE)
    }

    fn obey(&mut self, order: Order, ticks: &mut tokio::time::Interval, readings: &[Reading], now: Instant) {
        match order {
            Order::ByHand(by_hand, done) => {
                match &by_hand {
                    Some(order) => tracing::warn!(reason = order.reason, "drained by hand"),
                    None => tracing::info!("no longer drained by hand"),
                }
                self.decision.set_drained(by_hand.is_some());
                self.by_hand = by_hand;
                // Who ordered it sees it done.
                self.conclude(readings, now);
                let _ = done.send(());
            }
            Order::Leave => self.decision.leave(),
            Order::Apply { rules, services, members, interval } => {
                self.decision.apply(rules);
                let announced: Vec<&Service> = services.iter().collect();
                self.fleet.apply(&members, &announced);
                self.services = services;
                if interval != self.interval {
                    self.interval = interval;
                    *ticks = self::ticks(interval);
                }
            }
            // Told apart by the caller.
            Order::Stop(_) => {}
        }
    }

    /// Decides, says so to the others, and publishes. What the others granted is used before anything else is heard.
    fn conclude(&mut self, readings: &[Reading], now: Instant) {
        self.fleet.set_own(self.own(readings, now), now);
        let fleet = &self.fleet;
        self.decision.conclude(now, |service| fleet.others(service, now));
        self.fleet.set_own(self.own(readings, now), now);
        if let Some(socket) = &self.socket {
            socket::send(socket, &mut self.fleet, now);
        }
        self.publish(readings, now);
    }

    /// What the others are told.
    fn own(&self, readings: &[Reading], now: Instant) -> Own {
        let wishes: Vec<&str> = self.decision.wishes(now).collect();
        let service = |service: &Service| {
            let name = service.name.as_str();
            let own = OwnService {
                announces: self.decision.announced(name) && self.heard_by_routers,
                well: self.decision.is_well(name),
                wishes: wishes.contains(&name),
            };
            (service.name.clone(), own)
        };
        Own {
            state: self.decision.state().to_string(),
            why: self.why(readings, now).join("; "),
            services: self.services.iter().map(service).collect(),
        }
    }

    fn publish(&mut self, readings: &[Reading], now: Instant) {
        let adverts = self.decision.adverts();
        self.adverts.send_if_modified(|before| {
            let differs = before.routes != adverts.routes;
            if differs {
                tell(&adverts);
                *before = Arc::new(adverts);
            }
            differs
        });
        let announces = self.decision.announces();
        self.announces.send_if_modified(|before| std::mem::replace(before, announces) != announces);
        let view =
            View { status: self.status(readings, now), graceful_shutdown_ms: self.decision.graceful_shutdown_ms() };
        self.view.store(Arc::new(view));
    }

    fn status(&self, readings: &[Reading], now: Instant) -> Status {
        let before = self.view.load();
        let state = self.decision.state().to_string();
        let since_unix_s = if state == before.status.state { before.status.since_unix_s } else { unix_s() };
        let check = |(reader, reading): (&health::Reader, &Reading)| CheckStatus {
            name: reader.name().to_owned(),
            state: reading.report.state.to_string(),
            soft: reading.report.soft,
            why: reading.report.why.clone(),
        };
        Status {
            state,
            why: self.why(readings, now),
            since_unix_s,
            by_hand: self.by_hand.clone(),
            checks: self.health.iter().zip(readings).map(check).collect(),
            services: self.services.iter().map(|service| self.service_status(service, now)).collect(),
            neighbours: Vec::new(),
            addresses: Vec::new(),
            fleet: self.fleet.status(now),
            transitions: self.decision.transitions(),
        }
    }

    fn service_status(&self, service: &Service, now: Instant) -> ServiceStatus {
        let unix_s_of = |then: Instant| unix_s() - now.saturating_duration_since(then).as_secs_f64();
        ServiceStatus {
            name: service.name.clone(),
            prefixes: service.prefixes.clone(),
            announced: self.decision.announced(&service.name),
            route: self.decision.attributes(&service.name).map(|attributes| route_status(&attributes)),
            quota: self.fleet.quota_status(&service.name, unix_s_of),
        }
    }

    /// Why the node is not up, a line each.
    fn why(&self, readings: &[Reading], now: Instant) -> Vec<String> {
        let mut why = Vec::new();
        if self.decision.leaving() {
            why.push("the daemon stops".to_owned());
        }
        if let Some(by_hand) = &self.by_hand {
            why.push(format!("drained by hand: {}", by_hand.reason));
        }
        let bad = self.health.iter().zip(readings).filter(|(_, reading)| reading.report.state != State::Up);
        why.extend(bad.map(|(reader, reading)| match reading.report.why.as_str() {
            "" => format!("{} is {}", reader.name(), reading.report.state),
            words => format!("{}: {words}", reader.name()),
        }));
        let severity = self.decision.severity();
        if why.is_empty() && severity > Severity::Well {
            why.push("all is well, but not yet for long enough".to_owned());
        }
        for service in &self.services {
            if let Some(until) = self.decision.held_until(&service.name) {
                let left = until.saturating_duration_since(now).as_secs_f64();
                why.push(format!("{}: came and went too often, held down for {left:.1} s more", service.name));
            }
            if severity == Severity::Unfit && self.decision.announced(&service.name) {
                let others = match self.fleet.others(&service.name, now) {
                    Others::TooFew => "too few other nodes announce it and are well",
                    Others::Granted | Others::Enough => "waits for the other nodes' promise to stay",
                };
                why.push(format!("{}: announced on, worse: {others}", service.name));
            }
        }
        why
    }

    fn flaps(&self) -> Flaps {
        let hold_s = self.decision.damping().hold().as_secs_f64();
        Flaps { announced: self.decision.announces(), hold_s, unix_s: unix_s() }
    }
}

fn ticks(every: Duration) -> tokio::time::Interval {
    let mut ticks = interval(every.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn heard(socket: Option<&UdpSocket>) {
    match socket {
        Some(socket) if socket.readable().await.is_ok() => {}
        _ => std::future::pending().await,
    }
}

/// Logs what is announced from now on.
fn tell(adverts: &Adverts) {
    let cause = match adverts.cause {
        Cause::Starting => "starting",
        Cause::Health => "health",
        Cause::Draining => "draining",
    };
    if adverts.routes.is_empty() {
        tracing::warn!(cause, "nothing is announced from now on");
        return;
    }
    for (prefix, attributes) in &adverts.routes {
        let RouteStatus { med, prepend, communities } = route_status(attributes);
        tracing::info!(cause, %prefix, med, prepend, communities = communities.join(" "), "announced from now on");
    }
}

/// Attributes, the communities as the network file has them.
fn route_status(attributes: &RouteAttributes) -> RouteStatus {
    let standard = attributes.communities.iter().copied().map(format_community);
    let large = attributes.large_communities.iter().copied().map(format_large_community);
    let extended = attributes.extended_communities.iter().copied().map(format_extended_community);
    let communities = standard.chain(large).chain(extended).collect();
    RouteStatus { med: attributes.med, prepend: attributes.prepend, communities }
}

/// Writes the flaps beside the task, one after the other; what has been overtaken is skipped.
struct Writer {
    kept: Kept,
    last: Option<(bool, f64)>,
    to_write: watch::Sender<Option<Flaps>>,
    task: JoinHandle<()>,
}

impl Writer {
    fn new(kept: Kept) -> Writer {
        let (to_write, mut next) = watch::channel(None::<Flaps>);
        let folder = kept.clone();
        let task = tokio::spawn(async move {
            while next.changed().await.is_ok() {
                let Some(flaps) = *next.borrow_and_update() else { continue };
                let folder = folder.clone();
                write(folder, flaps).await;
            }
        });
        Writer { kept, last: None, to_write, task }
    }

    /// Has it written if it differs from before.
    fn keep(&mut self, flaps: Flaps) {
        let what = (flaps.announced, flaps.hold_s);
        let nothing = self.last.is_none() && what == (false, 0.0);
        if self.last != Some(what) && !nothing {
            self.last = Some(what);
            self.to_write.send_replace(Some(flaps));
        }
    }

    /// Has this written last, and waits for it.
    async fn finish(self, flaps: Flaps) {
        let Writer { kept, last, to_write, task } = self;
        drop(to_write);
        let _ = task.await;
        if last.is_some() {
            write(kept, flaps).await;
        }
    }
}

async fn write(kept: Kept, flaps: Flaps) {
    if let Ok(Err(why)) = spawn_blocking(move || kept.keep(&flaps)).await {
        tracing::warn!(%why, "flaps are not kept");
    }
}
