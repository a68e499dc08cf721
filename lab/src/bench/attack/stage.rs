//! A subject that runs beside its real clients, and is attacked.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use parapet_lab::{
    attack::{Arrivals, Arrived, Attack, Pace, RunningAttack, Sent, Target},
    clients::{Clients, Defended, Defender, Fill, Ground, Setup},
};

use super::figures::Cell;

/// What a subject needs to start and to have its zones.
const START: Duration = Duration::from_secs(5);
/// Seconds before an attack that its latency is compared with.
const CALM_S: usize = 3;
/// All attacks are the same for all subjects.
const SEED: u64 = 26;

/// How long everything lasts, in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    pub(super) warm_up_s: u32,
    /// One load.
    pub(super) load_s: u32,
    /// What is asked in so many seconds of it counts.
    pub(super) counts_s: u32,
    /// After an attack.
    pub(super) rest_s: u32,
}

impl Timing {
    pub(super) fn of_start(self) -> Duration {
        START + Duration::from_secs(self.warm_up_s.into())
    }

    pub(super) fn of_attack(self, loads: usize) -> Duration {
        Duration::from_secs(u64::from(self.load_s) * loads as u64 + u64::from(self.rest_s))
    }
}

/// A subject with its clients.
pub(super) struct Stage<'g> {
    ground: &'g Ground,
    target: Target,
    defended: Defended,
    clients: Clients,
    arrivals: Option<Arrivals>,
    timing: Timing,
    /// The second of the clients' record in which the next attack begins.
    next: usize,
}

/// A load that is over, until the clients' questions are all answered or given up.
struct Load {
    begins: usize,
    /// Its packets were sent in this time: the first ones somewhat after its begin.
    lasts: Duration,
    sent: Sent,
    arrived: Arrived,
    origin_packets: u64,
}

impl<'g> Stage<'g> {
    /// Start a subject and its clients.
    pub(super) fn start(
        ground: &'g Ground,
        defender: Defender,
        fill: Fill,
        timing: Timing,
    ) -> anyhow::Result<Stage<'g>> {
        let target = Target::on(ground)?;
        let setup = Setup { fill, ..Setup::default() };
        let defended = defender.start(ground, &setup).context("did not start")?;
        let clients = ground.clients().start().context("starting the real clients")?;
        let arrivals = Arrivals::of(&target)?;
        let next = clients.second() + 1 + timing.warm_up_s as usize;
        Ok(Stage { ground, target, defended, clients, arrivals: Some(arrivals), timing, next })
    }

    /// Attack it with one load after the other, and let it rest. What was measured, and why it ended where it ended early.
    pub(super) fn attack(&mut self, attack: Attack, loads: &[u32]) -> (Vec<Cell>, anyhow::Result<()>) {
        let begins = self.next;
        let mut over = Vec::new();
        let ended = loads.iter().enumerate().try_for_each(|(number, &rate_per_s)| {
            let begins = begins + number * self.timing.load_s as usize;
            over.push(self.load(attack, rate_per_s, begins)?);
            self.is_alive().with_context(|| format!("at {rate_per_s}/s"))
        });
        let end = begins + over.len() * self.timing.load_s as usize;
        // Those who die are started anew: they need no rest, but the clients' last questions need their time.
        let rest = if ended.is_ok() { self.timing.rest_s as usize } else { Clients::patience().as_secs() as usize };
        self.next = end + rest;
        self.wait_for(self.next.saturating_sub(CALM_S));
        let ended = ended.and_then(|()| self.is_alive().context("in the rest after it"));
        (self.cells(attack, begins, &over), ended)
    }

    fn is_alive(&self) -> anyhow::Result<()> {
        match self.defended.server().process().status() {
            Some(status) => bail!("it has died ({status})"),
            None => Ok(()),
        }
    }

    /// One load from its begin to its end. What is answered to its last packets counts for the next one: they follow each
    /// other without a pause.
    fn load(&self, attack: Attack, rate_per_s: u32, begins: usize) -> anyhow::Result<Load> {
        self.wait_for(begins);
        let before = self.counted()?;
        let ends = Duration::from_secs(begins as u64) + Duration::from_secs(self.timing.load_s.into());
        let lasts = ends.saturating_sub(self.clients.begun().elapsed());
        let seed = SEED ^ u64::from(rate_per_s);
        let pace = Pace { rate_per_s, lasts: Some(lasts), seed, core: self.ground.client_core() };
        let running = attack.start(&self.target, &pace)?;
        self.wait_for(begins + self.timing.load_s as usize);
        let sent = RunningAttack::stop(running)?;
        let after = self.counted()?;
        let origin_packets = after.1.saturating_sub(before.1);
        Ok(Load { begins, lasts, sent, arrived: after.0.since(&before.0), origin_packets })
    }

    /// What has arrived at the attacked, and at the origin.
    fn counted(&self) -> anyhow::Result<(Arrived, u64)> {
        let arrived = self.arrivals.as_ref().map(Arrivals::read).transpose()?;
        Ok((arrived.unwrap_or_default(), self.ground.origin_packets()?))
    }

    fn cells(&self, attack: Attack, begins: usize, loads: &[Load]) -> Vec<Cell> {
        let record = self.clients.record();
        let calm = record.figures(begins.saturating_sub(CALM_S), begins);
        let counts = self.timing.counts_s as usize;
        // A crowd has come when its load is over, not when it begins.
        let skipped = if attack.is_wanted() { self.timing.load_s as usize - counts } else { 0 };
        let cell = |load: &Load| Cell {
            calm,
            real: record.figures(load.begins + skipped, load.begins + skipped + counts),
            sent: load.sent.clone(),
            arrived: load.arrived,
            origin_per_s: load.origin_packets as f64 / f64::from(self.timing.load_s),
            lasted_s: load.lasts.as_secs_f64(),
            real_time: record.real_time,
        };
        loads.iter().map(cell).collect()
    }

    /// Until this second of the clients' record begins.
    fn wait_for(&self, second: usize) {
        let at = self.clients.begun() + Duration::from_secs(second as u64);
        thread::sleep(at.saturating_duration_since(Instant::now()));
    }

    /// End the subject and its clients.
    pub(super) fn end(mut self) {
        // What does not end in its orderly way ends with the lab.
        let _ = self.arrivals.take().map(Arrivals::remove);
        drop(self.clients);
        let _ = self.defended.stop();
    }
}
