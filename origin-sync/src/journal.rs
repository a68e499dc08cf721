//! Framing of the journal: differences appended to a zone's snapshot, each with its own checksum.
//!
//! ```text
//! file   = magic "PARAJRNL" | version u32 | generation u64 | crc32 u32 of the 20 bytes before | entry*
//! entry  = length u32 of what follows the checksum | crc32 u32 of what follows
//!        | refreshed_unix_s u64 | from serial u32 | to serial u32 | payload
//! ```
//!
//! Integers are in network order. A kill in the middle of an append leaves a torn entry at the end; [`scan`] stops before
//! it and says so, and every entry before it still counts.

use crc32fast::Hasher;

/// Bytes before the first entry.
pub(crate) const HEADER_BYTES: usize = 24;
/// Bytes of an entry before its payload.
pub(crate) const ENTRY_HEADER_BYTES: usize = 24;
/// The largest payload of one entry; a larger change is saved as a whole snapshot.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 64 << 20;

const MAGIC: &[u8; 8] = b"PARAJRNL";
const VERSION: u32 = 1;

/// One entry: what leads from one serial to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    /// When the change was fetched, in seconds since 1970.
    pub refreshed_unix_s: u64,
    /// The serial that the payload applies to.
    pub from: u32,
    /// The serial that it leads to.
    pub to: u32,
    /// The encoded differences.
    pub payload: &'a [u8],
}

/// How a journal ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// With a whole entry.
    Clean,
    /// In the middle of the last entry, as a kill leaves it.
    Torn,
    /// With an entry whose checksum is wrong.
    Damaged,
}

/// What [`scan`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scan<'a> {
    /// The generation of the snapshot that the journal continues.
    pub generation: u64,
    /// Every entry that is whole.
    pub entries: Vec<Entry<'a>>,
    /// Where the last whole entry ends.
    pub valid_bytes: usize,
    /// What comes after it.
    pub tail: Tail,
}

/// The bytes that a new journal begins with.
pub(crate) fn header(generation: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    bytes.extend_from_slice(&generation.to_be_bytes());
    let crc = checksum(&bytes);
    bytes.extend_from_slice(&crc.to_be_bytes());
    bytes
}

/// Appends an entry to `out`, ready to be written with one call; `false` when its payload is too large for a journal.
pub(crate) fn encode(entry: &Entry<'_>, out: &mut Vec<u8>) -> bool {
    if entry.payload.len() > PAYLOAD_BYTES_MAX {
        return false;
    }
    let mut body = [0; 16];
    let (time, serials) = body.split_at_mut(8);
    time.copy_from_slice(&entry.refreshed_unix_s.to_be_bytes());
    let (from, to) = serials.split_at_mut(4);
    from.copy_from_slice(&entry.from.to_be_bytes());
    to.copy_from_slice(&entry.to.to_be_bytes());
    let mut crc = Hasher::new();
    crc.update(&body);
    crc.update(entry.payload);
    let length = u32::try_from(body.len() + entry.payload.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&crc.finalize().to_be_bytes());
    out.extend_from_slice(&body);
    out.extend_from_slice(entry.payload);
    true
}

/// Reads a whole journal; `None` when not even its header is whole.
pub(crate) fn scan(bytes: &[u8]) -> Option<Scan<'_>> {
    let (head, mut rest) = bytes.split_at_checked(HEADER_BYTES)?;
    let (fields, crc) = head.split_at_checked(HEADER_BYTES - 4)?;
    let (magic, fields_after) = fields.split_at_checked(8)?;
    let (version, generation) = fields_after.split_at_checked(4)?;
    if magic != MAGIC || version != VERSION.to_be_bytes() || crc != checksum(fields).to_be_bytes() {
        return None;
    }
    let generation = u64::from_be_bytes(generation.try_into().ok()?);
    let mut scan = Scan { generation, entries: Vec::new(), valid_bytes: HEADER_BYTES, tail: Tail::Clean };
    while !rest.is_empty() {
        match read_entry(rest) {
            Ok((entry, after)) => {
                scan.valid_bytes += rest.len() - after.len();
                scan.entries.push(entry);
                rest = after;
            }
            Err(tail) => {
                scan.tail = tail;
                break;
            }
        }
    }
    Some(scan)
}

