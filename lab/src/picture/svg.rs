//! The timeline as an SVG: for each region a strip of who answered, the latency below it, losses in red across both.

use std::fmt::Write as _;

use super::{Column, Mark, MarkKind, Timeline, lost};
use crate::prober::Record;

/// The picture's width, and where the rows begin and end in it.
const WIDTH: f64 = 1200.0;
const LEFT: f64 = 96.0;
const RIGHT: f64 = 1180.0;
/// Above the rows: title, legend, labels of marks in so many lines.
const TITLE_Y: f64 = 30.0;
const LEGEND_Y: f64 = 56.0;
const MARKS_Y: f64 = 88.0;
const MARK_LINES: usize = 3;
const MARK_LINE_HEIGHT: f64 = 15.0;
const ROWS_Y: f64 = MARKS_Y + MARK_LINE_HEIGHT * MARK_LINES as f64;
/// A row: the strip, then the plot of latencies.
const STRIP_HEIGHT: f64 = 26.0;
const PLOT_HEIGHT: f64 = 78.0;
const ROW_HEIGHT: f64 = STRIP_HEIGHT + PLOT_HEIGHT + 34.0;
/// A column of the strip has at least so many queries, and is at least so wide.
const QUERIES_IN_COLUMN: usize = 10;
const COLUMN_WIDTH: f64 = 2.0;
/// A gap is at least so wide, or it would not be seen.
const GAP_WIDTH_MIN: f64 = 2.0;
/// Latencies are drawn up to this multiple of the highest usual one.
const HEADROOM: f64 = 1.15;

/// Who answered, in colours that people with any kind of sight tell apart (after Okabe and Ito); none is red.
const COLOURS: [&str; 8] = ["#0072b2", "#56b4e9", "#009e73", "#e69f00", "#cc79a7", "#8c6d46", "#6f6f6f", "#b8ad1c"];
const LOSS: &str = "#d00000";

/// Where things are.
struct Canvas<'t> {
    timeline: &'t Timeline,
    edges: Vec<String>,
    from_us: u64,
    until_us: u64,
    text: String,
}

pub(super) fn draw(timeline: &Timeline) -> String {
    let (from_us, until_us) = timeline.span_us();
    let mut canvas = Canvas { timeline, edges: timeline.edges(), from_us, until_us, text: String::new() };
    let height = ROWS_Y + ROW_HEIGHT * timeline.records.len() as f64 + 30.0;
    canvas.head(height);
    canvas.legend();
    canvas.marks(height - 34.0);
    for (number, record) in timeline.records.iter().enumerate() {
        canvas.row(record, ROWS_Y + ROW_HEIGHT * number as f64);
    }
    canvas.time_axis(height - 34.0);
    canvas.text.push_str("</svg>\n");
    canvas.text
}

