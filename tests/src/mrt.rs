//! Recorded BGP in MRT files (RFC 6396 and what was before it), as far as the project's recordings go: UPDATEs as they
//! were on the wire, and tables as the UPDATEs that would make them.

use std::collections::BTreeMap;
use std::io::Read;

use flate2::read::GzDecoder;

/// No recording is larger than this when unpacked.
const UNPACKED_BYTES_MAX: u64 = 64 << 20;
const HEADER_BYTES: usize = 12;
/// Record types.
const BGP: u16 = 5;
const TABLE_DUMP: u16 = 12;
const BGP4MP: u16 = 16;
/// Subtypes.
const BGP_UPDATE: u16 = 1;
const BGP4MP_MESSAGE: u16 = 1;
const BGP4MP_MESSAGE_AS4: u16 = 4;
/// Octets of a BGP message before its body, of which the last is its type.
const MESSAGE_HEADER_BYTES: usize = 19;
const UPDATE: u8 = 2;
/// So many that an UPDATE has room for them and its attributes.
const PREFIXES_OF_UPDATE: usize = 500;

/// An UPDATE without its header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// Whether AS numbers in it have four octets rather than two.
    pub four_octet_as: bool,
    /// All after the header.
    pub body: Vec<u8>,
}

/// Reads big-endian numbers and slices off the front; `None` where there is not enough.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(front)
    }

    fn short(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn long(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }
}

fn unpack(file: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = GzDecoder::new(file).take(UNPACKED_BYTES_MAX).read_to_end(&mut bytes);
    read.expect("a recording is a whole gzip file");
    bytes
}

/// The UPDATEs of a recording, in their order.
#[must_use]
pub fn updates(file: &[u8]) -> Vec<Update> {
    let bytes = unpack(file);
    let mut reader = Reader(&bytes);
    let mut found = Vec::new();
    while let Some(header) = reader.take(HEADER_BYTES) {
        let mut header = Reader(&header[4..]);
        let (Some(kind), Some(subtype), Some(length)) = (header.short(), header.short(), header.long()) else { break };
        // Some recordings are cut off.
        let Some(body) = reader.take(length as usize) else { break };
        found.extend(match (kind, subtype) {
            (BGP, BGP_UPDATE) => old_update(body),
            (BGP4MP, BGP4MP_MESSAGE) => message(body, false),
            (BGP4MP, BGP4MP_MESSAGE_AS4) => message(body, true),
            _ => None,
        });
    }
    found
}

/// Peer AS and address, local AS and address, then the UPDATE without its header.
fn old_update(body: &[u8]) -> Option<Update> {
    let mut reader = Reader(body);
    reader.take(2 + 4 + 2 + 4)?;
    Some(Update { four_octet_as: false, body: reader.0.to_vec() })
}

/// RFC 6396 §4.4.2 and §4.4.3.
fn message(body: &[u8], four_octet_as: bool) -> Option<Update> {
    let mut reader = Reader(body);
    reader.take(if four_octet_as { 8 } else { 4 } + 2)?;
    let address_bytes = if reader.short()? == 1 { 4 } else { 16 };
    reader.take(2 * address_bytes)?;
    let header = reader.take(MESSAGE_HEADER_BYTES)?;
    (header.last() == Some(&UPDATE)).then(|| Update { four_octet_as, body: reader.0.to_vec() })
}

/// A table (RFC 6396 §4.2, as it was in 2000: many entries to a record, whose length leaves view and sequence number out)
/// as UPDATEs of two-octet AS numbers; entries with the same attributes share them.
#[must_use]
pub fn table(file: &[u8]) -> Vec<Update> {
    let bytes = unpack(file);
    let mut reader = Reader(&bytes);
    let mut found: BTreeMap<&[u8], Vec<Vec<u8>>> = BTreeMap::new();
    while let Some(header) = reader.take(HEADER_BYTES) {
        let mut header = Reader(&header[4..]);
        let (Some(TABLE_DUMP), Some(_), Some(length)) = (header.short(), header.short(), header.long()) else { break };
        let (Some(_), Some(body)) = (reader.take(4), reader.take(length as usize)) else { break };
        let mut entries = Reader(body);
        while let Some((attributes, prefix)) = entry(&mut entries) {
            found.entry(attributes).or_default().push(prefix);
        }
    }
    let short = |length: usize| u16::try_from(length).expect("attributes of a recorded route").to_be_bytes();
    let made = found.iter().flat_map(|(attributes, prefixes)| {
        prefixes.chunks(PREFIXES_OF_UPDATE).map(move |prefixes| {
            let body = [&[0, 0][..], &short(attributes.len()), attributes, &prefixes.concat()].concat();
            Update { four_octet_as: false, body }
        })
    });
    made.collect()
}

/// Prefix, its bits, status, time, peer's address and AS, attributes.
fn entry<'a>(reader: &mut Reader<'a>) -> Option<(&'a [u8], Vec<u8>)> {
    let address = reader.take(4)?;
    let bits = *reader.take(1)?.first()?;
    reader.take(1 + 4 + 4 + 2)?;
    let length = reader.short()?;
    let attributes = reader.take(usize::from(length))?;
    let mut prefix = vec![bits];
    prefix.extend(&address[..usize::from(bits.min(32).div_ceil(8))]);
    Some((attributes, prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &[u8] = include_bytes!("../data/bgp/updates.19991214.1621.gz");
    const NEW: &[u8] = include_bytes!("../data/bgp/updates.20100227.1600.gz");
    const TABLE: &[u8] = include_bytes!("../data/bgp/bview.20000111.0032.gz");

    #[test]
    fn all_recorded_updates_are_found() {
        let old = updates(OLD);
        assert_eq!(old.len(), 18_054);
        assert!(old.iter().all(|update| !update.four_octet_as));
        let new = updates(NEW);
        assert!(new.iter().filter(|update| update.four_octet_as).count() > 4000, "{}", new.len());
    }

    #[test]
    fn the_table_is_whole() {
        let table = table(TABLE);
        let prefixes = |update: &Update| {
            let attributes = usize::from(u16::from_be_bytes([update.body[2], update.body[3]]));
            let mut rest = &update.body[4 + attributes..];
            let mut count = 0;
            while let Some((bits, after)) = rest.split_first() {
                rest = &after[usize::from(bits.div_ceil(8))..];
                count += 1;
            }
            count
        };
        assert!(table.iter().all(|update| update.body.len() < 4000));
        let count: usize = table.iter().map(prefixes).sum();
        assert_eq!((count, table.len()), (452_018, 64_889));
    }
}
