//! The UDP lane: one plain thread per worker with sockets of its own. No lock, no allocation, no runtime.
//!
//! A batch is gone through twice: first the filters say what each datagram is worth, then they are answered, the best first.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use arrayvec::ArrayVec;
use filters::{Admission, Verdict};

use crate::{
    Shared,
    bind::LANE_WAIT_MAX,
    clock::filter_time,
    line::{self, Client, Context, Responded, Seen},
    parking::{CompletedSender, ParkedDatagram},
    settings::UDP_PAYLOAD_BYTES_MIN,
    sockets::{Answers, BATCH_DATAGRAMS_MAX, Batch, Datagram, Received, Sent, UdpSocket, Waiter},
    stats::{Counters, DropReason, Transport},
    tcp::UdpPressure,
    watchdog::{Desk, Stage, contain_each},
};

/// How long what has already been received is still answered once the lane is to stop.
const DRAIN_MAX: Duration = Duration::from_millis(200);
/// Batches from one socket before the next has its turn.
const BATCHES_IN_TURN_MAX: usize = 4;
/// From so many datagrams on it pays to fetch what the filters know of all sources at once, before the first is asked for.
const TOUCHED_MIN: usize = 4;
/// Pause after an error of a socket that has nothing to do with a single datagram: no memory, say.
const ERROR_PAUSE: Duration = Duration::from_millis(10);

/// One worker of the lane.
pub(crate) struct UdpWorker {
    pub(crate) sockets: Vec<Arc<UdpSocket>>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) counters: Arc<Counters>,
    /// This thread's way to ask the filters.
    pub(crate) lane: filters::Lane,
    /// Who writes the answers of what had to wait: the TCP thread of the same worker.
    pub(crate) completed: CompletedSender,
    /// Who has to take less of the processor when there is too much to answer: the same thread.
    pub(crate) pressure: Arc<UdpPressure>,
    /// Where this thread leaves what it works on.
    pub(crate) desk: Arc<Desk>,
    pub(crate) stop: Arc<AtomicBool>,
}

