//! What the filters have learned, in the form in which it outlives the process: baselines and known-good sources.
//!
//! ```text
//! magic "PARALRND" | version u32 | length of the body u32 | body | crc32 u32 of all before
//! body:       saved_unix_s u64 | baseline | zones u32 | zone … | sources u32 | source …
//! baseline:   per_s f64 | age_s f64
//! zone:       apex in wire format | queries baseline | misses baseline | no-names baseline
//! source:     4 | address, 4 bytes, or 6 | its first 8 bytes; then since_unix_s u64 | until_unix_s u64 | why u8
//! ```
//! All numbers are big-endian. A zone is kept by its apex: numbers are another process's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use wire::{NameBox, NameRef};

use crate::{Baseline, KnownGood, Why};

const MAGIC: &[u8; 8] = b"PARALRND";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 16;
const CRC_BYTES: usize = 4;
/// A file that is larger is not looked at.
pub const LEARNED_BYTES_MAX: usize = 64 << 20;
/// More zones than this are not kept.
pub const LEARNED_ZONES_MAX: usize = 100_000;
/// More sources than this are not kept.
pub const LEARNED_SOURCES_MAX: usize = 2_000_000;

/// What is normal in one zone.
#[derive(Clone, Debug, PartialEq)]
pub struct LearnedZone {
    /// Its apex.
    pub apex: NameBox,
    /// Queries in it.
    pub queries: Baseline,
    /// Those among them that the origin had to be asked for.
    pub misses: Baseline,
    /// Those among them for names that do not exist.
    pub no_names: Baseline,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Learned {
    /// When it was saved, in seconds since 1970, as the caller has it.
    pub saved_unix_s: u64,
    /// The queries of the node.
    pub node: Baseline,
    /// Those of its zones.
    pub zones: Vec<LearnedZone>,
    /// Who is known to be good. Those for whom that holds for an hour only are not kept.
    pub known_good: Vec<KnownGood>,
}

/// Why a file is not what was learned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LearnedError {
    /// Something else has this name.
    #[error("this is no file of learned state: it does not begin with PARALRND")]
    NotLearned,
    /// Another version of the daemon wrote it.
    #[error("the learned state has the format {found}, and this version reads format {expected} alone")]
    Version {
        /// The version in the file.
        found: u32,
        /// The one that can be read.
        expected: u32,
    },
    /// It has another length than it says.
    #[error("the learned state is torn: it should have {expected_bytes} bytes and has {found_bytes}")]
    Torn {
        /// What its header says.
        expected_bytes: u64,
        /// What is there.
        found_bytes: u64,
    },
    /// Its bytes are not those that were written.
    #[error("the learned state is damaged: wrong checksum")]
    Checksum,
    /// Its checksum is right and its content is not.
    #[error("the learned state makes no sense: {0}")]
    Malformed(&'static str),
    /// It is larger than any that is written.
    #[error("the learned state is too large: {found_bytes} bytes, at most {LEARNED_BYTES_MAX} are read")]
    TooLarge {
        /// How large it is.
        found_bytes: u64,
    },
}

const CUT_OFF: LearnedError = LearnedError::Malformed("a list is cut off");

impl Learned {
    /// As a file has it. What is above the bounds is left out.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = self.saved_unix_s.to_be_bytes().to_vec();
        put_baseline(&mut body, &self.node);
        let zones = self.zones.get(..LEARNED_ZONES_MAX).unwrap_or(&self.zones);
        body.extend_from_slice(&(zones.len() as u32).to_be_bytes());
        for zone in zones {
            body.extend_from_slice(zone.apex.as_bytes());
            [&zone.queries, &zone.misses, &zone.no_names].into_iter().for_each(|it| put_baseline(&mut body, it));
        }
        let lasting = || self.known_good.iter().filter(|known| known.why.is_lasting()).take(LEARNED_SOURCES_MAX);
        body.extend_from_slice(&(lasting().count() as u32).to_be_bytes());
        lasting().for_each(|known| put_source(&mut body, known));
        let mut file = MAGIC.to_vec();
        file.extend_from_slice(&VERSION.to_be_bytes());
        file.extend_from_slice(&(body.len() as u32).to_be_bytes());
        file.append(&mut body);
        file.extend_from_slice(&crc32fast::hash(&file).to_be_bytes());
        file
    }

