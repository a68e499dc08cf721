//! The UDP lane: one plain thread per worker with sockets of its own. No lock, no allocation, no runtime.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    Shared,
    bind::LANE_WAIT_MAX,
    line::{self, Client, Context, Responded},
    parking::{CompletedSender, ParkedDatagram},
    settings::UDP_PAYLOAD_BYTES_MIN,
    sockets::{Batch, Datagram, Sent, UdpSocket, Waiter},
    stats::{Counters, DropReason, Transport},
};

/// How long what has already been received is still answered once the lane is to stop.
const DRAIN_MAX: Duration = Duration::from_millis(200);
/// Batches from one socket before the next has its turn.
const BATCHES_IN_TURN_MAX: usize = 4;
/// Pause after an error of a socket that has nothing to do with a single datagram: no memory, say.
const ERROR_PAUSE: Duration = Duration::from_millis(10);

/// One worker of the lane.
pub(crate) struct UdpWorker {
    pub(crate) sockets: Vec<Arc<UdpSocket>>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) counters: Arc<Counters>,
    /// Who writes the answers of what had to wait: the TCP thread of the same worker.
    pub(crate) completed: CompletedSender,
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

    /// Waits right in the call that receives: one system call for a batch.
    fn serve_one(&self, socket: &Arc<UdpSocket>, batch: &mut Batch) {
        while !self.stop.load(Ordering::Relaxed) {
            self.counters.wake();
            self.serve(socket, batch, true);
        }
    }

    fn serve_several(&self, waiter: &mut Waiter, batch: &mut Batch) {
        while !self.stop.load(Ordering::Relaxed) {
            self.counters.wake();
            match waiter.wait() {
                Ok(ready) => {
                    for socket in ready.filter_map(|index| self.sockets.get(index)) {
                        self.serve_batches(socket, batch);
                    }
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
            while self.serve(socket, batch, false) > 0 && Instant::now() < until {}
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
        self.shared.with_context(&self.counters, |context| {
            let room = usize::from(context.settings.udp_payload_bytes_max.max(UDP_PAYLOAD_BYTES_MIN));
            batch.answer(|datagram, out| {
                let client = Client { peer: datagram.peer, transport: Transport::Udp, idle: Duration::ZERO };
                let room = room.min(out.len());
                let out = &mut out[..room];
                match line::respond_or_miss(datagram.bytes, &client, context, out) {
                    Responded::Answer(bytes) => bytes,
                    Responded::Miss(zone) => self.park(socket, &datagram, zone, &client, context, out),
                }
            });
        });
        let Sent { no_room, failed, .. } = batch.send(socket);
        if no_room + failed > 0 {
            self.counters.dropped(DropReason::SendBufferFull, no_room);
            self.counters.dropped(DropReason::SendFailed, failed);
        }
        received
    }

    /// Lets a query wait for its origin; returns the bytes of an answer if it cannot.
    #[cold]
    fn park(
        &self,
        socket: &Arc<UdpSocket>,
        datagram: &Datagram<'_>,
        zone: u64,
        client: &Client,
        context: &Context<'_>,
        out: &mut [u8],
    ) -> usize {
        let way = ParkedDatagram { socket: Arc::clone(socket), back: datagram.way_back() };
        match self.shared.park(datagram.bytes, Some(way), zone, &self.completed, &self.counters) {
            Ok(()) => 0,
            Err(filled) => line::respond_filled(datagram.bytes, client, context, &filled, out),
        }
    }
}
