//! BFD sessions alone, by RFC 5880's tables, and two of them against each other over a link that loses packets.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use config::BfdSettings;

use super::packet::{Diagnostic, Packet, State};
use super::session::{Event, Session, next_random};

const FAST: BfdSettings = BfdSettings { interval_ms: 50, multiplier: 3 };
const MS: Duration = Duration::from_millis(1);

/// What a neighbour at 50 ms × 3 says.
fn packet(state: State) -> Packet {
    Packet {
        diagnostic: Diagnostic::NONE,
        state,
        poll: false,
        is_final: false,
        control_plane_independent: false,
        demand: false,
        detect_mult: 3,
        my_discriminator: 2,
        your_discriminator: 1,
        desired_min_tx_us: 50_000,
        required_min_rx_us: 50_000,
        required_min_echo_rx_us: 0,
    }
}

fn session(now: Instant) -> Session {
    Session::new(FAST, 1, 7, now)
}

/// A session brought into a state by packets.
fn in_state(state: State, now: Instant) -> Session {
    let mut session = session(now);
    let events: &[Event] = match state {
        State::AdminDown => &[Event::Disable],
        State::Down => &[],
        State::Init => &[Event::Received(packet(State::Down))],
        State::Up => &[Event::Received(packet(State::Init))],
    };
    for event in events {
        session.handle(*event, now);
    }
    assert_eq!(session.state(), state);
    session
}

/// RFC 5880 §6.8.6 (and the diagram of §6.2): the state after a packet, by the state before it.
#[test]
fn states_follow_the_table() {
    use State::{AdminDown, Down, Init, Up};
    let table = [
        (Down, [(Down, Init), (Init, Up), (Up, Down), (AdminDown, AdminDown)]),
        (Init, [(Down, Init), (Init, Up), (Up, Up), (AdminDown, AdminDown)]),
        (Up, [(Down, Down), (Init, Up), (Up, Up), (AdminDown, AdminDown)]),
        (AdminDown, [(Down, AdminDown), (Init, AdminDown), (Up, AdminDown), (AdminDown, AdminDown)]),
    ];
    for (before, rows) in table {
        for (received, after) in rows {
            let now = Instant::now();
            let mut session = in_state(before, now);
            let sent = session.handle(Event::Received(packet(received)), now + MS);
            assert_eq!(session.state(), after, "{before:?} and {received:?} received");
            if before == Up && after != Up {
                assert_eq!(session.diagnostic(), Diagnostic::SIGNALLED_DOWN);
                assert_eq!(sent.map(|sent| sent.state), Some(Down), "the other side hears of it at once");
                assert_eq!(session.flaps(), 1);
            }
        }
    }
}

/// RFC 5880 §6.8.4: the remote Detect Mult, times the larger of what we require and what it desires.
#[test]
fn silence_for_the_detection_time_ends_a_session() {
    for (required_ms, desired_us, mult, expected_ms) in
        [(50, 50_000, 3, 150), (50, 200_000, 3, 600), (300, 50_000, 2, 600), (10, 10_000, 5, 50)]
    {
        let start = Instant::now();
        let settings = BfdSettings { interval_ms: required_ms, multiplier: 3 };
        let mut session = Session::new(settings, 1, 7, start);
        let init = Packet { desired_min_tx_us: desired_us, detect_mult: mult, ..packet(State::Init) };
        session.handle(Event::Received(init), start);
        assert_eq!(session.detection_time(), MS * expected_ms);
        session.handle(Event::Tick, start + MS * expected_ms - Duration::from_micros(1));
        assert_eq!(session.state(), State::Up);
        let sent = session.handle(Event::Tick, start + MS * expected_ms).expect("it says so at once");
        assert_eq!((session.state(), session.diagnostic()), (State::Down, Diagnostic::EXPIRED));
        assert_eq!((sent.state, sent.diagnostic, sent.your_discriminator), (State::Down, Diagnostic::EXPIRED, 0));
        assert_eq!(sent.desired_min_tx_us, 1_000_000, "RFC 5880 §6.8.3");
    }
}

