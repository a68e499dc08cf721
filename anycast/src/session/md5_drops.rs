//! What the kernel dropped for TCP MD5 signatures: its counters are of the whole network namespace, but they grow for
//! hardly any other reason than a neighbour with another password.

use std::fs::read_to_string;

const COUNTERS: &str = "/proc/net/netstat";

/// The kernel's counters at one moment; all zero where they cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Md5Counters {
    wrong_signature: u64,
    unsigned: u64,
    unexpected: u64,
}

/// What has been dropped between two moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Md5Drops {
    /// Nothing.
    None,
    /// Segments whose signature was made with another password.
    WrongSignature,
    /// Segments without a signature, from an address with a password.
    Unsigned,
    /// Segments with a signature, from an address without a password.
    Unexpected,
}

impl Md5Counters {
    /// Reads them.
    pub(super) fn now() -> Self {
        read_to_string(COUNTERS).map(|text| Self::parse(&text)).unwrap_or_default()
    }

    /// `TcpExt: name name …`, and below it `TcpExt: value value …`.
    fn parse(text: &str) -> Self {
        let mut lines = text.lines().filter_map(|line| line.strip_prefix("TcpExt: "));
        let (Some(names), Some(values)) = (lines.next(), lines.next()) else { return Self::default() };
        let mut counters = Self::default();
        for (name, value) in names.split_ascii_whitespace().zip(values.split_ascii_whitespace()) {
            let place = match name {
                "TCPMD5Failure" => &mut counters.wrong_signature,
                "TCPMD5NotFound" => &mut counters.unsigned,
                "TCPMD5Unexpected" => &mut counters.unexpected,
                _ => continue,
            };
            *place = value.parse().unwrap_or(0);
        }
        counters
    }

    /// What has been dropped since `before`.
    pub(super) fn since(self, before: Self) -> Md5Drops {
        if self.wrong_signature > before.wrong_signature {
            Md5Drops::WrongSignature
        } else if self.unsigned > before.unsigned {
            Md5Drops::Unsigned
        } else if self.unexpected > before.unexpected {
            Md5Drops::Unexpected
        } else {
            Md5Drops::None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_found_by_name() {
        let text = "TcpExt: SyncookiesSent TCPMD5NotFound TCPMD5Unexpected TCPMD5Failure\nTcpExt: 7 1 2 3\nIpExt: A\nIpExt: 1\n";
        let counters = Md5Counters::parse(text);
        assert_eq!(counters, Md5Counters { wrong_signature: 3, unsigned: 1, unexpected: 2 });
        assert_eq!(counters.since(counters), Md5Drops::None);
        assert_eq!(counters.since(Md5Counters::default()), Md5Drops::WrongSignature);
        assert_eq!(Md5Counters::parse("TcpExt: a"), Md5Counters::default());
    }
}
