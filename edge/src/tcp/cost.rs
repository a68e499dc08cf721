//! What connections cost: the processor time of the lane's thread, for each prefix and in all, and who waits when that is
//! too much.
//!
//! ```text
//! accept, read, answer, write ── each turn of a connection is charged ──▶ its prefix, all
//!                                 ◀── before its next turn it waits ──── whoever has had more than its part
//! ```
//!
//! Nobody waits while there is processor time for all. While UDP has more to answer than it can, or the processor is wanted by
//! more than there is of it, all connections together get a part of it (`stream_cpu_percent`), and of that no prefix
//! more than a part. A client that asks little waits only when all the others that ask little are too much already.

use std::{
    cell::Cell,
    collections::hash_map::RandomState,
    fs,
    future::{Future, poll_fn},
    hash::BuildHasher,
    net::IpAddr,
    pin::pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::Poll,
    time::Duration,
};

use nix::{
    time::{ClockId, clock_gettime},
    unistd::gettid,
};
use tokio::time::sleep;

use crate::clock::filter_time;

/// Prefixes that are told apart; of more, some share what they may cost.
const PREFIXES: usize = 4096;
/// What a prefix may cost at once.
const PREFIX_BURST_US: u64 = 5_000;
/// Who has cost less than this lately asks little. What a prefix cost is forgotten at [`HABIT_US_PER_S`], and at most
/// [`HABIT_US_MAX`] of it is kept in mind.
const LITTLE_US: u64 = 1_000;
const HABIT_US_PER_S: u64 = 2_000;
const HABIT_US_MAX: u64 = 20_000;
/// What all may cost at once.
const TOTAL_BURST_US: u64 = 20_000;
/// The part of what all may cost that one prefix may.
const PREFIX_PART: u64 = 4;
/// In percent of the processor: what one prefix may cost while nothing but connections is short of it.
const PREFIX_PERCENT: u64 = 25;
/// In percent of its time: when the thread works for more than this, connections are in each other's way.
const BUSY_PERCENT: u64 = 60;
/// In percent of its time: when the thread waits for the processor for more than this, others want it too.
const CONTENDED_PERCENT: u64 = 20;
/// How often it is looked at how busy thread and processor are.
const LOOK_INTERVAL_US: u64 = 20_000;
/// UDP has been under pressure if it was so within this time.
const PRESSURE_LASTS_US: u64 = 100_000;
/// Who waits looks again after this at the latest.
const WAIT_US_MAX: u64 = 100_000;
const WAIT_US_MIN: u64 = 500;
/// Connections a second that one prefix may open while they are too many or cost too much; so many at once.
const ACCEPTS_PER_S: u64 = 100;
const ACCEPTS_AT_ONCE: u64 = 200;

/// What the UDP lane of a worker tells its TCP thread.
#[derive(Debug, Default)]
pub(crate) struct UdpPressure(AtomicU64);

impl UdpPressure {
    /// It has more to answer than it can.
    #[inline]
    pub(crate) fn is_on(&self, now: filters::Now) {
        self.0.store(now.us(), Relaxed);
    }

    fn was_on(&self, now_us: u64) -> bool {
        let last_us = self.0.load(Relaxed);
        last_us > 0 && now_us.saturating_sub(last_us) < PRESSURE_LASTS_US
    }
}

/// A level that rises with what is charged, and falls with time.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    level_us: u64,
    at_us: u64,
}

impl Bucket {
    /// What is left of it at a time, if it falls by so many percent of the time that passes.
    fn level(self, percent: u64, now_us: u64) -> u64 {
        let fallen_us = now_us.saturating_sub(self.at_us).saturating_mul(percent) / 100;
        self.level_us.saturating_sub(fallen_us)
    }

    /// The same for what is forgotten slowly.
    fn habit(self, now_us: u64) -> u64 {
        let passed_us = now_us.saturating_sub(self.at_us);
        self.level_us.saturating_sub(passed_us.saturating_mul(HABIT_US_PER_S) / 1_000_000)
    }
}

/// What a prefix has cost, and when its next connection would be in time.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    cost: Bucket,
    habit: Bucket,
    accept_due_us: u64,
}

/// How short processor time is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Shortage {
    #[default]
    None,
    /// Connections are in each other's way.
    Among,
    /// They are in others' way.
    Others,
}

