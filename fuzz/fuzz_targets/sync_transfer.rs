//! The messages of an AXFR or IXFR answer, made into a zone: no panic, and the serial that was promised.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| origin_sync::fuzzing::transfer(data));
