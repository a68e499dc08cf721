//! Where tables lie: in boxes of their own, or in memory that is given from outside, so that others can look them up too.
//!
//! The words of a table are read and written one by one, whoever else does: nothing has to be said to begin or to end. What is
//! given may hold a table that a process before this one has left there.

use std::{fmt, ops::Deref};

use zerocopy::{FromBytes, IntoBytes, KnownLayout};

/// Gives tables their memory.
pub trait Memory {
    /// So many bytes for this table, to be asked once for each: zeros, or what is left of the same table in the same place.
    /// They begin at the border of a line of 128 bytes.
    fn take(&mut self, table: Table, bytes: usize) -> &'static mut [u8];
}

/// The tables that can lie in memory that is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Table {
    /// What is known of each source.
    Sources,
    /// Who was given which answer.
    Repeats,
    /// Budgets of prefixes.
    PrefixBudgets,
    /// Budgets of repetitions.
    RepeatBudgets,
    /// The budget of truncated answers for unknown sources.
    Slips,
    /// Budgets of answers of a kind.
    AnswerRates,
    /// Budgets of all answers to a prefix.
    PrefixRates,
    /// Names that exist in zones that are filled on demand.
    Existing,
    /// Which generation of them is young.
    ExistingTurn,
    /// Names that failed a moment ago.
    Recent,
    /// Which generation of them is young.
    RecentTurn,
    /// Names that fail again and again.
    Familiar,
    /// Which generation of them is young.
    FamiliarTurn,
    /// What fails below which suffix.
    Suffixes,
    /// The suffixes that are attacked.
    Attacked,
    /// How many those are.
    AttackedUsed,
    /// What is armed for the node.
    Node,
    /// What is known of each zone.
    Cells,
}

impl Table {
    /// All of them.
    pub const ALL: [Table; 18] = [
        Table::Sources,
        Table::Repeats,
        Table::PrefixBudgets,
        Table::RepeatBudgets,
        Table::Slips,
        Table::AnswerRates,
        Table::PrefixRates,
        Table::Existing,
        Table::ExistingTurn,
        Table::Recent,
        Table::RecentTurn,
        Table::Familiar,
        Table::FamiliarTurn,
        Table::Suffixes,
        Table::Attacked,
        Table::AttackedUsed,
        Table::Node,
        Table::Cells,
    ];

    /// The name that others know it by.
    pub fn as_str(self) -> &'static str {
        match self {
            Table::Sources => "sources",
            Table::Repeats => "repeats",
            Table::PrefixBudgets => "prefix_budgets",
            Table::RepeatBudgets => "repeat_budgets",
            Table::Slips => "slips",
            Table::AnswerRates => "answer_rates",
            Table::PrefixRates => "prefix_rates",
            Table::Existing => "existing",
            Table::ExistingTurn => "existing_turn",
            Table::Recent => "recent",
            Table::RecentTurn => "recent_turn",
            Table::Familiar => "familiar",
            Table::FamiliarTurn => "familiar_turn",
            Table::Suffixes => "suffixes",
            Table::Attacked => "attacked",
            Table::AttackedUsed => "attacked_used",
            Table::Node => "node",
            Table::Cells => "cells",
        }
    }
}

/// What was given is not as large as the table, or begins where it cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the memory that was given for {what} ({got} bytes) does not fit: {want} bytes are needed, on a line of their own"
)]
pub struct MemoryError {
    /// The table.
    pub what: &'static str,
    /// The bytes that it needs.
    pub want: usize,
    /// Those that were given.
    pub got: usize,
}

/// What can lie in memory that is given: words that anybody may change at any time.
pub(crate) trait Words: FromBytes + IntoBytes + KnownLayout + Default + 'static {}

impl<T: FromBytes + IntoBytes + KnownLayout + Default + 'static> Words for T {}

/// Elements of a table.
pub(crate) enum Shared<T: 'static> {
    Own(Box<[T]>),
    Given(&'static [T]),
}

impl<T: Words> Shared<T> {
    /// So many in a box.
    pub(crate) fn own(elements: usize) -> Shared<T> {
        Shared::Own((0..elements).map(|_| T::default()).collect())
    }

