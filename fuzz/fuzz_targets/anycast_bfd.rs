//! BFD Control packets, and a session that gets them at any times: no panic, and what it sends is well-formed.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| anycast::bfd::fuzzing::packets(data));
