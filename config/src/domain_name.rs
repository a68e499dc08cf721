//! Domain names in the file's presentation form (RFC 1035 §5.1), brought to one spelling.

/// Longest label, in octets (RFC 1035 §2.3.4).
const LABEL_BYTES_MAX: usize = 63;
/// Longest name, in octets on the wire with its root label (RFC 1035 §2.3.4).
const NAME_BYTES_MAX: usize = 255;

/// Why a text is not a domain name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DomainNameError {
    /// Nothing there; the root is written as a dot.
    #[error("a domain name such as \"example.com\"; the root is \".\"")]
    Empty,
    /// Two dots in a row, or a dot at the start.
    #[error("no empty label: there is a dot too many")]
    EmptyLabel,
    /// A label is too long.
    #[error("labels of at most 63 octets")]
    LabelTooLong,
    /// The whole name is too long.
    #[error("a name of at most 255 octets")]
    NameTooLong,
    /// A backslash that nothing, or no number up to 255, follows.
    #[error("a character or a number from 000 to 255 in three digits behind each backslash")]
    Escape,
    /// A character that must be written otherwise.
    #[error("letters, digits, '-', '_' and escapes; an internationalised name in its ASCII form, xn--…")]
    Character,
}

/// The name in one spelling: absolute (with the dot at the end), lowercase, escaped only where it must be.
pub fn normalise_domain_name(text: &str) -> Result<String, DomainNameError> {
    if text.is_empty() {
        return Err(DomainNameError::Empty);
    }
    if text == "." {
        return Ok(text.to_owned());
    }
    let mut name = String::with_capacity(text.len() + 1);
    let (mut label_bytes, mut name_bytes) = (0, 1);
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        if byte == b'.' {
            name_bytes += end_label(label_bytes)?;
            name.push('.');
            label_bytes = 0;
            continue;
        }
        let octet = if byte == b'\\' { read_escape(&mut bytes)? } else { plain(byte)? };
        push_octet(&mut name, octet);
        label_bytes += 1;
    }
    if label_bytes > 0 {
        name_bytes += end_label(label_bytes)?;
        name.push('.');
    }
    if name_bytes > NAME_BYTES_MAX { Err(DomainNameError::NameTooLong) } else { Ok(name) }
}

/// Octets of a finished label on the wire.
fn end_label(label_bytes: usize) -> Result<usize, DomainNameError> {
    match label_bytes {
        0 => Err(DomainNameError::EmptyLabel),
        1..=LABEL_BYTES_MAX => Ok(label_bytes + 1),
        _ => Err(DomainNameError::LabelTooLong),
    }
}

fn plain(byte: u8) -> Result<u8, DomainNameError> {
    match byte {
        b'"' | b'(' | b')' | b';' | b'@' | b'$' => Err(DomainNameError::Character),
        0x21..=0x7e => Ok(byte),
        _ => Err(DomainNameError::Character),
    }
}

/// What follows a backslash: three digits, or a character that stands for itself.
fn read_escape(bytes: &mut std::iter::Peekable<std::str::Bytes<'_>>) -> Result<u8, DomainNameError> {
    let first = bytes.next().ok_or(DomainNameError::Escape)?;
    if !first.is_ascii_digit() {
        return if first.is_ascii_graphic() { Ok(first) } else { Err(DomainNameError::Escape) };
    }
    let mut number = u32::from(first - b'0');
    for _ in 0..2 {
        let digit = bytes.next().filter(u8::is_ascii_digit).ok_or(DomainNameError::Escape)?;
        number = number * 10 + u32::from(digit - b'0');
    }
    u8::try_from(number).map_err(|_| DomainNameError::Escape)
}

fn push_octet(name: &mut String, octet: u8) {
    let octet = octet.to_ascii_lowercase();
    match octet {
        b'.' | b'\\' | b'"' | b'(' | b')' | b';' | b'@' | b'$' => {
            name.push('\\');
            name.push(char::from(octet));
        }
        0x21..=0x7e => name.push(char::from(octet)),
        _ => name.push_str(&format!("\\{octet:03}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_get_one_spelling() {
        let check = |text: &str, want: &str| assert_eq!(normalise_domain_name(text).as_deref(), Ok(want), "{text}");
        check("Example.COM", "example.com.");
        check("example.com.", "example.com.");
        check(".", ".");
        check("_dmarc.example", "_dmarc.example.");
        check("a\\.b.example", "a\\.b.example.");
        check("\\065b.example", "ab.example.");
        check("\\000.example", "\\000.example.");
        check("2.0.192.in-addr.arpa", "2.0.192.in-addr.arpa.");
        check("0/25.2.0.192.in-addr.arpa", "0/25.2.0.192.in-addr.arpa.");
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let check = |text: &str, want: DomainNameError| assert_eq!(normalise_domain_name(text), Err(want), "{text}");
        check("", DomainNameError::Empty);
        check("..", DomainNameError::EmptyLabel);
        check(".example", DomainNameError::EmptyLabel);
        check("a..b", DomainNameError::EmptyLabel);
        check("exämple.com", DomainNameError::Character);
        check("exa mple.com", DomainNameError::Character);
        check("a\\", DomainNameError::Escape);
        check("a\\25", DomainNameError::Escape);
        check("a\\256", DomainNameError::Escape);
        check(&"a".repeat(64), DomainNameError::LabelTooLong);
        assert!(normalise_domain_name(&"a".repeat(63)).is_ok());
        let long = |last: usize| format!("{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(last));
        assert!(normalise_domain_name(&long(61)).is_ok());
        check(&long(62), DomainNameError::NameTooLong);
    }
}
