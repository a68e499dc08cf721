//! Domain names in uncompressed wire format (RFC 1035 §3.1), borrowed and owned.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use crate::WireError;

/// The longest name, counting length octets and the root (RFC 1035 §2.3.4).
pub const NAME_BYTES_MAX: usize = 255;
/// The longest label.
pub const LABEL_BYTES_MAX: usize = 63;
/// Pointers followed in one name before it counts as hostile; real encoders need one or two.
const POINTERS_MAX: usize = 64;

/// A borrowed, well-formed name in uncompressed wire format, root octet included.
///
/// Comparisons by `==`, hashing and order ignore ASCII case (RFC 4343); the order is the canonical one of
/// RFC 4034 §6.1.
#[derive(Clone, Copy)]
pub struct NameRef<'a>(&'a [u8]);

impl<'a> NameRef<'a> {
    /// The root.
    pub const ROOT: NameRef<'static> = NameRef(&[0]);

    /// Takes the name at the start of `bytes`; no compression pointers are accepted.
    ///
    /// # Errors
    /// What is wrong with the name, were it not one.
    pub fn parse(bytes: &'a [u8]) -> Result<NameRef<'a>, WireError> {
        let mut at = 0usize;
        loop {
            let length = *bytes.get(at).ok_or(WireError::Short)?;
            if usize::from(length) > LABEL_BYTES_MAX {
                return Err(WireError::LabelType);
            }
            at += 1 + usize::from(length);
            if at > NAME_BYTES_MAX {
                return Err(WireError::NameTooLong);
            }
            if length == 0 {
                return bytes.get(..at).map(NameRef).ok_or(WireError::Short);
            }
        }
    }

    /// What was well-formed when it was copied from a name.
    pub(crate) fn of_well_formed(bytes: &'a [u8]) -> NameRef<'a> {
        NameRef(bytes)
    }

    /// The wire format, root octet included: 1 to 255 octets.
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The labels from the left, without the root.
    #[must_use]
    pub fn labels(self) -> Labels<'a> {
        Labels(self.0)
    }

    /// How many labels there are, the root not counted: 0 to 127.
    #[must_use]
    pub fn label_count(self) -> usize {
        self.labels().count()
    }

    /// Is it the root?
    #[must_use]
    pub fn is_root(self) -> bool {
        self.0.len() == 1
    }

    /// Is the leftmost label an asterisk (RFC 4592 §2.1.1)?
    #[must_use]
    pub fn is_wildcard(self) -> bool {
        self.0.starts_with(b"\x01*")
    }

    /// The name without its leftmost label; none above the root.
    #[must_use]
    pub fn parent(self) -> Option<NameRef<'a>> {
        let length = usize::from(*self.0.first()?);
        if length == 0 { None } else { self.0.get(length + 1..).map(NameRef) }
    }

    /// The name without its `labels` leftmost labels; none when it has fewer.
    #[must_use]
    pub fn strip_labels(self, labels: usize) -> Option<NameRef<'a>> {
        (0..labels).try_fold(self, |name, _| name.parent())
    }

    /// Equal but for ASCII case.
    #[must_use]
    pub fn eq_ignore_case(self, other: NameRef<'_>) -> bool {
        // Length octets are below 'A', so folding the whole format folds letters alone.
        self.0.eq_ignore_ascii_case(other.0)
    }

    /// Is it `other`, or below it?
    #[must_use]
    pub fn is_within(self, other: NameRef<'_>) -> bool {
        let Some(extra) = self.0.len().checked_sub(other.0.len()) else { return false };
        let mut at = 0usize;
        while at < extra {
            at += 1 + usize::from(self.0.get(at).copied().unwrap_or(0));
        }
        at == extra && self.0.get(extra..).is_some_and(|tail| tail.eq_ignore_ascii_case(other.0))
    }

    /// Copies it.
    #[must_use]
    pub fn to_owned(self) -> Name {
        let mut name = Name { length: 0, bytes: [0; NAME_BYTES_MAX] };
        name.push(self.0);
        name
    }
}

/// The labels of a name from the left, without the root.
#[derive(Debug, Clone)]
pub struct Labels<'a>(&'a [u8]);

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first()?;
        if *length == 0 {
            return None;
        }
        let (label, rest) = rest.split_at_checked(usize::from(*length))?;
        self.0 = rest;
        Some(label)
    }
}

