//! The task that owns the questions in flight: it feeds the machine, starts tries, and tells who waits.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cache::{Cache, CachedAnswer, Filled, Ticket, TtlLimits};
use tokio::sync::mpsc;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::sleep_until;
use wire::Rtype;

use super::budget::Purpose;
use super::exchange::Exchange;
use super::fill::{Report, Try};
use super::learner::{Learner, Learnt, Lesson, Want};
use super::message::{CLIENT_COOKIE_BYTES, Cookies, Question, randomise_case};
use super::questions::{Action, Ask, Context, Ended, Key, Questions, Verdict};
use super::reach::Health;
use super::zone::{Settings, Transport, Way};
use super::{Asking, Command, Shared, Waiter, ZoneMap};
use crate::client::random_u64;
use crate::error::Error;
use crate::settings::{Upstream, ZoneSettings};

/// Questions taken from the queue at once.
const ASKS_AT_ONCE: usize = 128;
/// The task looks around at least this often.
const IDLE_MAX: Duration = Duration::from_secs(1);
/// How old the published status may be.
pub(super) const STATUS_AGE_MAX: Duration = Duration::from_millis(100);
/// A zone that could not be fetched whole is tried again after this.
const WHOLE_AGAIN_AFTER: Duration = Duration::from_secs(3600);

/// What a task is made of.
pub(super) struct Parts {
    pub(super) started: Instant,
    pub(super) cache: Arc<Cache>,
    pub(super) shared: Arc<Shared>,
    pub(super) asked: mpsc::Receiver<Asking>,
    pub(super) commanded: mpsc::Receiver<Command>,
    pub(super) demands: mpsc::Sender<u64>,
}

type Answer = Arc<CachedAnswer>;

/// The state that the task owns.
pub(crate) struct Task {
    pub(super) parts: Parts,
    pub(super) questions: Questions<Waiter, Answer>,
    actions: Vec<Action<Waiter, Answer>>,
    /// The zones that the machine knows.
    pub(super) zones: Arc<ZoneMap>,
    learner: Learner,
    tries: JoinSet<Report>,
    running: HashMap<Id, u64>,
    cookies: HashMap<Way, Cookies>,
    pub(super) errors: HashMap<(u64, usize), String>,
    pub(super) health: HashMap<(u64, usize), Health>,
    /// Answers that taught each zone something.
    pub(super) lessons: HashMap<u64, u64>,
    /// When each zone was last to be fetched whole.
    demanded: HashMap<u64, Duration>,
    /// Zones whose published status is old, and since when.
    pub(super) changed: HashSet<u64>,
    pub(super) changed_at: Duration,
}

impl Task {
    pub(super) fn new(parts: Parts) -> Task {
        Task {
            parts,
            questions: Questions::new(),
            actions: Vec::new(),
            zones: Arc::default(),
            learner: Learner::default(),
            tries: JoinSet::new(),
            running: HashMap::new(),
            cookies: HashMap::new(),
            errors: HashMap::new(),
            health: HashMap::new(),
            lessons: HashMap::new(),
            demanded: HashMap::new(),
            changed: HashSet::new(),
            changed_at: Duration::ZERO,
        }
    }

    /// Runs until the handle is gone; then nobody waits any more.
    pub(crate) async fn run(mut self) {
        let shared = Arc::clone(&self.parts.shared);
        let mut asks = Vec::with_capacity(ASKS_AT_ONCE);
        loop {
            self.take_zones();
            self.act();
            self.publish();
            let due = Instant::now() + self.wait();
            tokio::select! {
                biased;
                command = self.parts.commanded.recv() => match command {
                    None => break,
                    Some(Command::Purged(purged, done)) => {
                        self.purged(&purged);
                        let _ = done.send(());
                    }
                },
                Some(ended) = self.tries.join_next_with_id() => self.ended(ended),
                Some(Ok(learnt)) = self.learner.lessons.join_next() => self.learnt(learnt),
                () = sleep_until(due.into()) => self.with(|questions, context| questions.clock(context)),
                () = shared.zones_changed.notified() => {}
                taken = self.parts.asked.recv_many(&mut asks, ASKS_AT_ONCE) => {
                    if taken == 0 {
                        break;
                    }
                    // A zone is in the view before anyone can ask about it.
                    self.take_zones();
                    asks.drain(..).for_each(|asking| self.ask(asking));
                }
            }
        }
    }

