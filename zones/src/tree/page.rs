//! A page: a sorted run of keys and their values in one immutable block of bytes.
//!
//! ```text
//! 0        2          4
//! +--------+----------+--------+------------------+-----------------------+---------
//! | count  | W prefix | prefix | heads            | ends                  | entries
//! |        |   length |        | count × 8 bytes  | count × 2 (W: 4) bytes|
//! +--------+----------+--------+------------------+-----------------------+---------
//! ```
//!
//! The prefix is what all keys of the page share; a *suffix* is the rest of a key. A head is the first eight bytes of a
//! suffix, padded with zeros: comparing heads as integers decides nearly every search without touching the entries. An
//! entry is the suffix's length, what of it the head has no room for, and the value; `ends` says where each stops,
//! counted from the start of the entries. `W` marks pages beyond 64 KiB (a single huge RRset), whose ends are wide.
//!
//! Pages come from disk too, so nothing here trusts what it reads: [`Page::validate`] refuses a malformed page, and the
//! accessors give an empty slice rather than panic on one that was never validated.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::varint;

const HEADER_LEN: usize = 4;
const HEAD_LEN: usize = 8;
const WIDE: u16 = 0x8000;

/// The longest key a page takes: an escaped name is shorter, and the length shares its field with a flag.
pub(crate) const KEY_BYTES_MAX: usize = 1024;

/// A page's parts, borrowed from its bytes.
#[derive(Clone, Copy)]
pub(crate) struct Page<'a> {
    count: usize,
    wide: bool,
    prefix: &'a [u8],
    heads: &'a [u8],
    ends: &'a [u8],
    entries: &'a [u8],
}

const EMPTY: Page<'static> = Page { count: 0, wide: false, prefix: &[], heads: &[], ends: &[], entries: &[] };

impl<'a> Page<'a> {
    /// Splits a page into its parts. Malformed bytes read as an empty page.
    #[inline]
    pub(crate) fn new(bytes: &'a [u8]) -> Page<'a> {
        Page::split(bytes).unwrap_or(EMPTY)
    }

    #[inline]
    fn split(bytes: &'a [u8]) -> Option<Page<'a>> {
        let (header, rest) = bytes.split_first_chunk::<HEADER_LEN>()?;
        let [c0, c1, p0, p1] = *header;
        let count = usize::from(u16::from_be_bytes([c0, c1]));
        let prefix_len = u16::from_be_bytes([p0, p1]);
        let wide = prefix_len & WIDE != 0;
        let (prefix, rest) = rest.split_at_checked(usize::from(prefix_len & !WIDE))?;
        let (heads, rest) = rest.split_at_checked(count * HEAD_LEN)?;
        let (ends, entries) = rest.split_at_checked(count * if wide { 4 } else { 2 })?;
        Some(Page { count, wide, prefix, heads, ends, entries })
    }

    /// The number of entries.
    #[inline]
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    #[inline]
    fn head(&self, index: usize) -> u64 {
        match self.heads.get(index * HEAD_LEN..).and_then(|heads| heads.first_chunk::<HEAD_LEN>()) {
            Some(head) => u64::from_be_bytes(*head),
            None => u64::MAX,
        }
    }

    #[inline]
    fn end(&self, index: usize) -> usize {
        if self.wide {
            let end = self.ends.get(index * 4..).and_then(|ends| ends.first_chunk::<4>());
            end.map_or(0, |end| u32::from_be_bytes(*end) as usize)
        } else {
            let end = self.ends.get(index * 2..).and_then(|ends| ends.first_chunk::<2>());
            end.map_or(0, |end| usize::from(u16::from_be_bytes(*end)))
        }
    }

    /// An entry's suffix length, the suffix from the ninth byte on, and the value.
    #[inline]
    fn entry(&self, index: usize) -> (usize, &'a [u8], &'a [u8]) {
        let start = if index == 0 { 0 } else { self.end(index - 1) };
        self.split_entry(start, self.end(index)).unwrap_or((0, &[], &[]))
    }

    #[inline]
    fn split_entry(&self, start: usize, end: usize) -> Option<(usize, &'a [u8], &'a [u8])> {
        let mut entry = self.entries.get(start..end)?;
        let suffix_len = varint::read(&mut entry)? as usize;
        let (tail, value) = entry.split_at_checked(suffix_len.saturating_sub(HEAD_LEN))?;
        Some((suffix_len, tail, value))
    }

    /// The value of an entry.
    #[inline]
    pub(crate) fn value(&self, index: usize) -> &'a [u8] {
        self.entry(index).2
    }

    /// Appends an entry's key to `out`.
    pub(crate) fn key_into(&self, index: usize, out: &mut Vec<u8>) {
        let (suffix_len, tail, _) = self.entry(index);
        out.extend_from_slice(self.prefix);
        let head = self.head(index).to_be_bytes();
        out.extend(head.iter().take(suffix_len));
        out.extend_from_slice(tail);
    }

    /// Copies an entry's key to the front of `out` and says how long it is; a key with no room there reads as empty.
    pub(crate) fn key_to(&self, index: usize, out: &mut [u8]) -> usize {
        let (suffix_len, tail, _) = self.entry(index);
        let head = self.head(index).to_be_bytes();
        let mut at = 0;
        for part in [self.prefix, head.get(..suffix_len.min(HEAD_LEN)).unwrap_or(&[]), tail] {
            match out.get_mut(at..at + part.len()) {
                Some(room) => room.copy_from_slice(part),
                None => return 0,
            }
            at += part.len();
        }
        at
    }

    /// How many leading bytes an entry's key has in common with `key`.
    #[inline]
    pub(crate) fn common_len(&self, index: usize, key: &[u8]) -> usize {
        let in_prefix = common_len(self.prefix, key);
        if in_prefix < self.prefix.len() {
            return in_prefix;
        }
        let rest = key.get(in_prefix..).unwrap_or(&[]);
        let (suffix_len, tail, _) = self.entry(index);
        let head = self.head(index).to_be_bytes();
        let in_head = common_len(head.get(..suffix_len.min(HEAD_LEN)).unwrap_or(&[]), rest);
        if in_head < HEAD_LEN {
            return in_prefix + in_head;
        }
        in_prefix + in_head + common_len(tail, rest.get(in_head..).unwrap_or(&[]))
    }

    /// Where `key` is (`Ok`), or the entry it would stand before (`Err`).
    #[inline]
    pub(crate) fn search(&self, key: &[u8]) -> Result<usize, usize> {
        let Some(suffix) = key.strip_prefix(self.prefix) else {
            return Err(if key < self.prefix { 0 } else { self.count });
        };
        let head = head_of(suffix);
        let low = self.lower_bound(head);
        if low == self.count || self.head(low) != head {
            return Err(low);
        }
        self.search_ties(low, head, suffix)
    }

    /// The first entry whose head is not below `head`.
    #[inline]
    fn lower_bound(&self, head: u64) -> usize {
        if self.count == 0 {
            return 0;
        }
        let (mut base, mut size) = (0, self.count);
        while size > 1 {
            let half = size / 2;
            if self.head(base + half) < head {
                base += half;
            }
            size -= half;
        }
        base + usize::from(self.head(base) < head)
    }

    /// Searches the entries from `low` on whose heads all equal `head`.
    fn search_ties(&self, low: usize, head: u64, suffix: &[u8]) -> Result<usize, usize> {
        let mut low = low;
        let mut high = low + 1;
        let mut step = 1;
        while high < self.count && self.head(high) == head {
            high += step;
            step *= 2;
        }
        high = high.min(self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.compare_tied(middle, head, suffix) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Ok(middle),
            }
        }
        Err(low)
    }

