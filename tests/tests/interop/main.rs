//! The daemon speaks BGP and BFD with BIRD, FRR, GoBGP and ExaBGP as the router, over IPv4 and IPv6, and with a scripted
//! one that says what no router would. Needs root (for network namespaces), BIND, the four routers (`scripts/setup`), and
//! the `parapet` binary (`cargo build -p parapet`, or PARAPET_BIN).

mod bfd;
mod flap;
mod graceful_restart;
mod hold_timer;
mod malformed;
mod many_routes;
mod next_hops;
mod notification;
mod recorded;
mod refresh;
mod scene;
mod scripted_scene;
mod sessions;
mod wrong_peer;
