//! The timeline for a terminal: two lines for each region, a letter for who answered and a bar for how long it took.

use std::fmt::Write as _;

use super::{Column, MarkKind, Timeline, lost};

/// The width of the regions' names.
const NAME_WIDTH: usize = 11;
/// Latencies from least to most.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// The least number of columns that makes a line.
const COLUMNS_MIN: usize = 20;
/// ANSI's colours of the edges: blue, cyan, green, yellow, magenta, white; and red for losses.
const COLOURS: [u8; 6] = [34, 36, 32, 33, 35, 37];
const RED: u8 = 31;

pub(super) fn draw(timeline: &Timeline, columns: usize, colours: bool) -> String {
    let count = columns.saturating_sub(NAME_WIDTH).max(COLUMNS_MIN);
    let edges = timeline.edges();
    let letters = letters(&edges);
    let mut text = marks(timeline, count);
    for record in &timeline.records {
        let row = timeline.columns(record, &edges, count);
        let _ = write!(text, "{:<NAME_WIDTH$}", record.region);
        for column in &row {
            let (letter, colour) = match main_edge(column) {
                _ if column.missed > 0 => ('×', Some(RED)),
                Some(edge) => (letters.get(edge).copied().unwrap_or('?'), COLOURS.get(edge % COLOURS.len()).copied()),
                None => (' ', None),
            };
            paint(&mut text, letter, colour.filter(|_| colours));
        }
        let top_us = row.iter().filter_map(|column| column.median_us).max().unwrap_or(1);
        let _ = write!(text, "\n{:<NAME_WIDTH$}", format!("  {:.0} ms", f64::from(top_us) / 1e3));
        text.extend(row.iter().map(|column| column.median_us.map_or(' ', |median_us| bar(median_us, top_us))));
        let _ = writeln!(text, "\n{:<NAME_WIDTH$}{} queries, {}", "", record.probes.len(), lost(record.missed()));
    }
    let legend: Vec<String> = letters.iter().zip(&edges).map(|(letter, edge)| format!("{letter} {edge}")).collect();
    let _ = writeln!(text, "{:<NAME_WIDTH$}{}, × not answered", "", legend.join(", "));
    text
}

fn paint(text: &mut String, letter: char, colour: Option<u8>) {
    let _ = match colour {
        Some(colour) => write!(text, "\x1b[{colour}m{letter}\x1b[0m"),
        None => write!(text, "{letter}"),
    };
}

/// The labels over their moments, in as many lines as it takes.
fn marks(timeline: &Timeline, count: usize) -> String {
    let (from_us, until_us) = timeline.span_us();
    let mut lines: Vec<String> = Vec::new();
    for mark in &timeline.marks {
        let share = mark.at_us.saturating_sub(from_us) as f64 / (until_us - from_us) as f64;
        let label = match mark.kind {
            MarkKind::Fault => format!("▼{}", mark.label),
            MarkKind::Repair => format!("△{}", mark.label),
        };
        let width = label.chars().count();
        let at = ((share * count as f64) as usize).min(count.saturating_sub(width));
        let has_room = |line: &String| line.is_empty() || line.chars().count() < at;
        let line = match lines.iter().position(has_room) {
            Some(line) => line,
            None => {
                lines.push(String::new());
                lines.len() - 1
            }
        };
        if let Some(line) = lines.get_mut(line) {
            let blanks = at.saturating_sub(line.chars().count());
            line.extend(std::iter::repeat_n(' ', blanks));
            line.push_str(&label);
        }
    }
    lines.into_iter().map(|line| format!("{:<NAME_WIDTH$}{line}\n", "")).collect()
}

/// A letter for each edge: one of its name that no other has, or a digit.
fn letters(edges: &[String]) -> Vec<char> {
    let mut taken: Vec<char> = Vec::new();
    for edge in edges {
        let own = edge.chars().filter(char::is_ascii_alphabetic);
        let letter = own.chain('0'..='9').find(|letter| !taken.contains(letter)).unwrap_or('?');
        taken.push(letter);
    }
    taken
}

/// Who answered most in a column.
fn main_edge(column: &Column) -> Option<usize> {
    let answering = column.answered.iter().enumerate().filter(|(_, count)| **count > 0);
    answering.max_by_key(|(_, count)| **count).map(|(edge, _)| edge)
}

fn bar(median_us: u32, top_us: u32) -> char {
    let share = u64::from(median_us) * BARS.len() as u64 / u64::from(top_us.max(1));
    BARS.get((share as usize).min(BARS.len() - 1)).copied().unwrap_or(' ')
}
