//! The state folder survives a kill at any moment.

use std::collections::BTreeMap;

use wire::{Name, Rtype};
use zones::{Limits, ZoneBuilder};

use super::*;

const APEX: &str = "zone.test.";

fn soa(serial: u32) -> Vec<u8> {
    let mut rdata = b"\x02ns\x04zone\x04test\x00\x05admin\x04zone\x04test\x00".to_vec();
    for number in [serial, 3600, 600, 86_400, 300] {
        rdata.extend_from_slice(&number.to_be_bytes());
    }
    rdata
}

fn zone(serial: u32) -> Zone {
    let apex: Name = APEX.parse().unwrap();
    let mut builder = ZoneBuilder::new(apex, Limits::NONE);
    builder.add(apex.as_ref(), Rtype::SOA, 300, &soa(serial)).unwrap();
    builder.add(apex.as_ref(), Rtype::NS, 300, b"\x02ns\x04zone\x04test\x00").unwrap();
    builder.finish().unwrap()
}

/// From `serial` to the next: one name more.
fn step(serial: u32) -> Difference {
    let apex: Name = APEX.parse().unwrap();
    let owner = apex.prepend(format!("n{serial}").as_bytes()).unwrap();
    let mut difference = Difference::new();
    difference.delete(apex.as_ref(), Rtype::SOA, 300, &soa(serial)).unwrap();
    difference.add(apex.as_ref(), Rtype::SOA, 300, &soa(serial + 1)).unwrap();
    difference.add(owner.as_ref(), Rtype::A, 300, &serial.to_be_bytes()).unwrap();
    difference
}

/// The same with a large record, so that a journal fills up soon.
fn large_step(serial: u32) -> Difference {
    let apex: Name = APEX.parse().unwrap();
    let mut difference = step(serial);
    difference.add(apex.as_ref(), Rtype(65_280), 300, &[serial.to_be_bytes(); 4000].concat()).unwrap();
    difference
}

/// Fills the journal until a compaction is asked for: the zone that it is to write.
fn fill(store: &ZoneStore) -> (Compaction, Zone) {
    let mut next = zone(1);
    loop {
        let (from, difference) = (next.serial(), large_step(next.serial()));
        next = next.apply(&difference).unwrap();
        match store.append(&[difference], (from, from + 1), 1000).unwrap() {
            Appended::Done(Some(compaction)) => return (compaction, next),
            Appended::Done(None) => {}
            Appended::TooLarge => panic!("a small change"),
        }
    }
}

/// The records of a zone.
fn records(zone: &Zone) -> Vec<String> {
    let mut lines = Vec::new();
    zone.for_each_rrset(|rrset| {
        rrset.rdatas.for_each(|rdata| lines.push(format!("{} {} {rdata:?}", rrset.owner, rrset.rtype)));
    });
    lines
}

fn place(folder: &Path) -> ZoneStore {
    Store::open(folder).unwrap().zone(APEX.parse::<Name>().unwrap().as_ref())
}

fn load(store: &ZoneStore) -> (Option<Loaded>, Vec<String>) {
    let mut notes = Vec::new();
    let loaded = store.load(&mut |note| notes.push(note)).unwrap();
    (loaded, notes)
}

fn append(store: &ZoneStore, serial: u32) -> Appended {
    store.append(&[step(serial)], (serial, serial + 1), 1000 + u64::from(serial)).unwrap()
}

/// The files of the zone's folder.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder.join("zones/zone.test")).unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

fn put(folder: &Path, files: &BTreeMap<String, Vec<u8>>) {
    let dir = folder.join("zones/zone.test");
    fs::create_dir_all(&dir).unwrap();
    for (name, bytes) in files {
        fs::write(dir.join(name), bytes).unwrap();
    }
}

#[test]
fn what_was_appended_is_there_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = place(folder.path());
    assert!(load(&store).0.is_none());
    assert!(matches!(append(&store, 1), Appended::TooLarge), "there is no snapshot yet");
    store.save(&zone(1), 1000).unwrap();
    (1..9).for_each(|serial| assert!(matches!(append(&store, serial), Appended::Done(None))));
    let store = place(folder.path());
    let (loaded, notes) = load(&store);
    let loaded = loaded.unwrap();
    assert_eq!((loaded.zone.serial(), loaded.refreshed_unix_s, notes), (9, 1008, vec![]));
    // It goes on where it ended.
    append(&store, 9);
    store.note_refreshed(10, 5000).unwrap();
    let loaded = load(&place(folder.path())).0.unwrap();
    assert_eq!((loaded.zone.serial(), loaded.refreshed_unix_s, loaded.zone.record_count()), (10, 5000, 11));
}

#[test]
fn a_note_for_another_serial_does_not_count() {
    let folder = tempfile::tempdir().unwrap();
    let store = place(folder.path());
    store.save(&zone(1), 1000).unwrap();
    store.note_refreshed(2, 5000).unwrap();
    assert_eq!(load(&place(folder.path())).0.unwrap().refreshed_unix_s, 1000);
}

