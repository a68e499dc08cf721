//! Takes the connections that routers open, and hands each to the task of its neighbour.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tracing::warn;

/// Connections of a neighbour that may wait for its task; more are closed.
pub(super) const ACCEPTED_MAX: usize = 4;
/// After a failure to accept, for want of descriptors or memory, the next attempt waits for so long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Strangers are logged so often at most.
const STRANGERS_LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Who takes the connections of an address.
pub(super) type Doors = HashMap<IpAddr, mpsc::Sender<TcpStream>>;

/// What the listeners share.
#[derive(Debug, Default)]
pub(super) struct Reception {
    pub(super) doors: ArcSwap<Doors>,
    /// Connections closed at once: of nobody's address, or too many.
    pub(super) refused: AtomicU64,
}

/// Accepts until it is aborted.
pub(super) async fn accept(listener: Arc<TcpListener>, reception: Arc<Reception>) {
    let mut log = StrangersLog::default();
    loop {
        match listener.accept().await {
            Ok((stream, remote)) => reception.receive(stream, remote, &mut log),
            Err(error) => {
                warn!(%error, "cannot accept a BGP connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

impl Reception {
    fn receive(&self, stream: TcpStream, remote: SocketAddr, log: &mut StrangersLog) {
        let doors = self.doors.load();
        match doors.get(&remote.ip()) {
            // One that does not fit is closed by being dropped; its router will try again.
            Some(door) => {
                if door.try_send(stream).is_err() {
                    self.refused.fetch_add(1, Ordering::Relaxed);
                }
            }
            None => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                log.stranger(remote, Instant::now());
            }
        }
    }
}

/// Says now and then who else tries.
#[derive(Debug, Default)]
struct StrangersLog {
    said: Option<Instant>,
    unsaid: u64,
}

impl StrangersLog {
    fn stranger(&mut self, remote: SocketAddr, now: Instant) {
        self.unsaid += 1;
        if self.said.is_some_and(|said| now < said + STRANGERS_LOG_INTERVAL) {
            return;
        }
        warn!(from = %remote, connections = self.unsaid, "closed a BGP connection of an address that is no neighbour's");
        (self.said, self.unsaid) = (Some(now), 0);
    }
}
