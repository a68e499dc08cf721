//! A message that may be an origin's answer to our question, with its cookie, keys and proofs: no panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| origin_sync::fuzzing::on_demand(data));
