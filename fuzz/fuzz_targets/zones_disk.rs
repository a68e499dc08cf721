//! Any bytes as what stands on a disk. As a difference they are read whole or refused; as the pages of a snapshot,
//! framed with right checksums so that the pages themselves are judged, the same. What was read can be searched, and
//! is written and read again as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::{Name, Rtype};
use zones::{Answer, Difference, Zone};

/// The frame of a snapshot of the root zone around pages.
fn frame(records: u8, owner_page: &[u8], hash_page: Option<&[u8]>) -> Vec<u8> {
    let mut header = vec![0];
    header.extend_from_slice(&1u32.to_be_bytes());
    header.extend_from_slice(&u64::from(records).to_be_bytes());
    header.extend_from_slice(&1u64.to_be_bytes());
    header.extend_from_slice(&u64::from(hash_page.is_some()).to_be_bytes());
    let mut bytes = b"PARAZONE\0\0\0\x01".to_vec();
    bytes.extend_from_slice(&(header.len() as u32).to_be_bytes());
    bytes.extend_from_slice(&header);
    bytes.extend_from_slice(&crc32fast::hash(&header).to_be_bytes());
    for page in [Some(owner_page), hash_page].into_iter().flatten() {
        bytes.extend_from_slice(&(page.len() as u32).to_be_bytes());
        bytes.extend_from_slice(&crc32fast::hash(page).to_be_bytes());
        bytes.extend_from_slice(page);
    }
    bytes.extend_from_slice(b"ENOZARAP");
    bytes
}

fn search(zone: &Zone) {
    for name in [".", "a.", "*.a.", "b.a.", "\\255."] {
        let name: Name = name.parse().unwrap();
        for rtype in [Rtype::A, Rtype::SOA, Rtype::ANY, Rtype::DS] {
            let mut answer = Answer::new();
            zone.find(name.as_ref(), rtype, true, &mut answer);
            zone.find_additional(true, &mut answer);
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(difference) = Difference::decode(bytes) {
        let mut written = Vec::new();
        difference.encode(&mut written);
        let again = Difference::decode(&written).unwrap();
        assert_eq!(again.record_count(), difference.record_count());
    }
    let Some((&records, pages)) = bytes.split_first() else { return };
    let halves = pages.split_at(pages.len() / 2);
    for snapshot in [bytes.to_vec(), frame(records, pages, None), frame(records, halves.0, Some(halves.1))] {
        let Ok(zone) = Zone::read_from(&snapshot) else { continue };
        search(&zone);
        let mut written = Vec::new();
        zone.write_to(&mut written).unwrap();
        let again = Zone::read_from(&written).unwrap();
        assert_eq!(again.record_count(), zone.record_count());
    }
});
