//! A page: a sorted run of keys and their values in one immutable block of bytes.
//!
//! ```text
//! 0        2          4
//! +--------+----------+--------+------------+-----------+------------------------+---------
//! | count  | W prefix | prefix | samples    | heads     | ends                   | entries
//! |        |   length |        | × 8 bytes  | × 8 bytes | × 2 (W: 4) bytes       |
//! +--------+----------+--------+------------+-----------+------------------------+---------
//! ```
//!
//! The prefix is what all keys of the page share; a *suffix* is the rest of a key. A head is the first eight bytes of a
//! suffix, padded with zeros, as a number (the heads are little-endian, the rest big-endian): comparing heads decides
//! nearly every search without touching the entries. Samples repeat every sixteenth head, the first left out, so that a
//! search reads two short runs of memory rather than jumps about in one long. An entry is the suffix's length, what of
//! it the head has no room for, and the value; `ends` says where each stops, counted from the start of the entries. `W`
//! marks pages beyond 64 KiB (a single huge RRset), whose ends are wide.
//!
//! Pages come from disk too, so nothing here trusts what it reads: [`Page::validate`] refuses a malformed page, and the
//! accessors give an empty slice rather than panic on one that was never validated.

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use std::cmp::Ordering;

use crate::varint;

pub(super) const HEADER_LEN: usize = 4;
pub(super) const HEAD_LEN: usize = 8;
/// Each sample stands for this many heads.
pub(super) const SAMPLE_STRIDE: usize = 16;
/// More samples than this are searched by halves first.
const SAMPLES_SCANNED_MAX: usize = 32;
pub(super) const WIDE: u16 = 0x8000;

/// The longest key a page takes: an escaped name is shorter, and the length shares its field with a flag.
pub(crate) const KEY_BYTES_MAX: usize = 1024;

/// A page's parts, borrowed from its bytes.
#[derive(Clone, Copy)]
pub(crate) struct Page<'a> {
    count: usize,
    wide: bool,
    prefix: &'a [u8],
    samples: &'a [u8],
    heads: &'a [u8],
    ends: &'a [u8],
    entries: &'a [u8],
}

const EMPTY: Page<'static> =
    Page { count: 0, wide: false, prefix: &[], samples: &[], heads: &[], ends: &[], entries: &[] };

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
        let (samples, rest) = rest.split_at_checked(sample_count(count) * HEAD_LEN)?;
        let (heads, rest) = rest.split_at_checked(count * HEAD_LEN)?;
        let (ends, entries) = rest.split_at_checked(count * if wide { 4 } else { 2 })?;
        Some(Page { count, wide, prefix, samples, heads, ends, entries })
    }

    /// The number of entries.
    #[inline]
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    #[inline]
    fn head(&self, index: usize) -> u64 {
        head_at(self.heads, index)
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
        if low + 1 < self.count && self.head(low + 1) == head {
            return self.search_ties(low, head, suffix);
        }
        match self.compare_tied(low, head, suffix) {
            Ordering::Less => Err(low + 1),
            Ordering::Equal => Ok(low),
            Ordering::Greater => Err(low),
        }
    }

    /// The first entry whose head is not below `head`.
    #[inline]
    fn lower_bound(&self, head: u64) -> usize {
        let (mut low, mut high) = (0, self.samples.len() / HEAD_LEN);
        while high - low > SAMPLES_SCANNED_MAX {
            let middle = low + (high - low) / 2;
            if head_at(self.samples, middle) < head {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let block = low + count_below(self.samples, low, high, head);
        let start = block * SAMPLE_STRIDE;
        // A hit reads this next. Asked for now, it comes from memory while the heads do, not after them.
        std::hint::black_box(self.end(start));
        start + count_below(self.heads, start, (start + SAMPLE_STRIDE).min(self.count), head)
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
            let sampled = index > 0 && index % SAMPLE_STRIDE == 0;
            if sampled && head_at(page.samples, index / SAMPLE_STRIDE - 1) != head {
                return None;
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

/// How many of the ascending heads from `start` to `end` are below `head`. Looking at all of them is faster than halving:
/// nothing waits for anything.
#[inline]
fn count_below(heads: &[u8], start: usize, end: usize, head: u64) -> usize {
    let heads = heads.get(start * HEAD_LEN..end * HEAD_LEN).unwrap_or(&[]);
    heads.chunks_exact(HEAD_LEN).map(|chunk| usize::from(head_at(chunk, 0) < head)).sum()
}

#[inline]
fn head_at(heads: &[u8], index: usize) -> u64 {
    match heads.get(index * HEAD_LEN..).and_then(|heads| heads.first_chunk::<HEAD_LEN>()) {
        Some(head) => u64::from_le_bytes(*head),
        None => u64::MAX,
    }
}

/// How many samples a page of `count` entries has.
#[inline]
pub(super) fn sample_count(count: usize) -> usize {
    count.saturating_sub(1) / SAMPLE_STRIDE
}

fn padded_with_zeros(head: u64, suffix_len: usize) -> bool {
    suffix_len >= HEAD_LEN || (suffix_len == 0 && head == 0) || (suffix_len > 0 && head << (8 * suffix_len as u32) == 0)
}

/// The head of a suffix: its first bytes as a number.
#[inline]
pub(super) fn head_of(suffix: &[u8]) -> u64 {
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
