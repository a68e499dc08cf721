//! Any bytes as a query and as a message: no panic; what is read of a record fits its type, and is read the same
//! again after it has been written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::{Message, Query, Writer, rdata};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(query) = Query::parse(bytes) {
        if let Some(edns) = query.edns {
            edns.options().for_each(drop);
        }
    }
    let Ok(message) = Message::parse(bytes) else { return };
    let mut buffer = vec![0; 65_535];
    let mut writer = Writer::new(&mut buffer, 65_535).unwrap();
    let mut written = Vec::new();
    for record in message.records().flatten() {
        let mut data = Vec::new();
        let Ok(owner) = record.owner() else { continue };
        if record.decompress_rdata(&mut data).is_err() {
            continue;
        }
        rdata::check(record.rtype, &data).unwrap();
        rdata::names(record.rtype, &data).for_each(drop);
        if writer.record(record.section, owner.as_ref(), record.rtype, record.class, record.ttl, &data).is_ok() {
            written.push((owner, record.rtype, data));
        }
    }
    let length = writer.finish();
    let again = Message::parse(&buffer[..length]).unwrap();
    let mut count = 0;
    for (record, (owner, rtype, data)) in again.records().zip(&written) {
        let record = record.unwrap();
        let mut read = Vec::new();
        record.decompress_rdata(&mut read).unwrap();
        assert_eq!(record.owner().unwrap(), *owner);
        assert!(rdata::eq(*rtype, &read, data));
        count += 1;
    }
    assert_eq!(count, written.len());
});
