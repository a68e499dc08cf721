//! A name on the heap, no larger than it has to be: for tables of very many of them.

use std::borrow::Borrow;
use std::fmt;

use crate::{Name, NameRef};

/// An owned name in lower case. [`Name`] needs no heap and 256 octets; this needs as many as the name has.
///
/// It borrows as the octets of the wire format, by which a map of them can be asked: in lower case.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct NameBox(Box<[u8]>);

impl NameBox {
    /// Copies a name, its letters folded to lower case.
    #[must_use]
    pub fn new(name: NameRef<'_>) -> NameBox {
        // Length octets are below 'A', so folding the whole format folds letters alone.
        NameBox(name.as_bytes().to_ascii_lowercase().into_boxed_slice())
    }

    /// Borrows it.
    #[must_use]
    pub fn as_ref(&self) -> NameRef<'_> {
        NameRef::of_well_formed(&self.0)
    }

    /// The wire format, root octet included.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same, inline.
    #[must_use]
    pub fn to_name(&self) -> Name {
        self.as_ref().to_owned()
    }
}

impl Borrow<[u8]> for NameBox {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl From<&Name> for NameBox {
    fn from(name: &Name) -> NameBox {
        NameBox::new(name.as_ref())
    }
}

impl fmt::Display for NameBox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.as_ref(), f)
    }
}

impl fmt::Debug for NameBox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn a_boxed_name_is_folded_and_found_by_its_octets() {
        let name: Name = "WWW.Example.COM".parse().unwrap();
        let boxed = NameBox::from(&name);
        assert_eq!(boxed.to_string(), "www.example.com.");
        assert_eq!(boxed.as_ref(), name.as_ref());
        assert_eq!(boxed.to_name(), name);
        let map = HashMap::from([(boxed.clone(), 1), (NameBox::new(NameRef::ROOT), 2)]);
        assert_eq!(map.get(boxed.as_bytes()), Some(&1));
        assert_eq!(map.get(&[0][..]), Some(&2));
        assert_eq!(map.get(name.as_bytes()), None, "asked in upper case");
    }
}
