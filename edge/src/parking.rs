//! Queries that wait for their origin: a bounded number of them, each with its way back to its client.

use std::{
    fmt,
    future::poll_fn,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use cache::{Failure, Filled};
use filters::Admission;
use tokio::sync::mpsc;

use crate::sockets::{UdpSocket, WayBack};

/// Queries that wait at a time, over all lanes. Each keeps its message, of 2 kB at most over UDP and usually 60 bytes.
pub(crate) const PARKED_QUERIES_MAX: usize = 16_384;

/// Counts the queries that wait.
#[derive(Debug, Default)]
pub(crate) struct Parking(AtomicUsize);

impl Parking {
    /// How many wait.
    pub(crate) fn parked(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Lets one more wait, if there is room.
    pub(crate) fn admit(self: &Arc<Self>) -> Option<Permit> {
        let add = |parked: usize| (parked < PARKED_QUERIES_MAX).then_some(parked + 1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).ok()?;
        Some(Permit(Arc::clone(self)))
    }
}

/// The right of one query to wait.
#[derive(Debug)]
pub(crate) struct Permit(Arc<Parking>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A query that waits.
#[derive(Debug)]
pub(crate) struct ParkedQuery {
    pub(crate) message: Box<[u8]>,
    /// What the filters found when it was received.
    pub(crate) admission: Admission,
    /// Over UDP: where its answer leaves, and to whom.
    pub(crate) datagram: Option<ParkedDatagram>,
    /// Given back once it is answered.
    pub(crate) _permit: Permit,
}

/// What it takes to answer a datagram later.
#[derive(Debug)]
pub(crate) struct ParkedDatagram {
    pub(crate) socket: Arc<UdpSocket>,
    pub(crate) back: WayBack,
}

/// A query that waits no longer.
#[derive(Debug)]
pub(crate) struct Completed {
    pub(crate) query: ParkedQuery,
    pub(crate) filled: Filled,
}

/// Sends completed queries to whoever writes their answers. Not bounded by itself: there are no more than may be parked.
pub(crate) type CompletedSender = mpsc::UnboundedSender<Completed>;
/// Receives them.
pub(crate) type CompletedReceiver = mpsc::UnboundedReceiver<Completed>;

/// Receives those of a worker's datagrams, for one thread of the worker after the other: whoever takes over goes on with it.
#[derive(Clone)]
pub(crate) struct SharedReceiver(Arc<Mutex<CompletedReceiver>>);

impl SharedReceiver {
    pub(crate) fn new(receiver: CompletedReceiver) -> SharedReceiver {
        SharedReceiver(Arc::new(Mutex::new(receiver)))
    }

    /// The next one; none when there can be no more. Nobody holds the lock while one is answered.
    pub(crate) async fn recv(&self) -> Option<Completed> {
        poll_fn(|context| self.0.lock().unwrap_or_else(PoisonError::into_inner).poll_recv(context)).await
    }
}

/// A client that waits for the answer of an origin. Dropping it answers with SERVFAIL.
pub struct Waiter {
    query: Option<ParkedQuery>,
    writer: CompletedSender,
}

impl Waiter {
    pub(crate) fn new(query: ParkedQuery, writer: CompletedSender) -> Waiter {
        Waiter { query: Some(query), writer }
    }

    /// Answers the client. May be called on any thread, and never waits.
    pub fn complete(mut self, filled: Filled) {
        self.send(filled);
    }

    fn send(&mut self, filled: Filled) {
        if let Some(query) = self.query.take() {
            // Nobody takes it when the edge has stopped or the client's connection is gone.
            let _ = self.writer.send(Completed { query, filled });
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.send(Filled::Failed(Failure::NoOrigin));
    }
}

impl fmt::Debug for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waiter")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_may_wait() {
        let parking = Arc::new(Parking::default());
        let mut permits: Vec<Permit> = (0..PARKED_QUERIES_MAX).map(|_| parking.admit().unwrap()).collect();
        assert!(parking.admit().is_none());
        permits.pop();
        assert_eq!(parking.parked(), PARKED_QUERIES_MAX - 1);
        assert!(parking.admit().is_some());
        permits.clear();
        assert_eq!(parking.parked(), 0);
    }

    fn query(permit: Permit) -> ParkedQuery {
        ParkedQuery { message: Box::default(), admission: Admission::EXEMPT, datagram: None, _permit: permit }
    }

    #[test]
    fn a_dropped_waiter_answers_too() {
        let (writer, mut completed) = mpsc::unbounded_channel();
        let permit = Arc::new(Parking::default()).admit().unwrap();
        drop(Waiter::new(query(permit), writer));
        let filled = completed.try_recv().unwrap().filled;
        assert!(matches!(filled, Filled::Failed(Failure::NoOrigin)));
        assert!(completed.try_recv().is_err(), "once");
    }
}
