//! Zones with signatures, digests and chains of any bytes: no panic, and differences are judged like the whole.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| origin_sync::fuzzing::validate(data));