impl Canvas<'_> {
    /// Writing to a string cannot fail.
    fn put(&mut self, line: std::fmt::Arguments) {
        let _ = self.text.write_fmt(line);
        self.text.push('\n');
    }

    fn x(&self, at_us: u64) -> f64 {
        let share = at_us.saturating_sub(self.from_us) as f64 / (self.until_us - self.from_us) as f64;
        LEFT + share.clamp(0.0, 1.0) * (RIGHT - LEFT)
    }

    fn colour(&self, edge: usize) -> &'static str {
        COLOURS.get(edge % COLOURS.len()).copied().unwrap_or("#000000")
    }

    fn head(&mut self, height: f64) {
        let title = escape(&self.timeline.title);
        self.put(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH:.0} {height:.0}\" font-family=\"system-ui, \
             sans-serif\" font-size=\"12\" role=\"img\" aria-label=\"{title}\">"
        ));
        self.put(format_args!("<rect width=\"{WIDTH:.0}\" height=\"{height:.0}\" fill=\"#ffffff\"/>"));
        self.put(format_args!(
            "<text x=\"{LEFT}\" y=\"{TITLE_Y}\" font-size=\"16\" font-weight=\"600\">{title}</text>"
        ));
    }

    fn legend(&mut self) {
        let mut x = LEFT;
        let y = LEGEND_Y;
        for (number, edge) in self.edges.clone().iter().enumerate() {
            let colour = self.colour(number);
            self.put(format_args!(
                "<rect x=\"{x:.0}\" y=\"{:.0}\" width=\"14\" height=\"10\" fill=\"{colour}\"/><text x=\"{:.0}\" \
                 y=\"{y}\">{}</text>",
                y - 10.0,
                x + 19.0,
                escape(edge)
            ));
            x += 36.0 + 7.0 * edge.chars().count() as f64;
        }
        self.put(format_args!(
            "<rect x=\"{x:.0}\" y=\"{:.0}\" width=\"14\" height=\"10\" fill=\"{LOSS}\"/><text x=\"{:.0}\" \
             y=\"{y}\">not answered</text>",
            y - 10.0,
            x + 19.0
        ));
    }

    /// A line through all rows for each mark, and its label in the first line of labels that has room.
    fn marks(&mut self, bottom: f64) {
        let mut taken = [f64::MIN; MARK_LINES];
        let marks: Vec<Mark> = self.timeline.marks.clone();
        for mark in marks {
            let x = self.x(mark.at_us);
            let width = 6.6 * mark.label.chars().count() as f64 + 10.0;
            let (anchor, begin) = if x + width > WIDTH { ("end", x - width) } else { ("start", x) };
            let line = taken.iter().position(|end| *end <= begin).unwrap_or(MARK_LINES - 1);
            if let Some(end) = taken.get_mut(line) {
                *end = begin + width;
            }
            let y = MARKS_Y + MARK_LINE_HEIGHT * line as f64;
            let (colour, dashes) = match mark.kind {
                MarkKind::Fault => ("#8b0000", ""),
                MarkKind::Repair => ("#3f6f3f", " stroke-dasharray=\"3 3\""),
            };
            self.put(format_args!(
                "<path d=\"M{x:.1} {:.0}V{bottom:.0}\" stroke=\"{colour}\" stroke-width=\"1\"{dashes}/>",
                y - 9.0
            ));
            let beside = if anchor == "end" { x - 3.0 } else { x + 3.0 };
            self.put(format_args!(
                "<text x=\"{beside:.1}\" y=\"{y:.0}\" fill=\"{colour}\" text-anchor=\"{anchor}\">{}</text>",
                escape(&mark.label)
            ));
        }
    }

    fn row(&mut self, record: &Record, y: f64) {
        let room = ((RIGHT - LEFT) / COLUMN_WIDTH) as usize;
        let queries = (self.until_us - self.from_us) / record.interval_us.max(1);
        let count = usize::try_from(queries).unwrap_or(room) / QUERIES_IN_COLUMN;
        let count = count.clamp(1, room);
        let columns = self.timeline.columns(record, &self.edges, count);
        let name = escape(&record.region);
        let summary = lost(record.missed());
        self.put(format_args!(
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\" font-weight=\"600\">{name}</text>",
            LEFT - 8.0,
            y + STRIP_HEIGHT - 8.0
        ));
        self.put(format_args!(
            "<rect x=\"{LEFT}\" y=\"{y:.0}\" width=\"{:.0}\" height=\"{STRIP_HEIGHT}\" fill=\"#eeeeee\"/>",
            RIGHT - LEFT
        ));
        self.strip(&columns, y);
        self.plot(&columns, y + STRIP_HEIGHT + 4.0);
        self.gaps(record, y);
        self.put(format_args!(
            "<text x=\"{RIGHT}\" y=\"{:.0}\" text-anchor=\"end\" font-size=\"11\" fill=\"#555555\">{} queries, \
             {summary}</text>",
            y + STRIP_HEIGHT + PLOT_HEIGHT + 19.0,
            record.probes.len()
        ));
    }

    /// Who answered: each column is divided by the shares. Columns that are alike are one rectangle.
    fn strip(&mut self, columns: &[Column], y: f64) {
        let width = (RIGHT - LEFT) / columns.len().max(1) as f64;
        let mut rest = columns;
        while let Some(first) = rest.first() {
            let alike = |column: &&Column| alone(column).is_some() && alone(column) == alone(first);
            let run = rest.iter().take_while(alike).count().max(1);
            let x = LEFT + width * (columns.len() - rest.len()) as f64;
            let total: usize = first.answered.iter().sum();
            let mut top = y;
            for (edge, count) in first.answered.iter().enumerate().filter(|(_, count)| **count > 0) {
                let height = STRIP_HEIGHT * *count as f64 / total as f64;
                let colour = self.colour(edge);
                self.put(format_args!(
                    "<rect x=\"{x:.2}\" y=\"{top:.1}\" width=\"{:.2}\" height=\"{height:.1}\" fill=\"{colour}\"/>",
                    width * run as f64 + 0.1
                ));
                top += height;
            }
            rest = rest.get(run..).unwrap_or_default();
        }
    }

    fn plot(&mut self, columns: &[Column], y: f64) {
        let bottom = y + PLOT_HEIGHT;
        let top_ms = scale_ms(columns);
        let height = |median_us: u32| bottom - (f64::from(median_us) / 1e3 / top_ms).min(1.0) * PLOT_HEIGHT;
        for share in [0.0, 0.5, 1.0] {
            let line = bottom - PLOT_HEIGHT * share;
            self.put(format_args!(
                "<path d=\"M{LEFT} {line:.1}H{RIGHT}\" stroke=\"#dddddd\"/><text x=\"{:.0}\" y=\"{:.1}\" \
                 text-anchor=\"end\" font-size=\"10\" fill=\"#555555\">{:.0} ms</text>",
                LEFT - 8.0,
                line + 3.0,
                top_ms * share
            ));
        }
        let width = (RIGHT - LEFT) / columns.len().max(1) as f64;
        // Where nothing was asked the line goes straight on.
        let asked = |column: &&Column| column.median_us.is_some() || column.missed > 0;
        let point =
            |(number, column): (usize, &Column)| (LEFT + width * (number as f64 + 0.5), column.median_us.map(height));
        let points = columns.iter().enumerate().filter(|(_, column)| asked(column)).map(point);
        let path = line(points);
        self.put(format_args!(
            "<path d=\"{path}\" fill=\"none\" stroke=\"#222222\" stroke-width=\"1.3\" stroke-linejoin=\"round\"/>"
        ));
    }

    fn gaps(&mut self, record: &Record, y: f64) {
        /// Further gaps this near to the last one with a label have none of their own.
        const LABEL_WIDTH: f64 = 130.0;
        let height = STRIP_HEIGHT + 4.0 + PLOT_HEIGHT;
        let mut labelled_until = f64::MIN;
        for gap in merged(record) {
            let (x, until) = (self.x(gap.from_us), self.x(gap.until_us));
            let width = (until - x).max(GAP_WIDTH_MIN);
            self.put(format_args!(
                "<rect x=\"{x:.1}\" y=\"{y:.0}\" width=\"{width:.1}\" height=\"{height:.0}\" fill=\"{LOSS}\" \
                 fill-opacity=\"0.18\"/><rect x=\"{x:.1}\" y=\"{y:.0}\" width=\"{width:.1}\" \
                 height=\"{STRIP_HEIGHT}\" fill=\"{LOSS}\"/>"
            ));
            if x < labelled_until {
                continue;
            }
            labelled_until = x + LABEL_WIDTH;
            let beside = if x + LABEL_WIDTH > WIDTH { ("end", x - 3.0) } else { ("start", x + width + 3.0) };
            self.put(format_args!(
                "<text x=\"{:.1}\" y=\"{:.0}\" text-anchor=\"{}\" font-size=\"11\" fill=\"{LOSS}\" \
                 stroke=\"#ffffff\" stroke-width=\"3\" paint-order=\"stroke\">{} lost in {:.0} ms</text>",
                beside.1,
                y + STRIP_HEIGHT + 16.0,
                beside.0,
                gap.probes,
                (gap.until_us - gap.from_us) as f64 / 1e3
            ));
        }
    }

    fn time_axis(&mut self, y: f64) {
        let seconds = (self.until_us - self.from_us) as f64 / 1e6;
        let step = [1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 120.0].into_iter().find(|step| seconds / step <= 16.0);
        let step = step.unwrap_or(300.0);
        let mut at = 0.0;
        while at <= seconds {
            let x = LEFT + at / seconds * (RIGHT - LEFT);
            self.put(format_args!(
                "<path d=\"M{x:.1} {y:.0}v5\" stroke=\"#555555\"/><text x=\"{x:.1}\" y=\"{:.0}\" \
                 text-anchor=\"middle\" fill=\"#555555\">{at:.0} s</text>",
                y + 18.0
            ));
            at += step;
        }
    }
}