/// RFC 5880 §6.5, §6.8.3: fast only when up, by a Poll Sequence that a Final ends.
#[test]
fn intervals_change_by_a_poll_sequence() {
    let start = Instant::now();
    let mut session = session(start);
    let first = session.handle(Event::Tick, start).expect("the first packet");
    assert_eq!((first.state, first.your_discriminator, first.poll), (State::Down, 0, false));
    assert_eq!((first.desired_min_tx_us, first.required_min_rx_us), (1_000_000, 50_000));
    assert_eq!(session.transmit_interval(), MS * 1000);
    let up = session.handle(Event::Received(packet(State::Init)), start + MS).expect("a change is told at once");
    assert_eq!((up.state, up.poll, up.desired_min_tx_us), (State::Up, true, 50_000));
    assert_eq!(session.transmit_interval(), MS * 50);
    let next = session.handle(Event::Tick, start + MS * 60).expect("a periodic packet");
    assert!(next.poll, "until it is answered");
    let sent = session.handle(Event::Received(Packet { is_final: true, ..packet(State::Up) }), start + MS * 61);
    assert_eq!(sent, None);
    let next = session.handle(Event::Tick, start + MS * 120).expect("a periodic packet");
    assert!(!next.poll);

    // Slower: what is announced is in force only once the other side knows.
    session.handle(Event::Settings(BfdSettings { interval_ms: 200, multiplier: 3 }), start + MS * 121).expect("a poll");
    assert_eq!((session.transmit_interval(), session.detection_time()), (MS * 50, MS * 600));
    session.handle(Event::Received(Packet { is_final: true, ..packet(State::Up) }), start + MS * 122);
    assert_eq!(session.transmit_interval(), MS * 200);
    // Faster: sending at once, expecting only once the other side knows.
    session.handle(Event::Settings(BfdSettings { interval_ms: 60, multiplier: 3 }), start + MS * 123).expect("a poll");
    assert_eq!((session.transmit_interval(), session.detection_time()), (MS * 60, MS * 600));
    // Changed again before the answer, which may be to the first question.
    session.handle(Event::Settings(BfdSettings { interval_ms: 50, multiplier: 3 }), start + MS * 124).expect("a poll");
    session.handle(Event::Received(Packet { is_final: true, ..packet(State::Up) }), start + MS * 125);
    assert_eq!(session.detection_time(), MS * 600);
    session.handle(Event::Received(Packet { is_final: true, ..packet(State::Up) }), start + MS * 126);
    assert_eq!((session.transmit_interval(), session.detection_time()), (MS * 50, MS * 150));
}

/// RFC 5880 §6.5: a Poll is answered at once, in any state, without a Poll of our own in it.
#[test]
fn a_poll_is_answered_at_once() {
    for state in [State::AdminDown, State::Down, State::Init, State::Up] {
        let now = Instant::now();
        let mut session = in_state(state, now);
        session.handle(Event::Tick, now);
        let sent = session.handle(Event::Received(Packet { poll: true, ..packet(State::Up) }), now + MS);
        let sent = sent.unwrap_or_else(|| panic!("{state:?}: no answer"));
        assert!(sent.is_final && !sent.poll, "{state:?}");
        // And nothing else before the next interval.
        assert_eq!(session.handle(Event::Tick, now + MS * 2), None, "{state:?}");
    }
}

/// RFC 5880 §6.8.7: between 75 and 100 %, or 90 % with a multiplier of 1, of the slower of what we want to send and what
/// the other side wants to hear.
#[test]
fn packets_are_sent_with_jitter() {
    for (multiplier, remote_min_rx_ms, least_ms, most_ms) in
        [(3, 50, 37.5, 50.0), (1, 50, 37.5, 45.0), (3, 400, 300.0, 400.0)]
    {
        let mut now = Instant::now();
        let mut session = Session::new(BfdSettings { interval_ms: 50, multiplier }, 1, 99, now);
        // It sends so seldom itself that its silence does not end the session.
        let desired_min_tx_us = 10_000_000;
        let remote = Packet { required_min_rx_us: remote_min_rx_ms * 1000, desired_min_tx_us, ..packet(State::Init) };
        session.handle(Event::Received(remote), now);
        let mut gaps_ms = Vec::new();
        for _ in 0..2000 {
            let sent = now;
            now = session.next_deadline().expect("it sends");
            // Somebody is there.
            session.handle(Event::Received(Packet { is_final: true, state: State::Up, ..remote }), now - MS);
            session.handle(Event::Tick, now).expect("a periodic packet");
            gaps_ms.push((now - sent).as_secs_f64() * 1000.0);
        }
        let gaps_ms = &gaps_ms[1..];
        let (least, most) =
            gaps_ms.iter().fold((f64::MAX, 0f64), |(least, most), gap| (least.min(*gap), most.max(*gap)));
        assert!(least >= least_ms - 0.1 && least < least_ms * 1.02, "{least} of {least_ms}");
        assert!(most <= most_ms + 0.1 && most > most_ms * 0.98, "{most} of {most_ms}");
    }
}

