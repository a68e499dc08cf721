//! Queries whose like crashed or hung an answer a moment ago: kept away from answering for a time.
//!
//! ```text
//!  a death ──▶ the same message but for its id; the same question ─┐
//!  another within a minute, of another name ──▶ the same type below the name that both are below ─┤ each with an end,
//!  a third, of nothing in common ──▶ the same shape of header and EDNS ─┘ none of them meant for ordinary questions
//! ```
//!
//! Looking is free while nothing is kept away: one load. What is kept away is swapped whole, so a query never waits.

mod like;
mod shape;
#[cfg(test)]
mod tests;

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed},
};

use arc_swap::ArcSwap;
use wire::NameRef;

use crate::{Found, Kind, Now, View, verdict::Finding};
pub use like::Width;
use like::{Like, Subject};

/// So much is kept away at a time; what ends first makes room.
pub const QUARANTINED_MAX: usize = 64;
/// Deaths that follow each other within this time have something in common.
const WIDEN_WITHIN_US: u64 = 60_000_000;
/// So many deaths are remembered for that time.
const DEATHS_MAX: usize = 8;
/// A widening that would have kept away more queries than so many, which were answered since the death, is refused.
const SERVED_MAX: u32 = 16;
/// A name is widened by so many labels at most.
const LABELS_WIDENED_MAX: usize = 5;

/// What is kept away from answering for a time.
#[derive(Debug, Default)]
pub(crate) struct Quarantine {
    /// How much there is in the book: nothing is looked at while there is none.
    entries: AtomicUsize,
    book: ArcSwap<Book>,
    /// Held by who changes the book; holds the number of the next rule.
    change: Mutex<u32>,
}

#[derive(Clone, Debug, Default)]
struct Book {
    rules: Vec<Arc<Rule>>,
    deaths: Vec<Arc<Past>>,
}

/// One thing that is kept away.
#[derive(Debug)]
struct Rule {
    number: u32,
    like: Like,
    since: Now,
    until_us: AtomicU64,
    deaths: AtomicU32,
    dropped: AtomicU64,
}

/// A death, and what has been answered since that is like it.
#[derive(Debug)]
struct Past {
    at: Now,
    /// The question, as what is kept away.
    question: Like,
    shape: Option<Like>,
    /// Answers with records below the name without its first label, without its first two and so on.
    served_below: [AtomicU32; LABELS_WIDENED_MAX],
    served_shape: AtomicU32,
}

/// Something that is kept away, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Stands for it in an order to release it.
    pub number: u32,
    /// How much it matches.
    pub width: Width,
    /// What is kept away, in words.
    pub like: String,
    /// Since when.
    pub since: Now,
    /// Until when.
    pub until: Now,
    /// How often it killed.
    pub deaths: u32,
    /// Queries that were dropped for it.
    pub dropped: u64,
}

/// What follows from a death.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quarantining {
    /// What is kept away now, in words.
    pub kept_away: Vec<String>,
    /// What would have been a widening, and why it was refused.
    pub refused: Vec<(String, &'static str)>,
}

impl Quarantine {
    /// The chain's question.
    #[inline]
    pub(crate) fn find(&self, view: &View<'_>, now: Now) -> Finding {
        match self.entries.load(Relaxed) {
            0 => Finding::Fine,
            _ => self.look_up(&Subject::of(view), now, |_| true),
        }
    }

    /// Whether the same message, but for its id, is kept away: to be asked before it is even read.
    #[inline]
    pub(crate) fn has_message(&self, message: &[u8], now: Now) -> bool {
        self.entries.load(Relaxed) != 0
            && self.look_up(&Subject::unread(message), now, |like| like.width() == Width::Message) == Finding::Drop
    }

    #[cold]
    fn look_up(&self, subject: &Subject<'_>, now: Now, which: impl Fn(&Like) -> bool) -> Finding {
        let book = self.book.load();
        let hit = book.rules.iter().find(|rule| which(&rule.like) && rule.holds(now) && rule.like.matches(subject));
        let Some(rule) = hit else { return Finding::Fine };
        rule.dropped.fetch_add(1, Relaxed);
        Finding::Drop
    }

    /// A query is answered with what was found: what it is like is not to be kept away for others' sake.
    #[inline]
    pub(crate) fn served(&self, view: &View<'_>, found: &Found<'_>, times: u32) {
        if self.entries.load(Relaxed) != 0 {
            self.note_served(&Subject::of(view), found.kind, times);
        }
    }

    #[cold]
    fn note_served(&self, subject: &Subject<'_>, kind: Kind, times: u32) {
        let add = |counter: &AtomicU32| counter.store(counter.load(Relaxed).saturating_add(times), Relaxed);
        for death in &self.book.load().deaths {
            if kind == Kind::Answer {
                let shared = death.question.labels_to_common(subject);
                let counters = death.served_below.iter().skip(shared.map_or(usize::MAX, |labels| labels.max(1) - 1));
                counters.for_each(add);
            }
            if death.shape.as_ref().is_some_and(|shape| shape.matches(subject)) {
                add(&death.served_shape);
            }
        }
    }

