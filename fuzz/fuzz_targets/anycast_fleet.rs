//! What nodes say to each other, sealed rightly and with any content, in any order: no panic, and nobody leaves without the
//! grants of others.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| anycast::fuzzing::fleet(data));
