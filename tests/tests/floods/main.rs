//! Small floods on a real edge, end to end: what the defences do, what they say of it, and what of it outlives a restart.
//! Needs root (for network namespaces and packet sockets), BIND, and the `parapet` binary (`cargo build -p parapet`, or
//! PARAPET_BIN).

mod attacks;
mod configuration;
mod events;
mod learned;
mod modes;
mod operator;
mod orders;
mod scene;
