//! Edges before a real `named`, end to end: one file for each thing that an operator relies on. Needs root (for network
//! namespaces), BIND, and the `parapet` binary (`cargo build -p parapet`, or PARAPET_BIN).

mod any_bytes;
mod catalog;
mod configuration;
mod cookies;
mod daemon;
mod delayed_input;
mod distribution_tree;
mod equal;
mod expiry;
mod hidden_origin;
mod killed;
mod listening;
mod notify_lost;
mod notify_races;
mod on_demand;
mod origin_down;
mod origin_faults;
mod origins;
mod other_origins;
mod pull;
mod random_updates;
mod reload;
mod scene;
mod serials;
mod signed_zones;
mod transfer_limits;
mod transfers;
mod tsig;
mod two_origins;
mod zone_freshness;
