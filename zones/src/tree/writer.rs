//! Writes pages.

use std::sync::Arc;

use super::page::{HEAD_LEN, HEADER_LEN, KEY_BYTES_MAX, SAMPLE_STRIDE, WIDE, common_len, head_of};
use crate::varint;

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

/// What an entry costs beside its tail and its value: head, end, suffix length. Samples make up for what a page of few
/// entries spares.
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
        let sampled = (SAMPLE_STRIDE..count).step_by(SAMPLE_STRIDE);
        for index in sampled.chain(0..count) {
            let suffix = &span(&self.keys, &self.key_ends, index)[prefix_len..];
            out.extend_from_slice(&head_of(suffix).to_le_bytes());
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
