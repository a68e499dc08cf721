//! The thread that sends the packets of an attack: by a packet socket, in batches, at a rate by the clock.
//!
//! It is an open loop: what is due is sent whether anybody answers or not. Where the core cannot keep up, what has been due
//! for longer than [`LATE_MAX`] is not sent later but counted as late, so that the rate stays what the core can do and never
//! becomes a burst.

use std::{
    io::IoSlice,
    os::fd::{AsRawFd, OwnedFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nix::{
    sys::{
        prctl::set_timerslack,
        socket::{
            AddressFamily, LinkAddr, MsgFlags, MultiHeaders, SockFlag, SockType, bind, sendmmsg, setsockopt, socket,
            sockopt::SndBufForce,
        },
    },
    time::{ClockId, clock_gettime},
};
use serde::Serialize;

use super::{Attack, Pace, Target, generator::Generator, link_of, packets::ETHERNET_BYTES, tcp};
use crate::{LabError, cores};

/// Packets that one call sends, at most.
const BATCH_MAX: usize = 128;
/// Between two looks at the clock while nothing is due.
const TICK: Duration = Duration::from_micros(200);
/// What is due for longer is not sent any more.
const LATE_MAX: Duration = Duration::from_millis(50);
/// A flash crowd comes within this time; attacks begin at once.
const RISE: Duration = Duration::from_secs(3);
/// Room for frames that the receiver has not taken yet: more than any wire holds.
const SEND_BUFFER_BYTES: usize = 8 << 20;
/// Bytes of the largest frame.
const FRAME_BYTES_MAX: usize = 1514;
/// Seconds that are recorded one by one, at most; what comes after is added to the last.
const SECONDS_MAX: usize = 3600;

/// What was sent in one second.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Second {
    /// Packets; by TCP, queries.
    pub packets: u64,
    /// Their bytes, from the IP header on; by TCP, of the queries alone.
    pub bytes: u64,
    /// Packets that were due and could not be sent in time: the core or the wire was too slow.
    pub late: u64,
    /// TCP connections that were opened.
    pub connections: u64,
}

impl Second {
    fn add(&mut self, other: Second) {
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.late += other.late;
        self.connections += other.connections;
    }
}

/// What an attack has sent.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Sent {
    /// Second by second from its begin; the last one may not be over.
    pub seconds: Vec<Second>,
    /// Processor time of the threads that sent, once they have ended. On a wire within one machine that is also what it takes
    /// until a packet lies in the target's socket.
    pub cpu: Duration,
}

impl Sent {
    /// All seconds together.
    pub fn total(&self) -> Second {
        let mut total = Second::default();
        self.seconds.iter().for_each(|second| total.add(*second));
        total
    }

    /// The share of the packets that were due that were sent in time, from 0 to 1.
    pub fn kept(&self) -> f64 {
        let total = self.total();
        let due = total.packets + total.late;
        if due == 0 { 1.0 } else { total.packets as f64 / due as f64 }
    }
}

/// Where the sending threads write down what they did.
pub(super) struct Log {
    begin: Instant,
    seconds: Mutex<Vec<Second>>,
    cpu_ns: AtomicU64,
}

impl Log {
    pub(super) fn new() -> Log {
        Log { begin: Instant::now(), seconds: Mutex::default(), cpu_ns: AtomicU64::new(0) }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.begin.elapsed()
    }

    /// Something was done now.
    pub(super) fn add(&self, what: Second) {
        let second = usize::try_from(self.elapsed().as_secs()).unwrap_or(usize::MAX).min(SECONDS_MAX - 1);
        let mut seconds = self.lock();
        if seconds.len() <= second {
            seconds.resize(second + 1, Second::default());
        }
        if let Some(second) = seconds.get_mut(second) {
            second.add(what);
        }
    }

