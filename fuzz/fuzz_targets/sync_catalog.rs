//! A catalog zone made of arbitrary records, and arbitrary lines of the ledger: no panic, and what is written is read.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| origin_sync::fuzzing::catalog(data));
