//! Who has to know what is published before anybody can see it.

use std::sync::Arc;

use wire::NameRef;

use crate::{ZoneSlot, ZoneState};

/// Is told of what is about to be published, and publishes it: by calling `swap`, once.
///
/// Several threads may be at it at once, but never for the same zone.
pub trait Watch: std::fmt::Debug + Send + Sync {
    /// The next state of a zone.
    fn publish_state(&self, apex: NameRef<'_>, before: &ZoneState, next: &ZoneState, swap: &mut dyn FnMut());

    /// The next table of zones; these are in it that were not before, each in the state that it is in.
    fn publish_table(&self, new: &[&Arc<ZoneSlot>], swap: &mut dyn FnMut());
}
