//! What is popular: Zipf's law.

use crate::random::Random;

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
