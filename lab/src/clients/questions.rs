//! What real clients ask, and the zones that have the answers.

use std::fmt::Write as _;

use super::zipf::Zipf;
use crate::random::Random;
use crate::{Rtype, zone_text};

/// The zone that is asked for, and attacked.
pub const ZONE: &str = "example.com";
/// A smaller zone that the origin signs.
pub const SIGNED: &str = "signed.example";
/// Names `n000000`… in [`ZONE`].
pub const NAMES: u32 = 10_000;
/// Names `n000000`… in [`SIGNED`].
pub const SIGNED_NAMES: u32 = 1_000;
/// Names with a TXT record that no UDP answer can hold, `long00`…, and with one that just fits, `large00`….
pub const LONG_NAMES: u32 = 20;
/// Names that do not exist and that people ask for all the same: `typo000`….
const TYPOS: u32 = 500;
/// The popularity of names in resolvers' questions, measured by Jung et al. (2002).
const ZIPF_EXPONENT: f64 = 0.91;
/// TTLs in seconds, with the share of names that have them in percent.
const TTLS_S: [(u32, u64); 4] = [(20, 10), (60, 30), (300, 40), (3600, 20)];
/// Bytes of the text of a long and of a large TXT record.
const LONG_BYTES: usize = 1_600;
const LARGE_BYTES: usize = 1_100;

/// A kind of question, with its share in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// A of a name that exists.
    Address,
    /// AAAA of one; every second name has one, else it is NODATA.
    Ipv6,
    /// HTTPS of one: NODATA.
    Https,
    /// A of a name that does not exist.
    Typo,
    /// TXT of a name with so much of it that the answer is truncated.
    Long,
    /// A of a name in the signed zone.
    Signed,
    /// The DNSKEY of the signed zone.
    Key,
}

const KINDS: [(Kind, u64); 7] = [
    (Kind::Address, 64),
    (Kind::Ipv6, 18),
    (Kind::Https, 7),
    (Kind::Typo, 3),
    (Kind::Long, 1),
    (Kind::Signed, 6),
    (Kind::Key, 1),
];

/// A question: names are numbered within their kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Question {
    kind: Kind,
    number: u32,
}

impl Question {
    pub(super) fn rtype(self) -> Rtype {
        /// RFC 9460.
        const HTTPS: Rtype = Rtype(65);
        match self.kind {
            Kind::Address | Kind::Typo | Kind::Signed => Rtype::A,
            Kind::Ipv6 => Rtype::AAAA,
            Kind::Https => HTTPS,
            Kind::Long => Rtype::TXT,
            Kind::Key => Rtype::DNSKEY,
        }
    }

    pub(super) fn name(self) -> String {
        let number = self.number;
        match self.kind {
            Kind::Address | Kind::Ipv6 | Kind::Https => format!("n{number:06}.{ZONE}"),
            Kind::Typo => format!("typo{number:03}.{ZONE}"),
            Kind::Long => format!("long{number:02}.{ZONE}"),
            Kind::Signed => format!("n{number:06}.{SIGNED}"),
            Kind::Key => SIGNED.to_owned(),
        }
    }
}

/// The mix of questions.
pub(super) struct Mix {
    names: Zipf,
    signed: Zipf,
    typos: Zipf,
}

impl Mix {
    pub(super) fn new() -> Mix {
        let zipf = |places: u32| Zipf::new(places as usize, ZIPF_EXPONENT);
        Mix { names: zipf(NAMES), signed: zipf(SIGNED_NAMES), typos: zipf(TYPOS) }
    }

    pub(super) fn draw(&self, random: &mut Random) -> Question {
        let kind = choose(random, &KINDS, Kind::Address);
        let number = match kind {
            Kind::Address | Kind::Ipv6 | Kind::Https => self.names.draw(random) as u32,
            Kind::Signed => self.signed.draw(random) as u32,
            Kind::Typo => self.typos.draw(random) as u32,
            Kind::Long => random.below(u64::from(LONG_NAMES)) as u32,
            Kind::Key => 0,
        };
        Question { kind, number }
    }
}

/// One of these, by its share in percent.
fn choose<T: Copy>(random: &mut Random, of: &[(T, u64)], otherwise: T) -> T {
    let mut left = random.below(100);
    for &(one, percent) in of {
        match left.checked_sub(percent) {
            None => return one,
            Some(more) => left = more,
        }
    }
    otherwise
}

/// The master file of [`ZONE`].
pub(super) fn zone() -> String {
    let mut random = Random::new(5);
    let mut text = zone_text::head(ZONE);
    for number in 0..NAMES {
        let ttl_s = choose(&mut random, &TTLS_S, 300);
        let [_, a, b, c] = number.to_be_bytes();
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(text, "n{number:06} {ttl_s} A 10.{a}.{b}.{c}");
        if number % 2 == 0 {
            let _ = writeln!(text, "n{number:06} {ttl_s} AAAA 2001:db8::{number:x}");
        }
    }
    for number in 0..LONG_NAMES {
        let _ = writeln!(text, "long{number:02} TXT{}", strings(LONG_BYTES));
        let _ = writeln!(text, "large{number:02} TXT{}", strings(LARGE_BYTES));
    }
    text
}

/// The master file of [`SIGNED`], before it is signed.
pub(super) fn signed() -> String {
    zone_text::flat(SIGNED, SIGNED_NAMES)
}

/// Character strings of so many bytes together.
fn strings(bytes: usize) -> String {
    const STRING_BYTES: usize = 200;
    let string = format!(" \"{}\"", "x".repeat(STRING_BYTES));
    string.repeat(bytes.div_ceil(STRING_BYTES))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_kind_is_asked_for_and_all_but_typos_exist() {
        let (mix, mut random) = (Mix::new(), Random::new(7));
        let zones = [zone(), signed()].concat();
        let labels: HashSet<&str> = zones.lines().filter_map(|line| line.split(' ').next()).collect();
        let mut kinds = HashSet::new();
        for _ in 0..2_000 {
            let question = mix.draw(&mut random);
            let name = question.name();
            let label = name.split('.').next().unwrap_or_default();
            let exists = question.kind == Kind::Key || labels.contains(label);
            assert_eq!(exists, question.kind != Kind::Typo, "{name}");
            kinds.insert(question.kind);
        }
        assert_eq!((kinds.len(), KINDS.iter().map(|(_, percent)| percent).sum::<u64>()), (KINDS.len(), 100));
    }
}
