//! The kernel lane: hot answers in maps that a BPF program gives before the network stack sees the question. The program is
//! in `edge/kernel`; here is what fills its maps.

pub mod layout;
