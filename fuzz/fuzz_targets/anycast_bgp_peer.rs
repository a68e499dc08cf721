//! A BGP neighbour's machine that gets any events at any times: no panic, nothing sent on a closed connection, nothing kept
//! without a session.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| anycast::bgp::fuzzing::peer(data));
