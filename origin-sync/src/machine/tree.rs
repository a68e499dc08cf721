//! A zone whose first upstreams are other nodes: they are asked first, and the origins behind them only when they don't
//! help. So a hundred nodes do not mean a hundred transfers from the origin.

use std::time::Duration;

use super::{Context, Data, Machine, Notice};

/// How long the nodes have to bring what an origin's own NOTIFY told of, before the origin is asked for it.
pub(super) const TREE_WAIT: Duration = Duration::from_secs(2);
/// Rounds that a zone without data waits for nodes that are there, but have nothing yet themselves: all may have been
/// started at the same time.
const ROUNDS_FOR_NODES: u32 = 2;
/// Refresh times without a word from the origin to any node above, after which it is asked itself: each level of a tree adds
/// one at most.
const REFRESHES_UNCONFIRMED_MAX: u32 = 4;

impl Machine {
    /// The upstream to begin with, if none is out of reach. Nodes come first, whoever helped last.
    pub(super) fn first_choice(&self) -> usize {
        if self.settings.nodes > 0 { 0 } else { self.preferred }
    }

    /// Holds a NOTIFY back if it comes from an origin behind the nodes: theirs follows.
    pub(super) fn holds(&mut self, notice: Notice, context: &Context<'_>) -> bool {
        let behind = notice.upstream.is_some_and(|upstream| upstream >= self.settings.nodes);
        if self.settings.nodes == 0 || !behind || !matches!(self.data, Data::Serving { .. }) {
            return false;
        }
        let (held, until) = self.held.unwrap_or((notice, context.now + TREE_WAIT));
        self.held = Some((held.merge(notice), until));
        true
    }

    /// Lets go of a NOTIFY that was held back for long enough, unless what it told of has come.
    pub(super) fn release(&mut self, context: &Context<'_>) {
        if let Some((notice, _)) = self.held.take_if(|(_, until)| *until <= context.now)
            && self.is_worth_a_look(notice)
        {
            self.pending = Some(self.pending.map_or(notice, |pending| pending.merge(notice)));
        }
    }

    /// Forgets a NOTIFY that was held back if what it told of has come.
    pub(super) fn drop_held(&mut self) {
        self.held = self.held.filter(|&(notice, _)| self.is_worth_a_look(notice));
    }

    /// Whether a round that has succeeded goes on to ask the other upstreams. The origins behind other nodes are left alone
    /// while the nodes hear from them: how long their copy is good for (RFC 7314) tells when they last did.
    pub(super) fn may_compare(&self, context: &Context<'_>) -> bool {
        let Data::Serving { soa, expires } = self.data else { return true };
        if self.settings.nodes == 0 {
            return true;
        }
        let clamps = &self.settings.clamps;
        let unconfirmed = clamps.expire(&soa).saturating_sub(expires.saturating_sub(context.now));
        let refresh = self.settings.pull.unwrap_or_else(|| clamps.refresh(&soa, 0));
        unconfirmed > refresh.saturating_mul(REFRESHES_UNCONFIRMED_MAX)
    }

    /// Whether the next upstream is an origin that is not to be asked yet: a node that can be reached has no copy, and
    /// neither have we.
    pub(super) fn waits_for_nodes(&self, next: usize, context: &Context<'_>) -> bool {
        let nodes = self.settings.nodes;
        next >= nodes
            && matches!(self.data, Data::Nothing)
            && self.failures < ROUNDS_FOR_NODES
            && (0..nodes).any(|node| !(context.avoid)(node))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Actions, Ended, Event, Publish, Settings, Want};
    use super::*;
    use crate::timers::{Clamps, SoaTimers};

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn soa(serial: u32) -> SoaTimers {
        SoaTimers { serial, refresh_s: 100, retry_s: 10, expire_s: 1000 }
    }

    /// Two nodes and an origin behind them.
    fn machine() -> Machine {
        let any = (Duration::ZERO, s(100_000));
        let clamps = Clamps { refresh: any, retry: any, expire: any, jitter_percent: 0 };
        Machine::new(Settings { clamps, upstreams: 3, nodes: 2, ixfr: true, pull: None, dormant: false })
    }

    struct Driver {
        machine: Machine,
        now: Duration,
        down: Vec<usize>,
    }

    impl Driver {
        fn serving(serial: u32) -> Driver {
            let mut driver = Driver { machine: machine(), now: Duration::ZERO, down: Vec::new() };
            assert_eq!(driver.step(Event::Clock).attempt.unwrap().upstream, 0);
            let published = driver.step(Event::Ended(Ended::Updated(soa(serial), None))).publish;
            assert_eq!(published, Some(Publish::Serving));
            driver
        }

        fn step(&mut self, event: Event) -> Actions {
            let down = self.down.clone();
            let avoid = |upstream: usize| down.contains(&upstream);
            self.machine.handle(event, &Context { now: self.now, random: 0, avoid: &avoid })
        }

