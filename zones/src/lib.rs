//! Immutable snapshots of zones, the differences between them, and finding the answer for a name.