    /// The current thread ends.
    fn add_cpu(&self) {
        let used = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap_or_default();
        self.cpu_ns.fetch_add(u64::try_from(used.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Second>> {
        self.seconds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An attack that goes on until it is stopped or dropped.
pub struct RunningAttack {
    stop: Arc<AtomicBool>,
    log: Arc<Log>,
    threads: Vec<JoinHandle<Result<(), LabError>>>,
}

impl RunningAttack {
    /// What was sent so far.
    pub fn sent(&self) -> Sent {
        let cpu = Duration::from_nanos(self.log.cpu_ns.load(Ordering::Relaxed));
        Sent { seconds: self.log.lock().clone(), cpu }
    }

    /// Whether it has ended by itself: its time is over, or it could not go on.
    pub fn is_over(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    /// End it, and say what was sent; an error where it could not be.
    pub fn stop(mut self) -> Result<Sent, LabError> {
        self.end()?;
        Ok(self.sent())
    }

    /// Wait until it is over.
    pub fn wait(mut self) -> Result<Sent, LabError> {
        self.join()?;
        Ok(self.sent())
    }

    fn end(&mut self) -> Result<(), LabError> {
        self.stop.store(true, Ordering::Relaxed);
        self.join()
    }

    fn join(&mut self) -> Result<(), LabError> {
        let panicked = || LabError::Invalid("a thread of the attack panicked".to_owned());
        self.threads.drain(..).try_for_each(|thread| thread.join().map_err(|_| panicked())?)
    }
}

impl Drop for RunningAttack {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

pub(super) fn start(attack: Attack, target: &Target, pace: &Pace) -> Result<RunningAttack, LabError> {
    let (core, tcp_share) = (pace.core, attack.tcp_share());
    let attacker = if tcp_share > 0.0 {
        tcp::prepare(target)?;
        Some(tcp::Attacker::new(target, Schedule::new(attack, pace).part(tcp_share), pace.seed)?)
    } else {
        None
    };
    let packets = if attack.has_packets() {
        let socket = target.namespace.enter(|| open(&target.interface))??;
        let schedule = Schedule::new(attack, pace).part(1.0 - tcp_share);
        Some(Sender { socket, generator: Generator::new(attack, target, pace.seed)?, schedule })
    } else {
        None
    };
    // All is made: from here on the clock runs.
    let (stop, log) = (Arc::new(AtomicBool::new(false)), Arc::new(Log::new()));
    let mut running = RunningAttack { stop: Arc::clone(&stop), log: Arc::clone(&log), threads: Vec::new() };
    if let Some(mut attacker) = attacker {
        let (stop, log, namespace) = (Arc::clone(&stop), Arc::clone(&log), target.namespace.clone());
        let work = move || {
            settle(core)?;
            attacker.run(&stop, &log);
            log.add_cpu();
            Ok(())
        };
        running.threads.push(spawn("attack-tcp", move || namespace.enter(work)?)?);
    }
    if let Some(mut sender) = packets {
        let work = move || {
            settle(core)?;
            let ended = sender.run(&stop, &log);
            log.add_cpu();
            ended
        };
        running.threads.push(spawn("attack", work)?);
    }
    Ok(running)
}

fn spawn(
    name: &str,
    work: impl FnOnce() -> Result<(), LabError> + Send + 'static,
) -> Result<JoinHandle<Result<(), LabError>>, LabError> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(work);
    thread.map_err(LabError::io("starting the thread of an attack"))
}

/// A socket that sends whole frames by this interface and receives nothing.
fn open(interface: &str) -> Result<OwnedFd, LabError> {
    let failed = |doing: &'static str| LabError::errno(doing);
    // Protocol 0: it hears nothing of what arrives.
    let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None)
        .map_err(failed("opening a packet socket (needs root)"))?;
    bind(socket.as_raw_fd(), &link_of(interface)?).map_err(failed("binding a packet socket"))?;
    // An open loop does not wait for who receives: the wire is full before this is.
    setsockopt(&socket, SndBufForce, &SEND_BUFFER_BYTES).map_err(failed("making room in a packet socket"))?;
    Ok(socket)
}

/// Stay on this core, and wake up when told rather than about then.
pub(super) fn settle(core: Option<usize>) -> Result<(), LabError> {
    if let Some(core) = core {
        cores::stay_on(core)?;
    }
    set_timerslack(1).map_err(LabError::errno("asking for exact timers"))
}

/// How much is due when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    rate_per_s: f64,
    rise_s: f64,
    lasts_s: f64,
}

impl Schedule {
    pub(super) fn new(attack: Attack, pace: &Pace) -> Schedule {
        Schedule {
            rate_per_s: f64::from(pace.rate_per_s),
            rise_s: if attack.is_wanted() { RISE.as_secs_f64() } else { 0.0 },
            lasts_s: pace.lasts.map_or(f64::INFINITY, |lasts| lasts.as_secs_f64()),
        }
    }

    /// The same with this part of the rate.
    fn part(self, share: f64) -> Schedule {
        Schedule { rate_per_s: self.rate_per_s * share, ..self }
    }

    /// Packets that are to be sent until then.
    pub(super) fn due(&self, elapsed: Duration) -> u64 {
        let elapsed_s = elapsed.as_secs_f64().min(self.lasts_s);
        let whole_s = if elapsed_s < self.rise_s {
            elapsed_s * elapsed_s / (2.0 * self.rise_s)
        } else {
            elapsed_s - self.rise_s / 2.0
        };
        (whole_s * self.rate_per_s) as u64
    }

    /// Whether all that was to be sent is due.
    pub(super) fn is_over(&self, elapsed: Duration) -> bool {
        elapsed.as_secs_f64() >= self.lasts_s
    }

    /// The first moment at which so many are due, in seconds from the begin.
    pub(super) fn due_at_s(&self, packets: u64) -> f64 {
        let whole_s = packets as f64 / self.rate_per_s.max(1.0);
        if whole_s < self.rise_s / 2.0 { (2.0 * self.rise_s * whole_s).sqrt() } else { whole_s + self.rise_s / 2.0 }
    }

    /// What has been due for so long that it is not sent any more, at most.
    pub(super) fn late_max(&self) -> u64 {
        ((self.rate_per_s * LATE_MAX.as_secs_f64()) as u64).max(1)
    }
}

struct Sender {
    socket: OwnedFd,
    generator: Generator,
    schedule: Schedule,
}

impl Sender {
    fn run(&mut self, stop: &AtomicBool, log: &Log) -> Result<(), LabError> {
        let mut frames: Vec<Vec<u8>> = (0..BATCH_MAX).map(|_| Vec::with_capacity(FRAME_BYTES_MAX)).collect();
        let mut headers = MultiHeaders::preallocate(BATCH_MAX, None);
        let (mut done, late_max) = (0_u64, self.schedule.late_max());
        while !stop.load(Ordering::Relaxed) {
            let elapsed = log.elapsed();
            let mut behind = self.schedule.due(elapsed).saturating_sub(done);
            if behind == 0 {
                if self.schedule.is_over(elapsed) {
                    break;
                }
                thread::sleep(TICK);
                continue;
            }
            let mut what = Second::default();
            if behind > late_max {
                what.late = behind - late_max;
                done += what.late;
                behind = late_max;
            }
            let count = usize::try_from(behind).unwrap_or(BATCH_MAX).min(BATCH_MAX);
            let batch = frames.get_mut(..count).unwrap_or_default();
            batch.iter_mut().for_each(|frame| self.generator.next(frame));
            let sent = send(&self.socket, &mut headers, batch)?;
            what.packets = sent as u64;
            what.bytes = batch.iter().take(sent).map(|frame| (frame.len() - ETHERNET_BYTES) as u64).sum();
            what.late += (count - sent) as u64;
            done += count as u64;
            log.add(what);
        }
        Ok(())
    }
}

/// Send these frames; how many went to the wire, whether it had room for them or not.
fn send(socket: &OwnedFd, headers: &mut MultiHeaders<LinkAddr>, frames: &[Vec<u8>]) -> Result<usize, LabError> {
    const NOBODY: [Option<LinkAddr>; BATCH_MAX] = [None; BATCH_MAX];
    let mut sent = 0;
    while let Some(rest) = frames.get(sent..).filter(|rest| !rest.is_empty()) {
        let slices: [[IoSlice; 1]; BATCH_MAX] =
            std::array::from_fn(|at| [IoSlice::new(rest.get(at).map_or(&[], Vec::as_slice))]);
        let taken = slices.get(..rest.len()).unwrap_or_default();
        match sendmmsg(socket.as_raw_fd(), headers, taken, NOBODY, [], MsgFlags::empty()) {
            Ok(results) => match results.count() {
                0 => break,
                count => sent += count,
            },
            Err(nix::Error::EINTR) => {}
            // The wire had no room for this one, and has lost it.
            Err(nix::Error::ENOBUFS) => sent += 1,
            Err(nix::Error::EAGAIN) => break,
            Err(errno) => return Err(LabError::errno("sending packets of an attack")(errno)),
        }
    }
    Ok(sent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(attack: Attack, seconds: u64) -> Schedule {
        let lasts = Some(Duration::from_secs(seconds));
        Schedule::new(attack, &Pace { rate_per_s: 1000, lasts, seed: 1, core: None })
    }

    #[test]
    fn an_attack_begins_at_once_and_ends_in_time() {
        let schedule = schedule(Attack::Client, 10);
        let due = [0, 1, 2500, 10_000, 20_000].map(|ms| schedule.due(Duration::from_millis(ms)));
        assert_eq!(due, [0, 1, 2500, 10_000, 10_000]);
        assert!(!schedule.is_over(Duration::from_millis(9999)) && schedule.is_over(Duration::from_secs(10)));
    }

    #[test]
    fn a_crowd_comes_within_three_seconds() {
        let schedule = schedule(Attack::FlashCrowd, 10);
        let due = [1, 2, 3, 4, 10].map(|s| schedule.due(Duration::from_secs(s)));
        assert_eq!(due, [166, 666, 1500, 2500, 8500]);
        for packets in [0, 1, 100, 1499, 1501, 8000] {
            let at = Duration::from_secs_f64(schedule.due_at_s(packets) + 1e-9);
            assert_eq!(schedule.due(at), packets);
        }
    }
}
