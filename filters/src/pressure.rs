//! Whether a lane has more to answer than it can, and what it leaves out then: the worst first.
//!
//! ```text
//! receive buffer   what is left out
//!   0 to 24 %      a part less, each 10 ms
//!  25 to 36 %      as it is
//!  37 to 59 %      two parts more, each 2 ms
//!  60 to 100 %     a class more, each 2 ms; at 100 % the kernel drops, blindly
//! ```
//!
//! Queries are in classes by their penalties, and a class is left out in sixteenths. A class that has hardly anybody in it is
//! passed over, so that all of a large one is left out before the buffer is full. What has no penalty is never left out,
//! and nothing is where leaving out more would not make the backlog shorter.
//!
//! How full the buffer is counts, not how long it has not been empty: attackers and networks send in bursts, a machine stands
//! still for some milliseconds now and then, and a lane that is busy to three quarters is seldom without a queue.

use std::cell::Cell;

use crate::Now;

/// The least penalty of each class, the worst class first.
const CLASSES: [u8; 7] = [80, 60, 40, 30, 15, 10, 1];
/// Parts of a class that are left out one after the other.
const PARTS: u8 = 16;
/// All of all classes is left out.
const LEVEL_MAX: u8 = CLASSES.len() as u8 * PARTS;
/// Of the receive buffer, in percent: below the first more is served again, from the second on less is, and from the third on
/// a class at once. The kernel gives back what was read in lumps of up to a quarter of the buffer, so that a queue may seem
/// longer than it is by as much.
const EASY_PERCENT: u8 = 25;
const PRESSED_PERCENT: u8 = 37;
const HARD_PRESSED_PERCENT: u8 = 60;
/// So many parts more when there is too much.
const PRESS_PARTS: u8 = 2;
/// How full the buffer is asked so often, at most.
const LOOK_US: u64 = 500;
/// Each level has so long to show what it does.
const SETTLE_US: u64 = 2_000;
/// And so long it stays before more is served again.
const HOLD_US: u64 = 10_000;
/// To leave out a class helps where one of so many queries is served that belongs to it.
const BORNE_PART: u32 = 20;

/// The pressure on one lane.
#[derive(Debug, Default)]
pub struct Pressure {
    /// Parts of classes that are left out, the worst first.
    level: Cell<u8>,
    /// Which of a class that is left out in part comes next.
    turns: Cell<u8>,
    /// When the buffer was looked at for the last time.
    looked_us: Cell<u64>,
    /// When the level was changed for the last time.
    settled_us: Cell<u64>,
    /// Queries looked at, and how many of each class were served, since the level was changed or there was room.
    looked_at: Cell<u32>,
    borne: [Cell<u32>; CLASSES.len()],
}

/// The class of a penalty; none if there is no penalty.
fn class_of(penalty: u8) -> Option<u8> {
    (0..).zip(CLASSES).find(|(_, least)| penalty >= *least).map(|(class, _)| class)
}

impl Pressure {
    /// Whether a query with this penalty is served now. What has none always is.
    #[inline]
    pub(crate) fn serves(&self, penalty: u8) -> bool {
        if self.level.get() == 0 || penalty == 0 {
            return true;
        }
        self.serves_in_part(penalty)
    }

    fn serves_in_part(&self, penalty: u8) -> bool {
        let Some(class) = class_of(penalty) else { return true };
        let (whole, parts) = (self.level.get() / PARTS, self.level.get() % PARTS);
        if class != whole {
            return class > whole;
        }
        let turn = self.turns.get();
        self.turns.set(turn.wrapping_add(1));
        turn % PARTS >= parts
    }

    /// Whether anything is left out.
    pub fn is_on(&self) -> bool {
        self.level.get() > 0
    }

    /// One more query was looked at.
    #[inline]
    pub(crate) fn looked_at(&self) {
        self.looked_at.set(self.looked_at.get().wrapping_add(1));
    }

    /// One with this penalty was served.
    #[inline]
    pub(crate) fn bore(&self, penalty: u8) {
        if let Some(borne) = class_of(penalty).and_then(|class| self.borne.get(usize::from(class))) {
            borne.set(borne.get().wrapping_add(1));
        }
    }

    fn count_anew(&self) {
        self.looked_at.set(0);
        self.borne.iter().for_each(|borne| borne.set(0));
    }

    /// To be told after each turn over the lane's sockets: whether one of them may have more than was taken from it, and if
    /// so how full its receive buffer is, in percent.
    #[inline]
    pub fn turn(&self, is_backlogged: bool, fill_percent: impl FnOnce() -> u8, now: impl FnOnce() -> Now) {
        // Most turns end here, without a look at the clock.
        if is_backlogged || self.is_on() {
            let now_us = now().us();
            if now_us.saturating_sub(self.looked_us.get()) >= LOOK_US {
                self.looked_us.set(now_us);
                self.follow(if is_backlogged { fill_percent() } else { 0 }, now_us);
            }
        }
    }

    #[cold]
    fn follow(&self, fill_percent: u8, now_us: u64) {
        let settled = now_us.saturating_sub(self.settled_us.get());
        match fill_percent {
            ..EASY_PERCENT if !self.is_on() => self.count_anew(),
            ..EASY_PERCENT if settled >= HOLD_US => self.set_level(self.level.get().saturating_sub(1), now_us),
            PRESSED_PERCENT..HARD_PRESSED_PERCENT if settled >= SETTLE_US => self.press(PRESS_PARTS, now_us),
            HARD_PRESSED_PERCENT.. if settled >= SETTLE_US => self.press(PARTS, now_us),
            _ => {}
        }
    }

    /// The level that leaves out so many parts more of the worst class that is worth it; none if no class is.
    fn next_level(&self, parts: u8) -> Option<u8> {
        let (level, least) = (self.level.get(), self.looked_at.get() / BORNE_PART);
        let worth_it = |class: &u8| self.borne.get(usize::from(*class)).is_some_and(|borne| borne.get() > least);
        let class = (level / PARTS..CLASSES.len() as u8).find(worth_it)?;
        Some(level.max(class * PARTS).saturating_add(parts).min((class + 1) * PARTS))
    }

    fn press(&self, parts: u8, now_us: u64) {
        match self.next_level(parts) {
            Some(level) => self.set_level(level, now_us),
            None => self.count_anew(),
        }
    }

    fn set_level(&self, level: u8, now_us: u64) {
        self.level.set(level.min(LEVEL_MAX));
        self.settled_us.set(now_us);
        self.count_anew();
    }
}

#[cfg(test)]
mod tests;
