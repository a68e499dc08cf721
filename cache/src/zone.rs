//! What is known of each zone beside its answers: how much it holds, and what has been purged while questions were under way.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use wire::{Name, NameRef};

use crate::ZoneId;
use crate::denial::Denials;
use crate::watch::Watchers;

/// Purges remembered one by one; a question that was under way during more is not kept.
const PURGES_MAX: usize = 64;

/// Taken before an origin is asked: what was purged since then is not kept from its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    pub(crate) zone: ZoneId,
    pub(crate) purges: u64,
}

/// What a zone holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ZoneUsage {
    /// Answers.
    pub entries: u64,
    /// Bytes that they take.
    pub bytes: u64,
    /// NSEC records that denials are made from.
    pub denials: u64,
}

/// One zone's part of the cache.
#[derive(Debug)]
pub(crate) struct Zone {
    pub(crate) id: ZoneId,
    entries: AtomicU64,
    bytes: AtomicU64,
    purges: Mutex<Purges>,
    pub(crate) denials: Denials,
    pub(crate) watchers: Watchers,
}

#[derive(Debug, Default)]
pub(crate) struct Purges {
    count: u64,
    /// The last ones, the newest at the back.
    recent: VecDeque<Purge>,
}

#[derive(Debug)]
struct Purge {
    name: Name,
    subtree: bool,
}

impl Zone {
    pub(crate) fn new(id: ZoneId) -> Zone {
        Zone {
            id,
            entries: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            purges: Mutex::default(),
            denials: Denials::default(),
            watchers: Watchers::default(),
        }
    }

    /// Whoever holds the lock keeps purges out: an insertion is either before one, and is removed by it, or after it, and
    /// knows of it.
    pub(crate) fn lock_purges(&self) -> MutexGuard<'_, Purges> {
        self.purges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn ticket(&self) -> Ticket {
        Ticket { zone: self.id, purges: self.lock_purges().count }
    }

    pub(crate) fn usage(&self) -> ZoneUsage {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ZoneUsage { entries: load(&self.entries), bytes: load(&self.bytes), denials: self.denials.len() as u64 }
    }

    pub(crate) fn added(&self, bytes: u64) {
        self.entries.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn removed(&self, bytes: u64) {
        self.entries.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Purges {
    pub(crate) fn add(&mut self, name: NameRef<'_>, subtree: bool) {
        self.count += 1;
        if self.recent.len() >= PURGES_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(Purge { name: name.to_owned(), subtree });
    }

    /// Whether something that `touches` says yes to, or anything unknown, was purged since the ticket was taken.
    pub(crate) fn since(&self, ticket: Ticket, touches: impl Fn(NameRef<'_>, bool) -> bool) -> bool {
        let missed = self.count.saturating_sub(ticket.purges);
        missed > self.recent.len() as u64
            || self.recent.iter().rev().take(missed as usize).any(|purge| touches(purge.name.as_ref(), purge.subtree))
    }

    /// Whether anything was purged since the ticket was taken.
    pub(crate) fn any_since(&self, ticket: Ticket) -> bool {
        self.count != ticket.purges
    }
}