    pub(super) fn now(&self) -> Duration {
        self.parts.started.elapsed()
    }

    fn wait(&self) -> Duration {
        let now = self.now();
        let due = self.questions.due().map_or(IDLE_MAX, |due| due.saturating_sub(now));
        let status = if self.changed.is_empty() {
            IDLE_MAX
        } else {
            self.changed_at.saturating_add(STATUS_AGE_MAX).saturating_sub(now)
        };
        due.min(status).min(IDLE_MAX)
    }

    /// Gives the machine an event.
    fn with(&mut self, event: impl FnOnce(&mut Questions<Waiter, Answer>, &mut Context<'_, Waiter, Answer>)) {
        let now = self.now();
        let mut random = || random_u64().unwrap_or_default();
        let mut context = Context { now, random: &mut random, actions: &mut self.actions };
        event(&mut self.questions, &mut context);
    }

    /// Takes over the zones as they are configured now.
    fn take_zones(&mut self) {
        let zones = self.parts.shared.zones.load_full();
        if Arc::ptr_eq(&zones, &self.zones) {
            return;
        }
        let before = std::mem::replace(&mut self.zones, Arc::clone(&zones));
        for &id in before.keys().filter(|id| !zones.contains_key(id)) {
            self.with(|questions, context| questions.remove(id, context));
            self.errors.retain(|(zone, _), _| *zone != id);
            self.health.retain(|(zone, _), _| *zone != id);
            self.demanded.remove(&id);
            self.learner.forget(id);
            self.lessons.remove(&id);
            self.changed.remove(&id);
            self.parts.shared.status().remove(&id);
        }
        for (&id, zone) in zones.iter().filter(|(id, zone)| before.get(id).is_none_or(|b| !Arc::ptr_eq(b, zone))) {
            let settings = settings(zone);
            self.with(|questions, context| questions.configure(id, settings, context));
            self.errors.retain(|(zone, _), _| *zone != id);
            self.demanded.remove(&id);
            self.learner.forget(id);
            self.publish_zone(id);
        }
        let questions = &self.questions;
        self.cookies.retain(|way, _| questions.reach(way).is_some());
    }

    fn ask(&mut self, asking: Asking) {
        let Asking { key, purpose, waiter, anew } = asking;
        let now = Instant::now();
        let prefetches = self.zones.get(&key.zone).is_none_or(|zone| zone.config.on_demand.prefetch);
        if purpose == Purpose::Early && waiter.is_none() && !prefetches {
            return;
        }
        let known = if anew { None } else { self.parts.cache.peek(key.zone, key.qname.as_ref(), key.qtype, now) };
        self.mark_changed(key.zone);
        let (waiter, stale) = match (waiter, known) {
            // It came while the question was on its way here.
            (Some(waiter), Some(answer)) if answer.is_fresh(now) => return waiter(Filled::Answer(answer)),
            (waiter, stale) => (waiter, stale),
        };
        self.demand(key.zone);
        self.with(|questions, context| questions.ask(Ask { key, purpose, waiter, stale }, context));
        self.act();
    }

    /// Says that a zone may be fetched whole, if the configuration wants that and it was not said lately.
    fn demand(&mut self, zone: u64) {
        let wanted = self.zones.get(&zone).is_some_and(|known| known.config.on_demand.whole_records_max > 0);
        let now = self.now();
        if wanted
            && self.demanded.get(&zone).is_none_or(|&at| now >= at + WHOLE_AGAIN_AFTER)
            && self.parts.demands.try_send(zone).is_ok()
        {
            self.demanded.insert(zone, now);
        }
    }

    fn purged(&mut self, purged: &[(u64, wire::Name, bool)]) {
        for &(zone, name, subtree) in purged {
            let hit = |key: &Key| {
                let (qname, name) = (key.qname.as_ref(), name.as_ref());
                key.zone == zone && if subtree { qname.is_within(name) } else { qname == name }
            };
            self.with(|questions, context| questions.restart(hit, context));
            self.learner.forget(zone);
            self.mark_changed(zone);
        }
    }

    /// Does what the machine says.
    fn act(&mut self) {
        // Starting a try may fail at once, which gives the machine something new to say.
        while !self.actions.is_empty() {
            for action in std::mem::take(&mut self.actions) {
                match action {
                    Action::Complete(waiter, Verdict::Answer(answer)) => waiter(Filled::Answer(answer)),
                    Action::Complete(waiter, Verdict::Stale(answer)) => waiter(Filled::Stale(answer)),
                    Action::Complete(waiter, Verdict::Failed(failure)) => waiter(Filled::Failed(failure)),
                    Action::Keep(key, answer) => {
                        let ticket = self.parts.cache.ticket(key.zone);
                        self.parts.cache.insert(key.zone, key.qname.as_ref(), key.qtype, answer, ticket);
                    }
                    Action::Try { id, key, upstream, transport } => self.start(id, key, upstream, transport),
                }
            }
        }
    }

    fn start(&mut self, id: u64, key: Key, upstream: usize, transport: Transport) {
        match self.prepare(id, key, upstream, transport) {
            Ok(prepared) => {
                let handle = self.tries.spawn(prepared.run());
                self.running.insert(handle.id(), id);
            }
            Err(error) => {
                tracing::warn!(%error, "a question could not be put");
                self.with(|questions, context| questions.ended(id, Ended::Unasked, context));
            }
        }
    }

    fn prepare(&mut self, id: u64, key: Key, upstream: usize, transport: Transport) -> Result<Try, Error> {
        let zone = self.zones.get(&key.zone).cloned().ok_or(Error::Removed)?;
        let to: Upstream = zone.upstreams.get(upstream).cloned().ok_or(Error::Removed)?;
        let mut bits = [0; 2 + wire::NAME_BYTES_MAX / 8 + 1 + CLIENT_COOKIE_BYTES];
        getrandom::fill(&mut bits).map_err(|error| Error::Random(error.to_string()))?;
        let (client, bits) = bits.split_first_chunk::<CLIENT_COOKIE_BYTES>().ok_or(Error::Removed)?;
        let (message_id, case) = bits.split_first_chunk::<2>().ok_or(Error::Removed)?;
        let cookies =
            to.origin.config.cookies.then(|| {
                self.cookies.entry(way(&to)).or_insert_with(|| Cookies { client: *client, server: None }).clone()
            });
        let case = if zone.config.on_demand.case_randomisation { case } else { &[] };
        let question = Question {
            id: u16::from_be_bytes(*message_id),
            qname: randomise_case(&key.qname, case),
            qtype: key.qtype,
            cookies,
        };
        let wait = try_wait(&zone);
        let exchange = Exchange { upstream: to, question, transport, wait };
        let ticket = self.parts.cache.ticket(key.zone);
        let (apex, limits) = (zone.apex.to_name(), ttl_limits(&zone));
        let (cache, learns) = (Arc::clone(&self.parts.cache), zone.config.on_demand.synthesise);
        Ok(Try { id, key, upstream, apex, limits, exchange, cache, ticket, learns })
    }

    fn ended(&mut self, ended: Result<(Id, Report), JoinError>) {
        let report = match ended {
            Ok((task, report)) => {
                self.running.remove(&task);
                report
            }
            Err(error) => {
                tracing::error!(%error, "a question ended unexpectedly");
                if let Some(id) = self.running.remove(&error.id()) {
                    self.with(|questions, context| questions.ended(id, Ended::Unasked, context));
                }
                return;
            }
        };
        let Report { id, key, upstream, ended, server_cookie, lesson, error } = report;
        let known = self.zones.get(&key.zone).and_then(|zone| zone.upstreams.get(upstream)).cloned();
        if let Some(known) = &known {
            // One that has given cookies and gives none any more is asked without from now on; only TCP may say so.
            let heard = matches!(ended, Ended::Answered(..) | Ended::Truncated(_) | Ended::BadCookie(_));
            if let Some(cookies) = self.cookies.get_mut(&way(known)).filter(|_| heard) {
                cookies.server = server_cookie;
            }
        }
        match error {
            Some(error) => {
                tracing::debug!(zone = key.zone, qname = %key.qname, qtype = %key.qtype, upstream, %error, "no answer");
                self.errors.insert((key.zone, upstream), error);
            }
            None => drop(self.errors.remove(&(key.zone, upstream))),
        }
        self.with(|questions, context| questions.ended(id, ended, context));
        if let Some((response, ticket)) = lesson {
            self.learn(&key, response, ticket);
        }
        self.tell_health(key.zone, upstream);
        self.mark_changed(key.zone);
    }

    /// Learns what else an answer says.
    fn learn(&mut self, key: &Key, response: Vec<u8>, ticket: Ticket) {
        let Some(zone) = self.zones.get(&key.zone).cloned() else { return };
        let limits = ttl_limits(&zone);
        let apex = zone.apex.to_name();
        let lesson = Lesson { id: key.zone, zone, response, limits, ticket };
        if key.qtype == Rtype::DNSKEY && key.qname == apex {
            return self.learner.take_keys(lesson);
        }
        let now = self.now();
        if self.learner.study(lesson, &self.parts.cache, now) == Want::Keys {
            let key = Key { zone: key.zone, qname: apex, qtype: Rtype::DNSKEY };
            let ask = Ask { key, purpose: Purpose::Early, waiter: None, stale: None };
            self.with(|questions, context| questions.ask(ask, context));
        }
    }

    fn learnt(&mut self, learnt: Learnt) {
        let now = self.now();
        if let Some(zone) = self.learner.ended(learnt, now) {
            *self.lessons.entry(zone).or_default() += 1;
            self.mark_changed(zone);
        }
    }
}

fn way(upstream: &Upstream) -> Way {
    (upstream.address, upstream.source().map(|source| source.ip()))
}

fn try_wait(zone: &ZoneSettings) -> Duration {
    Duration::from_millis(u64::from(zone.config.on_demand.origin_timeout_ms))
}

fn ttl_limits(zone: &ZoneSettings) -> TtlLimits {
    let config = &zone.config.on_demand;
    TtlLimits {
        ttl_s_max: config.ttl_s_max,
        negative_ttl_s_max: config.negative_ttl_s_max,
        stale_s_max: config.stale_s_max,
        stale_ttl_s: config.stale_ttl_s,
    }
}

/// What the machine has to know of a zone.
fn settings(zone: &ZoneSettings) -> Settings {
    let config = &zone.config.on_demand;
    let transport = |to: &Upstream| if to.origin.config.tls.is_some() { Transport::Tcp } else { Transport::Udp };
    Settings {
        misses_per_s_max: config.misses_per_s_max,
        misses_in_flight_max: config.misses_in_flight_max,
        clients_waiting_max: config.clients_waiting_max,
        client_wait: Duration::from_millis(u64::from(config.client_wait_ms)),
        try_wait: try_wait(zone),
        ways: zone.upstreams.iter().map(|upstream| (way(upstream), transport(upstream))).collect(),
    }
}
