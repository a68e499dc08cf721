//! The kernel lane as clients meet it: the built daemon with its program on a real interface, beside its own sockets. Needs
//! root, `named`, `ip` and `clang` (`scripts/setup` installs them).

mod answers;
mod attaching;
mod change;
mod cookies;
mod forms;
mod malformed;
mod message;
mod on_demand;
mod restarts;
mod scene;
mod statistics;
mod tags;
