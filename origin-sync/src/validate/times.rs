//! When the signatures of a zone die: how many in each minute, so that differences can be taken in without a look at the
//! rest of the zone.

use std::collections::BTreeMap;

use wire::Rtype;
use zones::{Difference, Zone};

use super::rrsig::{Rrsig, nearest};

const MINUTE_S: u32 = 60;

/// How many signatures die in which minute (of the 32 bits that RRSIG has, since 1970).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SignatureTimes {
    minutes: BTreeMap<u32, u64>,
}

/// What differences change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TimesChange {
    removed: Vec<u32>,
    added: Vec<u32>,
}

fn minute(rrsig: &[u8]) -> Option<u32> {
    Rrsig::parse(rrsig).map(|rrsig| rrsig.expiration / MINUTE_S)
}

/// Whether a zone is signed: its SOA is.
pub(crate) fn is_signed(zone: &Zone) -> bool {
    zone.owner(zone.apex()).rrset(Rtype::SOA).is_some_and(|soa| !soa.rrsigs.is_empty())
}

impl SignatureTimes {
    /// Those of a whole zone.
    pub(crate) fn of(zone: &Zone) -> SignatureTimes {
        let mut times = SignatureTimes::default();
        zone.for_each_rrset(|rrset| {
            for minute in rrset.rrsigs.filter_map(minute) {
                *times.minutes.entry(minute).or_default() += 1;
            }
        });
        times
    }

    /// Takes differences in.
    pub(crate) fn apply(&mut self, change: &TimesChange) {
        for &minute in &change.added {
            *self.minutes.entry(minute).or_default() += 1;
        }
        for minute in &change.removed {
            if let Some(count) = self.minutes.get_mut(minute) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    self.minutes.remove(minute);
                }
            }
        }
    }

    /// When the first signature dies, in seconds since 1970: the beginning of that minute.
    pub(crate) fn first_unix_s(&self, now_unix_s: u64) -> Option<u64> {
        // Half the circle of 32 bits is past, half is future (RFC 4034 §3.1.5).
        let oldest = (now_unix_s as u32).wrapping_add(1 << 31) / MINUTE_S;
        let first = self.minutes.range(oldest..).next().or_else(|| self.minutes.iter().next());
        first.map(|(&minute, _)| nearest(minute * MINUTE_S, now_unix_s))
    }
}

impl TimesChange {
    /// What these differences change.
    pub(crate) fn of(differences: &[Difference]) -> TimesChange {
        let mut change = TimesChange::default();
        for difference in differences {
            let signatures = difference.deletions().filter(|record| record.rtype == Rtype::RRSIG);
            change.removed.extend(signatures.filter_map(|record| minute(record.rdata)));
            let signatures = difference.additions().filter(|record| record.rtype == Rtype::RRSIG);
            change.added.extend(signatures.filter_map(|record| minute(record.rdata)));
        }
        change
    }

    /// How many signatures it speaks of.
    pub(crate) fn len(&self) -> usize {
        self.removed.len() + self.added.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::Name;
    use zones::{Limits, ZoneBuilder};

    const NOW: u64 = 1_800_000_000;

    fn rrsig(expiration: u64) -> Vec<u8> {
        let mut rdata = vec![0, 1, 13, 2, 0, 0, 0, 60];
        rdata.extend((expiration as u32).to_be_bytes());
        rdata.extend([0; 6]);
        rdata.extend(b"\x07example\0signature");
        rdata.extend(expiration.to_be_bytes());
        rdata
    }

    fn zone(expirations: &[u64]) -> Zone {
        let apex: Name = "example".parse().unwrap();
        let mut builder = ZoneBuilder::new(apex, Limits::NONE);
        builder.add(apex.as_ref(), Rtype::SOA, 60, &[0; 22]).unwrap();
        for expiration in expirations {
            builder.add(apex.as_ref(), Rtype::RRSIG, 60, &rrsig(*expiration)).unwrap();
        }
        builder.finish().unwrap()
    }

    fn difference(removed: &[u64], added: &[u64]) -> Difference {
        let (apex, mut difference) = ("example".parse::<Name>().unwrap(), Difference::new());
        removed.iter().for_each(|s| difference.delete(apex.as_ref(), Rtype::RRSIG, 60, &rrsig(*s)).unwrap());
        added.iter().for_each(|s| difference.add(apex.as_ref(), Rtype::RRSIG, 60, &rrsig(*s)).unwrap());
        difference
    }

    #[test]
    fn the_first_death_follows_the_differences() {
        let mut times = SignatureTimes::of(&zone(&[NOW + 100_000, NOW + 7200, NOW + 7201]));
        assert_eq!(times.first_unix_s(NOW), Some((NOW + 7200) / 60 * 60));
        let change = |removed: &[u64], added: &[u64]| TimesChange::of(&[difference(removed, added)]);
        times.apply(&change(&[NOW + 7200], &[NOW + 90_000]));
        assert_eq!(times.first_unix_s(NOW), Some((NOW + 7201) / 60 * 60));
        times.apply(&change(&[NOW + 7201], &[]));
        assert_eq!(times.first_unix_s(NOW), Some(NOW + 90_000));
        times.apply(&change(&[], &[NOW - 500]));
        assert_eq!(times.first_unix_s(NOW), Some((NOW - 500) / 60 * 60));
        assert_eq!(times, SignatureTimes::of(&zone(&[NOW + 100_000, NOW + 90_000, NOW - 500])));
        times.apply(&change(&[NOW + 100_000, NOW + 90_000, NOW - 500], &[]));
        assert_eq!((times.first_unix_s(NOW), times), (None, SignatureTimes::default()));
    }

    #[test]
    fn the_circle_of_seconds_closes() {
        let wrap = 1u64 << 32;
        let times = SignatureTimes::of(&zone(&[wrap - 120, wrap + 120]));
        assert_eq!(times.first_unix_s(wrap - 600), Some((wrap - 120) / 60 * 60));
        let later = SignatureTimes::of(&zone(&[wrap + 7200, wrap + 3600]));
        assert_eq!(later.first_unix_s(wrap - 600).map(|s| s.abs_diff(wrap + 3600) <= 60), Some(true));
    }
}
