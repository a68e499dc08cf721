//! Real clients beside an attack: many resolvers that ask what resolvers ask, wait, repeat and go over to TCP as they do,
//! and whose record says how many of their questions were answered, how soon, and with how many retries.
//!
//! ```text
//!   Ground ── server, client, origin ── namespaces, zones, routes for forged sources
//!     │ client: 198.18.0.0/16 are its own addresses (AnyIP)
//!   Clients ── one thread, real-time ── asker: questions (Zipf), retries, TCP ──▶ Record, a Second each second
//! ```
//!
//! A resolver has an address of its own and does not ask again for what it has until the TTL is over. Half of them mix
//! cases (0x20), most have EDNS and DO, a third use cookies. One that gets no answer sends again after 400, 800 and 1600 ms,
//! with a new id and from a new port, and gives up 1600 ms after that.

mod asker;
mod defended;
mod ground;
mod questions;
mod record;
mod resolver;
mod sockets;
mod stream;
mod trial;
mod zipf;

use std::{
    collections::HashSet,
    io,
    net::{Ipv4Addr, SocketAddrV4},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use thread_priority::{
    ThreadPriority,
    unix::{RealtimeThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id},
};

use crate::{LabError, Namespace, cores, random::Random};
use asker::{Asker, Common, Wanted};
use resolver::Resolver;

pub use defended::{Defended, Defender, Fill, KNOWN_GOOD_AFTER_S, MISSES, Mode, Setup};
pub use ground::{CLIENT_CORE, Ground, SERVER_CORE};
pub use questions::{LONG_NAMES, NAMES, SIGNED, SIGNED_NAMES, ZONE};
pub use record::{Figures, Record, Second};
pub use trial::{Phase, Plan, Row, Trial, run};

/// The real clients' addresses are in this network.
pub const NETWORK: (Ipv4Addr, u8) = (Ipv4Addr::new(198, 18, 0, 0), 16);
/// Real clients ask from this port and those above it. An attack that forges their addresses keeps below, so that the
/// answers can be told apart.
pub const PORT_MIN: u16 = 32_768;
/// Resolvers, unless told otherwise.
pub const RESOLVERS: usize = 2_000;
/// Questions a second that they ask together, unless told otherwise.
pub const PER_S: u32 = 2_000;

/// Requests for a part of the record that may wait.
const WANTED_MAX: usize = 4;

/// What real clients there are.
#[derive(Clone)]
#[must_use]
pub struct Spec {
    namespace: Namespace,
    server: SocketAddrV4,
    resolvers: usize,
    per_s: u32,
    seed: u64,
    core: Option<usize>,
}

/// Real clients that ask. Dropping it ends them.
pub struct Clients {
    common: Arc<Common>,
    wanted: mpsc::SyncSender<Wanted>,
    begun: Instant,
    thread: Option<JoinHandle<Result<Record, LabError>>>,
}

/// The addresses of so many resolvers, the busiest first. Always the same, and no other addresses for more of them.
pub fn addresses(resolvers: usize) -> Vec<Ipv4Addr> {
    /// Addresses that end in .0 and .255 are avoided: some take them for networks.
    const HOSTS: u64 = 254;
    let mut random = Random::new(198);
    let mut taken = HashSet::new();
    let places = std::iter::repeat_with(|| {
        let [a, b, ..] = NETWORK.0.octets();
        Ipv4Addr::new(a, b, random.below(256) as u8, 1 + random.below(HOSTS) as u8)
    });
    places.filter(|address| taken.insert(*address)).take(resolvers.min(256 * HOSTS as usize / 2)).collect()
}

impl Spec {
    /// Resolvers in `namespace`, which has [`NETWORK`] as its own, that ask `server`.
    pub fn new(namespace: &Namespace, server: SocketAddrV4) -> Spec {
        Spec { namespace: namespace.clone(), server, resolvers: RESOLVERS, per_s: PER_S, seed: 1, core: None }
    }

    /// So many of them.
    pub fn resolvers(mut self, resolvers: usize) -> Spec {
        self.resolvers = resolvers.max(1);
        self
    }

    /// So many questions a second from all of them together.
    pub fn per_s(mut self, per_s: u32) -> Spec {
        self.per_s = per_s;
        self
    }

    /// Other questions in another order.
    pub fn seed(mut self, seed: u64) -> Spec {
        self.seed = seed;
        self
    }

    /// Their thread runs on this core alone.
    pub fn core(mut self, core: Option<usize>) -> Spec {
        self.core = core;
        self
    }

    /// Begin to ask.
    pub fn start(self) -> Result<Clients, LabError> {
        let common = Arc::new(Common { per_s: AtomicU32::new(self.per_s), stop: AtomicBool::new(false) });
        let begun = Instant::now();
        let (ready, is_ready) = mpsc::sync_channel(1);
        let (wanted, is_wanted) = mpsc::sync_channel(WANTED_MAX);
        let told = Arc::clone(&common);
        let run = move || {
            let namespace = self.namespace.clone();
            namespace.enter(|| self.run(&told, is_wanted, begun, &ready))
        };
        let thread = thread::Builder::new().name("clients".to_owned()).spawn(run);
        let thread = thread.map_err(LabError::io("starting the clients' thread"))?;
        let clients = Clients { common, wanted, begun, thread: Some(thread) };
        // It says nothing where the namespace could not be entered.
        let opened = is_ready.recv().unwrap_or_else(|_| Err(io::ErrorKind::NotConnected.into()));
        opened.map_err(LabError::io("opening the clients' sockets"))?;
        Ok(clients)
    }

    /// The thread in the namespace.
    fn run(
        &self,
        common: &Arc<Common>,
        wanted: mpsc::Receiver<Wanted>,
        begun: Instant,
        ready: &mpsc::SyncSender<io::Result<()>>,
    ) -> Record {
        let mut random = Random::new(self.seed);
        let resolvers = addresses(self.resolvers).into_iter().map(|address| Resolver::new(address, &mut random));
        let resolvers = resolvers.collect();
        let asker = self.take_core().and_then(|()| Asker::new(resolvers, self.server, common, wanted, (begun, random)));
        let real_time = take_priority();
        match asker {
            Ok(asker) => {
                let _ = ready.send(Ok(()));
                asker.run(real_time)
            }
            Err(error) => {
                let _ = ready.send(Err(error));
                Record::default()
            }
        }
    }

    fn take_core(&self) -> io::Result<()> {
        self.core.map_or(Ok(()), |core| cores::stay_on(core).map_err(io::Error::other))
    }
}

/// Keep the current thread, and all threads and programs that it starts from now on, on this core, where there are several:
/// so that a server that is measured has another one for itself. To be called before a lab is made.
pub fn keep_to(core: usize) -> Result<(), LabError> {
    match thread::available_parallelism() {
        Ok(cores) if cores.get() > 1 => cores::stay_on(core),
        _ => Ok(()),
    }
}

/// The lowest real-time priority is above everything ordinary: an attack from the same core does not delay the clients.
fn take_priority() -> bool {
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy).is_ok()
}