/// An owned name, kept inline: no heap.
#[derive(Clone, Copy)]
pub struct Name {
    length: u8,
    bytes: [u8; NAME_BYTES_MAX],
}

impl Name {
    /// The root.
    #[must_use]
    pub fn root() -> Name {
        NameRef::ROOT.to_owned()
    }

    /// Borrows it.
    #[must_use]
    pub fn as_ref(&self) -> NameRef<'_> {
        NameRef(self.as_bytes())
    }

    /// The wire format, root octet included.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or(&[0])
    }

    /// Folds ASCII letters to lower case.
    pub fn make_ascii_lowercase(&mut self) {
        self.bytes.make_ascii_lowercase();
    }

    /// The same in lower case.
    #[must_use]
    pub fn to_ascii_lowercase(mut self) -> Name {
        self.make_ascii_lowercase();
        self
    }

    /// Reads a name from a message, following compression pointers (RFC 1035 §4.1.4), which must point
    /// backwards. Returns it and where what follows it begins.
    ///
    /// # Errors
    /// What is wrong with the name.
    pub fn read(message: &[u8], offset: usize) -> Result<(Name, usize), WireError> {
        let mut name = Name { length: 0, bytes: [0; NAME_BYTES_MAX] };
        let mut at = offset;
        let mut next = None;
        let mut pointers = 0;
        loop {
            let length = *message.get(at).ok_or(WireError::Short)?;
            match length {
                0 => {
                    name.push_checked(&[0])?;
                    return Ok((name, next.unwrap_or(at + 1)));
                }
                1..=0x3f => {
                    let end = at + 1 + usize::from(length);
                    name.push_checked(message.get(at..end).ok_or(WireError::Short)?)?;
                    at = end;
                }
                0xc0.. => {
                    let low = *message.get(at + 1).ok_or(WireError::Short)?;
                    let target = usize::from(u16::from_be_bytes([length & 0x3f, low]));
                    pointers += 1;
                    if target >= at || pointers > POINTERS_MAX {
                        return Err(WireError::Pointer);
                    }
                    next.get_or_insert(at + 2);
                    at = target;
                }
                _ => return Err(WireError::LabelType),
            }
        }
    }

    /// The name with one more label on its left.
    ///
    /// # Errors
    /// [`WireError::LabelLength`] or [`WireError::NameTooLong`].
    pub fn prepend(&self, label: &[u8]) -> Result<Name, WireError> {
        if label.is_empty() || label.len() > LABEL_BYTES_MAX {
            return Err(WireError::LabelLength);
        }
        let mut name = Name { length: 0, bytes: [0; NAME_BYTES_MAX] };
        name.push_checked(&[label.len() as u8])?;
        name.push_checked(label)?;
        name.push_checked(self.as_bytes())?;
        Ok(name)
    }

    fn push_checked(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        if usize::from(self.length) + bytes.len() > NAME_BYTES_MAX {
            return Err(WireError::NameTooLong);
        }
        self.push(bytes);
        Ok(())
    }

    /// Appends; the caller knows that it fits.
    fn push(&mut self, bytes: &[u8]) {
        let start = usize::from(self.length);
        if let Some(place) = self.bytes.get_mut(start..start + bytes.len()) {
            place.copy_from_slice(bytes);
            self.length = (start + bytes.len()) as u8;
        }
    }
}

impl FromStr for Name {
    type Err = WireError;

    /// Reads presentation format (RFC 1035 §5.1): `\DDD` and `\X` escapes; the dot at the end may be missing.
    fn from_str(text: &str) -> Result<Name, WireError> {
        let mut name = Name { length: 0, bytes: [0; NAME_BYTES_MAX] };
        if text.is_empty() {
            return Err(WireError::LabelLength);
        }
        let mut label = Vec::with_capacity(LABEL_BYTES_MAX);
        let mut octets = text.bytes();
        if text != "." {
            while let Some(octet) = octets.next() {
                match octet {
                    b'.' => name.push_label(&mut label)?,
                    b'\\' => label.push(unescape(&mut octets)?),
                    _ => label.push(octet),
                }
            }
            if !label.is_empty() {
                name.push_label(&mut label)?;
            }
        }
        name.push_checked(&[0])?;
        Ok(name)
    }
}

