//! Reads zones from disk at the start, several at a time, and publishes each as soon as it is there.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::entry::Entry;
use crate::machine::{Context, Event};

/// Zones that are read at one time.
const READERS_MAX: usize = 16;

/// Reads zones: each comes back with the event for its machine, or `None` when nothing was found on disk.
pub(crate) fn load_all(entries: Vec<Entry>, now: Duration) -> Vec<(Entry, Option<Event>)> {
    let readers = std::thread::available_parallelism().map_or(1, usize::from).min(READERS_MAX).min(entries.len());
    let places: Vec<Mutex<(Option<Entry>, Option<Event>)>> =
        entries.into_iter().map(|entry| Mutex::new((Some(entry), None))).collect();
    let next = AtomicUsize::new(0);
    let read = || {
        while let Some(place) = places.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
            if let (Some(entry), event) = &mut *place {
                *event = load(entry, now);
            }
        }
    };
    if readers > 1 {
        std::thread::scope(|scope| (0..readers).for_each(|_| drop(scope.spawn(read))));
    } else {
        read();
    }
    let taken = places.into_iter().map(|place| place.into_inner().unwrap_or_else(PoisonError::into_inner));
    taken.filter_map(|(entry, event)| entry.map(|entry| (entry, event))).collect()
}

fn load(entry: &mut Entry, now: Duration) -> Option<Event> {
    if !entry.settings.may_be_whole() {
        return None;
    }
    let zone = entry.settings.name.clone();
    let mut note = |note: String| tracing::warn!(%zone, "{note}");
    match entry.store.load(&mut note) {
        Ok(Some(loaded)) => {
            let event = entry.loaded(loaded);
            // Published here and now, by a machine of its own; the service repeats it with the one that counts.
            let context = Context { now, random: 0, avoid: &|_| false };
            if let Some(publish) = entry.machine.clone().handle(event.clone(), &context).publish {
                entry.publish(publish);
            }
            Some(event)
        }
        Ok(None) => None,
        Err(error) => {
            tracing::warn!(%zone, %error, "the zone could not be read from disk; it is fetched anew");
            None
        }
    }
}
