//! How those who wait are told, and how a question leaves the machine.

use cache::Failure;

use super::flight::Flight;
use super::questions::{Action, Context, Key, Questions, Verdict};

impl<W, A: Clone> Questions<W, A> {
    /// Answers one that does not get as far as a question, and counts it.
    pub(super) fn turn_away(
        &mut self,
        key: &Key,
        waiter: Option<W>,
        stale: Option<A>,
        failure: Failure,
        context: &mut Context<'_, W, A>,
    ) {
        if let Some(zone) = self.zones.get_mut(&key.zone).filter(|_| waiter.is_some()) {
            zone.counts.over_budget += u64::from(failure == Failure::OverBudget);
            zone.counts.stale += u64::from(stale.is_some());
            zone.counts.failed += u64::from(stale.is_none());
        }
        refuse(waiter, stale, failure, context.actions);
    }

    pub(super) fn finish(&mut self, id: u64, answer: &A, context: &mut Context<'_, W, A>) {
        let Some(flight) = self.take(id) else { return };
        self.failures.forget(&flight.key);
        let told = |waiter| Action::Complete(waiter, Verdict::Answer(answer.clone()));
        context.actions.extend(flight.waiters.into_iter().map(told));
    }

    pub(super) fn fail(&mut self, id: u64, failure: Failure, context: &mut Context<'_, W, A>) {
        let Some(flight) = self.take(id) else { return };
        let Flight { key, waiters, stale, tries, error, .. } = flight;
        if let (Failure::Broken, Some(error), None) = (failure, error, &stale) {
            context.actions.push(Action::Keep(key, error.clone()));
            let told = |waiter| Action::Complete(waiter, Verdict::Answer(error.clone()));
            return context.actions.extend(waiters.into_iter().map(told));
        }
        // That the budget is used up says nothing of the question, nor do upstreams that were not asked about it.
        if failure != Failure::OverBudget && tries > 0 {
            self.failures.note(key, failure, context.now);
        }
        for waiter in waiters {
            self.turn_away(&key, Some(waiter), stale.clone(), failure, context);
        }
    }

    /// Gives all who wait the stale answer, if there is one; the question goes on.
    pub(super) fn give_stale(&mut self, id: u64, context: &mut Context<'_, W, A>) {
        if let Some(flight) = self.flights.get_mut(&id).filter(|flight| flight.stale.is_some()) {
            flight.stale_given = true;
            self.end_wait(id, context);
        }
    }

    /// Tells all who wait, with the stale answer if there is one; the question goes on.
    pub(super) fn end_wait(&mut self, id: u64, context: &mut Context<'_, W, A>) {
        let Some(flight) = self.flights.get_mut(&id) else { return };
        (flight.wait_due, flight.stale_given) = (None, flight.stale.is_some());
        let failure = if flight.heard { Failure::Broken } else { Failure::NoOrigin };
        let (key, stale, waiters) = (flight.key, flight.stale.clone(), std::mem::take(&mut flight.waiters));
        if let Some(zone) = self.zones.get_mut(&key.zone) {
            zone.waiting = zone.waiting.saturating_sub(u32::try_from(waiters.len()).unwrap_or(u32::MAX));
        }
        for waiter in waiters {
            self.turn_away(&key, Some(waiter), stale.clone(), failure, context);
        }
    }

    /// Takes a flight out of all tables; its tries run on, for what they say of their upstreams.
    pub(super) fn take(&mut self, id: u64) -> Option<Flight<W, A>> {
        let flight = self.flights.remove(&id)?;
        self.by_key.remove(&flight.key);
        if let Some(zone) = self.zones.get_mut(&flight.key.zone) {
            zone.in_flight = zone.in_flight.saturating_sub(1);
            zone.waiting = zone.waiting.saturating_sub(u32::try_from(flight.waiters.len()).unwrap_or(u32::MAX));
        }
        Some(flight)
    }
}

/// Tells one who waits that there is no answer but a stale one.
pub(super) fn refuse<W, A>(waiter: Option<W>, stale: Option<A>, failure: Failure, actions: &mut Vec<Action<W, A>>) {
    if let Some(waiter) = waiter {
        actions.push(Action::Complete(waiter, stale.map_or(Verdict::Failed(failure), Verdict::Stale)));
    }
}