    /// So many in these bytes.
    pub(crate) fn given(
        bytes: &'static mut [u8],
        elements: usize,
        what: &'static str,
    ) -> Result<Shared<T>, MemoryError> {
        let error = MemoryError { what, want: elements * size_of::<T>(), got: bytes.len() };
        let elements = <[T]>::mut_from_bytes(bytes).ok().filter(|given| given.len() == elements);
        Ok(Shared::Given(elements.ok_or(error)?))
    }
}

impl<T> Deref for Shared<T> {
    type Target = [T];

    // Both are a pointer and a length at the same place: this is no branch once it is compiled.
    #[inline]
    fn deref(&self) -> &[T] {
        match self {
            Shared::Own(elements) => elements,
            Shared::Given(elements) => elements,
        }
    }
}

impl<T> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} bytes", self.len(), size_of::<T>())
    }
}

/// A table of one element.
pub(crate) enum One<T: 'static> {
    Own(Box<T>),
    Given(&'static T),
}

impl<T: Words> One<T> {
    /// In a box.
    pub(crate) fn own() -> One<T> {
        One::Own(Box::default())
    }

    /// In these bytes.
    pub(crate) fn given(bytes: &'static mut [u8], what: &'static str) -> Result<One<T>, MemoryError> {
        let error = MemoryError { what, want: size_of::<T>(), got: bytes.len() };
        Ok(One::Given(T::mut_from_bytes(bytes).map_err(|_| error)?))
    }
}

impl<T> Deref for One<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        match self {
            One::Own(element) => element,
            One::Given(element) => element,
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for One<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        T::fmt(self, f)
    }
}

/// Takes each table's memory from where it is given, if it is.
pub(crate) struct Taker<'m> {
    memory: Option<&'m mut dyn Memory>,
    refused: Option<MemoryError>,
}