    /// A message killed whoever answered it. `inside` says of a name whether it is in a zone of ours, below its apex.
    pub(crate) fn add(
        &self,
        message: &[u8],
        readable: bool,
        inside: &dyn Fn(NameRef<'_>) -> bool,
        lasts_us: u64,
        now: Now,
    ) -> Quarantining {
        let subject = if readable { Subject::read(message) } else { Subject::unread(message) };
        let mut number = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        let mut book = Book::clone(&self.book.load());
        book.forget(now);
        let mut outcome = Quarantining::default();
        let mut likes = vec![Like::message(message)];
        if let Some(question) = Like::question(&subject) {
            likes.extend(book.widen(&question, &subject, inside, now, &mut outcome));
            book.remember(Past::new(question.clone(), Like::shape(&subject), now));
            likes.push(question);
        }
        for like in likes.into_iter().filter(|_| lasts_us > 0) {
            outcome.kept_away.push(like.to_string());
            book.keep_away(like, now, lasts_us, &mut number);
        }
        self.publish(book);
        outcome
    }

    /// How much there is to look at.
    pub(crate) fn entries(&self) -> usize {
        self.entries.load(Relaxed)
    }

    /// What is kept away now.
    pub(crate) fn list(&self, now: Now) -> Vec<Quarantined> {
        let book = self.book.load();
        book.rules.iter().filter(|rule| rule.holds(now)).map(|rule| rule.show()).collect()
    }

    /// Lets the like of something through again. Says whether there was anything by this number.
    pub(crate) fn release(&self, number: u32) -> bool {
        let _change = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        let mut book = Book::clone(&self.book.load());
        let before = book.rules.len();
        book.rules.retain(|rule| rule.number != number);
        let released = book.rules.len() < before;
        if released {
            self.publish(book);
        }
        released
    }

    /// Forgets what has ended.
    pub(crate) fn tick(&self, now: Now) {
        if self.entries.load(Relaxed) == 0 {
            return;
        }
        let _change = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        let mut book = Book::clone(&self.book.load());
        book.forget(now);
        self.publish(book);
    }

    fn publish(&self, book: Book) {
        let entries = book.rules.len() + book.deaths.len();
        self.book.store(Arc::new(book));
        self.entries.store(entries, Relaxed);
    }
}

impl Book {
    fn forget(&mut self, now: Now) {
        self.rules.retain(|rule| rule.holds(now));
        self.deaths.retain(|death| now.us().saturating_sub(death.at.us()) < WIDEN_WITHIN_US);
    }

    fn remember(&mut self, death: Past) {
        if self.deaths.len() >= DEATHS_MAX {
            self.deaths.remove(0);
        }
        self.deaths.push(Arc::new(death));
    }

    /// What this death and those a moment ago have in common beyond their questions, if that may be kept away.
    fn widen(
        &self,
        question: &Like,
        subject: &Subject<'_>,
        inside: &dyn Fn(NameRef<'_>) -> bool,
        now: Now,
        outcome: &mut Quarantining,
    ) -> Option<Like> {
        let others = || self.deaths.iter().filter(|death| death.question != *question);
        // The deepest name that both are below keeps the least away.
        let nearest = others().filter_map(|death| Some((death.question.labels_to_common(subject)?, death)));
        if let Some((labels, death)) = nearest.min_by_key(|(labels, _)| *labels)
            && let Some(below) = death.question.widened(labels)
        {
            let served = death.served_below.get(labels.max(1) - 1).map_or(u32::MAX, |served| served.load(Relaxed));
            match below.judge(served, inside) {
                Ok(()) => return Some(below),
                Err(why) => outcome.refused.push((below.to_string(), why)),
            }
        }
        let shape = Like::shape(subject)?;
        let alike: Vec<_> = others().filter(|death| death.shape.as_ref() == Some(&shape)).collect();
        let served = alike.iter().map(|death| death.served_shape.load(Relaxed)).max()?;
        if alike.len() < 2 || self.rules.iter().any(|rule| rule.holds(now) && rule.like == shape) {
            return None;
        }
        match shape.judge(served, inside) {
            Ok(()) => Some(shape),
            Err(why) => {
                outcome.refused.push((shape.to_string(), why));
                None
            }
        }
    }

    /// Keeps something away from now on, or for longer.
    fn keep_away(&mut self, like: Like, now: Now, lasts_us: u64, number: &mut u32) {
        let until_us = now.us().saturating_add(lasts_us);
        if let Some(rule) = self.rules.iter().find(|rule| rule.like == like) {
            rule.until_us.store(until_us, Relaxed);
            rule.deaths.fetch_add(1, Relaxed);
            return;
        }
        if self.rules.len() >= QUARANTINED_MAX {
            let ends = self.rules.iter().enumerate().min_by_key(|(_, rule)| rule.until_us.load(Relaxed));
            if let Some((index, _)) = ends {
                self.rules.remove(index);
            }
        }
        *number = number.wrapping_add(1);
        let (deaths, dropped) = (AtomicU32::new(1), AtomicU64::new(0));
        let until_us = AtomicU64::new(until_us);
        self.rules.push(Arc::new(Rule { number: *number, like, since: now, until_us, deaths, dropped }));
    }
}

impl Rule {
    fn holds(&self, now: Now) -> bool {
        now.us() < self.until_us.load(Relaxed)
    }

    fn show(&self) -> Quarantined {
        Quarantined {
            number: self.number,
            width: self.like.width(),
            like: self.like.to_string(),
            since: self.since,
            until: Now::from_us(self.until_us.load(Relaxed)),
            deaths: self.deaths.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
        }
    }
}

impl Past {
    fn new(question: Like, shape: Option<Like>, at: Now) -> Past {
        Past { at, question, shape, served_below: Default::default(), served_shape: AtomicU32::new(0) }
    }
}
