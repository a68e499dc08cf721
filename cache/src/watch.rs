//! Who keeps answers elsewhere as well has to know when they change here.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wire::NameRef;

/// Told before answers of a zone are taken away or replaced that somebody may have, and when that is done: what was read
/// before the beginning, or meanwhile, is not of now.
pub trait Watcher: Debug + Send + Sync {
    /// Before the first answer goes.
    fn begin_change(&self);

    /// When the last one is gone.
    fn end_change(&self);
}

/// Told of every name before there is anything at hand for it, of all zones: what was never told of is not at hand. Whoever is
/// told keeps it, by calling `keep`, once. Several threads may be at it at once.
pub trait NameWatch: Debug + Send + Sync {
    /// An answer to a question for this name.
    fn keep_answer(&self, qname: NameRef<'_>, keep: &mut dyn FnMut());

    /// What says of names in the zone of this apex that they do not exist.
    fn keep_denials(&self, apex: NameRef<'_>, keep: &mut dyn FnMut());
}

/// The watchers of one zone.
#[derive(Debug, Default)]
pub(crate) struct Watchers(Mutex<Vec<Arc<dyn Watcher>>>);

impl Watchers {
    fn lock(&self) -> MutexGuard<'_, Vec<Arc<dyn Watcher>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for changes to end: a watcher is told of a whole change or of nothing.
    pub(crate) fn add(&self, watcher: Arc<dyn Watcher>) {
        self.lock().push(watcher);
    }

    /// Begins a change, which ends with what is returned. Several come one after the other.
    pub(crate) fn change(&self) -> Change<'_> {
        let watchers = self.lock();
        watchers.iter().for_each(|watcher| watcher.begin_change());
        Change(watchers)
    }
}

/// A change that goes on.
pub(crate) struct Change<'w>(MutexGuard<'w, Vec<Arc<dyn Watcher>>>);

impl Drop for Change<'_> {
    fn drop(&mut self) {
        self.0.iter().for_each(|watcher| watcher.end_change());
    }
}
