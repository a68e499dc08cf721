//! The numbers of the DNS with their names: types, classes, response codes, opcodes (IANA's registries).

use std::fmt;
use std::str::FromStr;

/// A text that names no known code and is not of the generic form (`TYPE123`, `CLASS1`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown mnemonic {0:?}")]
pub struct UnknownCode(pub String);

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident($int:ty), $prefix:literal, { $($constant:ident = $value:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub $int);

        #[allow(missing_docs)]
        impl $name {
            $(pub const $constant: $name = $name($value);)*

            /// The registered mnemonic, if this number has one here.
            #[must_use]
            pub fn mnemonic(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($text),)*
                    _ => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.mnemonic() {
                    Some(text) => f.pad(text),
                    None => write!(f, concat!($prefix, "{}"), self.0),
                }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = UnknownCode;
            fn from_str(text: &str) -> Result<Self, UnknownCode> {
                $(if text.eq_ignore_ascii_case($text) {
                    return Ok($name($value));
                })*
                let unknown = || UnknownCode(text.to_owned());
                let (prefix, number) = text.split_at_checked($prefix.len()).ok_or_else(unknown)?;
                if !prefix.eq_ignore_ascii_case($prefix) {
                    return Err(unknown());
                }
                number.parse().map($name).map_err(|_| unknown())
            }
        }
    };
}

codes! {
    /// A resource record type; unknown ones are carried as RFC 3597 says.
    Rtype(u16), "TYPE", {
        A = 1, "A"; NS = 2, "NS"; MD = 3, "MD"; MF = 4, "MF"; CNAME = 5, "CNAME"; SOA = 6, "SOA";
        MB = 7, "MB"; MG = 8, "MG"; MR = 9, "MR"; NULL = 10, "NULL"; WKS = 11, "WKS"; PTR = 12, "PTR";
        HINFO = 13, "HINFO"; MINFO = 14, "MINFO"; MX = 15, "MX"; TXT = 16, "TXT"; RP = 17, "RP";
        AFSDB = 18, "AFSDB"; X25 = 19, "X25"; ISDN = 20, "ISDN"; RT = 21, "RT"; NSAP = 22, "NSAP";
        SIG = 24, "SIG"; KEY = 25, "KEY"; PX = 26, "PX"; GPOS = 27, "GPOS"; AAAA = 28, "AAAA";
        LOC = 29, "LOC"; NXT = 30, "NXT"; SRV = 33, "SRV"; NAPTR = 35, "NAPTR"; KX = 36, "KX";
        CERT = 37, "CERT"; DNAME = 39, "DNAME"; OPT = 41, "OPT"; APL = 42, "APL"; DS = 43, "DS";
        SSHFP = 44, "SSHFP"; IPSECKEY = 45, "IPSECKEY"; RRSIG = 46, "RRSIG"; NSEC = 47, "NSEC";
        DNSKEY = 48, "DNSKEY"; DHCID = 49, "DHCID"; NSEC3 = 50, "NSEC3"; NSEC3PARAM = 51, "NSEC3PARAM";
        TLSA = 52, "TLSA"; SMIMEA = 53, "SMIMEA"; HIP = 55, "HIP"; CDS = 59, "CDS"; CDNSKEY = 60, "CDNSKEY";
        OPENPGPKEY = 61, "OPENPGPKEY"; CSYNC = 62, "CSYNC"; ZONEMD = 63, "ZONEMD"; SVCB = 64, "SVCB";
        HTTPS = 65, "HTTPS"; SPF = 99, "SPF"; NID = 104, "NID"; L32 = 105, "L32"; L64 = 106, "L64";
        LP = 107, "LP"; EUI48 = 108, "EUI48"; EUI64 = 109, "EUI64"; TKEY = 249, "TKEY"; TSIG = 250, "TSIG";
        IXFR = 251, "IXFR"; AXFR = 252, "AXFR"; MAILB = 253, "MAILB"; MAILA = 254, "MAILA"; ANY = 255, "ANY";
        URI = 256, "URI"; CAA = 257, "CAA";
    }
}

codes! {
    /// A class; zones here are of class IN, CH is for `id.server` and `version.bind`.
    Class(u16), "CLASS", { IN = 1, "IN"; CH = 3, "CH"; HS = 4, "HS"; NONE = 254, "NONE"; ANY = 255, "ANY"; }
}

codes! {
    /// A response code of up to 12 bits (RFC 6891 §6.1.3); TSIG's error field uses the same registry.
    Rcode(u16), "RCODE", {
        NOERROR = 0, "NOERROR"; FORMERR = 1, "FORMERR"; SERVFAIL = 2, "SERVFAIL"; NXDOMAIN = 3, "NXDOMAIN";
        NOTIMP = 4, "NOTIMP"; REFUSED = 5, "REFUSED"; YXDOMAIN = 6, "YXDOMAIN"; YXRRSET = 7, "YXRRSET";
        NXRRSET = 8, "NXRRSET"; NOTAUTH = 9, "NOTAUTH"; NOTZONE = 10, "NOTZONE"; BADVERS = 16, "BADVERS";
        BADKEY = 17, "BADKEY"; BADTIME = 18, "BADTIME"; BADTRUNC = 22, "BADTRUNC"; BADCOOKIE = 23, "BADCOOKIE";
    }
}

codes! {
    /// The kind of a query (RFC 1035 §4.1.1); four bits on the wire.
    Opcode(u8), "OPCODE", {
        QUERY = 0, "QUERY"; IQUERY = 1, "IQUERY"; STATUS = 2, "STATUS"; NOTIFY = 4, "NOTIFY"; UPDATE = 5, "UPDATE";
        DSO = 6, "DSO";
    }
}

impl Rtype {
    /// Types that stand for something else than data of a zone: OPT, TSIG and the query-only types
    /// (RFC 6895 §3.1: 128–255, and OPT).
    #[must_use]
    pub fn is_meta(self) -> bool {
        self == Rtype::OPT || (128..=255).contains(&self.0)
    }
}
