//! Single values: a TOML value against the kind that the schema asks for.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use base64::Engine as _;
use toml::de::DeValue;

use crate::communities::{parse_community, parse_extended_community, parse_large_community};
use crate::diagnostic::{did_you_mean, shorten};
use crate::model::{TrustAnchor, ZoneCheck};
use crate::prefix::Prefix;
use crate::schema::Kind;
use crate::tsig_keygen::decode_secret;
use crate::zone_check::parse_zone_check;

/// The port of DNS over UDP and TCP.
pub const DNS_PORT: u16 = 53;
/// The port of DNS over TLS (RFC 7858), which transfers over TLS also use (RFC 9103 §7.2).
pub const DNS_TLS_PORT: u16 = 853;

/// A value of the kind that the schema asked for.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Bool(bool),
    Integer(u64),
    Text(String),
    Secret(Vec<u8>),
    CookieSecret([u8; 16]),
    Socket(SocketAddr),
    /// An address to ask, and the port if one is given.
    Address(IpAddr, Option<u16>),
    Pin([u8; 32]),
    TrustAnchor(TrustAnchor),
    Ip(IpAddr),
    Community(u32),
    LargeCommunity([u32; 3]),
    ExtendedCommunity([u8; 8]),
    ZoneCheck(ZoneCheck),
    Prefix(Prefix),
    List(Vec<Found>),
}

/// A value and the byte offset it stands at; `None` where it is a default.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) value: Value,
    pub(crate) at: Option<usize>,
}

/// What a value is, and what it should be.
#[derive(Debug)]
pub(crate) struct Mismatch {
    pub(crate) found: String,
    pub(crate) expected: String,
}

/// An address and port to listen on, such as `192.0.2.1:53`; with port 0 the system chooses.
pub fn parse_listen_address(text: &str) -> Result<SocketAddr, String> {
    match text.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_multicast() => Err("an address that is not multicast".to_owned()),
        Ok(address) => Ok(address),
        Err(_) if text.parse::<IpAddr>().is_ok() => {
            let with_port = if text.contains(':') { format!("[{text}]:53") } else { format!("{text}:53") };
            Err(format!("an address with a port, such as {with_port:?}"))
        }
        Err(_) => Err(Kind::Listen.describe()),
    }
}

/// An address to ask, with port 53 if none is given: `192.0.2.53`, `192.0.2.53:5353`, `2001:db8::53`, `[2001:db8::53]:53`.
pub fn parse_address(text: &str) -> Result<SocketAddr, String> {
    read_address(text, DNS_PORT).map(|(ip, port)| SocketAddr::new(ip, port.unwrap_or(DNS_PORT)))
}

/// An address to ask, and its port if one is given.
fn read_address(text: &str, port_of_protocol: u16) -> Result<(IpAddr, Option<u16>), String> {
    let (ip, port) = if let Ok(address) = text.parse::<SocketAddr>() {
        (address.ip(), Some(address.port()))
    } else {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        match bare.map_or_else(|| text.parse::<IpAddr>().ok(), |v6| v6.parse::<Ipv6Addr>().ok().map(IpAddr::V6)) {
            Some(ip) => (ip, None),
            None => return Err(Kind::Address { port: port_of_protocol }.describe()),
        }
    };
    if port == Some(0) {
        return Err("a port from 1 to 65535".to_owned());
    }
    if ip.is_unspecified() || ip.is_multicast() {
        return Err("the address of one machine".to_owned());
    }
    Ok((ip, port))
}

/// Reads a single value; lists are the reader's.
pub(crate) fn read_value(kind: &Kind, value: &DeValue<'_>) -> Result<Value, Mismatch> {
    match (kind, value) {
        (Kind::Bool, DeValue::Boolean(value)) => Ok(Value::Bool(*value)),
        (Kind::Integer { min, max }, DeValue::Integer(number)) => {
            match u64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) if (min..=max).contains(&&number) => Ok(Value::Integer(number)),
                _ => Err(mismatch(kind, value)),
            }
        }
        (Kind::Bool | Kind::Integer { .. }, _) => Err(mismatch(kind, value)),
        (_, DeValue::String(text)) => {
            read_text(kind, text).map_err(|expected| Mismatch { found: describe_found(kind, value), expected })
        }
        _ => Err(mismatch(kind, value)),
    }
}

