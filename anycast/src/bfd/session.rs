//! One BFD session as a machine without I/O, clock or randomness of its own (RFC 5880 §6.8, asynchronous mode, active
//! role). An event comes in, at most one packet goes out: a Final carries whatever else has changed.
//!
//! ```text
//!                             +--+
//!                             |  | UP, ADMIN DOWN, TIMER
//!                             |  V
//!                     DOWN  +------+  INIT
//!              +------------|      |------------+
//!              |            | DOWN |            |
//!              |  +-------->|      |<--------+  |
//!              |  |         +------+         |  |
//!              |  |                          |  |
//!              |  |               ADMIN DOWN,|  |
//!              |  |ADMIN DOWN,          DOWN,|  |
//!              |  |TIMER                TIMER|  |
//!              V  |                          |  V
//!            +------+                      +------+
//!       +----|      |                      |      |----+
//!   DOWN|    | INIT |--------------------->|  UP  |    |INIT, UP
//!       +--->|      | INIT, UP             |      |<---+
//!            +------+                      +------+
//! ```

use std::time::{Duration, Instant};

use config::BfdSettings;

use super::packet::{Diagnostic, Packet, State};

/// The interval at which a session that is not up sends (RFC 5880 §6.8.3).
const SLOW: Duration = Duration::from_secs(1);
/// What is taken for the other side's Required Min RX Interval before it has said anything (RFC 5880 §6.8.1).
const REMOTE_MIN_RX_AT_FIRST: Duration = Duration::from_micros(1);
/// Jitter is counted in parts of an interval.
const JITTER_PARTS: u32 = 1024;

/// What happens to a session.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// A packet arrived that is well-formed and this session's.
    Received(Packet),
    /// A deadline may have passed.
    Tick,
    /// The configuration has other values.
    Settings(BfdSettings),
    /// An administrator holds the session down.
    Disable,
}

/// Telling the other side of new intervals (RFC 5880 §6.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Poll {
    Idle,
    /// Packets have the Poll bit until one with Final arrives.
    Asking,
    /// The same, and the intervals have changed again meanwhile: the next Final may be about the old ones.
    AskingAgain,
}

/// A session; the names are those of RFC 5880 §6.8.1 where it has one.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    settings: BfdSettings,
    state: State,
    remote_state: State,
    diagnostic: Diagnostic,
    remote_diagnostic: Diagnostic,
    discriminator: u32,
    remote_discriminator: u32,
    /// As announced.
    desired_min_tx: Duration,
    /// As in force: a longer one waits for the end of the Poll Sequence.
    transmit_min: Duration,
    /// As announced.
    required_min_rx: Duration,
    /// As in force: a shorter one waits for the end of the Poll Sequence.
    detect_min: Duration,
    remote_min_rx: Duration,
    remote_desired_min_tx: Duration,
    remote_detect_mult: u8,
    remote_demand: bool,
    poll: Poll,
    transmitted: Instant,
    /// Part of the interval that passes between the last packet and the next; 0 before the very first.
    jitter: u32,
    /// When it last heard from the other side; none once the detection time has passed.
    received: Option<Instant>,
    flaps: u64,
    random: u64,
}

impl Session {
    /// A session that is down and sends with its first tick. `discriminator` is not 0 and no other session's; `seed` is
    /// for the jitter.
    pub(crate) fn new(settings: BfdSettings, discriminator: u32, seed: u64, now: Instant) -> Self {
        let interval = interval_of(settings);
        Self {
            settings,
            state: State::Down,
            remote_state: State::Down,
            diagnostic: Diagnostic::NONE,
            remote_diagnostic: Diagnostic::NONE,
            discriminator,
            remote_discriminator: 0,
            desired_min_tx: interval.max(SLOW),
            transmit_min: interval.max(SLOW),
            required_min_rx: interval,
            detect_min: interval,
            remote_min_rx: REMOTE_MIN_RX_AT_FIRST,
            remote_desired_min_tx: Duration::ZERO,
            remote_detect_mult: 0,
            remote_demand: false,
            poll: Poll::Idle,
            transmitted: now,
            jitter: 0,
            received: None,
            flaps: 0,
            random: seed,
        }
    }