/// Where a prefix is in the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Payer(usize);

/// The costs of one thread's connections.
pub(super) struct Costs {
    accounts: Box<[Cell<Account>]>,
    total: Cell<Bucket>,
    shortage: Cell<Shortage>,
    total_percent: Cell<u64>,
    looked: Cell<Looked>,
    /// Processor time of this thread when it was last charged.
    charged_us: Cell<u64>,
    pressure: Arc<UdpPressure>,
    hash: RandomState,
}

/// What was seen at the last look.
#[derive(Clone, Copy, Debug, Default)]
struct Looked {
    at_us: u64,
    ran_us: u64,
    waited_us: u64,
}

impl Costs {
    /// For the connections of the calling thread.
    pub(super) fn new(pressure: Arc<UdpPressure>) -> Costs {
        Costs {
            accounts: vec![Cell::new(Account::default()); PREFIXES].into(),
            total: Cell::default(),
            shortage: Cell::default(),
            total_percent: Cell::new(100),
            looked: Cell::default(),
            charged_us: Cell::new(ran_us()),
            pressure,
            hash: RandomState::new(),
        }
    }

    pub(super) fn payer(&self, prefix: IpAddr) -> Payer {
        Payer(self.hash.hash_one(prefix) as usize % PREFIXES)
    }

    fn account(&self, payer: Payer) -> &Cell<Account> {
        &self.accounts[payer.0 % PREFIXES]
    }

    /// The percents at which what all cost, and what one prefix costs, falls.
    fn percents(&self) -> (u64, u64) {
        match self.shortage.get() {
            Shortage::None | Shortage::Among => (100, PREFIX_PERCENT),
            Shortage::Others => (self.total_percent.get(), (self.total_percent.get() / PREFIX_PART).max(1)),
        }
    }

    /// Whether one more connection of a prefix is in time. `scarce` says that connections are.
    pub(super) fn takes_connection(&self, payer: Payer, scarce: bool, now_us: u64) -> bool {
        if !scarce && self.shortage.get() == Shortage::None {
            return true;
        }
        let account = self.account(payer);
        let mut changed = account.get();
        let due_us = changed.accept_due_us.max(now_us);
        changed.accept_due_us = due_us + 1_000_000 / ACCEPTS_PER_S;
        let in_time = due_us - now_us < ACCEPTS_AT_ONCE * 1_000_000 / ACCEPTS_PER_S;
        if in_time {
            account.set(changed);
        }
        in_time
    }

    /// For how long a prefix is to wait before its next turn, in microseconds.
    pub(super) fn wait_us(&self, payer: Payer, now_us: u64) -> Option<u64> {
        let shortage = self.shortage.get();
        if shortage == Shortage::None {
            return None;
        }
        let (total_percent, percent) = self.percents();
        let account = self.account(payer).get();
        let own_us = account.cost.level(percent, now_us);
        let mut wait_us = own_us.saturating_sub(PREFIX_BURST_US) * 100 / percent;
        if shortage == Shortage::Others {
            let total_us = self.total.get().level(total_percent, now_us);
            let bound_us = if account.habit.habit(now_us) > LITTLE_US { TOTAL_BURST_US } else { 2 * TOTAL_BURST_US };
            wait_us = wait_us.max(total_us.saturating_sub(bound_us) * 100 / total_percent);
        }
        (wait_us > 0).then_some(wait_us.clamp(WAIT_US_MIN, WAIT_US_MAX))
    }

    /// For how long no connection is to be accepted, in microseconds: all of them cost too much.
    pub(super) fn accept_wait_us(&self, now_us: u64) -> Option<u64> {
        if self.shortage.get() != Shortage::Others {
            return None;
        }
        let (percent, _) = self.percents();
        let over_us = self.total.get().level(percent, now_us).saturating_sub(2 * TOTAL_BURST_US);
        (over_us > 0).then(|| (over_us * 100 / percent).clamp(WAIT_US_MIN, WAIT_US_MAX))
    }