fn read_entry(bytes: &[u8]) -> Result<(Entry<'_>, &[u8]), Tail> {
    let (length, rest) = take_u32(bytes).ok_or(Tail::Torn)?;
    let (crc, rest) = take_u32(rest).ok_or(Tail::Torn)?;
    let length = length as usize;
    if !(16..=16 + PAYLOAD_BYTES_MAX).contains(&length) {
        return Err(Tail::Damaged);
    }
    let (body, after) = rest.split_at_checked(length).ok_or(Tail::Torn)?;
    if checksum(body) != crc {
        // The last entry is torn when its length reached the disk before its content did.
        return Err(if after.is_empty() { Tail::Torn } else { Tail::Damaged });
    }
    let (time, rest) = body.split_first_chunk::<8>().ok_or(Tail::Damaged)?;
    let (from, rest) = take_u32(rest).ok_or(Tail::Damaged)?;
    let (to, payload) = take_u32(rest).ok_or(Tail::Damaged)?;
    Ok((Entry { refreshed_unix_s: u64::from_be_bytes(*time), from, to, payload }, after))
}

fn take_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*head), rest))
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = Hasher::new();
    crc.update(bytes);
    crc.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal(payloads: &[&[u8]]) -> (Vec<u8>, Vec<usize>) {
        let mut bytes = header(7);
        let mut ends = vec![bytes.len()];
        for (serial, payload) in (0u32..).zip(payloads) {
            assert!(encode(
                &Entry { refreshed_unix_s: 1_700_000_000, from: serial, to: serial + 1, payload },
                &mut bytes
            ));
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    #[test]
    fn what_was_written_is_read_back() {
        let (bytes, _) = journal(&[b"one", b"", b"three"]);
        let scan = scan(&bytes).unwrap();
        assert_eq!((scan.generation, scan.tail, scan.valid_bytes), (7, Tail::Clean, bytes.len()));
        let payloads: Vec<&[u8]> = scan.entries.iter().map(|entry| entry.payload).collect();
        assert_eq!(payloads, [&b"one"[..], b"", b"three"]);
        assert_eq!((scan.entries[2].from, scan.entries[2].to), (2, 3));
    }

    #[test]
    fn a_journal_cut_at_any_byte_keeps_its_whole_entries() {
        let (bytes, ends) = journal(&[b"first change", b"second", b"the third one"]);
        for cut in 0..bytes.len() {
            let whole = ends.iter().filter(|&&end| end <= cut).count();
            match scan(&bytes[..cut]) {
                None => assert_eq!(whole, 0, "cut at {cut}"),
                Some(scan) => {
                    assert_eq!(scan.entries.len(), whole - 1, "cut at {cut}");
                    assert_eq!(scan.valid_bytes, ends[whole - 1], "cut at {cut}");
                    assert_eq!(scan.tail == Tail::Clean, ends.contains(&cut), "cut at {cut}");
                }
            }
        }
    }

    #[test]
    fn a_flipped_bit_ends_the_journal_before_its_entry() {
        let (bytes, ends) = journal(&[b"first change", b"second", b"the third one"]);
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x10;
            let whole = ends.iter().filter(|&&end| end <= at).count();
            match scan(&bytes) {
                None => assert_eq!(whole, 0, "flipped at {at}"),
                Some(scan) => {
                    assert_eq!(scan.entries.len(), whole - 1, "flipped at {at}");
                    assert_ne!(scan.tail, Tail::Clean, "flipped at {at}");
                }
            }
        }
    }
}
