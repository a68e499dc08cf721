//! Immutable snapshots of zones, the differences between them, and finding the answer for a name.

mod tree;
mod varint;

#[cfg(test)]
mod testing;
