//! The TCP lane: threads with a small runtime of their own, a listener for each address on each of them.
//!
//! ```text
//! listener ── accept ──> Slot? ──> Connection task (one thread's alone) ── each turn is charged to its prefix ──> Costs
//!                          └─ none left: the least worthy connection makes room
//! ```

mod accept;
mod connection;
mod cost;
mod limits;
mod stream;

use std::{cell::RefCell, io, net::TcpListener as StdListener, rc::Rc, sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    runtime,
    sync::{Notify, watch},
    task::{JoinSet, LocalSet},
    time::timeout,
};

use filters::Admission;

use crate::settings::UDP_PAYLOAD_BYTES_MIN;
use crate::{
    Shared,
    line::{self, Begun, Client, Context, MessageStream, Responded},
    parking::{Completed, CompletedSender, SharedReceiver},
    stats::{Counters, DropReason, Transport},
    watchdog::{Desk, Stage, contain},
};
use accept::accept;
use cost::Costs;
pub(crate) use cost::UdpPressure;
pub(crate) use limits::Connections;

/// Where the edge is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Everything is served.
    Serving,
    /// No new connections; open ones are closed once they are idle, all of them after the time given.
    Stopping(Duration),
}

/// One worker of the lane, before its thread runs.
pub(crate) struct TcpWorker {
    pub(crate) listeners: Vec<StdListener>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) filters: Arc<filters::Filters>,
    pub(crate) counters: Arc<Counters>,
    /// This thread's way to ask the filters.
    pub(crate) lane: filters::Lane,
    pub(crate) connections: Arc<Connections>,
    /// Queries of the UDP lane that had to wait and do so no longer.
    pub(crate) completed: SharedReceiver,
    /// Whether UDP has more to answer than it can.
    pub(crate) pressure: Arc<UdpPressure>,
    /// Where this thread leaves what it works on.
    pub(crate) desk: Arc<Desk>,
    pub(crate) phase: watch::Receiver<Phase>,
}

/// What the connections of one thread share.
struct Lane {
    shared: Arc<Shared>,
    policies: Arc<filters::Filters>,
    counters: Arc<Counters>,
    filters: filters::Lane,
    connections: Arc<Connections>,
    costs: Rc<Costs>,
    desk: Arc<Desk>,
    /// Another thread has taken over.
    retired: Notify,
    /// Where an answer is written before its length is known: one for all connections, since answering never waits.
    scratch: RefCell<Box<[u8]>>,
}

impl TcpWorker {
    /// Serves until told to stop.
    pub(crate) fn run(self) -> io::Result<()> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let lane = Rc::new(Lane {
            shared: self.shared,
            policies: self.filters,
            counters: self.counters,
            filters: self.lane,
            connections: self.connections,
            costs: Rc::new(Costs::new(self.pressure)),
            desk: self.desk,
            retired: Notify::new(),
            scratch: RefCell::new(vec![0; wire::MESSAGE_BYTES_MAX].into()),
        });
        let mut phase = self.phase;
        LocalSet::new().block_on(&runtime, async {
            let mut tasks = JoinSet::new();
            tasks.spawn_local(answer_datagrams(self.completed, Rc::clone(&lane)));
            for listener in self.listeners {
                let listener = TcpListener::from_std(listener)?;
                tasks.spawn_local(accept(listener, Rc::clone(&lane), phase.clone()));
            }
            let grace = tokio::select! {
                () = lane.retired.notified() => return Ok(()),
                changed = phase.wait_for(|phase| *phase != Phase::Serving) => match changed.as_deref() {
                    Ok(&Phase::Stopping(grace)) => grace,
                    _ => Duration::ZERO,
                },
            };
            // Those that are not done by then are dropped with the set.
            let _ = timeout(grace, async { while tasks.join_next().await.is_some() {} }).await;
            Ok(())
        })
    }
}

/// Answers the datagrams that had to wait, until there can be no more of them.
async fn answer_datagrams(completed: SharedReceiver, lane: Rc<Lane>) {
    while !lane.desk.is_retired()
        && let Some(done) = completed.recv().await
    {
        lane.answer_datagram(&done);
    }
}

/// What is left to do for a message.
enum Left {
    Nothing,
    /// To send a transfer.
    Stream(Box<dyn MessageStream>),
    /// To ask the origin of the zone with this number; what the filters found is kept until then.
    Miss(u64, Admission),
}

impl Lane {
    /// Does something about a message, which costs nobody anything else if it panics; `lost` is what is left then.
    fn work<R>(&self, message: &[u8], client: &Client, lost: R, work: impl FnOnce() -> R) -> R {
        self.desk.take(Stage::Reading, message, client.peer, client.transport);
        let done = contain(work);
        let (_, stage) = self.desk.turn();
        self.desk.turn_to(Stage::Elsewhere);
        if self.desk.is_retired() {
            // It hung, and came back: nothing here is this thread's any more.
            self.retired.notify_one();
            return lost;
        }
        done.unwrap_or_else(|why| {
            self.shared.panicked(&self.counters, stage, Some((message, client.peer)), client.transport, why);
            lost
        })
    }