#[test]
fn a_journal_cut_at_any_byte_gives_a_state_that_was() {
    let folder = tempfile::tempdir().unwrap();
    let store = place(folder.path());
    store.save(&zone(1), 1000).unwrap();
    let mut states = vec![records(&zone(1))];
    let mut ends = vec![0];
    let mut next = zone(1);
    for serial in 1..5 {
        append(&store, serial);
        next = next.apply(&step(serial)).unwrap();
        states.push(records(&next));
        ends.push(files(folder.path())["journal.1"].len());
    }
    let files = files(folder.path());
    let journal = &files["journal.1"];
    for cut in 0..=journal.len() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = files.clone();
        files.insert("journal.1".into(), journal[..cut].to_vec());
        put(folder.path(), &files);
        let store = place(folder.path());
        let loaded = load(&store).0.unwrap();
        let whole = ends.iter().rposition(|&end| end <= cut).unwrap();
        assert_eq!(records(&loaded.zone), states[whole], "cut at {cut}");
        if cut % 7 != 0 {
            continue;
        }
        // The next append stands where the torn entry stood.
        append(&store, loaded.zone.serial());
        let (again, notes) = load(&place(folder.path()));
        assert_eq!((again.unwrap().zone.serial(), notes), (loaded.zone.serial() + 1, vec![]), "cut at {cut}");
    }
}

#[test]
fn a_damaged_entry_ends_the_journal_and_is_kept_aside() {
    let folder = tempfile::tempdir().unwrap();
    let store = place(folder.path());
    store.save(&zone(1), 1000).unwrap();
    for serial in 1..4 {
        append(&store, serial);
    }
    let mut files = files(folder.path());
    let damaged = files.get_mut("journal.1").unwrap();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    put(folder.path(), &files);
    let (loaded, notes) = load(&place(folder.path()));
    assert_eq!(loaded.unwrap().zone.serial(), 2);
    assert!(notes.len() == 1 && notes[0].contains("damaged from byte"), "{notes:?}");
    assert_eq!(self::files(folder.path())["journal.1.damaged"], files["journal.1"]);
    assert_eq!(load(&place(folder.path())).1, Vec::<String>::new());
}

/// Every state of the folder that a kill during a compaction can leave.
#[test]
fn a_compaction_interrupted_anywhere_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = place(folder.path());
    store.save(&zone(1), 1000).unwrap();
    let (compaction, next) = fill(&store);
    let serial = next.serial();
    let before = files(folder.path());
    assert!(before["journal.1"].len() as u64 > JOURNAL_BYTES_MIN && !before.contains_key("journal.2"));
    // Changes go on while the snapshot is written.
    append(&store, serial);
    append(&store, serial + 1);
    let during = files(folder.path());
    store.compact(&compaction, &next, 7000).unwrap();
    let after = files(folder.path());
    assert_eq!(after.keys().collect::<Vec<_>>(), ["journal.2", "snapshot"]);
    append(&store, serial + 2);
    let end = files(folder.path());

    let mut half_written = during.clone();
    half_written.insert("snapshot.2.tmp".into(), after["snapshot"][..100].to_vec());
    let mut renamed = during.clone();
    renamed.insert("snapshot".into(), after["snapshot"].clone());
    let expected = serial + 2;
    for (files, expected) in [
        (&before, serial),
        (&during, expected),
        (&half_written, expected),
        (&renamed, expected),
        (&after, expected),
        (&end, expected + 1),
    ] {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), files);
        let store = place(folder.path());
        let (loaded, notes) = load(&store);
        assert_eq!((loaded.unwrap().zone.serial(), notes), (expected, vec![]));
        append(&store, expected);
        assert_eq!(load(&place(folder.path())).0.unwrap().zone.serial(), expected + 1);
    }
}

#[test]
fn a_full_copy_takes_over_from_a_compaction() {
    let folder = tempfile::tempdir().unwrap();
    let store = place(folder.path());
    store.save(&zone(1), 1000).unwrap();
    let (compaction, next) = fill(&store);
    store.save(&zone(1_000_000), 9000).unwrap();
    store.compact(&compaction, &next, 7000).unwrap();
    append(&store, 1_000_000);
    assert_eq!(load(&place(folder.path())).0.unwrap().zone.serial(), 1_000_001);
}

#[test]
fn a_removed_zone_takes_no_writes() {
    let folder = tempfile::tempdir().unwrap();
    let store = place(folder.path());
    store.save(&zone(1), 1000).unwrap();
    store.remove().unwrap();
    store.remove().unwrap();
    assert!(matches!(store.append(&[step(1)], (1, 2), 1), Err(Error::Removed)));
    assert!(matches!(store.save(&zone(2), 1), Err(Error::Removed)));
    store.note_refreshed(1, 1).unwrap();
    assert!(load(&place(folder.path())).0.is_none());
}

#[test]
fn a_snapshot_of_another_zone_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    place(folder.path()).save(&zone(1), 1000).unwrap();
    fs::rename(folder.path().join("zones/zone.test"), folder.path().join("zones/other.test")).unwrap();
    let other = Store::open(folder.path()).unwrap().zone("other.test".parse::<Name>().unwrap().as_ref());
    let (loaded, notes) = load(&other);
    assert!(loaded.is_none() && notes[0].contains("it is of the zone zone.test."), "{notes:?}");
}

#[test]
fn folders_of_other_zones_are_told_of() {
    let folder = tempfile::tempdir().unwrap();
    place(folder.path()).save(&zone(1), 1000).unwrap();
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.strangers(std::iter::empty()), [folder.path().join("zones/zone.test")]);
    assert!(store.strangers([APEX.parse::<Name>().unwrap().as_ref()].into_iter()).is_empty());
}

#[test]
fn a_state_folder_that_cannot_be_written_is_told() {
    let error = Store::open(Path::new("/proc/none")).unwrap_err().to_string();
    assert!(error.starts_with("cannot create the folder /proc/none/zones:"), "{error}");
}
