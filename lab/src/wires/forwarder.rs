//! The thread that carries the frames of all wires of a lab.
//!
//! ```text
//!   tap ──read──▶ Path::enter ──▶ heap of frames by due time ──▶ write ──▶ tap
//!                    │ lost, no room                    ▲ one timerfd for the first due time
//! ```
//!
//! It waits in one `epoll` for readable taps and the timer. A frame leaves its tap in the moment its host sends it and
//! enters the other in the moment it is due; what it is late by is the time the thread takes to wake up.

use std::{
    cmp::{Ordering as Order, Reverse},
    collections::BinaryHeap,
    io::ErrorKind,
    process::{Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nix::{
    sys::{
        epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
        eventfd::{EfdFlags, EventFd},
        time::TimeSpec,
        timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags},
    },
    unistd::gettid,
};

use super::{
    Inner,
    path::{Fate, Path, nanoseconds},
};
use crate::{LabError, program::find_program};

/// Wires of a lab.
const WIRES_MAX: usize = 1024;
/// The largest frame: an Ethernet of the usual MTU with a VLAN tag, and room.
const FRAME_BYTES_MAX: usize = 2048;
/// Frames that are read from one tap before the others have their turn.
const BURST_MAX: usize = 32;
/// Events that are taken from the kernel at once.
const EVENTS_MAX: usize = 64;
/// Buffers kept for the next frames.
const SPARE_BUFFERS_MAX: usize = 4096;
/// The thread goes before everything else: what it is late by is an error of every delay.
const NICENESS: &str = "-20";

/// Epoll's data for the timer and for the end; other data are `wire * 2 + end`.
const TIMER: u64 = u64::MAX;
const STOP: u64 = u64::MAX - 1;

/// The wires of one lab and the thread that carries their frames; without wires there is none.
#[derive(Default)]
pub(crate) struct Forwarder {
    running: Mutex<Option<Running>>,
}

struct Running {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

struct Shared {
    epoll: Epoll,
    stop: EventFd,
    wires: Mutex<Vec<Arc<Inner>>>,
}

impl Forwarder {
    /// Carry the frames of one more wire, which is made knowing its number.
    pub(super) fn add(&self, wire: impl FnOnce(u64) -> Inner) -> Result<Arc<Inner>, LabError> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = match &*running {
            Some(running) => Arc::clone(&running.shared),
            None => Arc::clone(&running.insert(start()?).shared),
        };
        let mut wires = shared.wires.lock().unwrap_or_else(PoisonError::into_inner);
        if wires.len() >= WIRES_MAX {
            return Err(LabError::Invalid(format!("a lab has at most {WIRES_MAX} wires")));
        }
        let number = wires.len() as u64;
        let wire = Arc::new(wire(number));
        wires.push(Arc::clone(&wire));
        for (tap, end) in wire.taps.iter().zip(0..) {
            let event = EpollEvent::new(EpollFlags::EPOLLIN, number * 2 + end);
            shared.epoll.add(tap, event).map_err(LabError::errno("watching a tap"))?;
        }
        Ok(wire)
    }

    /// End the thread: from now on nothing passes, and the taps go with the last handle of their wire.
    pub(crate) fn stop(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Running { shared, thread }) = running {
            let _ = shared.stop.write(1);
            let _ = thread.join();
        }
    }
}

