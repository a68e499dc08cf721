//! What the filters have learned, kept over restarts: what cannot be read is said and set aside, and the node starts as if
//! it were new.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use filters::{Filters, Learned, ZoneNumber};
use zones::ZoneSlot;

use super::report::LearnedStatus;
use crate::reload::unix_s;
use crate::state_file;

/// The file's name in the state folder.
const NAME: &str = "defences.learned";

/// Where it is kept.
#[derive(Clone, Debug)]
pub(super) struct LearnedFile(PathBuf);

/// The zones that the node has, as the filters want them named.
fn with_names<R>(zones: &zones::Zones, then: impl FnOnce(&[(ZoneNumber, wire::NameRef<'_>)]) -> R) -> R {
    let slots: Vec<Arc<ZoneSlot>> = zones.load().slots().to_vec();
    let names: Vec<_> = slots.iter().map(|slot| (ZoneNumber(slot.number()), slot.apex())).collect();
    then(&names)
}

impl LearnedFile {
    pub(super) fn within(state_dir: &Path) -> Self {
        Self(state_dir.join(NAME))
    }

    /// Has the filters know what they knew.
    pub(super) fn load(&self, filters: &Filters, zones: &zones::Zones) -> LearnedStatus {
        match state_file::load(&self.0, |bytes| Learned::decode(bytes).map_err(|why| why.to_string())) {
            Ok(None) => LearnedStatus::default(),
            Ok(Some(learned)) => {
                let now = edge::filter_time();
                with_names(zones, |names| filters.learn(&learned, names, now, unix_s() as u64));
                let (zones, known_good) = (learned.zones.len(), learned.known_good.len());
                tracing::info!(zones, known_good, "the defences know what was learned before");
                let kept_unix_s = Some(learned.saved_unix_s as f64);
                LearnedStatus { loaded: true, kept_unix_s, ..LearnedStatus::default() }
            }
            Err(why) => {
                let path = self.0.display();
                let told =
                    format!("what was learned cannot be read from {path}, the node starts as if it were new: {why}");
                LearnedStatus { refused: Some(told), ..LearnedStatus::default() }
            }
        }
    }

    /// Keeps what they know.
    ///
    /// # Errors
    /// Why it is not kept.
    pub(super) fn keep(&self, filters: &Filters, zones: &zones::Zones) -> Result<(), String> {
        let now = edge::filter_time();
        let learned = with_names(zones, |names| filters.learned(names, now, unix_s() as u64));
        state_file::write(&self.0, &learned.encode()).map_err(|why| format!("{}: {why}", self.0.display()))
    }
}
