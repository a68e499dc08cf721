//! BGP messages from any bytes, in any pieces: no panic, and what was read is written and read the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| anycast::bgp::fuzzing::message(data));
