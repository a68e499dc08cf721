//! What anyone may ask about the catalogs.

use serde::{Deserialize, Serialize};

/// One catalog. Its zone's own status (origins, timers, errors of transfers) stands among those of the zones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CatalogStatus {
    /// The catalog's name.
    pub catalog: String,
    /// The serial of what it said when it was last whole, and which its members follow.
    pub serial: Option<u32>,
    /// Zones that it lists.
    pub members: u64,
    /// Zones among them that are served because it lists them.
    pub owned: u64,
    /// Zones among them that are the configuration's or another catalog's (RFC 9432 §5.2).
    pub clashes: u64,
    /// The first of those, in a sentence.
    pub clashes_told: Option<String>,
    /// Zones that are still to be taken out or put in, of all catalogs.
    pub pending: u64,
    /// Why its latest copy is broken and was not taken (RFC 9432 §5.1).
    pub last_error: Option<String>,
    /// The fixed text for that reason (the label of the metric).
    pub last_error_kind: Option<String>,
}
