//! A journal of the state folder: no panic, and what is whole is encoded again to the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| origin_sync::fuzzing::journal(data));
