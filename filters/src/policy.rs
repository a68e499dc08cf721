//! What the operator decided, made ready for the way of a query.

use config::{DefenceMode, Defences, Filter};

use crate::{
    hash::{ipv4_mask, ipv6_mask},
    layout::POLICY_WORDS,
    names::response_costs,
    sources::{Limits, ListedPrefix},
};

/// Words for the modes of filters: some more than there are.
const MODE_WORDS: usize = 16;

/// The defences that hold, swapped whole.
#[derive(Clone, Debug)]
pub struct Policy {
    /// As they stand in the file, with what orders changed.
    pub defences: Defences,
    modes: [DefenceMode; Filter::ALL.len()],
    all_off: bool,
    pub(crate) limits: Limits,
    /// Whether a list has prefixes of IPv4 (bit 0), of IPv6 (bit 1).
    listed_families: u64,
}

impl Policy {
    pub(crate) fn new(defences: &Defences) -> Policy {
        let modes = Filter::ALL.map(|filter| defences.mode_of(filter));
        let all_off = modes.iter().all(|mode| *mode == DefenceMode::Off);
        let family = |prefix: &ListedPrefix| if prefix.is_ipv4() { 1 } else { 2 };
        let listed_families = ListedPrefix::all(defences).iter().map(family).fold(0, |all, family| all | family);
        Policy { defences: defences.clone(), modes, all_off, limits: Limits::new(defences), listed_families }
    }

    /// How far a filter goes.
    #[inline]
    pub fn mode(&self, filter: Filter) -> DefenceMode {
        self.modes.get(filter as usize).copied().unwrap_or(DefenceMode::Off)
    }

    /// What the verdict on a query needs, as [`Filters::policy_words`](crate::Filters::policy_words) says. `hashers` are the
    /// secrets of both hashers, `others` the seed and how much is quarantined.
    pub(crate) fn words(&self, hashers: [u64; 8], others: [u64; 3]) -> [u64; POLICY_WORDS] {
        let defences = &self.defences;
        let mut modes = [0; MODE_WORDS];
        modes.iter_mut().zip(self.modes).for_each(|(word, mode)| *word = mode as u64);
        let masks = [ipv4_mask(defences.ipv4_prefix).into(), ipv6_mask(defences.ipv6_prefix)];
        let words = hashers
            .into_iter()
            .chain([self.all_off.into(), self.listed_families])
            .chain(modes)
            .chain(masks)
            .chain(self.limits.words())
            .chain(response_costs(defences))
            .chain([defences.slip.into(), defences.random_names_per_s.into()])
            .chain(others);
        let mut all = [0; POLICY_WORDS];
        all.iter_mut().zip(words).for_each(|(to, word)| *to = word);
        all
    }

    /// Whether nothing is looked at.
    pub fn all_off(&self) -> bool {
        self.all_off
    }
}
