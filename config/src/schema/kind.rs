//! The types that items have.

use crate::value::DNS_PORT;

/// The type and range of an item's value.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number within a range.
    Integer {
        /// Least value.
        min: u64,
        /// Greatest value.
        max: u64,
    },
    /// Printable text.
    Text {
        /// Most bytes.
        bytes_max: usize,
    },
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// A file or folder; a relative one starts at the folder of the network file.
    Path,
    /// A TSIG secret in base64.
    Secret,
    /// A cookie secret: 128 bits in 32 hexadecimal digits.
    CookieSecret,
    /// An address and port to listen on.
    Listen,
    /// The address of another machine, with the port of the protocol if none is given.
    Address {
        /// That port.
        port: u16,
    },
    /// An address.
    Ip,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// An `http://` or `https://` address, without a path.
    Url,
    /// The SHA-256 of a public key, in base64 or hexadecimal digits.
    Pin,
    /// A DS record's key tag, algorithm, digest type and digest (RFC 4034 §5.3).
    TrustAnchor,
    /// A community (RFC 1997).
    Community,
    /// A large community (RFC 8092).
    LargeCommunity,
    /// An extended community (RFC 4360).
    ExtendedCommunity,
    /// A question about a zone and what must be in the answer.
    ZoneCheck,
    /// An address prefix.
    Prefix,
    /// The name of something in another table.
    Reference(&'static str),
    /// Several values of one kind.
    List {
        /// The kind of each.
        of: &'static Kind,
        /// Fewest.
        min: u64,
        /// Most.
        max: u64,
    },
}

impl Kind {
    /// The type, range and unit in words, as diagnostics and the default file say them.
    pub fn describe(&self) -> String {
        match self {
            Self::Bool => "true or false".to_owned(),
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::Text { bytes_max } => format!("printable text of 1 to {bytes_max} bytes"),
            Self::Choice(words) => match words {
                [word] => format!("{word:?}"),
                _ => format!("one of {}", words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ")),
            },
            Self::Path => "a path".to_owned(),
            Self::Secret => "a secret in base64, as `tsig-keygen` prints it".to_owned(),
            Self::CookieSecret => "a secret of 32 hexadecimal digits, as `openssl rand -hex 16` prints it".to_owned(),
            Self::Listen => "an address and port such as \"192.0.2.1:53\" or \"[2001:db8::1]:53\"".to_owned(),
            Self::Address { port: DNS_PORT } => {
                "an address, with a port if it is not 53, such as \"192.0.2.53\" or \"[2001:db8::53]:5353\"".to_owned()
            }
            Self::Address { port } => format!(
                "an address, with a port if it is not {port}, such as \"192.0.2.1\" or \"[2001:db8::1]:{port}\""
            ),
            Self::Ip => "an address such as \"192.0.2.53\" or \"2001:db8::53\"".to_owned(),
            Self::Community => "a community such as \"65010:100\" or \"NO_EXPORT\"".to_owned(),
            Self::LargeCommunity => "a large community such as \"65010:1:2\"".to_owned(),
            Self::ExtendedCommunity => {
                "an extended community such as \"rt:65010:100\", \"ro:192.0.2.1:7\" or \"0x\" and 16 hexadecimal digits"
                    .to_owned()
            }
            Self::ZoneCheck => "a name, A or AAAA, and if need be an address, such as \"www A 192.0.2.80\"".to_owned(),
            Self::Ipv4 => "an IPv4 address".to_owned(),
            Self::Ipv6 => "an IPv6 address".to_owned(),
            Self::Url => "a URL without a path, such as \"https://192.0.2.1:8053\"".to_owned(),
            Self::Pin => "the SHA-256 of a public key (SPKI), in base64 or 64 hexadecimal digits".to_owned(),
            Self::TrustAnchor => {
                "a DS record's key tag, algorithm, digest type and digest, such as \"20326 8 2 E06D…\"".to_owned()
            }
            Self::Prefix => {
                "an address or prefix such as \"192.0.2.53\", \"192.0.2.0/24\" or \"2001:db8::/32\"".to_owned()
            }
            Self::Reference(table) => format!("the name of a [{table}.NAME]"),
            Self::List { of, min, max } => {
                let count = if min == max { format!("{min}") } else { format!("{min} to {max}") };
                format!("a list of {count}, each {}", of.describe())
            }
        }
    }
}
