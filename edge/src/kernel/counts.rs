//! What the program counts, summed over the processors.

use std::{
    fmt,
    sync::atomic::{AtomicU16, AtomicU64, Ordering::Relaxed},
};

use super::{KernelStats, layout};

/// Reads what the program counts. It counts on where the daemon before had it; what that one counted is left out.
#[derive(Clone)]
pub(crate) struct KernelCounters {
    words: &'static [AtomicU64],
    /// As they stood at the start.
    before: [u64; layout::COUNTER_WORDS],
    tags: &'static [AtomicU16],
}

impl fmt::Debug for KernelCounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KernelCounters")
    }
}

impl KernelCounters {
    #[cfg_attr(not(feature = "kernel"), allow(dead_code, reason = "there is nobody to read"))]
    pub(super) fn new(words: &'static [AtomicU64], tags: &'static [AtomicU16]) -> Self {
        Self { words, before: sum(words), tags }
    }

    /// All counters, from the start of the daemon.
    pub(crate) fn read(&self) -> [u64; layout::COUNTER_WORDS] {
        let mut now = sum(self.words);
        now.iter_mut().zip(self.before).for_each(|(now, before)| *now = now.wrapping_sub(before));
        now
    }

    /// Those that are the kernel lane's alone.
    pub(crate) fn stats(&self, words: &[u64; layout::COUNTER_WORDS]) -> KernelStats {
        let run = |from: usize, number: usize| words.iter().skip(from).take(number);
        let answered = run(layout::COUNTER_RCODES, RCODES).sum();
        let dropped = run(layout::COUNTER_DROPPED, DROPPED).sum::<u64>() + words[layout::COUNTER_TORN];
        let mut passed = [0; layout::PASSES];
        passed.iter_mut().zip(run(layout::COUNTER_PASSED, layout::PASSES)).for_each(|(to, from)| *to = *from);
        let held = self.tags.iter().filter(|tag| tag.load(Relaxed) != 0).count() as u64;
        KernelStats { seen: words[layout::COUNTER_SEEN], answered, dropped, passed, held }
    }
}

/// Counters of response codes, and of reasons to drop.
const RCODES: usize = 11;
const DROPPED: usize = layout::COUNTER_ON_DEMAND - layout::COUNTER_DROPPED;

fn sum(words: &[AtomicU64]) -> [u64; layout::COUNTER_WORDS] {
    let mut sum = [0u64; layout::COUNTER_WORDS];
    for processor in words.chunks_exact(layout::COUNTER_WORDS) {
        for (sum, word) in sum.iter_mut().zip(processor) {
            *sum = sum.wrapping_add(word.load(Relaxed));
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_summed_and_what_was_before_is_left_out() {
        let words: Vec<AtomicU64> = (0..2 * layout::COUNTER_WORDS).map(|_| AtomicU64::new(1)).collect();
        let words: &'static [AtomicU64] = Box::leak(words.into_boxed_slice());
        let tags: &'static [AtomicU16] = Box::leak(Box::new([AtomicU16::new(0), AtomicU16::new(7)]));
        let counters = KernelCounters::new(words, tags);
        words[layout::COUNTER_SEEN].fetch_add(10, Relaxed);
        words[layout::COUNTER_WORDS + layout::COUNTER_RCODES + 3].fetch_add(4, Relaxed);
        words[layout::COUNTER_FILTERED].fetch_add(2, Relaxed);
        words[layout::COUNTER_TORN].fetch_add(1, Relaxed);
        words[layout::COUNTER_PASSED + layout::PASS_OLD].fetch_add(3, Relaxed);
        let mut passed = [0; layout::PASSES];
        passed[layout::PASS_OLD] = 3;
        let stats = counters.stats(&counters.read());
        assert_eq!(stats, KernelStats { seen: 10, answered: 4, dropped: 3, passed, held: 1 });
    }
}
