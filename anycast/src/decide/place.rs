//! A service's place in the routers' tables: whether it is announced, how, and what has to pass before that changes.

use std::sync::Arc;
use std::time::Instant;

use config::RouteAttributes;

use super::damping::Damping;
use super::{GRACEFUL_SHUTDOWN, Rules};

/// What the other nodes say to a node that is unfit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Others {
    /// Enough of them that are well have promised to stay: it may leave now.
    Granted,
    /// Enough of them announce the service and are well, but have promised nothing; or it is too early to know.
    Enough,
    /// Too few of them do: nobody would be served any better without this one.
    TooFew,
}

/// What is wanted of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Announced.
    Up,
    /// Announced worse.
    Degraded,
    /// Not announced, if the others allow it; else announced worse.
    Unfit(Others),
    /// Not announced.
    Absent,
    /// Not announced, because somebody wants it so: there is time.
    AbsentOnPurpose,
}

/// How a service is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Announced {
    No,
    Up,
    Degraded,
    /// With the attributes that it had, and GRACEFUL_SHUTDOWN.
    Graceful {
        degraded: bool,
        since: Instant,
    },
}

/// One service.
#[derive(Debug)]
pub(super) struct Place {
    announced: Announced,
    damping: Damping,
    /// Whether it would be announced, or announced better, but for the hold-down.
    held: bool,
    /// It came back because the others were too few: it does not ask them again before this.
    asks_from: Option<Instant>,
}

impl Place {
    pub(super) fn new(damping: Damping) -> Place {
        Place { announced: Announced::No, damping, held: false, asks_from: None }
    }

    /// Brings the place nearer to what is wanted; whether that changed it between announced and not announced.
    pub(super) fn step(&mut self, wanted: Wanted, now: Instant, rules: &Rules) -> bool {
        let before = self.announced();
        let next = match (wanted, self.announced) {
            (Wanted::Up, _) => Announced::Up,
            (Wanted::Degraded, _) => Announced::Degraded,
            (Wanted::Unfit(Others::Granted), _) => Announced::No,
            // Who has left stays away while the others are enough.
            (Wanted::Unfit(Others::Enough), Announced::No) => Announced::No,
            (Wanted::Unfit(_), _) => Announced::Degraded,
            (Wanted::Absent, _) | (Wanted::AbsentOnPurpose, Announced::No) => Announced::No,
            (Wanted::AbsentOnPurpose, announced) => self.leave_gracefully(announced, now, rules),
        };
        let on_purpose = wanted == Wanted::AbsentOnPurpose;
        self.held = false;
        if next.rank() > self.announced.rank() && !on_purpose {
            self.damping.flap(now, rules.hold_down_max);
            self.announced = next;
        } else if next.rank() < self.announced.rank() && !self.rescues(wanted) && !self.damping.over(now) {
            self.held = true;
        } else {
            if self.rescues(wanted) {
                self.asks_from = Some(now + self.damping.hold());
            }
            self.announced = next;
        }
        before != self.announced()
    }

    /// Whether coming back cannot wait: the others are too few.
    fn rescues(&self, wanted: Wanted) -> bool {
        wanted == Wanted::Unfit(Others::TooFew) && self.announced == Announced::No
    }

    fn leave_gracefully(&self, announced: Announced, now: Instant, rules: &Rules) -> Announced {
        let degraded = announced == Announced::Degraded;
        let leaving = match announced {
            Announced::Graceful { .. } => announced,
            _ => Announced::Graceful { degraded, since: now },
        };
        match leaving {
            Announced::Graceful { since, .. } if now.saturating_duration_since(since) < rules.graceful_shutdown => {
                leaving
            }
            _ => Announced::No,
        }
    }

    pub(super) fn announced(&self) -> bool {
        self.announced != Announced::No
    }

    pub(super) fn is_up(&self) -> bool {
        self.announced == Announced::Up
    }

    /// Whether it may ask the others if it can leave.
    pub(super) fn asks(&self, now: Instant) -> bool {
        self.announced() && self.asks_from.is_none_or(|from| from <= now)
    }

    pub(super) fn damping(&self) -> Damping {
        self.damping
    }

    pub(super) fn held_until(&self) -> Option<Instant> {
        self.damping.until().filter(|_| self.held)
    }

    /// When something is due.
    pub(super) fn deadline(&self, rules: &Rules) -> Option<Instant> {
        match self.announced {
            Announced::Graceful { since, .. } => Some(since + rules.graceful_shutdown),
            _ => self.held_until(),
        }
    }

    pub(super) fn attributes(&self, rules: &Rules) -> Option<Arc<RouteAttributes>> {
        let usual = |degraded| if degraded { &rules.degraded } else { &rules.up };
        match self.announced {
            Announced::No => None,
            Announced::Up => Some(Arc::clone(usual(false))),
            Announced::Degraded => Some(Arc::clone(usual(true))),
            Announced::Graceful { degraded, .. } => {
                let mut attributes = RouteAttributes::clone(usual(degraded));
                if !attributes.communities.contains(&GRACEFUL_SHUTDOWN) {
                    attributes.communities.push(GRACEFUL_SHUTDOWN);
                }
                Some(Arc::new(attributes))
            }
        }
    }
}

impl Announced {
    /// The lower the better for routers.
    fn rank(self) -> u8 {
        match self {
            Announced::Up => 0,
            Announced::Degraded => 1,
            Announced::Graceful { .. } => 2,
            Announced::No => 3,
        }
    }
}
