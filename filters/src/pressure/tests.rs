//! A lane with a queue before it, on a simulated clock.

use super::*;

/// Queries that a lane's socket holds; what comes when it is full is lost.
const QUEUE_MAX: usize = 10_000;
const BATCH: usize = 64;
const DROP_NS: u64 = 1_200;
const ANSWER_NS: u64 = 4_000;

/// A lane, and what came to it.
struct Lane {
    pressure: Pressure,
    now_ns: u64,
    queue: std::collections::VecDeque<u8>,
    arrived: f64,
}

/// What became of the queries with one penalty.
#[derive(Clone, Copy, Debug, Default)]
struct Fate {
    came: u64,
    served: u64,
    /// Left out, or there was no room; the others may wait yet.
    lost: u64,
}

impl Fate {
    fn share(self) -> f64 {
        1.0 - self.lost as f64 / self.came.max(1) as f64
    }
}

impl Lane {
    fn new() -> Lane {
        Lane { pressure: Pressure::default(), now_ns: 1_000_000_000, queue: Default::default(), arrived: 0.0 }
    }

    /// So many ms with so many queries a second of each penalty. Says what became of each.
    fn run(&mut self, ms: u64, offered: &[(u8, f64)]) -> Vec<Fate> {
        let mut fates = vec![Fate::default(); offered.len()];
        let until_ns = self.now_ns + ms * 1_000_000;
        let (total, mut due) = (offered.iter().map(|(_, per_s)| per_s).sum::<f64>(), vec![0.0; offered.len()]);
        while self.now_ns < until_ns {
            let batch = self.queue.len().min(BATCH);
            let began_ns = self.now_ns;
            self.now_ns += 5_000;
            for place in self.queue.drain(..batch).collect::<Vec<_>>() {
                let penalty = offered[usize::from(place)].0;
                self.pressure.looked_at();
                let serves = self.pressure.serves(penalty);
                self.now_ns += if serves { ANSWER_NS } else { DROP_NS };
                if serves {
                    self.pressure.bore(penalty);
                    fates[usize::from(place)].served += 1;
                } else {
                    fates[usize::from(place)].lost += 1;
                }
            }
            let now_us = self.now_ns / 1000;
            let fill = self.queue.len() * 100 / QUEUE_MAX;
            self.pressure.turn(batch == BATCH, || fill as u8, || Now::from_us(now_us));
            self.arrived += total * (self.now_ns - began_ns) as f64 / 1e9;
            while self.arrived >= 1.0 {
                self.arrived -= 1.0;
                due.iter_mut().zip(offered).for_each(|(due, (_, per_s))| *due += per_s / total);
                let place = (0..due.len()).max_by(|a, b| due[*a].total_cmp(&due[*b])).unwrap();
                due[place] -= 1.0;
                fates[place].came += 1;
                if self.queue.len() < QUEUE_MAX {
                    self.queue.push_back(place as u8);
                } else {
                    fates[place].lost += 1;
                }
            }
        }
        fates
    }
}

#[test]
fn below_capacity_all_are_served() {
    let fates = Lane::new().run(2_000, &[(0, 2_000.0), (10, 150_000.0), (40, 50_000.0)]);
    assert!(fates.iter().all(|fate| fate.share() > 0.999), "{fates:?}");
}

#[test]
fn above_it_the_worst_are_left_out_and_the_best_lose_nothing() {
    let mut lane = Lane::new();
    let fates = lane.run(3_000, &[(0, 2_000.0), (10, 50_000.0), (40, 300_000.0)]);
    assert!(fates[0].share() > 0.999 && fates[1].share() > 0.99, "{fates:?}");
    // 1.2 x 300,000 and 4 x 52,000 of 10^6 µs leave 154,000 of them, 51 %.
    assert!((0.3..0.55).contains(&fates[2].share()), "{fates:?}");
    assert!(lane.queue.len() < QUEUE_MAX / 2);
}

#[test]
fn of_a_crowd_that_is_too_large_as_many_are_served_as_can_be() {
    let mut lane = Lane::new();
    lane.run(1_000, &[(0, 2_000.0), (10, 350_000.0)]);
    let fates = lane.run(5_000, &[(0, 2_000.0), (10, 350_000.0)]);
    assert!(fates[0].share() > 0.999, "{fates:?}");
    // Were it all that the processor did: 4 x + 1.2 (350,000 - x) = 10^6 µs, x = 207,000.
    assert!(fates[1].served > 5 * 165_000, "{fates:?}");
}

#[test]
fn what_has_hardly_any_part_in_it_does_not_suffer_for_long() {
    // The flood is dropped before anybody asks for its class; a few have a penalty.
    let mut lane = Lane::new();
    let fates = lane.run(3_000, &[(0, 2_000.0), (30, 60.0)]);
    assert!(fates[1].share() > 0.99);
    for _ in 0..200 {
        // A backlog of what is dropped whatever the level.
        (0..640).for_each(|_| lane.pressure.looked_at());
        lane.pressure.bore(30);
        let now_us = lane.now_ns / 1000;
        lane.pressure.turn(true, || 90, || Now::from_us(now_us));
        lane.now_ns += 500_000;
    }
    assert!(!lane.pressure.is_on(), "to leave out one of 640 does not help");
}

#[test]
fn a_standstill_of_the_machine_costs_little() {
    let mut lane = Lane::new();
    let crowd = [(0, 2_000.0), (10, 120_000.0)];
    let mut fates = vec![Fate::default(); 2];
    for _ in 0..20 {
        lane.run(500, &crowd).iter().zip(&mut fates).for_each(|(new, sum)| {
            (sum.came, sum.lost) = (sum.came + new.came, sum.lost + new.lost);
        });
        // Nothing is done for 10 ms, and all the while they come.
        (0..1_200).for_each(|_| lane.queue.push_back(1));
        lane.now_ns += 10_000_000;
    }
    assert!(fates[0].share() > 0.999 && fates[1].share() > 0.9, "{fates:?}");
}

#[test]
fn when_it_is_over_all_are_served_again() {
    let mut lane = Lane::new();
    lane.run(2_000, &[(0, 2_000.0), (30, 400_000.0)]);
    assert!(lane.pressure.is_on());
    lane.run(20_000, &[(0, 2_000.0), (30, 0.0)]);
    assert!(!lane.pressure.is_on() && (0..=100).all(|penalty| lane.pressure.serves(penalty)));
}
