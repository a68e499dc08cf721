//! Timelines of what regions were answered: who answered, how fast, what was lost, and what befell whom meanwhile. As a
//! picture (SVG) and, smaller, for a terminal. Both are made from the prober's [`Record`]s alone. And [`Floods`]: what real
//! clients were answered while a server was attacked.

mod flood;
mod svg;
mod terminal;

use crate::prober::{Outcome, Record};

pub use flood::{Floods, percent};

/// A moment to be marked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mark {
    /// When, on the records' clock.
    pub at_us: u64,
    /// What happened, in a word or three: `kill nyc-1`.
    pub label: String,
    /// Whether that broke something or mended it.
    pub kind: MarkKind,
}

/// What a mark marks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MarkKind {
    /// Something was broken.
    Fault,
    /// It was mended.
    Repair,
}

/// A timeline: a row for each record, all over the same time.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// What it shows.
    pub title: String,
    /// A row each; at least one with at least one query, or there is nothing to draw.
    pub records: Vec<Record>,
    /// What happened meanwhile.
    pub marks: Vec<Mark>,
}

/// Part of a row, as wide as a point of the picture.
#[derive(Clone, Debug, Default, PartialEq)]
struct Column {
    /// Good answers by the place of who gave them in [`Timeline::edges`].
    answered: Vec<usize>,
    /// Queries without a good answer.
    missed: usize,
    /// The median of the good answers' times.
    median_us: Option<u32>,
}

impl Timeline {
    /// The picture, as the text of an SVG file.
    pub fn svg(&self) -> String {
        svg::draw(self)
    }

    /// Lines for a terminal of so many columns; with `colours`, in ANSI's.
    pub fn terminal(&self, columns: usize, colours: bool) -> String {
        terminal::draw(self, columns, colours)
    }

    /// From the first query to the last, in µs; never empty.
    fn span_us(&self) -> (u64, u64) {
        let first = self.records.iter().filter_map(|record| record.probes.first()).map(|probe| probe.sent_us).min();
        let last = self.records.iter().filter_map(|record| record.probes.last()).map(|probe| probe.sent_us).max();
        let first = first.unwrap_or(0);
        (first, last.unwrap_or(0).max(first) + 1)
    }

    /// Everybody who gave a good answer, by name.
    fn edges(&self) -> Vec<String> {
        let mut edges: Vec<String> = self.records.iter().flat_map(|record| record.answerers().into_keys()).collect();
        edges.sort();
        edges.dedup();
        edges
    }

    /// A record cut into so many parts of equal time.
    fn columns(&self, record: &Record, edges: &[String], count: usize) -> Vec<Column> {
        let (from_us, until_us) = self.span_us();
        let count = count.max(1);
        let place = |sent_us: u64| {
            let share = u128::from(sent_us.saturating_sub(from_us)) * count as u128 / u128::from(until_us - from_us);
            usize::try_from(share).unwrap_or(usize::MAX).min(count - 1)
        };
        // The record's own numbers of edges, as places in `edges`.
        let known: Vec<Option<usize>> =
            record.edges.iter().map(|name| edges.iter().position(|edge| edge == name)).collect();
        let mut columns = vec![Column { answered: vec![0; edges.len()], ..Column::default() }; count];
        let mut times: Vec<Vec<u32>> = vec![Vec::new(); count];
        for probe in &record.probes {
            let at = place(probe.sent_us);
            let (Some(column), Some(times)) = (columns.get_mut(at), times.get_mut(at)) else { continue };
            match probe.outcome {
                Outcome::Answered { edge, after_us } => {
                    let edge = known.get(usize::from(edge)).copied().flatten();
                    if let Some(count) = edge.and_then(|edge| column.answered.get_mut(edge)) {
                        *count += 1;
                    }
                    times.push(after_us);
                }
                Outcome::Pending => {}
                Outcome::Stale { .. } | Outcome::Wrong { .. } | Outcome::Lost => column.missed += 1,
            }
        }
        for (column, mut times) in columns.iter_mut().zip(times) {
            times.sort_unstable();
            column.median_us = crate::prober::quantile(&times, 0.5);
        }
        columns
    }
}

/// `1 query lost`, `41 queries lost`.
fn lost(count: usize) -> String {
    match count {
        0 => "nothing lost".to_owned(),
        1 => "1 query lost".to_owned(),
        more => format!("{more} queries lost"),
    }
}

#[cfg(test)]
mod tests;
