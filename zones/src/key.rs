//! Owner names as keys whose byte order is the canonical order of names (RFC 4034 §6.1).
//!
//! A key is the labels below the apex, the topmost first, in lower case, each closed by a zero octet; the apex is the
//! empty key. A zero octet inside a label becomes `01 01`, a one octet `01 02`. So a name is below another exactly if its
//! key begins with the other's, and no key has two zero octets in a row.

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use arrayvec::ArrayVec;
use wire::{NAME_BYTES_MAX, Name, NameRef};

/// Each octet of a name escaped is the worst case.
pub(crate) const OWNER_KEY_BYTES_MAX: usize = 2 * NAME_BYTES_MAX;
const LABELS_MAX: usize = 128;
const END: u8 = 0;
const ESCAPE: u8 = 1;

/// The key of a name, and where each label in it ends.
pub(crate) struct OwnerKey {
    bytes: ArrayVec<u8, OWNER_KEY_BYTES_MAX>,
    ends: ArrayVec<u16, LABELS_MAX>,
}

impl OwnerKey {
    /// The key of the apex, and the place for any other.
    #[inline]
    pub(crate) fn empty() -> OwnerKey {
        OwnerKey { bytes: ArrayVec::new(), ends: ArrayVec::new() }
    }

    /// The key of `name` in the zone `apex`; `None` if it is not within it.
    pub(crate) fn new(name: NameRef<'_>, apex: NameRef<'_>) -> Option<OwnerKey> {
        let mut key = OwnerKey::empty();
        key.set(name, apex).map(|()| key)
    }

    /// Becomes the key of `name`; for where a copy of half a kilobyte would be felt.
    pub(crate) fn set(&mut self, name: NameRef<'_>, apex: NameRef<'_>) -> Option<()> {
        self.bytes.clear();
        self.ends.clear();
        let bytes = name.as_bytes();
        let below = bytes.len().checked_sub(apex.as_bytes().len())?;
        let mut starts = [0u8; LABELS_MAX];
        let (mut labels, mut at) = (0, 0);
        while at < below {
            *starts.get_mut(labels)? = at as u8;
            labels += 1;
            at += 1 + usize::from(*bytes.get(at)?);
        }
        let above = bytes.get(below..)?;
        // Most questions spell the apex as we do, and comparing octets is the faster way to see that.
        if at != below || (above != apex.as_bytes() && !above.eq_ignore_ascii_case(apex.as_bytes())) {
            return None;
        }
        for &start in starts.get(..labels)?.iter().rev() {
            let start = usize::from(start);
            let len = usize::from(*bytes.get(start)?);
            self.push_label(bytes.get(start + 1..start + 1 + len)?)?;
        }
        Some(())
    }

    #[inline]
    fn push_label(&mut self, label: &[u8]) -> Option<()> {
        let start = self.bytes.len();
        self.bytes.try_extend_from_slice(label).ok()?;
        let mut escapes = false;
        for octet in self.bytes.get_mut(start..)? {
            escapes |= *octet <= ESCAPE;
            *octet = octet.to_ascii_lowercase();
        }
        if escapes {
            self.bytes.truncate(start);
            self.push_escaped(label)?;
        }
        self.bytes.try_push(END).ok()?;
        self.ends.try_push(self.bytes.len() as u16).ok()
    }

