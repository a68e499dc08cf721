//! What the filters tell the operator: a defence is armed, or rests again.

use serde::Serialize;

use crate::ZoneNumber;

/// What is armed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Defence {
    /// Above the miss threshold: what is not at hand is filtered.
    Miss,
    /// Above the random-source threshold: only known-good sources are served.
    RandomSource,
    /// Random names are asked for below a suffix.
    RandomName,
}

/// Whether it begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// It is armed from now on.
    Armed,
    /// It rests from now on.
    Rested,
}

/// Where it holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// For all that the node is asked.
    Node,
    /// For one zone.
    Zone(ZoneNumber),
    /// Below one name.
    Suffix(wire::NameBox),
}

/// A defence is armed, or rests again.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// What.
    pub defence: Defence,
    /// Which of both.
    pub phase: Phase,
    /// Where.
    pub scope: Scope,
    /// Queries a second at that moment.
    pub per_s: f64,
    /// Queries a second that are normal there; for random names: how many are borne.
    pub normal_per_s: f64,
}
