//! What the filters learned, from the state folder: no panic, and what is taken is written and read again as it is.
#![no_main]

use filters::Learned;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = Learned::decode(data);
    // The same between a right header and a right checksum, so that it is read.
    let mut file = b"PARALRND\0\0\0\x01".to_vec();
    file.extend_from_slice(&(data.len() as u32).to_be_bytes());
    file.extend_from_slice(data);
    file.extend_from_slice(&crc32fast::hash(&file).to_be_bytes());
    if let Ok(learned) = Learned::decode(&file) {
        assert_eq!(Learned::decode(&learned.encode()).as_ref(), Ok(&learned));
    }
});
