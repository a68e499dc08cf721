//! One direction of a wire, without I/O and clock: when does a frame that entered now come out, if it does?

use std::time::Duration;

use super::Quality;
use crate::random::Random;

/// Frames that are under way in one direction; more are dropped, as a full queue does.
pub(super) const FRAMES_MAX: usize = 20_000;
/// On a wire with a rate: a frame that would wait longer than this before it is sent is dropped.
const QUEUE_MAX: Duration = Duration::from_millis(200);

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fate {
    /// It comes out at this time.
    Arrives {
        /// Nanoseconds on the caller's clock.
        due_ns: u64,
    },
    /// The wire lost it, by chance.
    Lost,
    /// There was no room for it.
    Dropped,
}

/// One direction of a wire.
pub(super) struct Path {
    random: Random,
    /// The sender is busy with earlier frames until then.
    busy_until_ns: u64,
    /// The last frame comes out then; in order, none does before.
    last_due_ns: u64,
    under_way: usize,
}

impl Path {
    pub(super) fn new(seed: u64) -> Path {
        Path { random: Random::new(seed), busy_until_ns: 0, last_due_ns: 0, under_way: 0 }
    }

    /// A frame of `bytes` enters at `now_ns`.
    pub(super) fn enter(&mut self, now_ns: u64, bytes: usize, quality: &Quality) -> Fate {
        if quality.loss > 0.0 && self.random.share() < quality.loss {
            return Fate::Lost;
        }
        if self.under_way >= FRAMES_MAX {
            return Fate::Dropped;
        }
        let Some(sent_ns) = self.send(now_ns, bytes, quality.rate_bit_per_s) else { return Fate::Dropped };
        let jitter_ns = match nanoseconds(quality.jitter) {
            0 => 0,
            most => self.random.next() % (most + 1),
        };
        let mut due_ns = sent_ns + nanoseconds(quality.delay) + jitter_ns;
        if !quality.reorder {
            due_ns = due_ns.max(self.last_due_ns);
            self.last_due_ns = due_ns;
        }
        self.under_way += 1;
        Fate::Arrives { due_ns }
    }

    /// A frame came out, or was thrown away on the way.
    pub(super) fn leave(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// When the last bit of the frame is sent; `None` where the queue before the wire is full.
    fn send(&mut self, now_ns: u64, bytes: usize, rate_bit_per_s: Option<u64>) -> Option<u64> {
        let Some(rate) = rate_bit_per_s else { return Some(now_ns) };
        let begins = self.busy_until_ns.max(now_ns);
        if begins - now_ns > nanoseconds(QUEUE_MAX) {
            return None;
        }
        let bits = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(8);
        self.busy_until_ns = begins + bits.saturating_mul(1_000_000_000) / rate.max(1);
        Some(self.busy_until_ns)
    }
}

pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn due(fate: Fate) -> u64 {
        match fate {
            Fate::Arrives { due_ns } => due_ns,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_frame_comes_out_after_the_delay() {
        let mut path = Path::new(1);
        let quality = Quality::delay(Duration::from_millis(20));
        assert_eq!(due(path.enter(5 * MS, 100, &quality)), 25 * MS);
    }

    #[test]
    fn jitter_keeps_the_order_unless_reordering_is_asked_for() {
        let late = |quality: Quality| {
            let mut path = Path::new(7);
            let dues: Vec<u64> = (0..1000).map(|at| due(path.enter(at * MS / 10, 100, &quality))).collect();
            assert!(dues.iter().zip(0..).all(|(due, at)| (10 * MS..=16 * MS).contains(&(due - at * MS / 10))));
            dues.windows(2).filter(|pair| matches!(pair, [first, second] if second < first)).count()
        };
        let jittered = Quality::delay(Duration::from_millis(10)).jitter(Duration::from_millis(6));
        assert_eq!(late(jittered), 0);
        assert!(late(jittered.reorder()) > 100);
    }

    #[test]
    fn so_many_are_lost_and_the_same_ones_with_the_same_seed() {
        let quality = Quality::default().loss(0.1);
        let lost = |seed| {
            let mut path = Path::new(seed);
            let fates = (0..10_000).map(|_| {
                let fate = path.enter(0, 100, &quality);
                path.leave();
                fate == Fate::Lost
            });
            fates.collect::<Vec<bool>>()
        };
        let share = lost(3).iter().filter(|lost| **lost).count();
        assert!((900..=1100).contains(&share), "{share}");
        assert_eq!(lost(3), lost(3));
        assert_ne!(lost(3), lost(4));
    }

    #[test]
    fn a_rate_spaces_frames_out_and_its_queue_is_bounded() {
        let quality = Quality::default().rate(1_000_000);
        let mut path = Path::new(1);
        // 1250 bytes at 1 Mbit/s take 10 ms.
        assert_eq!(due(path.enter(0, 1250, &quality)), 10 * MS);
        assert_eq!(due(path.enter(0, 1250, &quality)), 20 * MS);
        let room = (0..100).take_while(|_| path.enter(0, 1250, &quality) != Fate::Dropped).count();
        assert_eq!(room, 19);
        assert_eq!(due(path.enter(300 * MS, 1250, &quality)), 310 * MS);
    }

    #[test]
    fn only_so_many_are_under_way() {
        let mut path = Path::new(1);
        let quality = Quality::delay(Duration::from_secs(1));
        assert!((0..FRAMES_MAX).all(|_| matches!(path.enter(0, 60, &quality), Fate::Arrives { .. })));
        assert_eq!(path.enter(0, 60, &quality), Fate::Dropped);
        path.leave();
        assert!(matches!(path.enter(0, 60, &quality), Fate::Arrives { .. }));
    }
}