impl Clients {
    /// When they began: the beginning of the record's first second.
    pub fn begun(&self) -> Instant {
        self.begun
    }

    /// The second of the record that it is now.
    pub fn second(&self) -> usize {
        usize::try_from(self.begun.elapsed().as_secs()).unwrap_or(usize::MAX)
    }

    /// From now on they ask so many questions a second.
    pub fn ask(&self, per_s: u32) {
        self.common.per_s.store(per_s, Ordering::Relaxed);
    }

    /// The record so far. The last seconds' questions are not all answered or given up yet.
    pub fn record(&self) -> Record {
        self.part(0..usize::MAX)
    }

    /// The figures of one second so far.
    pub fn figures(&self, second: usize) -> Figures {
        self.part(second..second.saturating_add(1)).second(second)
    }

    fn part(&self, seconds: std::ops::Range<usize>) -> Record {
        let (to, part) = mpsc::sync_channel(1);
        // The thread ends with this alone.
        let _ = self.wanted.send(Wanted { seconds, to });
        part.recv().unwrap_or_default()
    }

    /// The longest that a question may take until it is answered or given up.
    pub fn patience() -> Duration {
        asker::WAITS.iter().sum::<Duration>() + asker::STREAM_WAIT * asker::WAITS.len() as u32
    }

    /// Ask no more, wait for what is on its way (at most [`Clients::patience`]), and give the whole record.
    pub fn stop(mut self) -> Result<Record, LabError> {
        self.end()
    }

    fn end(&mut self) -> Result<Record, LabError> {
        self.common.stop.store(true, Ordering::Relaxed);
        let Some(thread) = self.thread.take() else { return Ok(Record::default()) };
        thread.join().map_err(|_| LabError::Invalid("the clients' thread panicked".to_owned()))?
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

/// In whole µs, at most as many as the record can hold.
fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_resolvers_keep_the_addresses_of_fewer() {
        let (few, many) = (addresses(10), addresses(2_000));
        assert_eq!((few.len(), many.len(), many.get(..10)), (10, 2_000, Some(few.as_slice())));
        assert_eq!(many.iter().collect::<HashSet<_>>().len(), 2_000);
        assert!(many.iter().all(|address| address.octets().starts_with(&[198, 18])));
    }
}
