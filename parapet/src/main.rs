//! The daemon: command line, roles, wiring, control socket, privileges.

fn main() {}