fn start() -> Result<Running, LabError> {
    let failed = |doing: &'static str| LabError::errno(doing);
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(failed("making an epoll"))?;
    let stop = EventFd::from_flags(EfdFlags::EFD_CLOEXEC).map_err(failed("making an eventfd"))?;
    epoll.add(&stop, EpollEvent::new(EpollFlags::EPOLLIN, STOP)).map_err(failed("watching an eventfd"))?;
    let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK)
        .map_err(failed("making a timer"))?;
    epoll.add(&timer, EpollEvent::new(EpollFlags::EPOLLIN, TIMER)).map_err(failed("watching a timer"))?;
    let shared = Arc::new(Shared { epoll, stop, wires: Mutex::default() });
    let (tell, told) = mpsc::sync_channel(1);
    let work = Arc::clone(&shared);
    let thread = thread::Builder::new()
        .name("wires".to_owned())
        .spawn(move || {
            let _ = tell.send(gettid());
            Carrier::new(work, timer).run();
        })
        .map_err(LabError::io("starting the thread of the wires"))?;
    if let (Ok(id), Ok(renice)) = (told.recv(), find_program("renice")) {
        // Without it the delays are less exact on a busy machine, no more. On Linux a priority is a thread's.
        let mut command = Command::new(renice);
        let _ =
            command.args(["-n", NICENESS, "-p", &id.to_string()]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
    Ok(Running { shared, thread })
}

/// A frame under way.
struct Frame {
    due_ns: u64,
    /// Later frames of the same due time come later.
    number: u64,
    wire: usize,
    /// The end that it comes out at.
    end: usize,
    bytes: Vec<u8>,
}

impl PartialEq for Frame {
    fn eq(&self, other: &Frame) -> bool {
        self.cmp(other) == Order::Equal
    }
}

impl Eq for Frame {}

impl PartialOrd for Frame {
    fn partial_cmp(&self, other: &Frame) -> Option<Order> {
        Some(self.cmp(other))
    }
}

impl Ord for Frame {
    fn cmp(&self, other: &Frame) -> Order {
        (self.due_ns, self.number).cmp(&(other.due_ns, other.number))
    }
}

/// What the thread owns.
struct Carrier {
    shared: Arc<Shared>,
    timer: TimerFd,
    /// What the timer is set to.
    timer_ns: Option<u64>,
    begin: Instant,
    wires: Vec<(Arc<Inner>, [Path; 2])>,
    frames: BinaryHeap<Reverse<Frame>>,
    number: u64,
    spare: Vec<Vec<u8>>,
}

impl Carrier {
    fn new(shared: Arc<Shared>, timer: TimerFd) -> Carrier {
        Carrier {
            shared,
            timer,
            timer_ns: None,
            begin: Instant::now(),
            wires: Vec::new(),
            frames: BinaryHeap::new(),
            number: 0,
            spare: Vec::new(),
        }
    }

    fn run(&mut self) {
        let mut events = [EpollEvent::empty(); EVENTS_MAX];
        loop {
            let count = match self.shared.epoll.wait(&mut events, EpollTimeout::NONE) {
                Ok(count) => count,
                Err(nix::Error::EINTR) => continue,
                Err(_) => return,
            };
            for event in events.iter().take(count) {
                match event.data() {
                    STOP => return,
                    TIMER => {
                        // Read off, or it stays readable; that it was is all there is to know.
                        let _ = self.timer.wait();
                        self.timer_ns = None;
                    }
                    tap => self.read(usize::try_from(tap / 2).unwrap_or(usize::MAX), usize::from(tap % 2 == 1)),
                }
                self.deliver();
            }
            self.set_timer();
        }
    }

    fn now_ns(&self) -> u64 {
        nanoseconds(self.begin.elapsed())
    }

    /// Take what the host at `end` of a wire has sent.
    fn read(&mut self, wire: usize, end: usize) {
        if wire >= self.wires.len() {
            self.learn_new_wires();
        }
        for _ in 0..BURST_MAX {
            let Some((inner, paths)) = self.wires.get_mut(wire) else { return };
            let (Some(tap), Some(path)) = (inner.taps.get(end), paths.get_mut(end)) else { return };
            let mut bytes = self.spare.pop().unwrap_or_else(|| vec![0; FRAME_BYTES_MAX]);
            bytes.resize(FRAME_BYTES_MAX, 0);
            let length = match tap.recv(&mut bytes) {
                Ok(length) => length,
                // Nothing more, or the device is down.
                Err(_) => return self.keep(bytes),
            };
            bytes.truncate(length);
            let state = *inner.state();
            let counters = &inner.counters;
            let fate = if state.cut {
                count(&counters.cut);
                None
            } else {
                let now_ns = nanoseconds(self.begin.elapsed());
                match path.enter(now_ns, length, &state.quality) {
                    Fate::Arrives { due_ns } => Some(due_ns),
                    Fate::Lost => {
                        count(&counters.lost);
                        None
                    }
                    Fate::Dropped => {
                        count(&counters.dropped);
                        None
                    }
                }
            };
            let Some(due_ns) = fate else {
                self.keep(bytes);
                continue;
            };
            self.number += 1;
            self.frames.push(Reverse(Frame { due_ns, number: self.number, wire, end: 1 - end, bytes }));
        }
    }

    /// Hand over what is due.
    fn deliver(&mut self) {
        while let Some(Reverse(frame)) = self.frames.peek() {
            if frame.due_ns > self.now_ns() {
                return;
            }
            let Some(Reverse(frame)) = self.frames.pop() else { return };
            if let Some((inner, paths)) = self.wires.get_mut(frame.wire) {
                if let Some(path) = paths.get_mut(1 - frame.end) {
                    path.leave();
                }
                hand_over(inner, &frame);
            }
            self.keep(frame.bytes);
        }
    }

    fn set_timer(&mut self) {
        let Some(Reverse(frame)) = self.frames.peek() else { return };
        // A timer that is set to an earlier time is only early: nothing is due then, and it is set again.
        if self.timer_ns.is_some_and(|set| set <= frame.due_ns) {
            return;
        }
        // Zero would turn it off.
        let left = Duration::from_nanos(frame.due_ns.saturating_sub(self.now_ns()).max(1));
        let expiration = Expiration::OneShot(TimeSpec::from_duration(left));
        if self.timer.set(expiration, TimerSetTimeFlags::empty()).is_ok() {
            self.timer_ns = Some(frame.due_ns);
        }
    }

    fn keep(&mut self, buffer: Vec<u8>) {
        if self.spare.len() < SPARE_BUFFERS_MAX {
            self.spare.push(buffer);
        }
    }

    fn learn_new_wires(&mut self) {
        let known = self.wires.len();
        let all = self.shared.wires.lock().unwrap_or_else(PoisonError::into_inner);
        self.wires.extend(all.iter().skip(known).map(|inner| {
            let paths = [Path::new(inner.seed << 1), Path::new(inner.seed << 1 | 1)];
            (Arc::clone(inner), paths)
        }));
    }
}

fn hand_over(inner: &Inner, frame: &Frame) {
    let Some(tap) = inner.taps.get(frame.end) else { return };
    let state = inner.state();
    let counters = &inner.counters;
    if state.cut {
        return count(&counters.cut);
    }
    match tap.send(&frame.bytes) {
        Ok(_) => count(&counters.passed),
        Err(error) if error.kind() == ErrorKind::Interrupted => match tap.send(&frame.bytes) {
            Ok(_) => count(&counters.passed),
            Err(_) => count(&counters.dropped),
        },
        // The device is down, or its namespace is gone.
        Err(_) => count(&counters.dropped),
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
