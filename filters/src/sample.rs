//! Samples of queries and of what became of them, for whoever shows what is going on.

use std::{
    cell::Cell,
    fmt,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use config::Filter;
use crossbeam_queue::ArrayQueue;
use wire::{NameRef, Rtype};
use zerocopy::FromBytes;

use crate::{Now, Verdict, View, ZoneNumber, score::Score};

/// Samples that wait to be taken; what comes when there are so many is lost.
pub const SAMPLES_MAX: usize = 8192;
/// Bytes kept of a name, in wire format.
const QNAME_BYTES_MAX: usize = 64;
/// Samples a second that a lane aims at, at most.
const SAMPLES_PER_S: u64 = 2000;
/// How long a lane counts queries until it decides anew how many of them are sampled.
const WINDOW_US: u64 = 100_000;
/// Samples in a window, after which fewer queries are sampled.
const WINDOW_SAMPLES: u32 = (SAMPLES_PER_S * WINDOW_US / 1_000_000) as u32;

/// Where the samples of all lanes are taken from.
pub type Samples = Arc<ArrayQueue<Sample>>;

/// One query out of many.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// When it was received.
    pub at: Now,
    /// Where it came from.
    pub source: IpAddr,
    /// The zone that its name is in; none if that is nobody's, or was not looked for.
    pub zone: Option<ZoneNumber>,
    /// What it asked for; none if it could not be read.
    pub qname: Option<SampledName>,
    /// The type it asked for.
    pub qtype: Option<Rtype>,
    /// What became of it.
    pub verdict: Verdict,
    /// The filter that dropped or slipped it, or else gave it its greatest penalty.
    pub filter: Option<Filter>,
    /// The sum of its penalties, 0 to 100.
    pub penalty: u8,
    /// It stands for so many queries.
    pub weight: u32,
}

impl Sample {
    /// Of a query that stands for itself, received at `at`.
    pub(crate) fn new(
        view: &View<'_>,
        zone: Option<ZoneNumber>,
        score: &Score<'_>,
        verdict: Verdict,
        at: Now,
    ) -> Sample {
        let filter = match verdict {
            Verdict::Serve => score.worst,
            Verdict::Slip(filter) | Verdict::Drop(filter) => Some(filter),
        };
        Sample {
            at,
            source: view.source,
            zone,
            qname: view.asked.map(|asked| SampledName::new(asked.qname)),
            qtype: view.asked.map(|asked| asked.qtype),
            verdict,
            filter,
            penalty: score.penalty,
            weight: 1,
        }
    }
}

/// A sample as a lane elsewhere writes it, in the order of bytes of the machine.
#[derive(Clone, Copy, Debug, FromBytes)]
#[repr(C)]
struct Record {
    at_us: u64,
    /// An IPv4 address is mapped.
    source: [u8; 16],
    /// [`u32::MAX`]: none.
    zone: u32,
    weight: u32,
    qtype: u16,
    /// 0: served, 1: slipped, 2: dropped.
    verdict: u8,
    /// Its number; [`u8::MAX`]: none.
    filter: u8,
    penalty: u8,
    /// 0: the question could not be read.
    name_bytes: u8,
    zero: u16,
    name: [u8; 128],
}

pub(crate) const RECORD_BYTES: usize = size_of::<Record>();

impl Sample {
    /// What a lane elsewhere has written, [`SAMPLE_BYTES`](crate::layout::SAMPLE_BYTES) of it; none if it is no sample.
    pub fn from_record(record: &[u8]) -> Option<Sample> {
        let record = Record::read_from_bytes(record).ok()?;
        let filter = Filter::ALL.get(usize::from(record.filter)).copied();
        let verdict = match (record.verdict, filter) {
            (0, _) => Verdict::Serve,
            (1, Some(filter)) => Verdict::Slip(filter),
            (2, Some(filter)) => Verdict::Drop(filter),
            _ => return None,
        };
        let is_readable = record.name_bytes > 0;
        let qname = match is_readable {
            true => Some(SampledName::new(NameRef::parse(record.name.get(..usize::from(record.name_bytes))?).ok()?)),
            false => None,
        };
        Some(Sample {
            at: Now::from_us(record.at_us),
            source: Ipv6Addr::from(record.source).to_canonical(),
            zone: (record.zone != u32::MAX).then_some(ZoneNumber(record.zone)),
            qname,
            qtype: is_readable.then_some(Rtype(record.qtype)),
            verdict,
            filter,
            penalty: record.penalty,
            weight: record.weight,
        })
    }
}

