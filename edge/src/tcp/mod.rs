//! The TCP lane: threads with a small runtime of their own, a listener for each address on each of them.
//!
//! ```text
//! listener ── accept ──> Slot? ──> Connection task (one thread's alone)
//!                          └─ none left: closed at once, with a reason
//! ```

mod connection;
mod limits;
mod stream;

use std::{cell::RefCell, io, net::TcpListener as StdListener, rc::Rc, sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    runtime,
    sync::watch,
    task::{JoinSet, LocalSet},
    time::{sleep, timeout},
};

use crate::{
    Shared,
    line::{self, Begun, Client, MessageStream},
    stats::Counters,
};
use connection::{Connection, Ended};
pub(crate) use limits::Connections;

/// Pause after a failed accept (no descriptors left, say), so that a full process does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

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
    pub(crate) counters: Arc<Counters>,
    pub(crate) connections: Arc<Connections>,
    pub(crate) phase: watch::Receiver<Phase>,
}

/// What the connections of one thread share.
struct Lane {
    shared: Arc<Shared>,
    counters: Arc<Counters>,
    connections: Arc<Connections>,
    /// Where an answer is written before its length is known: one for all connections, since answering never waits.
    scratch: RefCell<Box<[u8]>>,
}

impl TcpWorker {
    /// Serves until told to stop; `beside` runs on the same thread until then.
    pub(crate) fn run(self, beside: impl Future<Output = ()>) -> io::Result<()> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let lane = Rc::new(Lane {
            shared: self.shared,
            counters: self.counters,
            connections: self.connections,
            scratch: RefCell::new(vec![0; wire::MESSAGE_BYTES_MAX].into()),
        });
        let mut phase = self.phase;
        LocalSet::new().block_on(&runtime, async {
            let mut tasks = JoinSet::new();
            for listener in self.listeners {
                let listener = TcpListener::from_std(listener)?;
                tasks.spawn_local(accept(listener, Rc::clone(&lane), phase.clone()));
            }
            tokio::pin!(beside);
            let grace = loop {
                tokio::select! {
                    () = &mut beside => {}
                    changed = phase.wait_for(|phase| *phase != Phase::Serving) => match changed.as_deref() {
                        Ok(&Phase::Stopping(grace)) => break grace,
                        _ => break Duration::ZERO,
                    },
                }
            };
            // Those that are not done by then are dropped with the set.
            let _ = timeout(grace, async { while tasks.join_next().await.is_some() {} }).await;
            Ok(())
        })
    }
}

/// Accepts connections until the edge stops, then waits for them to end.
async fn accept(listener: TcpListener, lane: Rc<Lane>, mut phase: watch::Receiver<Phase>) {
    let mut open = JoinSet::new();
    while *phase.borrow_and_update() == Phase::Serving {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let settings = lane.shared.settings.load();
                    match lane.connections.admit(peer.ip(), &settings.tcp) {
                        Ok(slot) => {
                            lane.counters.connection();
                            let connection = Connection::new(stream, peer, Rc::clone(&lane));
                            let (lane, phase) = (Rc::clone(&lane), phase.clone());
                            open.spawn_local(async move {
                                if let Ended::Dropped(reason) = connection.serve(phase).await {
                                    lane.counters.dropped(reason, 1);
                                }
                                drop(slot);
                            });
                        }
                        Err(reason) => lane.counters.dropped(reason, 1),
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "the TCP lane cannot accept");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = open.join_next() => {}
            _ = phase.changed() => {}
        }
    }
    drop(listener);
    while open.join_next().await.is_some() {}
}

impl Lane {
    /// Answers a message behind what is pending, with its length in front; a transfer comes back to be sent.
    fn respond(&self, message: &[u8], client: &Client, pending: &mut Vec<u8>) -> Option<Box<dyn MessageStream>> {
        let mut scratch = self.scratch.borrow_mut();
        let begun = self.shared.with_context(&self.counters, |context| {
            match line::begin_transfer(message, client, context, &mut scratch) {
                Begun::Not => Begun::Answer(line::respond(message, client, context, &mut scratch)),
                begun => begun,
            }
        });
        let length = match begun {
            Begun::Stream(stream) => return Some(stream),
            Begun::Answer(length) => length,
            Begun::Not => 0,
        };
        if let (Some(answer), Ok(prefix)) = (scratch.get(..length), u16::try_from(length))
            && length > 0
        {
            pending.extend_from_slice(&prefix.to_be_bytes());
            pending.extend_from_slice(answer);
        }
        None
    }
}
