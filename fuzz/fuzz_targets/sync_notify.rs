//! A NOTIFY, from the origin and from a stranger: no panic, and a well-formed response if there is one.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| origin_sync::fuzzing::notify(data));