impl UdpWorker {
    /// Answers until told to stop.
    pub(crate) fn run(self) -> io::Result<()> {
        let mut batch = Batch::new();
        match self.sockets.as_slice() {
            [socket] => self.serve_one(socket, &mut batch),
            sockets => {
                let mut waiter = Waiter::new(sockets, LANE_WAIT_MAX)?;
                self.serve_several(&mut waiter, &mut batch);
            }
        }
        self.drain(&mut batch);
        Ok(())
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed) && !self.desk.is_retired()
    }

    /// Waits right in the call that receives: one system call for a batch.
    fn serve_one(&self, socket: &Arc<UdpSocket>, batch: &mut Batch) {
        while self.goes_on() {
            self.counters.wake();
            self.serve(socket, batch, true);
            self.lane.pressure().turn(batch.is_backlogged(), || socket.fill_percent(), filter_time);
        }
    }

    fn serve_several(&self, waiter: &mut Waiter, batch: &mut Batch) {
        while self.goes_on() {
            self.counters.wake();
            match waiter.wait() {
                Ok(ready) => {
                    let mut is_backlogged = false;
                    for socket in ready.filter_map(|index| self.sockets.get(index)) {
                        self.serve_batches(socket, batch);
                        is_backlogged |= batch.is_backlogged();
                    }
                    let fill_percent = || self.sockets.iter().map(|socket| socket.fill_percent()).max().unwrap_or(0);
                    self.lane.pressure().turn(is_backlogged, fill_percent, filter_time);
                }
                Err(error) => {
                    tracing::warn!(%error, "the UDP lane cannot wait for its sockets");
                    thread::sleep(ERROR_PAUSE);
                }
            }
        }
    }

    /// Answers what a ready socket holds, but keeps the others waiting only for so long.
    fn serve_batches(&self, socket: &Arc<UdpSocket>, batch: &mut Batch) {
        for _ in 0..BATCHES_IN_TURN_MAX {
            self.serve(socket, batch, false);
            if !batch.is_full() {
                break;
            }
        }
    }

    /// Answers what the sockets hold already.
    fn drain(&self, batch: &mut Batch) {
        let until = Instant::now() + DRAIN_MAX;
        for socket in &self.sockets {
            while !self.desk.is_retired() && self.serve(socket, batch, false) > 0 && Instant::now() < until {}
        }
    }

    /// Receives a batch, answers it, and returns how many datagrams it had.
    fn serve(&self, socket: &Arc<UdpSocket>, batch: &mut Batch, wait: bool) -> usize {
        let received = match batch.receive(socket, wait) {
            Ok(received) => received,
            Err(error) => {
                tracing::warn!(%error, address = %socket.local(), "the UDP lane cannot receive");
                thread::sleep(ERROR_PAUSE);
                return 0;
            }
        };
        if received == 0 {
            return 0;
        }
        self.counters.batch();
        if batch.is_backlogged() {
            self.pressure.is_on(filter_time());
        }
        self.desk.turn_to(Stage::ReadingBatch);
        self.shared.with_context(&self.counters, &self.lane, |context| {
            let (received, mut answers) = batch.split();
            match context.gate.is_off() {
                true => self.answer_as_they_came(socket, received, &mut answers, context),
                false => self.answer_best_first(socket, received, &mut answers, context),
            }
        });
        self.desk.turn_to(Stage::Elsewhere);
        if self.desk.is_retired() {
            // Somebody else serves the socket by now, and these clients have asked again.
            return 0;
        }
        let Sent { no_room, failed, .. } = batch.send(socket);
        if no_room + failed > 0 {
            self.counters.dropped(DropReason::SendBufferFull, no_room);
            self.counters.dropped(DropReason::SendFailed, failed);
        }
        received
    }

    /// Answers all of them: nobody says that one is worth more than another.
    fn answer_as_they_came(
        &self,
        socket: &Arc<UdpSocket>,
        received: Received<'_>,
        answers: &mut Answers<'_>,
        context: &Context<'_>,
    ) {
        let answer = |index| {
            let Some(datagram) = received.get(index) else { return };
            let client = client_of(&datagram);
            self.take(Stage::Answering, &datagram);
            let Some(seen) = line::see(datagram.bytes, &client, context) else { return };
            answers.answer(index, |out| {
                self.answer_one(socket, &datagram, &seen, &Admission::EXEMPT, &client, context, out)
            });
        };
        contain_each(received.len(), answer, |index, why| self.panicked(Stage::Answering, received.get(index), why));
    }

    /// Leaves a message where the watchdog finds it.
    #[inline]
    fn take(&self, stage: Stage, datagram: &Datagram<'_>) {
        self.desk.take(stage, datagram.bytes, datagram.peer, Transport::Udp);
    }

    #[cold]
    fn panicked(&self, stage: Stage, datagram: Option<Datagram<'_>>, why: String) {
        let taken = datagram.map(|datagram| (datagram.bytes, datagram.peer));
        self.shared.panicked(&self.counters, stage, taken, Transport::Udp, why);
    }

    /// Asks the filters about each, then answers those that are left, in order of their penalties.
    fn answer_best_first(
        &self,
        socket: &Arc<UdpSocket>,
        received: Received<'_>,
        answers: &mut Answers<'_>,
        context: &Context<'_>,
    ) {
        let mut looked: ArrayVec<(usize, Datagram<'_>, Seen<'_>), BATCH_DATAGRAMS_MAX> = ArrayVec::new();
        let look = |index| {
            let Some(datagram) = received.get(index) else { return };
            if self.desk.careful {
                self.take(Stage::Reading, &datagram);
            }
            if let Some(mut seen) = line::see(datagram.bytes, &client_of(&datagram), context) {
                context.gate.make_hashes(&mut seen.view);
                looked.push((index, datagram, seen));
            }
        };
        contain_each(received.len(), look, |index, why| self.panicked(Stage::Reading, received.get(index), why));
        if looked.len() >= TOUCHED_MIN {
            context.gate.touch_all(looked.iter().map(|(_, _, seen)| &seen.view));
        }
        let mut admitted: ArrayVec<(Admission, u16), BATCH_DATAGRAMS_MAX> = ArrayVec::new();
        let mut worst = 0;
        let admit = |place: usize| {
            let Some((_, datagram, seen)) = looked.get(place) else { return };
            if self.desk.careful {
                self.take(Stage::Reading, datagram);
            }
            let admission = match self.shared.own_questions.is_from_us(datagram.peer) {
                true => Admission::EXEMPT,
                false => line::admit(seen, context),
            };
            if !matches!(admission.verdict, Verdict::Drop(_)) {
                worst = worst.max(admission.penalty);
                admitted.push((admission, place as u16));
            }
        };
        let datagram_at = |place: usize| looked.get(place).map(|(_, datagram, _)| *datagram);
        contain_each(looked.len(), admit, |place, why| self.panicked(Stage::Reading, datagram_at(place), why));
        if worst > 0 {
            admitted.sort_unstable_by_key(|(admission, place)| (admission.penalty, *place));
        }
        let place_of = |next: usize| admitted.get(next).map(|(_, place)| usize::from(*place));
        let answer = |next| {
            let Some((admission, place)) = admitted.get(next) else { return };
            let Some((index, datagram, seen)) = looked.get(usize::from(*place)) else { return };
            if self.desk.is_retired() {
                return;
            }
            let client = client_of(datagram);
            self.take(Stage::Answering, datagram);
            answers.answer(*index, |out| self.answer_one(socket, datagram, seen, admission, &client, context, out));
        };
        let died = |next| place_of(next).and_then(datagram_at);
        contain_each(admitted.len(), answer, |next, why| self.panicked(Stage::Answering, died(next), why));
    }

    /// Answers one datagram, or lets it wait; returns the bytes of its answer.
    #[inline]
    #[allow(clippy::too_many_arguments, reason = "all that is known of one datagram, by reference")]
    fn answer_one(
        &self,
        socket: &Arc<UdpSocket>,
        datagram: &Datagram<'_>,
        seen: &Seen<'_>,
        admission: &Admission,
        client: &Client,
        context: &Context<'_>,
        out: &mut [u8],
    ) -> usize {
        let room = usize::from(context.settings.udp_payload_bytes_max.max(UDP_PAYLOAD_BYTES_MIN)).min(out.len());
        let out = &mut out[..room];
        match line::answer_admitted(seen, admission, client, context, out) {
            Responded::Answer(bytes) => bytes,
            Responded::Miss(zone) => self.park(socket, datagram, zone, client, admission, context, out),
        }
    }

    /// Lets a query wait for its origin; returns the bytes of an answer if it cannot.
    #[cold]
    #[allow(clippy::too_many_arguments, reason = "all that is known of one datagram, by reference")]
    fn park(
        &self,
        socket: &Arc<UdpSocket>,
        datagram: &Datagram<'_>,
        zone: u64,
        client: &Client,
        admission: &Admission,
        context: &Context<'_>,
        out: &mut [u8],
    ) -> usize {
        let way = ParkedDatagram { socket: Arc::clone(socket), back: datagram.way_back() };
        match self.shared.park(datagram.bytes, admission, Some(way), zone, &self.completed, &self.counters) {
            Ok(()) => 0,
            Err(filled) => line::respond_filled(datagram.bytes, client, admission, context, &filled, out),
        }
    }
}

fn client_of(datagram: &Datagram<'_>) -> Client {
    Client { peer: datagram.peer, transport: Transport::Udp, idle: Duration::ZERO }
}