/// A name, or its end where it is longer than 64 octets: whole labels, as many as fit.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SampledName {
    bytes: [u8; QNAME_BYTES_MAX],
    length: u8,
    is_cut: bool,
}

impl SampledName {
    /// Keeps a name, in lower case.
    pub fn new(name: NameRef<'_>) -> SampledName {
        let mut kept = name;
        while kept.as_bytes().len() > QNAME_BYTES_MAX {
            kept = kept.parent().unwrap_or(NameRef::ROOT);
        }
        let mut bytes = [0; QNAME_BYTES_MAX];
        bytes.iter_mut().zip(kept.as_bytes()).for_each(|(to, from)| *to = from.to_ascii_lowercase());
        SampledName {
            bytes,
            length: kept.as_bytes().len() as u8,
            is_cut: kept.as_bytes().len() < name.as_bytes().len(),
        }
    }

    /// What is kept of the name.
    pub fn name(&self) -> NameRef<'_> {
        let bytes = self.bytes.get(..usize::from(self.length)).unwrap_or_default();
        NameRef::parse(bytes).unwrap_or(NameRef::ROOT)
    }

    /// Whether labels are missing on its left.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }
}

impl fmt::Debug for SampledName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for SampledName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.is_cut { "…" } else { "" }, self.name())
    }
}

/// Chooses which queries of a lane are sampled: all while they are few, one of many in a flood.
#[derive(Debug)]
pub(crate) struct Sampler {
    queue: Samples,
    /// One query of so many is sampled.
    every: Cell<u32>,
    /// Queries until the next one that is.
    left: Cell<u32>,
    window_began_us: Cell<u64>,
    window_samples: Cell<u32>,
    window_weight: Cell<u64>,
}

impl Sampler {
    pub(crate) fn new(queue: Samples) -> Sampler {
        Sampler {
            queue,
            every: Cell::new(1),
            left: Cell::new(1),
            window_began_us: Cell::new(0),
            window_samples: Cell::new(0),
            window_weight: Cell::new(0),
        }
    }

    /// Samples this query if it is its turn.
    #[inline]
    pub(crate) fn offer(&self, now: Now, sample: impl FnOnce() -> Sample) {
        let left = self.left.get() - 1;
        self.left.set(left);
        if left == 0 {
            self.take(now, sample);
        }
    }

    #[cold]
    fn take(&self, now: Now, sample: impl FnOnce() -> Sample) {
        let every = self.every.get();
        // Who takes them is late: what is lost here is no more than a sample.
        let _ = self.queue.push(Sample { weight: every, ..sample() });
        self.follow(now, every);
        self.left.set(self.every.get());
    }

