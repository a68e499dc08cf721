//! The tries of a question: which upstream is asked next, and what follows from how a try ended.

use cache::Failure;

use super::budget::Purpose;
use super::flight::Running;
use super::questions::{Action, Context, Ended, Questions, TRIES_MAX};
use super::reach::{Candidate, Usable, choose};
use super::zone::{LAME_FOR, Transport, Way};

/// Tries for one question.
const TRIES_PER_QUESTION_MAX: u32 = 8;
/// How often one upstream that says nothing is asked the same question.
const SILENT_TRIES_MAX: u8 = 3;

/// Whether a try could begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begun {
    Yes,
    /// There is no upstream that may be asked.
    NobodyLeft,
    OverBudget,
}

impl<W, A: Clone> Questions<W, A> {
    /// Asks the next upstream. The second of two (`hedge`) is another one than those that are being asked.
    pub(super) fn start_try(&mut self, id: u64, hedge: bool, context: &mut Context<'_, W, A>) -> Begun {
        let Some(flight) = self.flights.get(&id) else { return Begun::NobodyLeft };
        if flight.tries >= TRIES_PER_QUESTION_MAX || self.tries.len() >= TRIES_MAX {
            return Begun::NobodyLeft;
        }
        let Some(zone) = self.zones.get(&flight.key.zone) else { return Begun::NobodyLeft };
        let now = context.now;
        // First those that were not asked and are not lame, then the lame, then those that have said nothing yet.
        let candidates = |lame: bool, again: bool| {
            let mut found = Vec::new();
            for (upstream, known) in zone.upstreams.iter().enumerate() {
                let reach = self.reaches.get(&known.way).cloned().unwrap_or_default();
                let silent = flight.marks.get(upstream).map_or(0, |mark| mark.silent);
                if flight.may_ask(upstream, again)
                    && known.lame_until.is_some_and(|until| now < until) == lame
                    && reach.usable(now) == Usable::Yes
                    && silent < SILENT_TRIES_MAX
                {
                    found.push(Candidate { upstream, cost: reach.cost() });
                }
            }
            found
        };
        let order = if hedge { &[(false, false)][..] } else { &[(false, false), (true, false), (false, true)] };
        let found = order.iter().map(|&(lame, again)| candidates(lame, again)).find(|found| !found.is_empty());
        let Some(upstream) = found.and_then(|found| choose(&found, (context.random)())) else {
            return Begun::NobodyLeft;
        };
        let purpose = if flight.tries == 0 { flight.purpose } else { Purpose::Known };
        self.put(id, upstream, None, purpose, context)
    }

    /// Sees with this question whether an upstream that was down is back.
    pub(super) fn probe(&mut self, id: u64, context: &mut Context<'_, W, A>) -> bool {
        let Some(flight) = self.flights.get(&id) else { return false };
        let Some(zone) = self.zones.get(&flight.key.zone) else { return false };
        let mut order = zone.upstreams.iter().enumerate().filter(|(upstream, _)| flight.may_ask(*upstream, false));
        let usable = |way: &Way| self.reaches.get(way).map_or(Usable::Yes, |reach| reach.usable(context.now));
        let Some((upstream, _)) = order.find(|(_, known)| usable(&known.way) == Usable::Probe) else {
            return false;
        };
        self.put(id, upstream, None, Purpose::Known, context) == Begun::Yes
    }

    /// Puts the question to an upstream, if the budget has room.
    fn put(
        &mut self,
        id: u64,
        upstream: usize,
        transport: Option<Transport>,
        purpose: Purpose,
        context: &mut Context<'_, W, A>,
    ) -> Begun {
        let Some(flight) = self.flights.get_mut(&id) else { return Begun::NobodyLeft };
        let Some(zone) = self.zones.get_mut(&flight.key.zone) else { return Begun::NobodyLeft };
        let now = context.now;
        if !zone.budget.take(purpose, now) {
            return Begun::OverBudget;
        }
        let another = zone.upstreams.len() > 1;
        let Some(known) = zone.upstreams.get_mut(upstream) else { return Begun::NobodyLeft };
        let transport = transport.unwrap_or(known.transport);
        known.counts.asked += 1;
        known.counts.over_tcp += u64::from(transport == Transport::Tcp);
        let reach = self.reaches.entry(known.way).or_default();
        reach.asked(now);
        flight.hedge_due = another.then(|| now + reach.patience(zone.settings.try_wait));
        if let Some(mark) = flight.marks.get_mut(upstream) {
            mark.asked = true;
        }
        flight.running += 1;
        flight.tries += 1;
        let running = Running {
            flight: id,
            round: flight.round,
            zone: flight.key.zone,
            epoch: zone.epoch,
            upstream,
            way: known.way,
            transport,
            sent: now,
        };
        let key = flight.key;
        let id = self.next_id();
        self.tries.insert(id, running);
        context.actions.push(Action::Try { id, key, upstream, transport });
        Begun::Yes
    }

