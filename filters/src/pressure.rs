//! Whether a lane has more to answer than it can, and what it leaves out then: the worst first.
//!
//! ```text
//! socket backlogged for 2 ms ──> a quarter more of the worst that is served is left out ──> backlogged again after 2 ms ──> …
//! not backlogged for a hold  ──> a sixteenth less is left out ──> backlogged at once: the next hold is twice as long, else half
//! ```
//!
//! Queries are in classes by their penalties. A class that has hardly anybody in it is passed over, so that all of a large one
//! is left out within 8 ms: that has to be done before the socket's buffer is full, some ten milliseconds after it begins to
//! fill. What has no penalty is never left out, and nothing is where leaving out more would not make the backlog shorter.
//! Going back is tried, at first often, then seldom, in small steps: to try it with too little capacity costs some milliseconds
//! of waiting for all.

use std::cell::Cell;

use crate::Now;

/// The least penalty of each class, the worst class first.
const CLASSES: [u8; 6] = [80, 60, 40, 30, 15, 1];
/// Parts of a class that are left out one after the other.
const PARTS: u8 = 16;
/// All of all classes is left out.
const LEVEL_MAX: u8 = CLASSES.len() as u8 * PARTS;
/// So many parts more when there is a backlog.
const PRESS_PARTS: u8 = 4;
/// A backlog that lasts so long is more than a burst.
const BACKLOG_US: u64 = 2_000;
/// To leave out a class helps where one of so many queries is served that belongs to it.
const BORNE_PART: u32 = 20;
/// Shortest and longest time without a backlog until more is served again.
const HOLD_US_MIN: u64 = 10_000;
const HOLD_US_MAX: u64 = 160_000;
/// A backlog that comes so soon after more was served shows that it was too early.
const RELAPSE_US: u64 = 10_000;

/// The pressure on one lane.
#[derive(Debug)]
pub struct Pressure {
    /// Parts of classes that are left out, the worst first.
    level: Cell<u8>,
    /// Which of a class that is left out in part comes next.
    turns: Cell<u8>,
    /// Since when the socket has been backlogged; none if it is not.
    backlog_since_us: Cell<Option<u64>>,
    /// When the level was changed for the last time.
    settled_us: Cell<u64>,
    /// When more was served again for the last time.
    eased_us: Cell<u64>,
    hold_us: Cell<u64>,
    /// Queries looked at, and how many of each class were served, since the backlog began or the level was changed.
    looked_at: Cell<u32>,
    borne: [Cell<u32>; CLASSES.len()],
}

impl Default for Pressure {
    fn default() -> Pressure {
        Pressure {
            level: Cell::new(0),
            turns: Cell::new(0),
            backlog_since_us: Cell::new(None),
            settled_us: Cell::new(0),
            eased_us: Cell::new(0),
            hold_us: Cell::new(HOLD_US_MIN),
            looked_at: Cell::new(0),
            borne: Default::default(),
        }
    }
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

    /// To be told after each turn over the lane's sockets: whether one of them may have more than was taken from it.
    #[inline]
    pub fn turn(&self, is_backlogged: bool, now: impl FnOnce() -> Now) {
        // Most turns end here, without a look at the clock.
        if is_backlogged || self.is_on() {
            self.follow(is_backlogged, now().us());
        } else {
            self.backlog_since_us.set(None);
        }
    }

    #[cold]
    fn follow(&self, is_backlogged: bool, now_us: u64) {
        let since = |us: u64| now_us.saturating_sub(us);
        if !is_backlogged {
            self.backlog_since_us.set(None);
            if since(self.settled_us.get()) >= self.hold_us.get() {
                self.ease(now_us);
            }
            return;
        }
        let Some(began_us) = self.backlog_since_us.get() else {
            self.count_anew();
            return self.backlog_since_us.set(Some(now_us));
        };
        // Each level has its time to show.
        if since(began_us) >= BACKLOG_US && since(self.settled_us.get()) >= BACKLOG_US {
            self.press(now_us);
        }
    }

    /// The level that leaves out so many parts more of the worst class that is worth it; none if no class is.
    fn next_level(&self, parts: u8) -> Option<u8> {
        let (level, least) = (self.level.get(), self.looked_at.get() / BORNE_PART);
        let worth_it = |class: &u8| self.borne.get(usize::from(*class)).is_some_and(|borne| borne.get() > least);
        let class = (level / PARTS..CLASSES.len() as u8).find(worth_it)?;
        Some(level.max(class * PARTS).saturating_add(parts).min((class + 1) * PARTS))
    }

    fn press(&self, now_us: u64) {
        let has_relapsed = self.eased_us.get() > 0 && now_us.saturating_sub(self.eased_us.get()) < RELAPSE_US;
        let parts = if has_relapsed { 1 } else { PRESS_PARTS };
        let Some(level) = self.next_level(parts) else { return self.count_anew() };
        if has_relapsed {
            self.hold_us.set(self.hold_us.get().saturating_mul(2).min(HOLD_US_MAX));
            // Once for each attempt.
            self.eased_us.set(0);
        }
        self.set_level(level, now_us);
    }

    fn ease(&self, now_us: u64) {
        if self.eased_us.get() > 0 {
            self.hold_us.set((self.hold_us.get() / 2).max(HOLD_US_MIN));
        }
        self.eased_us.set(now_us);
        self.set_level(self.level.get().saturating_sub(1), now_us);
    }

    fn set_level(&self, level: u8, now_us: u64) {
        self.level.set(level.min(LEVEL_MAX));
        self.settled_us.set(now_us);
        self.count_anew();
    }
}

#[cfg(test)]
mod tests;