/// RFC 5880 §6.8.7: none at all when the other side wants none; none by the clock in Demand mode (§6.6).
#[test]
fn who_wants_no_packets_gets_none() {
    let start = Instant::now();
    let mut session = in_state(State::Up, start);
    let up = Packet { is_final: true, ..packet(State::Up) };
    session.handle(Event::Received(Packet { required_min_rx_us: 0, ..up }), start);
    assert_eq!(session.next_deadline(), Some(start + session.detection_time()));
    session.handle(Event::Received(Packet { demand: true, ..up }), start);
    assert_eq!(session.next_deadline(), Some(start + session.detection_time()));
    let sent = session.handle(Event::Received(Packet { demand: true, poll: true, is_final: false, ..up }), start);
    assert!(sent.is_some_and(|sent| sent.is_final));
    session.handle(Event::Received(up), start);
    assert!(session.next_deadline() < Some(start + MS * 51));
}

/// Two sessions, and packets on their way between them.
struct Link {
    sides: [Session; 2],
    /// When it arrives, where, and what it is.
    flying: VecDeque<(Instant, usize, Packet)>,
    now: Instant,
    random: u64,
    /// Lost of a hundred packets, by who sends them.
    loss_percent: [u32; 2],
    sent: [u64; 2],
}

/// One way.
const DELAY: Duration = Duration::from_millis(4);

impl Link {
    fn new(settings: [BfdSettings; 2], seed: u64) -> Self {
        let now = Instant::now();
        let sides = [Session::new(settings[0], 1, seed, now), Session::new(settings[1], 2, seed + 1, now)];
        Self { sides, flying: VecDeque::new(), now, random: seed, loss_percent: [0, 0], sent: [0, 0] }
    }

    fn states(&self) -> [State; 2] {
        [self.sides[0].state(), self.sides[1].state()]
    }

    fn give(&mut self, side: usize, event: Event) {
        if let Some(packet) = self.sides[side].handle(event, self.now) {
            self.sent[side] += 1;
            if next_random(&mut self.random) % 100 >= self.loss_percent[side] {
                self.flying.push_back((self.now + DELAY, 1 - side, packet));
            }
        }
    }

    /// Lets the time pass, event by event, until the condition holds. Says how long it took.
    fn until(&mut self, most: Duration, condition: impl Fn(&Self) -> bool) -> Option<Duration> {
        let start = self.now;
        while self.now < start + most {
            if condition(self) {
                return Some(self.now - start);
            }
            let arrives = self.flying.front().map(|(arrives, ..)| *arrives);
            let deadlines = self.sides.iter().filter_map(Session::next_deadline).min();
            self.now = [arrives, deadlines].into_iter().flatten().min()?.max(self.now);
            match self.flying.pop_front() {
                Some((arrives, to, packet)) if arrives <= self.now => self.give(to, Event::Received(packet)),
                Some(flying) => {
                    self.flying.push_front(flying);
                    (0..2).for_each(|side| self.give(side, Event::Tick));
                }
                None => (0..2).for_each(|side| self.give(side, Event::Tick)),
            }
        }
        None
    }

    fn pass(&mut self, time: Duration) {
        assert_eq!(self.until(time, |_| false), None);
    }
}

