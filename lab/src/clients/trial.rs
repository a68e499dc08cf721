//! One attack beside real clients, in phases: warm-up, calm, the attack, calm again. Second by second: what real clients were
//! answered, what was sent by the attack and answered to it, what the origin was asked.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde::Serialize;

use super::{Clients, Defended, Figures, Ground, Record};
use crate::{
    LabError,
    attack::{Arrivals, Arrived, Attack, Pace, RunningAttack, Second as SentSecond, Sent, Target},
};

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The attack.
    pub attack: Attack,
    /// Its packets a second.
    pub rate_per_s: u32,
    /// Before anything counts: caches are filled, what is normal is learned, and who is good.
    pub warm_up_s: u32,
    /// Calm that the attack is compared with.
    pub calm_s: u32,
    /// The attack.
    pub attack_s: u32,
    /// Calm after it; the clients need some seconds to get, or to give up, what they asked last.
    pub after_s: u32,
    /// Which of all the attacks of its kind.
    pub seed: u64,
}

impl Plan {
    /// An attack of ten seconds after a warm-up of fifteen.
    pub fn new(attack: Attack, rate_per_s: u32) -> Plan {
        Plan { attack, rate_per_s, warm_up_s: 15, calm_s: 3, attack_s: 10, after_s: 5, seed: 1 }
    }

    /// Seconds from the begin of the warm-up to the end.
    pub fn seconds(&self) -> u32 {
        self.warm_up_s + self.calm_s + self.attack_s + self.after_s
    }
}

/// Where in the plan a second is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The seconds before the attack.
    Calm,
    /// The attack.
    Attack,
    /// The seconds after it.
    After,
}

/// One second.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// From the begin of the attack; the calm has negative numbers.
    pub second: i64,
    /// In which phase it is.
    pub phase: Phase,
    /// The real clients.
    pub real: Figures,
    /// What the attack sent.
    pub sent: SentSecond,
    /// What arrived at those whom it pretended to be.
    pub arrived: Arrived,
    /// Packets that the server sent to its origin.
    pub origin_packets: u64,
    /// Of one core, in percent, that the server used; with the kernel lane, what its kernel did to receive, too.
    pub server_percent: f64,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Trial {
    /// The attack.
    pub attack: Attack,
    /// Its packets a second, as they were ordered.
    pub rate_per_s: u32,
    /// The seconds without the warm-up.
    pub rows: Vec<Row>,
    /// The real clients before the attack.
    pub calm: Figures,
    /// While it lasted.
    pub under_attack: Figures,
    /// After it.
    pub after: Figures,
    /// What the attack sent.
    pub sent: Sent,
    /// What arrived at those whom it pretended to be, answers that came after its end included.
    pub arrived: Arrived,
    /// Packets to the origin a second before the attack, and while it lasted.
    pub origin_per_s: [f64; 2],
    /// Whether the clients had real-time priority.
    pub real_time: bool,
}

impl Trial {
    /// Packets a second that the attack has sent: less than was ordered where its core could not do more.
    pub fn reached_per_s(&self) -> f64 {
        let seconds = self.rows.iter().filter(|row| row.phase == Phase::Attack).count().max(1);
        self.sent.total().packets as f64 / seconds as f64
    }

    /// The share of the attack's packets that were answered: what matters of a flash crowd.
    pub fn attack_answered(&self) -> f64 {
        ratio(self.arrived.all().packets, self.sent.total().packets)
    }

    /// Bytes towards those whom the attack pretended to be, for each byte that it sent.
    pub fn amplification(&self) -> f64 {
        ratio(self.arrived.all().bytes, self.sent.total().bytes)
    }

    /// The median time of first answers that the attack added, in ms.
    pub fn added_ms(&self) -> Option<f64> {
        let (before, meanwhile) = (self.calm.first_try_median_us?, self.under_attack.first_try_median_us?);
        Some((f64::from(meanwhile) - f64::from(before)) / 1e3)
    }
}

fn ratio(of: u64, to: u64) -> f64 {
    if to == 0 { 0.0 } else { of as f64 / to as f64 }
}

