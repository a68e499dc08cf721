//! The sizes of what lies in [memory that is given](crate::Memory), for who looks it up elsewhere: the kernel lane's program.

use crate::{counts, names, sample, sources};

/// Buckets of [`Table::Sources`](crate::Table::Sources), 64 bytes each.
pub const SOURCE_BUCKETS: usize = sources::BUCKETS;
/// The bucket of a source is its hash from this bit on, modulo their number.
pub const SOURCE_SHIFT: usize = sources::SHIFT as usize;
/// Places of [`Table::Repeats`](crate::Table::Repeats), 8 bytes each.
pub const REPEAT_PLACES: usize = sources::REPEAT_PLACES;
/// Places in a row of [`Table::PrefixBudgets`](crate::Table::PrefixBudgets) and
/// [`Table::RepeatBudgets`](crate::Table::RepeatBudgets), 4 bytes each; there are two rows.
pub const SKETCH_ROW: usize = sources::SKETCH_ROW;
/// Buckets of [`Table::AnswerRates`](crate::Table::AnswerRates), 64 bytes each.
pub const ANSWER_RATE_BUCKETS: usize = names::ANSWER_BUCKETS;
/// Buckets of [`Table::PrefixRates`](crate::Table::PrefixRates), 64 bytes each.
pub const PREFIX_RATE_BUCKETS: usize = names::PREFIX_BUCKETS;
/// Words of one of both generations of [`Table::Existing`](crate::Table::Existing).
pub const EXISTING_WORDS: usize = names::EXISTING_WORDS;
/// Words of one of both generations of [`Table::Recent`](crate::Table::Recent).
pub const RECENT_WORDS: usize = names::RECENT_WORDS;
/// So many names make a generation of it full.
pub const RECENT_NAMES: usize = names::RECENT_NAMES as usize;
/// Words of one of both generations of [`Table::Familiar`](crate::Table::Familiar).
pub const FAMILIAR_WORDS: usize = names::FAMILIAR_WORDS;
/// Sets of [`Table::Suffixes`](crate::Table::Suffixes).
pub const SUFFIX_SETS: usize = names::SUFFIX_SETS;
/// Suffixes of a set, 128 bytes each.
pub const SUFFIX_WAYS: usize = names::SUFFIX_WAYS;
/// Places of [`Table::Attacked`](crate::Table::Attacked).
pub const ATTACKED_MAX: usize = names::ATTACKED_MAX;
/// Words of a name there.
pub const ATTACKED_NAME_WORDS: usize = names::ATTACKED_NAME_WORDS;
/// Cells of [`Table::Cells`](crate::Table::Cells), 64 bytes each, and of the counts of a lane's zones.
pub const CELLS: usize = names::CELLS;
/// Bytes of what a foreign lane counts.
pub const LANE_COUNTS_BYTES: usize = counts::TALLIES_BYTES;
/// Bytes of what it counts of zones.
pub const LANE_ZONES_BYTES: usize = counts::ZONES_BYTES;
/// Words of [`Filters::policy_words`](crate::Filters::policy_words).
pub const POLICY_WORDS: usize = 41;
/// Bytes of the record of a [`Sample`](crate::Sample).
pub const SAMPLE_BYTES: usize = sample::RECORD_BYTES;
