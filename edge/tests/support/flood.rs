//! A flood over the loopback interface: many sources, a rate that can be changed, and an end.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// A flood lasts no longer than this, whatever the test does.
const LASTS_MAX: Duration = Duration::from_secs(30);
/// Datagrams from one look at the clock to the next.
const BURST: u32 = 32;

/// Sends until it is dropped.
pub(crate) struct Flood {
    stop: Arc<AtomicBool>,
    per_s: Arc<AtomicU32>,
    sent: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Flood {
    /// Sends `messages` in turn, from `sources` addresses of 127.128/9, so many a second.
    pub(crate) fn start(to: SocketAddr, sources: u32, messages: Vec<Vec<u8>>, per_s: u32) -> Flood {
        let sockets: Vec<UdpSocket> = (0..sources)
            .map(|number| {
                let [_, a, b, c] = number.to_be_bytes();
                let socket = UdpSocket::bind((Ipv4Addr::new(127, 128 + a, b, c), 0)).unwrap();
                socket.connect(to).unwrap();
                socket.set_nonblocking(true).unwrap();
                socket
            })
            .collect();
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let per_s = Arc::new(AtomicU32::new(per_s));
        let shared = (Arc::clone(&stop), Arc::clone(&per_s), Arc::clone(&sent));
        let thread = thread::spawn(move || {
            let (stop, per_s, sent) = shared;
            let until = Instant::now() + LASTS_MAX;
            let mut from = sockets.iter().cycle();
            let mut what = messages.iter().cycle();
            let mut next = Instant::now();
            while !stop.load(Ordering::Relaxed) && Instant::now() < until {
                for _ in 0..BURST {
                    // A full queue is the other side's trouble.
                    let _ = from.next().unwrap().send(what.next().unwrap());
                }
                sent.fetch_add(u64::from(BURST), Ordering::Relaxed);
                next += Duration::from_secs(1) * BURST / per_s.load(Ordering::Relaxed);
                match next.checked_duration_since(Instant::now()) {
                    Some(early) => thread::sleep(early),
                    // What could not be sent in time is not made up for.
                    None => next = Instant::now(),
                }
            }
        });
        Flood { stop, per_s, sent, thread: Some(thread) }
    }

    /// From now on so many a second.
    pub(crate) fn set_rate(&self, per_s: u32) {
        self.per_s.store(per_s, Ordering::Relaxed);
    }

    /// How many have been sent.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