/// What is read at the end of each second.
#[derive(Clone, Copy, Default)]
struct Look {
    arrived: Arrived,
    origin_packets: u64,
    server: Duration,
}

/// Attack a server on its ground beside clients that were just started. `heard` is told of each second as it ends, of the
/// warm-up's, too, with what is known of it by then: not all its questions are answered or given up.
pub fn run(
    ground: &Ground,
    defended: &Defended,
    clients: Clients,
    plan: &Plan,
    mut heard: impl FnMut(i64, &Figures),
) -> Result<Trial, LabError> {
    let target = Target::on(ground)?;
    let arrivals = Arrivals::of(&target)?;
    let begin = clients.second() + 1;
    let calm = begin + plan.warm_up_s as usize;
    let attack = calm + plan.calm_s as usize;
    let after = attack + plan.attack_s as usize;
    let end = after + plan.after_s as usize;
    let read = || -> Result<Look, LabError> {
        let (arrived, origin_packets) = (arrivals.read()?, ground.origin_packets()?);
        Ok(Look { arrived, origin_packets, server: defended.cpu_time() + ground.receiving()? })
    };
    let (mut running, mut sent) = (None, Sent::default());
    // The first look is at the begin of the first second that counts.
    let mut looks = Vec::new();
    for second in begin..=end {
        wait_for(&clients, second);
        if second == after
            && let Some(over) = running.take()
        {
            sent = RunningAttack::stop(over)?;
        }
        if second >= calm {
            looks.push(read()?);
        }
        if second == attack {
            running = Some(start(plan, &target, ground)?);
        }
        if second > begin {
            heard(second as i64 - 1 - attack as i64, &clients.figures(second - 1));
        }
    }
    let last = read()?;
    let record = clients.stop()?;
    arrivals.remove()?;
    let rows = rows(&record, &sent, &looks, (calm, attack, after));
    let origin = |phase: Phase| {
        let seconds: Vec<u64> = rows.iter().filter(|row| row.phase == phase).map(|row| row.origin_packets).collect();
        seconds.iter().sum::<u64>() as f64 / seconds.len().max(1) as f64
    };
    Ok(Trial {
        attack: plan.attack,
        rate_per_s: plan.rate_per_s,
        calm: record.figures(calm, attack),
        under_attack: record.figures(attack, after),
        after: record.figures(after, end),
        arrived: looks.first().map(|first| last.arrived.since(&first.arrived)).unwrap_or_default(),
        origin_per_s: [origin(Phase::Calm), origin(Phase::Attack)],
        real_time: record.real_time,
        sent,
        rows,
    })
}

fn start(plan: &Plan, target: &Target, ground: &Ground) -> Result<RunningAttack, LabError> {
    let lasts = Some(Duration::from_secs(u64::from(plan.attack_s)));
    plan.attack.start(target, &Pace { rate_per_s: plan.rate_per_s, lasts, seed: plan.seed, core: ground.client_core() })
}

/// Until this second of the record begins.
fn wait_for(clients: &Clients, second: usize) {
    let at = clients.begun() + Duration::from_secs(second as u64);
    thread::sleep(at.saturating_duration_since(Instant::now()));
}

fn rows(record: &Record, sent: &Sent, looks: &[Look], (calm, attack, after): (usize, usize, usize)) -> Vec<Row> {
    let row = |(number, look): (usize, &[Look])| {
        let [from, until] = look else { return None };
        let at = calm + number;
        let phase = match at {
            at if at < attack => Phase::Calm,
            at if at < after => Phase::Attack,
            _ => Phase::After,
        };
        let sent = at.checked_sub(attack).and_then(|second| sent.seconds.get(second)).copied();
        Some(Row {
            second: at as i64 - attack as i64,
            phase,
            real: record.second(at),
            sent: sent.unwrap_or_default(),
            arrived: until.arrived.since(&from.arrived),
            origin_packets: until.origin_packets - from.origin_packets,
            server_percent: until.server.saturating_sub(from.server).as_secs_f64() * 100.0,
        })
    };
    looks.windows(2).enumerate().filter_map(row).collect()
}
