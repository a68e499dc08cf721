//! Queries that are broken in every way that is known to have hurt servers: each is a real one with something done to it.

use super::{packets::DNS_HEADER_BYTES, packets::append as append_query};
use crate::random::Random;

/// Bytes of junk, at most.
const JUNK_BYTES_MAX: usize = 512;
/// Options of an OPT record that is full of them.
const OPTIONS_MAX: usize = 200;

/// What is done to a query.
#[derive(Clone, Copy, Debug)]
enum Break {
    /// It ends too soon, at whatever length.
    Truncate,
    /// Its header counts records that are not there, or many questions.
    Counts,
    /// Its name is a compression pointer to itself.
    PointerLoop,
    /// Its name's pointers point at each other.
    PointerPair,
    /// Its name's pointer points behind its end.
    PointerOut,
    /// An operation that nobody asks a server for, or none that exists.
    Opcode,
    /// It is a response.
    Response,
    /// Labels of a kind that does not exist, RFC 6891 §5.
    LabelKind,
    /// A name of more than 255 bytes.
    LongName,
    /// 127 labels of one byte each.
    ManyLabels,
    /// Another class than IN, or a type for transfers and the like.
    Question,
    /// EDNS of another version, twice, longer than the message or with an owner that is not the root.
    Edns,
    /// EDNS full of options.
    Options,
    /// Bytes behind its end.
    Trailing,
    /// A few bits are wrong.
    Bits,
    /// Nothing but junk.
    Junk,
}

const BREAKS: [Break; 16] = [
    Break::Truncate,
    Break::Counts,
    Break::PointerLoop,
    Break::PointerPair,
    Break::PointerOut,
    Break::Opcode,
    Break::Response,
    Break::LabelKind,
    Break::LongName,
    Break::ManyLabels,
    Break::Question,
    Break::Edns,
    Break::Options,
    Break::Trailing,
    Break::Bits,
    Break::Junk,
];

/// Append a broken form of this query.
pub(super) fn append(query: &[u8], frame: &mut Vec<u8>, random: &mut Random) {
    let begin = frame.len();
    append_query(query, frame, random);
    let Some(how) = random.pick(&BREAKS) else { return };
    how.apply(frame, begin, random);
}

impl Break {
    fn apply(self, frame: &mut Vec<u8>, begin: usize, random: &mut Random) {
        let name = begin + DNS_HEADER_BYTES;
        match self {
            Break::Truncate => frame.truncate(begin + random.index(frame.len() - begin)),
            Break::Counts => {
                let at = begin + 4 + 2 * random.index(4);
                let wrong: u16 = random.pick(&[1, 2, 255, 65_535]).copied().unwrap_or(1);
                let right = frame.get(at + 1).copied().unwrap_or(0);
                put(frame, at, u16::from(right) ^ wrong);
            }
            Break::PointerLoop => with_name(frame, name, &[0xc0, 12]),
            Break::PointerPair => with_name(frame, name, &[0xc0, 14, 0xc0, 12]),
            Break::PointerOut => {
                let [high, low] = random.word().to_be_bytes();
                with_name(frame, name, &[0xc0 | high, low]);
            }
            Break::Opcode => set(frame, begin + 2, random.byte() & 0x78 | 0x08),
            Break::Response => set(frame, begin + 2, random.byte() | 0x80),
            Break::LabelKind => {
                let kind = random.pick(&[0x40, 0x41, 0x80, 0xbf]).copied().unwrap_or(0x40);
                set(frame, name, kind | random.byte() & 0x3f);
            }
            Break::LongName => {
                let label = [&[63][..], &[b'x'; 63]].concat();
                with_name(frame, name, &[label.repeat(5), vec![0]].concat());
            }
            Break::ManyLabels => with_name(frame, name, &[[1, b'x'].repeat(127), vec![0]].concat()),
            Break::Question => ask_oddly(frame, name, random),
            Break::Edns => break_edns(frame, begin, random),
            Break::Options => fill_options(frame, begin, random),
            Break::Trailing => junk(frame, 1 + random.index(64), random),
            Break::Bits => {
                for _ in 0..=random.index(4) {
                    let at = begin + random.index(frame.len() - begin);
                    if let Some(byte) = frame.get_mut(at) {
                        *byte ^= 1 << random.index(8);
                    }
                }
            }
            Break::Junk => {
                frame.truncate(begin);
                junk(frame, random.index(JUNK_BYTES_MAX + 1), random);
            }
        }
    }
}

fn set(frame: &mut [u8], at: usize, value: u8) {
    if let Some(byte) = frame.get_mut(at) {
        *byte = value;
    }
}

fn put(frame: &mut [u8], at: usize, value: u16) {
    if let Some(bytes) = frame.get_mut(at..at + 2) {
        bytes.copy_from_slice(&value.to_be_bytes());
    }
}

