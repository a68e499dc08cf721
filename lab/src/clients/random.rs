//! Random numbers from a seed, so that a run can be had again: SplitMix64 (Steele, Lea, Flood 2014).

/// A generator.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The next number.
    pub(super) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of 0 to `below` - 1; 0 for 0.
    pub(super) fn below(&mut self, below: u64) -> u64 {
        ((u128::from(self.number()) * u128::from(below)) >> 64) as u64
    }

    /// From 0 inclusive to 1 exclusive.
    pub(super) fn share(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Places by popularity: the place `n` (from 0) is drawn in proportion to `1 / (n + 1)^exponent`.
#[derive(Clone, Debug)]
pub(super) struct Zipf {
    /// The sum of all weights up to each place.
    sums: Vec<f64>,
}

impl Zipf {
    pub(super) fn new(places: usize, exponent: f64) -> Zipf {
        let mut sum = 0.0;
        let weight = |place: usize| ((place + 1) as f64).powf(-exponent);
        let sums = (0..places.max(1)).map(|place| {
            sum += weight(place);
            sum
        });
        Zipf { sums: sums.collect() }
    }

    pub(super) fn draw(&self, random: &mut Random) -> usize {
        let at = random.share() * self.sums.last().copied().unwrap_or_default();
        self.sums.partition_point(|sum| *sum <= at).min(self.sums.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_place_is_drawn_most_and_all_are_drawn() {
        let (zipf, mut random) = (Zipf::new(10, 0.9), Random::new(1));
        let mut drawn = [0_u32; 10];
        for _ in 0..10_000 {
            drawn[zipf.draw(&mut random)] += 1;
        }
        assert!(drawn.is_sorted_by(|more, less| *more > less.saturating_sub(120)), "{drawn:?}");
        assert!(drawn[0] > 6 * drawn[9] && drawn[9] > 100, "{drawn:?}");
    }
}
