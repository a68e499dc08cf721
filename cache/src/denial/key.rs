//! Names as octets that sort in canonical order (RFC 4034 §6.1), so that comparing two names is comparing their octets.
//!
//! Labels from the right, letters in lower case, each ended by 0; the octets 0 and 1 in a label are written as 1 1 and 1 2.
//! A name's key is the beginning of the keys of all names below it.

use wire::{NAME_BYTES_MAX, NameRef};

/// The longest key: every octet of the longest name escaped.
const KEY_BYTES_MAX: usize = 2 * NAME_BYTES_MAX;
const END: u8 = 0;
const ESCAPE: u8 = 1;
const LABELS_MAX: usize = 128;

/// The key of one name.
#[derive(Clone)]
pub(super) struct NameKey {
    bytes: [u8; KEY_BYTES_MAX],
    length: usize,
}

impl NameKey {
    pub(super) fn new(name: NameRef<'_>) -> NameKey {
        let mut key = NameKey { bytes: [0; KEY_BYTES_MAX], length: 0 };
        let mut labels = [&[][..]; LABELS_MAX];
        let mut count = 0;
        for (place, label) in labels.iter_mut().zip(name.labels()) {
            *place = label;
            count += 1;
        }
        labels.iter().take(count).rev().for_each(|label| key.push_label(label));
        key
    }

    /// The key of the wildcard below the name whose key `encloser` is.
    pub(super) fn wildcard(encloser: &[u8]) -> NameKey {
        let mut key = NameKey { bytes: [0; KEY_BYTES_MAX], length: 0 };
        encloser.iter().for_each(|octet| key.push(*octet));
        key.push_label(b"*");
        key
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    fn push_label(&mut self, label: &[u8]) {
        for &octet in label {
            if octet <= ESCAPE {
                self.push(ESCAPE);
                self.push(octet + 1);
            } else {
                self.push(octet.to_ascii_lowercase());
            }
        }
        self.push(END);
    }

    fn push(&mut self, octet: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = octet;
            self.length += 1;
        }
    }
}

/// How many octets of two keys their closest common ancestor has.
pub(super) fn common_ancestor(a: &[u8], b: &[u8]) -> usize {
    let common = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    a.get(..common).and_then(|common| common.iter().rposition(|octet| *octet == END)).map_or(0, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::Name;

    fn key(text: &str) -> Vec<u8> {
        NameKey::new(text.parse::<Name>().unwrap().as_ref()).as_bytes().to_vec()
    }

    #[test]
    fn keys_sort_as_rfc_4034_says() {
        let names = [
            "example.",
            "a.example.",
            "yljkjljk.a.example.",
            "Z.a.example.",
            "zABC.a.EXAMPLE.",
            "z.example.",
            "\\000.z.example.",
            "\\001.z.example.",
            "\\002.z.example.",
            "*.z.example.",
            "\\200.z.example.",
        ];
        let keys: Vec<Vec<u8>> = names.iter().map(|text| key(text)).collect();
        assert!(keys.is_sorted(), "{keys:?}");
        let mut by_name: Vec<Name> = names.iter().map(|text| text.parse().unwrap()).collect();
        by_name.sort();
        assert_eq!(by_name, names.map(|text| text.parse::<Name>().unwrap()));
        assert_eq!(key("Z.a.example."), key("z.A.example."));
        assert!(key("b.a.example.").starts_with(&key("a.example.")));
        assert!(!key("ba.example.").starts_with(&key("b.example.")));
    }

    #[test]
    fn ancestors_are_whole_labels() {
        let common = |a: &str, b: &str| common_ancestor(&key(a), &key(b));
        assert_eq!(common("aa.example.", "ab.example."), key("example.").len());
        assert_eq!(common("x.a.example.", "y.a.example."), key("a.example.").len());
        assert_eq!(common("a.example.", "a.example."), key("a.example.").len());
        assert_eq!(common("a.", "b."), 0);
        assert_eq!(NameKey::wildcard(&key("a.example.")).as_bytes(), key("*.a.example."));
    }

    #[test]
    fn the_longest_names_have_keys() {
        let label = "\\000".repeat(63);
        let long = format!("{label}.{label}.{label}.{}.", "\\001".repeat(61));
        assert_eq!(key(&long).len(), 2 * 250 + 4);
    }
}