const BOTH_UP: [State; 2] = [State::Up; 2];
const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn two_sessions_come_up_within_some_round_trips() {
    for (first, second) in [((50, 3), (50, 3)), ((50, 3), (300, 5)), ((10, 3), (2000, 1)), ((1, 1), (1, 1))] {
        let settings = [first, second].map(|(interval_ms, multiplier)| BfdSettings { interval_ms, multiplier });
        let mut link = Link::new(settings, 5);
        let took = link.until(MINUTE, |link| link.states() == BOTH_UP).expect("up");
        assert!(took <= DELAY * 4, "{took:?}");
        // With nothing lost it stays so, at the slower one's pace.
        let settled =
            |link: &Link| link.sides.iter().all(|side| side.transmit_interval() <= MS * first.0.max(second.0));
        link.until(MINUTE, settled).expect("the intervals of both");
        link.sent = [0, 0];
        link.pass(MINUTE);
        assert_eq!(link.states(), BOTH_UP);
        assert_eq!(link.sides.each_ref().map(Session::flaps), [0, 0]);
        let (least, most) =
            (60_000 / u64::from(first.0.max(second.0)), 60_000 * 4 / 3 / u64::from(first.0.max(second.0)));
        for sent in link.sent {
            assert!((least..=most + 2).contains(&sent), "{sent} packets in a minute, {least} to {most} expected");
        }
    }
}

#[test]
fn a_dead_link_is_noticed_by_both_and_a_mended_one_too() {
    for lost in [[100, 0], [0, 100], [100, 100]] {
        let mut link = Link::new([FAST, FAST], 11);
        link.until(MINUTE, |link| link.states() == BOTH_UP).expect("up");
        link.pass(MINUTE);
        link.loss_percent = lost;
        // The one that hears nothing notices; the other is told, if it still can be.
        let took = link.until(MINUTE, |link| link.states().iter().all(|state| *state != State::Up)).expect("down");
        assert!(took <= MS * 160 + DELAY, "{took:?}");
        link.pass(MINUTE);
        assert!(!link.states().contains(&State::Up));
        link.loss_percent = [0, 0];
        let took = link.until(MINUTE, |link| link.states() == BOTH_UP).expect("up again");
        assert!(took <= Duration::from_secs(1) + DELAY * 4, "{took:?}");
        assert_eq!(link.sides.each_ref().map(Session::flaps), [1, 1]);
    }
}

#[test]
fn a_lossy_link_comes_up_all_the_same() {
    for seed in 0..50 {
        let mut link = Link::new([FAST, BfdSettings { interval_ms: 50, multiplier: 5 }], seed);
        link.loss_percent = [30, 30];
        link.until(MINUTE, |link| link.states() == BOTH_UP).expect("up within a minute at 30 % loss");
        link.pass(MINUTE);
        link.loss_percent = [0, 0];
        link.until(MINUTE, |link| link.states() == BOTH_UP).expect("up");
        link.pass(MINUTE);
        assert_eq!(link.states(), BOTH_UP);
        for side in &link.sides {
            assert_eq!(side.transmit_interval(), MS * 50, "no Poll Sequence got stuck");
        }
    }
}

/// RFC 5880 §6.8.16, RFC 5882 §3.2: not taken for a broken path by the other side.
#[test]
fn held_down_on_purpose_is_not_down() {
    let mut link = Link::new([FAST, FAST], 3);
    link.until(MINUTE, |link| link.states() == BOTH_UP).expect("up");
    link.give(0, Event::Disable);
    link.until(MINUTE, |link| link.states()[1] != State::Up).expect("the other side hears of it");
    assert_eq!(link.states(), [State::AdminDown; 2]);
    assert_eq!(link.sides[1].remote_diagnostic(), Diagnostic::ADMIN_DOWN);
}

/// A neighbour that has started anew, with another discriminator, is found again.
#[test]
fn a_neighbour_that_starts_anew_comes_up() {
    let mut link = Link::new([FAST, FAST], 3);
    link.until(MINUTE, |link| link.states() == BOTH_UP).expect("up");
    link.sides[1] = Session::new(FAST, 77, 4, link.now);
    link.until(MINUTE, |link| link.states()[0] != State::Up).expect("it notices");
    link.until(MINUTE, |link| link.states() == BOTH_UP).expect("up again");
    assert_eq!(link.sides[0].flaps(), 1);
}

#[test]
fn any_bytes_are_lived_through() {
    let mut random = 1;
    for _ in 0..300 {
        let data: Vec<u8> = (0..26 * 40)
            .map(|index| match index % 26 {
                // Well-formed often enough to get somewhere.
                2 => 0x20,
                3 => (next_random(&mut random) as u8) & 0xfa,
                5 => 24,
                _ => next_random(&mut random) as u8,
            })
            .collect();
        super::fuzzing::packets(&data);
    }
}
