//! What other nodes send: a question past its signature, and the option with the way of a copy. No panic, and a path that was
//! read grows by one node.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| origin_sync::fuzzing::peers(data));