impl<'m> Taker<'m> {
    /// Boxes for all of them.
    pub(crate) fn own() -> Taker<'static> {
        Taker { memory: None, refused: None }
    }

    pub(crate) fn of(memory: &'m mut dyn Memory) -> Taker<'m> {
        Taker { memory: Some(memory), refused: None }
    }

    /// So many elements. Those that do not fit into what is given get a box, and [`Taker::finish`] tells of it.
    pub(crate) fn shared<T: Words>(&mut self, table: Table, elements: usize) -> Shared<T> {
        let Some(memory) = &mut self.memory else { return Shared::own(elements) };
        let given = Shared::given(memory.take(table, elements * size_of::<T>()), elements, table.as_str());
        given.unwrap_or_else(|why| {
            self.refused = Some(why);
            Shared::own(elements)
        })
    }

    /// The one element of a table.
    pub(crate) fn one<T: Words>(&mut self, table: Table) -> One<T> {
        let Some(memory) = &mut self.memory else { return One::own() };
        One::given(memory.take(table, size_of::<T>()), table.as_str()).unwrap_or_else(|why| {
            self.refused = Some(why);
            One::own()
        })
    }

    /// Whether all that was given was as it should be.
    pub(crate) fn finish(self) -> Result<(), MemoryError> {
        self.refused.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, sync::Arc};

    use config::{Defences, Filter};
    use wire::{Name, Rtype};

    use super::*;
    use crate::{Asked, Filters, Hashes, Lane, LaneCounts, Now, Proof, Verdict, View, layout};

    #[derive(Clone, FromBytes, IntoBytes, KnownLayout)]
    #[repr(C, align(128))]
    struct Line([u8; 128]);

    /// Gives memory that is never given back, and keeps in mind for what.
    #[derive(Default)]
    struct Leaked {
        asked: HashMap<Table, usize>,
        short: Option<Table>,
    }

    fn leak(bytes: usize) -> &'static mut [u8] {
        let lines: Vec<Line> = vec![Line([0; 128]); bytes.div_ceil(128)];
        let all = Vec::leak(lines).as_mut_bytes();
        all.split_at_mut(bytes).0
    }

    impl Memory for Leaked {
        fn take(&mut self, table: Table, bytes: usize) -> &'static mut [u8] {
            assert_eq!(self.asked.insert(table, bytes), None, "{table:?} is asked for once");
            leak(if self.short == Some(table) { bytes - 8 } else { bytes })
        }
    }

    const SEED: [u64; 2] = [3, 4];

    fn verdict(lane: &Lane, qname: &Name, us: u64) -> Verdict {
        let asked = Some(Asked { qname: qname.as_ref(), qtype: Rtype::A });
        let source = [192, 0, 2, 1].into();
        let view = View { source, proof: Proof::None, message: &[], asked, hashes: Hashes::default() };
        lane.gate(Now::from_us(us)).admit(&view).verdict
    }

    #[test]
    fn each_table_is_asked_for_once_and_has_its_size() {
        let mut memory = Leaked::default();
        Filters::within(&Defences::default(), SEED, &mut memory).unwrap();
        let bytes = Table::ALL.map(|table| memory.asked[&table]);
        let want = [
            layout::SOURCE_BUCKETS * 64,
            layout::REPEAT_PLACES * 8,
            layout::SKETCH_ROW * 8,
            layout::SKETCH_ROW * 8,
            64,
            layout::ANSWER_RATE_BUCKETS * 64,
            layout::PREFIX_RATE_BUCKETS * 64,
            layout::EXISTING_WORDS * 16,
            64,
            layout::RECENT_WORDS * 16,
            64,
            layout::FAMILIAR_WORDS * 16,
            64,
            layout::SUFFIX_SETS * layout::SUFFIX_WAYS * 128,
            layout::ATTACKED_MAX * (16 + layout::ATTACKED_NAME_WORDS * 8),
            64,
            64,
            layout::CELLS * 64,
        ];
        assert_eq!(bytes, want);
        assert_eq!(memory.asked.len(), Table::ALL.len());
    }

    #[test]
    fn verdicts_are_the_same_wherever_the_tables_lie() {
        let defences = Defences { client_per_s: 5, ..Defences::default() };
        let given = Filters::within(&defences, SEED, &mut Leaked::default()).unwrap();
        let lanes = [Arc::new(given).lane(), Arc::new(Filters::new(&defences, SEED)).lane()];
        let qname: Name = "www.example.com".parse().unwrap();
        let of = |lane: &Lane| (0..100).map(|n| verdict(lane, &qname, 1_000_000 + n * 1000)).collect::<Vec<_>>();
        let [given, own] = lanes.each_ref().map(of);
        assert_eq!(given, own);
        assert!(own.contains(&Verdict::Drop(Filter::Client)));
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        for table in Table::ALL {
            let mut memory = Leaked { short: Some(table), ..Leaked::default() };
            let why = Filters::within(&Defences::default(), SEED, &mut memory).unwrap_err();
            assert_eq!((why.what, why.got + 8), (table.as_str(), why.want));
        }
    }

    #[test]
    fn what_foreign_lanes_count_is_counted() {
        let filters = Filters::new(&Defences::default(), SEED);
        let (counts, zones) = (leak(3 * layout::LANE_COUNTS_BYTES), leak(3 * layout::LANE_ZONES_BYTES));
        // Queries of the first, what the filter of clients dropped of the third.
        counts[..8].copy_from_slice(&7u64.to_ne_bytes());
        let dropped = 2 * layout::LANE_COUNTS_BYTES + 8 * (3 + Filter::Client as usize * 6 + 2);
        counts[dropped..dropped + 8].copy_from_slice(&9u64.to_ne_bytes());
        assert_eq!(filters.add_foreign_lanes(counts, zones), Ok(3));
        let counts = filters.counts();
        assert_eq!((counts.queries, counts.effect(Filter::Client, crate::Effect::Dropped)), (7, 9));
        let few = filters.add_foreign_lanes(leak(2 * layout::LANE_COUNTS_BYTES), leak(layout::LANE_ZONES_BYTES));
        assert!(few.is_err(), "each needs both");
        assert!(LaneCounts::given(leak(layout::LANE_COUNTS_BYTES - 8), leak(layout::LANE_ZONES_BYTES)).is_err());
    }
}
