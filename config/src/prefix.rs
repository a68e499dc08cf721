//! Address prefixes: the entries of an access list.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// An address prefix such as `192.0.2.0/24` or `2001:db8::/32`; a bare address is a prefix of full length.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix(IpNet);

/// Why a text is not a prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// Neither an address nor an address with a length.
    #[error("an address or prefix such as \"192.0.2.53\", \"192.0.2.0/24\" or \"2001:db8::/32\"")]
    Syntax,
    /// Bits are set behind the prefix length.
    #[error("no bits set behind the prefix length: write \"{0}\"")]
    HostBits(Prefix),
}

impl Prefix {
    /// The prefix of that length that an address is in; none if no address of its family is so long. An IPv4-mapped IPv6
    /// address counts as the IPv4 address it carries.
    pub fn of(address: IpAddr, length: u8) -> Option<Self> {
        IpNet::new(address.to_canonical(), length).ok().map(|net| Self(net.trunc()))
    }

    /// The same as what routes are made of.
    pub fn net(&self) -> IpNet {
        self.0
    }

    /// Whether the address is within the prefix. An IPv4-mapped IPv6 address counts as the IPv4 address it carries.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl From<IpAddr> for Prefix {
    fn from(address: IpAddr) -> Self {
        Self(IpNet::from(address.to_canonical()))
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::from(address));
        }
        let net = text.parse::<IpNet>().map_err(|_| PrefixError::Syntax)?;
        if net.trunc() != net {
            return Err(PrefixError::HostBits(Self(net.trunc())));
        }
        Ok(Self(net))
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() { self.0.addr().fmt(f) } else { self.0.fmt(f) }
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contains_follows_the_length() {
        let check = |prefix: &str, address: &str, want: bool| {
            let got = prefix.parse::<Prefix>().unwrap().contains(address.parse().unwrap());
            assert_eq!(got, want, "{prefix} contains {address}");
        };
        check("192.0.2.0/24", "192.0.2.255", true);
        check("192.0.2.0/24", "192.0.3.0", false);
        check("192.0.2.53", "192.0.2.53", true);
        check("192.0.2.53", "192.0.2.54", false);
        check("0.0.0.0/0", "203.0.113.9", true);
        check("0.0.0.0/0", "2001:db8::1", false);
        check("2001:db8::/32", "2001:db8:ffff::1", true);
        check("2001:db8::/32", "2001:db9::1", false);
        check("192.0.2.0/24", "::ffff:192.0.2.7", true);
    }

    #[test]
    fn the_prefix_of_an_address() {
        let check = |address: &str, length: u8, want: Option<&str>| {
            let got = Prefix::of(address.parse().unwrap(), length).map(|prefix| prefix.to_string());
            assert_eq!(got.as_deref(), want, "{address}/{length}");
        };
        check("192.0.2.77", 24, Some("192.0.2.0/24"));
        check("::ffff:192.0.2.77", 32, Some("192.0.2.77"));
        check("2001:db8:1:2ff::1", 56, Some("2001:db8:1:200::/56"));
        check("192.0.2.77", 33, None);
    }

    #[test]
    fn wrong_prefixes_say_what_is_right() {
        assert_eq!(
            "192.0.2.1/24".parse::<Prefix>().unwrap_err().to_string(),
            "no bits set behind the prefix length: write \"192.0.2.0/24\""
        );
        for text in ["", "192.0.2.0/33", "example.com", "192.0.2", "2001:db8::/129", "192.0.2.0/"] {
            assert_eq!(text.parse::<Prefix>(), Err(PrefixError::Syntax), "{text}");
        }
    }
}