    /// Compares an entry, whose head is `head` or above, with a suffix whose head is `head`.
    fn compare_tied(&self, index: usize, head: u64, suffix: &[u8]) -> Ordering {
        if self.head(index) != head {
            return Ordering::Greater;
        }
        let (suffix_len, tail, _) = self.entry(index);
        if suffix_len > HEAD_LEN && suffix.len() > HEAD_LEN {
            tail.cmp(suffix.get(HEAD_LEN..).unwrap_or(&[]))
        } else {
            // Equal padded heads where one ends within: the shorter is the other's prefix.
            suffix_len.cmp(&suffix.len())
        }
    }

    /// Checks what the accessors rely on: ends ascend and close the page, entries are whole, keys ascend strictly and
    /// are the shortest encoding of themselves. `values` judges each value.
    pub(crate) fn validate(
        bytes: &'a [u8],
        mut values: impl FnMut(&Page<'a>, usize, &'a [u8]) -> bool,
    ) -> Option<Page<'a>> {
        let page = Page::split(bytes)?;
        if page.count == 0 {
            return None;
        }
        let mut start = 0;
        let mut previous: Option<(u64, usize, &[u8])> = None;
        for index in 0..page.count {
            let end = page.end(index);
            let (suffix_len, tail, value) = page.split_entry(start, end)?;
            let head = page.head(index);
            if page.prefix.len() + suffix_len > KEY_BYTES_MAX || !padded_with_zeros(head, suffix_len) {
                return None;
            }
            if let Some((last_head, last_len, last_tail)) = previous {
                let ascends = match last_head.cmp(&head) {
                    Ordering::Less => true,
                    Ordering::Greater => false,
                    Ordering::Equal if last_len > HEAD_LEN && suffix_len > HEAD_LEN => last_tail < tail,
                    Ordering::Equal => last_len < suffix_len,
                };
                if !ascends {
                    return None;
                }
            }
            if !values(&page, index, value) {
                return None;
            }
            previous = Some((head, suffix_len, tail));
            start = end;
        }
        (start == page.entries.len()).then_some(page)
    }
}

fn padded_with_zeros(head: u64, suffix_len: usize) -> bool {
    suffix_len >= HEAD_LEN || (suffix_len == 0 && head == 0) || (suffix_len > 0 && head << (8 * suffix_len as u32) == 0)
}