    /// Reads what [`Learned::encode`] wrote.
    ///
    /// # Errors
    /// Why it is not that: all or nothing is taken.
    pub fn decode(file: &[u8]) -> Result<Learned, LearnedError> {
        let body = checked_body(file)?;
        let mut input = Input(body);
        let saved_unix_s = input.u64()?;
        let node = input.baseline()?;
        let zones = input.list(LEARNED_ZONES_MAX, Input::zone)?;
        let known_good = input.list(LEARNED_SOURCES_MAX, Input::source)?;
        match input.0 {
            [] => Ok(Learned { saved_unix_s, node, zones, known_good }),
            _ => Err(LearnedError::Malformed("there is more after its end")),
        }
    }
}

fn put_baseline(out: &mut Vec<u8>, baseline: &Baseline) {
    out.extend_from_slice(&baseline.per_s.to_be_bytes());
    out.extend_from_slice(&baseline.age_s.to_be_bytes());
}

fn put_source(out: &mut Vec<u8>, known: &KnownGood) {
    match known.address.to_canonical() {
        IpAddr::V4(address) => {
            out.push(4);
            out.extend_from_slice(&address.octets());
        }
        IpAddr::V6(address) => {
            out.push(6);
            out.extend_from_slice(&((address.to_bits() >> 64) as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&known.since_unix_s.to_be_bytes());
    out.extend_from_slice(&known.until_unix_s.to_be_bytes());
    out.push(u8::from(known.why == Why::Told));
}

/// The body, once magic, version, length and checksum are right.
fn checked_body(file: &[u8]) -> Result<&[u8], LearnedError> {
    let found_bytes = file.len() as u64;
    if file.len() > LEARNED_BYTES_MAX {
        return Err(LearnedError::TooLarge { found_bytes });
    }
    let torn = |expected_bytes| LearnedError::Torn { expected_bytes, found_bytes };
    let rest = match file.split_first_chunk::<8>() {
        Some((magic, rest)) if magic == MAGIC => rest,
        None if MAGIC.starts_with(file) => return Err(torn(HEADER_BYTES as u64)),
        _ => return Err(LearnedError::NotLearned),
    };
    let mut header = Input(rest);
    let found = header.u32().map_err(|_| torn(HEADER_BYTES as u64))?;
    if found != VERSION {
        return Err(LearnedError::Version { found, expected: VERSION });
    }
    let length = header.u32().map_err(|_| torn(HEADER_BYTES as u64))?;
    let expected_bytes = (HEADER_BYTES + CRC_BYTES) as u64 + u64::from(length);
    if expected_bytes != found_bytes {
        return Err(torn(expected_bytes));
    }
    let Some((covered, crc)) = file.split_last_chunk::<CRC_BYTES>() else { return Err(torn(expected_bytes)) };
    if crc32fast::hash(covered) != u32::from_be_bytes(*crc) {
        return Err(LearnedError::Checksum);
    }
    covered.get(HEADER_BYTES..).ok_or(torn(expected_bytes))
}

struct Input<'b>(&'b [u8]);

impl Input<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], LearnedError> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(CUT_OFF)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u32(&mut self) -> Result<u32, LearnedError> {
        self.take().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, LearnedError> {
        self.take().map(u64::from_be_bytes)
    }

    fn baseline(&mut self) -> Result<Baseline, LearnedError> {
        let (per_s, age_s) = (self.take().map(f64::from_be_bytes)?, self.take().map(f64::from_be_bytes)?);
        Baseline::checked(per_s, age_s).ok_or(LearnedError::Malformed("a rate that no node can have"))
    }

    fn zone(&mut self) -> Result<LearnedZone, LearnedError> {
        let apex = NameRef::parse(self.0).map_err(|_| LearnedError::Malformed("a zone whose apex is no name"))?;
        self.0 = self.0.get(apex.as_bytes().len()..).ok_or(CUT_OFF)?;
        let (apex, queries) = (NameBox::new(apex), self.baseline()?);
        Ok(LearnedZone { apex, queries, misses: self.baseline()?, no_names: self.baseline()? })
    }

    fn source(&mut self) -> Result<KnownGood, LearnedError> {
        let address = match self.take()? {
            [4] => IpAddr::V4(Ipv4Addr::from(self.take::<4>()?)),
            [6] => IpAddr::V6(Ipv6Addr::from_bits(u128::from(self.u64()?) << 64)),
            _ => return Err(LearnedError::Malformed("a source that is neither IPv4 nor IPv6")),
        };
        let (since_unix_s, until_unix_s) = (self.u64()?, self.u64()?);
        let why = match self.take()? {
            [0] => Why::Behaved,
            [1] => Why::Told,
            _ => return Err(LearnedError::Malformed("a source that is good for no known reason")),
        };
        Ok(KnownGood { address, since_unix_s, until_unix_s, why })
    }

    /// A number and so many items. The number alone makes nobody take memory.
    fn list<T>(
        &mut self,
        items_max: usize,
        mut item: impl FnMut(&mut Self) -> Result<T, LearnedError>,
    ) -> Result<Vec<T>, LearnedError> {
        let number = self.u32()? as usize;
        if number > items_max {
            return Err(LearnedError::Malformed("a list is longer than any that is written"));
        }
        let mut items = Vec::new();
        for _ in 0..number {
            items.push(item(self)?);
        }
        Ok(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Learned {
        let rate = |per_s| Baseline { per_s, age_s: 86_400.0 };
        let zone = |apex: &str| LearnedZone {
            apex: NameBox::from(&apex.parse::<wire::Name>().unwrap()),
            queries: rate(1500.5),
            misses: rate(3.0),
            no_names: Baseline::default(),
        };
        let known = |text: &str, why| {
            let (since_unix_s, until_unix_s) = (1_700_000_000, 1_900_000_000);
            KnownGood { address: text.parse().unwrap(), since_unix_s, until_unix_s, why }
        };
        Learned {
            saved_unix_s: 1_800_000_000,
            node: rate(2000.0),
            zones: vec![zone("."), zone("Example.com.")],
            known_good: vec![known("192.0.2.1", Why::Behaved), known("2001:db8:1:2::", Why::Told)],
        }
    }

    #[test]
    fn it_returns_as_it_was() {
        for learned in [sample(), Learned::default()] {
            assert_eq!(Learned::decode(&learned.encode()), Ok(learned));
        }
    }

    #[test]
    fn who_is_good_for_an_hour_only_is_not_kept() {
        let mut learned = sample();
        learned.known_good.iter_mut().zip([Why::Connected, Why::Told]).for_each(|(known, why)| known.why = why);
        let kept = Learned::decode(&learned.encode()).unwrap().known_good;
        assert_eq!(kept, learned.known_good[1..]);
    }

    #[test]
    fn a_torn_file_another_version_and_no_such_file_are_told_apart() {
        let file = sample().encode();
        for length in 0..file.len() {
            let error = Learned::decode(&file[..length]).unwrap_err();
            assert!(matches!(error, LearnedError::Torn { .. }), "{length}: {error}");
        }
        let mut other = file.clone();
        other[11] = 9;
        assert_eq!(Learned::decode(&other), Err(LearnedError::Version { found: 9, expected: 1 }));
        assert_eq!(Learned::decode(b"{\"normal\": 1}"), Err(LearnedError::NotLearned));
        assert_eq!(Learned::decode(b"{}"), Err(LearnedError::NotLearned));
        let mut longer = file.clone();
        longer.push(0);
        let want = LearnedError::Torn { expected_bytes: file.len() as u64, found_bytes: file.len() as u64 + 1 };
        assert_eq!(Learned::decode(&longer), Err(want));
        let large = vec![0; LEARNED_BYTES_MAX + 1];
        assert!(matches!(Learned::decode(&large), Err(LearnedError::TooLarge { .. })));
    }

    #[test]
    fn any_flipped_bit_is_noticed() {
        let file = sample().encode();
        for at in 0..file.len() * 8 {
            let mut damaged = file.clone();
            damaged[at / 8] ^= 1 << (at % 8);
            assert!(Learned::decode(&damaged).is_err(), "bit {at}");
        }
    }

    /// Right checksums around any content: no panic, and what is taken can be written and read again.
    #[test]
    fn hostile_content_never_panics() {
        let file = sample().encode();
        let mut state = 7u64;
        let mut random = move |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as usize % below
        };
        let mut accepted = 0;
        for _ in 0..50_000 {
            let mut hostile = file.clone();
            for _ in 0..=random(3) {
                let at = HEADER_BYTES + random(hostile.len() - HEADER_BYTES - CRC_BYTES);
                hostile[at] = random(256) as u8;
            }
            let end = hostile.len() - CRC_BYTES;
            let crc = crc32fast::hash(&hostile[..end]).to_be_bytes();
            hostile[end..].copy_from_slice(&crc);
            if let Ok(learned) = Learned::decode(&hostile) {
                accepted += 1;
                assert_eq!(Learned::decode(&learned.encode()).as_ref(), Ok(&learned));
            }
        }
        assert!(accepted > 0);
    }
}
