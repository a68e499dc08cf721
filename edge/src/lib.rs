//! The lanes that receive queries, and the line of steps that answers them.
//!
//! ```text
//! bind ──> Sockets ──> Edge::start ──┬─ UDP lane: a thread per worker      ─┐
//!                                    └─ TCP lane: a thread per worker      ─┴─> line::respond
//!
//! self-check thread ──> questions to the edge's own addresses ──> health: `answers`, `load`
//!
//! miss ──> parking ──> MissHandler ──> Waiter::complete ──> TCP thread of the worker ──> line::respond_filled
//! ```
//!
//! Zones, settings and the NOTIFY handler are given from outside; the edge only reads them.

mod bind;
mod clock;
mod cookie;
mod error;
pub mod kernel;
pub mod line;
mod parking;
mod self_check;
mod settings;
mod sockets;
mod start;
mod stats;
mod tcp;
mod udp;
mod watchdog;

use std::{net::SocketAddr, sync::Arc};

use arc_swap::ArcSwap;
use cache::{Failure, Filled};
use filters::Admission;
use line::Context;
use parking::{CompletedSender, ParkedDatagram, ParkedQuery, Parking};
use self_check::OwnQuestions;
use watchdog::{Deaths, Stage, Taken};

pub use bind::{Sockets, bind};
pub use clock::filter_time;
pub use error::EdgeError;
pub use line::{
    MessageStream, Miss, MissHandler, NextMessage, NotifyHandler, NotifyOutcome, SignedQuery, Signer, Transfer,
    TransferHandler,
};
pub use parking::Waiter;
pub use self_check::{Check, SelfCheck, SelfCheckSettings};
pub use settings::{NSID_BYTES_MAX, Settings, TcpSettings, UDP_PAYLOAD_BYTES_MIN};
pub use start::{Edge, EdgeContext, OnDemand, StatsReader};
pub use stats::{Counters, DropReason, Family, OnDemandEvent, Stats, Transport};
pub use watchdog::{Death, DeathHandler, DeathKind};

/// What all lanes read.
pub(crate) struct Shared {
    zones: Arc<zones::Zones>,
    settings: Arc<ArcSwap<Settings>>,
    notify: Arc<dyn NotifyHandler>,
    transfers: Option<Arc<dyn TransferHandler>>,
    on_demand: Option<OnDemand>,
    parking: Arc<Parking>,
    answers: Option<Arc<kernel::Answers>>,
    own_questions: Arc<OwnQuestions>,
    deaths: Arc<Deaths>,
}

impl Shared {
    /// Takes the views as they stand now, for one batch of messages or one message of a stream.
    #[inline]
    fn with_context<R>(&self, counters: &Counters, lane: &filters::Lane, answer: impl FnOnce(&Context<'_>) -> R) -> R {
        // Before the table: an answer from an older one must not seem to be of now.
        let epoch = self.zones.epoch();
        let (zones, settings) = (self.zones.load(), self.settings.load());
        let now = clock::filter_time();
        let gate = lane.gate(now);
        let promoter = |answers| line::Promoter { answers, epoch, now, filter_time: &clock::filter_time_at };
        answer(&Context {
            zones: &zones,
            settings: &settings,
            notify: &*self.notify,
            transfers: self.transfers.as_deref(),
            on_demand: self.on_demand.as_ref().map(OnDemand::view),
            gate: &gate,
            promoter: self.answers.as_deref().map(promoter),
            counters,
            now_s: clock::unix_time_s(),
        })
    }

    /// A message made its answering panic: that costs it its answer, and nobody else anything.
    #[cold]
    fn panicked(
        &self,
        counters: &Counters,
        stage: Stage,
        message: Option<(&[u8], SocketAddr)>,
        transport: Transport,
        why: String,
    ) {
        counters.dropped(DropReason::Panicked, 1);
        let taken = message.map(|(message, peer)| Taken { message: message.to_vec(), peer, transport });
        let thread = std::thread::current();
        self.deaths.report(DeathKind::Panic, thread.name().unwrap_or_default(), stage, taken, why);
    }

    /// Lets a query wait for the origin of its zone.
    ///
    /// # Errors
    /// What to answer at once, where it cannot.
    fn park(
        &self,
        message: &[u8],
        admission: &Admission,
        datagram: Option<ParkedDatagram>,
        zone: u64,
        completed: &CompletedSender,
        counters: &Counters,
    ) -> Result<(), Filled> {
        let question = wire::Query::parse(message).ok().and_then(|query| query.question);
        let (Some(question), Some(on_demand)) = (question, &self.on_demand) else {
            return Err(Filled::Failed(Failure::Gone));
        };
        let Some(permit) = self.parking.admit() else {
            counters.on_demand(OnDemandEvent::Refused);
            return Err(Filled::Failed(Failure::OverBudget));
        };
        counters.on_demand(OnDemandEvent::Miss);
        let miss = Miss { zone, qname: question.name.to_owned(), qtype: question.rtype };
        let query = ParkedQuery { message: message.into(), admission: *admission, datagram, _permit: permit };
        on_demand.misses.miss(miss, Waiter::new(query, completed.clone()));
        Ok(())
    }
}