#[inline]
fn head_of(suffix: &[u8]) -> u64 {
    if let Some(head) = suffix.first_chunk::<HEAD_LEN>() {
        return u64::from_be_bytes(*head);
    }
    let mut head = [0; HEAD_LEN];
    for (to, from) in head.iter_mut().zip(suffix) {
        *to = *from;
    }
    u64::from_be_bytes(head)
}

/// How many leading bytes `a` and `b` share.
#[inline]
pub(crate) fn common_len(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Collects ascending keys and writes pages of them.
#[derive(Default)]
pub(crate) struct PageWriter {
    keys: Vec<u8>,
    key_ends: Vec<u32>,
    values: Vec<u8>,
    value_ends: Vec<u32>,
    prefix_len: usize,
    scratch: Vec<u8>,
}

/// What an entry costs beside its tail and its value: head, end, suffix length.
pub(crate) const ENTRY_OVERHEAD: usize = HEAD_LEN + 3;

impl PageWriter {
    pub(crate) fn is_empty(&self) -> bool {
        self.key_ends.is_empty()
    }

    fn last_key(&self) -> Option<&[u8]> {
        self.key_ends.len().checked_sub(1).map(|last| span(&self.keys, &self.key_ends, last))
    }

    fn first_key(&self) -> &[u8] {
        span(&self.keys, &self.key_ends, 0)
    }

    /// About how long the page would be with one more entry.
    #[inline]
    pub(crate) fn len_with(&self, key: &[u8], value: &[u8]) -> usize {
        let count = self.key_ends.len() + 1;
        let prefix_len = if count == 1 { key.len() } else { common_len(&self.first_key()[..self.prefix_len], key) };
        let tails = (self.keys.len() + key.len()).saturating_sub(count * (prefix_len + HEAD_LEN));
        HEADER_LEN + prefix_len + count * ENTRY_OVERHEAD + tails + self.values.len() + value.len()
    }

    /// Whether another entry fits the field that counts them.
    pub(crate) fn has_room(&self) -> bool {
        self.key_ends.len() < usize::from(u16::MAX)
    }

    /// Appends an entry. The key is above all that were pushed since the last [`finish`](Self::finish).
    #[inline]
    pub(crate) fn push(&mut self, key: &[u8], value: &[u8]) {
        debug_assert!(self.last_key().is_none_or(|last| last < key));
        debug_assert!(key.len() <= KEY_BYTES_MAX);
        self.prefix_len =
            if self.is_empty() { key.len() } else { common_len(&self.first_key()[..self.prefix_len], key) };
        self.keys.extend_from_slice(key);
        self.key_ends.push(self.keys.len() as u32);
        self.values.extend_from_slice(value);
        self.value_ends.push(self.values.len() as u32);
    }

    /// Writes the page and starts the next.
    pub(crate) fn finish(&mut self) -> Arc<[u8]> {
        let page = Arc::from(self.write());
        self.clear();
        page
    }

    /// The same for a page that needs no sharing.
    pub(crate) fn finish_boxed(&mut self) -> Box<[u8]> {
        let page = Box::from(self.write());
        self.clear();
        page
    }

    fn clear(&mut self) {
        self.keys.clear();
        self.key_ends.clear();
        self.values.clear();
        self.value_ends.clear();
    }

    fn write(&mut self) -> &[u8] {
        let count = self.key_ends.len();
        let prefix_len = self.prefix_len;
        let longest = self.keys.len() + self.values.len() + count * varint::LEN_MAX;
        let wide = longest > usize::from(u16::MAX);
        let end_len = if wide { 4 } else { 2 };
        let out = &mut self.scratch;
        out.clear();
        out.extend_from_slice(&(count as u16).to_be_bytes());
        out.extend_from_slice(&(prefix_len as u16 | if wide { WIDE } else { 0 }).to_be_bytes());
        if count > 0 {
            out.extend_from_slice(&span(&self.keys, &self.key_ends, 0)[..prefix_len]);
        }
        for index in 0..count {
            let suffix = &span(&self.keys, &self.key_ends, index)[prefix_len..];
            out.extend_from_slice(&head_of(suffix).to_be_bytes());
        }
        let ends_at = out.len();
        out.resize(ends_at + count * end_len, 0);
        let entries_at = out.len();
        for index in 0..count {
            let suffix = &span(&self.keys, &self.key_ends, index)[prefix_len..];
            varint::write(out, suffix.len() as u32);
            out.extend_from_slice(suffix.get(HEAD_LEN..).unwrap_or(&[]));
            out.extend_from_slice(span(&self.values, &self.value_ends, index));
            let end = (out.len() - entries_at) as u32;
            let at = ends_at + index * end_len;
            if wide {
                out[at..at + 4].copy_from_slice(&end.to_be_bytes());
            } else {
                out[at..at + 2].copy_from_slice(&(end as u16).to_be_bytes());
            }
        }
        out
    }
}

fn span<'a>(bytes: &'a [u8], ends: &[u32], index: usize) -> &'a [u8] {
    let start = if index == 0 { 0 } else { ends[index - 1] as usize };
    &bytes[start..ends[index] as usize]
}