/// Losses with answers between them, as when two edges share the load and one is gone, are one gap.
fn merged(record: &Record) -> Vec<crate::prober::Gap> {
    /// Gaps that are nearer to each other than this many intervals.
    const NEAR: u64 = 20;
    let mut merged: Vec<crate::prober::Gap> = Vec::new();
    for gap in record.gaps() {
        match merged.last_mut() {
            Some(last) if gap.from_us.saturating_sub(last.until_us) < NEAR * record.interval_us => {
                last.until_us = gap.until_us;
                last.probes += gap.probes;
            }
            _ => merged.push(gap),
        }
    }
    merged
}

/// The data of a path through the points, with gaps where one has no height. Points amid a level stretch are left out.
fn line(points: impl Iterator<Item = (f64, Option<f64>)>) -> String {
    /// What nobody sees.
    const LEVEL: f64 = 0.3;
    let mut path = String::new();
    let mut last: Option<(f64, f64)> = None;
    let mut skipped: Option<(f64, f64)> = None;
    for (x, y) in points {
        // Writing to a string cannot fail, here and below.
        let mut flush = |skipped: &mut Option<(f64, f64)>| {
            if let Some((x, y)) = skipped.take() {
                let _ = write!(path, "L{x:.1} {y:.1}");
            }
        };
        match (y, last) {
            (Some(y), Some((_, level))) if (y - level).abs() < LEVEL => skipped = Some((x, level)),
            (Some(y), before) => {
                flush(&mut skipped);
                let command = if before.is_some() { 'L' } else { 'M' };
                let _ = write!(path, "{command}{x:.1} {y:.1}");
                last = Some((x, y));
            }
            // Nobody answered.
            (None, _) => {
                flush(&mut skipped);
                last = None;
            }
        }
    }
    if let Some((x, y)) = skipped {
        let _ = write!(path, "L{x:.1} {y:.1}");
    }
    path
}

/// The only edge that answered in a column.
fn alone(column: &Column) -> Option<usize> {
    let mut answering = column.answered.iter().enumerate().filter(|(_, count)| **count > 0);
    let (edge, _) = answering.next()?;
    answering.next().is_none().then_some(edge)
}

/// The top of the axis: the highest median but for the outliers, in a round number of milliseconds.
fn scale_ms(columns: &[Column]) -> f64 {
    let mut medians: Vec<u32> = columns.iter().filter_map(|column| column.median_us).collect();
    medians.sort_unstable();
    let high_ms = f64::from(crate::prober::quantile(&medians, 0.98).unwrap_or(1000)) / 1e3 * HEADROOM;
    let step = [10.0, 20.0, 50.0, 100.0, 200.0].into_iter().find(|step| high_ms / step <= 5.0).unwrap_or(500.0);
    (high_ms / step).ceil() * step
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
