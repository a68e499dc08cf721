//! Edges that announce one service to a real router (BIRD), end to end: what clients see when one of them fails, leaves
//! or comes back. Clients ask 200 times a second, by IPv4 and IPv6 in turn. Needs root (for network namespaces), BIRD,
//! BIND, nft, and the `parapet` binary (`cargo build -p parapet`, or PARAPET_BIN).

mod cut;
mod drained;
mod frozen;
mod killed;
mod restarted;
mod scene;
mod stale;
mod stopped;