impl Name {
    fn push_label(&mut self, label: &mut Vec<u8>) -> Result<(), WireError> {
        if label.is_empty() || label.len() > LABEL_BYTES_MAX {
            return Err(WireError::LabelLength);
        }
        self.push_checked(&[label.len() as u8])?;
        self.push_checked(label)?;
        label.clear();
        Ok(())
    }
}

/// Reads what follows a backslash: three decimal digits, or the octet itself.
fn unescape(octets: &mut std::str::Bytes<'_>) -> Result<u8, WireError> {
    let first = octets.next().ok_or(WireError::Escape)?;
    if !first.is_ascii_digit() {
        return Ok(first);
    }
    let mut value = u16::from(first - b'0');
    for _ in 0..2 {
        let digit = octets.next().filter(u8::is_ascii_digit).ok_or(WireError::Escape)?;
        value = value * 10 + u16::from(digit - b'0');
    }
    u8::try_from(value).map_err(|_| WireError::Escape)
}

/// Where what follows the name at `at` begins; pointers end a name and are not followed.
pub(crate) fn skip_name(message: &[u8], mut at: usize) -> Result<usize, WireError> {
    let start = at;
    loop {
        let length = *message.get(at).ok_or(WireError::Short)?;
        match length {
            0 => return Ok(at + 1),
            1..=0x3f => at += 1 + usize::from(length),
            0xc0.. if at + 2 <= message.len() => return Ok(at + 2),
            0xc0.. => return Err(WireError::Short),
            _ => return Err(WireError::LabelType),
        }
        if at - start >= NAME_BYTES_MAX {
            return Err(WireError::NameTooLong);
        }
    }
}

/// Compares two labels canonically: as octets, ASCII letters folded (RFC 4034 §6.1).
#[must_use]
pub fn compare_labels(a: &[u8], b: &[u8]) -> Ordering {
    a.iter().map(u8::to_ascii_lowercase).cmp(b.iter().map(u8::to_ascii_lowercase))
}

impl Ord for NameRef<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        fn starts(name: NameRef<'_>) -> ([u8; 128], usize) {
            let (mut starts, mut count, mut at) = ([0u8; 128], 0usize, 0usize);
            for label in name.labels() {
                if let Some(slot) = starts.get_mut(count) {
                    *slot = at as u8;
                }
                count += 1;
                at += 1 + label.len();
            }
            (starts, count)
        }
        let ((mine, mut mine_left), (theirs, mut theirs_left)) = (starts(*self), starts(*other));
        let label = |name: NameRef<'_>, starts: &[u8; 128], index: usize| -> Option<std::ops::Range<usize>> {
            let start = usize::from(*starts.get(index)?);
            Some(start + 1..start + 1 + usize::from(*name.0.get(start)?))
        };
        while mine_left > 0 && theirs_left > 0 {
            mine_left -= 1;
            theirs_left -= 1;
            let a = label(*self, &mine, mine_left).and_then(|range| self.0.get(range)).unwrap_or(&[]);
            let b = label(*other, &theirs, theirs_left).and_then(|range| other.0.get(range)).unwrap_or(&[]);
            match compare_labels(a, b) {
                Ordering::Equal => {}
                unequal => return unequal,
            }
        }
        mine_left.cmp(&theirs_left)
    }
}

impl PartialOrd for NameRef<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for NameRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.eq_ignore_case(*other)
    }
}

impl Eq for NameRef<'_> {}

impl Hash for NameRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for octet in self.0 {
            state.write_u8(octet.to_ascii_lowercase());
        }
    }
}

impl fmt::Display for NameRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str(".");
        }
        for label in self.labels() {
            for &octet in label {
                match octet {
                    b'.' | b'\\' | b'"' | b';' | b'@' | b'$' | b'(' | b')' => write!(f, "\\{}", char::from(octet))?,
                    0x21..=0x7e => write!(f, "{}", char::from(octet))?,
                    _ => write!(f, "\\{octet:03}")?,
                }
            }
            f.write_str(".")?;
        }
        Ok(())
    }
}

impl fmt::Debug for NameRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.as_ref() == other.as_ref()
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_ref().cmp(&other.as_ref())
    }
}

impl Eq for Name {}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_ref().hash(state);
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.as_ref(), f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.as_ref(), f)
    }
}
