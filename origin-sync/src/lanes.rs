//! Which attempts run now and which wait: a cap for all of them, one for each origin address, and room kept for those
//! that a NOTIFY or an operator waits for. No I/O.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

/// Attempts that run at one time.
pub(crate) const ATTEMPTS_MAX: usize = 64;
/// Attempts that run at one time at one address. BIND serves 10 transfers at a time by default (`transfers-out`).
pub(crate) const ATTEMPTS_PER_ADDRESS_MAX: usize = 8;
/// How many of either are kept for urgent attempts: one part of this many.
const URGENT_PART: usize = 4;
/// How long an address that could not be reached is not asked first.
const AVOID: Duration = Duration::from_secs(30);

/// The queues.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    lanes: HashMap<SocketAddr, Lane>,
    running: usize,
}

#[derive(Debug, Default)]
struct Lane {
    running: usize,
    urgent: VecDeque<u64>,
    patient: VecDeque<u64>,
    avoid_until: Option<Duration>,
}

impl Lanes {
    /// Queues a zone's attempt at an address.
    pub(crate) fn queue(&mut self, address: SocketAddr, zone: u64, urgent: bool) {
        let lane = self.lanes.entry(address).or_default();
        if urgent { lane.urgent.push_back(zone) } else { lane.patient.push_back(zone) }
    }

    /// Zones whose attempts may start now; each counts as running until [`Lanes::ended`].
    pub(crate) fn start(&mut self) -> Vec<u64> {
        let mut started = Vec::new();
        for urgent in [true, false] {
            let (all, each) = if urgent {
                (ATTEMPTS_MAX, ATTEMPTS_PER_ADDRESS_MAX)
            } else {
                (
                    ATTEMPTS_MAX - ATTEMPTS_MAX / URGENT_PART,
                    ATTEMPTS_PER_ADDRESS_MAX - ATTEMPTS_PER_ADDRESS_MAX / URGENT_PART,
                )
            };
            // One from each address in turn, so that a busy origin does not hold up the others.
            let mut progress = true;
            while progress {
                progress = false;
                for lane in self.lanes.values_mut() {
                    if self.running >= all || lane.running >= each {
                        continue;
                    }
                    let queue = if urgent { &mut lane.urgent } else { &mut lane.patient };
                    if let Some(zone) = queue.pop_front() {
                        lane.running += 1;
                        self.running += 1;
                        started.push(zone);
                        progress = true;
                    }
                }
            }
        }
        started
    }

    /// An attempt has ended.
    pub(crate) fn ended(&mut self, address: SocketAddr) {
        self.running = self.running.saturating_sub(1);
        if let Some(lane) = self.lanes.get_mut(&address) {
            lane.running = lane.running.saturating_sub(1);
        }
    }

    /// Takes a waiting attempt back.
    pub(crate) fn forget(&mut self, address: SocketAddr, zone: u64) {
        if let Some(lane) = self.lanes.get_mut(&address) {
            lane.urgent.retain(|&waiting| waiting != zone);
            lane.patient.retain(|&waiting| waiting != zone);
        }
    }

    /// Notes whether an address could be reached.
    pub(crate) fn note(&mut self, address: SocketAddr, reached: bool, now: Duration) {
        if let Some(lane) = self.lanes.get_mut(&address) {
            lane.avoid_until = (!reached).then_some(now + AVOID);
        }
    }

    /// Whether an address could not be reached a moment ago.
    pub(crate) fn avoids(&self, address: SocketAddr, now: Duration) -> bool {
        self.lanes.get(&address).and_then(|lane| lane.avoid_until).is_some_and(|until| now < until)
    }

    /// Attempts that run.
    pub(crate) fn running(&self) -> usize {
        self.running
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> SocketAddr {
        ([192, 0, 2, last], 53).into()
    }

    #[test]
    fn an_address_has_its_cap_and_room_for_the_urgent() {
        let mut lanes = Lanes::default();
        (0..20).for_each(|zone| lanes.queue(address(1), zone, false));
        assert_eq!(lanes.start(), [0, 1, 2, 3, 4, 5]);
        lanes.queue(address(1), 100, true);
        lanes.queue(address(1), 101, true);
        lanes.queue(address(1), 102, true);
        assert_eq!(lanes.start(), [100, 101]);
        lanes.ended(address(1));
        assert_eq!(lanes.start(), [102]);
        (0..3).for_each(|_| lanes.ended(address(1)));
        assert_eq!(lanes.start(), [6]);
    }

    #[test]
    fn all_addresses_together_have_theirs() {
        let mut lanes = Lanes::default();
        for last in 0..20 {
            (0..10).for_each(|zone| lanes.queue(address(last), u64::from(last) * 100 + zone, false));
        }
        assert_eq!(lanes.start().len(), 48);
        lanes.queue(address(3), 7, true);
        assert_eq!(lanes.start(), [7]);
        assert_eq!(lanes.running(), 49);
    }

    #[test]
    fn what_is_forgotten_does_not_start() {
        let mut lanes = Lanes::default();
        lanes.queue(address(1), 1, false);
        lanes.queue(address(1), 2, true);
        lanes.forget(address(1), 1);
        lanes.forget(address(1), 2);
        assert_eq!(lanes.start(), [0; 0]);
    }

    #[test]
    fn an_address_out_of_reach_is_avoided_for_a_while() {
        let mut lanes = Lanes::default();
        lanes.queue(address(1), 1, false);
        lanes.note(address(1), false, Duration::from_secs(5));
        assert!(lanes.avoids(address(1), Duration::from_secs(34)));
        assert!(!lanes.avoids(address(1), Duration::from_secs(35)));
        lanes.note(address(1), true, Duration::from_secs(6));
        assert!(!lanes.avoids(address(1), Duration::from_secs(7)));
    }
}