        /// Lets the time pass until an attempt begins; which upstream it asks.
        fn wait(&mut self) -> usize {
            self.now = self.machine.due().unwrap();
            self.step(Event::Clock).attempt.unwrap().upstream
        }

        fn notify(&mut self, serial: u32, upstream: usize) -> Option<usize> {
            let notice = Notice { serial: Some(serial), upstream: Some(upstream) };
            self.step(Event::Notify(notice)).attempt.map(|attempt| attempt.upstream)
        }

        fn fails(&mut self) -> Option<usize> {
            self.step(Event::Ended(Ended::FailedThere)).attempt.map(|attempt| attempt.upstream)
        }
    }

    #[test]
    fn nodes_come_first_whoever_helped_last() {
        let mut driver = Driver::serving(1);
        assert_eq!(driver.wait(), 0);
        assert_eq!((driver.fails(), driver.fails()), (Some(1), Some(2)));
        driver.step(Event::Ended(Ended::UpToDate(None)));
        assert_eq!(driver.wait(), 0);
        driver.step(Event::Ended(Ended::UpToDate(None)));
        // One that could not be reached a moment ago has to wait for the others.
        driver.down = vec![0];
        assert_eq!(driver.wait(), 1);
    }

    #[test]
    fn the_origins_own_notify_waits_for_that_of_a_node() {
        let mut driver = Driver::serving(1);
        assert_eq!(driver.notify(2, 2), None);
        assert_eq!(driver.notify(2, 1), Some(1));
        driver.step(Event::Ended(Ended::Updated(soa(2), None)));
        // What it told of has come: the next thing is the refresh.
        assert_eq!(driver.machine.due(), Some(s(100)));
    }

    #[test]
    fn the_origin_is_asked_when_the_nodes_bring_nothing() {
        let mut driver = Driver::serving(1);
        assert_eq!(driver.notify(2, 2), None);
        driver.now = s(1);
        assert_eq!(driver.notify(3, 2), None);
        assert_eq!(driver.machine.due(), Some(TREE_WAIT));
        driver.now = TREE_WAIT;
        let attempt = driver.step(Event::Clock).attempt.unwrap();
        assert_eq!((attempt.upstream, attempt.want), (2, Want::Differences));
        driver.step(Event::Ended(Ended::Updated(soa(3), None)));
        assert_eq!(driver.machine.due(), Some(TREE_WAIT + s(100)));
    }

    #[test]
    fn nodes_that_hear_nothing_from_the_origin_are_not_enough() {
        let mut driver = Driver::serving(1);
        // Nobody confirms anything: what the node's copy is good for runs out.
        let told = |driver: &Driver| Event::Ended(Ended::UpToDate(Some(s(1000).saturating_sub(driver.now))));
        for refresh in 1..=4 {
            assert_eq!((driver.wait(), driver.now), (0, s(refresh * 100)));
            let event = told(&driver);
            assert_eq!(driver.step(event).attempt, None);
        }
        assert_eq!(driver.wait(), 0);
        let event = told(&driver);
        let asked = driver.step(event).attempt.unwrap();
        assert_eq!((asked.upstream, asked.want), (1, Want::Check));
        let event = told(&driver);
        assert_eq!(driver.step(event).attempt.unwrap().upstream, 2);
        // The origin has something newer than all of them; then the nodes are asked again.
        assert_eq!(driver.step(Event::Ended(Ended::Updated(soa(2), None))).attempt, None);
        assert_eq!((driver.wait(), driver.now), (0, s(600)));
    }

    #[test]
    fn nodes_that_are_started_together_wait_for_each_other() {
        let mut driver = Driver { machine: machine(), now: Duration::ZERO, down: Vec::new() };
        assert_eq!(driver.step(Event::Clock).attempt.unwrap().upstream, 0);
        // Two rounds at the nodes alone, the third with the origin.
        for _ in 0..ROUNDS_FOR_NODES {
            assert_eq!((driver.fails(), driver.fails()), (Some(1), None));
            assert_eq!(driver.wait(), 0);
        }
        assert_eq!((driver.fails(), driver.fails()), (Some(1), Some(2)));
    }

    #[test]
    fn nodes_that_are_not_there_are_not_waited_for() {
        let mut driver = Driver { machine: machine(), now: Duration::ZERO, down: vec![0, 1] };
        assert_eq!(driver.step(Event::Clock).attempt.unwrap().upstream, 2);
        let mut driver = Driver { machine: machine(), now: Duration::ZERO, down: Vec::new() };
        assert_eq!(driver.step(Event::Clock).attempt.unwrap().upstream, 0);
        driver.down = vec![0, 1];
        assert_eq!((driver.fails(), driver.fails()), (Some(1), Some(2)));
    }
}