    fn follow(&self, now: Now, every: u32) {
        let samples = self.window_samples.get() + 1;
        let weight = self.window_weight.get() + u64::from(every);
        let passed_us = now.us().saturating_sub(self.window_began_us.get());
        if passed_us >= WINDOW_US {
            let per_s = weight.saturating_mul(1_000_000) / passed_us;
            self.every.set(u32::try_from(per_s / SAMPLES_PER_S).unwrap_or(u32::MAX).max(1));
            self.window_began_us.set(now.us());
            self.window_samples.set(0);
            self.window_weight.set(0);
            return;
        }
        // A flood has begun within the window: it does not wait for its end.
        if samples >= WINDOW_SAMPLES {
            self.every.set(every.saturating_mul(2));
            self.window_samples.set(0);
        } else {
            self.window_samples.set(samples);
        }
        self.window_weight.set(weight);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Sample {
        Sample {
            at: Now::default(),
            source: IpAddr::from([192, 0, 2, 1]),
            zone: None,
            qname: None,
            qtype: None,
            verdict: Verdict::Serve,
            filter: None,
            penalty: 0,
            weight: 1,
        }
    }

    /// Offers `per_s` queries a second for `seconds`, and returns how many were sampled and how many they stand for.
    fn offer(sampler: &Sampler, from_us: u64, per_s: u64, seconds: u64) -> (u64, u64) {
        let (mut samples, mut weight) = (0, 0);
        for number in 0..per_s * seconds {
            sampler.offer(Now::from_us(from_us + number * 1_000_000 / per_s), sample);
            while let Some(sample) = sampler.queue.pop() {
                samples += 1;
                weight += u64::from(sample.weight);
            }
        }
        (samples, weight)
    }

    #[test]
    fn few_queries_are_all_sampled() {
        let sampler = Sampler::new(Arc::new(ArrayQueue::new(SAMPLES_MAX)));
        assert_eq!(offer(&sampler, 1_000_000, 1000, 5), (5000, 5000));
    }

    #[test]
    fn of_a_flood_some_are_and_stand_for_the_others() {
        let sampler = Sampler::new(Arc::new(ArrayQueue::new(SAMPLES_MAX)));
        offer(&sampler, 1_000_000, 1000, 2);
        let (samples, weight) = offer(&sampler, 3_000_000, 400_000, 5);
        assert!((8_000..14_000).contains(&samples), "{samples}");
        assert!(weight.abs_diff(2_000_000) < 20_000, "{weight}");
        // And when it is over, all again.
        offer(&sampler, 8_000_000, 1000, 2);
        assert_eq!(offer(&sampler, 10_000_000, 1000, 1), (1000, 1000));
    }

    /// A record of 168 bytes.
    fn record(zone: u32, verdict: u8, filter: u8, name: &[u8]) -> Vec<u8> {
        let mut record = Vec::new();
        record.extend(7_000_000u64.to_ne_bytes());
        record.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1]);
        record.extend([zone, 16].map(u32::to_ne_bytes).concat());
        record.extend(28u16.to_ne_bytes());
        record.extend([verdict, filter, 30, name.len() as u8, 0, 0]);
        record.extend(name);
        record.resize(RECORD_BYTES, 0);
        record
    }

    #[test]
    fn a_record_is_read_and_what_is_none_is_not() {
        let sample = Sample::from_record(&record(5, 2, 8, b"\x01x\x07example\0")).unwrap();
        assert_eq!(sample.source, IpAddr::from([192, 0, 2, 1]));
        assert_eq!((sample.at.s(), sample.zone, sample.weight), (7, Some(ZoneNumber(5)), 16));
        assert_eq!((sample.qtype, sample.penalty), (Some(Rtype(28)), 30));
        assert_eq!((sample.verdict, sample.filter), (Verdict::Drop(Filter::RandomName), Some(Filter::RandomName)));
        assert_eq!(sample.qname.unwrap().to_string(), "x.example.");
        let sample = Sample::from_record(&record(u32::MAX, 0, 255, b"")).unwrap();
        assert_eq!((sample.zone, sample.qname, sample.qtype), (None, None, None));
        assert_eq!((sample.verdict, sample.filter), (Verdict::Serve, None));
        let whole = record(5, 2, 8, b"\x01x\0");
        for none in [
            &whole[..RECORD_BYTES - 1],
            &[&*whole, &[0]].concat(),
            &record(5, 3, 8, b"\0"),
            &record(5, 1, 255, b"\0"),
            &record(5, 2, 11, b"\0"),
            &record(5, 0, 8, b"\x05x\0"),
            &record(5, 0, 8, b"\xc0\x0c"),
        ] {
            assert!(Sample::from_record(none).is_none(), "{none:?}");
        }
    }

    #[test]
    fn the_end_of_a_long_name_is_kept() {
        let name: wire::Name = "Www.Example.COM".parse().unwrap();
        let sampled = SampledName::new(name.as_ref());
        assert_eq!((sampled.to_string().as_str(), sampled.is_cut()), ("www.example.com.", false));
        let long: wire::Name = format!("{}.{}.example.com", "a".repeat(50), "b".repeat(30)).parse().unwrap();
        let sampled = SampledName::new(long.as_ref());
        assert!(sampled.is_cut());
        assert_eq!(sampled.to_string(), format!("…{}.example.com.", "b".repeat(30)));
    }
}