    pub(crate) fn discriminator(&self) -> u32 {
        self.discriminator
    }

    pub(crate) fn settings(&self) -> BfdSettings {
        self.settings
    }

    /// The state as its clients are to see it: that the other side is held down by an administrator says nothing about
    /// the path, and is not `Down` (RFC 5882 §3.2).
    pub(crate) fn state(&self) -> State {
        match self.state {
            State::Down if self.remote_state == State::AdminDown => State::AdminDown,
            state => state,
        }
    }

    pub(crate) fn diagnostic(&self) -> Diagnostic {
        self.diagnostic
    }

    pub(crate) fn remote_diagnostic(&self) -> Diagnostic {
        self.remote_diagnostic
    }

    /// Times that it left `Up`.
    pub(crate) fn flaps(&self) -> u64 {
        self.flaps
    }

    /// The interval at which it sends, before jitter (RFC 5880 §6.8.2).
    pub(crate) fn transmit_interval(&self) -> Duration {
        self.transmit_min.max(self.remote_min_rx)
    }

    /// The silence after which the other side is down (RFC 5880 §6.8.4); zero while nothing was heard of it.
    pub(crate) fn detection_time(&self) -> Duration {
        self.detect_min.max(self.remote_desired_min_tx) * u32::from(self.remote_detect_mult)
    }