fn junk(frame: &mut Vec<u8>, bytes: usize, random: &mut Random) {
    frame.extend((0..bytes).map(|_| random.byte()));
}

/// Put these bytes in place of the name that begins at `at`.
fn with_name(frame: &mut Vec<u8>, at: usize, name: &[u8]) {
    let end = end_of_name(frame, at);
    frame.splice(at..end, name.iter().copied());
}

/// Behind the name that begins at `at`; the queries that are broken have none with pointers.
fn end_of_name(frame: &[u8], at: usize) -> usize {
    let mut end = at;
    while let Some(length) = frame.get(end) {
        end += 1 + usize::from(*length);
        if *length == 0 {
            break;
        }
    }
    end.min(frame.len())
}

fn ask_oddly(frame: &mut [u8], name: usize, random: &mut Random) {
    let end = end_of_name(frame, name);
    // IXFR, AXFR, MAILB, OPT, TSIG, NULL, one reserved, 0.
    let rtype = random.pick(&[251, 252, 253, 41, 250, 10, 65_535, 0]).copied().unwrap_or(0);
    put(frame, end, rtype);
    let class = random.pick(&[1, 3, 4, 254, 255, 0]).copied().unwrap_or(0);
    put(frame, end + 2, class);
}

fn break_edns(frame: &mut Vec<u8>, begin: usize, random: &mut Random) {
    let opts: [&[u8]; 5] = [
        // Version 1.
        &[0, 0, 41, 4, 208, 0, 1, 0, 0, 0, 0],
        // Data that are not there.
        &[0, 0, 41, 4, 208, 0, 0, 0, 0, 255, 255],
        // An option that is longer than its record.
        &[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 4, 0, 10, 255, 255],
        // An owner that is not the root.
        &[1, b'x', 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0],
        // A payload of 0 bytes.
        &[0, 0, 41, 0, 0, 0, 0, 0, 0, 0, 0],
    ];
    frame.extend_from_slice(random.pick(&opts).copied().unwrap_or_default());
    // With the query's own, where it has one, there are two.
    let had = frame.get(begin + 11).copied().unwrap_or(0);
    put(frame, begin + 10, u16::from(had) + 1);
}

fn fill_options(frame: &mut Vec<u8>, begin: usize, random: &mut Random) {
    let end = end_of_name(frame, begin + DNS_HEADER_BYTES) + 4;
    frame.truncate(end);
    put(frame, begin + 10, 1);
    frame.extend([0, 0, 41, 4, 208, 0, 0, 0, 0]);
    let options = 1 + random.index(OPTIONS_MAX);
    frame.extend(((options * 6) as u16).to_be_bytes());
    for _ in 0..options {
        let [high, low] = (random.word() % 32).to_be_bytes();
        frame.extend([high, low, 0, 2, random.byte(), random.byte()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Rtype,
        attack::packets::{Edns, query},
    };

    /// No frame is longer than an Ethernet carries.
    const PAYLOAD_BYTES_MAX: usize = 1472;

    fn whole() -> Vec<u8> {
        query("www.example.com", Rtype::A, Some(Edns { payload_bytes: 1232, dnssec: true })).unwrap()
    }

    fn broken(how: Break, seed: u64) -> Vec<u8> {
        let mut message = whole();
        how.apply(&mut message, 0, &mut Random::new(seed));
        message
    }

    #[test]
    fn every_break_changes_the_query_and_fits_a_frame() {
        for how in BREAKS {
            for seed in 0..2000 {
                let message = broken(how, seed);
                assert!(message.len() <= PAYLOAD_BYTES_MAX, "{how:?}: {} bytes", message.len());
                if !matches!(how, Break::Bits) {
                    assert_ne!(message, whole(), "{how:?}");
                }
            }
        }
    }

    #[test]
    fn queries_are_cut_at_every_length() {
        let mut lengths = vec![false; whole().len()];
        for seed in 0..2000 {
            lengths[broken(Break::Truncate, seed).len()] = true;
        }
        assert!(lengths.iter().all(|seen| *seen));
    }

    #[test]
    fn pointers_point_where_they_should_not() {
        assert_eq!(broken(Break::PointerLoop, 1)[12..18], [0xc0, 12, 0, 1, 0, 1]);
        assert_eq!(broken(Break::PointerPair, 1)[12..20], [0xc0, 14, 0xc0, 12, 0, 1, 0, 1]);
        let long = broken(Break::LongName, 1);
        assert_eq!(long[12 + 320..12 + 325], [0, 0, 1, 0, 1]);
        assert_eq!(broken(Break::ManyLabels, 1)[12 + 254..12 + 259], [0, 0, 1, 0, 1]);
    }
}