fn read_text(kind: &Kind, text: &str) -> Result<Value, String> {
    let otherwise = || kind.describe();
    match kind {
        Kind::Text { bytes_max } => {
            let good = (1..=*bytes_max).contains(&text.len()) && !text.chars().any(char::is_control);
            good.then(|| Value::Text(text.to_owned())).ok_or_else(otherwise)
        }
        Kind::Choice(words) => words
            .contains(&text)
            .then(|| Value::Text(text.to_owned()))
            .ok_or_else(|| otherwise() + &did_you_mean(text, words.iter().copied())),
        Kind::Path if text.is_empty() || text.contains('\0') => Err(otherwise()),
        Kind::Path | Kind::Reference(_) => Ok(Value::Text(text.to_owned())),
        Kind::Secret => decode_secret(text).map(Value::Secret).map_err(str::to_owned),
        Kind::CookieSecret => decode_hex(text).map(Value::CookieSecret).ok_or_else(otherwise),
        Kind::Listen => parse_listen_address(text).map(Value::Socket),
        Kind::Address { port } => read_address(text, *port).map(|(ip, port)| Value::Address(ip, port)),
        Kind::Url => is_url(text).then(|| Value::Text(text.trim_end_matches('/').to_owned())).ok_or_else(otherwise),
        Kind::Pin => read_pin(text).map(Value::Pin).ok_or_else(otherwise),
        Kind::TrustAnchor => read_trust_anchor(text).map(Value::TrustAnchor).ok_or_else(otherwise),
        Kind::Ip => text.parse().map(Value::Ip).map_err(|_| otherwise()),
        Kind::Community => parse_community(text).map(Value::Community).ok_or_else(otherwise),
        Kind::LargeCommunity => parse_large_community(text).map(Value::LargeCommunity).ok_or_else(otherwise),
        Kind::ExtendedCommunity => parse_extended_community(text).map(Value::ExtendedCommunity).ok_or_else(otherwise),
        Kind::ZoneCheck => parse_zone_check(text).map(Value::ZoneCheck),
        Kind::Ipv4 => text.parse().map(|ip| Value::Ip(IpAddr::V4(ip))).map_err(|_| otherwise()),
        Kind::Ipv6 => text.parse().map(|ip| Value::Ip(IpAddr::V6(ip))).map_err(|_| otherwise()),
        Kind::Prefix => text.parse().map(Value::Prefix).map_err(|why: crate::PrefixError| why.to_string()),
        Kind::Bool | Kind::Integer { .. } | Kind::List { .. } => Err(otherwise()),
    }
}

/// Whether this is `http://` or `https://`, a host, and a port if need be.
fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let Some(host) = rest.map(|rest| rest.strip_suffix('/').unwrap_or(rest)) else {
        return false;
    };
    let host = match host.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            if !port.parse::<u16>().is_ok_and(|port| port > 0) {
                return false;
            }
            host
        }
        _ => host,
    };
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(v6) => v6.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)),
    }
}

/// 32 octets in base64, as tools for pins print them, or in hexadecimal digits.
fn read_pin(text: &str) -> Option<[u8; 32]> {
    let octets = match text.len() {
        64 => decode_hex_octets(text)?,
        _ => base64::engine::general_purpose::STANDARD.decode(text).ok()?,
    };
    octets.try_into().ok()
}

/// A DS record's fields as zone files have them (RFC 4034 §5.3); the digest may have blanks within.
fn read_trust_anchor(text: &str) -> Option<TrustAnchor> {
    let mut words = text.split_ascii_whitespace();
    let key_tag = words.next()?.parse().ok()?;
    let algorithm = words.next()?.parse().ok()?;
    let digest_type = words.next()?.parse().ok()?;
    let digest = decode_hex_octets(&words.collect::<String>())?;
    // SHA-1, SHA-256 and SHA-384 (RFC 4509, RFC 6605).
    let fits = match digest_type {
        1 => digest.len() == 20,
        2 => digest.len() == 32,
        4 => digest.len() == 48,
        _ => false,
    };
    fits.then_some(TrustAnchor { key_tag, algorithm, digest_type, digest })
}

/// Octets of two hexadecimal digits each.
fn decode_hex_octets(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    text.as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        })
        .collect()
}

/// 32 hexadecimal digits.
pub(crate) fn decode_hex(text: &str) -> Option<[u8; 16]> {
    let good = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    good.then(|| u128::from_str_radix(text, 16).ok()).flatten().map(u128::to_be_bytes)
}

pub(crate) fn mismatch(kind: &Kind, value: &DeValue<'_>) -> Mismatch {
    Mismatch { found: describe_found(kind, value), expected: kind.describe() }
}

/// What stands there, in words that never repeat a secret.
fn describe_found(kind: &Kind, value: &DeValue<'_>) -> String {
    match (kind, value) {
        (Kind::Secret | Kind::CookieSecret, DeValue::String(text)) => {
            format!("a text of {} characters (not shown)", text.chars().count())
        }
        (Kind::Secret | Kind::CookieSecret, DeValue::Integer(_) | DeValue::Float(_)) => "a number".to_owned(),
        (_, DeValue::String(text)) => format!("{:?}", shorten(text)),
        (_, DeValue::Integer(number)) => shorten(&number.to_string()),
        (_, DeValue::Float(number)) => shorten(&number.to_string()),
        (_, DeValue::Boolean(value)) => value.to_string(),
        (_, DeValue::Datetime(value)) => value.to_string(),
        (_, DeValue::Array(_)) => "a list".to_owned(),
        (_, DeValue::Table(_)) => "a table".to_owned(),
    }
}