    /// Answers a message behind what is pending, with its length in front, as far as that needs no waiting.
    fn respond(&self, message: &[u8], client: &Client, pending: &mut Vec<u8>) -> Left {
        let mut scratch = self.scratch.borrow_mut();
        let respond = || {
            self.shared.with_context(&self.counters, &self.filters, |context| {
                match line::begin_transfer(message, client, context, &mut scratch) {
                    Begun::Not => Err(self.answer(message, client, context, &mut scratch)),
                    begun => Ok(begun),
                }
            })
        };
        let begun = self.work(message, client, Ok(Begun::Answer(0)), respond);
        let length = match begun {
            Ok(Begun::Stream(stream)) => return Left::Stream(stream),
            Err((Responded::Miss(zone), admission)) => return Left::Miss(zone, admission),
            Ok(Begun::Answer(length)) | Err((Responded::Answer(length), _)) => length,
            Ok(Begun::Not) => 0,
        };
        push_message(pending, scratch.get(..length).unwrap_or_default());
        Left::Nothing
    }

    /// Takes a message through all rooms.
    fn answer(&self, message: &[u8], client: &Client, context: &Context<'_>, out: &mut [u8]) -> (Responded, Admission) {
        let Some(seen) = line::see(message, client, context) else {
            return (Responded::Answer(0), Admission::EXEMPT);
        };
        let admission = match self.shared.own_questions.is_from_us(client.peer) {
            true => Admission::EXEMPT,
            false => line::admit(&seen, context),
        };
        self.desk.turn_to(Stage::Answering);
        (line::answer_admitted(&seen, &admission, client, context, out), admission)
    }

    /// Lets a message wait for the origin of its zone; answers it behind what is pending if it cannot.
    fn park(
        &self,
        message: &[u8],
        (zone, admission): (u64, &Admission),
        client: &Client,
        completed: &CompletedSender,
        pending: &mut Vec<u8>,
    ) -> Parked {
        let park = || {
            self.desk.turn_to(Stage::Answering);
            Some(self.shared.park(message, admission, None, zone, completed, &self.counters))
        };
        match self.work(message, client, None, park) {
            None => Parked::Answered,
            Some(Ok(())) => Parked::Waits,
            Some(Err(filled)) => {
                self.respond_filled(message, client, admission, &filled, pending);
                Parked::Answered
            }
        }
    }

    /// Answers a message that was a miss behind what is pending.
    fn respond_filled(
        &self,
        message: &[u8],
        client: &Client,
        admission: &Admission,
        filled: &cache::Filled,
        pending: &mut Vec<u8>,
    ) {
        let mut scratch = self.scratch.borrow_mut();
        let respond = || {
            self.desk.turn_to(Stage::Answering);
            self.shared.with_context(&self.counters, &self.filters, |context| {
                line::respond_filled(message, client, admission, context, filled, &mut scratch)
            })
        };
        let length = self.work(message, client, 0, respond);
        push_message(pending, scratch.get(..length).unwrap_or_default());
    }

    /// Answers a datagram that had to wait, from the socket and the address that it came to.
    fn answer_datagram(&self, Completed { query, filled }: &Completed) {
        let Some(datagram) = &query.datagram else { return };
        let mut scratch = self.scratch.borrow_mut();
        let client = Client { peer: datagram.back.peer, transport: Transport::Udp, idle: Duration::ZERO };
        let respond = || {
            self.desk.turn_to(Stage::Answering);
            self.shared.with_context(&self.counters, &self.filters, |context| {
                let room = usize::from(context.settings.udp_payload_bytes_max.max(UDP_PAYLOAD_BYTES_MIN));
                let room = room.min(scratch.len());
                let out = scratch.get_mut(..room).unwrap_or_default();
                line::respond_filled(&query.message, &client, &query.admission, context, filled, out)
            })
        };
        let length = self.work(&query.message, &client, 0, respond);
        let Some(answer) = scratch.get(..length).filter(|answer| !answer.is_empty()) else { return };
        match datagram.socket.send_back(answer, &datagram.back) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.counters.dropped(DropReason::SendBufferFull, 1);
            }
            Err(_) => self.counters.dropped(DropReason::SendFailed, 1),
        }
    }
}

/// Whether a message waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parked {
    Waits,
    Answered,
}

/// Puts an answer behind what is pending, with its length in front; nothing if there is none.
fn push_message(pending: &mut Vec<u8>, answer: &[u8]) {
    if let Ok(prefix) = u16::try_from(answer.len())
        && prefix > 0
    {
        pending.extend_from_slice(&prefix.to_be_bytes());
        pending.extend_from_slice(answer);
    }
}