    /// When it wants a [`Event::Tick`]; none is due while it waits for nothing.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let expires = self.received.map(|received| received + self.detection_time());
        [expires, self.next_transmission()].into_iter().flatten().min()
    }

    /// Takes an event in. What it gives is to be sent at once.
    pub(crate) fn handle(&mut self, event: Event, now: Instant) -> Option<Packet> {
        let before = self.packet();
        let answer = matches!(event, Event::Received(packet) if packet.poll);
        match event {
            Event::Received(packet) => self.receive(&packet, now),
            Event::Tick => self.expire(now),
            Event::Settings(settings) => self.set(settings),
            Event::Disable => {
                self.leave(State::AdminDown, Diagnostic::ADMIN_DOWN);
            }
        }
        let packet = self.packet();
        if answer {
            // RFC 5880 §6.5: at once, and never with the Poll bit.
            if packet != before {
                self.transmitted = now;
                self.draw_jitter();
            }
            return Some(Packet { poll: false, is_final: true, ..packet });
        }
        let due = || self.next_transmission().is_some_and(|next| next <= now);
        if packet == before && !due() {
            return None;
        }
        self.transmitted = now;
        self.draw_jitter();
        Some(Packet { poll: self.poll != Poll::Idle, ..packet })
    }

    /// RFC 5880 §6.8.6, after the packet was found to be this session's.
    fn receive(&mut self, packet: &Packet, now: Instant) {
        self.remote_discriminator = packet.my_discriminator;
        self.remote_state = packet.state;
        self.remote_diagnostic = packet.diagnostic;
        self.remote_demand = packet.demand;
        self.remote_min_rx = Duration::from_micros(packet.required_min_rx_us.into());
        self.remote_desired_min_tx = Duration::from_micros(packet.desired_min_tx_us.into());
        self.remote_detect_mult = packet.detect_mult;
        if packet.is_final {
            self.end_poll();
        }
        self.received = Some(now);
        match (self.state, packet.state) {
            (State::AdminDown | State::Down, State::AdminDown) | (State::AdminDown, _) => {}
            (State::Init | State::Up, State::AdminDown) | (State::Up, State::Down) => {
                self.leave(State::Down, Diagnostic::SIGNALLED_DOWN);
            }
            (State::Down, State::Down) => self.state = State::Init,
            (State::Down, State::Init) | (State::Init, State::Init | State::Up) => self.come_up(),
            (State::Down | State::Up, State::Up) | (State::Init, State::Down) | (State::Up, State::Init) => {}
        }
    }

    /// RFC 5880 §6.8.4 and, for the discriminator, §6.8.1.
    fn expire(&mut self, now: Instant) {
        let Some(received) = self.received else { return };
        if now < received + self.detection_time() {
            return;
        }
        self.received = None;
        self.remote_discriminator = 0;
        self.remote_state = State::Down;
        self.remote_demand = false;
        self.remote_min_rx = REMOTE_MIN_RX_AT_FIRST;
        if matches!(self.state, State::Init | State::Up) {
            self.leave(State::Down, Diagnostic::EXPIRED);
        }
    }

    fn come_up(&mut self) {
        self.state = State::Up;
        self.diagnostic = Diagnostic::NONE;
        let interval = interval_of(self.settings);
        if interval < self.desired_min_tx {
            self.desired_min_tx = interval;
            self.transmit_min = interval;
            self.poll = Poll::Asking;
        }
    }

    fn leave(&mut self, state: State, diagnostic: Diagnostic) {
        self.flaps += u64::from(self.state == State::Up);
        self.state = state;
        self.diagnostic = diagnostic;
        self.slow_down();
    }

    /// Intervals of a session that is not up.
    fn slow_down(&mut self) {
        let interval = interval_of(self.settings);
        self.desired_min_tx = interval.max(SLOW);
        self.required_min_rx = interval;
        self.poll = Poll::Idle;
        self.put_in_force();
    }

    /// RFC 5880 §6.8.3.
    fn set(&mut self, settings: BfdSettings) {
        let changed = settings.interval_ms != self.settings.interval_ms;
        self.settings = settings;
        if self.state != State::Up {
            return self.slow_down();
        }
        if !changed {
            return;
        }
        let interval = interval_of(settings);
        self.desired_min_tx = interval;
        self.required_min_rx = interval;
        self.transmit_min = self.transmit_min.min(interval);
        self.detect_min = self.detect_min.max(interval);
        self.poll = if self.poll == Poll::Idle { Poll::Asking } else { Poll::AskingAgain };
    }

    fn end_poll(&mut self) {
        self.poll = match self.poll {
            Poll::Idle => return,
            Poll::AskingAgain => Poll::Asking,
            Poll::Asking => {
                self.put_in_force();
                Poll::Idle
            }
        };
    }

    fn put_in_force(&mut self) {
        self.transmit_min = self.desired_min_tx;
        self.detect_min = self.required_min_rx;
    }

    /// When the next periodic packet is due; none while the other side wants none (RFC 5880 §6.8.7).
    fn next_transmission(&self) -> Option<Instant> {
        let both_up = self.state == State::Up && self.remote_state == State::Up;
        let on_demand = self.remote_demand && both_up && self.poll == Poll::Idle;
        if self.remote_min_rx.is_zero() || on_demand {
            return None;
        }
        Some(self.transmitted + self.transmit_interval() * self.jitter / JITTER_PARTS)
    }

    /// What it has to say now, without Poll and Final.
    fn packet(&self) -> Packet {
        let micros = |duration: Duration| u32::try_from(duration.as_micros()).unwrap_or(u32::MAX);
        Packet {
            diagnostic: self.diagnostic,
            state: self.state,
            poll: false,
            is_final: false,
            control_plane_independent: false,
            demand: false,
            detect_mult: self.settings.multiplier.max(1),
            my_discriminator: self.discriminator,
            your_discriminator: self.remote_discriminator,
            desired_min_tx_us: micros(self.desired_min_tx),
            required_min_rx_us: micros(self.required_min_rx),
            required_min_echo_rx_us: 0,
        }
    }

    /// RFC 5880 §6.8.7: 75 to 100 % of the interval, 75 to 90 % where a single lost packet ends the session.
    fn draw_jitter(&mut self) {
        let least = JITTER_PARTS * 3 / 4;
        let most = if self.settings.multiplier <= 1 { JITTER_PARTS * 9 / 10 } else { JITTER_PARTS };
        self.jitter = least + next_random(&mut self.random) % (most - least + 1);
    }
}

fn interval_of(settings: BfdSettings) -> Duration {
    Duration::from_millis(settings.interval_ms.max(1).into())
}

/// SplitMix64 (Steele, Lea, Flood 2014): nobody gains by guessing it.
pub(super) fn next_random(state: &mut u64) -> u32 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut bits = *state;
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((bits ^ (bits >> 31)) >> 32) as u32
}