    fn push_escaped(&mut self, label: &[u8]) -> Option<()> {
        for &octet in label {
            match octet {
                END | ESCAPE => self.bytes.try_extend_from_slice(&[ESCAPE, octet + 1]).ok()?,
                _ => self.bytes.try_push(octet.to_ascii_lowercase()).ok()?,
            }
        }
        Some(())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many labels the name has below the apex.
    pub(crate) fn depth(&self) -> usize {
        self.ends.len()
    }

    /// The key of the ancestor that has `depth` labels below the apex.
    pub(crate) fn ancestor(&self, depth: usize) -> &[u8] {
        let end = depth.checked_sub(1).and_then(|last| self.ends.get(last)).copied().unwrap_or(0);
        self.bytes.get(..usize::from(end)).unwrap_or(&[])
    }

    /// How many whole labels the first `len` bytes of the key hold.
    pub(crate) fn depth_within(&self, len: usize) -> usize {
        self.ends.iter().take_while(|&&end| usize::from(end) <= len).count()
    }

    /// The key of the wildcard below the ancestor at `depth`.
    pub(crate) fn wildcard(&self, depth: usize) -> ArrayVec<u8, { OWNER_KEY_BYTES_MAX + 2 }> {
        let mut key = ArrayVec::new();
        // It fits by its type.
        let _ = key.try_extend_from_slice(self.ancestor(depth));
        let _ = key.try_extend_from_slice(WILDCARD);
        key
    }
}

const WILDCARD: &[u8] = b"*\0";

/// Has the key's name an asterisk label?
pub(crate) fn has_wildcard(key: &[u8]) -> bool {
    key.starts_with(WILDCARD) || key.windows(3).any(|window| window == b"\0*\0")
}

/// The keys of the ancestors of `key` below the apex, the topmost first, itself the last.
pub(crate) fn ancestors(key: &[u8]) -> impl Iterator<Item = &[u8]> {
    key.iter().enumerate().filter(|(_, octet)| **octet == END).filter_map(|(at, _)| key.get(..=at))
}

/// The name of a key; `None` if it is none, or the name would be too long.
pub(crate) fn name_of(key: &[u8], apex: NameRef<'_>) -> Option<Name> {
    let mut buffer = [0u8; NAME_BYTES_MAX];
    let mut start = buffer.len().checked_sub(apex.as_bytes().len())?;
    buffer.get_mut(start..)?.copy_from_slice(apex.as_bytes());
    let mut rest = key;
    while !rest.is_empty() {
        let len = rest.iter().position(|&octet| octet == END)?;
        let (label, after) = rest.split_at_checked(len)?;
        rest = after.get(1..)?;
        start = put_label_before(&mut buffer, start, label)?;
    }
    NameRef::parse(buffer.get(start..)?).ok().map(NameRef::to_owned)
}

/// Writes a label, unescaped, so that it ends where the name so far starts. Returns the new start.
fn put_label_before(buffer: &mut [u8], end: usize, label: &[u8]) -> Option<usize> {
    let escapes = escaped_len(label)?;
    let len = label.len() - escapes;
    if !(1..=63).contains(&len) {
        return None;
    }
    let start = end.checked_sub(1 + len)?;
    let (first, room) = buffer.get_mut(start..end)?.split_first_mut()?;
    *first = len as u8;
    let mut octets = label.iter();
    for place in room {
        *place = match octets.next()? {
            octet if *octet == ESCAPE => octets.next()?.checked_sub(1)?,
            octet => *octet,
        };
    }
    Some(start)
}

/// How many escapes are in a label of a key; `None` if one is not followed by what it escapes.
fn escaped_len(label: &[u8]) -> Option<usize> {
    let mut octets = label.iter();
    let mut escapes = 0;
    while let Some(&octet) = octets.next() {
        if octet == ESCAPE {
            escapes += 1;
            octets.next().filter(|next| matches!(next, 1 | 2))?;
        }
    }
    Some(escapes)
}

/// Is it the key of some name that fits below `apex_len` octets of apex?
pub(crate) fn is_valid(key: &[u8], apex_len: usize) -> bool {
    let mut name_len = apex_len;
    let mut rest = key;
    while !rest.is_empty() {
        let Some(len) = rest.iter().position(|&octet| octet == END) else { return false };
        let (label, after) = rest.split_at(len);
        let Some(escapes) = escaped_len(label) else { return false };
        let label_len = label.len() - escapes;
        if !(1..=63).contains(&label_len) || label.iter().any(u8::is_ascii_uppercase) {
            return false;
        }
        name_len += 1 + label_len;
        rest = after.get(1..).unwrap_or(&[]);
    }
    name_len <= NAME_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    fn random_name(random: &mut Random, apex: &Name) -> Name {
        let mut name = *apex;
        for _ in 0..random.below(5) {
            let longest = if random.below(20) == 0 { 63 } else { 4 };
            let len = 1 + random.below(longest);
            let label: Vec<u8> =
                (0..len).map(|_| [0, 1, 2, 3, b'*', b'a', b'B', b'b', 0xff][random.below(9)]).collect();
            name = name.prepend(&label).unwrap_or(name);
        }
        name
    }

    #[test]
    fn order_is_canonical_and_names_return() {
        let mut random = Random::new(5);
        for apex in ["example.", "."] {
            let apex: Name = apex.parse().unwrap();
            for _ in 0..20_000 {
                let (a, b) = (random_name(&mut random, &apex), random_name(&mut random, &apex));
                let (ka, kb) = (
                    OwnerKey::new(a.as_ref(), apex.as_ref()).unwrap(),
                    OwnerKey::new(b.as_ref(), apex.as_ref()).unwrap(),
                );
                assert_eq!(ka.as_bytes().cmp(kb.as_bytes()), a.cmp(&b), "{a} {b}");
                assert_eq!(kb.as_bytes().starts_with(ka.as_bytes()), b.as_ref().is_within(a.as_ref()));
                let back = name_of(ka.as_bytes(), apex.as_ref()).unwrap();
                assert_eq!(back.as_bytes(), a.to_ascii_lowercase().as_bytes());
                assert!(is_valid(ka.as_bytes(), apex.as_bytes().len()));
                assert_eq!(ancestors(ka.as_bytes()).count(), ka.depth());
                assert_eq!(ancestors(ka.as_bytes()).last().unwrap_or(&[]), ka.as_bytes());
            }
        }
    }

    #[test]
    fn names_outside_have_no_key() {
        let apex: Name = "example.".parse().unwrap();
        for other in [".", "com.", "notexample.", "example.com."] {
            assert!(OwnerKey::new(other.parse::<Name>().unwrap().as_ref(), apex.as_ref()).is_none());
        }
    }

    #[test]
    fn hostile_keys_never_panic() {
        let mut random = Random::new(9);
        let apex: Name = "example.".parse().unwrap();
        for _ in 0..50_000 {
            let key: Vec<u8> = (0..random.below(300)).map(|_| [0, 1, 1, 2, b'a', b'A'][random.below(6)]).collect();
            assert!(!is_valid(&key, 9) || name_of(&key, apex.as_ref()).is_some());
        }
    }
}
