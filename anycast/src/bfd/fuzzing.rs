//! Ways in for the fuzz target; no part of the interface.

use std::time::{Duration, Instant};

use config::BfdSettings;

use super::packet::{PACKET_BYTES, Packet, State};
use super::session::{Event, Session};

/// Bytes of a step: a moment that passes, what happens, and a packet.
const STEP_BYTES: usize = 2 + PACKET_BYTES;

/// Reads packets, and has a session live through them with any time between: what is read is written the same, what is
/// sent is well-formed, and a session is up only while it knows the other side.
pub fn packets(data: &[u8]) {
    let start = Instant::now();
    let mut now = start;
    let mut session = Session::new(BfdSettings { interval_ms: 50, multiplier: 3 }, 1, 1, start);
    for step in data.chunks(STEP_BYTES) {
        let Some((&[pause, event], bytes)) = step.split_first_chunk::<2>() else { return };
        now += Duration::from_millis(u64::from(pause) * 4);
        let received = Packet::decode(bytes).ok();
        if let Some(packet) = received {
            assert_eq!(Packet::decode(&packet.encode()), Ok(packet));
        }
        let event = match (event, received) {
            (0..=15, _) => Event::Settings(BfdSettings { interval_ms: u32::from(event) * 10, multiplier: event }),
            (16, _) => Event::Disable,
            (17..=99, _) | (_, None) => Event::Tick,
            (_, Some(packet)) => Event::Received(packet),
        };
        if let Some(sent) = session.handle(event, now) {
            assert_eq!(Packet::decode(&sent.encode()), Ok(sent));
            assert!(!(sent.poll && sent.is_final), "Poll and Final in one packet");
        }
        let silence = session.handle(Event::Tick, now + Duration::from_millis(1));
        assert!(silence.is_none_or(|sent| !sent.is_final), "nobody has asked for a Final");
        let _ = session.next_deadline();
        assert!(session.state() != State::Up || !session.detection_time().is_zero(), "up without a detection time");
    }
}