    /// A try has ended.
    pub(crate) fn ended(&mut self, id: u64, ended: Ended<A>, context: &mut Context<'_, W, A>) {
        let Some(running) = self.tries.remove(&id) else { return };
        self.note(&running, &ended, context);
        let Some(flight) = self.flights.get_mut(&running.flight).filter(|flight| flight.round == running.round) else {
            return;
        };
        flight.running = flight.running.saturating_sub(1);
        let mut cookie_again = false;
        if let Some(mark) = flight.marks.get_mut(running.upstream) {
            mark.asked = false;
            match ended {
                Ended::Silent => mark.silent = mark.silent.saturating_add(1),
                Ended::Unfit(..) | Ended::Lame(_) | Ended::Unasked => mark.unfit = true,
                Ended::BadCookie(_) => cookie_again = std::mem::replace(&mut mark.cookie, true),
                Ended::Answered(..) | Ended::Truncated(_) | Ended::Doubtful => {}
            }
        }
        flight.heard |= !matches!(ended, Ended::Silent | Ended::Unasked);
        let flight = running.flight;
        let follow_up = match (ended, running.transport) {
            (Ended::Answered(_, answer), _) => return self.finish(flight, &answer, context),
            (Ended::BadCookie(_), Transport::Udp) if !cookie_again => Some(Transport::Udp),
            (Ended::Truncated(_) | Ended::Doubtful | Ended::BadCookie(_), Transport::Udp) => Some(Transport::Tcp),
            (Ended::Truncated(_) | Ended::Doubtful | Ended::BadCookie(_), Transport::Tcp) => {
                self.mark_unfit(flight, running.upstream);
                None
            }
            (Ended::Unfit(_, Some(error)), _) => {
                if let Some(flight) = self.flights.get_mut(&flight) {
                    flight.error = Some(error);
                }
                None
            }
            _ => None,
        };
        let begun = match follow_up {
            Some(transport) => self.put(flight, running.upstream, Some(transport), Purpose::Known, context),
            None if self.flights.get(&flight).is_some_and(|flight| flight.running > 0) => Begun::Yes,
            None => self.start_try(flight, false, context),
        };
        self.go_on(flight, begun, context);
    }

    fn mark_unfit(&mut self, flight: u64, upstream: usize) {
        let flight = self.flights.get_mut(&flight);
        if let Some(mark) = flight.and_then(|flight| flight.marks.get_mut(upstream)) {
            mark.unfit = true;
        }
    }

    /// Ends a flight that has nothing more to try.
    fn go_on(&mut self, id: u64, begun: Begun, context: &mut Context<'_, W, A>) {
        let Some(flight) = self.flights.get(&id) else { return };
        let (heard, running) = (flight.heard, flight.running > 0);
        match begun {
            _ if running => self.set_timer(id),
            Begun::Yes => self.set_timer(id),
            Begun::OverBudget => self.fail(id, Failure::OverBudget, context),
            Begun::NobodyLeft => self.fail(id, if heard { Failure::Broken } else { Failure::NoOrigin }, context),
        }
    }

    /// Notes what a try says of its upstream.
    fn note(&mut self, running: &Running, ended: &Ended<A>, context: &mut Context<'_, W, A>) {
        let now = context.now;
        if let Some(reach) = self.reaches.get_mut(&running.way) {
            match ended {
                Ended::Answered(rtt, _)
                | Ended::Truncated(rtt)
                | Ended::BadCookie(rtt)
                | Ended::Unfit(rtt, _)
                | Ended::Lame(rtt) => reach.answered(*rtt),
                Ended::Silent => {
                    let random = (context.random)();
                    reach.silent(running.sent, now.saturating_sub(running.sent), now, random);
                }
                Ended::Doubtful | Ended::Unasked => {}
            }
        }
        let zone = self.zones.get_mut(&running.zone).filter(|zone| zone.epoch == running.epoch);
        let Some(known) = zone.and_then(|zone| zone.upstreams.get_mut(running.upstream)) else { return };
        match ended {
            Ended::Answered(..) => {
                known.counts.answered += 1;
                known.lame_until = None;
            }
            Ended::Truncated(_) | Ended::BadCookie(_) => known.counts.answered += 1,
            Ended::Doubtful => known.counts.doubtful += 1,
            Ended::Unfit(..) | Ended::Unasked => known.counts.failed += 1,
            Ended::Lame(_) => {
                known.counts.failed += 1;
                known.lame_until = Some(now + LAME_FOR);
            }
            Ended::Silent => known.counts.timeouts += 1,
        }
    }
}