    /// Charges what this thread has done since it was last asked.
    pub(super) fn charge(&self, payer: Payer, stream_cpu_percent: impl FnOnce() -> u32) {
        let now_us = filter_time().us();
        let ran_us = ran_us();
        let cost_us = ran_us.saturating_sub(self.charged_us.replace(ran_us));
        if now_us.saturating_sub(self.looked.get().at_us) >= LOOK_INTERVAL_US {
            self.total_percent.set(u64::from(stream_cpu_percent()).clamp(1, 100));
            self.look(now_us, ran_us, waited_us());
        }
        self.add(payer, cost_us, now_us);
    }

    fn add(&self, payer: Payer, cost_us: u64, now_us: u64) {
        let (total_percent, percent) = self.percents();
        let total_us = self.total.get().level(total_percent, now_us) + cost_us;
        self.total.set(Bucket { level_us: total_us, at_us: now_us });
        let account = self.account(payer);
        let mut changed = account.get();
        changed.cost = Bucket { level_us: changed.cost.level(percent, now_us) + cost_us, at_us: now_us };
        let habit_us = (changed.habit.habit(now_us) + cost_us).min(HABIT_US_MAX);
        changed.habit = Bucket { level_us: habit_us, at_us: now_us };
        account.set(changed);
    }

    /// Judges how short processor time is, by what the thread got of it since the last look, and for how long it waited for it.
    fn look(&self, now_us: u64, ran_us: u64, waited_us: u64) {
        let before = self.looked.replace(Looked { at_us: now_us, ran_us, waited_us });
        let passed_us = now_us.saturating_sub(before.at_us).max(1);
        let percent = |now: u64, before: u64| now.saturating_sub(before) * 100 / passed_us;
        let (ran, waited) = (percent(ran_us, before.ran_us), percent(waited_us, before.waited_us));
        self.shortage.set(match () {
            () if self.pressure.was_on(now_us) || waited > CONTENDED_PERCENT => Shortage::Others,
            () if ran > BUSY_PERCENT => Shortage::Among,
            () => Shortage::None,
        });
    }
}

/// Processor time that the calling thread has had.
fn ran_us() -> u64 {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
        .map_or(0, |time| time.tv_sec() as u64 * 1_000_000 + time.tv_nsec() as u64 / 1000)
}

/// How long the calling thread has waited for the processor, while it wanted it (the second number of
/// `/proc/PID/schedstat`); 0 where the system does not say.
fn waited_us() -> u64 {
    let stat = fs::read_to_string(format!("/proc/self/task/{}/schedstat", gettid())).unwrap_or_default();
    let waited_ns: Option<u64> = stat.split_whitespace().nth(1).and_then(|field| field.parse().ok());
    waited_ns.unwrap_or_default() / 1000
}

/// Who pays for a connection, and with whose leave it is made to wait.
pub(super) struct Meter {
    pub(super) costs: Rc<Costs>,
    pub(super) payer: Payer,
}

/// Charges each turn of a future, and lets it wait for its next one where `waits` says so.
pub(super) async fn metered<F: Future>(
    meter: Meter,
    waits: impl Fn() -> bool,
    percent: impl Fn() -> u32,
    work: F,
) -> F::Output {
    let mut work = pin!(work);
    let mut pause = None;
    poll_fn(move |context| {
        loop {
            if let Some(waiting) = &mut pause {
                let waiting: &mut std::pin::Pin<Box<tokio::time::Sleep>> = waiting;
                if waiting.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                pause = None;
            }
            match meter.costs.wait_us(meter.payer, filter_time().us()) {
                Some(wait_us) if waits() => pause = Some(Box::pin(sleep(Duration::from_micros(wait_us)))),
                _ => break,
            }
        }
        let polled = work.as_mut().poll(context);
        meter.costs.charge(meter.payer, &percent);
        polled
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_US: u64 = 1_000_000;

    fn costs(shortage: Shortage) -> Costs {
        let costs = Costs::new(Arc::default());
        costs.shortage.set(shortage);
        costs.total_percent.set(40);
        costs
    }

    /// Has a prefix do as much as it may for a second; the microseconds that it got.
    fn works_for_a_second(costs: &Costs, payers: &[Payer], turn_us: u64) -> Vec<u64> {
        let mut got = vec![0; payers.len()];
        let mut now_us = SECOND_US;
        while now_us < 2 * SECOND_US {
            let mut worked_us = 0;
            for (payer, got) in payers.iter().zip(&mut got) {
                if costs.wait_us(*payer, now_us + worked_us).is_none() {
                    costs.add(*payer, turn_us, now_us + worked_us);
                    (*got, worked_us) = (*got + turn_us, worked_us + turn_us);
                }
            }
            now_us += worked_us.max(100);
        }
        got
    }

    #[test]
    fn nobody_waits_while_there_is_time_for_all() {
        let costs = costs(Shortage::None);
        let got = works_for_a_second(&costs, &[Payer(1)], 100);
        assert_eq!(got, [SECOND_US]);
        assert_eq!(costs.accept_wait_us(2 * SECOND_US), None);
    }

    #[test]
    fn one_prefix_gets_a_part_and_all_get_theirs() {
        let got = works_for_a_second(&costs(Shortage::Among), &[Payer(1)], 100);
        assert!((250_000..=255_200).contains(&got[0]), "{got:?}");
        let got = works_for_a_second(&costs(Shortage::Others), &[Payer(1)], 100);
        assert!((100_000..=105_200).contains(&got[0]), "{got:?}");
        let payers: Vec<Payer> = (0..50).map(Payer).collect();
        let got = works_for_a_second(&costs(Shortage::Others), &payers, 100);
        let total: u64 = got.iter().sum();
        assert!((400_000..=445_000).contains(&total), "{total}");
    }

    #[test]
    fn who_asks_little_goes_before_those_who_ask_much() {
        let costs = costs(Shortage::Others);
        let heavy: Vec<Payer> = (0..50).map(Payer).collect();
        works_for_a_second(&costs, &heavy, 100);
        let now_us = 2 * SECOND_US;
        costs.add(Payer(0), 2_000, now_us);
        assert!(heavy.iter().all(|payer| costs.wait_us(*payer, now_us).is_some()));
        assert_eq!(costs.wait_us(Payer(99), now_us), None);
        // But all that ask little may be too much, too.
        (100..1000).for_each(|payer| costs.add(Payer(payer), 50, now_us));
        assert!(costs.wait_us(Payer(99), now_us).is_some() && costs.accept_wait_us(now_us).is_some());
        assert_eq!(costs.wait_us(Payer(99), 3 * SECOND_US), None);
    }

    #[test]
    fn connections_of_a_prefix_come_at_a_rate_while_they_are_too_many() {
        let costs = costs(Shortage::None);
        assert!((0..1000).all(|_| costs.takes_connection(Payer(1), false, SECOND_US)));
        let taken = (0..1000).filter(|_| costs.takes_connection(Payer(1), true, SECOND_US)).count() as u64;
        assert_eq!(taken, ACCEPTS_AT_ONCE);
        assert!(costs.takes_connection(Payer(2), true, SECOND_US));
        let taken = (0..1000).filter(|_| costs.takes_connection(Payer(1), true, 2 * SECOND_US)).count() as u64;
        assert_eq!(taken, ACCEPTS_PER_S);
    }

    #[test]
    fn what_is_short_is_seen() {
        let costs = costs(Shortage::None);
        let look = |second: u64, ran_percent: u64, waited_percent: u64| {
            costs.looked.set(Looked { at_us: (second - 1) * SECOND_US, ran_us: 0, waited_us: 0 });
            costs.look(second * SECOND_US, ran_percent * 10_000, waited_percent * 10_000);
            costs.shortage.get()
        };
        assert_eq!(look(1, 60, 20), Shortage::None);
        assert_eq!(look(2, 61, 20), Shortage::Among);
        assert_eq!(look(3, 10, 21), Shortage::Others);
        costs.pressure.is_on(filters::Now::from_us(4 * SECOND_US - 1));
        assert_eq!(look(4, 1, 0), Shortage::Others);
        assert_eq!(look(5, 1, 0), Shortage::None);
    }

    #[test]
    fn what_a_future_does_is_charged() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let costs = Rc::new(Costs::new(Arc::default()));
        let payer = costs.payer("192.0.2.1".parse().unwrap());
        let spin = async {
            let before = ran_us();
            while ran_us() < before + 20_000 {
                std::hint::spin_loop();
            }
            7
        };
        let meter = Meter { costs: Rc::clone(&costs), payer };
        assert_eq!(runtime.block_on(metered(meter, || true, || 30, spin)), 7);
        assert!(costs.account(payer).get().cost.level_us >= 20_000);
        assert!(costs.total.get().level_us >= 20_000);
    }
}
